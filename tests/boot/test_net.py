"""Network cards on taps of the host: traffic both ways, with checksums."""

import hashlib
import ipaddress
import os
import socket
import subprocess
import time

import onggi
import pytest
from onggi import Guest, for_everybody, has_virtiofsd, machine, run

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


# Who serves the card and so many MiB: those of vhost-net do not pass onggi.
either_amount = pytest.mark.parametrize("server, mib", [
    ("", 100), pytest.param(",vhost", 20, marks=VHOST.marks)])


@either_amount
@pytest.mark.portable
def test_many_mb_reach_the_guest_whole(images, tap, listener, server, mib):
    data = os.urandom(MIB)
    digest = hashlib.md5(data * mib).hexdigest()
    with guest(images, tap + server,
               f"nc {HOST} 7000 </dev/null | md5sum") as vm:
        connection = listener.accept()[0]
        connection.settimeout(120)
        with connection:
            for _ in range(mib):
                connection.sendall(data)
        assert vm.finish(200) == 0
        assert digest in vm.text


@either_amount
@pytest.mark.portable
def test_many_mb_come_from_the_guest_whole(images, tap, listener, server, mib):
    """The same MiB again and again, which is quickly compared."""
    script = ("head -c 1048576 /dev/urandom >/tmp/r; md5sum </tmp/r; "
              f"for i in $(seq {mib}); do cat /tmp/r; done >/tmp/all; "
              f"nc {HOST} 7000 </tmp/all")
    with guest(images, tap + server, script, "--memory", "512M") as vm:
        connection = listener.accept()[0]
        connection.settimeout(120)
        data = bytearray()
        with connection:
            while piece := connection.recv(1 << 18):
                data += piece
        vm.finish(200)
        assert hashlib.md5(data[:MIB]).hexdigest() in vm.text
        assert data == data[:MIB] * mib


@pytest.mark.portable
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


# SIOCETHTOOL, as ethtool -K does it: no package has that in the image.
OFFLOADS_OFF = """perl -e '
    socket(S, 2, 2, 0) or die;
    for ([0x1f, "tso"], [0x24, "gso"], [0x2c, "gro"], [0x17, "tx"]) {
        my $value = pack("LL", $_->[0], 0);
        my $request = pack("a16 P", "eth0", $value);
        ioctl(S, 0x8946, $request) or die "$_->[1]: $!";
    }' || exit 9
"""

IPERF3 = """
ok() { "$@" >/run/log 2>&1 || { cat /run/log; exit 1; }; }
for way in "" -R; do
    for streams in 1 4; do
        ok iperf3 -c HOST -t 1 -P $streams $way
    done
    ok iperf3 -c HOST -t 1 -u -b 0 -l 64 $way
    grep -q '/[1-9][0-9]* .*receiver' /run/log || { cat /run/log; exit 2; }
done
ping -c 3 -W 5 HOST | grep -c ttl=
""".replace("HOST", HOST)


@pytest.mark.parametrize("before", ["", OFFLOADS_OFF], ids=["on", "off"])
@pytest.mark.portable
def test_streams_and_floods_with_offloads(images, tap, before):
    """One stream and four, and floods of small packets of UDP, to the host and
    from it: the card answers afterwards."""
    with subprocess.Popen(["iperf3", "-s", "-B", HOST],
                          stdout=subprocess.DEVNULL) as server:
        try:
            result = run("run", "--kernel", images.tuned, "--memory", "256M",
                         "--disk", f"{images.debian_root},root,readonly",
                         "--cmdline", "init=/usr/lib/onggi/init", "--net",
                         f"tap={tap}", sh=UP + before + IPERF3, timeout=300)
        finally:
            server.terminate()
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.split()[-1] == "3", result.stdout


