"""The course of a comparison: which subject has its turn when, what came of
it, and the results as they are written."""

import datetime
import subprocess
import time
from dataclasses import dataclass, field

import runs
from comparison import results
from comparison.parse import on_one_line

FAILURES = (OSError, ValueError, LookupError, subprocess.SubprocessError,
            runs.RunFailed)


# Of a turn whose guest does not answer: now and then a guest in an emulated
# machine waits for an interrupt that does not come.
TRIES = 3


@dataclass(frozen=True)
class Scale:
    """How much of each. What there is does not depend on it."""
    name: str
    runs: int  # turns of each subject that count
    warm_ups: int
    ms: int  # of each load
    starts: dict  # how often so many are started at once
    density: tuple  # numbers of instances, idle
    idle_s: float
    mix: int = 1  # turns of /bench/mix
    stream_mib: int = 192  # of each array that no cache is to hold
    file_mib: int = 64  # of the file that fio is given
    cold: bool = False  # what a start reads from files counts
    functions: str = "*"  # of the host's kernel, those that are watched


SCALES = {scale.name: scale for scale in (
    Scale("full", 10, 1, 3000, {1: 30, 10: 5, 50: 2, 100: 2},
          (1, 2, 4, 8, 16, 32), 10.0, 3),
    Scale("quick", 4, 0, 200, {1: 5, 10: 1, 50: 1, 100: 1},
          (1, 2, 4, 8), 2.0),
    # an emulated machine has no caches, nor processors for 50 at once
    Scale("small", 4, 0, 40, {1: 5, 10: 1}, (1, 2, 4), 1.0, stream_mib=9),
    Scale("tiny", 1, 0, 20, {1: 1, 2: 1}, (1, 2), 0.5, stream_mib=9,
          functions="vfs_*", file_mib=16, cold=True))}


@dataclass
class Measure:
    """A row of the results, as it grows."""
    key: str
    title: str
    unit: str
    better: str = "less"
    x: str = None
    samples: dict = field(default_factory=dict)
    points: dict = field(default_factory=dict)
    failed: dict = field(default_factory=dict)

    def knows(self, subject):
        """Its figures, or why there are none."""
        return any(subject in part for part in
                   (self.samples, self.points, self.failed))

    def as_result(self):
        result = {"key": self.key, "title": self.title, "unit": self.unit,
                  "better": self.better, "samples": self.samples}
        for name in ("points", "failed", "x"):
            if getattr(self, name):
                result[name] = getattr(self, name)
        return result


class Session:
    def __init__(self, place, subjects, scale, journal, dimensions):
        self.place = place
        self.subjects = subjects  # those that can run
        self.scale = scale
        self.journal = journal
        self.dimensions = dimensions
        self.dimension = None  # the one that is being measured
        self.measures = {}  # of it
        self.dropped = {}  # {subject: [why]}, of it
        self.done = self.attempts = 0  # of steps; some were in the journal
        self.steps = sum(d.steps(self) for d in dimensions)
        self.began = time.monotonic()

    def run(self):
        """The dimensions, as the results have them."""
        return [self._measure(dimension) for dimension in self.dimensions]

    def _measure(self, dimension):
        self.dimension = dimension
        self.measures = {m.key: m for m in dimension.measures(self)}
        self.dropped = {}
        dimension.measure(self)
        for measure in self.measures.values():
            for subject in self.subjects:
                if not measure.knows(subject.key):
                    measure.failed[subject.key] = "; ".join(
                        dict.fromkeys(self.dropped.get(subject.key, []))
                    ) or "not measured for this subject"
        return {"key": dimension.key, "title": dimension.title,
                "text": dimension.text,
                "measures": [m.as_result() for m in self.measures.values()]}

    def in_turn(self, name, take, runs_=None, warm_ups=None):
        """Has each subject take its turn, A B A B: take(subject) returns
        {key: value or [value, ...]}, "failed" in it {key: reason}. A subject
        whose turn fails as a whole drops out of these turns."""
        alive, dropped, keys = list(self.subjects), {}, set()
        warm = self.scale.warm_ups if warm_ups is None else warm_ups
        for turn in range(-warm, self.scale.runs if runs_ is None else runs_):
            for subject in list(alive):
                outcome = self.journal.note(
                    f"{name}: {subject.key}, {turn}",
                    lambda: self._attempt(name, subject, turn, take))
                self.done += 1
                if "error" in outcome:
                    alive.remove(subject)
                    dropped[subject.key] = outcome["error"]
                    continue
                keys |= {*outcome, *outcome.get("failed", {})} - {"failed"}
                if turn >= 0:
                    self._add(subject, outcome)
        self._note_dropped(dropped, keys)

    def _attempt(self, name, subject, turn, take):
        left = ""
        if self.attempts:
            seconds = (time.monotonic() - self.began) / self.attempts * (
                self.steps - self.done)
            left = f", some {seconds / 60:.0f} min left"
        self.attempts += 1
        what = "warm-up" if turn < 0 else f"run {turn + 1}"
        self.journal.progress(f"{self.done + 1}/{self.steps} {name}: "
                              f"{subject.key}, {what}{left}")
        for tries in range(TRIES):
            try:
                return take(subject)
            except FAILURES as error:
                self.journal.progress(f"  {subject.key} fails: "
                                      f"{one_line(error)}")
                if not isinstance(error, runs.NoAnswer) or \
                        not runs.inside_testbed() or tries == TRIES - 1:
                    return {"error": one_line(error)}

    def _note_dropped(self, dropped, keys):
        """keys are of the measures that these turns are about, as others'
        show. What nobody had is known at the dimension's end."""
        for subject, why in dropped.items():
            self.dropped.setdefault(subject, []).append(why)
            for key in keys & self.measures.keys():
                self.measures[key].failed.setdefault(subject, why)

    def _add(self, subject, outcome):
        failed = outcome.pop("failed", {})
        for key, why in failed.items():
            self.measures[key].failed[subject.key] = why
        for key, value in outcome.items():
            if key not in self.measures:
                self.measures[key] = self.dimension.found(key)
            measure = self.measures[key]
            if measure.x:
                measure.points.setdefault(subject.key, []).extend(value)
            else:
                values = value if isinstance(value, list) else [value]
                measure.samples.setdefault(subject.key, []).extend(values)


