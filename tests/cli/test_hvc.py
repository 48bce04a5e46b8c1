"""The virtio console: tiny guests with a driver of a few instructions."""

import fcntl
import os
import re
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

from common import (cpu_share, full_pipe, guest, interrupt, needs_kvm, onggi,
                    refused, wait_for_file, wait_until)
from onggi import Guest, machine, run

# Where the first device stands, without an entropy device before it; two
# queues of one entry each; and a buffer.
DEVICE = 0xd0000000
NOTIFY, CONFIG = DEVICE + 0x50, DEVICE + 0x100
RX, TX = 0x200000, 0x201000
AVAIL, USED = 0x100, 0x180
BUFFER = 0x210000


def word(value):
    return struct.pack("<I", value & 0xffffffff)


def store(address, value):
    """mov dword [address], value"""
    return b"\xc7\x05" + word(address) + word(value)


def start(address=BUFFER, size=64):
    """The driver's set-up, with SIZE; the buffer holds x's and may be received
    into."""
    code = b"".join(
        store(DEVICE + at, value)
        for at, value in ((0x70, 0), (0x70, 3), (0x24, 1), (0x20, 1),
                          (0x24, 0), (0x20, 1), (0x70, 11)))
    for number, queue in enumerate((RX, TX)):
        code += store(queue, address) + store(queue + 8, size)
        code += store(queue + 12, 0 if number else 2)
        code += b"".join(
            store(DEVICE + at, value)
            for at, value in ((0x30, number), (0x38, 1), (0x80, queue),
                              (0x90, queue + AVAIL), (0xa0, queue + USED),
                              (0x44, 1)))
    # mov edi, address; mov ecx, size; mov al, 'x'; rep stosb
    fill = (b"\xbf" + word(address) + b"\xb9" + word(size) + b"\xb0x\xf3\xaa")
    return code + fill + store(DEVICE + 0x70, 15)


def offer(queue, number):
    """inc word [avail.idx]; kick"""
    return (b"\x66\xff\x05" + word(queue + AVAIL + 2) + store(NOTIFY, number))


def give(queue, number):
    """Offers the buffer, and waits as Linux does until it is used: mov ax,
    [avail.idx]; cmp ax, [used.idx]; jne back"""
    return (offer(queue, number) + b"\x66\xa1" + word(queue + AVAIL + 2) +
            b"\x66\x3b\x05" + word(queue + USED + 2) + b"\x75\xf1")


def printing(count, then):
    """Prints the buffer count times: mov ecx, count; print; dec ecx; jnz
    print"""
    once = give(TX, 1) + b"\x49"
    return (b"\xb9" + word(count) + once + b"\x0f\x85" +
            word(-len(once) - 6) + then)


HELLO = start(size=3) + give(TX, 1) + machine.POWER_OFF_42

# Reads the size, as who waits for input does; then gives back what it gets
# until that begins with a 'q': mov eax, [CONFIG]; again: receive; mov eax,
# [length]; mov [TX length], eax; print; cmp byte [BUFFER], 'q'; jne again
RETURN = (give(RX, 0) + b"\xa1" + word(RX + USED + 8) + b"\xa3" +
          word(TX + 8) + give(TX, 1) + b"\x80\x3d" + word(BUFFER) + b"q")
ECHO = (start() + b"\xa1" + word(CONFIG) + RETURN + b"\x0f\x85" +
        word(-len(RETURN) - 6) + machine.POWER_OFF_42)

# Prints the first four bytes of configuration space whenever they change:
# again: mov eax, [CONFIG]; cmp eax, [BUFFER]; je again; mov [BUFFER], eax;
# print; jmp again
SIZES = b"\xa1" + word(CONFIG) + b"\x3b\x05" + word(BUFFER) + b"\x74\xf3"
SIZES += b"\xa3" + word(BUFFER) + give(TX, 1)
SIZES = start(size=4) + SIZES + b"\xe9" + word(-len(SIZES) - 5)


def arguments(kernel, *args, console="stdio"):
    return ("run", "--kernel", kernel, "--no-rng", "--hvc", console, *args)


# --- output ---

@needs_kvm
def test_output_goes_to_stdout_and_to_a_file(tmp_path):
    kernel = guest(tmp_path, HELLO)
    result = run(*arguments(kernel))
    assert (result.returncode, result.stdout, result.stderr) == (42, "xxx", "")
    result = run(*arguments(kernel, console=f"file={tmp_path}/out"))
    assert (result.returncode, result.stdout) == (42, "")
    assert (tmp_path / "out").read_text() == "xxx"


@needs_kvm
def test_serial_port_and_virtio_console_are_apart(tmp_path):
    """The serial port is silent unless it is asked for."""
    kernel = guest(tmp_path, HELLO.replace(machine.POWER_OFF_42,
                                           machine.HELLO))
    assert run(*arguments(kernel)).stdout == "xxx"
    for serial, hvc in (("stdio", f"file={tmp_path}/out"),
                        (f"file={tmp_path}/out", "stdio")):
        result = run(*arguments(kernel, "--console", serial, console=hvc))
        outputs = {result.stdout, (tmp_path / "out").read_text()}
        assert outputs == {"ok", "xxx"}, serial


