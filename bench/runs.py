"""What the benchmarks share: timed runs, the place where they happen, peers."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from onggi import ARCH, ONGGI, images_dir, machine  # noqa: E402

QEMU = shutil.which(machine.QEMU)
CRUN = shutil.which("crun")
LONGEST_RUN = 30  # seconds until a run counts as hung

# --- timed runs ---

class RunFailed(Exception):
    pass


class NoAnswer(RunFailed):
    """A guest that is waited for in vain; in an emulated machine that may be
    the emulator's doing."""


def timed(argv, log):
    """Seconds from exec to exit; what the program prints goes into log."""
    argv = [str(arg) for arg in argv]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
         0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2)]
    start = time.clock_gettime(time.CLOCK_MONOTONIC)
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    # An alarm kills what hangs, and wait4() then returns as usual.
    signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
    signal.alarm(LONGEST_RUN)
    status = os.wait4(pid, 0)[1]
    end = time.clock_gettime(time.CLOCK_MONOTONIC)
    signal.alarm(0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        text = Path(log).read_text(errors="replace").strip()
        raise RunFailed(f"exit status {code}: {text[-300:]}")
    return end - start


def alternate(subjects, runs, table):
    """Calls each of {name: function} in turn, runs times and once before to
    warm up; the results by name. A subject that fails drops out."""
    samples = {name: [] for name in subjects}
    for turn in range(runs + 1):
        for name, measure in subjects.items():
            if samples[name] is None:
                continue
            try:
                value = measure()
            except (OSError, RunFailed) as error:
                table.not_measured(name, error)
                samples[name] = None
            else:
                samples[name] += [value] if turn else []
    return samples


# --- the place ---

@contextlib.contextmanager
def tmpfs_directory():
    """The emulated machine's other files come over a slow share."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


def libraries_of(program):
    """The shared libraries of a program; none, where it is a static one."""
    listed = subprocess.run([machine.LOADER, "--list", program], text=True,
                            check=False, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)
    return [Path(path) for path in re.findall(r"=> (/\S+)", listed.stdout)]


def copy_program(program, directory):
    """Copies a program with its shared libraries, for all runs to use them."""
    libraries = directory / "libraries"
    libraries.mkdir(exist_ok=True)
    for library in libraries_of(program):
        if not (libraries / library.name).exists():
            shutil.copy(library, libraries)
    os.environ["LD_LIBRARY_PATH"] = str(libraries)
    return shutil.copy(program, directory)


def qemu(directory):
    """QEMU's leanest machine for the guest, its files copied."""
    return [copy_program(QEMU, directory), *qemu_options(directory)]


def qemu_options(directory):
    """Without option ROMs and devices that the guest does not need."""
    machines = {"x86_64": _microvm, "arm64": _virt}
    return [*machines[ARCH](directory), "-accel", "kvm", "-nodefaults",
            "-no-user-config", "-nographic", "-serial", "stdio", "-no-reboot"]


def _virt(_):
    return ["-M", "virt,gic-version=host"]


def _microvm(directory):
    firmware = directory / "firmware"
    firmware.mkdir()
    folders = subprocess.run([QEMU, "-L", "help"], text=True, check=True,
                             stdout=subprocess.PIPE).stdout.split()
    for folder in reversed(folders):
        for name in ("bios-microvm.bin", "qboot.rom", "kvmvapic.bin"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(Path(folder) / name, firmware)
    return ["-L", firmware, "-M",
            "microvm,x-option-roms=off,isa-serial=on,rtc=off,pit=off,pic=off,"
            "acpi=off"]


def inside_testbed():
    """'counted' or 'emulated' in an emulated machine, else ''."""
    return os.environ.get("ONGGI_TESTBED", "")


def kvm_boots_kernels(arch):
    """As tests/testbed/run sees it."""
    return subprocess.call([ROOT / "tests/testbed/run", "--arch", arch,
                            "--native"]) == 0


def add_options(parser, default_runs):
    """Those that every benchmark has."""
    parser.add_argument("--runs", type=int, metavar="N",
                        help=f"counted runs of each ({default_runs})")
    parser.add_argument("--counted", action="store_true",
                        help="in the emulated machine that counts instructions")
    parser.add_argument("--arch", default=ARCH,
                        help="whose emulated machine (this machine's)")
    parser.add_argument("--floor", metavar="FILE",
                        default=ROOT / "build/bench/floor",
                        help="the bare program (build/bench/floor)")
    parser.add_argument("--json", metavar="FILE", help="write the rows there")


def run_counted(script, options, *more):
    """The script once more, in the emulated machine whose clock counts
    instructions; returns its exit status. More are its own options."""
    os.environ["ONGGI"] = ONGGI
    with _shared_directory() as results:
        rows = results / "rows.json"
        status = subprocess.call(
            _counted_command(script, options, 900, "--json", rows, *more),
            cwd=ROOT)
        if options.json and rows.exists():
            shutil.copyfile(rows, options.json)
    return status


@contextlib.contextmanager
def _shared_directory():
    """In the checkout, which the emulated machine shows wherever it lies."""
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as directory:
        yield Path(directory)


def _counted_command(script, options, timeout, *more):
    return [ROOT / "tests/testbed/run", "--arch", options.arch, "--counted",
            "--timeout", str(timeout), "--env", "ONGGI", "--results", ROOT,
            "--", "python3", "-B", Path(script).resolve(),
            "--runs", str(options.runs),
            "--floor", Path(options.floor).resolve(), *more]


# --- benchmarks that take minutes ---

STALL_CPU, STALL_WALL = 60, 900  # seconds without progress
# Or so long with hardly any processor time: nothing in the emulated machine
# waits longer, but one whose clock has stopped does.
STALL_IDLE, IDLE_CPU = 300, 10
STALLS_MAX = 10
TESTBED_FAILED = 125  # exit status of tests/testbed/run


def run_counted_long(script, options, *more):
    """As run_counted(), but returns the rows, or None, and prints nothing but
    the progress. The script gets a journal, and is called again when it
    stalls."""
    os.environ["ONGGI"] = ONGGI
    with _shared_directory() as results:
        rows, notes = results / "rows.json", results / "journal"
        notes.touch()
        run_until_through(
            _counted_command(script, options, 3600, "--json", rows,
                             "--journal", notes, *more), notes)
        return json.loads(rows.read_text()) if rows.exists() else None


def run_until_through(command, notes, stalls_max=STALLS_MAX,
                      stall_cpu=STALL_CPU):
    """Runs a command of tests/testbed/run that notes its progress, again when
    it stalls: now and then QEMU delivers an interrupt twice to a guest in the
    emulated machine, which then waits for itself. Returns the exit status."""
    stalls = known = 0
    while stalls < stalls_max:
        with subprocess.Popen(command, cwd=ROOT,
                              stdout=subprocess.DEVNULL) as process:
            try:
                if not _stalls(process, notes, stall_cpu) and \
                        process.returncode != TESTBED_FAILED:
                    return process.returncode
            finally:
                process.terminate()
        stalls = stalls + 1 if notes.stat().st_size == known else 1
        known = notes.stat().st_size
        print("the emulated machine stalls; going on in a new one",
              file=sys.stderr)
    return TESTBED_FAILED


def _stalls(process, notes, stall_cpu):
    """Waits for the process, and whether it made no progress for long: in
    processor time, since other programs may be at work, too."""
    seen = (0, 0, 0)
    while process.poll() is None:
        now = (notes.stat().st_mtime, _cpu_seconds(process.pid),
               time.monotonic())
        if now[0] != seen[0]:
            seen = now
        cpu, wall = now[1] - seen[1], now[2] - seen[2]
        if cpu > stall_cpu or wall > STALL_WALL or \
                (wall > STALL_IDLE and cpu < IDLE_CPU):
            return True
        time.sleep(1)
    return False


def _cpu_seconds(pid):
    """Of a process and those that it started, at any remove."""
    parents, ticks = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            parents[int(stat.parent.name)] = int(fields[1])
            ticks[int(stat.parent.name)] = int(fields[11]) + int(fields[12])
    family, total = [pid], 0
    for member in family:
        total += ticks.get(member, 0)
        family += [child for child, parent in parents.items()
                   if parent == member]
    return total / os.sysconf("SC_CLK_TCK")


def under_way(journal):
    """The file with the key of what is being measured."""
    return Path(f"{journal}.step")


def note_result(journal, key, result):
    with open(journal, "a", encoding="utf-8") as file:
        file.write(json.dumps([key, result]) + "\n")


class Journal:
    """What was measured so far, in a file, so that a second call of the
    benchmark need not measure it again. Without a file it only measures."""

    def __init__(self, path):
        self.path = path
        self.known = dict(self._entries()) if path else {}

    def _entries(self):
        """Whoever was killed may have left half a line, which does not count
        and is ended here, so that the next one is whole."""
        text = Path(self.path).read_text(encoding="utf-8", errors="replace")
        if text and not text.endswith("\n"):
            with open(self.path, "a", encoding="utf-8") as file:
                file.write("\n")
        for line in text.split("\n"):
            with contextlib.suppress(TypeError, ValueError):
                key, result = json.loads(line)
                yield str(key), result

    def note(self, key, measure):
        """The result of measure(), unless it is known."""
        if key not in self.known:
            if self.path:
                under_way(self.path).write_text(key, encoding="utf-8")
            self.known[key] = measure()
            if self.path:
                note_result(self.path, key, self.known[key])
                under_way(self.path).unlink()
        return self.known[key]

    def progress(self, text):
        """Tells the user, and whoever watches for a stall."""
        print(text, file=sys.stderr, flush=True)
        if self.path:
            os.utime(self.path)


def describe_host():
    clock = {"counted": "instructions, 1 ns each (emulated machine)",
             "emulated": "wall time (emulated machine)"}
    host = {"clock": clock.get(inside_testbed(), "wall time"),
            "cpu": cpu_model(), "cpus": os.cpu_count(),
            "kernel": os.uname().release, "onggi": _version(ONGGI)}
    if QEMU:
        host["QEMU"] = _version(QEMU)
    if CRUN:
        host["crun"] = _version(CRUN)
    return host


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n"):
        if line.startswith("model name"):
            return line.split(": ", 1)[-1]
    return os.uname().machine


def _version(program):
    """The first number in what --version says."""
    text = subprocess.run([program, "--version"], text=True, check=False,
                          stdout=subprocess.PIPE).stdout
    words = text.split("\n", 1)[0].split()
    return next((w for w in words if w[0].isdigit()), (words or ["?"])[-1])
