"""What is compared. A subject is one small file with a class of these
methods; SUBJECTS has them in the order of the report."""

import importlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import runs
from comparison.parse import on_one_line

NAMES = ("native", "crun", "runc", "runsc", "onggi", "qemu", "firecracker",
         "cloud_hypervisor", "kvmtool")
VERSION_S = 20  # for a program to say its version
# What the VMs run as their first process; it ends the VM with its command.
GUEST_INIT = "/usr/lib/onggi/init"


class Subject:
    """One way to run a program."""
    key = ""  # as in the results and on the command line
    kind = ""  # process, container or vm
    program = None  # what it needs, by its name in PATH
    note = ""  # what a reader must know of how it is run

    def __init__(self, path=None):
        if path:
            self.path = os.path.abspath(path)
        else:
            self.path = self.program and shutil.which(self.program)

    def missing(self):
        """Why it cannot be run here; None where it can."""
        if not self.program or (self.path and shutil.which(self.path)):
            return None
        if self.path and Path(self.path).exists():
            return f"{self.path}: not an executable file"
        return f"{self.path or self.program}: not found"

    def version(self):
        """What the program says, whatever kind of program it is."""
        result = subprocess.run(
            ["sh", "-c", 'timeout -k 1 "$1" "$0" --version 2>/dev/null '
             "</dev/null | head -c 4000", self.path, str(VERSION_S)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            check=False, text=True, errors="replace")
        text = on_one_line(result.stdout)
        found = re.search(r"\d+\.\S*|[0-9a-f]{7,}\S*", text)
        return (found[0].rstrip(",)") if found else text)[:40]

    def files(self):
        """The program and its libraries."""
        return [Path(self.path), *runs.libraries_of(self.path)]

    def kernel_file(self, place):
        """The guest's kernel; None where it runs on the host's."""
        return None

    def command(self, place, instance, words, init):
        """The command line that runs the words on standard input and output;
        with init, words of a program that runs before all else in it and
        then what follows on its own command line."""
        raise NotImplementedError

    def set_up(self, instance):
        """Lines for the instance's shell before it is used."""
        return ()

    def clean(self, place, instance):
        """What a killed one leaves behind."""


class VirtualMachine(Subject):
    kind = "vm"

    def kernel_file(self, place):
        return Path(place.kernel)

    @staticmethod
    def guest_words(words, init):
        """The arguments of the guest's first process."""
        return [*init[1:], GUEST_INIT, *words] if init else list(words)

    @staticmethod
    def init_word(init):
        return f"init={init[0] if init else GUEST_INIT}"

    def kernel_line(self, words, init, separator="-- "):
        """The end of the kernel's command line: its root, its first process
        and the arguments of that."""
        guest_words = " ".join(map(str, self.guest_words(words, init)))
        return f"root=/dev/vda ro {self.init_word(init)} " \
            f"{separator}{guest_words}"

    def set_up(self, instance):
        if instance.tap:
            yield (f"ip addr add {instance.address}/30 dev eth0 && "
                   "ip link set eth0 up")
        if instance.scratch:
            yield "mount /dev/vdb /work"


def load(paths):
    """All of them; paths has those of programs that are not in PATH."""
    return [importlib.import_module(f"comparison.subjects.{name}")
            .SUBJECT(paths.get(name.replace("_", "-"))) for name in NAMES]
