"""A container by runc, whose command line is crun's."""

from comparison.subjects.crun import Crun


class Runc(Crun):
    key, program = "runc", "runc"
    flags = ()


SUBJECT = Runc
