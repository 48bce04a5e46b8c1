"""The report: nothing of the results is lost in it, and nothing invented."""

import copy
import itertools
import math
import re
import shutil
import xml.etree.ElementTree as xml
from html.parser import HTMLParser
from unittest import mock

import pytest
import synthetic
from comparison import (figures, markdown, pictures, report, results,
                        subjects)

needs_gnuplot = pytest.mark.skipif(not shutil.which("gnuplot"),
                                   reason="no gnuplot")
VOID = {"meta", "br"}


def written(data, folder, draw=lambda _: []):
    """(page, Markdown, what write() returned); drawing takes a second."""
    results.write(folder / "results.json", data)
    with mock.patch.object(pictures, "draw", draw):
        lines = report.write(folder / "results.json", folder / "out")
    return ((folder / "out/report.html").read_text(encoding="utf-8"),
            (folder / "out/report.md").read_text(encoding="utf-8"), lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def texts(folder):
    return written(synthetic.results(), folder, pictures.draw)


class _Text(HTMLParser):
    """What a reader sees, and whether every element is closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.text, self.references = [], [], []
        self.feed(page)
        self.close()
        assert not self.open
        self.text = re.sub(r"\s+", " ", " ".join(self.text))

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.references += [value for key, value in attrs
                            if key.split(":")[-1] in ("src", "href")]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)


def _rows(page, anchor):
    """The cells' texts of the first table after the heading."""
    body = xml.fromstring(page.split("\n", 1)[1]).find("body")
    children = list(body)
    start = next(i for i, e in enumerate(children) if e.get("id") == anchor)
    table = next(e for e in children[start:] if e.tag == "div").find("table")
    return [[" ".join(t.strip() for t in cell.itertext()) for cell in row]
            for row in table.iter("tr")]


def test_page_is_well_formed_and_needs_nothing_else(texts):
    page = texts[0]
    xml.fromstring(page.split("\n", 1)[1])  # after the document type
    references = _Text(page).references
    assert references and all(r.startswith("#n") for r in references)
    anchors = re.findall(r'id="([^"]+)"', page)
    assert len(anchors) == len(set(anchors))
    assert {r[1:] for r in references} <= set(anchors)
    for outside in ("url(", "@import", "<script", "<link", "http"):
        assert outside not in page


def test_every_dimension_subject_measure_and_reason_is_in_it(texts):
    data, page = synthetic.results(), _Text(texts[0]).text
    wanted = [d["title"] for d in data["dimensions"]]
    wanted += [d["text"] for d in data["dimensions"]]
    wanted += [s["name"] for s in data["subjects"]]
    wanted += [synthetic.NO_FIRECRACKER, *data["conditions"], data["command"],
               *map(str, data["host"].values())]
    for measure in results.measures(data).values():
        wanted += [measure["title"],
                   *measure.get("failed", {}).values()]
    for text in wanted:
        assert text in page
        assert text in texts[1] or markdown.escape(text) in texts[1]


def test_results_stand_beside_the_page(texts, folder):
    assert texts[2] == [] or not shutil.which("gnuplot")
    assert results.load(folder / "out") == synthetic.results()


def test_no_cell_is_blank_or_zero_where_nothing_was_measured(texts):
    data = synthetic.results()
    for dimension in data["dimensions"]:
        head, *rows = _rows(texts[0], dimension["key"])
        assert [c.strip() for c in head[1:]] == results.subjects(data)
        assert len(rows) == len(dimension["measures"])
        for row, measure in zip(rows, dimension["measures"]):
            for name, cell in zip(results.subjects(data), row[1:]):
                measured = figures.figure(measure, name) is not None
                assert cell.startswith("not measured") is not measured
                assert re.match(r"not measured \d|[\d.,]+", cell)


def test_summary_has_a_row_for_each_dimension(texts):
    data = synthetic.results()
    _, *rows = _rows(texts[0], "summary")
    assert [r[0].startswith(d["title"]) for r, d in
            zip(rows, data["dimensions"])] == [True] * 11
    density = next(r for r in rows if r[0].startswith("Density"))
    assert "slope MiB per instance, less is better" in density[0]


def test_ratio_and_best_of_known_numbers(tmp_path):
    data = synthetic.results()
    measure = results.measures(data)["cpu.sysbench"]
    measure["samples"] = {"native": [100.0] * 6, "crun": [90.0] * 6,
                          "runc": [80.0] * 6, "onggi": [95.0] * 6,
                          "qemu": [50.0] * 6}
    page, text, _ = written(data, tmp_path)
    assert [c.split()[:2] for c in _rows(page, "cpu")[1][1:]] == [
        ["100", "×1.00"], ["90.0", "×0.90"], ["80.0", "×0.80"],
        ["95.0", "×0.95"], ["50.0", "×0.50"]]
    assert "<b>95.0</b>" in page and "<b>100</b>" not in page
    assert "**95.0**<br>×0.95<br>95.0 – 95.0<br>n = 6" in text


def test_what_cannot_be_told_from_the_best_is_bold_too():
    measure = {"better": "less", "samples": {
        "a": [1.0, 2, 3, 4, 5, 6], "b": [1.1, 2.1, 3.1, 4.1, 5.1, 6.1],
        "c": [7.0, 8, 9, 10, 11, 12], "d": [3.6]}}
    assert figures.best(measure, "abcd") == {"a", "b"}
    assert figures.best(measure | {"better": "none"}, "abcd") == set()


def test_few_samples_say_what_their_range_is_worth(tmp_path):
    data = synthetic.results()
    results.measures(data)["kernel.fork"]["samples"]["crun"] = [1.0, 2.0, 4.0]
    page = written(data, tmp_path)[0]
    cell = next(r for r in _rows(page, "kernel") if r[0].startswith("fork"))[2]
    assert cell.split("  ")[0].startswith("2.00")
    assert "1.00 – 4.00 (75 %) n = 3" in cell


# --- the first line, the paragraph about the wall ---

def test_first_line_of_an_emulated_machine(tmp_path):
    data = synthetic.results()
    data.update(emulated=True, clock="counted")
    page, text, _ = written(data, tmp_path)
    line = text.splitlines()[0]
    assert line.startswith("**Absolute figures mean nothing here")
    assert "ratios compare numbers of instructions" in line
    seen = _Text(page).text.split(report.TITLE, 1)[1].strip()
    assert seen.startswith("Absolute figures mean nothing here")


def test_first_line_of_a_real_machine(texts):
    assert texts[1].splitlines()[0] == f"# {report.TITLE}"
    assert "mean nothing" not in texts[0]


def _wall(text):
    return text.split("## What the wall", 1)[1].split("\n## ", 1)[0]


def test_wall_sentences_are_on_the_side_of_what_was_measured(tmp_path):
    data = synthetic.results()
    measures = results.measures(data)
    measures["start.reaped.1"]["samples"].update(
        onggi=[30.0] * 6, crun=[10.0] * 6)
    measures["network.rr"]["samples"].update(
        onggi=[10.0] * 6, crun=[20.0] * 6)
    measures["kernel.syscall"]["samples"].update(
        onggi=[5.0, 6, 7, 8, 9, 10], crun=[5.1, 6.1, 7.1, 8.1, 9.1, 10.1])
    measures["memory.pss"]["samples"].update(onggi=[30.0, 31.0],
                                             crun=[1.0, 2.0])
    wall = _wall(written(data, tmp_path)[1])
    costs, rest = wall.split("wall buys over crun:")
    buys, rest = rest.split("Where no difference from crun is shown:")
    unsure, few = rest.split("Where there are too few samples to tell onggi "
                             "from crun (it takes 4 of each):")
    assert ("Start-up, exec to reaped, one at a time: onggi 30.0 ms, crun "
            "10.0 ms, 3.00 times as much.") in costs
    assert "onggi 10.0 us, crun 20.0 us, 0.50 times as much." in buys
    assert ("onggi 34, crun 118, 0.29 times as much (counted once each)."
            in buys)
    assert "getppid()" in unsure and "(p = 0.7)" in unsure
    assert ("onggi 30.5 MiB, crun 1.50 MiB, 20.3 times as much (2 and 2)."
            in few)
    assert "getppid()" not in few


def test_one_sample_is_no_proof_but_a_count_is(tmp_path):
    wall = _wall(written(synthetic.results(runs=1), tmp_path)[1])
    proven, few = wall.split("Where there are too few samples")
    for text in ("PSS of all processes", "getppid()", "request and response"):
        assert text in few and text not in proven
    assert "system calls used: onggi 34, crun 118" in proven


@pytest.mark.parametrize("names, words", [
    ({"onggi", "crun"}, ["Bold is the best", "Native has no figures"]),
    ({"native", "crun"}, ["Native is the yardstick."]),
    ({"native", "crun", "onggi"}, ["Bold is the best of the containers and "
                                   "VMs", "fewer than 4", "yardstick."])])
def test_what_is_said_of_the_summary_holds(names, words, tmp_path):
    data = synthetic.results()
    _lose(data, set(results.subjects(data)) - names)
    text = written(data, tmp_path)[1]
    said = text.split("\n## ", 3)[1]
    for word in ("Bold is", "yardstick", "Native has", *words):
        assert (word in said) is any(word in w for w in words), word
    assert ("**" in said) is ("Bold" in said)
    assert ("its ratio to the native process's." in text.split("## ")[0]) is (
        "native" in names)


def test_no_ratio_of_what_is_less_than_nothing():
    measure = {"samples": {"native": [-0.5], "onggi": [20.0], "crun": [2.0]}}
    assert figures.ratio(measure, "onggi") is None
    assert figures.ratio(measure, "native", "crun") is None
    assert figures.ratio(measure, "onggi", "crun") == 10


def test_wall_sentence_without_its_figure_is_left_out(tmp_path):
    data = synthetic.results()
    measures = results.measures(data)
    for key in ("isolation.functions", "network.rr"):
        del measures[key]["samples"]["onggi"]
        measures[key]["failed"]["onggi"] = "onggi: timeout"
    wall = _wall(written(data, tmp_path)[1])
    assert "functions" not in wall and "request and response" not in wall
    assert "system calls used" in wall


def test_interference_is_compared_with_each_subjects_own_speed(tmp_path):
    data = synthetic.results()
    measures = results.measures(data)
    hog = measures["interference.cpu.fork"]
    hog.update(unit="1/s", title="sysbench, beside a fork bomb")
    hog["samples"].update(onggi=[90.0] * 6, crun=[100.0] * 6)
    alone = copy.deepcopy(hog)
    alone.update(key="interference.cpu.alone", title="sysbench, alone")
    alone["samples"].update(onggi=[100.0] * 6, crun=[200.0] * 6)
    slow = copy.deepcopy(hog)
    slow.update(key="interference.fork.disk", title="fork, beside a disk hog",
                unit="ns", better="less")
    slow["samples"].update(onggi=[400.0] * 6, crun=[100.0] * 6)
    usual = copy.deepcopy(slow)
    usual.update(key="interference.fork.alone", title="fork, alone")
    usual["samples"].update(onggi=[100.0] * 6, crun=[50.0] * 6)
    dimension = next(d for d in data["dimensions"]
                     if d["key"] == "interference")
    dimension["measures"] += [alone, slow, usual]
    costs, buys = _wall(written(data, tmp_path)[1]).split("wall buys")
    assert ("sysbench, beside a fork bomb: onggi 90.0 % of its speed alone, "
            "crun 50.0 % of its speed alone, 1.80 times as much.") in buys
    assert ("fork, beside a disk hog: onggi 25.0 % of its speed alone, crun "
            "50.0 % of its speed alone, 0.50 times as much.") in costs
    assert "fork, alone" not in costs + buys


def test_no_vm_no_wall(tmp_path):
    data = synthetic.results()
    _lose(data, {"onggi", "qemu"})
    page, text, _ = written(data, tmp_path)
    assert "What the wall costs" not in text and "None" not in text
    assert "onggi: not built" in _Text(page).text


def _lose(data, names):
    for subject in data["subjects"]:
        if subject["name"] in names:
            subject["missing"] = f"{subject['name']}: not built"
    for measure in results.measures(data).values():
        for field in ("samples", "points", "failed"):
            for name in names:
                measure.get(field, {}).pop(name, None)


# --- what goes wrong ---

def test_nothing_measured_still_makes_a_report(tmp_path):
    data = synthetic.results()
    for measure in results.measures(data).values():
        measure.update(samples={}, points={}, failed={
            name: f"{name}: no room" for name in results.subjects(data)})
    page, text, lines = written(data, tmp_path, pictures.draw)
    assert "onggi: no room" in text and "×" not in _rows(page, "start")[1][1]
    assert all(":" in line for line in lines) and lines


def test_no_subject_at_all(tmp_path):
    data = synthetic.results()
    _lose(data, set(results.subjects(data)))
    for measure in results.measures(data).values():
        measure["failed"] = {}
    page, text, _ = written(data, tmp_path)
    assert "No subject could run." in text
    for name in synthetic.START:
        assert f"{name}: not built" in _Text(page).text


def test_native_missing_has_no_ratios_and_says_so(tmp_path):
    data = synthetic.results()
    _lose(data, {"native"})
    page, text, _ = written(data, tmp_path)
    assert "Native has no figures, so there are no ratios." in text
    assert "×" not in _rows(page, "summary")[1][1]


def test_dimension_that_could_not_run_says_why(tmp_path):
    data = synthetic.results()
    data["dimensions"][6].update(measures=[], missing="iperf3: not found")
    page, text, _ = written(data, tmp_path)
    assert "Not measured: iperf3: not found" in text
    assert "not measured 2" in _rows(page, "summary")[7][1]


def test_failure_after_some_samples_is_noted(tmp_path):
    data = synthetic.results()
    results.measures(data)["app.redis"]["failed"]["onggi"] = "onggi: crashed"
    page, text, _ = written(data, tmp_path)
    assert "onggi: crashed" in text
    cell = _rows(page, "applications")[1][4]
    assert re.match(r"[\d,]+ \d ×", cell)


def test_text_of_others_cannot_break_the_report(tmp_path):
    data = synthetic.results()
    nasty = "x: </td><script>alert(1)</script> & | *bold* `c`\nsecond 'line'"
    results.measures(data)["app.nginx"]["failed"]["runc"] = nasty
    results.measures(data)["start.reaped.1"]["unit"] = "m's\"<&"
    page, text, _ = written(data, tmp_path, pictures.draw)
    assert "<script" not in page + text.replace("\\<", "")
    xml.fromstring(page.split("\n", 1)[1])
    assert " ".join(nasty.split()) in _Text(page).text
    assert all(line.startswith("|") == line.endswith("|")
               for line in text.splitlines())


def test_without_gnuplot_the_report_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "GNUPLOT", "no-such-gnuplot")
    page, text, lines = written(synthetic.results(), tmp_path, pictures.draw)
    reason = "no-such-gnuplot: not found (Debian's gnuplot-nox)"
    assert reason in _Text(page).text and reason in text
    assert lines[0] == f"no picture start-1: {reason}"


