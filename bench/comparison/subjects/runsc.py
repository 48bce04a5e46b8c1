"""A container by gVisor's runsc, whose command line is runc's: a kernel of its
own in user space, entered by ptrace, seccomp or KVM as runsc chooses."""

from comparison.subjects.crun import Crun


class Runsc(Crun):
    key, program = "runsc", "runsc"
    flags = ()


SUBJECT = Runsc
