"""The table that every benchmark makes: rows, goals, printing, JSON.

A row holds the median of each subject, onggi's first. Its ratio is onggi's
value divided by the peer's. Its goal is the largest ratio allowed or, where
the row has no peer, the largest value; a row without goal is information.
"""

import json
from statistics import median


class Table:
    def __init__(self, title, host):
        self.title = title
        self.host = host
        self.rows = []
        self.missing = []

    def add(self, name, unit, samples, peer=None, goal=None):
        """samples: the measured values of each subject. A subject without
        any makes the row impossible: whoever measured it said why."""
        subjects = ["onggi", peer] if peer else list(samples)
        if not all(samples.get(subject) for subject in subjects):
            return
        values = {s: round(median(samples[s]), 4) for s in subjects}
        ratio = round(values["onggi"] / values[peer], 4) if peer else None
        reached = ratio if peer else values[subjects[0]]
        self.rows.append({
            "name": name, "unit": unit, "values": values, "ratio": ratio,
            "goal": goal, "met": None if goal is None else reached <= goal})

    def not_measured(self, what, why):
        self.missing.append(f"{what}: {why}")

    def print(self):
        print(self.title)
        for key, value in self.host.items():
            print(f"  {key}: {value}")
        lines = [("", "unit", "onggi", "peer", "", "ratio", "goal", "")]
        lines += [_cells(row) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*lines)]
        print()
        for cells in lines:
            # numbers to the right, words to the left
            print("  ".join(
                cell.rjust(width) if i in (2, 3, 5, 6) else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(cells, widths))
            ).rstrip())
        for text in self.missing:
            print(f"not measured: {text}")

    def write_json(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"host": self.host, "rows": self.rows}, file, indent=2)
            file.write("\n")

    def finish(self, path=None):
        """Prints, writes where asked for, and returns the exit status: a
        missed goal is a result, a missing value is an error."""
        self.print()
        if path:
            self.write_json(path)
        return 1 if self.missing or not self.rows else 0


def _cells(row):
    values = dict(row["values"])
    own = values.pop("onggi", None)
    peer, other = next(iter(values.items()), ("", None))
    met = {None: "", True: "met", False: "missed"}[row["met"]]
    return (row["name"], row["unit"], _number(own), _number(other), peer,
            _number(row["ratio"]), _number(row["goal"]), met)


def _number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
