"""A vhost-user back-end with a network of one: a neighbour of every address,
which answers ARP and ping, for itself and with the guest's own bytes."""

import os
import select
import struct
import threading

from vhost_backend import Backend

HEADER = 12  # virtio 1.2, 5.1.6
MAC = bytes.fromhex("0200c0ffee01")
RX, TX = 0, 1


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[:len(data) & ~1]))
    total += data[-1] << 8 if len(data) % 2 else 0
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def answer(frame):
    """What the neighbour says to a frame, or None."""
    mac, kind = frame[6:12], frame[12:14]
    if kind == b"\x08\x06" and frame[20:22] == b"\0\1":
        body = frame[14:20] + b"\0\2" + MAC + frame[38:42] + frame[22:32]
    elif kind == b"\x08\0" and frame[23] == 1 and frame[34] == 8:
        icmp = b"\0\0\0\0" + frame[38:]
        icmp = b"\0\0" + struct.pack("!H", checksum(icmp)) + icmp[4:]
        body = frame[14:26] + frame[30:34] + frame[26:30] + icmp
    else:
        return None
    return mac + MAC + kind + body


class NetBackend(Backend):
    """Serves one queue pair with plain frames."""

    def __init__(self, path):
        self.server = None
        self.wake = os.eventfd(0)
        super().__init__(path, queues=2)

    def __exit__(self, *args):
        super().__exit__(*args)
        self.stop()
        os.close(self.wake)

    def reset(self):
        self.stop()
        super().reset()

    def started(self, index, ring):
        if index == TX and not self.server:
            self.server = threading.Thread(
                target=self.serve_rings, args=(ring,), daemon=True)
            self.server.start()

    def stopped(self, index):
        if index == TX:
            self.stop()

    def stop(self):
        server, self.server = self.server, None
        if server:
            os.eventfd_write(self.wake, 1)
            server.join()
            os.eventfd_read(self.wake)

    def serve_rings(self, tx):
        while True:
            ready = select.select([tx.kick, self.wake], [], [])[0]
            if self.wake in ready:
                return
            os.eventfd_read(tx.kick)
            while (frame := self.take(tx)) is not None:
                said = answer(frame[HEADER:])
                if said:
                    self.give(self.rings[RX], bytes(HEADER) + said)

    def at(self, address, size, base=2):
        """Memory at an address of the front-end's (base 2) or guest's (0)."""
        for region in self.regions:
            offset = address - region[base]
            if 0 <= offset and offset + size <= region[1]:
                return memoryview(region[3])[offset:offset + size]
        raise IndexError(hex(address))

    def number(self, address):
        return struct.unpack("<H", self.at(address, 2))[0]

    def chain(self, ring):
        """Head and buffers of the next chain, or None."""
        if self.number(ring.avail + 2) == ring.next_avail:
            return None
        head = self.number(ring.avail + 4 +
                           2 * (ring.next_avail % ring.size))
        ring.next_avail = (ring.next_avail + 1) & 0xffff
        index, buffers, flags = head, [], 1
        while flags & 1:
            address, size, flags, following = struct.unpack(
                "<QIHH", self.at(ring.desc + 16 * index, 16))
            buffers.append(self.at(address, size, 0))
            index = following
        return head, buffers

    def use(self, ring, head, size):
        idx = self.number(ring.used + 2)
        self.at(ring.used + 4 + 8 * (idx % ring.size), 8)[:] = \
            struct.pack("<II", head, size)
        self.at(ring.used + 2, 2)[:] = struct.pack("<H", (idx + 1) & 0xffff)
        os.eventfd_write(ring.call, 1)

    def take(self, ring):
        found = self.chain(ring)
        if not found:
            return None
        frame = b"".join(bytes(b) for b in found[1])
        self.use(ring, found[0], 0)
        return frame

    def give(self, ring, frame):
        found = self.chain(ring)
        if not found:
            return
        left = frame
        for buffer in found[1]:
            some = min(len(buffer), len(left))
            buffer[:some] = left[:some]
            left = left[some:]
        self.use(ring, found[0], len(frame) - len(left))
