"""Two results compared: a planted regression shows, noise does not."""

import pytest
import synthetic
from comparison import diff, results


@pytest.fixture
def run(tmp_path, capsys):
    """Compares; (exit status, lines of output, standard error)."""
    def compare(before, after, *options):
        for name, data in (("a.json", before), ("b.json", after)):
            results.write(tmp_path / name, data)
        status = diff.main([str(tmp_path / "a.json"),
                            str(tmp_path / "b.json"), *options])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err
    return compare


def _scale(data, key, subject, factor):
    values = results.measures(data)[key]["samples"]
    values[subject] = [value * factor for value in values[subject]]


def _line(lines, verdict, subject, key):
    return next(line for line in lines if line.startswith(verdict)
                and line[len(verdict):].split()[:2] == [subject, key])


@pytest.mark.parametrize("seed", range(2, 6))
def test_noise_is_no_regression(run, seed):
    status, lines, _ = run(synthetic.results(1), synthetic.results(seed))
    assert status == 0
    assert not [x for x in lines if x.startswith(("worse", "better"))]
    assert lines[-1] == "onggi: 0 of 52 measures worse"


@pytest.mark.parametrize("key, factor", [
    ("kernel.fork", 1.3), ("cpu.stream", 0.7), ("start.reaped.100", 1.1)])
def test_planted_regression_comes_first(run, key, factor):
    after = synthetic.results(2)
    _scale(after, key, "onggi", factor)
    _scale(after, "network.rr", "onggi", 0.5)
    _scale(after, "kernel.fork", "qemu", 2)
    status, lines, _ = run(synthetic.results(1), after)
    assert status == 1
    assert lines[0].split()[:4] == ["verdict", "subject", "measure", "unit"]
    assert lines[1].split()[:3] == ["worse", "onggi", key]
    change = float(lines[1].split(" %")[0].split()[-1])
    assert change == pytest.approx((factor - 1) * 100, abs=3)
    assert lines[2].split()[:3] == ["worse", "qemu", "kernel.fork"]
    assert lines[3].split()[:3] == ["better", "onggi", "network.rr"]
    assert lines[-1] == "onggi: 1 of 52 measures worse"


def test_regression_of_another_subject_is_no_failure(run):
    after = synthetic.results(2)
    _scale(after, "kernel.fork", "qemu", 1.3)
    status, lines, _ = run(synthetic.results(1), after)
    assert status == 0
    assert lines[1].split()[:3] == ["worse", "qemu", "kernel.fork"]


def test_p_is_corrected_for_the_number_of_tests(run):
    before, after = synthetic.results(1), synthetic.results(1)
    _scale(after, "kernel.fork", "crun", 2)
    line = _line(run(before, after)[1], "worse", "crun", "kernel.fork")
    tests = sum(len(results.samples(m, "crun")) > 1
                for m in results.measures(before).values())
    assert line.split()[-1] == f"{2 / 184756 * tests:.2g}"  # C(20, 10)


def test_few_samples_say_how_many_are_needed(run):
    before, after = synthetic.results(1, runs=3), synthetic.results(1, runs=3)
    _scale(after, "kernel.fork", "onggi", 2)
    status, lines, _ = run(before, after)
    assert status == 0
    line = _line(lines, "too few samples", "onggi", "kernel.fork")
    assert "+100.0 %" in line and line.endswith("3 and 3; at least 4 each")


def test_what_the_correction_needs_is_named(run):
    # 2/252 for 5 and 5 shows a difference alone, but not among many tests
    before, after = synthetic.results(1, runs=5), synthetic.results(1, runs=5)
    _scale(after, "kernel.fork", "onggi", 2)
    lines = run(before, after)[1]
    line = _line(lines, "too few samples", "onggi", "kernel.fork")
    assert line.endswith("5 and 5; at least 7 each")


def test_small_changes_can_be_left_out(run):
    before, after = synthetic.results(1), synthetic.results(1)
    _scale(after, "cpu.sysbench", "onggi", 0.97)
    assert run(before, after)[0] == 1
    status, lines, _ = run(before, after, "--least", "5")
    assert status == 0
    assert _line(lines, "no difference shown", "onggi",
                 "cpu.sysbench").endswith("below 5 %")


