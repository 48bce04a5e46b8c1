"""Network cards with a pair of queues for each vCPU, on a multi-queue tap."""

import ctypes
import fcntl
import hashlib
import ipaddress
import os
import socket
import socketserver
import struct
import subprocess
import threading
from pathlib import Path

import pytest
from onggi import Guest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="taps need root")

MIB = 1 << 20
DATA = os.urandom(MIB)
DIGEST = hashlib.md5(DATA).hexdigest()

# As in test_net.py, of which these are neighbours.
TAP = f"onggi{os.getpid()}q"
NET = ipaddress.ip_address("198.19.0.0") + 4 * (os.getpid() % 16384)
HOST, GUEST = str(NET + 1), str(NET + 2)


@pytest.fixture(name="tap")
def multi_queue_tap_on_host():
    subprocess.run(["ip", "tuntap", "add", TAP, "mode", "tap", "vnet_hdr",
                    "multi_queue"], check=True)
    subprocess.run(["ip", "addr", "add", f"{HOST}/30", "dev", TAP], check=True)
    subprocess.run(["ip", "link", "set", TAP, "up"], check=True)
    yield TAP
    subprocess.run(["ip", "link", "del", TAP], check=True)


class Source(socketserver.BaseRequestHandler):
    """Hands out the data."""
    def handle(self):
        self.request.sendall(DATA)


class Sink(socketserver.BaseRequestHandler):
    """Notes what it gets."""
    digests = []

    def handle(self):
        digest = hashlib.md5()
        while data := self.request.recv(1 << 18):
            digest.update(data)
        self.digests.append(digest.hexdigest())


@pytest.fixture(name="peers")
def source_and_sink_on_host(tap):
    del tap
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    servers = [socketserver.ThreadingTCPServer((HOST, port), handler)
               for port, handler in ((7000, Source), (7001, Sink))]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(name="udp")
