"""Disks of real guests: integrity, durability, read-only."""

import os
import re

import pytest
from onggi import Guest, run

MIB = 1 << 20


@pytest.fixture(name="disk")
def scratch_disk(tmp_path):
    path = tmp_path / "disk.img"
    path.touch()
    os.truncate(path, 64 * MIB)
    return path


@pytest.fixture(name="debian")
def debian_on_tuned_kernel(images):
    """A Debian root with fio, on the kernel that boots fastest."""
    return ["run", "--kernel", images.tuned, "--memory", "256M", "--disk",
            f"{images.debian_root},root,readonly", "--cmdline",
            "init=/usr/lib/onggi/init"]


@pytest.fixture(name="busybox")
def busybox_guest(images):
    return ["run", "--kernel", images.tuned, "--initrd", images.initramfs]


FIO = ("fio --name=t --filename=/dev/vdb --size=32M --ioengine={engine} "
       "--iodepth={depth} --rw=randrw --bs={bs} --direct={direct} "
       "--verify=crc32c --verify_fatal=1 --do_verify=1 --randseed=7 "
       "--output-format=terse >/tmp/fio || {{ cat /tmp/fio; exit 1; }}")


@pytest.mark.parametrize("options, bs, depth", [
    ("", "4k", 1), ("", "128k", 32), (",direct", "4k", 8),
    (",direct", "64k", 32)])
def test_fio_verifies_what_it_wrote(debian, disk, options, bs, depth):
    script = FIO.format(engine="libaio", depth=depth, bs=bs, direct=1)
    result = run(*debian, "--disk", f"{disk}{options}", sh=script, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr


def test_two_vcpus_write_at_once(debian, disk):
    script = FIO.format(engine="psync", depth=1, bs="4k", direct=1) \
        .replace("--size=32M", "--size=8M --numjobs=2 --offset_increment=16M")
    result = run(*debian, "--cpus", 2, "--disk", disk, sh=script, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr


def test_guest_and_host_see_the_same_bytes(busybox, disk):
    data = os.urandom(MIB)
    with open(disk, "r+b") as image:
        image.write(data)
    script = ("dd if=/dev/vda of=/dev/vda bs=1M count=1 seek=5 conv=fsync "
              "2>/dev/null && blockdev --getsize64 /dev/vda")
    result = run(*busybox, "--disk", disk, sh=script)
    assert result.stdout.strip() == str(64 * MIB), result.stderr
    with open(disk, "rb") as image:
        image.seek(5 * MIB)
        assert image.read(MIB) == data


def test_synced_data_survives_a_kill(busybox, disk):
    """What the guest was told is on disk is there when onggi is killed."""
    script = ("seq 1 200000 | dd of=/dev/vda bs=64k conv=fsync 2>/dev/null && "
              "echo synced && sleep 100")
    with Guest(*busybox, "--disk", disk, sh=script) as vm:
        vm.wait_for("synced")
        vm.process.kill()
        vm.process.wait()
    written = "".join(f"{n}\n" for n in range(1, 200001)).encode()
    with open(disk, "rb") as image:
        assert image.read(len(written)) == written
    # and the lock went with the process
    result = run(*busybox, "--disk", disk, sh="head -n 1 /dev/vda")
    assert result.stdout.strip() == "1", result.stderr


def test_read_only_disk_refuses_writes(busybox, disk):
    script = ("cat /sys/block/vda/ro; "
              "echo x | dd of=/dev/vda conv=fsync 2>/dev/null || exit 6")
    result = run(*busybox, "--disk", f"{disk},readonly", sh=script)
    assert result.returncode == 6 and result.stdout.strip() == "1"
    with open(disk, "rb") as image:
        assert image.read(2) == b"\0\0"


def test_serial_number_and_order_are_as_given(busybox, disk, tmp_path):
    other = tmp_path / "other.img"
    other.write_bytes(bytes(MIB))
    result = run(*busybox, "--disk", f"{disk},serial=first", "--disk",
                 f"{other},id=second",
                 sh="cat /sys/block/vda/serial; echo; "
                 "cat /sys/block/vdb/serial; echo; cat /sys/block/vdb/size")
    assert result.stdout.split() == ["first", "second", "2048"]


def test_disk_driver_can_be_unbound_in_mid_traffic(busybox, disk):
    script = """
        d=/sys/bus/virtio/drivers/virtio_blk
        v=$(basename $d/virtio*)
        for i in 1 2 3; do
            dd if=/dev/zero of=/dev/vda bs=64k count=200 2>/dev/null &
            sleep 0.1
            echo $v >$d/unbind
            wait
            echo $v >$d/bind
        done
        dd if=/dev/vda bs=1M count=2 2>/dev/null | wc -c"""
    result = run(*busybox, "--disk", disk, sh=script)
    assert result.stdout.strip() == str(2 * MIB), result.stderr


def test_a_full_queue_of_writes_and_flushes_ends(debian, disk):
    """256 writes at a time, twice what the ring holds, and between them the
    flushes of eight programs that sync after each write."""
    script = """
        fio --filename=/dev/vdb --rw=randwrite --bs=4k --direct=1 \\
            --output-format=terse --name=deep --ioengine=libaio \\
            --iodepth=256 --iodepth_batch=256 --size=32M --io_size=16M \\
            --name=sync --ioengine=psync --iodepth=1 --offset=32M --size=8M \\
            --io_size=256k --fsync=1 --numjobs=8 \\
            >/tmp/fio || { cat /tmp/fio; exit 1; }
        set -- $(cat /sys/block/vdb/stat)
        echo writes $5 flushes ${16}"""
    result = run(*debian, "--disk", disk, sh=script, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    counts = re.search(r"writes (\d+) flushes (\d+)", result.stdout)
    assert counts, result.stdout
    # neighbours may be merged
    assert int(counts[1]) > 2000 and int(counts[2]) > 50, counts[0]
