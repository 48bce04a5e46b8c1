"""A disk of the instance's own."""

import re

import runs
from comparison.session import Load, LoadDimension

# pattern, block size, queue depth
JOBS = {"read-4k-1": ("randread", "4k", 1),
        "read-4k-32": ("randread", "4k", 32),
        "write-4k-1": ("randwrite", "4k", 1),
        "write-4k-32": ("randwrite", "4k", 32),
        "read-128k-1": ("read", "128k", 1),
        "read-128k-32": ("read", "128k", 32),
        "write-128k-1": ("write", "128k", 1),
        "write-128k-32": ("write", "128k", 32)}
SHORTEST_MS = 200  # fio counts nothing in a few slow milliseconds


def fio(more):
    def line(scale):
        return ("fio --name=t --filename=/work/fio.dat --direct=1 "
                f"--size={scale.file_mib}m --time_based "
                f"--runtime={max(scale.ms, SHORTEST_MS)}ms "
                "--clocksource=clock_gettime "
                "--clat_percentiles=0 --lat_percentiles=1 "
                f"--output-format=json {more} | "
                """grep -E '"iops" |"99.000000"'""")
    return line


def write_file(instance, scale):
    """That fio reads and writes."""
    instance.run(f"dd if=/dev/zero of=/work/fio.dat bs=1M "
                 f"count={scale.file_mib} conv=fsync 2>/dev/null")


def job_line(job):
    pattern, size, depth = JOBS[job]
    return fio(f"--ioengine=libaio --rw={pattern} --bs={size} "
               f"--iodepth={depth}")


def reader(job):
    """Of fio's JSON the lines that count: operations per second of reads and
    of others, one of which is not zero; and in nanoseconds what 99 % keep
    within, where there are any. With fsync, that of fsync comes last."""
    def read(output):
        rates = re.findall(r'"iops" : ([\d.]+)', output)
        p99 = re.findall(r'"99.000000" : (\d+)', output)
        if not rates or not p99:
            raise runs.RunFailed(f"fio: {output.strip()[-200:]}")
        return {f"block.{job}.iops": max(map(float, rates)),
                f"block.{job}.p99": int(p99[-1]) / 1000}
    return read


def load(job, title, line):
    return Load(f"block.{job}.iops", f"{title}: operations", "1/s", "more",
                line, reader(job),
                ((f"block.{job}.p99", f"{title}: 99 % within", "us", "less"),))


def loads():
    for job, (pattern, size, depth) in JOBS.items():
        random = "random " if pattern.startswith("rand") else ""
        kind = "read" if "read" in job else "write"
        yield load(job, f"{size} {random}{kind}, QD {depth}", job_line(job))
    yield load("fsync", "4k write and fsync",
               fio("--ioengine=sync --rw=randwrite --bs=4k --fsync=1"))


class Block(LoadDimension):
    key = "block"
    title = "Disk"
    text = ("fio on an ext4 of the instance's own, O_DIRECT inside, by "
            "libaio, since podman's seccomp profile refuses io_uring: behind "
            "a loop device for processes and containers, behind virtio for "
            "VMs. Either way the host has its file in its "
            "page cache: what a path costs is measured, not a disk.")
    disk = True
    loads = tuple(loads())

    def before(self, session, instance):
        write_file(instance, session.scale)


DIMENSION = Block