@needs_kvm
def test_two_ptys_have_their_names(tmp_path):
    kernel = guest(tmp_path, HELLO)
    result = run(*arguments(kernel, "--console", "pty", console="pty"))
    assert re.fullmatch(r"onggi: console is /dev/pts/\d+\n"
                        r"onggi: hvc is /dev/pts/\d+\n", result.stderr)
    assert (result.returncode, result.stdout) == (42, "")


@needs_kvm
def test_a_file_is_not_shared_with_the_serial_port(tmp_path):
    kernel = guest(tmp_path, HELLO)
    path = tmp_path / "out"
    (tmp_path / "link").symlink_to(path)
    refused(run(*arguments(kernel, "--console", f"file={path}",
                           console=f"file={tmp_path}/link")),
            onggi.EXIT_USAGE, "hvc", "link", "the console of this VM")
    assert not path.exists()
    result = run(*arguments(kernel, "--console", "file=/dev/null",
                            console="file=/dev/null"))
    assert result.returncode == 42


@needs_kvm
def test_characters_come_without_a_driver(tmp_path):
    code = b"".join(store(CONFIG + 8, ord(c)) for c in "early")
    result = run(*arguments(guest(tmp_path, code + machine.POWER_OFF_42)))
    assert (result.returncode, result.stdout) == (42, "early")


@needs_kvm
def test_a_large_buffer_comes_whole(tmp_path):
    size = 3 << 20
    kernel = guest(tmp_path, start(size=size) + give(TX, 1) +
                   machine.POWER_OFF_42)
    assert run(*arguments(kernel)).stdout == "x" * size


@needs_kvm
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_reader_that_pauses_loses_nothing(tmp_path, kind):
    kernel = guest(tmp_path, start() + printing(0x4000, machine.POWER_OFF_42))
    ours, theirs = (os.pipe() if kind == "pipe" else
                    (end.detach() for end in socket.socketpair()))
    with subprocess.Popen([onggi.ONGGI, *map(str, arguments(kernel))],
                          stdin=subprocess.PIPE, stdout=theirs) as vm:
        os.close(theirs)
        time.sleep(1)
        assert vm.poll() is None
        vm.stdin.write(b"input that nobody takes")
        vm.stdin.flush()
        count = 0
        while data := os.read(ours, 65536):
            assert data == b"x" * len(data)
            count += len(data)
        assert vm.wait(20) == 42
    os.close(ours)
    assert count == 64 * 0x4000


@needs_kvm
def test_a_reader_that_goes_away_does_not_end_the_guest(tmp_path):
    kernel = guest(tmp_path, start() + printing(0x4000, machine.POWER_OFF_42))
    with Guest(*arguments(kernel)) as vm:
        vm.wait_for("x")
        vm.process.stdout.close()
        assert vm.process.wait(60) == 42
        assert re.fullmatch("onggi: warn: hvc: write: Broken pipe\n",
                            vm.process.stderr.read().decode())


# --- nobody reads, and the guest waits ---

WAITING = start() + printing(10, machine.SLEEP)


@needs_kvm
@pytest.mark.parametrize("number, status, args", [
    (signal.SIGINT, 130, ()), (signal.SIGHUP, 129, ()),
    (signal.SIGTERM, 143, ("--stop-timeout", 1)),
    (signal.SIGTERM, 143, ("--tables", "mptable"))])
def test_a_signal_ends_a_guest_that_waits(tmp_path, number, status, args):
    reader, writer = full_pipe()
    with subprocess.Popen(
            [onggi.ONGGI, *map(str, arguments(
                guest(tmp_path, WAITING), "--pidfile", tmp_path / "pid",
                *args))], stdin=subprocess.DEVNULL, stdout=writer) as vm:
        wait_for_file(tmp_path / "pid")
        time.sleep(0.5)
        assert vm.poll() is None
        assert interrupt(vm, 6, number) == status
    os.close(reader)
    os.close(writer)


@needs_kvm
def test_keys_end_a_guest_that_waits(tmp_path):
    reader, writer = full_pipe()
    master, slave = os.openpty()
    with subprocess.Popen(
            [onggi.ONGGI, *map(str, arguments(
                guest(tmp_path, WAITING), "--pidfile", tmp_path / "pid"))],
            stdin=slave, stdout=writer) as vm:
        wait_for_file(tmp_path / "pid")
        time.sleep(0.5)
        os.write(master, b"is anybody there?\r\x01x")
        try:
            assert vm.wait(6) == 0
        finally:
            vm.kill()
    for fd in (reader, writer, master, slave):
        os.close(fd)


