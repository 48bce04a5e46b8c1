"""Network cards behind passt: a guest on the network without any rights."""

import hashlib
import http.server
import os
import shutil
import socket
import subprocess
import threading
import urllib.request
from pathlib import Path

import onggi
import pytest
from onggi import Guest, for_everybody
from passt import each_way, with_first

MIB = 1 << 20

# Up by DHCP, saying what that brought.
UP = """echo '#!/bin/sh
[ $1 = bound ] || exit 0
ip addr add $ip/$mask dev $interface
ip route add default via $router
echo dhcp $ip/$mask $router dns=$dns.' >/tmp/dhcp; chmod +x /tmp/dhcp
ip link set lo up
up() {
ip link set eth0 up
udhcpc -q -n -i eth0 -s /tmp/dhcp >/tmp/said 2>&1; grep ^dhcp /tmp/said
}
up
"""


def nameservers():
    """What passt tells the guest: its gateway stands for the host's own."""
    lines = Path("/etc/resolv.conf").read_text(encoding="utf-8").splitlines()
    servers = [words[1] for line in lines if (words := line.split())
               and words[0] == "nameserver" and ":" not in words[1]]
    return " ".join("10.0.2.2" if server.startswith("127.") else server
                    for server in servers)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Handler(http.server.BaseHTTPRequestHandler):
    """Hands out data, and takes what is sent."""
    data = os.urandom(8 * MIB)
    taken = b""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.data)))
        self.end_headers()
        self.wfile.write(self.data)

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        type(self).taken = self.rfile.read(length)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


@pytest.fixture(name="server")
def server_on_loopback():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(name="tftp")
def tftp_server_on_loopback():
    """Answers every request with a file of one block (RFC 1350)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve():
            while (request := server.recvfrom(600))[0] != b"end":
                if request[0][:2] == b"\0\1":
                    name = request[0][2:].split(b"\0")[0]
                    server.sendto(b"\0\3\0\1file " + name + b" by UDP\n",
                                  request[1])

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.sendto(b"end", server.getsockname())
        thread.join()


def fetch(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}",
                                timeout=60) as answer:
        return answer.read()


def digest(data):
    return hashlib.md5(data).hexdigest()


def send_until(vm, port, text):
    """Sends datagrams until the guest says text."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        sent = threading.Event()

        def repeat():
            while not sent.wait(0.3):
                client.sendto(b"data", ("127.0.0.1", port))

        thread = threading.Thread(target=repeat)
        thread.start()
        try:
            vm.wait_for(text, 30)
        finally:
            sent.set()
            thread.join()


def children(pid):
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return path.read_text(encoding="utf-8").split()


# Takes the card from its driver amid traffic, and gives it back.
UNBIND_AND_BIND = """d=/sys/bus/virtio/drivers/virtio_net
v=$(basename $d/virtio*); echo $v >$d/unbind; kill $!; echo $v >$d/bind; up"""

# What it says when passt is killed tells what served the card.
GONE = {
    "user": "net user: passt: the back-end closed the connection",
    "user,stream": "error: net: passt is gone, and the link down",
}


@each_way
def test_a_guest_on_the_hosts_network_and_its_reboot(images, server, tftp,
                                                     net, folder):
    """Addresses, both directions and published ports, all of it once more
    after a reboot amid traffic; then passt is killed, and the VM lives on."""
    port, udp = free_port(), free_port()
    iothread = ",iothread=net" if "stream" in net else ""
    script = UP + f"""
        wget -q -O /dev/null http://10.0.2.2:{server}/ & usleep 50000
        {UNBIND_AND_BIND}
        mkdir /tmp/www; head -c {4 * MIB} /dev/urandom >/tmp/www/data
        httpd -p 80 -h /tmp/www
        echo data $(md5sum </tmp/www/data)
        wget -q -O - http://10.0.2.2:{server}/ | md5sum
        tftp -g -r hello -l /tmp/hello 10.0.2.2 {tftp}; cat /tmp/hello
        echo ready
        # nobody listens there, which is counted
        until grep -q '^Udp: [0-9]* [1-9]' /proc/net/snmp
        do usleep 100000; done; echo a datagram came
        read what
        while [ $what = reboot ]; do
            wget -q -O /dev/null http://10.0.2.2:{server}/ &
            usleep 100000; reboot -f
        done
        until grep -q 0 /sys/class/net/eth0/carrier; do usleep 100000; done
        echo no carrier"""
    with Guest("run", "--kernel", images.tuned, "--initrd", images.initramfs,
               "--net", f"{net},publish={port}:80,publish=udp:{udp}:53"
               f"{iothread}", sh=script, env=with_first(folder)) as vm:
        passts = set()
        for what in ("reboot", "stay"):
            text = vm.wait_for("ready")
            send_until(vm, udp, "a datagram came")
            passt, = children(vm.process.pid)
            passts.add(passt)
            assert (f"dhcp 10.0.2.15/24 10.0.2.2 dns={nameservers()}."
                    in text), text
            assert digest(Handler.data) in text
            assert f"data {digest(fetch(port, 'data'))}" in text
            assert "file hello by UDP" in text
            vm.text = ""
            vm.send(f"{what}\n")
        assert len(passts) == 1
        subprocess.run(["kill", "-KILL", passt], check=True)
        vm.wait_for("no carrier")
        assert vm.finish() == 0
        line, = vm.process.stderr.read().decode().splitlines()
        assert GONE[net] in line
    assert not Path(f"/proc/{passt}").exists()


