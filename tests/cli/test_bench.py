"""The parts of the benchmarks that only compute: what they make of samples,
counts and other programs' output."""

import json
import subprocess
import sys
from collections import Counter
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))
sys.dont_write_bytecode = True
import counters  # noqa: E402
import runs  # noqa: E402
from initramfs import Archive  # noqa: E402
from table import Table  # noqa: E402


def load_program(name):
    """A program without the ending of a module; not as "io", which is taken."""
    loader = SourceFileLoader(f"bench_{name}", str(BENCH / name))
    module = module_from_spec(spec_from_loader(f"bench_{name}", loader))
    sys.modules[module.__name__] = module
    loader.exec_module(module)
    return module


bench_io = load_program("io")


def row(samples, goal, more):
    table = Table("", {})
    table.add("row", "1/s", samples, "peer", goal, more)
    return table.rows[0]


@pytest.mark.parametrize("onggi,goal,more,met", [
    (30, 1.5, True, True), (29, 1.5, True, False),
    (10, 0.5, False, True), (11, 0.5, False, False),
    (11, None, False, None)])
def test_a_goal_is_a_ratio_of_medians(onggi, goal, more, met):
    got = row({"onggi": [1, onggi, 99], "peer": [20, 20, 500]}, goal, more)
    assert (got["ratio"], got["met"]) == (onggi / 20, met)
    assert got["samples"]["onggi"] == [1, onggi, 99]


def test_a_subject_without_samples_makes_no_row(tmp_path):
    table = Table("", {})
    table.add("row", "1/s", {"onggi": [1], "peer": []}, "peer", 1)
    assert table.rows == []
    assert table.finish(tmp_path / "rows") == 1


def test_tables_are_merged_from_files(tmp_path):
    part, whole = Table("", {"clock": "wall"}), Table("", {})
    part.add("row", "1/s", {"onggi": [1], "peer": [2]}, "peer", 1)
    part.details["row"] = {"onggi": {"exits": {"hlt": 1.0}}}
    part.not_measured("other", "it is missing")
    part.write_json(tmp_path / "rows")
    whole.merge(json.loads((tmp_path / "rows").read_text()))
    assert (whole.rows, whole.details, whole.missing, whole.host) == (
        part.rows, part.details, part.missing, part.host)


def test_counts_are_by_request():
    short = {"exits": Counter(hlt=3, io=1)}
    long = {"exits": Counter(hlt=8, io=1)}
    counts = counters.difference(long, short)
    assert counters.per(counts, 10) == {"exits": {"hlt": 0.5}}


@pytest.mark.parametrize("read,written,rate", [(71, 0, 71), (0, 82, 82)])
def test_fio_tells_operations_per_second(read, written, rate):
    fields = ["3"] + ["0"] * 120
    fields[7], fields[48] = str(read), str(written)
    assert bench_io.fio_rate(";".join(fields) + "\n") == rate


@pytest.mark.parametrize("text", ["", "fio: no such file", "3;fio-3.33;t"])
def test_fio_that_fails_is_a_failure(text):
    with pytest.raises(runs.RunFailed):
        bench_io.fio_rate(text)


def test_a_journal_measures_nothing_twice(tmp_path):
    path = tmp_path / "journal"
    path.touch()
    assert runs.Journal(path).note("key", lambda: {"a": 1.5}) == {"a": 1.5}
    again = runs.Journal(path)
    assert again.note("key", lambda: pytest.fail("again")) == {"a": 1.5}
    assert again.note("other", lambda: 2) == 2


class FailingGuest:
    """A place whose guests come up; counts them."""
    def __init__(self):
        self.booted_count = 0

    def booted(self, _):
        self.booted_count += 1
        return bench_io.contextlib.nullcontext()


@pytest.mark.parametrize("words, stalls", [
    (["sleep", "60"], True),
    (["timeout", "5", "sh", "-c", "while :; do :; done"], False)])
def test_what_uses_no_processor_has_stalled(tmp_path, monkeypatch, words,
                                            stalls):
    """What is busy has longer to make progress."""
    monkeypatch.setattr(runs, "STALL_IDLE", 3)
    monkeypatch.setattr(runs, "IDLE_CPU", 0.2)
    (tmp_path / "journal").touch()
    with subprocess.Popen(words) as process:
        # pylint: disable-next=protected-access
        assert runs._stalls(process, tmp_path / "journal", 60) == stalls
        process.kill()


def test_one_load_that_fails_loses_no_other(monkeypatch):
    place, table = FailingGuest(), Table("", {})
    monkeypatch.setattr(sys, "argv", ["io"])
    bench = bench_io.Bench(bench_io.parse_options(), table, place)
    bench.title = "disk"

    def measure(load):
        if load.key == "read-32":
            raise runs.RunFailed("no answer")
        return 1, ""
    got = bench.on_guest("onggi", [], bench_io.DISK_LOADS, measure)
    assert set(got) == {load.key for load in bench_io.DISK_LOADS} - {"read-32"}
    assert table.missing == ["read-32, onggi: no answer"]
    assert place.booted_count == 2


def test_an_archive_has_each_folder_once():
    archive = Archive()
    archive.add("bin/a", b"x")
    archive.add("bin/b", b"yy")
    data = bytes(archive.finish())
    assert data.count(b"bin\0") == 1 and len(data) % 4 == 0
    assert data.index(b"bin\0") < data.index(b"bin/a\0")
