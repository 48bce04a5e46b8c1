"""Network cards that another process serves: one of these tests' own."""

import pytest
from net_backend import NetBackend
from onggi import Guest, run

UP = "ip addr add 198.18.0.1/30 dev eth0; ip link set eth0 up; "
PEER = "198.18.0.2"


@pytest.fixture(name="server")
def neighbour(tmp_path):
    with NetBackend(tmp_path / "net.sock") as server:
        yield server


@pytest.fixture(name="busybox")
def busybox_guest(images, server):
    return ["run", "--kernel", images.tuned, "--initrd", images.initramfs,
            "--net", f"vhost-user={server.path},mac=02:11:22:33:44:55"]


@pytest.mark.parametrize("args", [[], ["--memory", "4G"]])
def test_ping_is_answered_and_addresses_are_as_given(busybox, args):
    result = run(*busybox, *args,
                 sh=UP + f"ping -c 3 -s 1400 -W 5 {PEER} | grep -c ttl=; "
                 "cat /sys/class/net/eth0/address")
    assert result.stdout.split() == ["3", "02:11:22:33:44:55"], result.stderr


@pytest.mark.portable
def test_the_link_is_lost_with_the_server_and_comes_back(busybox, server):
    script = f"""
        ping -c 1 -W 5 {PEER} | grep -c ttl=
        echo ready
        until [ "$(cat /sys/class/net/eth0/carrier)" = 0 ]; do sleep 0.1; done
        until [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do sleep 0.1; done
        echo up again
        ping -c 3 -W 5 {PEER} | grep -c ttl="""
    with Guest(*busybox, sh=UP + script) as vm:
        vm.wait_for("ready")
        # it listens still, and takes the next connection
        server.hang_up()
        vm.wait_for("up again")
        assert vm.finish() == 0
    assert vm.text.split() == ["1", "ready", "up", "again", "3"]
    assert server.connections == 2


def test_card_survives_unbind_and_bind_and_a_reboot(busybox, server):
    script = f"""
        d=/sys/bus/virtio/drivers/virtio_net
        v=$(basename $d/virtio*)
        for i in 1 2 3; do
            ping -c 3 -i 0.1 -W 1 {PEER} >/dev/null 2>&1 &
            sleep 0.1
            echo $v >$d/unbind; wait; echo $v >$d/bind
            {UP}
        done
        ping -c 2 -W 5 {PEER} | grep -c ttl=
        reboot -f"""
    with Guest(*busybox, sh=UP + script) as vm:
        while vm.text.count("2\r\n") < 2:
            vm.wait_for("Restarting system\r\n")
            vm.text = vm.text.replace("Restarting system", "")
    assert server.connections == 1