def test_what_fails_now_is_a_regression(run):
    after = synthetic.results(1)
    measure = results.measures(after)["app.redis"]
    del measure["samples"]["onggi"]
    measure["failed"]["onggi"] = "onggi: triple fault"
    status, lines, _ = run(synthetic.results(1), after)
    assert status == 1
    assert lines[1].split()[:3] == ["failed", "onggi", "app.redis"]
    assert lines[1].endswith("onggi: triple fault")


@pytest.mark.parametrize("side, line", [("A", "onggi: no measure in common"),
                                        ("B", "onggi: 0 of 52 measures worse")
                                        ])
def test_who_was_not_asked_for_has_not_failed(run, side, line):
    both = {"A": synthetic.results(1), "B": synthetic.results(1)}
    name = {"A": "onggi", "B": "qemu"}[side]
    other = both["B" if side == "A" else "A"]
    other["subjects"] = [s for s in other["subjects"] if s["name"] != name]
    for measure in results.measures(other).values():
        for field in ("samples", "points", "failed"):
            measure.get(field, {}).pop(name, None)
    status, lines, _ = run(both["A"], both["B"])
    assert status == 0 and lines[-1] == line
    assert f"only in {side}: the subject {name}" in lines
    assert not [x for x in lines if x.startswith("failed")]


def test_what_only_one_has_is_named(run):
    before, after = synthetic.results(1), synthetic.results(1)
    measure = results.measures(before)["app.redis"]
    del measure["samples"]["onggi"]
    measure["failed"]["onggi"] = "onggi: triple fault"
    del after["dimensions"][0]
    results.measures(after)["memory.pss"]["unit"] = "KiB"
    status, lines, _ = run(before, after)
    assert status == 0
    assert "only in B: onggi app.redis (A: onggi: triple fault)" in lines
    assert "only in A: start.reaped.1" in lines
    assert "not compared: memory.pss: unit or direction differ" in lines


def test_other_clock_is_refused(run):
    after = synthetic.results(1)
    after.update(emulated=True, clock="counted")
    status, lines, err = run(synthetic.results(1), after)
    assert status == 2 and not lines
    assert err == ("bench/compare diff: clock wall in A but counted in B: "
                   "their figures cannot be compared\n")
    after.update(clock="wall")
    status, _, err = run(synthetic.results(1), after)
    assert status == 2
    assert "emulated no in A but yes in B" in err


def test_other_host_scale_version_and_conditions_are_named(run):
    after = synthetic.results(1)
    after["host"]["governor"] = "powersave"
    after["subjects"][3]["version"] = "1.0"
    after["scale"] = "full"
    after["conditions"] = after["conditions"][:1] + ["No bridge."]
    status, lines, _ = run(synthetic.results(1), after)
    assert status == 0
    assert lines[:5] == [
        "not the same: scale: quick in A, full in B",
        "not the same: host governor: performance in A, powersave in B",
        "not the same: version of onggi: 0.9 in A, 1.0 in B",
        "not the same: only in A: Containers have a veth pair, VMs a tap, on "
        "the same bridge.",
        "not the same: only in B: No bridge."]


def test_folders_are_taken_too(tmp_path, capsys):
    results.write(tmp_path / "results.json", synthetic.results())
    assert diff.main([str(tmp_path), str(tmp_path)]) == 0
    assert "0 of 52 measures worse" in capsys.readouterr().out


def test_bad_input_is_one_line(tmp_path, capsys):
    assert diff.main([str(tmp_path), str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"bench/compare diff: {tmp_path}/results.json: No such file or "
        "directory\n")


@pytest.mark.parametrize("value", ["-1", "x", "nan"])
def test_bad_percentage_is_refused(value, capsys):
    with pytest.raises(SystemExit) as error:
        diff.main(["--least", value, "a", "b"])
    assert error.value.code == 2
    assert "--least" in capsys.readouterr().err
