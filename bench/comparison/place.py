"""Where subjects are compared: one root image that all see, and for each
instance of a subject a cgroup with its limits, a network link, a disk."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import runs
from guest_shell import GuestShell

CGROUPS = Path("/sys/fs/cgroup")
NETNS = Path("/run/netns")
PATIENCE = 30  # seconds of silence until an instance counts as hung
SCRATCH_MIB = 192
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # of the whole run
LIMITED = ("cpu", "memory", "pids")  # by cgroup controllers


@dataclass(frozen=True)
class Limits:
    """Of one instance. A VM's monitor gets some memory beyond its guest's."""
    cpus: int = 1
    memory_mib: int = 512
    monitor_mib: int = 192
    pids: int = 400


@dataclass
class Instance:
    """What a subject gets to run in."""
    name: str  # of its cgroup, network namespace and so on
    number: int
    limits: Limits
    root: Path  # the image as a file or device
    tree: Path  # the same, mounted
    directory: Path  # of its own
    cgroup: Path
    scratch: Path = None  # a disk of its own, as a file
    work: Path = None  # the same, mounted, for who shares the host's kernel
    tap: str = None
    netns: str = None
    shell: GuestShell = field(default=None, repr=False)

    @property
    def host_address(self):
        return f"198.18.{self.number}.1"

    @property
    def address(self):
        return f"198.18.{self.number}.2"

    @property
    def netns_file(self):
        return NETNS / self.netns

    def run(self, command):
        return self.shell.run(command)

    def pids(self):
        """Every process of the instance, its monitor and helpers included."""
        return [int(pid) for file in self.cgroup.rglob("cgroup.procs")
                for pid in file.read_text().split()]


def call(*argv, **kwargs):
    """Runs a program that has to succeed; the error has what it said."""
    result = subprocess.run([str(arg) for arg in argv], check=False, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            stdin=subprocess.DEVNULL, **kwargs)
    if result.returncode:
        raise runs.RunFailed(f"{' '.join(map(str, argv))[:120]}: "
                             f"{result.stdout.strip()[-300:]}")
    return result.stdout


@contextlib.contextmanager
def undisturbed():
    """Signals that end the run wait: what is being set up is not noted yet as
    something to take down. Programs started meanwhile do not see them, either.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Place:
    """Everything that instances need, and its removal."""

    def __init__(self, directory, image, programs):
        self.directory = directory
        self.image = image
        self.programs = programs  # the folder of our own, on the host
        self.stack = contextlib.ExitStack()
        self.name = f"onggi{os.getpid()}"
        self.tree = directory / "root"
        self.cgroup = CGROUPS / self.name
        self.without_limit = []
        self.kernel = shutil.copy(runs.images_dir() / runs.machine.KERNEL,
                                  directory)

    def __enter__(self):
        with self.stack:
            with undisturbed():
                self._mount_root()
                self._make_cgroup()
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def _mount_root(self):
        """And what a process that shares the host's mounts needs in it."""
        # mount does not load it everywhere
        subprocess.run(["modprobe", "-q", "loop"], check=False)
        self.tree.mkdir()
        self._mount("-o", "ro", self.image, self.tree)
        for folder in ("tmp", "run"):
            self._mount("-t", "tmpfs", "tmpfs", self.tree / folder)
        for folder in ("proc", "sys", "dev"):
            self._mount("--bind", f"/{folder}", self.tree / folder)

    def _mount(self, *args, stack=None):
        call("mount", *args)
        (stack or self.stack).callback(call, "umount", args[-1])

    def _make_cgroup(self):
        controllers = (CGROUPS / "cgroup.controllers").read_text().split()
        enable = " ".join(f"+{c}" for c in (*LIMITED, "io")
                          if c in controllers)
        self.without_limit = [c for c in LIMITED if c not in controllers]
        (CGROUPS / "cgroup.subtree_control").write_text(enable)
        self.cgroup.mkdir()
        self.stack.callback(self.cgroup.rmdir)
        (self.cgroup / "cgroup.subtree_control").write_text(enable)
        self.controllers = enable

    def image_bytes(self):
        """Of the image, what its file system has in use."""
        stat = os.statvfs(self.tree)
        return (stat.f_blocks - stat.f_bfree) * stat.f_frsize

    def keep_in_memory(self, files):
        """Where the machine's own files come over a slow share, each file is
        covered by a copy in memory."""
        if not runs.inside_testbed():
            return
        copies = self.directory / "programs"
        copies.mkdir()
        for number, file in enumerate(sorted({f.resolve() for f in files})):
            copy = shutil.copy(file, copies / str(number))
            call("mount", "--bind", copy, file)  # it ends with the machine

    # --- instances ---

    @contextlib.contextmanager
    def instance(self, subject, number=0, *, disk=False, net=False,
                 limits=Limits()):
        """The surroundings of an instance that does not run yet."""
        with contextlib.ExitStack() as stack:
            with undisturbed():
                instance = self._instance(subject, number, limits, stack)
                if net:
                    self._link(subject, instance, stack)
                if disk:
                    self._disk(subject, instance, stack)
                stack.callback(subject.clean, self, instance)
            yield instance

    def _instance(self, subject, number, limits, stack):
        """With a folder and a cgroup."""
        name = f"{self.name}-{subject.key}-{number}"
        directory = self.directory / name
        directory.mkdir()
        stack.callback(shutil.rmtree, directory)
        instance = Instance(name, number, limits, self.image, self.tree,
                            directory, self.cgroup / name)
        self._limit(subject, instance, stack)
        return instance

    def _limit(self, subject, instance, stack):
        group, limits = instance.cgroup, instance.limits
        (group / "monitor").mkdir(parents=True)
        stack.callback(remove_cgroup, group)
        (group / "cgroup.subtree_control").write_text(self.controllers)
        memory = limits.memory_mib
        if subject.kind == "vm":
            memory += limits.monitor_mib
        for name, value in (("memory.max", memory << 20),
                            ("memory.swap.max", 0),
                            ("pids.max", limits.pids),
                            ("cpu.max", f"{limits.cpus * 100000} 100000")):
            if (group / name).exists():
                (group / name).write_text(str(value))

    def _link(self, subject, instance, stack):
        """A tap for a VM, else a pair of veth with an end in a network
        namespace of the instance's own."""
        outer = f"oc{os.getpid() % 100000}-{instance.number}"
        if subject.kind == "vm":
            call("ip", "tuntap", "add", outer, "mode", "tap", "vnet_hdr")
            stack.callback(call, "ip", "link", "del", outer)
            instance.tap = outer
        else:
            instance.netns = instance.name
            call("ip", "netns", "add", instance.netns)
            stack.callback(call, "ip", "netns", "del", instance.netns)
            inside = ("ip", "-n", instance.netns)
            call("ip", "link", "add", outer, "type", "veth", "peer", "name",
                 "eth0", "netns", instance.netns)
            call(*inside, "addr", "add", f"{instance.address}/30", "dev",
                 "eth0")
            for device in ("lo", "eth0"):
                call(*inside, "link", "set", device, "up")
        call("ip", "addr", "add", f"{instance.host_address}/30", "dev", outer)
        call("ip", "link", "set", outer, "up")

    def _disk(self, subject, instance, stack):
        """An ext4 of the instance's own, /work in it: a file in memory or on
        the disk of the directory, behind a loop device or virtio."""
        instance.scratch = instance.directory / "scratch.ext4"
        with open(instance.scratch, "wb") as file:
            file.truncate(SCRATCH_MIB << 20)
        call("mkfs.ext4", "-q", "-F", "-E",
             "lazy_itable_init=0,lazy_journal_init=0", instance.scratch)
        if subject.kind != "vm":
            instance.work = instance.directory / "work"
            instance.work.mkdir()
            self._mount("-o", "loop", instance.scratch, instance.work,
                        stack=stack)

    def start_words(self, subject, instance, words, init=None):
        """The command line that runs words in an instance, in its cgroup."""
        argv = subject.command(self, instance, words, init)
        return ["/bin/sh", "-c", 'echo $$ >"$0" && exec "$@"',
                instance.cgroup / "monitor/cgroup.procs", *argv]

    @contextlib.contextmanager
    def running(self, subject, number=0, **kwargs):
        """An instance with a shell in it that takes commands."""
        with self.instance(subject, number, **kwargs) as instance:
            argv = self.start_words(subject, instance,
                                    ["/bin/sh", "/bench/shell"])
            with GuestShell(argv, PATIENCE, end="exit") as shell:
                instance.shell = shell
                for line in subject.set_up(instance):
                    shell.run(line)
                yield instance

    def on_host(self, *argv, timeout=PATIENCE):
        """What a program of the image prints when the host runs it."""
        try:
            return call("chroot", self.tree, *argv, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise runs.RunFailed(f"{argv[0]} does not end") from error


def remove_cgroup(group):
    """With whatever still runs in it."""
    with contextlib.suppress(OSError):
        (group / "cgroup.kill").write_text("1")
    folders = sorted((f for f in group.rglob("*") if f.is_dir()),
                     key=lambda f: len(f.parts), reverse=True)
    end = time.monotonic() + 10
    for folder in (*folders, group):
        while folder.exists():
            try:
                folder.rmdir()
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
