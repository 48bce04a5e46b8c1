"""Computing, and memory as programs see it."""

from comparison.parse import lines_of, number_in
from comparison.session import Load, LoadDimension

CHASES = (16, 256, 4096, 65536)  # KiB


def sysbench(scale):
    return f"sysbench cpu --time=0 --events={max(4, scale.ms // 4)} run"


def events_per_second(output):
    return number_in(output, r"events per second: *([\d.]+)")


def stream(output):
    found = lines_of(output)
    return {f"cpu.stream.{name}": found[name]
            for name in ("copy", "scale", "add", "triad")}


def chase(output):
    return {f"cpu.{name}": value for name, value in lines_of(output).items()}


class Cpu(LoadDimension):
    key = "cpu"
    title = "Computing and memory"
    text = ("sysbench's prime numbers; four loops over arrays that no cache "
            "holds, as STREAM has them, by one thread; and reads that each "
            "need the one before, at random in so much memory.")

    @property
    def loads(self):
        return (
            Load("cpu.sysbench", "sysbench cpu", "1/s", "more", sysbench,
                 events_per_second),
            Load("cpu.stream.copy", "memory bandwidth, copy", "MB/s", "more",
                 lambda scale: f"/bench/memory stream {scale.ms} "
                               f"{scale.stream_mib}",
                 stream, tuple((f"cpu.stream.{name}",
                                f"memory bandwidth, {name}", "MB/s", "more")
                               for name in ("scale", "add", "triad"))),
            Load("cpu.chase.16", "memory latency, 16 KiB", "ns", "less",
                 lambda scale: f"/bench/memory chase {scale.ms} "
                               + " ".join(map(str, CHASES)),
                 chase, tuple((f"cpu.chase.{kib}",
                               f"memory latency, {kib} KiB", "ns", "less")
                              for kib in CHASES[1:])))


DIMENSION = Cpu
