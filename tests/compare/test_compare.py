"""bench/compare whole, at its smallest scale: where KVM boots no kernels, in
two emulated machines side by side, each with half of the dimensions. What is
checked is that each figure is there, not what it is."""

import html
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]

import runs  # noqa: E402
from comparison import dimensions, results  # noqa: E402

SUBJECTS = ("native", "crun", "runc", "onggi", "qemu")
BROKEN = "kvmtool"  # ends at once
# What one run does takes about as long as what the other does.
PARTS = (("start", "memory", "density", "size", "kernel", "network", "block",
          "applications"),
         ("cpu", "interference", "isolation"))
# Of what a subject has not, by the figure's name.
NOT_APPLICABLE = {"has no vCPU", "runs on the host's"}
TIMEOUT = 1500


def command(out, *more):
    # no counted clock, which takes longer and is of no use here
    place = [] if runs.kvm_boots_kernels(runs.ARCH) else ["--emulated"]
    return [sys.executable, "-B", ROOT / "bench/compare", "--scale", "tiny",
            *place, "--subjects", *SUBJECTS, "runsc", BROKEN,
            f"--{BROKEN}", "/bin/false", "--out", out, *more]


@pytest.fixture(scope="module")
def reports():
    """{dimension: folder} of the two runs."""
    folder = ROOT / "build/compare-test"
    shutil.rmtree(folder, ignore_errors=True)
    running = []
    for number, part in enumerate(PARTS):
        out = folder / str(number)
        out.mkdir(parents=True)
        with open(out / "log", "wb") as log:
            running.append((out, part, subprocess.Popen(
                command(out, "--only", *part), stdout=log, stderr=log)))
    found = {}
    for out, part, process in running:
        assert process.wait(TIMEOUT) == 0, (out / "log").read_text()[-2000:]
        found.update(dict.fromkeys(part, out))
    return found


def test_each_dimension_is_in_one_part():
    names = [d.key for d in dimensions.load()]
    assert sorted(sum(PARTS, ())) == sorted(names)


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("dimension", sum(PARTS, ()))
def test_every_figure_is_there(reports, dimension, subject):
    data = results.load(reports[dimension])
    own = next(d for d in data["dimensions"] if d["key"] == dimension)
    assert own["measures"]
    for measure in own["measures"]:
        why = results.reason(measure, subject)
        if why in NOT_APPLICABLE:
            continue
        assert why is None, f"{measure['key']}: {why}"
        assert (results.samples(measure, subject)
                or results.points(measure, subject)), measure["key"]


@pytest.mark.parametrize("dimension", sum(PARTS, ()))
def test_reports_have_it(reports, dimension):
    data = results.load(reports[dimension])
    own = next(d for d in data["dimensions"] if d["key"] == dimension)
    for name in ("report.html", "report.md"):
        text = html.unescape(
            (reports[dimension] / name).read_text(encoding="utf-8"))
        assert own["title"] in text
        for measure in own["measures"]:
            assert measure["title"] in text


def test_a_missing_program_is_told(reports):
    data = results.load(reports["start"])
    if not shutil.which("runsc"):
        assert results.missing(data) == {"runsc": "runsc: not found"}


def test_finished_work_is_not_kept_as_unfinished(reports):
    assert not (reports["start"] / "journal").exists()


@pytest.mark.parametrize("dimension", sum(PARTS, ()))
def test_a_program_that_is_no_monitor_fails_alone(reports, dimension):
    """The others' figures are those that are checked above."""
    data = results.load(reports[dimension])
    own = next(d for d in data["dimensions"] if d["key"] == dimension)
    reasons = [results.reason(measure, BROKEN) for measure in own["measures"]]
    assert dimension == "size" or all(reasons)
