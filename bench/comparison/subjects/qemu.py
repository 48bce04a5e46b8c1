"""QEMU's leanest machine: microvm, on arm64 virt; the same kernel."""

import runs
from comparison.subjects import VirtualMachine


class Qemu(VirtualMachine):
    key = "qemu"
    program = runs.machine.QEMU
    note = ("microvm without firmware tables, option ROMs and devices that "
            "the guest does not need; disks by threads")

    def __init__(self, path=None):
        super().__init__(path)
        self._options = None

    def options(self, place):
        """Its firmware is copied once."""
        if not self._options:
            self._options = runs.qemu_options(place.directory) + [
                "-global", "virtio-mmio.force-legacy=false", "-cpu", "host"]
        return self._options

    def command(self, place, instance, words, init):
        argv = [self.path, *self.options(place),
                "-smp", instance.limits.cpus,
                "-m", instance.limits.memory_mib, "-kernel", place.kernel]
        disks = [(instance.root, "on")]
        if instance.scratch:
            disks.append((instance.scratch, "off"))
        for number, (path, readonly) in enumerate(disks):
            argv += ["-drive", f"if=none,id=disk{number},format=raw,"
                     f"file={path},readonly={readonly},aio=threads",
                     "-device", f"virtio-blk-device,drive=disk{number}"]
        if instance.tap:
            argv += ["-netdev", f"tap,id=net,ifname={instance.tap},script=no,"
                     "downscript=no",
                     "-device", "virtio-net-device,netdev=net"]
        # No -- before what is init's: QEMU adds where its devices are.
        return [*argv, "-append", f"quiet {runs.machine.QEMU_CMDLINE} "
                f"panic=-1 {self.kernel_line(words, init, separator='')}"]


SUBJECT = Qemu
