"""The schema: what is whole is read back, what is not is named."""

import json
from pathlib import Path

import pytest
import synthetic
from comparison import results


@pytest.fixture
def data():
    return synthetic.results()


def test_written_results_are_read_back(data, tmp_path):
    results.write(tmp_path / "results.json", data)
    assert results.load(tmp_path / "results.json") == data
    assert results.load(tmp_path) == data
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_reports_of_ours_can_be_read():
    """bench/results: a change of the schema has to take them along."""
    folder = Path(results.__file__).parent.parent / "results"
    for path in folder.glob("*/results.json"):
        assert results.subjects(results.load(path))
    assert (folder / "counted/results.json").exists()


def test_helpers(data):
    assert results.subjects(data) == ["native", "crun", "runc", "onggi",
                                      "qemu"]
    assert results.of_kind(data, "container") == ["crun", "runc"]
    assert results.missing(data) == {"firecracker": synthetic.NO_FIRECRACKER}
    measures = results.measures(data)
    assert list(measures)[:2] == ["start.exec_run.1", "start.init.1"]
    assert len(results.samples(measures["memory.pss"], "crun")) == 10
    assert not results.samples(measures["kernel.hackbench"], "runc")
    assert results.reason(measures["kernel.hackbench"],
                          "runc") == synthetic.RUNC_CRASH
    assert len(results.points(measures["density.memory"], "onggi")) == 6


def _measure(data):
    return data["dimensions"][1]["measures"][0]


# What is done to good results, and the line that it must give.
WRONG = {
    "format: 2, but only 1 is known": lambda d: d.update(format=2),
    "clock: 'sundial' is none of wall, counted":
        lambda d: d.update(clock="sundial"),
    "emulated: false, but only an emulated machine has a counted clock":
        lambda d: d.update(clock="counted"),
    "emulated: neither true nor false": lambda d: d.update(emulated=1),
    "runs: not a whole number of at least 1": lambda d: d.update(runs=True),
    "date: not like 2026-11-29T07:00:00Z": lambda d: d.update(date="today"),
    "command: missing": lambda d: d.pop("command"),
    "colour: no such field": lambda d: d.update(colour="red"),
    "host.cpu: not a text, number or boolean":
        lambda d: d["host"].update(cpu=None),
    "conditions[1]: not a text, or an empty one":
        lambda d: d["conditions"].__setitem__(1, " "),
    "subjects: not a list": lambda d: d.update(subjects={}),
    "subjects[0].kind: 'jail' is none of process, container, vm":
        lambda d: d["subjects"][0].update(kind="jail"),
    "subjects[1].name: native is there twice":
        lambda d: d["subjects"][1].update(name="native"),
    "subjects[0].name: not a name of letters, digits and _.+-":
        lambda d: d["subjects"][0].update(name="<b>"),
    "dimensions[2].key: start is there twice":
        lambda d: d["dimensions"][2].update(key="start"),
    "dimensions[1].missing: missing: without measures there must be a reason":
        lambda d: d["dimensions"][1].update(measures=[]),
    "dimensions[1].measures[0].better: 'bigger' is none of less, more, none":
        lambda d: _measure(d).update(better="bigger"),
    "dimensions[1].measures[0].samples.crun[2]: not a number, or one beyond "
    "1e+300":
        lambda d: _measure(d)["samples"]["crun"].__setitem__(2, "1"),
    "dimensions[1].measures[0].samples.crun[3]: not a number, or one beyond "
    "1e+300":
        lambda d: _measure(d)["samples"]["crun"].__setitem__(3, 10**400),
    "host.cpu: half a character": lambda d: d["host"].update(cpu="\ud800"),
    "command: half a character": lambda d: d.update(command="a\udcff"),
    "dimensions[1].measures[0].samples.crun: empty; a subject without samples"
    " belongs in failed":
        lambda d: _measure(d)["samples"].update(crun=[]),
    "dimensions[1].measures[0].failed.crun: missing: without samples there "
    "must be a reason":
        lambda d: _measure(d)["samples"].pop("crun"),
    "dimensions[1].measures[0].failed.crun: not a text, or an empty one":
        lambda d: _measure(d)["failed"].update(crun=""),
    "dimensions[1].measures[0].samples.xen: no subject has this name":
        lambda d: _measure(d)["samples"].update(xen=[1]),
    "dimensions[1].measures[0].samples.firecracker: this subject is missing":
        lambda d: _measure(d)["samples"].update(firecracker=[1]),
    "dimensions[1].measures[1].key: memory.pss is that of "
    "dimensions[1].measures[0], too":
        lambda d: d["dimensions"][1]["measures"][1].update(key="memory.pss"),
    "dimensions[2].measures[0].points.crun[0]: not a pair of numbers":
        lambda d: d["dimensions"][2]["measures"][0]["points"]["crun"]
        .__setitem__(0, [1, 2, 3]),
}


@pytest.mark.parametrize("line", WRONG)
def test_bad_field_is_named_in_one_line(data, line, tmp_path):
    WRONG[line](data)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(data))
    with pytest.raises(results.BadResults) as error:
        results.load(path)
    assert str(error.value) == f"{path}: {line}"
    with pytest.raises(results.BadResults):
        results.write(tmp_path / "other.json", data)
    assert not (tmp_path / "other.json").exists()


@pytest.mark.parametrize("content, reason", [
    (b"{", "not JSON: "), (b"\xff", "not UTF-8"), (b"[]", "the whole: not an"),
    (b'{"runs": NaN}', "not JSON: NaN"), (b"", "not JSON: ")])
def test_bad_file_is_named_in_one_line(content, reason, tmp_path):
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(results.BadResults) as error:
        results.load(path)
    assert str(error.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(error.value)


def test_absent_file_is_named(tmp_path):
    with pytest.raises(results.BadResults, match="results.json: No such file"):
        results.load(tmp_path)
