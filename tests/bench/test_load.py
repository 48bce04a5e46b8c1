"""The load programs of bench/load, here and for a moment each: they print what
they promise, and leave nothing behind."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOADS = ROOT / "build/bench/load"
KERNEL_TESTS = {"syscall", "switch", "pipe", "fork", "exec", "fault", "mmap"}


@pytest.fixture(scope="session", autouse=True)
def built():
    subprocess.run(["make", "-s", "load"], cwd=ROOT, check=True)


def run(name, *arguments, status=0, **options):
    done = subprocess.run([LOADS / name, *map(str, arguments)],
                          capture_output=True, text=True, timeout=60,
                          **options)
    assert done.returncode == status, done.stderr
    return done


def figures(name, *arguments, **options):
    """What a program prints, as {name: (value, unit)}."""
    lines = run(name, *arguments, **options).stdout.splitlines()
    words = [line.split() for line in lines]
    assert all(len(line) == 3 for line in words), lines
    return {name: (float(value), unit) for name, value, unit in words}


def processes(text):
    """How many processes have text in their command line."""
    return subprocess.run(["pgrep", "-fc", text], capture_output=True,
                          text=True, check=False).stdout.strip()


# -- Figures ----------------------------------------------------------------

def test_kernel_measures_all_in_ns():
    got = figures("kernel", 10)
    assert set(got) == KERNEL_TESTS
    for name, (value, unit) in got.items():
        assert unit == "ns" and 1 < value < 1e9, name
    for name in ("switch", "pipe", "fork", "exec"):
        assert got[name] > got["syscall"], name


def test_kernel_measures_what_is_named():
    assert list(figures("kernel", 5, "pipe", "mmap")) == ["pipe", "mmap"]


def test_exec_needs_no_proc_and_no_folder():
    got = figures("kernel", 5, "exec", cwd=LOADS)
    assert got["exec"][0] > 0


def test_stream_keeps_to_its_maximum():
    got = figures("memory", "stream", 10, 12)
    assert list(got) == ["array", "copy", "scale", "add", "triad"]
    assert 3.9 < got.pop("array")[0] <= 4
    for value, unit in got.values():
        assert unit == "MB/s" and 10 < value < 1e7


def test_chase_grows_with_the_working_set():
    got = figures("memory", "chase", 20, 16, 65536)
    assert list(got) == ["chase.16", "chase.65536"]
    assert got["chase.65536"][0] > got["chase.16"][0] > 0.1


@pytest.mark.parametrize("arguments, reason", [
    (("kernel", "0"), "MS 0: not a number"),
    (("kernel", "5", "speed"), "speed: no such test"),
    (("memory", "chase", "5", "1x"), "KIB 1x: not a number"),
    (("memory", "stream"), "usage"),
    (("hog", "fork", "1000000", "5"), "MAX 1000000: not a number"),
    (("hog", "sloth", "5", "5"), "usage"),
    (("launch", "5", "-"), "usage"),
    (("launch", "5", "-", "true", ":::", "-"), "instance 1: no command"),
    (("launch", "5", "-", "true", ":::"), "instance 1: no command"),
    (("stamp",), "usage"),
])
def test_bad_arguments(arguments, reason):
    done = run(*arguments, status=2)
    assert reason in done.stderr and not done.stdout


# -- Hogs -------------------------------------------------------------------

PATIENCE_MS = (301, 3001, 20001)  # a busy machine needs more


def test_fork_hog_stops_at_its_maximum_and_cleans_up():
    for ms in PATIENCE_MS:
        got = figures("hog", "fork", 23, ms)
        assert processes(f"hog fork 23 {ms}") == "0"
        if got["refused"][0]:
            break
    assert got["processes"] == (23, "count")
    assert got["refused"][0] > 0


def test_fork_hog_cleans_up_when_asked_to_end():
    with subprocess.Popen([LOADS / "hog", "fork", "17", "30017"],
                          stdout=subprocess.PIPE, text=True) as hog:
        deadline = time.monotonic() + 10
        while processes("hog fork 17 30017") != "18":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        hog.send_signal(signal.SIGTERM)
        assert "processes 17 count" in hog.communicate(timeout=10)[0]
    assert processes("hog fork 17 30017") == "0"


def test_memory_hog():
    for ms in PATIENCE_MS:
        got = figures("hog", "memory", 8, ms)
        if got["touched"][0] == 8:
            break
    assert got == {"touched": (8, "MB"), "killed": (0, "count"),
                   "refused": (0, "count")}


def test_memory_hog_that_is_refused():
    for ms in PATIENCE_MS:
        limit = f"ulimit -v 30000; exec {LOADS}/hog memory 100 {ms}"
        text = subprocess.run(["sh", "-c", limit], stdout=subprocess.PIPE,
                              text=True, check=True, timeout=60).stdout
        touched, killed, refused = (line.split()[1]
                                    for line in text.splitlines())
        if refused != "0":
            break
    assert 5 < int(touched) < 31 and (killed, refused) == ("0", "1")


def test_disk_hog_leaves_no_file(tmp_path):
    got = figures("hog", "disk", tmp_path / "x", 2, 200)
    assert got["written"][0] > 0 and got["fsyncs"][0] == got["written"][0]
    assert not list(tmp_path.iterdir())


def test_disk_hog_takes_no_file_of_somebody_else(tmp_path):
    (tmp_path / "x").write_text("mine")
    done = run("hog", "disk", tmp_path / "x", 1, 50, status=1)
    assert "File exists" in done.stderr
    assert (tmp_path / "x").read_text() == "mine"


# -- Launching --------------------------------------------------------------

def launch(*commands, timeout=20000, cgroup="-"):
    words = []
    for command in commands:
        words += [":::", cgroup, *command]
    lines = run("launch", timeout, *words[1:]).stdout.splitlines()
    got = [json.loads(line) for line in lines]
    assert [one["instance"] for one in got] == list(range(len(commands)))
    return got


def test_stamps_are_in_order():
    before = time.monotonic_ns()
    script = 'echo "<init>"; sleep 0.03; echo "<app>"; sleep 0.03; exit 5'
    got, = launch(["sh", "-c", script])
    assert before < got["start"] < time.monotonic_ns()
    # a busy machine may see any of them later than it was
    assert 0 < got["init"] <= got["app"] <= got["reaped"]
    assert got["app"] > 30e6 and got["reaped"] > 60e6
    assert (got["status"], got["error"], got["timed_out"]) == (5, None, False)
    assert got["output"] == "<init>\n<app>\n"


def test_marks_on_a_terminal_among_other_lines():
    script = r"""printf 'BIOS <init>\r\n\033[2J\033[1;1H<init>\r\n'
        echo 'command line: <app>'; echo x; printf '<app>\r\n' >&2"""
    got, = launch(["sh", "-c", script])
    assert got["init"] and got["app"]
    got, = launch(["sh", "-c", "echo 'x <init>'; echo '<app> x'"])
    assert got["init"] is None and got["app"] is None


def test_twenty_at_once():
    stamp = str(LOADS / "stamp")
    got = launch(*[[stamp, "<init>", stamp, "<app>"]] * 20)
    for one in got:
        assert 0 < one["init"] <= one["app"] <= one["reaped"]
        assert one["status"] == 0
    # All were there before the first one ran.
    starts = [one["start"] for one in got]
    assert max(starts) - min(starts) < 1e9


def test_failures_leave_the_others_whole():
    got = launch(["false"], ["no-such-program"], ["sh", "-c", "kill -9 $$"],
                 ["echo", "<app>"])
    assert [one["status"] for one in got] == [1, 127, 137, 0]
    assert got[1]["error"] == (
        "execute no-such-program: No such file or directory")
    assert got[1]["start"] is None and got[1]["reaped"] is None
    assert got[3]["app"] and got[3]["error"] is None


def test_cgroup_that_is_not_there(tmp_path):
    got, = launch(["true"], cgroup=str(tmp_path / "x"))
    assert got["error"] == f"join {tmp_path}/x: No such file or directory"


def test_timeout_kills_whatever_group_it_is_in():
    hang = "setsid sleep 7654 & echo '<app>'; sleep 7654"
    got = launch(["sh", "-c", hang], ["true"], timeout=500)
    assert got[0]["timed_out"] and got[0]["reaped"] is None
    assert got[0]["app"] and got[0]["status"] == 137
    assert not got[1]["timed_out"] and got[1]["status"] == 0
    assert processes("sleep 7654") == "0"


def test_descendants_go_with_the_last_instance():
    launch(["sh", "-c", "setsid sleep 7653 & exit 0"])
    assert processes("sleep 7653") == "0"


def test_signal_ends_all():
    with subprocess.Popen([LOADS / "launch", "20000", "-", "sleep", "7652"],
                          stdout=subprocess.PIPE) as launcher:
        while processes("^sleep 7652") != "1":
            time.sleep(0.02)
        launcher.send_signal(signal.SIGTERM)
        assert launcher.communicate(timeout=10)[0] == b""
    assert launcher.returncode == 128 + signal.SIGTERM
    assert processes("^sleep 7652") == "0"


def test_output_is_cut_and_escaped():
    script = r"""yes | head -c 200000; printf 'end "\\\001\377'"""
    got, = launch(["sh", "-c", script])
    assert len(got["output"]) == 300
    assert got["output"].endswith('y\nend "\\\x01\xff')


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_instance_is_in_its_cgroup():
    mounts = Path("/proc/mounts").read_text().splitlines()
    where = [line.split()[1] for line in mounts if " cgroup2 " in line]
    if not where or not os.access(where[0], os.W_OK):
        pytest.skip("no cgroup2 to write to")
    group = Path(where[0]) / f"onggi-load-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"{group}: {error.strerror}")
    try:
        got, = launch(["cat", "/proc/self/cgroup"], cgroup=str(group))
        assert f"/{group.name}\n" in got["output"]
    finally:
        group.rmdir()
