"""Cloud Hypervisor. Its devices are on PCI, so that it needs the tuned kernel's
variant that has it (guest-images/build kernel-acpi)."""

import runs
from comparison.subjects import VirtualMachine


class CloudHypervisor(VirtualMachine):
    key, program = "cloud-hypervisor", "cloud-hypervisor"
    note = "the tuned kernel's variant with PCI and ACPI"

    def kernel_file(self, place):
        return runs.images_dir() / "vmlinux-acpi"

    def missing(self):
        if super().missing():
            return super().missing()
        if not self.kernel_file(None).exists():
            return "no kernel with PCI: guest-images/build kernel-acpi"
        return None

    def command(self, place, instance, words, init):
        disks = [f"path={instance.root},readonly=on"]
        if instance.scratch:
            disks.append(f"path={instance.scratch}")
        argv = [self.path, "--kernel", self.kernel_file(place),
                "--cpus", f"boot={instance.limits.cpus}",
                "--memory", f"size={instance.limits.memory_mib}M",
                "--serial", "tty", "--console", "off", "--disk", *disks]
        if instance.tap:
            argv += ["--net", f"tap={instance.tap}"]
        return [*argv, "--cmdline", "quiet console=ttyS0 panic=-1 "
                + self.kernel_line(words, init)]


SUBJECT = CloudHypervisor
