"""The report's pictures, drawn by gnuplot as SVG.

They are drawn at the width of a phone, side by side on wider pages. gnuplot
knows one set of colours; here every colour becomes a class, so that style()
gives it by the reader's preference for light or dark."""

import math
import re
import shutil
import subprocess
import xml.etree.ElementTree as xml
from dataclasses import dataclass

from . import figures, results, samples

WIDTH = 360
NAME_MOST = 20  # characters of a subject's name
GNUPLOT = "gnuplot"
# Chosen to be told apart, by colour-blind readers, too, together with the
# dashes and symbols that each subject has: on light, on dark.
PALETTE = {
    "native": ("#808080", "#dcdcdc"), "crun": ("#0072b2", "#3f9fe0"),
    "runc": ("#cc6fa6", "#e88ec4"), "onggi": ("#d04f00", "#ff8a3d"),
    "qemu": ("#00785a", "#1fae86"), "firecracker": ("#5c3d00", "#ffe28f"),
    "cloud-hypervisor": ("#4aa5dc", "#a5dcff"),
    "kvmtool": ("#4b1259", "#b45fb8"), "runsc": ("#aaa400", "#8a8800")}
SPARE = [("#332288", "#a99cf0"), ("#117733", "#6fc98b"),
         ("#aa4499", "#e08fd3")]
DASHES = ["1", "'-'", "'.'", "1", "'_'", "'-.'", "'_.'", "(2,2)", "(8,3)"]
SYMBOLS = [5, 7, 9, 13, 11, 4, 6, 8, 12]  # of gnuplot's
SHADES = (1.0, 0.7, 0.45, 0.25)  # of the stages in one bar
STAGE_NAMES = {"exec_run": "to first KVM_RUN", "init": "to init",
               "first_byte": "to first byte", "reaped": "to reaped"}
SVG = "http://www.w3.org/2000/svg"
HREF = "{http://www.w3.org/1999/xlink}href"


@dataclass
class Picture:
    """svg is without a namespace, for a page; missing says why there is
    none."""
    name: str
    title: str
    text: str
    svg: str = ""
    missing: str = ""


class NoPicture(Exception):
    pass


# --- colours ---

def colours(data):
    """{subject: (on light, on dark)}"""
    spare = iter(SPARE * len(data["subjects"]))
    return {s["name"]: PALETTE.get(s["name"]) or next(spare)
            for s in data["subjects"]}


def style(data):
    """CSS for the classes of pictures, and of what else has their colours."""
    pairs = colours(data)

    def rules(side):
        return "".join(f".c-{i}{{color:{pair[side]}}}"
                       for i, pair in enumerate(pairs.values()))
    return (".ink{color:#1d1d1f}.soft{color:#5a5a60}.grid{color:#dcdce0}"
            + rules(0) + "@media (prefers-color-scheme:dark){"
            ".ink{color:#ececef}.soft{color:#a8a8b0}.grid{color:#3d3d45}"
            + rules(1) + "}")


class _Roles:
    """A colour for gnuplot that stands for each class."""

    def __init__(self, data):
        self.names = ["ink", "soft", "grid"]
        self.names += [f"c-{i}" for i in range(len(data["subjects"]))]
        self.subjects = [s["name"] for s in data["subjects"]]

    def rgb(self, role):
        return f'"#01{self.names.index(role):02x}00"'

    def subject(self, name):
        return self.rgb(f"c-{self.subjects.index(name)}")

    def dash(self, name):
        return DASHES[self.subjects.index(name) % len(DASHES)]

    def symbol(self, name):
        return SYMBOLS[self.subjects.index(name) % len(SYMBOLS)]

    def role(self, colour):
        """Of what gnuplot wrote, or None."""
        match = re.fullmatch(r"rgb\(\s*1,\s*(\d+),\s*0\)", colour)
        if match:
            return self.names[int(match[1])]
        return "ink" if colour == "black" else None


def _shown(name):
    """There is no room for a long one."""
    return name if len(name) <= NAME_MOST else f"{name[:NAME_MOST - 1]}…"


# --- gnuplot ---

def _quoted(text):
    """A string of gnuplot's, in which nothing has a meaning."""
    return "'" + re.sub(r"\s+", " ", str(text)).replace("'", "''") + "'"


