"""How much of the host's kernel a program can reach, and how much it does."""

import contextlib
import re

import counters
import runs
from comparison import seccomp
from comparison.session import FAILURES, Dimension, Measure, one_line

FUNCTIONS = counters.TRACING / "set_ftrace_filter"
EXITS = "isolation.exits."


class Functions:
    """Which functions of the host's kernel are run. A probe of each takes one
    stack trace and counts itself off, which costs nothing from then on."""

    def __init__(self, pattern):
        self.command = f"{pattern}:stacktrace:1"

    def __enter__(self):
        FUNCTIONS.write_text(self.command)
        return self

    def __exit__(self, *_):
        FUNCTIONS.write_text("!" + self.command)

    @staticmethod
    def reached():
        return FUNCTIONS.read_text().count(":stacktrace:count=0")


@contextlib.contextmanager
def part(outcome, key):
    """What cannot be had is told and leaves the rest."""
    try:
        yield
    except runs.NoAnswer:
        raise
    except FAILURES as error:
        outcome["failed"][key] = one_line(error)


class Isolation(Dimension):
    key = "isolation"
    title = "Isolation"
    text = ("The same mix of everything (processes, files, disk, memory, "
            "sockets) in each: which of the host's system calls its processes "
            "make meanwhile, start and end included; how many the seccomp "
            "filter leaves to the process that runs what it is given; how "
            "many of the functions of the host's kernel are run, whoever "
            "causes it, this benchmark included; and why the guest is left. "
            "Each system call and function is a place where an error in the "
            "host's kernel can be reached.")

    def steps(self, session):
        return len(session.subjects)

    def measures(self, session):
        yield Measure("isolation.syscalls_used",
                      "distinct host system calls made", "")
        yield Measure("isolation.syscalls_allowed",
                      "host system calls that seccomp allows", "")
        watched = session.scale.functions
        yield Measure("isolation.functions", "host kernel functions reached"
                      + ("" if watched == "*" else f" of {watched}"), "")
        yield Measure("isolation.exits", "VM exits in the mix", "")

    def measure(self, session):
        session.in_turn(self.key,
                        lambda subject: self.take(session, subject), 1, 0)
        counted = session.measures["isolation.exits"]
        for key, measure in session.measures.items():
            if key.startswith(EXITS):
                # of what a VM never does there are none
                for subject in counted.samples:
                    measure.samples.setdefault(subject, [0])
                for subject, why in counted.failed.items():
                    measure.failed.setdefault(subject, why)

    def found(self, key):
        return Measure(key, f"VM exits: {key.removeprefix(EXITS)}", "")

    @staticmethod
    def take(session, subject):
        outcome = {"failed": {}}
        mix = f"/bench/mix {session.scale.mix}"
        place = session.place
        with contextlib.closing(counters.Counters()) as kernel:
            with place.running(subject, disk=True) as instance:
                before = kernel.exits()
                instance.run(mix)
                exits = kernel.exits() - before
                with part(outcome, "isolation.syscalls_allowed"):
                    outcome["isolation.syscalls_allowed"] = min(
                        map(seccomp.allowed, instance.pids()))
                pid = instance.shell.process.pid
            outcome["isolation.syscalls_used"] = len(kernel.system_calls(pid))
        if subject.kind == "vm":
            outcome["isolation.exits"] = exits.total()
            outcome.update({EXITS + re.sub(r"[^\w.+-]+", "-", name): count
                            for name, count in exits.items()})
        else:
            outcome["failed"]["isolation.exits"] = "has no vCPU"
        with part(outcome, "isolation.functions"), \
                Functions(session.scale.functions) as functions:
            with place.running(subject, disk=True) as instance:
                instance.run(mix)
            outcome["isolation.functions"] = functions.reached()
        return outcome


DIMENSION = Isolation
