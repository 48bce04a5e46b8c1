"""The memory of a virtual machine monitor besides its guest's.

Guest memory is one range of addresses, found as the largest mapping of the
process together with those neighbours that touch it without a gap and are of
its kind: anonymous, same access, same flags but for the advice on huge pages;
or pages of a kernel's file.
Where its size is not that of the guest's memory, with up to 2 MiB of
alignment, nothing is said. All other mappings count with their Rss: code, heap,
stacks, rings, what is shared with the kernel.
"""

import re
from dataclasses import dataclass

ALIGNMENT = 2 << 20
HUGE_PAGE_ADVICE = {"hg", "nh"}


class NotFound(Exception):
    pass


@dataclass
class Mapping:
    start: int
    end: int
    access: str
    path: str
    rss_kib: int = 0
    flags: frozenset = frozenset()

    @property
    def size(self):
        return self.end - self.start


def read(pid):
    mappings = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        for line in file:
            head = re.match(r"(\w+)-(\w+) (\S+) \S+ \S+ \d+ *(.*)", line)
            if head:
                start, end, access, path = head.groups()
                mappings.append(Mapping(int(start, 16), int(end, 16), access,
                                        path))
            elif line.startswith("Rss:"):
                mappings[-1].rss_kib = int(line.split()[1])
            elif line.startswith("VmFlags:"):
                mappings[-1].flags = frozenset(line.split()[1:])
    return mappings


def guest_part(mappings, guest_size, kernel):
    """The slice of mappings that is guest memory."""
    first = last = max(range(len(mappings)), key=lambda i: mappings[i].size)

    def kind(m):
        return m.access, m.path, m.flags - HUGE_PAGE_ADVICE

    guest = kind(mappings[first])

    def belongs(m):
        return kind(m) == guest or m.path == str(kernel)

    while first > 0 and belongs(mappings[first - 1]) and (
            mappings[first - 1].end == mappings[first].start):
        first -= 1
    while last + 1 < len(mappings) and belongs(mappings[last + 1]) and (
            mappings[last].end == mappings[last + 1].start):
        last += 1
    size = mappings[last].end - mappings[first].start
    if not guest_size <= size <= guest_size + ALIGNMENT:
        raise NotFound(f"{size >> 10} KiB look like guest memory, instead of "
                       f"{guest_size >> 10}")
    return slice(first, last + 1)


def beyond_guest_kib(pid, guest_size, kernel):
    mappings = read(pid)
    del mappings[guest_part(mappings, guest_size, kernel)]
    return sum(m.rss_kib for m in mappings)
