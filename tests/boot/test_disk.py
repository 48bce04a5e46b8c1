"""Disks of real guests: integrity, durability, read-only."""

import os
import re
import signal
import subprocess
from pathlib import Path

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


FIO = """fio --rw=randrw --direct=1 --verify=crc32c --verify_fatal=1 \\
    --do_verify=1 --randseed=7 --output-format=terse {jobs} >/tmp/fio ||
    { cat /tmp/fio; exit 1; }"""


def fio(*jobs):
    """A script that runs these jobs one after the other."""
    return FIO.replace("{jobs}", " ".join(
        f"--stonewall --name=job{i} {job}" for i, job in enumerate(jobs)))


def mixed_jobs(disk):
    """Small and large requests, one at a time and many."""
    uring = f"--filename={disk} --ioengine=io_uring"
    return (f"{uring} --bs=4k --iodepth=1 --size=1M",
            f"{uring} --bs=4k --iodepth=64 --size=4M --offset=8M",
            f"{uring} --bs=1M --iodepth=1 --size=8M --offset=16M",
            f"{uring} --bs=1M --iodepth=64 --size=32M --offset=32M",
            # and without batches
            f"--filename={disk} --ioengine=psync --bs=4k --size=1M")


@pytest.fixture(name="no_io_uring")
def io_uring_switched_off():
    switch = Path("/proc/sys/kernel/io_uring_disabled")
    if not os.access(switch, os.W_OK):
        pytest.skip("no right to switch io_uring off, or an old kernel")
    before = switch.read_text()
    switch.write_text("2")
    yield
    switch.write_text(before)


@pytest.mark.parametrize("options", [
    "", pytest.param(",direct", marks=pytest.mark.portable)])
