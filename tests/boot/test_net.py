"""Network cards on taps of the host: traffic both ways, with checksums."""

import hashlib
import ipaddress
import os
import socket
import subprocess
import time

import onggi
import pytest
from onggi import Guest, for_everybody, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="taps need root")

MIB = 1 << 20

# On a host whose KVM is used directly, two processes run these tests at once
# in one network: each has names of its own, and four addresses of the range
# that is set aside for measurements (RFC 2544).
TAP = f"onggi{os.getpid()}"
NET = ipaddress.ip_address("198.18.0.0") + 4 * (os.getpid() % 32768)
HOST, GUEST = str(NET + 1), str(NET + 2)


@pytest.fixture(name="tap")
def tap_on_host():
    name = f"{TAP}a"
    subprocess.run(["ip", "tuntap", "add", name, "mode", "tap", "vnet_hdr"],
                   check=True)
    subprocess.run(["ip", "addr", "add", f"{HOST}/30", "dev", name],
                   check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "del", name], check=True)


@pytest.fixture(name="listener")
def host_listener(tap):
    del tap
    with socket.create_server((HOST, 7000)) as server:
        server.settimeout(120)
        yield server


# Who serves the card: onggi, or the kernel with vhost-net.
VHOST = pytest.param(",vhost", marks=pytest.mark.skipif(
    not os.access("/dev/vhost-net", os.R_OK | os.W_OK),
    reason="there is no /dev/vhost-net"))
either_server = pytest.mark.parametrize("server", ["", VHOST])

UP = f"ip addr add {GUEST}/30 dev eth0; ip link set eth0 up; "


def guest(images, card, script, *args):
    """Starts a guest whose shell script runs with the network up."""
    return Guest("run", "--kernel", images.tuned, "--initrd",
                 images.initramfs, "--net", f"tap={card}", *args,
                 sh=UP + script)


@either_server
def test_100_mb_reach_the_guest_whole(images, tap, listener, server):
    data = os.urandom(MIB)
    digest = hashlib.md5(data * 100).hexdigest()
    with guest(images, tap + server,
               f"nc {HOST} 7000 </dev/null | md5sum") as vm:
        connection = listener.accept()[0]
        connection.settimeout(120)
        with connection:
            for _ in range(100):
                connection.sendall(data)
        assert vm.finish(200) == 0
        assert digest in vm.text


@either_server
def test_100_mb_come_from_the_guest_whole(images, tap, listener, server):
    script = ("head -c 1048576 /dev/urandom >/tmp/r; "
              "for i in $(seq 100); do cat /tmp/r; done >/tmp/all; "
              f"md5sum </tmp/all; nc {HOST} 7000 </tmp/all")
    with guest(images, tap + server, script, "--memory", "512M") as vm:
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


def test_limits_hold_both_ways(images, tap, listener):
    """What goes through late is whole, and is no sooner there than a bucket
    and the rate allow: there is no other limit to a test's patience."""
    size, rate = 4 * MIB, 1 * MIB
    data = os.urandom(size)
    script = (f"nc {HOST} 7000 </dev/null >/tmp/r; md5sum </tmp/r; "
              f"nc {HOST} 7000 </tmp/r")
    with Guest("run", "--kernel", images.tuned, "--initrd", images.initramfs,
               "--net", f"tap={tap},rx-bw={rate},tx-bw={rate}",
               sh=UP + script) as vm:
        with listener.accept()[0] as connection:
            connection.settimeout(120)
            connection.sendall(data)
        connection = listener.accept()[0]
        connection.settimeout(120)
        begin, back = time.monotonic(), b""
        with connection:
            while piece := connection.recv(1 << 18):
                back += piece
        assert vm.finish(200) == 0
        assert hashlib.md5(data).hexdigest() in vm.text
    assert back == data
    assert time.monotonic() - begin > 2


@either_server
def test_ping_answers_and_addresses_are_as_given(images, tap, server):
    result = run("run", "--kernel", images.tuned, "--initrd",
                 images.initramfs, "--net",
                 f"tap={tap}{server},mac=02:11:22:33:44:55,mtu=1400",
                 sh=UP + f"ping -c 3 -W 2 {HOST} | grep -c ttl=; "
                 "cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu")
    assert result.stdout.split() == ["3", "02:11:22:33:44:55", "1400"]


@either_server
def test_card_survives_unbind_and_bind_under_traffic(images, tap, server):
    script = f"""
        d=/sys/bus/virtio/drivers/virtio_net
        v=$(basename $d/virtio*)
        for i in 1 2 3; do
            ping -f -c 200 -W 1 {HOST} >/dev/null 2>&1 &
            sleep 0.1
            echo $v >$d/unbind; wait; echo $v >$d/bind
            {UP}
        done
        ping -c 2 -W 2 {HOST} | grep -c ttl="""
    result = run("run", "--kernel", images.tuned, "--initrd",
                 images.initramfs, "--net", f"tap={tap}{server}",
                 sh=UP + script)
    assert result.stdout.strip() == "2", result.stdout + result.stderr


@either_server
def test_card_survives_reboots(images, tap, server):
    """With memory below and above the hole."""
    script = f"ping -c 3 -W 5 {HOST} | grep -c ttl=; reboot -f"
    with guest(images, tap + server, script, "--memory", "4G") as vm:
        for _ in range(3):
            vm.wait_for("3\r\n")
            vm.wait_for("Restarting system\r\n")
            vm.text = ""


def test_a_tap_that_is_not_there_is_made_and_goes_away(images):
    name = f"{TAP}b"
    result = run("run", "--kernel", images.tuned, "--initrd",
                 images.initramfs, "--net", f"tap={name}", "--", "ls",
                 "/sys/class/net")
    assert "eth0" in result.stdout.split()
    assert not os.path.exists(f"/sys/class/net/{name}")


def test_a_ready_tap_needs_no_rights(images):
    """A persistent tap that belongs to a user serves a VM of that user."""
    name = f"{TAP}c"
    files = [onggi.ONGGI, images.tuned, images.initramfs]
    subprocess.run(["ip", "tuntap", "add", name, "mode", "tap", "vnet_hdr",
                    "user", "65534"], check=True)
    # Opened here: that user may not enter all the folders above.
    files = [os.open(file, os.O_RDONLY) for file in files]
    try:
        with for_everybody("/dev/kvm", "/dev/net/tun"):
            program, kernel, initrd = (f"/proc/self/fd/{fd}" for fd in files)
            result = subprocess.run(
                ["setpriv", "--reuid=65534", "--regid=65534",
                 "--clear-groups", program, "run", "--kernel", kernel,
                 "--initrd", initrd, "--net", f"tap={name}", "--", "ls",
                 "/sys/class/net"],
                pass_fds=files, stdin=subprocess.DEVNULL, text=True,
                capture_output=True, check=False, timeout=120)
    finally:
        for fd in files:
            os.close(fd)
        subprocess.run(["ip", "link", "del", name], check=True)
    assert "eth0" in result.stdout.split(), result.stderr