# --- pictures ---

@needs_gnuplot
def test_pictures_are_in_the_page_and_beside_the_markdown(texts, folder):
    names = re.findall(r"\]\(pictures/([\w.-]+)\)", texts[1])
    assert names[:5] == [f"start-{n}.svg" for n in (1, 2, 10, 50, 100)]
    assert {"stages.svg", "memory.svg", "block-read-4k-1.svg",
            "isolation.svg"} <= set(names)
    assert texts[0].count("<svg") == len(names)
    for name in names:
        svg = xml.parse(folder / "out/pictures" / name).getroot()
        assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(list((folder / "out/pictures").iterdir())) == len(names)


@needs_gnuplot
def test_pictures_have_no_colours_but_the_readers(folder, texts):
    for path in (folder / "out/pictures").iterdir():
        text = path.read_text(encoding="utf-8")
        assert "rgb(" not in text and '"black"' not in text
        assert "prefers-color-scheme:dark" in text and "href" not in text
    assert "rgb(" not in texts[0]


@needs_gnuplot
def test_subjects_have_their_colour_in_every_picture(folder, texts):
    del texts
    data = synthetic.results()
    for name, absent in (("start-1", []), ("memory", []), ("stages", []),
                         ("start-100", ["qemu"])):
        text = (folder / f"out/pictures/{name}.svg").read_text()
        for i, subject in enumerate(s["name"] for s in data["subjects"]):
            shown = subject not in absent + ["firecracker"]
            assert (f'class="c-{i}"' in text) is shown
            assert (f">{subject}" in text) is shown


