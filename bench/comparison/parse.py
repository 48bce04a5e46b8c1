"""What load programs print."""

import re

import runs

LINE = r"^([\w.]+) ([\d.]+) \S+\s*$"


def on_one_line(text):
    """Without what a program may have printed for terminals, too."""
    return " ".join("".join(c if c.isprintable() else " "
                            for c in text).split())


def lines_of(output, pattern=LINE):
    """{name: number} of the lines that have both."""
    found = {name: float(value) for name, value in
             re.findall(pattern, output, re.M)}
    if not found:
        raise runs.RunFailed(f"no figures in: {output.strip()[-200:]}")
    return found


def number_in(output, pattern):
    """The number that the pattern's group has found."""
    found = re.search(pattern, output, re.M)
    if not found:
        raise runs.RunFailed(f"no figure in: {output.strip()[-200:]}")
    return float(found[1])
