"""How tests are run: the steps of tests/check, and one test by itself."""

import signal
import subprocess
import time

import pytest

from common import onggi, run_tool, wait_for_file, wait_until


def check(tmp_path, script, **options):
    """Starts a script that uses the runner, its logs in tmp_path."""
    script = f". {onggi.ROOT}/tests/step.sh; out=.\n{script}"
    return subprocess.Popen(
        ["bash", "-uo", "pipefail", "-c", script], cwd=tmp_path, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, **options)


def lines_of(process, timeout=60):
    return process.communicate(timeout=timeout)[0].splitlines()


def test_a_step_is_announced_and_counted(tmp_path):
    lines = lines_of(check(tmp_path, """
        step good true
        step "so bad" sh -c 'echo why; exit 3'
        echo "$passed passed, $failed failed"
        """))
    assert lines == ["..    good (./good.log)",
                     "ok    good (0 s)",
                     "..    so bad (./so-bad.log)",
                     "FAIL  so bad (./so-bad.log): sh -c echo why; exit 3",
                     "      why",
                     "1 passed, 1 failed"]


def test_a_step_has_the_status_of_its_command_alone(tmp_path):
    """Not that of a job which ends meanwhile."""
    assert lines_of(check(tmp_path, """
        slots=2
        job report_step beside false
        step good sleep 1 >/dev/null && echo went on
        step bad false >/dev/null || echo gave up
        """)) == ["went on", "gave up"]


def test_jobs_run_beside_each_other(tmp_path):
    """Each waits for the other."""
    assert "2 0" in lines_of(check(tmp_path, """
        slots=2
        meet() { touch "$1"; until [ -e "$2" ]; do sleep 0.01; done; }
        job report_step a meet a b
        job report_step b meet b a
        finish_jobs
        echo "$passed $failed"
        """))


def test_silence_ends_with_what_runs(tmp_path):
    lines = lines_of(check(tmp_path, """
        silence=0.2
        step slow sh -c 'echo first; echo "half way"; sleep 1.5'
        """))
    assert "..    slow (1 s): half way" in lines
    assert lines[-1].startswith("ok    slow (")


@pytest.mark.parametrize("number, status", [
    (signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("kind", ["step slow", "job report_step slow"])
def test_a_signal_ends_it_with_all_it_has_started(tmp_path, kind, number,
                                                  status):
    process = check(tmp_path, f"""
        slow() {{
            sh -c 'sleep 1000 & echo $$ $! >pids.new; mv pids.new pids; wait'
        }}
        {kind} slow
        finish_jobs
        """, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    pids = wait_for_file(tmp_path / "pids").split()
    start = time.monotonic()
    process.send_signal(number)
    error = process.communicate(timeout=20)[1]
    assert (process.returncode, error) == (status, "tests/check: stopped\n")
    assert time.monotonic() - start < 3
    assert len(pids) == 2
    assert not any(map(is_alive, pids))


def test_what_ignores_the_signal_is_killed(tmp_path):
    process = check(tmp_path, """
        grace=1
        step deaf sh -c 'trap "" TERM; echo $$ >pid; sleep 1000; sleep 1000'
        """)
    pid = wait_for_file(tmp_path / "pid").strip()
    process.terminate()
    assert process.communicate(timeout=20)[1] == "tests/check: stopped\n"
    wait_until(lambda: not is_alive(pid), "the end of a deaf command")


def is_alive(pid):
    """Whether it runs; what has ended may wait for its parent, though."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("name, some", [
    ("", ["usage: make test-one NAME=TEST [ARCH=arm64]"]),
    ("no_such_test", ["  tests/unit/base/test_bus", "  tests/fuzz/fuzz_config",
                      "  tests/boot/test_boot.py"]),
    ("vsock", ["  tests/unit/devices/vsock/test_vsock_mux",
               "  tests/cli/test_vsock.py", "  tests/boot/test_vsock.py"]),
    ("test_bus::one", ["  tests/cli/test_make.py"]),
    ("test_make.py::none",
     ["  tests/cli/test_make.py::test_a_prefix_may_hold_blanks"])])
def test_a_name_that_means_no_single_test_lists_some(name, some):
    result = run_tool("tests/one", name)
    assert (result.returncode, result.stdout) == (64, "")
    assert set(some) <= set(result.stderr.splitlines())


@pytest.mark.parametrize("name", ["bus", "test_bus", "base/test_bus",
                                  "tests/unit/base/test_bus"])
def test_one_unit_test_runs(name):
    result = run_tool("make", "test-one", f"NAME={name}")
    assert result.returncode == 0, result.stderr
    assert "+ build/asan/tests/unit/base/test_bus\n" in result.stdout


def test_one_test_of_the_program_runs():
    node = "tests/cli/test_make.py::test_a_prefix_may_hold_blanks"
    result = run_tool("tests/one", node.removeprefix("tests/"))
    assert result.returncode == 0, result.stderr
    assert f" {node}\n" in result.stdout and "1 passed" in result.stdout
