"""How a VM ends: exit statuses of tiny guests, signals, pidfile, timeline."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from common import (guest, needs_kvm, onggi, printing, refused,
                    wait_for_file, wait_until)
from onggi import Guest, machine, run


@pytest.fixture(name="kernel")
def null_kernel(tmp_path):
    return machine.tiny_guest(tmp_path / "null.elf", machine.NULL_GUEST)


@needs_kvm
def test_the_guest_hands_over_its_exit_code(tmp_path):
    result = run("run", "--kernel", guest(tmp_path, machine.POWER_OFF_42))
    assert (result.returncode, result.stderr) == (42, "")


@needs_kvm
def test_no_reboot_ends_with_zero(kernel):
    result = run("run", "--kernel", kernel, "--no-reboot")
    assert (result.returncode, result.stderr) == (0, "")


@needs_kvm
def test_a_reboot_starts_the_guest_again(tmp_path, kernel):
    with Guest("run", "--kernel", kernel, "--pidfile", tmp_path / "pid",
               "--log-level", "info") as vm:
        boots = 0
        while boots < 3:
            boots += b"keyboard controller" in vm.process.stderr.readline()
        vm.signal(signal.SIGINT)
        assert vm.finish() == 128 + signal.SIGINT


@needs_kvm
def test_a_triple_fault_has_its_own_status(tmp_path):
    refused(run("run", "--kernel", guest(tmp_path, machine.TRIPLE_FAULT)),
            onggi.EXIT_TRIPLE_FAULT, "triple fault", "RIP 0x10000")


@needs_kvm
def test_a_kvm_internal_error_says_where(tmp_path):
    refused(run("run", "--kernel", guest(tmp_path, machine.RUN_FROM_NOWHERE)),
            onggi.EXIT_KVM_INTERNAL, "KVM internal error", "RIP 0xd1000000",
            "bytes")


@needs_kvm
def test_pidfile_exists_only_while_the_vm_does(tmp_path):
    pidfile = tmp_path / "pid"
    with Guest("run", "--kernel", guest(tmp_path, machine.SLEEP), "--pidfile",
               pidfile) as vm:
        assert int(wait_for_file(pidfile)) == vm.process.pid
        vm.signal(signal.SIGINT)
        assert vm.finish() == 128 + signal.SIGINT
    assert not pidfile.exists()


@needs_kvm
def test_a_pidfile_belongs_to_one_vm_at_a_time(tmp_path, kernel):
    pidfile = tmp_path / "pid"
    console = tmp_path / "console"
    args = ("--pidfile", pidfile, "--console", f"file={console}")
    talking = guest(tmp_path, printing(1, machine.SLEEP))
    with Guest("run", "--kernel", talking, *args) as vm:
        wait_for_file(console)  # it is the guest's own by then
        pid = wait_for_file(pidfile)
        console.write_text("the first one's")
        refused(run("run", "--kernel", kernel, "--no-reboot", *args),
                onggi.EXIT_IO, str(pidfile), "another running VM")
        assert pidfile.read_text() == pid
        assert console.read_text() == "the first one's"
        vm.process.kill()
        vm.process.wait()
    # left behind by the kill, longer than the new one, and no obstacle
    pidfile.write_text("1234567890\n" * 3)
    with Guest("run", "--kernel", guest(tmp_path, machine.SLEEP), *args) as vm:
        wait_until(lambda: pidfile.read_text() == f"{vm.process.pid}\n", pid)
        vm.signal(signal.SIGINT)
        vm.finish()
    assert not pidfile.exists()


@needs_kvm
def test_a_pidfile_that_is_no_file_is_refused(tmp_path, kernel):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    refused(run("run", "--kernel", kernel, "--pidfile", path, "--no-reboot",
                timeout=20), onggi.EXIT_IO, str(path), "regular file")
    assert path.exists()


@needs_kvm
@pytest.mark.parametrize("content", ["# my notes\n", "1234\nand more\n",
                                     "1" * 60 + "x", "\0"])
def test_a_pidfile_that_holds_something_else_is_refused(tmp_path, kernel,
                                                        content):
    path = tmp_path / "notes"
    console = tmp_path / "console"
    path.write_text(content)
    console.write_text("of the VM before")
    refused(run("run", "--kernel", kernel, "--pidfile", path, "--no-reboot",
                "--console", f"file={console}"),
            onggi.EXIT_IO, str(path), "process id")
    assert path.read_text() == content
    assert console.read_text() == "of the VM before"


@needs_kvm
def test_a_signal_ends_a_vm_whose_stderr_nobody_reads(tmp_path):
    """Its pipe is full, and there is a line to be written for each stage."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    pid = tmp_path / "pid"
    with subprocess.Popen(
            [onggi.ONGGI, "run", "--kernel", guest(tmp_path, machine.SLEEP),
             "--log-level", "debug", "--pidfile", pid],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=writer) as vm:
        try:
            wait_for_file(pid)
            vm.send_signal(signal.SIGINT)
            assert vm.wait(20) == 128 + signal.SIGINT
        finally:
            vm.kill()
    os.close(reader)
    os.close(writer)


