"""The report that results.json becomes: report.html and report.md.

Every number and every sentence with a number comes from the results; what they
lack is left out, or named with the reason."""

import os
import re
import shutil
from pathlib import Path

from . import figures, html, markdown, pictures, results, samples
from .document import (Bullets, Caution, Cell, Code, Heading, Paragraph,
                       Pictures, Table)

TITLE = "VM or container? What a wall costs on this machine"
# The measure that stands for a dimension in the summary: the first that is
# there and that a subject has a figure of; else the dimension's first.
MAIN = {
    "start": ["start.reaped.1"], "memory": ["memory.pss"],
    "density": ["density.memory"], "size": ["size.total"],
    "cpu": ["cpu.sysbench"],
    "kernel": ["kernel.syscall"], "network": ["network.tcp_to.1"],
    "block": ["block.read-4k-32.iops", "block.read-4k-1.iops"],
    "applications": ["app.redis"],
    "interference": ["interference.cpu.fork"],
    "isolation": ["isolation.functions", "isolation.syscalls_used"]}
# What the paragraph about the wall is made of: of each line the first that
# both the VM and the container have.
CHOSEN = [
    ["start.reaped.1", "start.first_byte.1"],
    ["memory.pss", "memory.cgroup", "density.memory"],
    ["kernel.syscall"], ["kernel.hackbench", "kernel.fork"],
    ["block.read-4k-1.iops", "block.read-4k-32.iops"],
    ["network.tcp_to.1"], ["network.rr"], ["isolation.syscalls_used"],
    ["isolation.syscalls_allowed"], ["isolation.functions"]]
READING = [
    "The large figure is the median; × is its ratio to the native "
    "process's; n is the number of samples.",
    "The two figures with a dash are the 95 % interval of the median, from "
    "the ordered samples by the binomial distribution. Fewer than 6 "
    "samples do not allow 95 %: then it is the smallest and the largest "
    "sample, with the percentage that they do allow in brackets; one "
    "sample has none.",
    "A slope is Theil and Sen's: the median of the slopes between any two "
    "points. It has no interval.",
    "Where two subjects are said to differ or not, that is by Mann and "
    f"Whitney's test at {samples.ALPHA:g}, of each measure by itself: of "
    f"{1 / samples.ALPHA:.0f} measures without a difference, one is expected "
    "to show one. What was counted once in each is compared as it is.",
    "Instances that start at once are not independent of each other: there, "
    "n says more than it should, and intervals are too narrow. A share of "
    "the speed alone is one of its median, whose own interval is left out.",
    "What was not measured has a note that says why."]
NO_CLOCK = "Sizes and memory do not depend on the clock."
KINDS = {"process": "process", "container": "container",
         "vm": "virtual machine"}


def write(results_path, out_dir):
    """Writes the report into the folder, with results.json beside it. Returns
    lines for the user: what it lacks, and why."""
    data = results.load(results_path)
    out = Path(out_dir)
    (out / markdown.FOLDER).mkdir(parents=True, exist_ok=True)
    drawn = pictures.draw(data)
    for picture in drawn:
        if picture.svg:
            _save(out / markdown.FOLDER / f"{picture.name}.svg",
                  pictures.standalone(picture, data))
    blocks = document(data, drawn)
    places = {s["name"]: i for i, s in enumerate(data["subjects"])}
    _save(out / "report.html",
          html.render(blocks, TITLE, pictures.style(data), places))
    _save(out / "report.md", markdown.render(blocks))
    source = Path(results_path)
    source = source / "results.json" if source.is_dir() else source
    if not (out / "results.json").exists() or \
            not os.path.samefile(source, out / "results.json"):
        shutil.copyfile(source, out / "results.json")
    return list(dict.fromkeys(f"no picture {p.name}: {p.missing}"
                              for p in drawn if p.missing))


def _save(path, text):
    path.write_text(text, encoding="utf-8")


