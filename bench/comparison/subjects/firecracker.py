"""Firecracker, from a configuration file, without its jailer."""

import json

from comparison.subjects import VirtualMachine


class Firecracker(VirtualMachine):
    key, program = "firecracker", "firecracker"
    note = "from a configuration file, without the jailer, with its seccomp"

    def command(self, place, instance, words, init):
        config = instance.directory / "firecracker.json"
        drives = [{"drive_id": "root", "path_on_host": str(instance.root),
                   "is_root_device": False, "is_read_only": True}]
        if instance.scratch:
            drives.append({"drive_id": "work", "is_root_device": False,
                           "path_on_host": str(instance.scratch),
                           "is_read_only": False})
        links = [{"iface_id": "eth0", "host_dev_name": instance.tap}] \
            if instance.tap else []
        config.write_text(json.dumps({
            "boot-source": {
                "kernel_image_path": str(place.kernel),
                "boot_args": "quiet console=ttyS0 reboot=k panic=-1 "
                             + self.kernel_line(words, init)},
            "drives": drives, "network-interfaces": links,
            "machine-config": {"vcpu_count": instance.limits.cpus,
                               "mem_size_mib": instance.limits.memory_mib}}),
            encoding="utf-8")
        return [self.path, "--no-api", "--config-file", config]


SUBJECT = Firecracker
