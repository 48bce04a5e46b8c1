"""A vhost-user back-end in a thread: one that keeps to the protocol, and can be
told to break it. Subclasses serve the rings."""

import mmap
import os
import socket
import struct
import threading

(GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE, SET_VRING_NUM,
 SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK,
 SET_VRING_CALL, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM,
 SET_VRING_ENABLE, GET_CONFIG) = (1, 2, 3, 5, 8, 9, 10, 11, 12, 13, 15, 16, 17,
                                  18, 24)

VERSION_1, RING_EVENT_IDX, RING_INDIRECT = 1 << 32, 1 << 29, 1 << 28
PROTOCOL_FEATURES = 1 << 30
MQ, REPLY_ACK, CONFIG = 1 << 0, 1 << 3, 1 << 9
NEED_REPLY = 8


class Ring:
    """A split virtqueue in the front-end's memory (virtio 1.2, 2.7)."""

    def __init__(self):
        self.size = self.next_avail = 0
        self.desc = self.avail = self.used = 0
        self.kick = self.call = None


class Backend:
    """Serves one connection after the other. bad maps requests to what is sent
    instead of an answer: bytes, or None for the end."""

    features = VERSION_1 | PROTOCOL_FEATURES
    protocol = MQ | REPLY_ACK | CONFIG

    def __init__(self, path, config=b"", queues=1, bad=None):
        self.path = str(path)
        self.config = config
        self.queues = queues
        self.bad = bad or {}
        self.requests = []
        self.connections = 0
        self.regions = []  # guest address, size, front-end's address, mapping
        self.rings = {}
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.connection = None
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # wakes up accept()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.hang_up()
        self.thread.join()
        self.listener.close()
        self.reset()
        os.unlink(self.path)

    def hang_up(self):
        if self.connection:
            try:
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept(self):
        while True:
            try:
                self.connection = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            with self.connection:
                try:
                    while self.serve():
                        pass
                except ConnectionError:
                    pass
            self.reset()

    def reset(self):
        for ring in self.rings.values():
            for fd in (ring.kick, ring.call):
                if fd is not None:
                    os.close(fd)
        self.rings = {}
        for *_, mapping in self.regions:
            mapping.close()
        self.regions = []

    def receive(self, size):
        data, fds = b"", []
        while len(data) < size:
            more, some, _, _ = socket.recv_fds(self.connection,
                                               size - len(data), 8)
            if not more:
                raise ConnectionResetError
            data += more
            fds += some
        return data, fds

    def reply(self, request, payload):
        self.connection.sendall(
            struct.pack("=III", request, 5, len(payload)) + payload)

    def serve(self):
        """One request; False at the end."""
        header, fds = self.receive(12)
        request, flags, size = struct.unpack("=III", header)
        payload = self.receive(size)[0] if size else b""
        if request in self.bad:
            if self.bad[request] is not None:
                self.connection.sendall(self.bad[request])
            self.requests.append(request)
            return self.bad[request] is not None
        with self.lock:
            answer = self.handle(request, payload, fds)
        for fd in fds:
            os.close(fd)
        if answer is not None:
            self.reply(request, answer)
        elif flags & NEED_REPLY:
            self.reply(request, bytes(8))
        self.requests.append(request)
        return True

    def handle(self, request, payload, fds):
        number = struct.unpack_from("=Q", payload.ljust(8, b"\0"))[0]
        index, value = number & 0xffffffff, number >> 32
        if request == GET_FEATURES:
            return struct.pack("=Q", self.features)
        if request == GET_PROTOCOL_FEATURES:
            return struct.pack("=Q", self.protocol)
        if request == GET_QUEUE_NUM:
            return struct.pack("=Q", self.queues)
        if request == GET_CONFIG:
            return payload[:12] + self.config[:len(payload) - 12]
        if request == SET_MEM_TABLE:
            self.take_memory(payload, fds)
            return None
        ring = self.rings.setdefault(index & 0xff, Ring())
        if request == SET_VRING_NUM:
            ring.size = value
        elif request == SET_VRING_BASE:
            ring.next_avail = value
        elif request == SET_VRING_ADDR:
            ring.desc, ring.used, ring.avail = \
                struct.unpack_from("=QQQ", payload, 8)
        elif request == SET_VRING_CALL:
            ring.call = os.dup(fds[0])
        elif request == SET_VRING_KICK:
            ring.kick = os.dup(fds[0])
            self.started(index & 0xff, ring)
        elif request == GET_VRING_BASE:
            self.stopped(index)
            return struct.pack("=II", index, ring.next_avail)
        return None

    def take_memory(self, payload, fds):
        count = struct.unpack_from("=I", payload)[0]
        self.regions = []
        for i in range(count):
            gpa, size, address, offset = \
                struct.unpack_from("=QQQQ", payload, 8 + 32 * i)
            mapping = mmap.mmap(fds[i], size, offset=offset)
            self.regions.append((gpa, size, address, mapping))

    def started(self, index, ring):
        """A ring is there to be served; the lock is held."""

    def stopped(self, index):
        """It is not any more."""