def document(data, drawn):
    """The blocks of the report."""
    blocks = _caution(data)
    blocks += [Heading(1, TITLE), Paragraph(_compared(data))]
    blocks += _summary(data)
    blocks += _wall(data)
    for dimension in data["dimensions"]:
        blocks += _dimension(data, dimension)
    if drawn:
        blocks += [Heading(2, "Pictures", "pictures"), Pictures(drawn)]
    return blocks + _how(data)


# --- the top ---

def _caution(data):
    if not data["emulated"]:
        return []
    if data["clock"] == "counted":
        return [Caution(
            "Absolute figures mean nothing here: the machine is emulated. Its "
            "clock counts instructions, 1 ns each, so ratios compare numbers "
            f"of instructions, not times. {NO_CLOCK}")]
    return [Caution(
        "Absolute figures mean nothing here: the machine is emulated, and its "
        "clock is the wall's, so ratios tell of the emulator as much as of "
        f"what was compared. {NO_CLOCK}")]


def _compared(data):
    """What was compared, in one paragraph."""
    kinds = []
    for kind, one, many in (("process", "a process of the host's",
                             "processes of the host's"),
                            ("container", "a container", "containers"),
                            ("vm", "a virtual machine", "virtual machines")):
        names = [_versioned(s) for s in data["subjects"]
                 if s["kind"] == kind and "missing" not in s]
        if names:
            kinds.append(f"{many if len(names) > 1 else one} "
                         f"({_listed(names)})")
    text = (f"The same work was done in {_listed(kinds)}, all from one root "
            "image, in turn. " if kinds else "No subject could run. ")
    turns = "one turn" if data["runs"] == 1 else f"{data['runs']} turns"
    text += (f"A figure is the median of its samples, as a rule of {turns} "
             "each; n, further down, says how many there are.")
    if results.NATIVE in results.subjects(data):
        text += " × is its ratio to the native process's."
    return text


def _versioned(subject):
    return f"{subject['name']} {subject.get('version', '')}".strip()


def _listed(texts):
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


# --- summary ---

def main_measure(dimension):
    """None if it has no measures."""
    known = {m["key"]: m for m in dimension["measures"]}
    wanted = [known[key] for key in MAIN.get(dimension["key"], [])
              if key in known]
    ordered = wanted + dimension["measures"]
    measured = [m for m in ordered if m["samples"] or m.get("points")]
    return next(iter(measured or ordered), None)


def _summary(data):
    names = results.subjects(data)
    table = _Figures(data, names, "Summary")
    for dimension in data["dimensions"]:
        measure = main_measure(dimension)
        if measure:
            table.row(measure, dimension["title"], details=False)
        else:
            table.empty_row(dimension["title"], dimension["missing"])
    blocks = [Heading(2, "Summary", "summary"), table.table]
    texts = []
    if len(table.walled) > 1:
        texts.append("Bold is the best of the containers and VMs, and what "
                     "the samples do not tell from it. Of fewer than "
                     f"{samples.enough()} samples each it is the best figure "
                     "alone, which may be chance.")
    texts.append("Native is the yardstick." if results.NATIVE in names else
                 "Native has no figures, so there are no ratios.")
    blocks.append(Paragraph(" ".join(texts)))
    missing = results.missing(data)
    if missing:
        blocks.append(Paragraph("Missing here:"))
        blocks.append(Bullets([_starting_with(name, reason)
                               for name, reason in missing.items()]))
    return blocks


def _starting_with(name, reason):
    return reason if reason.startswith(f"{name}:") else f"{name}: {reason}"


