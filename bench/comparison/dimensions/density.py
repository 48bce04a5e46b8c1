"""How much more each further instance takes."""

import contextlib
import re
import time
from pathlib import Path

from comparison.session import Dimension, Measure


def available_mib():
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    return int(re.search(r"MemAvailable: +(\d+)", text)[1]) / 1024


def cpu_us(instances):
    """Processor time so far of all."""
    return sum(int(re.search(r"usage_usec (\d+)",
                             (i.cgroup / "cpu.stat").read_text())[1])
               for i in instances)


class Density(Dimension):
    key = "density"
    title = "Density"
    text = ("Idle instances beside each other: by how much the host's "
            "MemAvailable has fallen, and how much of a processor each takes "
            "while nothing happens in it.")

    def steps(self, session):
        return len(session.subjects)

    def measures(self, session):
        yield Measure("density.memory", "memory that the host lacks", "MiB",
                      x="instances")
        yield Measure("density.per_instance",
                      "the same for each further instance", "MiB")
        yield Measure("density.cpu", "processor time of one, idle", "us/s")

    def measure(self, session):
        def take(subject):
            with contextlib.ExitStack() as stack:
                return self.fill(session, subject, stack)
        session.in_turn(self.key, take, 1, 0)

    def fill(self, session, subject, stack):
        scale, instances, points = session.scale, [], []
        if not scale.cold:
            with session.place.running(subject):
                pass  # what all share is in the page cache then
        before = available_mib()
        for number in scale.density:
            while len(instances) < number:
                instances.append(stack.enter_context(session.place.running(
                    subject, len(instances))))
            time.sleep(scale.idle_s)
            points.append([number, before - available_mib()])
        busy = cpu_us(instances)
        began = time.monotonic()
        time.sleep(scale.idle_s)
        idle = (cpu_us(instances) - busy) / (time.monotonic() - began)
        (first, low), (last, high) = points[0], points[-1]
        return {"density.memory": points,
                "density.per_instance": (high - low) / (last - first),
                "density.cpu": idle / len(instances)}


DIMENSION = Density
