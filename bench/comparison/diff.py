"""bench/compare diff A B: what changed between two results, and what of it is
more than chance.

Every measure of a subject that both have is tested by Mann and Whitney's test.
Many tests find something by chance, so the p of each subject's measures are
corrected together, by Holm. Those with too few samples to ever show anything
are not tested, and do not make it harder for the others."""

import argparse
import sys
from dataclasses import dataclass

from table import print_columns

from . import figures, results, samples

GATE = "onggi"  # whose regressions count
VERDICTS = ("worse", "failed", "better", "changed", "no difference shown",
            "too few samples", "not tested")


@dataclass
class Row:
    subject: str
    measure: dict
    before: figures.Figure
    after: figures.Figure | None
    p: float | None = None
    verdict: str = ""
    remark: str = ""

    @property
    def change(self):
        """In percent; None where there is nothing to divide by."""
        if self.after is None or self.before.value == 0:
            return None
        return (self.after.value / self.before.value - 1) * 100


def main(argv):
    """Returns the exit status: 1 if onggi got worse, 2 for bad input."""
    options = _parser().parse_args(argv)
    try:
        before, after = (results.load(path) for path in (options.a, options.b))
        _same_clock(before, after)
    except results.BadResults as error:
        print(f"bench/compare diff: {error}", file=sys.stderr)
        return 2
    for line in _differences(before, after):
        print(line)
    rows, left_out = compare(before, after, options.least)
    _print_rows(rows)
    for line in left_out:
        print(line)
    own = [row for row in rows if row.subject == GATE]
    worse = [row for row in own if row.verdict in ("worse", "failed")]
    print(f"{GATE}: {len(worse)} of {len(own)} measures worse" if own
          else f"{GATE}: no measure in common")
    return 1 if worse else 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="bench/compare diff", description="Compares two results of "
        "bench/compare: medians, change, p by Mann and Whitney's test "
        "corrected by Holm's method, regressions first.",
        epilog=f"Exit status: 1 if a measure of {GATE} got worse "
        f"significantly (p at most {samples.ALPHA:g}) or fails now, 2 for bad "
        "input, else 0. Samples of one run share whatever was special about "
        "that hour: with many of them small changes are significant that say "
        "nothing; --least leaves those out.")
    parser.add_argument("a", metavar="A", help="results.json, or its folder")
    parser.add_argument("b", metavar="B", help="the newer one")
    parser.add_argument("--least", type=_percent, default=0.0,
                        metavar="PERCENT", help="a smaller change counts as "
                        "no difference (0)")
    return parser


def _percent(text):
    value = float(text)
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"{text}: not a percentage of 0 or "
                                         "more")
    return value


# --- may they be compared? ---

def _same_clock(before, after):
    for field, words in (("clock", {}),
                         ("emulated", {True: "yes", False: "no"})):
        old, new = before[field], after[field]
        if old != new:
            raise results.BadResults(
                f"{field} {words.get(old, old)} in A but {words.get(new, new)}"
                " in B: their figures cannot be compared")


def _differences(before, after):
    """A line for each condition that is not the same."""
    lines = []
    for field in ("scale", "runs"):
        if before[field] != after[field]:
            lines.append(f"{field}: {before[field]} in A, {after[field]} in B")
    lines += _unlike("host", before["host"], after["host"])
    versions = [{s["name"]: s.get("version") or "not known"
                 for s in data["subjects"]} for data in (before, after)]
    lines += _unlike("version of", *versions)
    if before["conditions"] != after["conditions"]:
        for side, own, other in (("A", before, after), ("B", after, before)):
            lines += [f"only in {side}: {text}" for text in own["conditions"]
                      if text not in other["conditions"]]
    return [f"not the same: {line}" for line in lines]


def _unlike(what, old, new):
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key):
            yield (f"{what} {key}: {old.get(key, 'nothing')} in A, "
                   f"{new.get(key, 'nothing')} in B")


# --- comparing ---

