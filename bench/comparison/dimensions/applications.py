"""Programs that people run."""

from comparison.dimensions.network import wait_for_port
from comparison.parse import number_in
from comparison.session import FromHost, Load, LoadDimension


def seconds(line):
    """Has the shell print how long a line took, in microseconds."""
    return (f"s=$(date +%s%N) && {line} && e=$(date +%s%N) && "
            "echo took $(((e - s) / 1000))")


def took(output):
    return number_in(output, r"took (\d+)") / 1000


def redis(what):
    return FromHost(lambda scale, address: [
        "redis-benchmark", "-h", address, "-t", what, "-n",
        str(max(200, 20 * scale.ms)), "-c", "10", "--csv"])


def redis_rate(output):
    return number_in(output, r'^"[SG]ET","([\d.]+)"')


def wrk(scale, address):
    return ["wrk", "--threads", "1", "--connections", "10", "--duration",
            f"{max(1, scale.ms // 1000)}s", f"http://{address}/index.html"]


def sqlite(scale):
    rows = max(20, scale.ms)
    script = ("rm -f /work/t.db; (echo 'create table t(a integer primary key,"
              "b text);'; for i in $(seq " + str(rows) + "); do echo \"insert "
              "into t(b) values('row $i');\"; done; echo 'select count(*) "
              "from t;') >/tmp/t.sql")
    run = seconds("sqlite3 /work/t.db </tmp/t.sql >/dev/null")
    return f"{script} && {run}"


class Applications(LoadDimension):
    key = "applications"
    title = "Applications"
    text = ("redis and nginx in the instance, their clients redis-benchmark "
            "and wrk on the host, 10 connections each; sqlite on the "
            "instance's disk, a transaction for each row; gcc -O2 of one C "
            "file. Clients of this kind wait for each answer, so queues that "
            "a busier server would have do not show.")
    disk = net = True
    loads = (
        Load("app.redis", "redis, SET", "1/s", "more", redis("set"),
             redis_rate),
        Load("app.redis_get", "redis, GET", "1/s", "more", redis("get"),
             redis_rate),
        Load("app.nginx", "nginx, a page of 1 KiB", "1/s", "more",
             FromHost(wrk),
             lambda output: number_in(output, r"Requests/sec: *([\d.]+)")),
        Load("app.sqlite", "sqlite, inserts", "ms", "less", sqlite, took),
        Load("app.compile", "gcc, one file", "ms", "less",
             lambda _: seconds("gcc -O2 -I/bench/src -c /bench/src/bench/netload.c "
                               "-o /tmp/n.o"),
             took))

    def before(self, session, instance):
        instance.run("redis-server --save '' --appendonly no --protected-mode "
                     "no --bind 0.0.0.0 >/dev/null 2>&1 </dev/null &")
        instance.run("nginx -c /bench/nginx.conf >/dev/null 2>&1 </dev/null &")
        for port in (6379, 80):
            wait_for_port(instance, port)


DIMENSION = Applications
