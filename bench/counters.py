"""What a monitor's process does to serve its guest: VM exits, system calls and
context switches, each counted by the kernel's own trace points as they happen
(Linux: trace/histogram.rst), so that nothing is missed and little disturbed."""

import contextlib
import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import runs

TRACING = Path("/sys/kernel/tracing")
EXIT_REASONS = ("exit_reason", "esr_ec")  # of a field, by architecture
HISTOGRAM_SIZE = 16384  # different keys
SYMBOLS = re.compile(r"\{ *([^{}\"]+?), \"([^\"]+)\" *\}")


def mount_tracing():
    """Where it is not; who then uses it finds out if that failed."""
    if not (TRACING / "events").exists():
        subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACING],
                       check=False, stderr=subprocess.DEVNULL)


class Counters:
    """Counts from its creation until close(); no more than one VM may run."""

    def __init__(self):
        mount_tracing()
        self.instance = TRACING / "instances" / f"onggi-bench-{os.getpid()}"
        self.keys = {}
        try:
            self.instance.mkdir()
            self._count("kvm/kvm_exit", self._exit_keys())
            self._count("raw_syscalls/sys_enter", "common_pid,id.syscall")
            self._count("sched/sched_switch", "common_pid")
            self._count("sched/sched_waking", "pid")
            self._count("sched/sched_process_fork", "parent_pid,child_pid")
        except (OSError, StopIteration) as error:
            with contextlib.suppress(OSError):
                self.close()
            raise runs.RunFailed(f"the kernel's trace points: {error}") \
                from error

    def _event(self, event):
        return self.instance / "events" / event

    def _count(self, event, keys):
        (self._event(event) / "trigger").write_text(
            f"hist:keys={keys}:size={HISTOGRAM_SIZE}")

    def close(self):
        for trigger in self.instance.glob("events/*/*/trigger"):
            text = trigger.read_text()
            if text.startswith("hist:"):
                trigger.write_text("!" + text.split(":vals=")[0])
        self.instance.rmdir()

    # --- names of exits ---

    def _exit_keys(self):
        text = (self._event("kvm/kvm_exit") / "format").read_text()
        field = next(f for f in EXIT_REASONS if f" {f};" in text)
        # x86 has one list for each instruction set, which is a field, too
        self.names = [{_number(n): name for n, name in SYMBOLS.findall(part)}
                      for part in text.split(f"__print_symbolic(REC->{field}")[1:]]
        return f"isa,{field}" if " isa;" in text else field

    def _exit_name(self, values):
        names = self.names[values[0] - 1 if len(values) > 1 else 0]
        return names.get(values[-1], str(values[-1]))

    # --- reading ---

    def _histogram(self, event):
        """[([key, ...], count)]; a key is a number or a name."""
        text = (self._event(event) / "hist").read_text()
        for keys, count in re.findall(r"^\{ (.*) \} hitcount: *(\d+)", text,
                                      re.M):
            yield [key.split(":", 1)[1].split("[")[0].strip()
                   for key in keys.split(", ")], int(count)

    def read(self, pid):
        """Counts so far for the process pid: Counters by kind."""
        threads = {int(t.name): _thread_name(t)
                   for t in Path(f"/proc/{pid}/task").iterdir()}
        result = {kind: Counter() for kind in
                  ("exits", "system calls", "context switches", "wake-ups",
                   "CPU ns")}
        result["exits"] = self.exits()
        for (thread, name), count in self._histogram("raw_syscalls/sys_enter"):
            if int(thread) in threads:
                result["system calls"][name.removeprefix("sys_")] += count
        for kind, event in (("context switches", "sched/sched_switch"),
                            ("wake-ups", "sched/sched_waking")):
            for (thread,), count in self._histogram(event):
                if int(thread) in threads:
                    result[kind][threads[int(thread)]] += count
        for thread, name in threads.items():
            with open(f"/proc/{pid}/task/{thread}/schedstat",
                      encoding="ascii") as file:
                result["CPU ns"][name] += int(file.read().split()[0])
        return result

    def exits(self):
        """VM exits so far by name."""
        result = Counter()
        for keys, count in self._histogram("kvm/kvm_exit"):
            result[self._exit_name([int(key) for key in keys])] += count
        return result

    def system_calls(self, pid):
        """Names of those that a process has made since the start, it and all
        that it started, at any remove, threads included."""
        family, found = {pid}, 0
        forks = [(int(parent), int(child)) for (parent, child), _ in
                 self._histogram("sched/sched_process_fork")]
        while len(family) > found:
            found = len(family)
            family |= {child for parent, child in forks if parent in family}
        return {name.removeprefix("sys_") for (thread, name), _ in
                self._histogram("raw_syscalls/sys_enter")
                if int(thread) in family}


def _thread_name(task):
    """Kernel's workers are called after the thread that they work for."""
    return re.sub(r"-\d+$", "", (task / "comm").read_text().strip())


def _number(text):
    """Of a list of symbols: '0x040 + 1', '(((0x18UL)))'."""
    return sum(int(part.strip(" ()").removesuffix("UL"), 0)
               for part in text.split("+"))


def difference(after, before):
    return {kind: after[kind] - before[kind] for kind in after}


def per(counts, number):
    """Of each count, how many there were for each of number requests."""
    return {kind: {name: count / number for name, count in named.most_common()}
            for kind, named in counts.items()}
