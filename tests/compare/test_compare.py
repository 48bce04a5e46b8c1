"""bench/compare whole, at its smallest scale: where KVM boots no kernels, in
two emulated machines side by side, each with a part of the dimensions. What is
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
from comparison import dimensions, markdown, results  # noqa: E402

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


def parts_to_run(config):
    part = config.getoption("--part")
    return range(len(PARTS)) if part is None else [part]


def pytest_generate_tests(metafunc):
    if "dimension" in metafunc.fixturenames:
        metafunc.parametrize("dimension", [
            name for number in parts_to_run(metafunc.config)
            for name in PARTS[number]])


@pytest.fixture(scope="module")
def reports(request):
    """{dimension: folder} of the parts' runs."""
    running = []
    for number in parts_to_run(request.config):
        part, out = PARTS[number], ROOT / f"build/compare-test/{number}"
        shutil.rmtree(out, ignore_errors=True)
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


def test_reports_have_it(reports, dimension):
    data = results.load(reports[dimension])
    own = next(d for d in data["dimensions"] if d["key"] == dimension)
    page, plain = ((reports[dimension] / name).read_text(encoding="utf-8")
                   for name in ("report.html", "report.md"))
    page = html.unescape(page)
    for named in (own, *own["measures"]):
        assert named["title"] in page
        assert markdown.escape(named["title"]) in plain


def any_of(reports):
    return next(iter(reports.values()))


def test_a_missing_program_is_told(reports):
    data = results.load(any_of(reports))
    if not shutil.which("runsc"):
        assert results.missing(data) == {"runsc": "runsc: not found"}


def test_finished_work_is_not_kept_as_unfinished(reports):
    assert not (any_of(reports) / "journal").exists()


def test_a_program_that_is_no_monitor_fails_alone(reports, dimension):
    """The others' figures are those that are checked above."""
    data = results.load(reports[dimension])
    own = next(d for d in data["dimensions"] if d["key"] == dimension)
    reasons = [results.reason(measure, BROKEN) for measure in own["measures"]]
    assert dimension == "size" or all(reasons)