class _Figures:
    """A table of measures by subject, with notes for what is not there."""

    def __init__(self, data, names, label):
        self.names = names
        kinds = {s["name"]: s["kind"] for s in data["subjects"]}
        self.walled = [n for n in names if kinds[n] != "process"]
        self.table = Table(
            [Cell([""])] + [Cell([name], subject=name) for name in names],
            [], label=label)

    def _note(self, text):
        if text not in self.table.notes:
            self.table.notes.append(text)
        return self.table.notes.index(text) + 1

    def row(self, measure, title=None, details=True):
        head = [title, figures.title(measure)] if title else \
            [figures.title(measure)]
        words = [figures.unit(measure)]
        if measure["better"] != "none":
            words.append(f"{measure['better']} is better")
        head.append(", ".join(word for word in words if word))
        best = figures.best(measure, self.walled)
        self.table.rows.append(
            [Cell([line for line in head if line])]
            + [self._cell(measure, name, name in best, details)
               for name in self.names])

    def empty_row(self, title, reason):
        """Of a dimension that could not run."""
        self.table.rows.append([Cell([title])] + [
            Cell(["not measured"], note=self._note(reason))
            for _ in self.names])

    def _cell(self, measure, name, bold, details):
        found = figures.figure(measure, name)
        if found is None:
            return Cell(["not measured"],
                        note=self._note(figures.why_none(measure, name)))
        lines = [figures.number(found.value)]
        ratio = figures.ratio(measure, name)
        if ratio is not None:
            lines.append(figures.times(ratio))
        if details:
            if found.interval:
                lines.append(figures.between(found.interval))
            lines.append(f"{found.n} points" if found.is_slope
                         else f"n = {found.n}")
        partly = results.reason(measure, name)
        return Cell(lines, bold=bold, note=self._note(partly) if partly else 0)


# --- what the wall costs, what it buys ---

def _wall(data):
    """Four lists: where the VM is worse, where better, where the samples do
    not tell it from the container, and where there are too few to tell."""
    pair = _pair(data)
    if pair is None:
        return []
    own, other = pair
    lists = {"costs": [], "buys": [], "open": [], "few": []}
    for title, measure in _chosen(data, own, other):
        if not all(figures.figure(measure, name) for name in pair):
            continue
        verdict, words = _verdict(measure, own, other)
        lists[verdict].append(_sentence(title, measure, own, other, words))
    blocks = []
    for verdict, text in (
            ("costs", f"What {own}'s wall costs over {other}:"),
            ("buys", f"What {own}'s wall buys over {other}:"),
            ("open", f"Where no difference from {other} is shown:"),
            ("few", f"Where there are too few samples to tell {own} from "
             f"{other} (it takes {samples.enough()} of each):")):
        if lists[verdict]:
            blocks += [Paragraph(text), Bullets(lists[verdict])]
    if blocks:
        blocks.insert(0, Heading(2, "What the wall costs, what it buys",
                                 "wall"))
    return blocks


def _pair(data):
    """The VM and what it is compared with: a container or, without one, the
    native process. onggi and crun where they are."""
    vms, containers = (results.of_kind(data, kind)
                       for kind in ("vm", "container"))
    others = containers or results.of_kind(data, "process")
    if not vms or not others:
        return None
    return ("onggi" if "onggi" in vms else vms[0],
            "crun" if "crun" in others else others[0])


def _chosen(data, own, other):
    """(dimension's title, measure): of each line in CHOSEN the first measure
    that both have a figure of, then each kind of interference."""
    places = {m["key"]: (d["title"], m) for d in data["dimensions"]
              for m in d["measures"]
              if m["better"] != "none" and figures.figure(m, own)
              and figures.figure(m, other)}
    for keys in CHOSEN:
        known = [key for key in keys if key in places]
        if known:
            yield places[known[0]]
    for key, (title, measure) in places.items():
        if re.fullmatch(r"interference\.[^.]+\.(?!alone$)[^.]+", key):
            alone = places.get(f"{key.rpartition('.')[0]}.alone")
            yield title, _kept(measure, alone[1]) if alone else measure


