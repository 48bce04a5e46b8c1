"""A process of the host's, whose root is the image; nothing else is between."""

import os

from comparison.subjects import Subject


class Native(Subject):
    key, kind = "native", "process"
    note = ("a process in a chroot, with a network namespace where it has a "
            "network")

    def version(self):
        return os.uname().release

    def files(self):
        return []

    def command(self, place, instance, words, init):
        argv = ["chroot", place.tree, *(init or []), *words]
        if instance.work:
            # a mount of its own in the tree that all share
            argv = ["unshare", "--mount", "sh", "-c",
                    'mount --bind "$0" "$1" && shift && exec "$@"',
                    instance.work, place.tree / "work", *argv]
        if instance.netns:
            argv = ["nsenter", f"--net={instance.netns_file}", *argv]
        return argv


SUBJECT = Native
