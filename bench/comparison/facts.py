"""What a reader must know of the machine that was measured."""

import os
import platform
import re
from pathlib import Path

import runs


def _read(path, otherwise="unknown"):
    try:
        return Path(path).read_text(encoding="utf-8").strip() or otherwise
    except OSError:
        return otherwise


def _chosen(text):
    """Of a list of choices, as sysfs has them, the one in brackets."""
    found = re.search(r"\[(.+?)\]", text)
    return found[1] if found else text


def kvm():
    """What the VMs run on."""
    if runs.inside_testbed():
        return "emulated by QEMU"
    flags = _read("/proc/cpuinfo")
    if re.search(r"^flags.*\bhypervisor\b", flags, re.M):
        return "nested: this machine is itself a VM"
    return "of the hardware"


def mitigations():
    folder = Path("/sys/devices/system/cpu/vulnerabilities")
    states = {file.name: _read(file) for file in sorted(folder.glob("*"))}
    if not states:
        return "unknown"
    active = [name for name, state in states.items()
              if state.startswith("Mitigation")]
    open_ = [name for name, state in states.items()
             if state.startswith("Vulnerable")]
    return (f"on for {', '.join(active) or 'nothing'}; vulnerable to "
            f"{', '.join(open_) or 'nothing known'}")


def _governor():
    folder = "/sys/devices/system/cpu/cpu0/cpufreq"
    return _chosen(_read(f"{folder}/scaling_governor", "no governor"))


def of_host(place):
    memory = re.search(r"MemTotal: +(\d+)", _read("/proc/meminfo"))
    file_system = os.popen(f"stat -f -c %T {place.directory}").read().strip()
    return {
        "clock": {"counted": "instructions, 1 ns each",
                  "emulated": "wall time of an emulated machine"}.get(
                      runs.inside_testbed(), "wall time"),
        "processor": runs.cpu_model(),
        "processors": os.cpu_count(),
        "memory, MiB": int(memory[1]) // 1024 if memory else "unknown",
        "kernel": platform.release(),
        "KVM": kvm(),
        "mitigations": mitigations(),
        "governor": _governor(),
        "SMT": _read("/sys/devices/system/cpu/smt/control"),
        "transparent huge pages": _chosen(
            _read("/sys/kernel/mm/transparent_hugepage/enabled")),
        "KSM": {"0": "off", "1": "on"}.get(
            _read("/sys/kernel/mm/ksm/run"), "unknown"),
        "halt_poll_ns": _read("/sys/module/kvm/parameters/halt_poll_ns"),
        "disks' files on": file_system}


def conditions(place):
    """And what of them does not hold here."""
    lacking = [f"There is no limit of {name}: this kernel has no cgroup "
               "controller of it." for name in place.without_limit]
    return CONDITIONS + lacking


CONDITIONS = [
    "Every subject runs the same image, read-only, with 1 processor and 512 "
    "MiB. Of a VM, that is the guest's memory: its cgroup has 192 MiB more "
    "for the monitor.",
    "Subjects take turns, A B A B. What is shared (the image, programs) is in "
    "the page cache: nothing is read from a disk.",
    "Network: a pair of veth for processes and containers, a tap for VMs, "
    "each straight to the host.",
    "Disk: an ext4 on a file, behind a loop device for processes and "
    "containers, behind virtio for VMs; the host caches the file.",
    "VMs start the tuned kernel of guest-images/build, which has no "
    "mitigations against its own processes; containers run on the host's "
    "kernel with the mitigations listed.",
]
