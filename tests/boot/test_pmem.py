"""Files as persistent memory of real guests: DAX, durability, and what is only
read."""

import os
import shutil
import signal
import subprocess

import pytest
from onggi import Guest, run

MIB = 1 << 20


@pytest.fixture(name="pmem")
def file_with_ext4(tmp_path):
    path = tmp_path / "pmem.img"
    path.touch()
    os.truncate(path, 64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", path], check=True)
    return path


@pytest.fixture(name="busybox")
def busybox_guest(images):
    return ["run", "--kernel", images.tuned, "--initrd", images.initramfs]


@pytest.fixture(name="debian")
def debian_on_tuned_kernel(images):
    """A root of which nobody sees the changes, and which has fio."""
    return ["run", "--kernel", images.tuned, "--memory", "512M", "--pmem",
            f"{images.debian_root},root,readonly", "--cmdline",
            "init=/usr/lib/onggi/init"]


def clean(path):
    return subprocess.run(["e2fsck", "-fn", path], check=False,
                          stdout=subprocess.DEVNULL).returncode == 0


def test_a_file_is_memory_and_lasts(busybox, pmem):
    """What was synced is there after a power cut, in a file system that DAX
    really goes around the page cache of."""
    with Guest(*busybox, "--pmem", pmem, sh="""
            mkdir -p /mnt
            mount -t ext4 -o dax=always /dev/pmem0 /mnt || exit 1
            grep -q ' /mnt ext4 .*dax=always' /proc/mounts || exit 2
            head -c 5242880 /dev/urandom >/mnt/data && sync
            sha256sum </mnt/data
            echo synced; sleep 60""") as vm:
        digest = vm.wait_for("synced").split()[0]
        vm.signal(signal.SIGKILL)
        vm.finish()
    after = run(*busybox, "--pmem", pmem, sh="""
            mkdir -p /mnt
            mount -t ext4 -o dax=always /dev/pmem0 /mnt || exit 1
            cached() { sed -n 's/^Cached: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo; }
            before=$(cached)
            sha256sum </mnt/data
            [ $(cached) -lt $((before + 1024)) ] || exit 2
            umount /mnt""")
    assert after.returncode == 0, after.stdout + after.stderr
    assert after.stdout.split()[0] == digest
    assert clean(pmem)


@pytest.mark.portable
def test_what_is_only_read_stays_as_it_is(busybox, pmem):
    """The guest may write, sees what it wrote, and loses it."""
    before = pmem.read_bytes()
    done = run(*busybox, "--pmem", f"{pmem},readonly", sh="""
            mkdir -p /mnt
            mount -t ext4 -o dax=always /dev/pmem0 /mnt || exit 1
            echo hello >/mnt/file && sync && umount /mnt || exit 2
            mount -t ext4 /dev/pmem0 /mnt || exit 3
            cat /mnt/file""")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["hello"]
    assert pmem.read_bytes() == before


def test_a_root_on_dax_serves_other_devices_too(debian, tmp_path):
    """Buffers of a disk's requests lie in persistent memory: a file there is
    what fio reads into and writes from."""
    disk = tmp_path / "disk.img"
    disk.touch()
    os.truncate(disk, 16 * MIB)
    done = run(*debian, "--disk", disk, sh="""
            grep -q '^/dev/.* / ext4 .*dax' /proc/mounts || exit 2
            fio --name=dax --filename=/dev/vda --rw=randrw --bs=16k --size=8M \\
                --direct=1 --ioengine=io_uring --iodepth=8 --verify=crc32c \\
                --mem=mmapshared:/root/buffers --output-format=terse \\
                >/run/fio || { cat /run/fio; exit 1; }
            """, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def test_driver_can_be_unbound_and_bound_again_in_traffic(busybox, pmem):
    done = run(*busybox, "--pmem", pmem, sh="""
            driver=/sys/bus/virtio/drivers/virtio_pmem
            name=$(basename $(readlink -f $driver/virtio*))
            for i in 1 2 3 4 5 6; do
                until [ -b /dev/pmem0 ]; do sleep 0.1; done
                while [ -b /dev/pmem0 ]; do
                    dd if=/dev/zero of=/dev/pmem0 bs=64k count=64 seek=512 \\
                        conv=fsync
                done >/dev/null 2>&1 &
                sleep 0.3
                echo $name >$driver/unbind
                wait
                rm -f /dev/pmem0
                echo $name >$driver/bind
            done
            exit 5""", timeout=200)
    assert done.returncode == 5, done.stdout + done.stderr
    assert clean(pmem)


def test_several_stand_behind_four_gigabytes(busybox, pmem, tmp_path):
    other = tmp_path / "other.img"
    shutil.copyfile(pmem, other)
    with open(other, "r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"last")
    done = run(*busybox, "--memory", "4G", "--pmem", pmem, "--pmem", other,
               sh="tail -c 4 /dev/pmem1; mkdir -p /mnt; "
                  "mount -t ext4 /dev/pmem0 /mnt || exit 4",
               timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("last")
