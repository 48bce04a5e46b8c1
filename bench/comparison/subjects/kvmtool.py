"""kvmtool, which starts bzImages only."""

import runs
from comparison.subjects import VirtualMachine


class Kvmtool(VirtualMachine):
    key, program = "kvmtool", "lkvm"
    note = "a bzImage, as it does not start a vmlinux"

    def version(self):
        return super().version() or "unknown"

    def kernel_file(self, place):
        return runs.images_dir() / ("bzImage" if runs.ARCH == "x86_64"
                                    else runs.machine.KERNEL)

    def command(self, place, instance, words, init):
        argv = [self.path, "run", "--kernel", self.kernel_file(place),
                "--cpus", instance.limits.cpus,
                "--mem", instance.limits.memory_mib, "--console", "serial",
                "--disk", f"{instance.root},ro"]
        if instance.scratch:
            argv += ["--disk", instance.scratch]
        argv += ["--network", f"mode=tap,tapif={instance.tap}"
                 if instance.tap else "mode=none"]
        return [*argv, "--params", "quiet console=ttyS0 panic=-1 "
                + self.kernel_line(words, init)]


SUBJECT = Kvmtool
