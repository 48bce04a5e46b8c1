"""How long a start takes, in stages, one and many at once."""

import contextlib
import json
import os
import re

import runs
from comparison.place import call
from comparison.session import Dimension, Measure
from counters import TRACING, mount_tracing

STAGES = {"init": "exec to first process", "first_byte": "exec to first byte",
          "reaped": "exec to reaped"}
FIRST = ["/bench/stamp", "<init>"]  # the first process, which takes a mark
TIMEOUT_MS = 240000
ENTRY, EXIT = "events/kvm/kvm_entry", "events/kvm/kvm_exit"
OFF = "disable_event:kvm:kvm_entry:1"


class FirstEntry:
    """When KVM first enters a guest, by a trace point that the first exit
    switches off, so that it disturbs nothing."""

    def __init__(self):
        mount_tracing()
        self.instance = TRACING / f"instances/onggi-start-{os.getpid()}"
        self.stack = contextlib.ExitStack()

    def _set(self, name, text, back=None):
        (self.instance / name).write_text(text)
        if back is not None:
            self.stack.callback((self.instance / name).write_text, back)

    def __enter__(self):
        with self.stack:
            self.instance.mkdir()
            self.stack.callback(self.instance.rmdir)
            self._set("trace_clock", "mono")
            self._set(f"{ENTRY}/enable", "1", "0")
            self._set(f"{EXIT}/trigger", OFF, "!" + OFF)
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def ns(self):
        """CLOCK_MONOTONIC, or None."""
        found = re.search(r" (\d+)\.(\d{6}): kvm_entry",
                          (self.instance / "trace").read_text())
        return found and int(found[1]) * 10**9 + int(found[2]) * 1000


class Start(Dimension):
    key = "start"
    title = "Start-up"
    text = ("Every instance starts from the same image and ends by itself. "
            "Time runs from the exec of the container runtime or monitor (of "
            "chroot, for the native process): to the first KVM_RUN, to the "
            "first instruction of the first process in it, to the first byte "
            "that its application writes (a shell that starts sqlite3), and "
            "to the moment when the started process has been waited for. "
            "Several at once are started in the same moment.")

    def steps(self, session):
        return len(session.subjects) * sum(
            count + self.warm_ups(session, number)
            for number, count in session.scale.starts.items())

    @staticmethod
    def warm_ups(session, number):
        """The first start of all reads files that later ones find read."""
        first = number == 1 and not session.scale.cold
        return session.scale.warm_ups + first

    def measures(self, session):
        for number in session.scale.starts:
            at_once = "one alone" if number == 1 else f"{number} at once"
            if number == 1:
                yield Measure("start.exec_run.1",
                              "exec to first KVM_RUN, one alone", "ms")
            for stage, title in STAGES.items():
                yield Measure(f"start.{stage}.{number}",
                              f"{title}, {at_once}", "ms")

    def measure(self, session):
        for number, count in session.scale.starts.items():
            session.in_turn(f"{number} at once",
                            lambda subject, n=number: self.take(
                                session.place, subject, n),
                            count, self.warm_ups(session, number))

    def take(self, place, subject, number):
        with contextlib.ExitStack() as stack:
            argv = []
            for i in range(number):
                instance = stack.enter_context(place.instance(subject, i))
                command = subject.command(
                    place, instance, ["/bench/app"], FIRST)
                argv += [":::"] if argv else []
                argv += [instance.cgroup / "monitor", *command]
            tracer = None
            if number == 1 and subject.kind == "vm":
                tracer = stack.enter_context(FirstEntry())
            lines = call(place.programs / "launch", TIMEOUT_MS, *argv)
            started = [json.loads(line) for line in lines.splitlines()]
            outcome = self.read(started, number)
            if tracer:
                first = tracer.ns()
                if first is None:
                    raise runs.RunFailed("KVM's trace point saw no guest")
                outcome["start.exec_run.1"] = (
                    first - started[0]["start"]) / 1e6
            elif number == 1:
                outcome["failed"] = {"start.exec_run.1": "has no vCPU"}
        return outcome

    @staticmethod
    def read(started, number):
        for one in started:
            if one["error"] or one["status"] or one["app"] is None or \
                    one["init"] is None:
                raise runs.RunFailed(
                    one["error"] or (one["timed_out"] and "does not end")
                    or f"exit status {one['status']}: {one['output']}")
        return {f"start.{stage}.{number}": [one[name] / 1e6 for one in started]
                for stage, name in (("init", "init"), ("first_byte", "app"),
                                    ("reaped", "reaped"))}


DIMENSION = Start