@needs_kvm
def test_what_is_left_at_the_end_is_given_time(tmp_path):
    """The guest powers off while its last buffer waits for a reader."""
    kernel = guest(tmp_path, start(size=0x10000) + offer(TX, 1) +
                   machine.POWER_OFF_42)
    reader, writer = full_pipe()
    with subprocess.Popen(
            [onggi.ONGGI, *map(str, arguments(kernel, "--log-level",
                                              "info"))],
            stdin=subprocess.DEVNULL, stdout=writer,
            stderr=subprocess.PIPE) as vm:
        os.close(writer)
        while b"stopping: the guest powered off" not in vm.stderr.readline():
            assert vm.poll() is None
        time.sleep(0.5)
        assert vm.poll() is None
        text = b""
        while data := os.read(reader, 65536):
            text += data
        assert vm.wait(20) == 42
    assert text.lstrip(b".") == b"x" * 0x10000
    os.close(reader)


@needs_kvm
def test_the_end_does_not_wait_for_ever_for_what_is_left(tmp_path):
    """A guest can leave any amount, for a reader that is slow."""
    size = 1 << 20
    kernel = guest(tmp_path, start(size=size) + offer(TX, 1) +
                   machine.POWER_OFF_42)
    reader, writer = full_pipe()
    with subprocess.Popen(
            [onggi.ONGGI, *map(str, arguments(kernel))],
            stdin=subprocess.DEVNULL, stdout=writer) as vm:
        count = 0
        while vm.poll() is None:
            count += len(os.read(reader, 4096))
            time.sleep(0.1)
        assert vm.returncode == 42
        assert count < size
    os.close(reader)
    os.close(writer)


# --- input ---

@needs_kvm
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_all_input_reaches_the_guest(tmp_path, kind):
    """The q is in the last bytes, which come at the head of a buffer."""
    text = "".join(chr(ord("a") + i % 10) for i in range(64 * 512)) + "q"
    path = tmp_path / "text"
    path.write_text(text)
    kernel = guest(tmp_path, ECHO)
    with open(path, "rb") as file:
        stdin = {"stdin": file} if kind == "file" else {"input": text.encode()}
        result = subprocess.run(
            [onggi.ONGGI, *map(str, arguments(kernel))], capture_output=True,
            check=False, timeout=60, **stdin)
    assert (result.returncode, result.stdout.decode()) == (42, text)


@needs_kvm
def test_input_the_guest_does_not_take_yet_costs_no_time(tmp_path):
    with Guest(*arguments(guest(tmp_path, start() + machine.SLEEP),
                          "--pidfile", tmp_path / "pid")) as vm:
        vm.send("early\n")
        vm.process.stdin.close()
        wait_for_file(tmp_path / "pid")
        assert cpu_share(vm.process.pid) < 0.4
        vm.signal(signal.SIGINT)
        vm.finish()


@needs_kvm
def test_a_pty_can_be_left_and_opened_again(tmp_path):
    with Guest(*arguments(guest(tmp_path, ECHO), console="pty")) as vm:
        path = re.search(r"hvc is (/dev/pts/\d+)\n",
                         vm.process.stderr.readline().decode())[1]
        for text in (b"first", b"second", b"third"):
            fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
            os.write(fd, text)
            answer = b""
            while len(answer) < len(text):
                answer += os.read(fd, 100)
            assert answer == text
            os.close(fd)
            time.sleep(0.2)
        # with its end, what it has answered is gone
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        os.write(fd, b"q")
        assert vm.finish(20) == 42
        os.close(fd)


# --- the terminal's size ---

def set_size(vm, columns, rows):
    fcntl.ioctl(vm.master, termios.TIOCSWINSZ,
                struct.pack("<4H", rows, columns, 0, 0))


def shown(columns, rows):
    return struct.pack("<2H", columns, rows).decode("latin-1")


@needs_kvm
def test_the_guest_learns_the_size_of_a_terminal(tmp_path):
    """At the start, when it changes, and after others had the terminal."""
    with Guest(*arguments(guest(tmp_path, SIZES)), terminal=True) as vm:
        # before the process asks, or with a signal that it has not blocked yet
        set_size(vm, 100, 40)
        wait_until(lambda: not termios.tcgetattr(vm.slave)[3] &
                   termios.ICANON, "raw mode")
        vm.signal(signal.SIGWINCH)
        vm.wait_for(shown(100, 40))
        set_size(vm, 66, 55)
        vm.signal(signal.SIGWINCH)
        vm.wait_for(shown(66, 55))
        vm.signal(signal.SIGTSTP)
        os.waitpid(vm.process.pid, os.WUNTRACED)
        set_size(vm, 77, 33)
        vm.signal(signal.SIGCONT)
        vm.wait_for(shown(77, 33))
        vm.send("\x01x")
        assert vm.finish(20) == 0
        assert termios.tcgetattr(vm.slave) == vm.termios