def one_line(error):
    if isinstance(error, KeyError):
        error = f"no {error} in what it printed"
    return on_one_line(str(error))[-300:] or type(error).__name__


@dataclass(frozen=True)
class FromHost:
    """A load that the host puts on an instance: a program of the image, whose
    words(scale, address) says what to run."""
    words: object

    def run(self, place, instance, scale):
        return place.on_host(*self.words(scale, instance.address))


@dataclass(frozen=True)
class Load:
    """A line of shell in an instance, and what to read from its output."""
    key: str
    title: str
    unit: str
    better: str
    line: object  # line(scale), or FromHost(line)
    read: object  # read(output) -> number, or {key: number}
    more: tuple = ()  # further measures of it: (key, title, unit, better)

    def measures(self):
        yield Measure(self.key, self.title, self.unit, self.better)
        for further in self.more:
            yield Measure(*further)

    def values(self, place, instance, scale):
        try:
            if callable(self.line):
                output = instance.run(self.line(scale))
            else:
                output = self.line.run(place, instance, scale)
            value = self.read(output)
        except runs.NoAnswer:
            raise  # nor will it to another load
        except FAILURES as error:
            keys = [self.key, *(further[0] for further in self.more)]
            return {"failed": dict.fromkeys(keys, one_line(error))}
        return value if isinstance(value, dict) else {self.key: value}


class Dimension:
    """One section of the report."""
    key = title = text = ""

    def steps(self, session):
        """How many turns it has in all."""
        return len(session.subjects) * (session.scale.runs
                                        + session.scale.warm_ups)

    def measures(self, session):
        raise NotImplementedError

    def measure(self, session):
        raise NotImplementedError

    def found(self, key):
        """A Measure that nobody could know of before it was there."""
        raise runs.RunFailed(f"{self.key} has no measure {key}; if a journal "
                             "has it, from another version, remove that")


class LoadDimension(Dimension):
    """Loads in a shell: a fresh instance for each turn."""
    loads = ()
    disk = net = False

    def measures(self, session):
        for load in self.loads:
            yield from load.measures()

    def before(self, session, instance):
        """Starts what the loads need."""

    def measure(self, session):
        def take(subject):
            outcome = {"failed": {}}
            place = session.place
            with place.running(subject, disk=self.disk,
                               net=self.net) as instance:
                self.before(session, instance)
                for load in self.loads:
                    values = load.values(place, instance, session.scale)
                    outcome["failed"].update(values.pop("failed", {}))
                    outcome.update(values)
            return outcome
        session.in_turn(self.key, take)


def results_of(session, dimensions, subjects, *, command, conditions, host):
    """What the report is made of."""
    counted = runs.inside_testbed() == "counted"
    listed = []
    for subject in subjects:
        entry = {"name": subject.key, "kind": subject.kind}
        if subject.missing():
            entry["missing"] = subject.missing()
        else:
            entry.update(version=subject.version(), note=subject.note)
        listed.append(entry)
    now = datetime.datetime.now(datetime.timezone.utc)
    return {"format": results.FORMAT, "command": command,
            "clock": "counted" if counted else "wall",
            "emulated": bool(runs.inside_testbed()),
            "scale": session.scale.name, "runs": session.scale.runs,
            "date": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "host": host,
            "conditions": conditions, "subjects": listed,
            "dimensions": dimensions}
