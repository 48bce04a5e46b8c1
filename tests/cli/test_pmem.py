"""--pmem: what is refused, and where the file goes."""

import os

import pytest
from common import (cpu_seconds, guest, machine, needs_kvm, onggi, refused,
                    wait_for_file, wait_until)
from onggi import Guest, run
from test_hvc import store

MIB = 1 << 20


@pytest.fixture(name="pmem")
def one_file(tmp_path):
    path = tmp_path / "pmem"
    path.touch()
    os.truncate(path, 4 * MIB)
    return path


@pytest.fixture(name="kernel")
def one_that_powers_off(tmp_path):
    return guest(tmp_path, machine.POWER_OFF_42)


def test_what_cannot_be_memory_is_refused(tmp_path, kernel, pmem):
    odd = tmp_path / "odd"
    odd.write_bytes(bytes(MIB + 512))
    empty, huge = tmp_path / "empty", tmp_path / "huge"
    empty.touch()
    huge.touch()
    os.truncate(huge, 8 << 40)
    for path, *words in (
            (odd, "1049088 bytes", "multiple of 2 MiB"),
            (empty, "0 bytes"),
            (huge, "8192 GiB", "more than 4 TiB"),
            (tmp_path, "not a regular file"),
            (tmp_path / "none", "No such file"),
            ("/dev/null", "not a regular file")):
        refused(run("run", "--kernel", kernel, "--pmem", path), onggi.EXIT_IO,
                "pmem", str(path), *words)
    refused(run("run", "--kernel", kernel, "--pmem", ",root"),
            onggi.EXIT_USAGE, "pmem")
    refused(run("run", "--kernel", kernel,
                *["--pmem", pmem] * 5), onggi.EXIT_USAGE, "pmem")


def test_there_is_one_root(tmp_path, kernel, pmem):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(MIB))
    refused(run("run", "--kernel", kernel, "--pmem", f"{pmem},root", "--disk",
                f"{disk},root"), onggi.EXIT_USAGE, "only one can have root")


def test_a_root_needs_no_initramfs_of_the_built_images(tmp_path, kernel, pmem):
    """Nor does a disk; anything else is booted with it."""
    images = tmp_path / "images" / machine.IMAGES
    images.mkdir(parents=True)
    kernel.rename(images / machine.KERNEL)
    (images / "initramfs.cpio").touch()
    env = {**os.environ, "ONGGI_CACHE": str(tmp_path)}
    for args, initramfs in ((["--pmem", f"{pmem},root"], False),
                            (["--disk", f"{pmem},root"], False),
                            (["--pmem", pmem], True), ([], True)):
        shown = run("run", "--dry-run", *args, env=env)
        assert shown.returncode == 0, shown.stderr
        assert f"--kernel {images}/" in shown.stdout
        assert ("--initrd" in shown.stdout) == initramfs, args


def test_it_lies_behind_all_memory(kernel, pmem):
    plan = run("run", "--dry-run", "--kernel", kernel, "--memory", "6G",
               "--pmem", f"{pmem},root", "--pmem", pmem)
    assert plan.returncode == 0, plan.stderr
    assert plan.stdout.count("persistent memory, 4 MiB") == 2
    assert plan.stdout.count(f"pmem: {pmem}\n") == 2
    assert " root=/dev/pmem0 rootflags=dax rw" in plan.stdout
    ranges = [[int(word, 16) for word in line.split()[0:3:2]]
              for line in plan.stdout.splitlines() if " memory, " in line]
    assert all(end[1] < start[0] for end, start in zip(ranges, ranges[1:]))
    assert all(start % (1 << 30) == 0 for start, _ in ranges[-2:])


@needs_kvm
def test_a_file_in_use_is_somebody_elses(tmp_path, kernel, pmem):
    """Nor the same VM's in two ways, unless it is only read."""
    args = ("run", "--kernel", kernel)
    for options in (("--pmem", pmem, "--pmem", f"{pmem},readonly"),
                    ("--disk", pmem, "--pmem", pmem)):
        refused(run(*args, *options), onggi.EXIT_USAGE, str(pmem), "already",
                "readonly")
    refused(run(*args, "--pmem", pmem, "--pidfile", pmem), onggi.EXIT_USAGE,
            "pidfile", "persistent memory")
    shared = run(*args, "--pmem", f"{pmem},readonly", "--pmem",
                 f"{pmem},readonly", "--disk", f"{pmem},readonly")
    assert (shared.returncode, shared.stderr) == (42, "")
    with Guest("run", "--kernel", guest(tmp_path, machine.SLEEP), "--pmem",
               pmem, "--pidfile", tmp_path / "pid"):
        wait_for_file(tmp_path / "pid")
        refused(run(*args, "--pmem", pmem), onggi.EXIT_IO, "locked")
        refused(run(*args, "--disk", pmem), onggi.EXIT_IO, "locked")


@needs_kvm
def test_a_file_that_becomes_too_short_ends_the_vm(tmp_path, pmem):
    """Under a device, whose ring is there; nothing is left behind."""
    console = 0xd0001000
    setup = ((0x70, 0), (0x70, 3), (0x24, 1), (0x20, 1), (0x24, 0), (0x20, 0),
             (0x70, 11), (0x30, 1), (0x38, 1), (0x80, 0x200000),
             (0x94, 1), (0xa0, 0x201000), (0x44, 1), (0x70, 15))
    code = b"".join(store(console + at, value) for at, value in setup)
    kick = store(console + 0x50, 1)
    code += kick + b"\xeb" + bytes([254 - len(kick)])
    with Guest("run", "--kernel", guest(tmp_path, code), "--memory", "64M",
               "--pmem", pmem, "--no-rng", "--console", "none", "--hvc",
               f"file={tmp_path / 'hvc'}", "--vsock", tmp_path / "vsock",
               "--pidfile", tmp_path / "pid", stderr_to=tmp_path / "log") as vm:
        wait_for_file(tmp_path / "pid")
        wait_until(lambda: cpu_seconds(vm.process.pid) > 0.2, "its kicks")
        os.truncate(pmem, 0)
        assert vm.finish() == onggi.EXIT_IO
    assert "memory: a page of guest memory" in (tmp_path / "log").read_text()
    assert not (tmp_path / "pid").exists()
    assert not (tmp_path / "vsock").exists()
