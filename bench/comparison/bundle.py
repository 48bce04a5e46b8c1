"""An OCI bundle whose root is the image, with what podman gives a container:
its capabilities, its seccomp profile, its mounts."""

import json
from pathlib import Path

CAPABILITIES = [f"CAP_{name}" for name in (
    "CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID "
    "SETPCAP SETUID SYS_CHROOT").split()]
# Debian's package golang-github-containers-common
PROFILE = Path("/usr/share/containers/seccomp.json")
MASKED = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
             "/proc/sysrq-trigger"]
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def seccomp(capabilities):
    """The profile as the runtime takes it: a rule may depend on capabilities
    that the container has or has not."""
    profile = json.loads(PROFILE.read_text(encoding="utf-8"))
    held = set(capabilities)

    def applies(rule):
        only = set(rule.get("includes", {}).get("caps", []))
        never = set(rule.get("excludes", {}).get("caps", []))
        arches = rule.get("includes", {}).get("arches")
        return only <= held and not never & held and (
            not arches or "amd64" in arches or "arm64" in arches)

    return {
        "defaultAction": profile["defaultAction"],
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
        if Path("/lib64/ld-linux-x86-64.so.2").exists()
        else ["SCMP_ARCH_AARCH64"],
        "syscalls": [
            {"names": rule["names"], "action": rule["action"],
             **({"args": rule["args"]} if rule.get("args") else {}),
             **({"errnoRet": rule["errnoRet"]} if "errnoRet" in rule else {})}
            for rule in profile["syscalls"] if applies(rule)]}


def _mounts(instance):
    def temporary(where, options):
        return {"destination": where, "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", *options]}
    yield {"destination": "/proc", "type": "proc", "source": "proc"}
    yield temporary("/dev", ["mode=755", "size=65536k"])
    yield {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
           "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666",
                       "mode=0620"]}
    yield temporary("/dev/shm", ["mode=1777"])
    yield {"destination": "/sys", "type": "sysfs", "source": "sysfs",
           "options": ["nosuid", "noexec", "nodev", "ro"]}
    yield temporary("/run", ["mode=755"])
    yield temporary("/tmp", ["mode=1777"])
    if instance.work:
        yield {"destination": "/work", "type": "bind",
               "source": str(instance.work), "options": ["bind", "rw"]}


def write(instance, words):
    limits = instance.limits
    network = {"type": "network"}
    if instance.netns:
        network["path"] = str(instance.netns_file)
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0},
            "args": [str(word) for word in words], "cwd": "/",
            "env": [PATH, "HOME=/root"], "noNewPrivileges": True,
            "capabilities": {kind: CAPABILITIES for kind in
                             ("bounding", "effective", "permitted")}},
        "root": {"path": str(instance.tree), "readonly": True},
        "hostname": "container",
        "mounts": list(_mounts(instance)),
        "linux": {
            "cgroupsPath": "/" + str(
                (instance.cgroup / "container").relative_to("/sys/fs/cgroup")),
            "namespaces": [{"type": kind} for kind in
                           ("pid", "ipc", "uts", "mount", "cgroup")]
            + [network],
            "resources": {
                "memory": {"limit": limits.memory_mib << 20},
                "cpu": {"quota": limits.cpus * 100000, "period": 100000},
                "pids": {"limit": limits.pids}},
            "maskedPaths": MASKED, "readonlyPaths": READ_ONLY}}
    if PROFILE.exists():
        config["linux"]["seccomp"] = seccomp(CAPABILITIES)
    (instance.directory / "config.json").write_text(json.dumps(config),
                                                    encoding="utf-8")


def note():
    profile = "podman's seccomp profile" if PROFILE.exists() else \
        f"no seccomp profile ({PROFILE} is missing)"
    return f"called directly on a bundle; podman's capabilities, {profile}"
