"""The table that every benchmark makes: rows, goals, printing, JSON.

A row holds the median of each subject, onggi's first. Its ratio is onggi's
value divided by the peer's. Its goal is the largest ratio allowed or, where
the row has no peer, the largest value; of what is better when it is more, it
is the smallest. A row without goal is information.
"""

import json
from statistics import median


class Table:
    def __init__(self, title, host):
        self.title = title
        self.host = host
        self.rows = []
        self.details = {}  # {heading: {subject: {kind: {name: value}}}}
        self.missing = []

    def add(self, name, unit, samples, peer=None, goal=None, more=False):
        """samples: the measured values of each subject. A subject without
        any makes the row impossible: whoever measured it said why. more:
        whether more is better than less."""
        subjects = ["onggi", peer] if peer else list(samples)
        if not all(samples.get(subject) for subject in subjects):
            return
        values = {s: round(median(samples[s]), 4) for s in subjects}
        ratio = None
        if peer and values[peer]:
            ratio = round(values["onggi"] / values[peer], 4)
        reached = ratio if peer else values[subjects[0]]
        met = None
        if goal is not None and reached is not None:
            met = reached >= goal if more else reached <= goal
        self.rows.append({
            "name": name, "unit": unit, "values": values, "ratio": ratio,
            "goal": goal, "more is better": more, "met": met,
            "samples": {s: v for s, v in samples.items() if v}})

    def not_measured(self, what, why):
        self.missing.append(f"{what}: {why}")

    def merge(self, written):
        """Takes over what another table's write_json() wrote."""
        self.host = written["host"]
        self.rows += written["rows"]
        self.details.update(written["details"])
        self.missing += written["missing"]

    def print(self):
        print(self.title)
        for key, value in self.host.items():
            print(f"  {key}: {value}")
        lines = [("", "unit", "onggi", "peer", "", "ratio", "goal", "")]
        lines += [_cells(row) for row in self.rows]
        print()
        print_columns(lines, (2, 3, 5, 6))
        for heading, subjects in self.details.items():
            print(f"\n{heading}:")
            for subject, kinds in subjects.items():
                for kind, named in kinds.items():
                    print(f"  {subject}, {kind}: " + ", ".join(
                        f"{name} {_number(value)}"
                        for name, value in named.items() if value >= 0.005))
        for text in self.missing:
            print(f"not measured: {text}")

    def write_json(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"host": self.host, "rows": self.rows,
                       "details": self.details, "missing": self.missing},
                      file, indent=2)
            file.write("\n")

    def finish(self, path=None):
        """Prints, writes where asked for, and returns the exit status: a
        missed goal is a result, a missing value is an error."""
        self.print()
        if path:
            self.write_json(path)
        return 1 if self.missing or not self.rows else 0


def print_columns(lines, numbers):
    """Lines of cells below each other: those columns to the right, as numbers
    are, words to the left."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    for cells in lines:
        print("  ".join(
            cell.rjust(width) if i in numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths))).rstrip())


def _cells(row):
    values = dict(row["values"])
    own = values.pop("onggi", None)
    peer, other = next(iter(values.items()), ("", None))
    met = {None: "", True: "met", False: "missed"}[row["met"]]
    return (row["name"], row["unit"], _number(own), _number(other), peer,
            _number(row["ratio"]), _goal(row), met)


def _goal(row):
    if row["goal"] is None:
        return ""
    return ("≥ " if row["more is better"] else "≤ ") + _number(row["goal"])


def _number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
