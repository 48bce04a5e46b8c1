"""What one idle instance takes of the host's memory."""

import re
import time
from pathlib import Path

from comparison.session import Dimension, Measure


def pss_mib(instance):
    """Of every process that belongs to it."""
    total = 0
    for pid in instance.pids():
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        total += int(re.search(r"^Pss: +(\d+) kB", text, re.M)[1])
    return total / 1024


def cgroup_mib(instance):
    return int((instance.cgroup / "memory.current").read_text()) / (1 << 20)


class Memory(Dimension):
    key = "memory"
    title = "Memory of one instance"
    text = ("An idle shell from the same image. Pss: the proportional share "
            "of all processes of the instance, runtime, monitor and guest "
            "memory that was touched included. The cgroup's count has the "
            "kernel's memory, too, and the page cache that the instance was "
            "the first to use: that of a container is the host's, that of a "
            "VM is in its guest.")

    def measures(self, session):
        yield Measure("memory.pss", "Pss of all its processes", "MiB")
        yield Measure("memory.cgroup", "its cgroup's memory", "MiB")
        yield Measure("memory.processes", "processes on the host", "")

    def measure(self, session):
        def take(subject):
            with session.place.running(subject) as instance:
                time.sleep(session.scale.idle_s)
                return {"memory.pss": pss_mib(instance),
                        "memory.cgroup": cgroup_mib(instance),
                        "memory.processes": len(instance.pids())}
        session.in_turn(self.key, take)


DIMENSION = Memory
