"""A neighbour that behaves badly."""

import contextlib

import runs
from comparison.dimensions.block import job_line, reader, write_file
from comparison.dimensions.cpu import events_per_second, sysbench
from comparison.parse import lines_of
from comparison.session import FAILURES, Dimension, Measure, one_line

VICTIMS = {
    "cpu": ("sysbench cpu", "1/s", "more", sysbench, events_per_second),
    "fork": ("fork, exit, wait", "ns", "less",
             lambda scale: f"/bench/kernel {scale.ms} fork",
             lambda output: lines_of(output)["fork"]),
    "disk": ("4k random read, QD 1", "1/s", "more", job_line("read-4k-1"),
             lambda output: reader("read-4k-1")(output)[
                 "block.read-4k-1.iops"])}
HOGS = {"alone": ("alone", None),
        "fork": ("beside a fork bomb", "fork 100000 {ms}"),
        "memory": ("beside a memory hog", "memory 100000 {ms}"),
        "disk": ("beside a disk hog", "disk /work/hog.dat 64 {ms}")}
HOG_MS = 600000  # ends with its instance


class Interference(Dimension):
    key = "interference"
    title = "Bad neighbours"
    text = ("Two instances of the same subject, each with its own limits of "
            "processors, memory and processes: what one still achieves while "
            "the other forks without end, touches all memory that it gets, or "
            "writes and syncs its disk. Where both share one processor, a "
            "fair share is a half.")

    def measures(self, session):
        for victim, (title, unit, better, _, _) in VICTIMS.items():
            for hog, (beside, _) in HOGS.items():
                yield Measure(f"interference.{victim}.{hog}",
                              f"{title}, {beside}", unit, better)

    def measure(self, session):
        session.in_turn(self.key,
                        lambda subject: self.take(session, subject))

    def take(self, session, subject):
        place, outcome = session.place, {"failed": {}}
        with place.running(subject, 0, disk=True) as victim:
            write_file(victim, session.scale)
            for hog, (_, words) in HOGS.items():
                try:
                    with self.neighbour(place, subject, words):
                        outcome.update(self.suffer(session, victim, hog))
                except runs.NoAnswer:
                    raise
                except FAILURES as error:
                    for key in VICTIMS:
                        outcome["failed"][f"interference.{key}.{hog}"] = \
                            one_line(error)
        return outcome

    @staticmethod
    @contextlib.contextmanager
    def neighbour(place, subject, words):
        if words is None:
            yield
            return
        with place.running(subject, 1, disk=True) as instance:
            instance.run(f"/bench/hog {words.format(ms=HOG_MS)} >/dev/null "
                         "2>&1 </dev/null &")
            instance.shell.end = None  # it may not answer any more
            yield

    @staticmethod
    def suffer(session, victim, hog):
        return {f"interference.{key}.{hog}": read(
            victim.run(line(session.scale)))
            for key, (_, _, _, line, read) in VICTIMS.items()}


DIMENSION = Interference