def test_fio_verifies_what_it_wrote(debian, disk, options):
    result = run(*debian, "--disk", f"{disk}{options}", sh=fio(
        *mixed_jobs("/dev/vdb")), timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.portable
def test_fio_verifies_what_it_wrote_through_threads(debian, disk, no_io_uring):
    del no_io_uring
    result = run(*debian, "--log-level", "info", "--disk", f"{disk},direct",
                 sh=fio(*mixed_jobs("/dev/vdb")), timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "disk I/O uses a thread" in result.stderr


def test_two_vcpus_write_at_once(debian, disk):
    script = "ls /sys/block/vdb/mq | tr '\\n' ' '\n" + fio(
        "--filename=/dev/vdb --ioengine=psync --bs=4k --size=1M --numjobs=2 "
        "--offset_increment=16M", "--filename=/dev/vdb --ioengine=io_uring "
        "--iodepth=64 --bs=4k --size=2M --numjobs=2 --offset_increment=16M")
    result = run(*debian, "--cpus", 2, "--disk", disk, sh=script, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith("0 1 "), result.stdout


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


@pytest.mark.portable
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


@pytest.mark.portable
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


@pytest.mark.portable
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


def allocated(path):
    return os.stat(path).st_blocks * 512


def random_image(path, size):
    path.write_bytes(os.urandom(size))
    return path


@pytest.mark.portable
def test_a_guest_gives_space_back(debian, tmp_path):
    """Discards, of bytes and of a file system, and zeroes."""
    disk = random_image(tmp_path / "disk", 32 * MIB)
    script = """
        cd /sys/block/vdb/queue
        echo limits $(cat physical_block_size discard_granularity \\
            discard_max_bytes write_zeroes_max_bytes)
        zeroes() { # OFFSET LENGTH: whether there are such in this MiB
            dd if=/dev/vdb iflag=direct bs=1M skip=$1 count=$2 2>/dev/null |
                tr -d '\\0' | head -c 1 | wc -c
        }
        blkdiscard -o 4M -l 8M /dev/vdb
        echo discarded $(zeroes 4 8) $(zeroes 3 1) $(zeroes 12 1)
        blkdiscard -z -o 16M -l 4M /dev/vdb
        echo zeroed $(zeroes 16 4) $(zeroes 15 1) $(zeroes 20 1)
        mkfs.ext4 -q -F /dev/vdc
        mount /dev/vdc /mnt
        dd if=/dev/urandom of=/mnt/file bs=1M count=16 conv=fsync 2>/dev/null
        echo written
        rm /mnt/file
        sync
        fstrim /mnt
        umount /mnt
        fsck.ext4 -f -n /dev/vdc >/tmp/fsck 2>&1 || cat /tmp/fsck
        echo trimmed"""
    system = tmp_path / "system"
    system.touch()
    os.truncate(system, 64 * MIB)
    with Guest(*debian, "--disk", disk, "--disk", system, sh=script) as vm:
        vm.wait_for("written\r\n")
        full = allocated(system)
        vm.wait_for("trimmed\r\n")
        assert vm.finish() == 0
    block = os.stat(disk).st_blksize
    if block > 65536:
        block = 4096
    assert f"limits {block} {block} 134217728 134217728" in vm.text
    assert "discarded 0 1 1" in vm.text and "zeroed 0 1 1" in vm.text
    assert allocated(disk) <= 24 * MIB
    assert full - allocated(system) >= 15 * MIB
    content = disk.read_bytes()
    assert not any(content[4 * MIB:12 * MIB])
    assert not any(content[16 * MIB:20 * MIB])
    assert any(content[:4096]) and any(content[-4096:])


@pytest.mark.portable
def test_a_limit_holds(debian, disk):
    """8 MiB at 4 MiB a second, and 60 reads at 50 a second; of both, a tenth of
    a second's and one request come at once."""
    script = """
        now() { cut -d ' ' -f 1 /proc/uptime; }
        a=$(now)
        dd if=/dev/zero of=/dev/vdb oflag=direct bs=512k count=16 2>/dev/null
        b=$(now)
        dd if=/dev/vdc of=/dev/null iflag=direct bs=512 count=60 2>/dev/null
        echo took $a $b $(now)"""
    other = disk.with_name("other")
    other.touch()
    os.truncate(other, MIB)
    result = run(*debian, "--disk", f"{disk},bw=4M", "--disk",
                 f"{other},iops=50", sh=script)
    times = re.search(r"took (\S+) (\S+) (\S+)", result.stdout)
    assert times, result.stdout + result.stderr
    begin, middle, end = map(float, times.groups())
    assert middle - begin >= (8 - 0.4 - 0.5) / 4
    assert end - middle >= (60 - 5 - 1) / 50


RESIZED = """
    size() { blockdev --getsize64 /dev/vda; }
    until_size() { while [ "$(size)" != $1 ]; do sleep 0.1; done; }
    dd if=/dev/zero of=/dev/vda bs=1M seek=63 count=1 conv=fsync 2>/dev/null
    echo up $(cat /sys/block/vda/size)
    until_size 100663296
    echo end | dd of=/dev/vda bs=1M seek=95 conv=fsync 2>/dev/null
    echo grown $(cat /sys/block/vda/size)
    until_size 33554432
    dd if=/dev/vda of=/dev/null bs=1M skip=31 2>/dev/null && echo readable
    dd if=/dev/vda of=/dev/null bs=1M skip=32 count=1 2>/dev/null | wc -c
    echo shrunk $(cat /sys/block/vda/size)"""


@pytest.mark.portable
def test_the_guest_sees_a_new_size(busybox, disk):
    with Guest(*busybox, "--disk", disk, sh=RESIZED) as vm:
        vm.wait_for(f"up {64 * 2048}")
        os.truncate(disk, 96 * MIB)
        vm.signal(signal.SIGUSR2)
        vm.wait_for(f"grown {96 * 2048}")
        with open(disk, "rb") as image:
            image.seek(95 * MIB)
            assert image.read(4) == b"end\n"
        os.truncate(disk, 32 * MIB)
        vm.signal(signal.SIGUSR2)
        vm.wait_for(f"shrunk {32 * 2048}")
        assert vm.finish() == 0
    assert "readable" in vm.text


# Ends at the second boot, which finds what the first was given in mid-traffic.
EXCHANGED = """
    content() { blockdev --flushbufs /dev/vda; head -c 3 /dev/vda; }
    if [ "$(content)" = new ]; then
        echo after a reboot $(cat /sys/block/vda/size)
        exit 7
    fi
    echo old | dd of=/dev/vda seek=1 conv=fsync 2>/dev/null
    while :; do
        dd if=/dev/zero of=/dev/vda bs=64k seek=1 count=100 conv=fsync \\
            2>/dev/null || echo FAILED
    done &
    echo up
    while [ "$(content)" != new ]; do sleep 0.1; done
    echo exchanged $(cat /sys/block/vda/size)
    reboot -f"""


@pytest.mark.portable
def test_another_file_takes_a_disks_place(busybox, disk):
    old, new = disk.with_name("old"), disk.with_name("new")
    new.write_bytes(b"new".ljust(16 * MIB, b"\0"))
    with Guest(*busybox, "--disk", disk, sh=EXCHANGED) as vm:
        vm.wait_for("up\r\n")
        os.rename(disk, old)
        os.rename(new, disk)
        vm.signal(signal.SIGUSR2)
        vm.wait_for("exchanged 32768")
        vm.wait_for("after a reboot 32768")
        assert vm.finish() == 7
    assert "FAILED" not in vm.text
    with open(old, "rb") as image:
        image.seek(512)
        assert image.read(3) == b"old"


FULL = """
    write() { # SEEK: 4 MiB from there on
        dd if=/dev/urandom of=/dev/vda bs=1M seek=$1 count=4 conv=fsync \\
            2>/dev/null
    }
    write 0 && echo fits
    write 8 || echo full
    write 12 || echo and full
    echo waiting
    until write 8; do sleep 0.2; done
    echo recovered"""


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
@pytest.mark.portable
def test_a_full_host_is_an_error_that_ends(busybox, tmp_path):
    """On a small tmpfs, where the image has no room to grow."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10M", "tmpfs", small],
                   check=True)
    try:
        disk, ballast = small / "disk", small / "ballast"
        disk.touch()
        os.truncate(disk, 32 * MIB)
        ballast.write_bytes(bytes(4 * MIB))
        with Guest(*busybox, "--disk", disk, sh=FULL) as vm:
            vm.wait_for("waiting")
            ballast.unlink()
            vm.wait_for("recovered")
            assert vm.finish() == 0
            error = vm.process.stderr.read().decode()
        assert "fits" in vm.text and "and full" in vm.text
        assert "disk: a write of the guest failed: No space left" in error
        content = disk.read_bytes()
        assert any(content[11 * MIB:12 * MIB])
    finally:
        subprocess.run(["umount", "-l", small], check=True)
