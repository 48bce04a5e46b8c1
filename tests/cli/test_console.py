"""The console's ends: terminal, pipes, sockets, a pty, files."""

import re
import signal
import subprocess
import termios
import time

import pytest

from common import guest, needs_kvm, onggi, printing
from onggi import Guest, run


@needs_kvm
def test_console_output_goes_to_stdout_and_to_a_file(tmp_path):
    kernel = guest(tmp_path, onggi.HELLO)
    assert run("run", "--kernel", kernel).stdout == "ok"
    result = run("run", "--kernel", kernel, "--console",
                 f"file={tmp_path}/out")
    assert result.stdout == ""
    assert (tmp_path / "out").read_text() == "ok"
    assert run("run", "--kernel", kernel, "--console", "none").stdout == ""


@needs_kvm
def test_pty_console_is_named_and_carries_output(tmp_path):
    kernel = guest(tmp_path, onggi.HELLO)
    result = run("run", "--kernel", kernel, "--console", "pty")
    assert re.search(r"console is /dev/pts/\d+\n", result.stderr)


@needs_kvm
def test_terminal_is_raw_while_running_and_restored_after(tmp_path):
    kernel = guest(tmp_path, onggi.SLEEP)
    with Guest("run", "--kernel", kernel, terminal=True) as vm:
        end = time.monotonic() + 20
        while termios.tcgetattr(vm.slave)[3] & termios.ICANON:
            assert time.monotonic() < end
            time.sleep(0.01)
        vm.send("\x01h")
        vm.wait_for("Ctrl-A x")
        vm.send("\x01x")
        assert vm.finish() == 0
        assert termios.tcgetattr(vm.slave) == vm.termios


@needs_kvm
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGSEGV,
                                    signal.SIGTERM])
def test_terminal_is_restored_after_a_signal(tmp_path, number):
    if number == signal.SIGSEGV and "asan" in onggi.ONGGI:
        pytest.skip("the sanitizer takes this signal")
    kernel = guest(tmp_path, onggi.SLEEP)
    with Guest("run", "--kernel", kernel, "--stop-timeout", "0",
               terminal=True) as vm:
        end = time.monotonic() + 20
        while termios.tcgetattr(vm.slave)[3] & termios.ICANON:
            assert time.monotonic() < end
            time.sleep(0.01)
        vm.signal(number)
        assert vm.finish() != 0
        assert termios.tcgetattr(vm.slave) == vm.termios


@needs_kvm
def test_standard_input_that_has_ended_is_no_trouble(tmp_path):
    kernel = guest(tmp_path, onggi.POWER_OFF_42)
    for path in ("/dev/null", kernel):
        with open(path, "rb") as stdin:
            result = subprocess.run(
                [onggi.ONGGI, "run", "--kernel", str(kernel)], stdin=stdin,
                check=False, timeout=60)
        assert result.returncode == 42


@needs_kvm
def test_a_reader_that_goes_away_does_not_end_the_guest(tmp_path):
    kernel = guest(tmp_path, printing(0x18000, onggi.POWER_OFF_42))
    pidfile = tmp_path / "pid"
    with Guest("run", "--kernel", kernel, "--pidfile", pidfile) as vm:
        vm.wait_for("x")
        vm.process.stdout.close()
        assert vm.process.wait(60) == 42
    assert not pidfile.exists()
