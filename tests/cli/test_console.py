"""The console's ends: terminal, pipes, sockets, a pty, files."""

import os
import re
import resource
import signal
import socket
import subprocess
import termios
import time
import tty

import pytest

from common import (ECHO, cpu_share, full_pipe, guest, interrupt, needs_kvm,
                    onggi, printing, refused, wait_for_file, wait_until)
from onggi import Guest, machine, run


@needs_kvm
def test_console_output_goes_to_stdout_and_to_a_file(tmp_path):
    kernel = guest(tmp_path, machine.HELLO)
    assert run("run", "--kernel", kernel).stdout == "ok"
    result = run("run", "--kernel", kernel, "--console",
                 f"file={tmp_path}/out")
    assert result.stdout == ""
    assert (tmp_path / "out").read_text() == "ok"
    assert run("run", "--kernel", kernel, "--console", "none").stdout == ""


@needs_kvm
def test_pty_console_is_named_and_nothing_goes_to_stdout(tmp_path):
    kernel = guest(tmp_path, machine.HELLO)
    result = run("run", "--kernel", kernel, "--console", "pty")
    assert re.fullmatch(r"onggi: console is /dev/pts/\d+\n", result.stderr)
    assert (result.returncode, result.stdout) == (42, "")


@needs_kvm
def test_a_start_that_fails_leaves_the_console_file_as_it_was(tmp_path):
    (tmp_path / "text").write_text("no kernel\n")
    console = tmp_path / "out"
    for content in (None, "of the VM before"):
        if content:
            console.write_text(content)
        refused(run("run", "--kernel", tmp_path / "text", "--console",
                    f"file={console}"), onggi.EXIT_IMAGE, "text")
        assert console.exists() == bool(content)
    assert console.read_text() == content
    run("run", "--kernel", guest(tmp_path, machine.HELLO), "--console",
        f"file={console}")
    assert console.read_text() == "ok"


def is_cooked(vm):
    return bool(termios.tcgetattr(vm.slave)[3] & termios.ICANON)


@needs_kvm
def test_terminal_is_raw_while_running_and_restored_after(tmp_path):
    kernel = guest(tmp_path, machine.SLEEP)
    with Guest("run", "--kernel", kernel, terminal=True) as vm:
        wait_until(lambda: not is_cooked(vm), "raw mode")
        vm.send("\x01h")
        vm.wait_for("Ctrl-A x")
        vm.send("\x01x")
        assert vm.finish() == 0
        assert termios.tcgetattr(vm.slave) == vm.termios