def kernel_pages(pid, kernel):
    """Where the memory of a VM shows pages of its kernel's file, if it does."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return re.search(rf"^(\w+)-(\w+) rw-p .* {re.escape(str(kernel))}$", maps,
                     re.M)


@needs_kvm
def test_a_kernel_file_may_be_overwritten_while_its_guest_runs(tmp_path):
    """Guests show its pages; whoever writes to it waits until they have their
    own, and no longer."""
    kernel = guest(tmp_path, machine.SLEEP + os.urandom(3 << 20))
    with Guest("run", "--kernel", kernel) as vm:
        pid = vm.process.pid
        wait_until(lambda: kernel_pages(pid, kernel), kernel)
        start, end = (int(n, 16) for n in kernel_pages(pid, kernel).groups())
        assert end - start >= 3 << 20
        content = kernel.read_bytes()
        begin = time.monotonic()
        with open(kernel, "wb") as file:
            assert time.monotonic() - begin < 20
            file.write(b"something else")
        assert not kernel_pages(pid, kernel)
        with open(f"/proc/{pid}/mem", "rb") as memory:
            memory.seek(start)
            assert memory.read(end - start) in content
        vm.signal(signal.SIGINT)
        assert vm.finish() == 128 + signal.SIGINT


@needs_kvm
def test_only_the_own_pidfile_is_removed(tmp_path):
    path = tmp_path / "pid"
    with Guest("run", "--kernel", guest(tmp_path, machine.SLEEP), "--pidfile",
               path) as vm:
        wait_for_file(path)
        path.rename(tmp_path / "moved")
        path.write_text("somebody else's")
        vm.signal(signal.SIGINT)
        vm.finish()
    assert path.read_text() == "somebody else's"


@needs_kvm
@pytest.mark.parametrize("args, signals", [
    (["--stop-timeout", "0"], 1), (["--stop-timeout", "1"], 1),
    (["--stop-timeout", "1000"], 2)])
def test_sigterm_ends_a_guest_that_ignores_its_button(tmp_path, args, signals):
    with Guest("run", "--kernel", guest(tmp_path, machine.SLEEP), "--pidfile",
               tmp_path / "pid", *args) as vm:
        wait_for_file(tmp_path / "pid")
        for _ in range(signals):
            time.sleep(0.3)
            vm.signal(signal.SIGTERM)
        assert vm.finish() == 128 + signal.SIGTERM


@needs_kvm
def test_timeline_stages_come_in_order(kernel):
    result = run("run", "--kernel", kernel, "--no-reboot", "--timeline")
    times = [float(t) for t in re.findall(r"([\d.]+) ms", result.stderr)]
    assert len(times) == 5 and times == sorted(times)
    assert "user space reached            -" in result.stderr


@needs_kvm
def test_a_storm_of_reboots_does_not_flood_the_log(tmp_path, kernel):
    with Guest("run", "--kernel", kernel, "--pidfile", tmp_path / "pid",
               "--log-level", "info") as vm:
        wait_for_file(tmp_path / "pid")
        time.sleep(1.5)
        vm.signal(signal.SIGINT)
        vm.finish()
        lines = vm.process.stderr.read().splitlines()
    for text in (b"stopping:", b"command line:"):
        assert 0 < sum(text in line for line in lines) <= 12


# KVM names a directory after process and descriptor, and says in the log when
# the last VM of that name is still there; not always, but every five seconds.
@needs_kvm
def test_a_reboot_waits_until_the_old_vm_is_gone(tmp_path, kernel):
    if subprocess.run("dmesg", capture_output=True, check=False).returncode:
        pytest.skip("the kernel's log is not ours to read")
    with Guest("run", "--kernel", kernel, "--pidfile", tmp_path / "pid") as vm:
        wait_for_file(tmp_path / "pid")
        pid = int((tmp_path / "pid").read_text())
        time.sleep(6)
        vm.signal(signal.SIGINT)
        vm.finish()
    kernel_log = subprocess.run("dmesg", capture_output=True, check=True).stdout
    assert b"duplicate directory %d-" % pid not in kernel_log


def status_after_sigterm(tmp_path, kernel, *args):
    with Guest("run", "--kernel", kernel, "--pidfile", tmp_path / "pid",
               *args) as vm:
        wait_for_file(tmp_path / "pid")
        time.sleep(0.2)  # the guest runs by then
        vm.signal(signal.SIGTERM)
        return vm.finish(20)


# mov dx, 0x603; in al, dx; test al, 1; jz back: until the button is pressed
WAIT_FOR_BUTTON = b"\x66\xba\x03\x06\xec\xa8\x01\x74\xfb"


@needs_kvm
@pytest.mark.parametrize("then, status", [
    (machine.POWER_OFF_42, 42), (machine.NULL_GUEST, 128 + signal.SIGTERM)],
    ids=["power-off", "reset"])
def test_sigterm_ends_the_vm_whatever_the_guest_makes_of_it(tmp_path, then,
                                                            status):
    kernel = guest(tmp_path, WAIT_FOR_BUTTON + then)
    assert status_after_sigterm(tmp_path, kernel) == status


@needs_kvm
def test_sigterm_ends_a_guest_that_resets_for_ever(tmp_path, kernel):
    assert status_after_sigterm(tmp_path, kernel, "--stop-timeout", "1") == \
        128 + signal.SIGTERM


@needs_kvm
def test_sigterm_does_not_wait_where_there_is_no_button(tmp_path):
    kernel = guest(tmp_path, machine.SLEEP)
    assert status_after_sigterm(tmp_path, kernel, "--tables", "mptable",
                                "--stop-timeout", "1000") == \
        128 + signal.SIGTERM


# mov eax, LEAF; cpuid; shr ecx, BIT; and cl, 1; mov al, cl; mov dx, 0x605; out;
# then off
def show_cpuid_ecx(leaf, bit):
    return (b"\xb8" + leaf.to_bytes(4, "little") + b"\x0f\xa2\xc1\xe9" +
            bytes([bit]) + b"\x80\xe1\x01\x88\xc8\x66\xba\x05\x06\xee" +
            b"\x66\xba\x00\x06\xb0\x34\xee\xf4")


@needs_kvm
@pytest.mark.parametrize("leaf, bit, value", [
    (0x1, 31, 1), (0x1, 5, 0), (0x80000001, 2, 0)],
    ids=["hypervisor", "VMX", "SVM"])
def test_the_guest_sees_a_hypervisor_but_cannot_be_one(tmp_path, leaf, bit,
                                                       value):
    flag = {5: "vmx", 2: "svm"}.get(bit)
    if flag and flag not in Path("/proc/cpuinfo").read_text().split():
        pytest.skip(f"no {flag} here that could be hidden")
    kernel = guest(tmp_path, show_cpuid_ecx(leaf, bit))
    assert run("run", "--kernel", kernel).returncode == value