def datagrams_on_host(tap):
    """Those that came from the guest, as many of which are sent back, all in
    one."""
    del tap
    got = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HOST, 7002))
        server.setsockopt(socket.IPPROTO_UDP, 103, 1000)
        server.settimeout(120)

        def serve():
            while len(got) < len(PARTS):
                data, peer = server.recvfrom(2000)
                got.append(data)
            server.sendto(b"".join(PARTS), peer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield got
        thread.join()


def queues_of(tap):
    return len(list(Path(f"/sys/class/net/{tap}/queues").glob("tx-*")))


def takes_segments(tap):
    """Whether the host leaves TCP segmentation to the guest: ETHTOOL_GTSO."""
    value = ctypes.create_string_buffer(struct.pack("II", 0x1e, 0))
    request = struct.pack("16sQ8x", tap.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8946, request)
    return struct.unpack("II", value.raw[:8])[1] == 1


# Guests have no ethtool, but Debian's root has perl: ETHTOOL_GSTRINGS tells the
# number of the feature, ETHTOOL_SFEATURES sets it.
ETHTOOL = r"""
use strict;
my ($name, $on) = @ARGV;
socket(my $s, 2, 2, 0) or die;
sub ethtool { my $r = pack("a16P", "eth0", $_[0]);
              ioctl($s, 0x8946, $r) or die "$!\n"; }
my $names = pack("L3", 0x1b, 4, 0) . "\0" x 4096;
ethtool($names);
my ($n) = grep { unpack("Z32", substr($names, 12 + 32 * $_)) eq $name } 0..99;
my @f = (0, 0, 0, 0);
$f[2 * ($n >> 5)] = 1 << ($n & 31);
$f[2 * ($n >> 5) + 1] = $on << ($n & 31);
my $set = pack("L6", 0x3b, 2, @f);
ethtool($set);
"""

# One datagram of 40 that the kernel cuts up (UDP_SEGMENT), both ways; what came
# back is said.
UDP = r"""
use strict;
use Socket;
socket(my $s, PF_INET, SOCK_DGRAM, 17) or die;
bind($s, pack_sockaddr_in(7002, INADDR_ANY)) or die "$!";
connect($s, pack_sockaddr_in(7002, inet_aton($ARGV[0]))) or die "$!";
setsockopt($s, 17, 103, pack("i", 1000)) or die "$!";
send($s, join("", map { chr(48 + $_) x 1000 } 0..39), 0) == 40000 or die "$!";
my $got = "";
for (0..39) {
    recv($s, my $one, 2000, 0);
    $got .= length($one) . substr($one, 0, 1) . substr($one, 999, 1);
}
print "udp $got.\n";
"""
PARTS = [bytes([48 + i]) * 1000 for i in range(40)]

SCRIPT = f"""
mkdir /mnt; mount -o ro /dev/vda /mnt; mount -t tmpfs tmp /mnt/tmp
cat >/mnt/tmp/ethtool <<'END'
{ETHTOOL}
END
cat >/mnt/tmp/udp <<'END'
{UDP}
END
up() {{ ip addr add {GUEST}/30 dev eth0; ip link set eth0 up; }}
traffic() {{
    for cpu in 1 2; do
        taskset $cpu nc {HOST} 7000 </dev/null | md5sum &
        taskset $cpu nc {HOST} 7001 </tmp/data &
    done
    wait
    echo done $1; read line
}}
up; nc {HOST} 7000 </dev/null >/tmp/data
ls /sys/class/net/eth0/queues
cat /sys/class/net/eth0/device/features
chroot /mnt perl /tmp/udp {HOST}
traffic 1
chroot /mnt perl /tmp/ethtool rx-gro-hw 0
traffic 2
chroot /mnt perl /tmp/ethtool rx-gro-hw 1
traffic 3
d=/sys/bus/virtio/drivers/virtio_net
v=$(basename $d/virtio*)
for i in 1 2 3; do
    for cpu in 1 2; do
        taskset $cpu ping -f -c 200 -W 1 {HOST} >/dev/null 2>&1 &
    done
    sleep 0.1
    echo $v >$d/unbind; wait; echo $v >$d/bind; up
done
traffic 4
"""


@pytest.mark.portable
def test_two_pairs_carry_traffic_whole_whatever_the_driver_does(
        images, tap, peers, udp, tmp_path):
    """Both directions at once on both vCPUs; the same with receive offloads
    switched off and on again, and after the card was taken away. Before that,
    datagrams that are cut up by who receives them."""
    del peers
    script = tmp_path / "script"
    script.write_text(SCRIPT.ljust(8192, "\n"))
    with Guest("run", "--kernel", images.tuned, "--initrd", images.initramfs,
               "--disk", f"{images.debian_root},readonly", "--disk",
               f"{script},readonly", "--cpus", "2", "--net",
               f"tap={tap},queues=2,iothread=net", sh="sh /dev/vdb") as vm:
        text = vm.wait_for("udp ")
        assert set(text.split()) >= {"rx-0", "rx-1", "tx-0", "tx-1"}
        # 5.1.3: GUEST_USO4, GUEST_USO6 and HOST_USO, where Linux has them
        bits = next(word for word in text.split()
                    if len(word) == 64 and set(word) <= {"0", "1"})
        assert bits[54:57] in ("111", "000"), bits
        text = vm.wait_for(".")
        assert "".join(f"1000{2 * chr(48 + i)}" for i in range(40)) in text
        assert udp == PARTS
        for i in range(1, 5):
            text = vm.wait_for(f"done {i}")
            assert text.count(DIGEST) == 2, text
            assert Sink.digests == [DIGEST] * 2 * i
            assert queues_of(tap) == 2
            assert takes_segments(tap) == (i != 2)
            vm.text = ""
            vm.send("go on\n")
        assert vm.finish() == 0
        assert vm.process.stderr.read() == b""


def test_a_guest_with_one_vcpu_uses_one_pair_of_two(images, tap):
    with Guest("run", "--kernel", images.tuned, "--initrd", images.initramfs,
               "--net", f"tap={tap},queues=2",
               sh=f"ip addr add {GUEST}/30 dev eth0; ip link set eth0 up; "
               f"ping -c 2 -W 2 {HOST} | grep -c ttl=; echo up; read line") as vm:
        assert vm.wait_for("up").split()[-2:] == ["2", "up"]
        assert queues_of(tap) == 1
        vm.send("end\n")
        assert vm.finish() == 0
