"""What there is to install and to keep."""

import os

from comparison.session import Dimension, Measure


def bytes_of(files):
    """Of files once each, however often they are linked to."""
    stats = {(s.st_dev, s.st_ino): s for s in map(os.stat, files)}
    return sum(s.st_size for s in stats.values())


class Size(Dimension):
    key = "size"
    title = "Size on disk"
    text = ("The program with its shared libraries and, for a VM, the guest "
            "kernel. The root image is the same for all.")

    def steps(self, session):
        return len(session.subjects)

    def measures(self, session):
        yield Measure("size.total", "all that it needs but the image", "MiB")
        yield Measure("size.program", "program and libraries", "MiB")
        yield Measure("size.kernel", "guest kernel", "MiB")
        yield Measure("size.image", "root image, allocated", "MiB", "none")

    def measure(self, session):
        def take(subject):
            place = session.place
            kernel = subject.kernel_file(place)
            program_bytes = bytes_of(subject.files())
            kernel_bytes = bytes_of([kernel]) if kernel else 0
            outcome = {"size.total": (program_bytes + kernel_bytes) / 2**20,
                       "size.program": program_bytes / 2**20,
                       "size.image": place.image_bytes() / 2**20}
            if kernel:
                outcome["size.kernel"] = kernel_bytes / 2**20
            else:
                outcome["failed"] = {"size.kernel": "runs on the host's"}
            return outcome
        session.in_turn(self.key, take, 1, 0)


DIMENSION = Size