def _block(name, rows):
    """Data: numbers, and texts in quotes."""
    lines = [" ".join(
        '"' + cell.replace('"', "'") + '"' if isinstance(cell, str)
        else repr(float(cell)) for cell in row) for row in rows]
    return [f"${name} << END", *lines, "END"]


class _Plot:
    """Collects a script."""

    def __init__(self, roles, height):
        self.roles = roles
        ink, soft, grid = map(roles.rgb, ("ink", "soft", "grid"))
        self.lines = [
            f"set terminal svg size {WIDTH},{height} dynamic noenhanced "
            "font 'sans-serif,11' linewidth 1",
            f"set border 3 linecolor rgb {soft}",
            f"set tics nomirror scale 0.5 textcolor rgb {soft}",
            f"set grid linetype 1 linewidth 0.5 linecolor rgb {grid}",
            f"set key outside bottom center horizontal samplen 2.5 "
            f"reverse Left textcolor rgb {ink}"]
        self.parts = []

    def add(self, *lines):
        self.lines += lines

    def label(self, axis, text):
        self.add(f"set {axis}label {_quoted(text)} offset 0,"
                 f"{0.7 if axis == 'x' else 0} textcolor rgb "
                 f"{self.roles.rgb('soft')}")

    def plot(self):
        self.add("plot " + ", ".join(self.parts))
        self.parts = []

    def draw(self, name):
        program = shutil.which(GNUPLOT)
        if program is None:
            raise NoPicture(f"{GNUPLOT}: not found (Debian's gnuplot-nox)")
        run = subprocess.run([program], input="\n".join(self.lines) + "\n",
                             text=True, check=False, encoding="utf-8",
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if run.returncode or not run.stdout:
            reason = " ".join(run.stderr.split())[-200:]
            raise NoPicture(f"{GNUPLOT}: {name}: {reason}")
        return _clean(run.stdout, self.roles)


def _clean(text, roles):
    """gnuplot's SVG without names, scripts of it and what is empty, with
    classes for colours; nothing in it refers to anything else."""
    root = xml.fromstring(text.encode())
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
    shapes = {e.get("id"): e for e in root.iter("defs") for e in e}
    _prune(root)
    for parent in list(root.iter()):
        for i, child in enumerate(parent):
            if child.tag == "use":
                parent[i] = _used(child, shapes)
    for element in root.iter():
        _colour(element, roles)
        element.tail = None
        if element.tag != "text":
            element.text = None
        else:
            element.text = (element.text or "").strip()
    root.attrib = {"viewBox": root.get("viewBox"), "role": "img",
                   "font-family": "system-ui, sans-serif"}
    return xml.tostring(root, encoding="unicode")


def _prune(element):
    for child in list(element):
        _prune(child)
        empty = child.tag == "g" and len(child) == 0
        if empty or child.tag in ("title", "desc", "defs", "rect"):
            element.remove(child)
    element.attrib.pop("id", None)
    element.attrib.pop("font-family", None)
    if element.get("class") == "gridline":
        del element.attrib["class"]


def _used(use, shapes):
    """The shape in place of the reference to it."""
    shape = shapes[use.get(HREF)[1:]]
    group = xml.Element("g", {key: value for key, value in use.attrib.items()
                              if key not in (HREF, "id")})
    if shape.tag == "use":
        group.append(_used(shape, shapes))
    else:
        group.append(xml.Element(shape.tag, {
            key: value for key, value in shape.attrib.items() if key != "id"}))
    return group


def _colour(element, roles):
    for key in ("color", "fill", "stroke"):
        role = roles.role(element.get(key, ""))
        if role is None:
            continue
        if key == "color":
            del element.attrib[key]
        else:
            element.set(key, "currentColor")
        element.set("class", role)


def standalone(picture, data):
    """The picture as a file."""
    inner = picture.svg.split(">", 1)
    return (f'{inner[0]} xmlns="{SVG}"><title>{_escaped(picture.title)}'
            f"</title><style>svg{{background:#fff}}"
            "@media (prefers-color-scheme:dark){svg{background:#17171a}}"
            f"{style(data)}</style>{inner[1]}\n")


def _escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


# --- what is drawn ---

def draw(data):
    """All pictures whose measures the results have."""
    drawn = []
    for name, title, text, plot in _wanted(data):
        picture = Picture(name, title, text)
        try:
            if isinstance(plot, str):
                raise NoPicture(plot)
            picture.svg = plot.draw(name)
        except NoPicture as error:
            picture.missing = str(error)
        drawn.append(picture)
    return drawn


def _wanted(data):
    """(name, title, description, plot or why there is none) of each."""
    roles, measures = _Roles(data), results.measures(data)
    yield from _starts(data, roles, measures)
    unit = next((m["unit"] for key, m in measures.items()
                 if re.fullmatch(r"start\.\w+\.1", key)), None)
    if unit is not None:
        yield ("stages", "Stages of a start, one at a time",
               f"Medians in {unit} from exec; each shade ends with a stage.",
               _stages(data, roles, measures))
    if "density.memory" in measures:
        yield ("memory", "Memory against the number of instances",
               "What N instances take together; in the legend, the slope."
               + _absent(data, measures["density.memory"]),
               _memory(data, roles, measures["density.memory"]))
    yield from _blocks(data, roles, measures)
    yield from _isolation(data, roles, measures)


def _none_of(measure):
    """Why no subject has what the picture needs."""
    reasons = measure.get("failed", {}).values()
    return "; ".join(dict.fromkeys(reasons)) or "no subject has samples"


def _absent(data, measure):
    """Names those without a line; the tables say why."""
    names = [name for name in results.subjects(data)
             if figures.figure(measure, name) is None]
    return f" Not measured: {', '.join(names)}." if names else ""


def _starts(data, roles, measures):
    for key, measure in measures.items():
        match = re.fullmatch(r"start\.reaped\.(\d+)", key)
        if match:
            number = "one at a time" if match[1] == "1" else \
                f"{match[1]} at once"
            yield (f"start-{match[1]}", f"Start-up, {number}",
                   f"Share of starts that were done, exec to reaped, after so "
                   f"many {measure['unit']}; the further left, the better."
                   + _absent(data, measure),
                   _distribution(data, roles, measure))


def _distribution(data, roles, measure):
    values = {name: results.samples(measure, name)
              for name in results.subjects(data)
              if results.samples(measure, name)}
    if not values:
        return _none_of(measure)
    plot = _Plot(roles, 270)
    least = min(min(v) for v in values.values())
    most = max(max(v) for v in values.values())
    plot.label("x", measure["unit"])
    plot.label("y", "share of starts")
    plot.add("set yrange [0:1]", "set ytics 0.25")
    if least > 0 and most / least > 8:
        plot.add("set logscale x",
                 f"set xrange [{least * 0.8}:{most * 1.25}]",
                 f"set xtics ({_decades(least * 0.8, most * 1.25)})")
        plot.label("x", f"{measure['unit']}, logarithmic")
    else:
        plot.add(f"set xrange [0:{most * 1.05 or 1}]")
    for i, (name, sample) in enumerate(values.items()):
        plot.add(*_block(f"d{i}", _steps(sample)))
        plot.parts.append(
            f"$d{i} using 1:2 with lines linecolor rgb {roles.subject(name)} "
            f"linewidth {2.5 if name == 'onggi' else 1.8} "
            f"dashtype {roles.dash(name)} title {_quoted(_shown(name))}")
    plot.plot()
    return plot


def _decades(low, high):
    """Places and names of tics on a logarithmic axis."""
    decades = math.log10(high / low)
    digits = (1, 2, 5) if decades < 2.2 else (1, 3) if decades < 4 else (1,)
    tics = [digit * 10.0**power for digit in digits for power in
            range(math.floor(math.log10(low)), math.ceil(math.log10(high)))]
    return ", ".join(f"'{tic:g}' {tic!r}" for tic in sorted(tics)
                     if low <= tic <= high)


def _steps(sample, most=200):
    """The corners of the distribution; of many samples, only some."""
    steps = samples.cumulative(sample)
    every = -(-len(steps) // most)
    steps = [step for i, step in enumerate(steps)
             if i % every == 0 or i == len(steps) - 1]
    corners, share = [], 0.0
    for value, next_share in steps:
        corners += [(value, share), (value, next_share)]
        share = next_share
    return corners


def _stages(data, roles, measures):
    rows = []  # (name, [(stage, from, to)])
    for name in results.subjects(data):
        parts, last = [], 0.0
        for i, stage in enumerate(results.START_STAGES):
            measure = measures.get(f"start.{stage}.1")
            found = measure and figures.figure(measure, name)
            if found and found.value > last:
                parts.append((i, last, found.value))
                last = found.value
        if parts:
            rows.append((name, parts))
    if not rows:
        return "no subject has samples of a start, one at a time"
    height = 84 + 22 * len(rows)
    plot = _Plot(roles, height)
    most = max(parts[-1][2] for _, parts in rows)
    _bar_axes(plot, [name for name, _ in rows], most * 1.18)
    plot.add(f"set tmargin at screen {1 - 4 / height}",
             f"set bmargin at screen {70 / height}",
             f"set lmargin at screen {_left([name for name, _ in rows])}",
             "set rmargin at screen 0.96", "unset key", "set border 1",
             "set xtics scale 0 nomirror autofreq")
    for row, (name, parts) in enumerate(rows):
        for i, low, high in parts:
            plot.add(*_block(f"d{row}_{i}", [_bar(row, low, high)]))
            plot.parts.append(_filled(f"d{row}_{i}", roles.subject(name),
                                      SHADES[i]) + " notitle")
        plot.add(*_block(f"t{row}", [(parts[-1][2], row,
                                      figures.number(parts[-1][2]))]))
        plot.parts.append(_texts(f"t{row}", roles.rgb("ink")))
    used = {i for _, parts in rows for i, *_ in parts}
    _shades(plot, [i for i in range(len(SHADES)) if i in used], height)
    plot.plot()
    return plot


def _shades(plot, used, height):
    """The legend, two by two; gnuplot's own finds no room for it."""
    soft, ink = map(plot.roles.rgb, ("soft", "ink"))
    for place, i in enumerate(used):
        x, y = 0.24 + 0.38 * (place % 2), (32 - 18 * (place // 2)) / height
        plot.add(
            f"set object {place + 1} rectangle from screen {x}, screen {y} to "
            f"screen {x + 0.05}, screen {y + 10 / height} fillstyle "
            f"transparent solid {SHADES[i]} noborder fillcolor rgb {soft}",
            f"set label {place + 1} "
            f"{_quoted(STAGE_NAMES[results.START_STAGES[i]])} at screen "
            f"{x + 0.065}, screen {y + 5 / height} left textcolor rgb {ink}")


def _memory(data, roles, measure):
    shown = [name for name in results.subjects(data)
             if results.points(measure, name)]
    if not shown:
        return _none_of(measure)
    plot = _Plot(roles, 210 + 16 * len(shown))
    plot.label("x", measure.get("x", "N"))
    plot.label("y", measure["unit"])
    plot.add("set xrange [0:*]", "set yrange [0:*]",
             "set key maxcols 1")
    for i, name in enumerate(shown):
        points = sorted(results.points(measure, name))
        plot.add(*_block(f"d{i}", points))
        colour, text = roles.subject(name), _shown(name)
        slope = samples.slope(points)
        if slope is not None:
            text += f", {figures.number(slope)} each"
            plot.parts.append(_line(points, slope, colour, roles.dash(name)))
        plot.parts.append(
            f"$d{i} using 1:2 with points pointtype {roles.symbol(name)} "
            f"pointsize 0.7 linecolor rgb {colour} title {_quoted(text)}")
    plot.plot()
    return plot


def _line(points, slope, colour, dash):
    """Theil and Sen's goes through the median of what the slope leaves."""
    start = samples.percentile([y - slope * x for x, y in points], 50)
    low, high = points[0][0], points[-1][0]
    return (f"[{low}:{high}] {start!r} + {slope!r} * x with lines linecolor "
            f"rgb {colour} linewidth 1.5 dashtype {dash} notitle")


# --- bars: subjects below each other, in one or two panels ---

def _bar(row, low, high):
    return ((low + high) / 2, row, low, high, row - 0.36, row + 0.36)


def _left(names):
    """Where bars start, as a share of the width: their names stand before."""
    longest = max(len(_shown(name)) for name in names)
    return max(0.2, (longest * 6.6 + 12) / WIDTH)


def _filled(block, colour, shade=1.0):
    return (f"${block} using 1:2:3:4:5:6 with boxxyerror fillstyle transparent"
            f" solid {shade} noborder linecolor rgb {colour}")


def _texts(block, colour):
    return (f"${block} using 1:2:3 with labels left offset 0.4,0 "
            f"textcolor rgb {colour} notitle")


def _bar_axes(plot, names, most):
    tics = ", ".join(f"{_quoted(_shown(name))} {i}"
                     for i, name in enumerate(names))
    plot.add(f"set xrange [0:{most or 1}]",
             f"set yrange [{len(names) - 0.4}:-0.6]",
             f"set ytics scale 0 ({tics}) textcolor rgb "
             f"{plot.roles.rgb('ink')}",
             "unset grid", "unset xtics", "set border 0")


def _bars(data, roles, panels):
    """panels: [(title, measure)], at most two."""
    names = results.subjects(data)
    if not any(figures.figure(m, name) for name in names for _, m in panels):
        return "; ".join(dict.fromkeys(_none_of(m) for _, m in panels))
    height = 34 + 22 * len(names)
    plot = _Plot(roles, height)
    plot.add("set multiplot", "unset key",
             f"set tmargin at screen {1 - 26 / height}",
             f"set bmargin at screen {4 / height}")
    start = _left(names)
    width = (0.98 - start) / len(panels)
    for i, (title, measure) in enumerate(panels):
        left = start + i * (width + 0.02)
        plot.add(f"set lmargin at screen {left}",
                 f"set rmargin at screen {left + width - 0.02}")
        _panel(plot, names, title, measure, 1.6 if len(panels) > 1 else 1.25)
        plot.add("set ytics format ''")
    plot.add("unset multiplot")
    return plot


def _panel(plot, names, title, measure, room):
    roles = plot.roles
    found = {name: figures.figure(measure, name) for name in names}
    most = max((f.value for f in found.values() if f), default=1) or 1
    _bar_axes(plot, names, most * room)
    if "set ytics format ''" in plot.lines:  # the panel to the left has them
        plot.add("unset ytics")
    plot.add(f"set label 1 {_quoted(title)} at graph 0, screen 1 offset 0,-0.9"
             f" left textcolor rgb {roles.rgb('ink')}")
    for row, name in enumerate(names):
        block, value = f"p{len(plot.lines)}", found[name]
        if value:
            plot.add(*_block(block, [_bar(row, 0, value.value)]))
            plot.parts.append(
                _filled(block, roles.subject(name)) + " notitle")
        text = figures.number(value.value) if value else "not measured"
        plot.add(*_block(f"{block}t", [(value.value if value else 0, row,
                                        text)]))
        plot.parts.append(_texts(f"{block}t", roles.rgb(
            "ink" if value else "soft")))
    plot.plot()


def _titled(text, measure):
    unit = figures.unit(measure)
    return f"{text}, {unit}" if unit and unit != text else text


def _blocks(data, roles, measures):
    for key, measure in measures.items():
        match = re.fullmatch(r"block\.(.+)\.iops", key)
        if not match:
            continue
        tail = measures.get(f"block.{match[1]}.p99")
        panels = [("IOPS", measure)]
        if tail:
            panels.append((_titled("99th percentile", tail), tail))
        title = measure["title"].removesuffix(": operations")
        yield (f"block-{match[1]}", f"Disk: {title}",
               "Operations per second (more is better); beside them the time "
               "that 99 of 100 do not exceed (less is better).",
               _bars(data, roles, panels))


def _isolation(data, roles, measures):
    pairs = [("isolation", "Isolation: what is reached of the host's kernel",
              [("isolation.syscalls_used", "system calls used"),
               ("isolation.functions", "kernel functions")]),
             ("isolation-allowed", "Isolation: what would be allowed",
              [("isolation.syscalls_allowed", "system calls allowed")])]
    for name, title, wanted in pairs:
        panels = [(text, measures[key]) for key, text in wanted
                  if key in measures]
        if panels:
            yield (name, title, "Distinct ones; fewer are a smaller target.",
                   _bars(data, roles, panels))
