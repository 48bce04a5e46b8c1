"""Stream sockets between guest and host, by the Unix socket of --vsock.

The guest's part is a program in perl (vsock_guest.pl), which comes on a disk.
"""

import contextlib
import hashlib
import os
import selectors
import socket
import threading
import time
from pathlib import Path

import pytest
from onggi import Guest

PROGRAM = (Path(__file__).parent / "vsock_guest.pl").read_bytes()

# What 50 connections at once move, each and either way: more than all buffers
# between the two ends hold. The emulated machine is slow.
CONNECTIONS = 50
SIZE = (1 << 20) if os.environ.get("ONGGI_TESTBED") else (20 << 20)


@pytest.fixture(name="stock")
def stock_kernel(images):
    """Arguments for it, and what its script has to do first."""
    return (["--kernel", images.debian_vmlinuz, "--initrd",
             images.debian_initrd],
            "modprobe vmw_vsock_virtio_transport || exit 1\n")


@pytest.fixture(name="tuned")
def tuned_kernel(images):
    return ["--kernel", images.tuned], ""


@pytest.fixture(name="start")
def starter(images, tmp_path):
    """start(kernel, script): a guest whose script finds the program in $p."""
    disk = tmp_path / "program"
    disk.write_bytes(PROGRAM.ljust(-len(PROGRAM) // 512 * -512, b"\n"))

    def start(kernel, script, *args):
        options, first = kernel
        return Guest("run", *options, "--memory", "512M", "--disk",
                     f"{images.debian_root},root,readonly", "--disk",
                     f"{disk},readonly", "--vsock", tmp_path / "v", *args,
                     "--cmdline", "init=/usr/lib/onggi/init",
                     sh=f"{first}p=/run/p; cp /dev/vdb $p\n{script}")
    return start


def connect(path, port, timeout=120):
    """A connection to the guest's port; None when it is refused."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(timeout)
    client.connect(str(path))
    client.sendall(b"CONNECT %d\n" % port)
    line = b""
    while not line.endswith(b"\n"):
        byte = client.recv(1)
        if not byte:
            client.close()
            return None
        line += byte
    word, number = line.split()
    assert word == b"OK" and int(number) >= 1 << 30
    return client


@contextlib.contextmanager
def listener(path, port):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{path}_{port}")
        server.listen(128)
        server.settimeout(200)
        yield server


def accept(server):
    client = server.accept()[0]
    client.settimeout(200)
    return client


def receive_all(client):
    data = b""
    while piece := client.recv(1 << 16):
        data += piece
    return data


class Stream:
    """One end of a connection, whose other end sends everything back."""

    def __init__(self, client, size):
        client.setblocking(False)
        self.client = client
        self.block = os.urandom(1 << 16)
        self.left = size
        self.sent, self.got = hashlib.md5(), hashlib.md5()
        self.received = 0

    def send(self):
        """Whether there is more to be sent."""
        piece = self.block[-self.left % len(self.block):][:self.left]
        count = self.client.send(piece)
        self.sent.update(piece[:count])
        self.left -= count
        if not self.left:
            self.client.shutdown(socket.SHUT_WR)
        return self.left > 0

    def receive(self):
        """Whether there is more to come."""
        data = self.client.recv(1 << 18)
        self.got.update(data)
        self.received += len(data)
        return bool(data)


def fill(streams, selector):
    """Sends until nobody takes any more, as nobody reads."""
    for stream in streams:
        selector.register(stream.client, selectors.EVENT_WRITE, stream)
    while ready := selector.select(3):
        for key, _ in ready:
            key.data.send()
            # or else the buffers have no end
            assert key.data.left, "all of it was taken"
    for stream in streams:
        selector.unregister(stream.client)


def exchange(clients, size=SIZE, full=False):
    """Sends size bytes to each, all at once, and takes as many; each ends its
    own direction first, and the guest's program the other one."""
    streams = [Stream(client, size) for client in clients]
    with selectors.DefaultSelector() as selector:
        if full:
            fill(streams, selector)
        for stream in streams:
            selector.register(stream.client,
                              selectors.EVENT_READ | selectors.EVENT_WRITE,
                              stream)
        while selector.get_map():
            ready = selector.select(120)
            assert ready, [stream.received for stream in streams]
            for key, events in ready:
                if events & selectors.EVENT_WRITE and not key.data.send():
                    selector.modify(key.fileobj, selectors.EVENT_READ,
                                    key.data)
                if events & selectors.EVENT_READ and not key.data.receive():
                    selector.unregister(key.fileobj)
    for stream in streams:
        assert stream.received == size and not stream.left
        assert stream.got.digest() == stream.sent.digest()
        stream.client.close()


@pytest.mark.portable
def test_many_connections_of_the_host_move_data_both_ways(tuned, start,
                                                          tmp_path):
    """None of 50 connections loses or mixes up bytes, or holds another one up,
    also after all of them have filled whatever there is between the two ends;
    and that has an end."""
    with start(tuned, "perl $p echo 52") as vm:
        vm.wait_for("listening")
        exchange([connect(tmp_path / "v", 52) for _ in range(CONNECTIONS)],
                 full=True)


@pytest.mark.portable
def test_many_connections_of_the_guest_move_data_both_ways(tuned, start,
                                                           tmp_path):
    """The same the other way round, and the guest's processes see the end."""
    with listener(tmp_path / "v", 53) as server:
        with start(tuned, f"perl $p dial 53 {CONNECTIONS} && echo do''ne") \
                as vm:
            exchange([accept(server) for _ in range(CONNECTIONS)], full=True)
            vm.wait_for("done")
            assert vm.finish() == 0


def test_connections_of_a_stock_guest_move_data_both_ways(stock, start,
                                                          tmp_path):
    """Debian's driver does it, too: a few of the guest's, then of the host's,
    each of which takes more than the buffers."""
    with listener(tmp_path / "v", 53) as server:
        with start(stock, "perl $p dial 53 4 && exec perl $p echo 52") as vm:
            exchange([accept(server) for _ in range(4)], full=True)
            vm.wait_for("listening")
            exchange([connect(tmp_path / "v", 52) for _ in range(4)],
                     full=True)


@pytest.mark.portable
def test_half_closed_connections_go_on(tuned, start, tmp_path):
    with listener(tmp_path / "v", 53) as server:
        with start(tuned, "perl $p ask 53 question") as vm:
            client = accept(server)
            # its end comes before ours
            assert receive_all(client) == b"question"
            client.sendall(b"answer")
            client.close()
            vm.wait_for("answer")
            assert vm.finish() == 0


@pytest.mark.portable
def test_refusals_are_told(tuned, start, tmp_path):
    (tmp_path / "v_54").write_text("no socket")
    with start(tuned, """
            perl $p ask 53 x
            perl $p ask 54 x
            exec perl $p echo 52""") as vm:
        vm.wait_for("listening")
        assert vm.text.count("connect: Connection reset by peer") == 2
        assert connect(tmp_path / "v", 51) is None
        exchange([connect(tmp_path / "v", 52)], 1000)


@pytest.mark.portable
def test_ends_that_vanish_are_noticed(tuned, start, tmp_path):
    """Both a program of the host's and one of the guest's are gone in the midst
    of their traffic."""
    with listener(tmp_path / "v", 53) as server:
        with start(tuned, """
                perl $p pour 53
                perl $p pour 53 &
                read x; kill -9 $!
                exec perl $p echo 52""") as vm:
            client = accept(server)
            client.recv(1000)
            client.close()
            vm.wait_for("write: ")
            client = accept(server)
            client.recv(1000)
            vm.send("x\n")
            assert set(receive_all(client)) <= set(b"x")
            vm.wait_for("listening")
            exchange([connect(tmp_path / "v", 52)], 1000)


@pytest.mark.portable
def test_connections_end_with_a_reboot_and_the_socket_stays(tuned, start,
                                                            tmp_path):
    with start(tuned, "perl $p echo 52 & sleep 1; read x; reboot -f") as vm:
        vm.wait_for("listening")
        client = connect(tmp_path / "v", 52)
        before = os.lstat(tmp_path / "v")
        vm.text = ""
        vm.send("x\n")
        assert receive_all(client) == b""
        # which may connect as early as it wants to
        early = socket.socket(socket.AF_UNIX)
        early.connect(str(tmp_path / "v"))
        vm.wait_for("listening")
        exchange([connect(tmp_path / "v", 52)], 1000)
        early.sendall(b"CONNECT 52\n")
        early.settimeout(60)
        assert early.recv(3) == b"OK "
        assert os.lstat(tmp_path / "v").st_ino == before.st_ino


class Pump(threading.Thread):
    """Keeps a connection busy, and opens another one whenever it is lost."""

    def __init__(self, path, port):
        super().__init__()
        self.path, self.port = path, port
        self.moved = self.lost = 0
        self.stopping = False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.join()

    def move(self, client):
        while client and not self.stopping:
            client.sendall(bytes(30000))
            if not client.recv(30000):
                break
            self.moved += 1

    def run(self):
        while not self.stopping:
            try:
                self.move(connect(self.path, self.port, timeout=10))
            except OSError:
                pass
            self.lost += 1

    def wait(self, counter, steps, timeout=100):
        """Until the counter has gone on."""
        before, end = getattr(self, counter), time.monotonic() + timeout
        while getattr(self, counter) < before + steps:
            assert time.monotonic() < end, counter
            time.sleep(0.05)


def test_the_driver_is_unbound_and_bound_again_under_traffic(tuned, start,
                                                             tmp_path):
    with start(tuned, """
            perl $p echo 52 &
            cd /sys/bus/virtio/drivers/vmw_vsock_virtio_transport
            v=$(echo virtio*)
            for i in 1 2 3; do
                read x; echo $v >unbind
                read x; echo $v >bind
            done
            wait""") as vm:
        vm.wait_for("listening")
        with Pump(tmp_path / "v", 52) as pump:
            for _ in range(3):
                pump.wait("moved", 2)
                vm.send("unbind\n")
                pump.wait("lost", 1)
                vm.send("bind\n")
            pump.wait("moved", 2)
        exchange([connect(tmp_path / "v", 52)], 100000)
