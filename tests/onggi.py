"""Runs the onggi program for the tests, and makes tiny guests for it."""

import base64
import contextlib
import importlib
import os
import platform
import pty
import select
import shutil
import signal
import subprocess
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ONGGI = os.environ.get("ONGGI", str(ROOT / "build" / "onggi"))

ARCH = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
# What differs: kernels, tiny guests, what a guest finds.
machine = importlib.import_module(f"machine_{ARCH}")

def images_dir():
    """Where guest-images/build leaves its images."""
    if os.environ.get("ONGGI_CACHE"):
        cache = Path(os.environ["ONGGI_CACHE"])
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or
                     Path.home() / ".cache") / "onggi"
    return cache / "images" / machine.IMAGES


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
    result = subprocess.run(
        command(args, sh), timeout=timeout, text=True,
        errors="replace", input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **kwargs)
    if result.returncode:
        print(result.stdout)  # the report of a failed test shows it whole
    return result


@contextlib.contextmanager
def for_everybody(*paths, mode=0o666):
    """Lets every user read and write paths for a while."""
    with contextlib.ExitStack() as stack:
        for path in paths:
            stack.callback(os.chmod, path, os.stat(path).st_mode & 0o7777)
            os.chmod(path, mode)
        yield


def has_virtiofsd():
    return shutil.which("virtiofsd") or any(map(os.path.exists, (
        "/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd")))


def threads_of(process):
    """The names of its threads; that of a vCPU has one once it runs."""
    return {Path(task, "comm").read_text(encoding="utf-8").strip()
            for task in Path(f"/proc/{process.pid}/task").iterdir()}


class Guest:
    """A running onggi, whose console output can be waited for."""

    def __init__(self, *args, sh=None, terminal=False, stderr_to=None,
                 **kwargs):
        self.text = ""
        self.slave = None
        if terminal:
            self.master, self.slave = pty.openpty()
            self.termios = termios.tcgetattr(self.slave)
            stdio = {"stdin": self.slave, "stdout": self.slave}
        else:
            self.master = None
            stdio = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with open(stderr_to or os.devnull, "wb") as file:
            self.process = subprocess.Popen(
                command(args, sh), **stdio, **kwargs,
                stderr=file if stderr_to else subprocess.PIPE)
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
