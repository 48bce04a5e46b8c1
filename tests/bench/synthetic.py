"""A results.json that nobody measured: numbers of the size that a real run
has, from a seeded generator. Its host says so."""

import random
import sys
from pathlib import Path

STAGES = {"exec_run": ("exec to first KVM_RUN", 0.3),
          "init": ("exec to init", 0.75),
          "first_byte": ("exec to first byte of output", 0.9),
          "reaped": ("exec to reaped", 1.0)}
SUBJECTS = [
    ("native", "process", "6.12.9"), ("crun", "container", "1.8.1"),
    ("runc", "container", "1.1.5"), ("onggi", "vm", "0.9"),
    ("qemu", "vm", "7.2.15"), ("firecracker", "vm", "")]
NO_FIRECRACKER = "firecracker: not found (give --firecracker FILE)"
RUNC_CRASH = "runc: exit status 1: fork/exec /bench/hackbench: no such file"
NOT_A_VM = "no VM: it never runs KVM"

# Of each measure: title, unit, better, spread, then the medians of native,
# crun, runc, onggi and qemu; a text instead of a number is why it failed.
MEASURES = {
    "memory": ("Memory of one instance", [
        ("memory.pss", "PSS of all processes", "MiB", "less", 0.01,
         0.9, 1.6, 2.3, 24.5, 71.0),
        ("memory.cgroup", "memory of the cgroup", "MiB", "less", 0.02,
         1.1, 2.2, 2.9, 27.8, 80.2)]),
    "size": ("Size on disk", [
        ("size.program", "the program and its libraries", "MiB", "less", 0,
         "native: there is no program but the kernel's", 3.1, 9.8, 1.1,
         38.4)]),
    "cpu": ("Processor and memory", [
        ("cpu.sysbench", "sysbench, primes", "events/s", "more", 0.004,
         1310, 1309, 1310, 1296, 1291),
        ("cpu.stream", "STREAM triad", "GB/s", "more", 0.01,
         18.2, 18.2, 18.1, 17.6, 17.5),
        ("cpu.chase.65536", "pointer chase through 64 MiB", "ns", "less",
         0.02, 92, 92, 93, 104, 105)]),
    "kernel": ("Kernel", [
        ("kernel.syscall", "getppid()", "ns", "less", 0.01,
         96, 141, 142, 61, 62),
        ("kernel.switch", "context switch", "us", "less", 0.03,
         1.31, 1.33, 1.35, 1.02, 1.04),
        ("kernel.fork", "fork and wait", "us", "less", 0.03,
         71, 76, 77, 98, 99),
        ("kernel.hackbench", "hackbench", "s", "less", 0.03,
         0.41, 0.42, RUNC_CRASH, 0.55, 0.56)]),
    "network": ("Network", [
        ("network.tcp_to.1", "TCP to the subject, 1 stream", "Mbit/s", "more",
         0.02, 41200, 40100, 40000, 18700, 15100),
        ("network.tcp_to.10", "TCP to the subject, 10 streams", "Mbit/s",
         "more", 0.02, 52200, 51100, 51000, 20100, 16800),
        ("network.rr", "request and response, 1 byte", "us", "less", 0.02,
         18.5, 24.6, 24.7, 61.3, 78.8)]),
    "applications": ("Applications", [
        ("app.redis", "redis-benchmark, GET", "1/s", "more", 0.02,
         98100, 94800, 94500, 61200, 52000),
        ("app.nginx", "nginx with wrk", "1/s", "more", 0.02,
         48800, 47100, "runc: no answer within 60 s", 30100, 27700),
        ("app.compile", "a compile", "s", "less", 0.01,
         12.1, 12.2, 12.2, 13.4, 13.6)]),
    "interference": ("Interference", [
        ("interference.cpu.fork", "sysbench beside a fork bomb, of that alone",
         "%", "more", 0.02, 31, 62, 61, 93, 92),
        ("interference.block.disk", "4k reads beside a disk hog, of those "
         "alone", "%", "more", 0.03, 22, 41, 40, 48, 45)]),
}
BLOCK_JOBS = {
    "read-4k-1": ("4k random read, QD 1", (11200, 11100, 11000, 8900, 6900)),
    "read-4k-32": ("4k random read, QD 32",
                   (241000, 240000, 239000, 188000, 131000)),
    "write-4k-32": ("4k random write, QD 32",
                    (201000, 200000, 199000, 161000, 118000)),
    "read-128k-8": ("128k read, QD 8", (22100, 22000, 22000, 21500, 19800))}
START = {"native": 1.1, "crun": 9.8, "runc": 24.5, "onggi": 27.3,
         "qemu": 118.0}