@either_server
def test_ping_answers_and_addresses_are_as_given(images, tap, server):
    result = run("run", "--kernel", images.tuned, "--initrd",
                 images.initramfs, "--net",
                 f"tap={tap}{server},mac=02:11:22:33:44:55,mtu=1400",
                 sh=UP + f"ping -c 3 -W 2 {HOST} | grep -c ttl=; "
                 "cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu")
    assert result.stdout.split() == ["3", "02:11:22:33:44:55", "1400"]


def test_a_stock_kernel_drives_each_device(images, tap, tmp_path):
    """Debian's modules find all of them, and pass traffic."""
    hvc, pmem, folder = (tmp_path / name for name in ("hvc", "pmem", "folder"))
    pmem.touch()
    os.truncate(pmem, 64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", pmem], check=True)
    # Debian's for arm64 has no DAX
    dax = "-o dax=always" if machine.STOCK_HAS_DAX else ""
    folder.mkdir()
    (folder / "from-host").write_text("content\n", encoding="utf-8")
    drivers = ["virtio_blk", "virtio_net", "virtio_rng", "virtio_balloon",
               "virtio_console", "virtio_pmem", "vmw_vsock_virtio_transport"]
    share, script = [], ""
    if has_virtiofsd():
        drivers.append("virtiofs")
        share = ["--share", f"{folder}:data"]
        script = """
        mount -t virtiofs data /mnt && cat /mnt/from-host || exit 2
        echo guest >/mnt/from-guest && umount /mnt"""
    result = run("run", "--kernel", images.debian_vmlinuz, "--initrd",
                 images.debian_initrd, "--memory", "512M", "--cmdline",
                 "init=/usr/lib/onggi/init", "--disk",
                 f"{images.debian_root},root,readonly", "--net",
                 f"tap={tap},mac=02:11:22:33:44:55", "--vsock",
                 tmp_path / "vsock", "--balloon", "stats=1", "--console",
                 "stdio", "--hvc", f"file={hvc}", "--pmem", pmem, *share,
                 sh=f"""
        for d in /sys/bus/virtio/devices/*; do
            modprobe $(cat $d/modalias)
            [ -e $d/driver ] || {{ echo $d has no driver; exit 1; }}
            basename $(readlink $d/driver)
        done
        echo to hvc0 >/dev/hvc0
        {UP}
        cat /sys/class/net/eth0/address
        ping -c 2 -W 5 {HOST} | grep -c ttl=
        modprobe nd_pmem && mount {dax} /dev/pmem0 /mnt || exit 3
        echo hello >/mnt/file && umount /mnt || exit 4{script}""", timeout=240)
    assert result.returncode == 0, result.stdout + result.stderr
    assert sorted(result.stdout.split()) == sorted((
        *drivers, "02:11:22:33:44:55", "2", *(["content"] if share else [])))
    assert "to hvc0" in hvc.read_text(encoding="utf-8")
    assert subprocess.run(["e2fsck", "-fn", pmem], check=False,
                          stdout=subprocess.DEVNULL).returncode == 0
    assert b"hello\n" in pmem.read_bytes()
    if share:
        assert (folder / "from-guest").read_text(
            encoding="utf-8") == "guest\n"


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
@pytest.mark.portable
def test_card_survives_a_tap_that_is_down(images, tap, server):
    """What is sent meanwhile is lost, and nothing else."""
    script = f"""
        answers() {{ ping -c 1 -W 1 {HOST} >/dev/null; }}
        until answers; do :; done; echo ready
        while answers; do :; done
        ping -i 0.05 -c 40 -W 1 {HOST} >/dev/null; echo down
        until answers; do :; done; echo up"""
    with guest(images, tap + server, script) as vm:
        vm.wait_for("ready")
        subprocess.run(["ip", "link", "set", tap, "down"], check=True)
        vm.wait_for("down")
        subprocess.run(["ip", "link", "set", tap, "up"], check=True)
        assert vm.finish() == 0
    assert vm.text.split() == ["ready", "down", "up"]


@either_server
@pytest.mark.portable
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


@pytest.mark.portable
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