@pytest.fixture(name="ipv6_route")
def default_route_of_ipv6():
    """Without one, passt has nothing to take a link-local address from."""
    names = [f"onggi6{end}-{os.getpid()}" for end in "ab"]
    lines = [f"link add {names[0]} type veth peer name {names[1]}",
             *(f"link set {name} up" for name in names),
             f"addr add fd00:db8::1/64 dev {names[0]} nodad",
             f"-6 route add default via fd00:db8::2 dev {names[0]}"]
    try:
        for line in lines:
            subprocess.run(["ip", *line.split()], check=True)
        yield
    finally:
        subprocess.run(["ip", "link", "del", names[0]], check=False)


class ServerOfIPv6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


@each_way
@pytest.mark.portable
@pytest.mark.skipif(os.geteuid() != 0, reason="routes need root")
@pytest.mark.usefixtures("ipv6_route")
def test_ipv6_is_there_by_itself(images, net, folder):
    """An address and a route by router advertisements, and the host's loopback
    behind the gateway."""
    with ServerOfIPv6(("::1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        script = f"""ip link set lo up; ip link set eth0 up
            for i in $(seq 200); do
                ip -6 addr show dev eth0 scope global | grep -v tentative |
                    grep -o 'fd6f:6e67:6769:[^ ]*' && break; usleep 100000
            done
            ip -6 route | grep -o '^default via fe80:'
            wget -q -O - 'http://[fd6f:6e67:6769::2]:{server.server_port}/' |
                md5sum"""
        with Guest("run", "--kernel", images.tuned, "--initrd",
                   images.initramfs, "--net", net, sh=script,
                   env=with_first(folder)) as vm:
            assert vm.finish() == 0
        server.shutdown()
    assert "fd6f:6e67:6769:" in vm.text, vm.text
    assert "default via fe80:" in vm.text, vm.text
    assert digest(Handler.data) in vm.text, vm.text


@pytest.mark.skipif(not shutil.which("passt"),
                    reason="passt is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="root becomes another user")
@pytest.mark.portable
def test_a_user_without_rights_has_a_network(images, server):
    files = [onggi.ONGGI, images.tuned, images.initramfs]
    files = [os.open(file, os.O_RDONLY) for file in files]
    data = b"from the guest\n" * 20000
    script = UP + f"""
        yes 'from the guest' | head -n 20000 >/tmp/data
        wget -q -O - --post-file=/tmp/data http://10.0.2.2:{server}/"""
    try:
        with for_everybody("/dev/kvm"):
            program, kernel, initrd = (f"/proc/self/fd/{fd}" for fd in files)
            result = subprocess.run(
                ["setpriv", "--reuid=65534", "--regid=65534",
                 "--clear-groups", program,
                 *onggi.command(["run", "--kernel", kernel, "--initrd", initrd,
                                 "--net", "user"], script)[1:]],
                pass_fds=files, stdin=subprocess.DEVNULL, text=True,
                capture_output=True, check=False, timeout=120)
    finally:
        for fd in files:
            os.close(fd)
    assert (result.returncode, result.stderr) == (0, "")
    assert digest(Handler.taken) == digest(data)
