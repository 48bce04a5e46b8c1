"""onggi with the tuned kernel."""

import runs
from comparison.subjects import VirtualMachine


class Onggi(VirtualMachine):
    key, program = "onggi", "onggi"

    def __init__(self, path=None):
        super().__init__(path or runs.ONGGI)

    def command(self, place, instance, words, init):
        argv = [self.path, "run", "--kernel", place.kernel,
                "--cpus", instance.limits.cpus,
                "--memory", f"{instance.limits.memory_mib}M", "--no-reboot",
                "--disk", f"{instance.root},root,readonly"]
        if instance.scratch:
            argv += ["--disk", instance.scratch]
        if instance.tap:
            argv += ["--net", f"tap={instance.tap}"]
        return [*argv, "--cmdline", self.init_word(init), "--",
                *self.guest_words(words, init)]


SUBJECT = Onggi
