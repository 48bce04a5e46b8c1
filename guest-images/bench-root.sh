# shellcheck shell=bash
# The Debian 12 that bench/compare runs in each of its subjects: as a virtual
# machine's disk, or mounted as the root of a container or a chroot. Without
# systemd: what it is started with is all that runs.

# wrk looks for the port's name in netbase's /etc/services.
bench_packages='procps iproute2 fio iperf3 sysbench redis-server redis-tools
    nginx-light wrk netbase sqlite3 gcc libc6-dev make rt-tests'

build_bench_root() {
    local key
    need_compiler
    # One package stands for all, as in debian.sh.
    key=$(hash_inputs bench-root.sh debian.sh \
        ../bench/netload.c ../bench/load/{hog,kernel,memory,stamp}.c ../bench/load/{load.h,app.sh,mix.sh,shell.sh} -- \
        "$(init_key)" "$("${cross}gcc" -dumpfullversion)" "$(package_version libc6)")
    build_cached bench-root "$key" make_bench_root bench-root.ext4
}

make_bench_root() {
    compile_init onggi-init
    compile_loads
    write_check >bench/check
    chmod 755 bench/check
    write_nginx_conf >bench/nginx.conf
    write_bench_setup >setup
    chmod 755 setup
    bootstrap_debian "$bench_packages" \
        --customize-hook='copy-in onggi-init /usr/lib' \
        --customize-hook='copy-in bench /' \
        --customize-hook=./setup
    make_debian_image bench-root.ext4
    rm -r setup onggi-init bench
}

# All but launch, which starts subjects. The programs' own source is what the
# benchmark compiles.
compile_loads() {
    local name build=$PWD/build
    need make make
    # Neither the caller's flags nor its job server.
    env -u MAKEFLAGS -u MFLAGS make -s -C "$here/.." ARCH="$arch" BUILD="$build" \
        CFLAGS=-O2 LDFLAGS=-s load >&2
    mkdir bench
    for name in hog kernel memory stamp; do
        install -m 755 "build/bench/load/$name" bench/
    done
    install -m 755 build/bench/netload bench/
    install -D -m 644 "$here/../bench/netload.c" bench/src/bench/netload.c
    install -D -m 644 "$here/../bench/load/load.h" bench/src/bench/load/load.h
    for name in app mix shell; do
        install -m 755 "$here/../bench/load/$name.sh" bench/$name
    done
    rm -r build
}

# Runs with the new root as $1.
write_bench_setup() {
    cat <<'SETUP'
#!/bin/sh
set -eu
cd "$1"
install -D -m 755 usr/lib/onggi-init usr/lib/onggi/init
rm usr/lib/onggi-init
sed -i 's/^root:[^:]*:/root::/' etc/shadow
echo bench >etc/hostname
printf '127.0.0.1 localhost bench\n::1 localhost\n' >etc/hosts
: >etc/resolv.conf
chown -R 0:0 bench
mkdir bench/www work
head -c 1024 /dev/zero | tr '\0' x >bench/www/index.html
# Nobody reads manuals here, and no package is added.
rm -rf var/lib/apt/lists/* var/cache/apt/* var/cache/debconf/*-old var/log/*.log var/log/apt
SETUP
}

# In the foreground, with what it writes in /tmp, for / may be read-only.
write_nginx_conf() {
    cat <<'CONF'
daemon off;
user root;
pid /tmp/nginx.pid;
error_log /dev/null;
worker_processes auto;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path /tmp/nginx-body;
    proxy_temp_path /tmp/nginx-proxy;
    fastcgi_temp_path /tmp/nginx-fastcgi;
    uwsgi_temp_path /tmp/nginx-uwsgi;
    scgi_temp_path /tmp/nginx-scgi;
    keepalive_requests 1000000;
    server {
        listen 80 backlog=1024;
        root /bench/www;
    }
}
CONF
}

# Each tool for a moment, with an "ok NAME" for each that works.
write_check() {
    cat <<'CHECK'
#!/bin/bash
# Runs each tool of this image for a moment: "ok NAME", or "FAIL NAME" with what
# it printed. Exits with 1 if one failed. What it writes goes to /tmp.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd "$(mktemp -d)" || exit
failed=0

ok() { # NAME COMMAND...
    local name=$1
    shift
    if timeout 120 "$@" >log 2>&1 </dev/null; then
        echo "ok $name"
    else
        echo "FAIL $name: $(tail -c 300 log)"
        failed=1
    fi
}

service() { # COMMAND...
    "$@" >service.log 2>&1 </dev/null &
    services+=($!)
}
services=()

reached() { # PORT
    for _ in $(seq 300); do
        (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    echo "nobody listens on port $1"
    return 1
}

compile() {
    printf '#include <stdio.h>\nint main(void) { return puts("x") < 0; }\n' >x.c
    make CC=gcc x && ./x
}

ok kernel /bench/kernel 5
ok memory /bench/memory chase 5 16
ok stream /bench/memory stream 5 6
ok hog /bench/hog fork 3 50
ok stamp /bench/stamp '<init>' /bench/stamp '<app>'
ok hackbench hackbench -g 1 -l 5
ok fio fio --name=x --filename=x --size=1M --rw=randread --bs=4k --runtime=1
ok sysbench sysbench cpu --time=1 --cpu-max-prime=100 run
ok sqlite3 sqlite3 x.db 'create table t(a); insert into t values(1); select * from t'
ok ip ip link
ok ps ps
export -f compile reached
ok gcc bash -c compile

service redis-server --save '' --appendonly no --bind 127.0.0.1 --port 6379
ok redis bash -c 'reached 6379 && redis-benchmark -q -n 50 -c 1 -t set,get'
service nginx -c /bench/nginx.conf
ok nginx bash -c 'reached 80 && wrk -t 1 -c 1 -d 1 http://127.0.0.1/ |
    tee /dev/stderr | grep Requests/sec'
service iperf3 -s -B 127.0.0.1
ok iperf3 bash -c 'reached 5201; iperf3 -c 127.0.0.1 -t 1'
service /bench/netload serve
ok netload bash -c 'reached 7100; /bench/netload rr 127.0.0.1 20'

kill "${services[@]}"
wait
rm -rf "$PWD"
exit $failed
CHECK
}
