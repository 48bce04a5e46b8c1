"""Devices served by event loops of their own."""

import hashlib
import os

import pytest
from onggi import Guest, threads_of

MIB = 1 << 20


@pytest.mark.portable
def test_disks_share_one_and_survive_unbinding_and_a_reboot(images, tmp_path):
    """A copy between two disks of one loop, with a third one of another being
    taken away under traffic; then all of it after a reboot."""
    disks = [tmp_path / f"{name}.img" for name in "abc"]
    data = os.urandom(8 * MIB)
    disks[0].write_bytes(data)
    disks[1].write_bytes(bytes(len(data)))
    disks[2].write_bytes(bytes(16 * MIB))
    loops = ["one", "one", "two"]
    options = [word for disk, loop in zip(disks, loops)
               for word in ("--disk", f"{disk},direct,iothread={loop}")]
    with Guest("run", "--kernel", images.tuned, "--initrd", images.initramfs,
               *options, sh="""
            dd if=/dev/vda of=/dev/vdb bs=64k conv=fsync 2>/dev/null
            d=/sys/bus/virtio/drivers/virtio_blk
            v=$(basename $(readlink -f /sys/block/vdc/device))
            for i in 1 2 3; do
                dd if=/dev/zero of=/dev/vdc bs=64k 2>/dev/null &
                sleep 0.1
                echo $v >$d/unbind
                wait
                echo $v >$d/bind
            done
            dd if=/dev/vdc bs=1M count=2 2>/dev/null | wc -c
            md5sum </dev/vdb
            read line
            reboot; sleep 60""") as vm:
        digest = hashlib.md5(data).hexdigest()
        for _ in range(2):
            vm.text = vm.wait_for(digest).split(digest, 1)
            assert f"{2 * MIB}" in vm.text[0]
            vm.text = vm.text[1]
            assert {"one", "two", "vcpu0"} <= threads_of(vm.process)
            vm.send("go on\n")
    assert disks[1].read_bytes() == data
