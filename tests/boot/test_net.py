"""Network cards on taps of the host: traffic both ways, with checksums."""

import hashlib
import os
import socket
import subprocess

import pytest
from onggi import run

MIB = 1 << 20


@pytest.fixture(name="tap")
def tap_on_host():
    name = "onggi-test0"
    subprocess.run(["ip", "tuntap", "add", name, "mode", "tap", "vnet_hdr"],
                   check=True)
    subprocess.run(["ip", "addr", "add", "10.123.0.1/24", "dev", name],
                   check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "del", name], check=True)


@pytest.fixture(name="listener")
def host_listener(tap):
    del tap
    with socket.create_server(("10.123.0.1", 7000)) as server:
        server.settimeout(120)
        yield server


UP = "ip addr add 10.123.0.2/24 dev eth0; ip link set eth0 up; "


def guest(images, tap, script, *args):
    """Starts a guest whose shell script runs with the network up."""
    from onggi import Guest
    return Guest("run", "--kernel", images.vmlinux, "--initrd",
                 images.initramfs, "--net", f"tap={tap}", *args,
                 sh=UP + script)


def test_100_mb_reach_the_guest_whole(images, tap, listener):
    data = os.urandom(MIB)
    digest = hashlib.md5(data * 100).hexdigest()
    with guest(images, tap, "nc 10.123.0.1 7000 </dev/null | md5sum") as vm:
        connection = listener.accept()[0]
        connection.settimeout(120)
        with connection:
            for _ in range(100):
                connection.sendall(data)
        assert vm.finish(200) == 0
        assert digest in vm.text


def test_100_mb_come_from_the_guest_whole(images, tap, listener):
    script = ("head -c 1048576 /dev/urandom >/tmp/r; "
              "for i in $(seq 100); do cat /tmp/r; done >/tmp/all; "
              "md5sum </tmp/all; nc 10.123.0.1 7000 </tmp/all")
    with guest(images, tap, script, "--memory", "512M") as vm:
        connection = listener.accept()[0]
        connection.settimeout(120)
        digest, size = hashlib.md5(), 0
        with connection:
            while data := connection.recv(1 << 18):
                digest.update(data)
                size += len(data)
        vm.finish(200)
        assert size == 100 * MIB
        assert digest.hexdigest() in vm.text


def test_ping_answers_and_addresses_are_as_given(images, tap):
    result = run("run", "--kernel", images.vmlinux, "--initrd",
                 images.initramfs, "--net",
                 f"tap={tap},mac=02:11:22:33:44:55,mtu=1400",
                 sh=UP + "ping -c 3 -W 2 10.123.0.1 | grep -c ttl=; "
                 "cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu")
    assert result.stdout.split() == ["3", "02:11:22:33:44:55", "1400"]


def test_card_survives_unbind_and_bind_under_traffic(images, tap):
    script = """
        d=/sys/bus/virtio/drivers/virtio_net
        v=$(basename $d/virtio*)
        for i in 1 2 3; do
            ping -f -c 200 -W 1 10.123.0.1 >/dev/null 2>&1 &
            sleep 0.1
            echo $v >$d/unbind; wait; echo $v >$d/bind
            ip addr add 10.123.0.2/24 dev eth0; ip link set eth0 up
        done
        ping -c 2 -W 2 10.123.0.1 | grep -c ttl="""
    result = run("run", "--kernel", images.vmlinux, "--initrd",
                 images.initramfs, "--net", f"tap={tap}", sh=UP + script)
    assert result.stdout.strip() == "2", result.stdout + result.stderr


def test_a_tap_that_is_not_there_is_made_and_goes_away(images):
    name = "onggi-test1"
    result = run("run", "--kernel", images.vmlinux, "--initrd",
                 images.initramfs, "--net", f"tap={name}", "--", "ls",
                 "/sys/class/net")
    assert "eth0" in result.stdout.split()
    assert not os.path.exists(f"/sys/class/net/{name}")


def test_a_ready_tap_needs_no_rights(images):
    """A persistent tap that belongs to a user serves a VM of that user."""
    name = "onggi-test2"
    subprocess.run(["ip", "tuntap", "add", name, "mode", "tap", "vnet_hdr",
                    "user", "65534"], check=True)
    try:
        os.chmod("/dev/kvm", 0o666)
        os.chmod("/dev/net/tun", 0o666)
        for path in (images.vmlinux, images.initramfs):
            os.chmod(path, 0o644)
        for parent in images.vmlinux.parents:
            if str(parent).startswith("/tmp/"):
                os.chmod(parent, 0o755)
        import onggi
        program = os.open(onggi.ONGGI, os.O_RDONLY)
        result = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
             f"/proc/self/fd/{program}", "run", "--kernel",
             str(images.vmlinux), "--initrd", str(images.initramfs), "--net",
             f"tap={name}", "--", "ls", "/sys/class/net"],
            pass_fds=[program], stdin=subprocess.DEVNULL, text=True,
            capture_output=True, check=False, timeout=120)
        os.close(program)
        assert "eth0" in result.stdout.split(), result.stderr
    finally:
        subprocess.run(["ip", "link", "del", name], check=True)
