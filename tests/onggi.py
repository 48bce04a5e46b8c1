"""Runs the onggi program for the tests, and makes tiny guests for it."""

import base64
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ONGGI = os.environ.get("ONGGI", str(ROOT / "build" / "onggi"))



def images_dir():
    """Where guest-images/build leaves its images."""
    if os.environ.get("ONGGI_CACHE"):
        return Path(os.environ["ONGGI_CACHE"]) / "images"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "onggi" / "images"


EXIT_USAGE, EXIT_IMAGE, EXIT_KVM = 64, 65, 69
EXIT_KVM_INTERNAL, EXIT_IO = 70, 74
EXIT_PANIC, EXIT_TRIPLE_FAULT = 80, 81


def command(args, sh):
    """The whole command line; sh is a script for the guest's init to run. In
    base64, since a kernel command line carries neither line breaks nor
    double quotes."""
    line = [ONGGI, *map(str, args)]
    if sh is not None:
        line += ["--", "--sh64=" + base64.b64encode(sh.encode()).decode()]
    return line


def run(*args, sh=None, timeout=120, stdin=None, **kwargs):
    """Runs `onggi ARGS` to its end; stdout and stderr as text."""
    return subprocess.run(
        command(args, sh), timeout=timeout, text=True,
        errors="replace", input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **kwargs)


class Guest:
    """A running onggi, whose console output can be waited for."""

    def __init__(self, *args, sh=None, terminal=False, **kwargs):
        self.text = ""
        self.slave = None
        if terminal:
            self.master, self.slave = pty.openpty()
            self.termios = termios.tcgetattr(self.slave)
            stdio = {"stdin": self.slave, "stdout": self.slave}
        else:
            self.master = None
            stdio = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(
            command(args, sh), stderr=subprocess.PIPE, **stdio, **kwargs)
        self.out = self.master if terminal else self.process.stdout.fileno()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout,
                       self.process.stderr):
            if stream:
                stream.close()
        for fd in (self.master, self.slave):
            if fd is not None:
                os.close(fd)

    def wait_for(self, text, timeout=120):
        """Reads the console until text has come; fails when it does not."""
        end = time.monotonic() + timeout
        while text not in self.text:
            left = end - time.monotonic()
            ready = select.select([self.out], [], [], max(left, 0))[0]
            data = os.read(self.out, 65536) if ready else b""
            if not data:
                error = ""
                if self.process.poll() is not None:
                    error = self.process.stderr.read().decode()
                raise AssertionError(
                    f"{text!r} did not come; console: {self.text[-3000:]!r}"
                    f" stderr: {error!r}")
            self.text += data.decode(errors="replace")
        return self.text

    def send(self, text):
        fd = self.master
        if fd is None:
            fd = self.process.stdin.fileno()
        os.write(fd, text.encode())

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def finish(self, timeout=120):
        """The exit status; what is left of the console goes into text."""
        end = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < end:
            if select.select([self.out], [], [], 0.1)[0]:
                try:
                    data = os.read(self.out, 65536)
                except OSError:
                    data = b""
                self.text += data.decode(errors="replace")
                if not data:
                    break
        return self.process.wait(max(end - time.monotonic(), 1))


def pvh_guest(path, code):
    """Writes an ELF that enters 32-bit code at 1 MiB by its PVH note."""
    entry, offset = 0x100000, 0x1000
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", entry)
    header = struct.pack("<4s5B7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, 2,
                         62, 1, entry, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, offset, entry, entry, len(code),
                       len(code), 0x1000)
    notes = struct.pack("<IIQQQQQQ", 4, 4, 64 + 2 * 56, 0, 0, len(note),
                        len(note), 4)
    image = header + load + notes + note
    Path(path).write_bytes(image.ljust(offset, b"\0") + code)
    return path


# mov al, 0xfe; out 0x64, al; hlt: the keyboard controller's reset
NULL_GUEST = b"\xb0\xfe\xe6\x64\xf4"
# lidt with a limit of 0; ud2: nobody to take the exception
TRIPLE_FAULT = b"\x0f\x01\x1d\x00\x10\x10\x00\x0f\x0b"
# jmp to 0xd1000000, where there is no memory to fetch from
RUN_FROM_NOWHERE = b"\xb8\x00\x00\x00\xd1\xff\xe0"
# mov dx, 0x605; mov al, 42; out; mov dx, 0x600; mov al, 0x34; out: power-off
# with an exit code
POWER_OFF_42 = (b"\x66\xba\x05\x06\xb0\x2a\xee"
                b"\x66\xba\x00\x06\xb0\x34\xee\xf4")
# cli; hlt; jmp back: sits there for good
SLEEP = b"\xfa\xf4\xeb\xfc"
# mov dx, 0x3f8; mov al, 'o'; out; mov al, 'k'; out, then as POWER_OFF_42
HELLO = b"\x66\xba\xf8\x03\xb0\x6f\xee\xb0\x6b\xee" + POWER_OFF_42