DEADLY = (signal.valid_signals() - set(range(signal.SIGRTMIN + 1,
                                            signal.SIGRTMAX)) -
          {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ,
           # a kick, a look at the disks, the break of a lease
           signal.SIGUSR1, signal.SIGUSR2, signal.SIGIO,
           signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH, signal.SIGCONT,
           signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
SANITIZER_TAKES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE}


@needs_kvm
@pytest.mark.parametrize("number", sorted(DEADLY), ids=str)
def test_terminal_is_restored_after_a_signal(tmp_path, number):
    if number in SANITIZER_TAKES and "asan" in onggi.ONGGI:
        pytest.skip("the sanitizer takes this signal")
    kernel = guest(tmp_path, machine.SLEEP)
    with Guest("run", "--kernel", kernel, "--stop-timeout", "0",
               terminal=True) as vm:
        wait_until(lambda: not is_cooked(vm), "raw mode")
        vm.signal(number)
        assert vm.finish() in (-number, 128 + number)
        assert termios.tcgetattr(vm.slave) == vm.termios


@needs_kvm
def test_terminal_is_lent_out_while_the_process_is_stopped(tmp_path):
    kernel = guest(tmp_path, machine.SLEEP)
    with Guest("run", "--kernel", kernel, terminal=True) as vm:
        for _ in range(2):
            wait_until(lambda: not is_cooked(vm), "raw mode")
            vm.signal(signal.SIGTSTP)
            wait_until(lambda: is_cooked(vm), "cooked mode")
            assert termios.tcgetattr(vm.slave) == vm.termios
            assert os.WIFSTOPPED(
                os.waitpid(vm.process.pid, os.WUNTRACED)[1])
            vm.signal(signal.SIGCONT)
        wait_until(lambda: not is_cooked(vm), "raw mode")
        vm.send("\x01x")
        assert vm.finish(20) == 0
        assert termios.tcgetattr(vm.slave) == vm.termios


@needs_kvm
def test_standard_input_that_has_ended_is_no_trouble(tmp_path):
    kernel = guest(tmp_path, machine.POWER_OFF_42)
    for path in ("/dev/null", kernel):
        with open(path, "rb") as stdin:
            result = subprocess.run(
                [onggi.ONGGI, "run", "--kernel", str(kernel)], stdin=stdin,
                check=False, timeout=60)
        assert result.returncode == 42


@needs_kvm
def test_a_reader_that_goes_away_does_not_end_the_guest(tmp_path):
    kernel = guest(tmp_path, printing(0x6000, machine.POWER_OFF_42))
    pidfile = tmp_path / "pid"
    with Guest("run", "--kernel", kernel, "--pidfile", pidfile) as vm:
        vm.wait_for("x")
        vm.process.stdout.close()
        assert vm.process.wait(60) == 42
        # one line says so, and no more
        assert vm.process.stderr.read().count(b"\n") <= 1
    assert not pidfile.exists()


# --- nobody reads ---

def no_file_may_grow():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@needs_kvm
def test_a_file_that_may_not_grow_is_an_error_and_no_signal(tmp_path):
    kernel = guest(tmp_path, machine.HELLO)
    result = run("run", "--kernel", kernel, "--console",
                 f"file={tmp_path}/out", preexec_fn=no_file_may_grow)
    assert result.returncode == 42
    assert re.fullmatch("onggi: warn: console: write: File too large\n",
                        result.stderr)
    refused(run("run", "--kernel", kernel, "--pidfile", tmp_path / "pid",
                preexec_fn=no_file_may_grow),
            onggi.EXIT_IO, "pidfile", "File too large")
    assert not (tmp_path / "pid").exists()


@needs_kvm
def test_a_socket_that_nobody_reads_blocks_nothing(tmp_path):
    """It must not be waited for under the lock that input needs too."""
    count = 0x2000
    kernel = guest(tmp_path, printing(count, machine.POWER_OFF_42))
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with subprocess.Popen([onggi.ONGGI, "run", "--kernel", str(kernel)],
                          stdin=subprocess.PIPE, stdout=theirs) as vm:
        theirs.close()
        time.sleep(1)
        # the buffers are full, the guest waits, and nobody spins for it
        vm.stdin.write(b"input")
        vm.stdin.flush()
        text = b""
        while data := ours.recv(65536):
            text += data
        assert vm.wait(20) == 42
    assert text == b"x" * count
    ours.close()


@needs_kvm
def test_a_signal_ends_a_guest_that_waits_for_a_socket(tmp_path):
    kernel = guest(tmp_path, printing(0x100000, machine.SLEEP))
    ours, theirs = socket.socketpair()
    with subprocess.Popen([onggi.ONGGI, "run", "--kernel", str(kernel),
                           "--pidfile", str(tmp_path / "pid")],
                          stdin=subprocess.PIPE, stdout=theirs) as vm:
        wait_for_file(tmp_path / "pid")
        time.sleep(1.5)
        vm.stdin.write(b"input")
        vm.stdin.flush()
        time.sleep(0.2)
        assert interrupt(vm, 5) == 128 + signal.SIGINT
    ours.close()
    theirs.close()


@needs_kvm
def test_a_signal_ends_the_wait_for_a_stuck_reader(tmp_path):
    """The guest has powered off; what the reader has not taken is given time,
    but not against the user's will."""
    kernel = guest(tmp_path, machine.HELLO)
    reader, writer = full_pipe()
    with subprocess.Popen([onggi.ONGGI, "run", "--kernel", str(kernel),
                           "--log-level", "info"], stdin=subprocess.DEVNULL,
                          stdout=writer, stderr=subprocess.PIPE) as vm:
        while b"stopping: the guest powered off" not in vm.stderr.readline():
            assert vm.poll() is None
        time.sleep(0.5)
        assert vm.poll() is None
        assert interrupt(vm, 4) == 42
    os.close(reader)
    os.close(writer)


@needs_kvm
def test_who_quits_does_not_wait_for_a_stuck_reader(tmp_path):
    kernel = guest(tmp_path, printing(10, machine.SLEEP))
    reader, writer = full_pipe()
    with subprocess.Popen([onggi.ONGGI, "run", "--kernel", str(kernel),
                           "--pidfile", str(tmp_path / "pid")],
                          stdin=subprocess.DEVNULL, stdout=writer) as vm:
        wait_for_file(tmp_path / "pid")
        time.sleep(0.5)
        assert interrupt(vm, 4) == 128 + signal.SIGINT
    os.close(reader)
    os.close(writer)


# --- nobody listens ---

@needs_kvm
def test_input_the_guest_does_not_take_yet_costs_no_time(tmp_path):
    kernel = guest(tmp_path, machine.SLEEP)
    pidfile = tmp_path / "pid"
    with Guest("run", "--kernel", kernel, "--pidfile", pidfile) as vm:
        vm.send("early\n")
        vm.process.stdin.close()
        wait_for_file(pidfile)
        assert cpu_share(vm.process.pid) < 0.4
        vm.signal(signal.SIGINT)
        vm.finish()


@needs_kvm
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_all_input_reaches_the_guest(tmp_path, kind):
    text = "".join(chr(ord("a") + i % 10) for i in range(1000)) + "q"
    path = tmp_path / "text"
    path.write_text(text)
    with open(path, "rb") as file:
        stdin = {"stdin": file} if kind == "file" else {"input": text.encode()}
        result = subprocess.run(
            [onggi.ONGGI, "run", "--kernel", str(guest(tmp_path, ECHO))],
            capture_output=True, check=False, timeout=60, **stdin)
    assert (result.returncode, result.stdout.decode()) == (42, text)


@needs_kvm
def test_escape_keys_work_when_the_guest_does_not_listen(tmp_path):
    kernel = guest(tmp_path, machine.SLEEP)
    with Guest("run", "--kernel", kernel, terminal=True) as vm:
        wait_until(lambda: not is_cooked(vm), "raw mode")
        for _ in range(20):
            vm.send("is anybody there?\r" * 4)
            time.sleep(0.02)
        vm.send("\x01x")
        assert vm.finish(20) == 0


@needs_kvm
def test_a_terminal_for_output_alone_is_left_as_it_is(tmp_path):
    kernel = guest(tmp_path, machine.HELLO)
    master, slave = os.openpty()
    modes = termios.tcgetattr(slave)
    result = subprocess.run(
        [onggi.ONGGI, "run", "--kernel", str(kernel)], check=False,
        stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, timeout=60)
    assert result.returncode == 42
    assert os.read(master, 100) == b"ok"
    assert termios.tcgetattr(slave) == modes
    os.close(master)
    os.close(slave)


@needs_kvm
def test_a_terminal_that_is_gone_costs_no_time(tmp_path):
    kernel = guest(tmp_path, machine.SLEEP)
    with Guest("run", "--kernel", kernel, terminal=True) as vm:
        wait_until(lambda: not is_cooked(vm), "raw mode")
        os.close(vm.master)
        vm.master = None
        assert cpu_share(vm.process.pid) < 0.4
        vm.signal(signal.SIGINT)
        assert vm.process.wait(20) == 128 + signal.SIGINT


# --- a pty, with and without somebody there ---

def pty_path(vm):
    line = vm.process.stderr.readline().decode()
    return re.search(r"console is (/dev/pts/\d+)\n", line).group(1)


@needs_kvm
def test_a_pty_that_nobody_has_open_costs_no_time(tmp_path):
    kernel = guest(tmp_path, machine.SLEEP)
    with Guest("run", "--kernel", kernel, "--console", "pty") as vm:
        path = pty_path(vm)
        assert cpu_share(vm.process.pid) < 0.4
        os.close(os.open(path, os.O_RDWR | os.O_NOCTTY))  # came and went
        assert cpu_share(vm.process.pid) < 0.4
        vm.signal(signal.SIGINT)
        vm.finish()


@needs_kvm
def test_a_guest_goes_on_when_nobody_has_its_pty_open(tmp_path):
    kernel = guest(tmp_path, printing(0xc000, machine.POWER_OFF_42))
    with Guest("run", "--kernel", kernel, "--console", "pty") as vm:
        pty_path(vm)
        assert vm.finish(30) == 42
        assert vm.process.stderr.read() == b""


@needs_kvm
def test_a_pty_can_be_left_and_opened_again(tmp_path):
    with Guest("run", "--kernel", guest(tmp_path, ECHO), "--console",
               "pty") as vm:
        path = pty_path(vm)
        for text in (b"first", b"second", b"third"):
            fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
            tty.setraw(fd)
            os.write(fd, text)
            answer = b""
            while len(answer) < len(text):
                answer += os.read(fd, 100)
            assert answer == text
            os.close(fd)
            time.sleep(0.2)
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        os.write(fd, b"q")
        assert vm.finish(20) == 42
        os.close(fd)


# --- pipes by name ---

@needs_kvm
def test_a_named_pipe_needs_its_reader(tmp_path):
    kernel = guest(tmp_path, printing(100, machine.POWER_OFF_42))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    args = ("run", "--kernel", kernel, "--console", f"file={fifo}")
    refused(run(*args, timeout=20), onggi.EXIT_IO, str(fifo), "reader")
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    assert run(*args, timeout=20).returncode == 42
    assert os.read(reader, 1000) == b"x" * 100
    os.close(reader)
