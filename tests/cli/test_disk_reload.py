"""SIGUSR2: disks of another size, and other files in their places."""

import contextlib
import fcntl
import os
import signal
import struct
from pathlib import Path

import pytest
from common import guest, machine, needs_kvm, wait_for_file, wait_until
from onggi import Guest

pytestmark = needs_kvm

MIB = 1 << 20


def image(path, size=MIB):
    path.write_bytes(b"")
    os.truncate(path, size)
    return path


@pytest.fixture(name="disk")
def one_disk(tmp_path):
    return image(tmp_path / "disk")


class Sleeper(Guest):
    """A guest that does nothing, on the disks given; says what it logs."""

    def __init__(self, tmp_path, *disks, code=machine.SLEEP, level="info",
                 options=()):
        self.log = tmp_path / "log"
        options = [*options,
                   *(word for disk in disks for word in ("--disk", disk))]
        super().__init__("run", "--kernel", guest(tmp_path, code),
                         "--pidfile", tmp_path / "pid", "--log-level", level,
                         "--console", "none", *options,
                         stderr_to=self.log)
        wait_for_file(tmp_path / "pid")

    def said(self, text):
        return self.log.read_text().count(text)

    def reload(self, text, times=1):
        """Sends the signal, and waits until the text has come so often."""
        self.signal(signal.SIGUSR2)
        self.expect(text, times)

    def expect(self, text, times=1):
        wait_until(lambda: self.said(text) >= times or self.process.poll()
                   is not None, f"{text!r}, but {self.log.read_text()!r}")
        assert self.said(text) == times, self.log.read_text()

    def stop(self):
        self.signal(signal.SIGINT)
        assert self.finish() == 128 + signal.SIGINT, self.log.read_text()


def is_locked(path):
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
    with open(path, "r+b") as file:
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
        except BlockingIOError:
            return True
    return False


def test_a_new_size_is_taken(tmp_path, disk):
    with Sleeper(tmp_path, disk, f"{image(tmp_path / 'b')},readonly") as vm:
        os.truncate(disk, 3 * MIB)
        vm.reload(f"disk0: disk {disk}: new size {3 * MIB} bytes")
        os.truncate(disk, 4096 + 100)
        os.truncate(tmp_path / "b", 0)
        vm.reload(f"disk0: disk {disk}: new size 4096 bytes")
        vm.expect("b: new size 0 bytes")
        assert vm.said("the last 100 bytes are not a whole block") == 1
        # nothing new is nothing to tell
        vm.signal(signal.SIGUSR2)
        vm.signal(signal.SIGUSR2)
        vm.stop()
        assert vm.said("4096 bytes") == 1


def test_another_file_takes_the_place_of_the_first(tmp_path, disk):
    with Sleeper(tmp_path, disk) as vm:
        for i in range(1, 4):
            old = tmp_path / f"old{i}"
            os.rename(disk, old)
            image(disk, i * MIB)
            assert is_locked(old) and not is_locked(disk)
            vm.reload(f"disk0: disk {disk}: new file", i)
            assert is_locked(disk)
            wait_until(lambda old=old: not is_locked(old), "the old's lock")
        vm.stop()
        assert not is_locked(disk)


def test_what_cannot_be_had_leaves_the_disk_as_it_is(tmp_path, disk):
    old = tmp_path / "old"
    with Sleeper(tmp_path, disk, level="warn") as vm:
        os.rename(disk, old)
        vm.reload(f"onggi: warn: disk0: disk {disk}: No such file or "
                  "directory; the disk stays as it was\n")
        disk.mkdir()
        vm.reload("disk: is a directory; the disk stays as it was\n")
        disk.rmdir()
        os.mkfifo(disk)
        vm.reload("neither a file nor a block device; the disk stays as it "
                  "was\n")
        disk.unlink()
        disk.symlink_to("/dev/null")
        vm.reload("neither a file nor a block device; the disk stays as it "
                  "was\n",
                  2)
        disk.unlink()
        (tmp_path / "other").mkdir()
        with Sleeper(tmp_path / "other", image(disk)):
            vm.reload("disk: locked by another process; the disk stays as it "
                      "was\n")
        assert is_locked(old)
        vm.stop()
        assert vm.log.read_text().count("\n") == 5


def test_files_of_this_vm_are_no_new_disks(tmp_path, disk):
    second = image(tmp_path / "second")
    with Sleeper(tmp_path, disk, second, level="warn") as vm:
        os.rename(disk, tmp_path / "old")
        os.link(second, disk)
        vm.reload(f"disk0: disk {disk}: is disk1 already; both must be "
                  "readonly to share it; the disk stays as it was\n")
        # both become the same new file
        disk.unlink()
        second.unlink()
        image(disk)
        os.link(disk, second)
        vm.reload(f"disk1: disk {second}: is disk0 already; both must be "
                  "readonly to share it; the disk stays as it was\n")
        wait_until(lambda: not is_locked(tmp_path / "old"), "the old's lock")
        vm.stop()


def test_the_file_of_a_console_is_no_new_disk(tmp_path, disk):
    console = tmp_path / "hvc"
    with Sleeper(tmp_path, disk, level="warn",
                 options=("--hvc", f"file={console}")) as vm:
        disk.unlink()
        os.link(console, disk)
        vm.reload(f"disk0: disk {disk}: is the console of this VM; the disk "
                  "stays as it was\n")
        vm.stop()


def test_readonly_disks_may_share_their_new_file(tmp_path, disk):
    second = image(tmp_path / "second")
    with Sleeper(tmp_path, f"{disk},readonly", f"{second},readonly") as vm:
        disk.unlink()
        second.unlink()
        image(disk)
        os.link(disk, second)
        vm.reload("new file", 2)
        vm.stop()


def test_nothing_is_left_open_by_many_exchanges(tmp_path, disk):
    def descriptors():
        return len(os.listdir(f"/proc/{vm.process.pid}/fd"))

    def helpers():
        """Threads that look at a disk or close one. The thread of a disk's
        engine, and io_uring's own, stay as long as the disk."""
        count = 0
        for name in Path(f"/proc/{vm.process.pid}/task").glob("*/comm"):
            with contextlib.suppress(OSError):  # it has ended
                count += name.read_text().startswith("disk ")
        return count

    with Sleeper(tmp_path, disk) as vm:
        for i in range(20):
            image(tmp_path / "new")
            os.rename(tmp_path / "new", disk)
            # more of them than can be told apart
            for _ in range(i % 4):
                vm.signal(signal.SIGUSR2)
            vm.reload("new file", i + 1)
            if i == 0:
                wait_until(lambda: not helpers(), "the end of helpers")
                before = descriptors()
        wait_until(lambda: not helpers() and descriptors() == before,
                   "descriptors as before")
        vm.stop()
        assert vm.said("it stays") == 0


def test_a_guest_that_reboots_all_the_time_gets_its_new_disk(tmp_path, disk):
    with Sleeper(tmp_path, disk, code=machine.NULL_GUEST) as vm:
        for i in range(1, 6):
            os.rename(disk, tmp_path / "old")
            image(disk)
            vm.reload("new file", i)
            wait_until(lambda: not is_locked(tmp_path / "old"), "its lock")
            assert is_locked(disk)
        vm.stop()
