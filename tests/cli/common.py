"""What the tests of the program share: tiny guests, and ways to judge."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import onggi  # noqa: E402
from onggi import machine  # noqa: E402

needs_kvm = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                               reason="no /dev/kvm")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="not root")


def guest(tmp_path, code):
    return machine.tiny_guest(tmp_path / "guest.elf", code)


def run_tool(*command, cwd=onggi.ROOT):
    """Runs a program of this tree, unaware of the make that runs the tests."""
    env = {name: value for name, value in os.environ.items()
           if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return subprocess.run(command, cwd=cwd, env=env, check=False, timeout=600,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)


def refused(result, status, *words):
    """One clear line on stderr, the right status, nothing on stdout."""
    assert result.returncode == status, result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("onggi: error: ")
    for word in words:
        assert word in lines[0]
    assert result.stdout == ""


def wait_until(true, what, timeout=20):
    end = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.01)


def wait_for_file(path, timeout=20):
    path = Path(path)
    wait_until(lambda: path.exists() and path.read_text(), path, timeout)
    return path.read_text()


def cpu_seconds(pid):
    """The processor time, user and system, that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_share(pid, seconds=1.0):
    """Which part of the next second the process keeps a processor busy."""
    before = cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / seconds


def interrupt(vm, timeout, number=signal.SIGINT):
    """The exit status after a signal; a VM that does not end is killed."""
    vm.send_signal(number)
    try:
        return vm.wait(timeout)
    finally:
        vm.kill()


def full_pipe():
    """A pipe with no room left: read end, write end."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"." * 65536)
    except BlockingIOError:
        os.set_blocking(writer, True)
    return reader, writer


def outb(port, value):
    """mov dx, port; mov al, value; out dx, al"""
    return b"\x66\xba" + port.to_bytes(2, "little") + bytes([0xb0, value, 0xee])


def printing(count, then):
    """Code that sends count times 'x' to the serial port, waiting for room
    each time, and goes on with then."""
    # mov ecx, count; wait: mov dx, 0x3fd; in al, dx; test al, 0x20; jz wait;
    # dec ecx; jnz wait
    return (b"\xb9" + count.to_bytes(4, "little") +
            b"\x66\xba\xfd\x03\xec\xa8\x20\x74\xf7" +
            outb(0x3f8, ord("x")) + b"\x49\x75\xed" + then)


# Switches FIFO, OUT2 and receive interrupts on, and returns what it gets until
# that is a 'q'; then powers off with 42.
# wait: mov dx, 0x3fd; in al, dx; test al, 1; jz wait; mov dx, 0x3f8; in al, dx;
# out dx, al; cmp al, 'q'; jne wait
ECHO = (outb(0x3fa, 1) + outb(0x3fc, 8) + outb(0x3f9, 1) +
        b"\x66\xba\xfd\x03\xec\xa8\x01\x74\xf7"
        b"\x66\xba\xf8\x03\xec\xee\x3cq\x75\xed" + machine.POWER_OFF_42)