def compare(before, after, least=0.0):
    """(rows, regressions first; lines about what could not be compared)"""
    rows, left_out = [], []
    old, new = results.measures(before), results.measures(after)
    listed = [[s["name"] for s in data["subjects"]]
              for data in (before, after)]
    names = [name for name in listed[0] if name in listed[1]]
    left_out += [f"only in {side}: the subject {name}"
                 for side, own, other in (("A", *listed), ("B", *listed[::-1]))
                 for name in own if name not in other]
    for key in dict.fromkeys([*old, *new]):
        if key not in old or key not in new:
            left_out.append(f"only in {'A' if key in old else 'B'}: {key}")
        elif any(old[key][f] != new[key][f] for f in ("unit", "better")):
            left_out.append(f"not compared: {key}: unit or direction differ")
        else:
            for name in names:
                _pair(name, (before, old[key]), (after, new[key]), rows,
                      left_out)
    for name in names:
        _judge([row for row in rows if row.subject == name], least)
    order = {id(row): i for i, row in enumerate(rows)}
    rows.sort(key=lambda row: (VERDICTS.index(row.verdict),
                               row.subject != GATE, order[id(row)]))
    return rows, left_out


def _pair(name, old, new, rows, left_out):
    """Adds a row, or a line about why there is none."""
    first, second = (_figure(*side, name) for side in (old, new))
    key = old[1]["key"]
    if first and second and first.is_slope == second.is_slope:
        rows.append(Row(name, new[1], first, second))
        if not first.is_slope:
            rows[-1].p = samples.mann_whitney(
                *(results.samples(side[1], name) for side in (old, new)))
    elif first and second:
        left_out.append(f"not compared: {name} {key}: a slope in one, samples "
                        "in the other")
    elif first:
        rows.append(Row(name, new[1], first, None, verdict="failed",
                        remark=_reason(*new, name)))
    elif second:
        left_out.append(f"only in B: {name} {key} (A: {_reason(*old, name)})")


def _figure(data, measure, name):
    return figures.figure(measure, name) if name in results.subjects(data) \
        else None


def _reason(data, measure, name):
    return results.missing(data).get(name) or figures.why_none(measure, name)


def _judge(rows, least):
    """The verdicts of one subject's measures, whose p it corrects."""
    tested = {i: row.p for i, row in enumerate(rows)
              if row.p is not None and _best_p(row) <= samples.ALPHA}
    corrected = samples.holm(tested)
    for i, row in enumerate(rows):
        if row.verdict:
            continue
        if row.p is None:
            row.verdict, row.remark = "not tested", "a slope has no samples"
        elif i in corrected:
            row.p = corrected[i]
            _judge_one(row, len(tested), least)
        else:
            _too_few(row, 1)


def _best_p(row):
    return samples.smallest_p(row.before.n, row.after.n)


def _judge_one(row, tests, least):
    if row.p <= samples.ALPHA and abs(row.change or 0) >= least:
        more = row.after.value > row.before.value
        row.verdict = {"less": "worse" if more else "better",
                       "more": "better" if more else "worse",
                       "none": "changed"}[row.measure["better"]]
        if row.after.value == row.before.value:
            row.verdict, row.remark = "changed", "the medians are equal"
    elif row.p > samples.ALPHA and _best_p(row) * tests > samples.ALPHA:
        _too_few(row, tests)
    else:
        row.verdict = "no difference shown"
        if row.p <= samples.ALPHA:
            row.remark = f"below {least:g} %"


def _too_few(row, tests):
    row.p = None
    row.verdict = "too few samples"
    row.remark = (f"{row.before.n} and {row.after.n}; at least "
                  f"{samples.enough(tests)} each")


# --- printing ---

def _print_rows(rows):
    if not rows:
        print("no measure in common")
        return
    lines = [("verdict", "subject", "measure", "unit", "A", "B", "change",
              "p", "")]
    lines += [_cells(row) for row in rows]
    print_columns(lines, (4, 5, 6, 7))


def _cells(row):
    change = "" if row.change is None else f"{row.change:+.1f} %"
    return (row.verdict, row.subject, row.measure["key"],
            figures.unit(row.measure), figures.number(row.before.value),
            figures.number(row.after.value) if row.after else "none", change,
            "" if row.p is None else f"{row.p:.2g}", row.remark)