@needs_gnuplot
def test_memory_picture_has_the_slope(folder, texts):
    del texts
    data = synthetic.results()
    measure = results.measures(data)["density.memory"]
    slope = figures.number(figures.figure(measure, "onggi").value)
    text = (folder / "out/pictures/memory.svg").read_text()
    assert f"onggi, {slope} each" in text


@needs_gnuplot
def test_bar_of_what_is_not_measured_says_so(tmp_path):
    data = copy.deepcopy(synthetic.results())
    measure = results.measures(data)["block.read-4k-1.p99"]
    del measure["samples"]["qemu"]
    measure["failed"]["qemu"] = "qemu: fio crashed"
    written(data, tmp_path, pictures.draw)
    text = (tmp_path / "out/pictures/block-read-4k-1.svg").read_text()
    assert text.count("not measured") == 1


@needs_gnuplot
def test_a_long_name_leaves_room_for_bars(tmp_path):
    data, name = synthetic.results(), "qemu-" + 50 * "x"
    data["subjects"][4]["name"] = name
    for measure in results.measures(data).values():
        for field in ("samples", "points", "failed"):
            part = measure.get(field, {})
            if "qemu" in part:
                part[name] = part.pop("qemu")
    page = written(data, tmp_path, pictures.draw)[0]
    assert name in page
    for path in (tmp_path / "out/pictures").iterdir():
        text = path.read_text(encoding="utf-8")
        assert name not in text
        assert name[:19] + "…" in text or path.name == "start-100.svg"


def test_colours_are_of_subjects():
    assert set(pictures.PALETTE) <= {s.key for s in subjects.load({})}


def test_unknown_subjects_get_colours_of_their_own():
    data = {"subjects": [{"name": name} for name in
                         ("native", "xen", "lxc", "bhyve")]}
    assert len(set(pictures.colours(data).values())) == 4


# How red, green and blue light look without the receptor for red, and without
# that for green (Machado and others, 2009).
SIGHT = {
    "all": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
               (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968),
                 (0.280085, 0.672501, 0.047413),
                 (-0.011820, 0.042940, 0.968881))}


def _lab(colour, sight):
    """In a space whose distances are as the eye sees them (CIE 1976)."""
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    light = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4
             for p in parts]
    r, g, b = (max(sum(map(float.__mul__, map(float, row), light)), 0)
               for row in sight)
    x, y, z = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in
               ((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
                0.2126 * r + 0.7152 * g + 0.0722 * b,
                (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("side", [0, 1])
def test_colour_blind_readers_can_tell_subjects_apart(side, sight):
    places = [_lab(pair[side], SIGHT[sight])
              for pair in pictures.PALETTE.values()]
    for one, other in itertools.combinations(places, 2):
        assert math.dist(one, other) > 10
