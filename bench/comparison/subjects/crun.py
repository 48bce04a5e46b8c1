"""A container by crun."""

import subprocess

from comparison import bundle
from comparison.subjects import Subject


class Crun(Subject):
    key, kind, program = "crun", "container", "crun"
    flags = ("--cgroup-manager=cgroupfs",)

    @property
    def note(self):
        return bundle.note()

    def _runtime(self, place):
        return [self.path, f"--root={place.directory / self.key}", *self.flags]

    def command(self, place, instance, words, init):
        bundle.write(instance, [*(init or []), *words])
        return [*self._runtime(place), "run", "--bundle", instance.directory,
                instance.name]

    def clean(self, place, instance):
        subprocess.run([*self._runtime(place), "delete", "--force",
                        instance.name], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


SUBJECT = Crun