def _kept(measure, alone):
    """The measure as what is left of each subject's own speed without the
    neighbour: subjects are not equally fast without one, either."""
    kept = {}
    for name, values in measure["samples"].items():
        base = figures.figure(alone, name)
        if base is None or base.value == 0 or 0 in values:
            continue
        kept[name] = [
            100 * (value / base.value if measure["better"] == "more"
                   else base.value / value) for value in values]
    return {**measure, "unit": "% of its speed alone", "better": "more",
            "samples": kept}


def _verdict(measure, own, other):
    """("costs", "buys", "open" or "few", what is to be said about the
    samples)"""
    first, second = (figures.figure(measure, n).value for n in (own, other))
    verdict = "costs" if (first > second) == (measure["better"] == "less") \
        else "buys"
    first_all, second_all = (results.samples(measure, n)
                             for n in (own, other))
    if first == second:
        return "open", ""
    if not first_all or not second_all:
        return verdict, "slopes, not tested"
    if len(first_all) == len(second_all) == 1 and all(
            isinstance(value, int) for value in first_all + second_all):
        return verdict, "counted once each"
    if samples.smallest_p(len(first_all), len(second_all)) > samples.ALPHA:
        return "few", f"{len(first_all)} and {len(second_all)}"
    p = samples.mann_whitney(first_all, second_all)
    return (verdict, "") if p <= samples.ALPHA else ("open", f"p = {p:.2g}")


def _sentence(title, measure, own, other, words):
    first, second = (figures.with_unit(figures.figure(measure, name).value,
                                       measure) for name in (own, other))
    text = (f"{title}, {figures.title(measure)}: {own} {first}, {other} "
            f"{second}")
    relation = figures.ratio(measure, own, other)
    if relation is not None:
        text += f", {figures.times(relation)[1:]} times as much"
    return text + (f" ({words})." if words else ".")


# --- the dimensions ---

def _dimension(data, dimension):
    blocks = [Heading(2, dimension["title"], dimension["key"])]
    if dimension["text"]:
        blocks.append(Paragraph(dimension["text"]))
    if "missing" in dimension:
        blocks.append(Paragraph(f"Not measured: {dimension['missing']}"))
    if dimension["measures"]:
        table = _Figures(data, results.subjects(data), dimension["title"])
        for measure in dimension["measures"]:
            table.row(measure)
        blocks.append(table.table)
    return blocks


# --- how it was made ---

def _how(data):
    blocks = [Heading(2, "How it was made", "how"),
              Paragraph("To make it again, on a machine of your own:"),
              Code(data["command"])]
    if data["conditions"]:
        blocks += [Heading(3, "Conditions"), Bullets(data["conditions"])]
    blocks += [Heading(3, "How to read the tables"), Bullets(READING)]
    clock = {"wall": "wall time",
             "counted": "instructions, 1 ns each"}[data["clock"]]
    facts = {"date": data["date"], "scale": data["scale"],
             "runs": data["runs"], "clock": clock,
             "emulated machine": "yes" if data["emulated"] else "no",
             **data["host"]}
    blocks += [Heading(3, "Host"), Table(
        [Cell(["fact"]), Cell(["here"])],
        [[Cell([name]), Cell([_fact(value)])]
         for name, value in facts.items()],
        label="Host", figures=False)]
    blocks += [Heading(3, "Subjects and versions"), Table(
        [Cell([name]) for name in ("subject", "kind", "version", "remarks")],
        [_subject_row(s) for s in data["subjects"]],
        label="Subjects and versions", figures=False)]
    blocks += [Heading(3, "Raw samples"), Paragraph(
        "Every sample is in results.json beside this page; bench/compare diff "
        "compares two of these files.")]
    return blocks


def _fact(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if str(value).strip() else "not known"


def _subject_row(subject):
    remarks = [subject.get("note", "")]
    if "missing" in subject:
        remarks.append(f"missing: {subject['missing']}")
    text = "; ".join(r for r in remarks if r)
    return [Cell([subject["name"]], subject=subject["name"]),
            Cell([KINDS[subject["kind"]]]),
            Cell([subject.get("version") or "not known"]),
            Cell([text or "none"])]
