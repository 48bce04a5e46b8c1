"""Disks that qemu-storage-daemon serves, and its loss and return."""

import os
import signal
from pathlib import Path

import pytest
from onggi import Guest, run
from storage_daemon import StorageDaemon, needs_storage_daemon

pytestmark = needs_storage_daemon

MIB = 1 << 20

FIO = ("fio --name=t --filename=/dev/vdb --size=8M --ioengine=libaio "
       "--iodepth=32 --rw=randrw --bs=4k --direct=1 --output-format=terse "
       "--randseed=7 --verify_state_save=0 {} >/tmp/fio")


@pytest.fixture(name="server")
def storage_daemon(tmp_path):
    with StorageDaemon(tmp_path, 64) as server:
        yield server


@pytest.fixture(name="busybox")
def busybox_guest(images):
    return ["run", "--kernel", images.tuned, "--initrd", images.initramfs]


@pytest.fixture(name="debian")
def debian_on_tuned_kernel(images):
    return ["run", "--kernel", images.tuned, "--memory", "256M", "--disk",
            f"{images.debian_root},root,readonly", "--cmdline",
            "init=/usr/lib/onggi/init"]


def test_what_is_written_is_in_the_image(busybox, server):
    script = ("seq 1 100000 | dd of=/dev/vda bs=64k conv=fsync 2>/dev/null && "
              "cat /sys/block/vda/size")
    result = run(*busybox, "--disk", f"vhost-user={server.socket}", sh=script)
    assert result.stdout.strip() == str(64 * MIB // 512), result.stderr
    # by the next VM, which finds the server as the first has left it
    script = "head -c 588895 /dev/vda | md5sum; seq 1 100000 | md5sum"
    result = run(*busybox, "--disk", f"vhost-user={server.socket}", sh=script)
    sums = result.stdout.split()
    assert len(sums) == 4 and sums[0] == sums[2], result.stderr


@pytest.mark.parametrize("args", [
    ["--memory", "4G"],
    pytest.param(["--cpus", "2"], marks=pytest.mark.portable)])
def test_fio_verifies_what_it_wrote(debian, server, args):
    """Also with memory on both sides of the hole."""
    result = run(*debian, *args, "--disk", f"vhost-user={server.socket}",
                 sh=FIO.format("--verify=crc32c --verify_fatal=1") +
                 " || { cat /tmp/fio; exit 1; }", timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.portable
def test_several_queues_are_used_by_several_vcpus(debian, tmp_path):
    with StorageDaemon(tmp_path, 64, "writable=on,num-queues=4") as server:
        result = run(*debian, "--cpus", 2, "--disk",
                     f"vhost-user={server.socket}",
                     sh=FIO.format("--numjobs=2 --offset_increment=16M "
                                   "--verify=crc32c --verify_fatal=1") +
                     " || { cat /tmp/fio; exit 1; }; ls /sys/block/vdb/mq",
                     timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.split() == ["0", "1"]


@pytest.mark.portable
def test_a_read_only_export_is_a_read_only_disk(busybox, tmp_path):
    with StorageDaemon(tmp_path, 64, "writable=off") as server:
        result = run(*busybox, "--disk", f"vhost-user={server.socket}",
                     sh="cat /sys/block/vda/ro; "
                     "echo x | dd of=/dev/vda conv=fsync 2>/dev/null || exit 6")
    assert result.returncode == 6 and result.stdout.strip() == "1"


@pytest.mark.portable
def test_a_server_that_is_killed_comes_back(debian, server):
    """To the guest: I/O errors while it is away, then a disk as before."""
    script = f"""
        {FIO.format("--time_based --runtime=600")} 2>&1 &
        until read -r n rest </sys/block/vdb/stat && [ $n -gt 200 ]; do
            sleep 0.1
        done
        echo busy
        wait %1 || echo fio failed
        dd="dd if=/dev/vdb of=/dev/null bs=4k count=1 iflag=direct"
        $dd 2>/dev/null || echo still away
        until $dd 2>/dev/null; do sleep 0.2; done
        echo back
        {FIO.format("--verify=crc32c --verify_fatal=1")} && echo verified"""
    with Guest(*debian, "--disk", f"vhost-user={server.socket}",
               sh=script) as vm:
        vm.wait_for("busy")
        server.kill()
        vm.wait_for("fio failed")
        vm.wait_for("still away")
        server.start()
        vm.wait_for("back")
        vm.wait_for("verified", 200)
        assert vm.finish(60) == 0


@pytest.mark.portable
def test_a_server_that_hangs_does_not_hang_the_guest_for_ever(busybox, server):
    """The driver that takes its queue back waits a while, and then does not.
    When the server goes on, its disk is there."""
    script = """
        d=/sys/bus/virtio/drivers/virtio_blk
        v=$(basename $d/virtio*)
        echo ready
        read -r _
        echo $v >$d/unbind
        echo unbound
        read -r _
        echo $v >$d/bind
        until dd if=/dev/vda of=/dev/null bs=4k count=1 2>/dev/null; do
            sleep 0.2
        done
        echo back"""
    with Guest(*busybox, "--disk", f"vhost-user={server.socket}", sh=script,
               terminal=True) as vm:
        vm.wait_for("ready")
        server.process.send_signal(signal.SIGSTOP)
        vm.send("\n")
        vm.wait_for("unbound")
        server.process.send_signal(signal.SIGCONT)
        vm.send("\n")
        vm.wait_for("back")
        # and the end does not wait for it at all
        server.process.send_signal(signal.SIGSTOP)
        assert vm.finish() == 0


@pytest.fixture(name="huge_pages")
def some_huge_pages():
    path = Path("/proc/sys/vm/nr_hugepages")
    before = path.read_text(encoding="utf-8")
    path.write_text("150\n", encoding="utf-8")
    if int(path.read_text(encoding="utf-8")) < 150:
        path.write_text(before, encoding="utf-8")
        pytest.skip("no huge pages to be had")
    yield
    path.write_text(before, encoding="utf-8")


@pytest.mark.skipif(os.geteuid() != 0, reason="huge pages need root")
def test_huge_pages_can_be_shared_and_are_enough_for_a_reboot(
        busybox, server, huge_pages):
    """The server still has the memory of the boot before when the next one
    gets its own."""
    del huge_pages
    script = """
        n=$(head -c 1 /dev/vda)
        echo "boot $n"
        echo 1 | dd of=/dev/vda conv=fsync 2>/dev/null
        [ "$n" ] || reboot -f"""
    result = run(*busybox, "--memory", "256M,hugepages", "--disk",
                 f"vhost-user={server.socket}", sh=script)
    lines = [line for line in result.stdout.split("\n")
             if not line.startswith("[")]
    assert lines == ["boot ", "boot 1", ""], result.stderr


def test_the_guest_can_take_its_driver_off_and_reboot(busybox, server):
    script = """
        d=/sys/bus/virtio/drivers/virtio_blk
        v=$(basename $d/virtio*)
        for i in 1 2 3; do
            dd if=/dev/zero of=/dev/vda bs=64k count=100 2>/dev/null &
            sleep 0.1
            echo $v >$d/unbind
            wait
            echo $v >$d/bind
        done
        n=$(dd if=/dev/vda bs=1 skip=9000000 count=1 2>/dev/null)
        echo "boot $n"
        echo 1 | dd of=/dev/vda bs=1 seek=9000000 conv=fsync 2>/dev/null
        [ "$n" ] || reboot -f
        dd if=/dev/vda bs=1M count=2 2>/dev/null | wc -c"""
    result = run(*busybox, "--disk", f"vhost-user={server.socket}", sh=script)
    lines = [line for line in result.stdout.split("\n")
             if not line.startswith("[")]
    assert lines == ["boot ", "boot 1", str(2 * MIB), ""]
