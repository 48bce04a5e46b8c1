"""What programs ask of a kernel, which is the host's or their own."""

from comparison.parse import lines_of, number_in
from comparison.session import Load, LoadDimension

TESTS = {"syscall": "system call", "switch": "context switch",
         "pipe": "a byte through a pipe", "fork": "fork, exit, wait",
         "exec": "fork, execve, wait", "fault": "first write to a page",
         "mmap": "mmap and munmap"}


def kernel_line(scale):
    return f"/bench/kernel {scale.ms} {' '.join(TESTS)}"


def kernel_read(output):
    found = lines_of(output)
    return {f"kernel.{test}": found[test] for test in TESTS}


def hackbench(scale):
    return f"hackbench --groups 1 --fds 10 --loops {max(10, scale.ms // 4)}"


class Kernel(LoadDimension):
    key = "kernel"
    title = "The kernel's work"
    text = ("Small programs that do one thing over and over: a system call "
            "that does nothing, two processes that wake each other on one "
            "processor, processes made and ended, memory touched for the "
            "first time; and hackbench, which sends many small messages "
            "between many processes.")
    loads = (
        Load("kernel.syscall", TESTS["syscall"], "ns", "less", kernel_line,
             kernel_read, tuple((f"kernel.{test}", title, "ns", "less")
                                for test, title in TESTS.items()
                                if test != "syscall")),
        Load("kernel.hackbench", "hackbench, 20 pairs", "s", "less",
             hackbench,
             lambda output: number_in(output, r"^Time: *([\d.]+)")))


DIMENSION = Kernel