class _Writer:
    def __init__(self, seed, runs):
        self.rng = random.Random(seed)
        self.runs = runs

    def values(self, middle, spread, number=None):
        """With a tail to the right, as times have."""
        if spread == 0:
            return [middle]
        return [round(middle * (1 + self.rng.gauss(0, spread)
                                + max(self.rng.expovariate(1 / spread) - 2
                                      * spread, 0)), 4)
                for _ in range(number or self.runs)]

    def measure(self, row):
        key, title, unit, better, spread, *middles = row
        samples, failed = {}, {}
        for (name, *_), middle in zip(SUBJECTS, middles):
            if isinstance(middle, str):
                failed[name] = middle
            else:
                samples[name] = self.values(middle, spread)
        return {"key": key, "title": title, "unit": unit, "better": better,
                "samples": samples, "failed": failed}

    def start(self):
        measures = []
        for at_once in (1, 2, 10, 50, 100):
            for stage, (title, share) in STAGES.items():
                samples, failed = {}, {}
                for name, middle in START.items():
                    vm = name in ("onggi", "qemu")
                    if stage == "exec_run" and not vm:
                        failed[name] = NOT_A_VM
                    elif name == "qemu" and at_once == 100:
                        failed[name] = "qemu: killed: out of memory"
                    else:
                        slower = 1 + 0.015 * at_once
                        samples[name] = self.values(
                            middle * slower * share, 0.05,
                            max(4 * self.runs, at_once))
                title_now = f"{title}, " + (
                    "one at a time" if at_once == 1 else f"{at_once} at once")
                measures.append({
                    "key": f"start.{stage}.{at_once}", "title": title_now,
                    "unit": "ms", "better": "less", "samples": samples,
                    "failed": failed})
        return measures

    def density(self):
        slopes = {"native": 0.9, "crun": 1.9, "runc": 2.4, "onggi": 26.5,
                  "qemu": 74.0}
        points = {name: [[n, round(slope * n + self.rng.gauss(3, 2), 1)]
                         for n in (1, 2, 4, 8, 16, 32)]
                  for name, slope in slopes.items()}
        return [{"key": "density.memory", "title": "memory of N instances",
                 "unit": "MiB", "better": "less", "samples": {},
                 "points": points, "x": "instances"},
                self.measure(("density.cpu", "idle processor of 32", "%",
                              "less", 0.05, 0.01, 0.01, 0.01, 0.4, 1.9))]

    def block(self):
        rows = []
        for job, (title, iops) in BLOCK_JOBS.items():
            rows.append((f"block.{job}.iops", title, "IOPS", "more", 0.02,
                         *iops))
            rows.append((f"block.{job}.p99", f"{title}, 99th percentile",
                         "us", "less", 0.05,
                         *(round(2.2e6 * (32 if "-32" in job else 1) / rate)
                           for rate in iops)))
        return [self.measure(row) for row in rows]

    def isolation(self):
        nothing = "native: no filter"
        rows = [
            ("isolation.syscalls_used", "distinct host system calls used", "",
             "less", 0, 61, 118, 131, 34, 58),
            ("isolation.syscalls_allowed", "host system calls allowed", "",
             "less", 0, nothing, 312, 312, "onggi: no filter yet",
             "qemu: no filter"),
            ("isolation.functions", "host kernel functions reached", "",
             "less", 0, 2210, 3480, 3610, 1490, 1980),
            ("isolation.exits.io", "exits: port", "", "less", 0,
             NOT_A_VM, NOT_A_VM, NOT_A_VM, 812, 2931),
            ("isolation.exits.hlt", "exits: halt", "", "none", 0,
             NOT_A_VM, NOT_A_VM, NOT_A_VM, 96, 101)]
        return [self.measure(row) for row in rows]


def results(seed=1, runs=10):
    """The whole, by chance of that seed alone."""
    writer = _Writer(seed, runs)

    def dimension(key, title, measures):
        return {"key": key, "title": title, "measures": measures,
                "text": f"How the dimension {key} is measured stands here, in "
                        "a sentence or two, as long as such texts are."}

    tables = {key: (title, [writer.measure(row) for row in rows])
              for key, (title, rows) in MEASURES.items()}
    dimensions = [
        dimension("start", "Start-up", writer.start()),
        dimension("memory", *tables["memory"]),
        dimension("density", "Density", writer.density()),
        *(dimension(key, *tables[key])
          for key in ("size", "cpu", "kernel", "network")),
        dimension("block", "Block device", writer.block()),
        *(dimension(key, *tables[key])
          for key in ("applications", "interference")),
        dimension("isolation", "Isolation", writer.isolation())]
    subjects = [{"name": name, "kind": kind, "version": version, "note": ""}
                for name, kind, version in SUBJECTS]
    subjects[-1]["missing"] = NO_FIRECRACKER
    return {
        "format": 1, "command": "bench/compare --quick --out report",
        "clock": "wall", "emulated": False, "scale": "quick", "runs": runs,
        "date": "2026-11-29T07:00:00Z",
        "host": {"cpu": "synthetic: nobody measured these numbers",
                 "kernel": "6.12.9", "kvm": "native", "cpus": 8,
                 "mitigations": "retbleed: untrained return thunk",
                 "governor": "performance", "thp": "madvise"},
        "conditions": ["Subjects took turns (A B A B), after one warm-up.",
                       "Containers have a veth pair, VMs a tap, on the same "
                       "bridge."],
        "subjects": subjects, "dimensions": dimensions}


if __name__ == "__main__":
    sys.path.insert(
        0, str(Path(__file__).resolve().parent.parent.parent / "bench"))
    from comparison.results import write
    write(sys.argv[1], results())
