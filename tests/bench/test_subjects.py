"""Subjects of bench/compare: what each would start, and the course of a
comparison in which some fail; nothing is started here."""

import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]

import counters  # noqa: E402
import runs  # noqa: E402
from comparison import (  # noqa: E402
    bundle, facts, place as places, results, seccomp, subjects)
from comparison.dimensions.block import reader  # noqa: E402
from comparison.parse import lines_of, number_in  # noqa: E402
from comparison.place import Instance, Limits, undisturbed  # noqa: E402
from comparison.session import (  # noqa: E402
    SCALES, Dimension, Measure, Session, one_line, results_of)

WORDS = ["/bench/app"]
INIT = ["/bench/stamp", "<init>"]


@pytest.fixture
def place(tmp_path):
    return SimpleNamespace(directory=tmp_path, kernel=tmp_path / "kernel",
                           tree=tmp_path / "root")


@pytest.fixture
def instance(tmp_path):
    return Instance("one", 3, Limits(), tmp_path / "root.ext4",
                    tmp_path / "root", tmp_path, Path("/sys/fs/cgroup/x/one"),
                    scratch=tmp_path / "scratch", tap="tap3", netns="one")


def by_key(paths=None):
    return {subject.key: subject for subject in subjects.load(paths or {})}


def test_keys_are_the_files_names():
    assert [s.key for s in subjects.load({})] == [
        name.replace("_", "-") for name in subjects.NAMES]


@pytest.mark.parametrize("key", ["onggi", "qemu", "firecracker",
                                 "cloud-hypervisor", "kvmtool"])
def test_a_vm_gets_its_limits_disks_link_and_words(key, place, instance):
    subject = by_key({key: "/bin/true"})[key]
    argv = list(map(str, subject.command(place, instance, WORDS, INIT)))
    text = " ".join(argv)
    config = instance.directory / "firecracker.json"
    if config.exists():
        json.loads(config.read_text())
        text += config.read_text()
    for needed in ("512", "tap3", "root.ext4", "scratch", "init=/bench/stamp",
                   f"<init> {subjects.GUEST_INIT} /bench/app"):
        assert needed in text, needed


@pytest.mark.parametrize("key", ["crun", "runc", "runsc"])
def test_a_container_gets_a_bundle(key, place, instance):
    argv = by_key({key: "/bin/true"})[key].command(place, instance, WORDS,
                                                   INIT)
    config = json.loads((instance.directory / "config.json").read_text())
    assert argv[-3:] == ["--bundle", instance.directory, "one"]
    assert config["process"]["args"] == INIT + WORDS
    assert config["root"] == {"path": str(instance.tree), "readonly": True}
    assert config["linux"]["cgroupsPath"] == "/x/one/container"
    assert config["linux"]["resources"]["memory"]["limit"] == 512 << 20
    assert {"type": "network", "path": "/run/netns/one"} in \
        config["linux"]["namespaces"]


def test_a_profile_depends_on_capabilities(tmp_path, monkeypatch):
    profile = tmp_path / "seccomp.json"
    profile.write_text(json.dumps({
        "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["mount"], "action": "SCMP_ACT_ALLOW",
             "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
             "excludes": {"caps": ["CAP_CHOWN"]}}]}))
    monkeypatch.setattr(bundle, "PROFILE", profile)
    rules = bundle.seccomp(["CAP_CHOWN"])["syscalls"]
    assert [rule["names"] for rule in rules] == [["read"]]


def test_the_end_waits_for_what_is_being_set_up():
    seen = []

    def end(*_):
        raise SystemExit(143)
    before = signal.signal(signal.SIGTERM, end)
    try:
        with pytest.raises(SystemExit):
            with undisturbed():
                os.kill(os.getpid(), signal.SIGTERM)
                subprocess.run(["sh", "-c", "kill -TERM $$; true"],
                               check=True)
                seen.append("set up")
            seen.append("not reached")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == ["set up"]


def test_a_missing_program_says_so():
    assert by_key({"runsc": "/no/such"})["runsc"].missing() == \
        "/no/such: not found"
    assert by_key()["native"].missing() is None


# --- the course ---

class Two(Dimension):
    key, title, text = "two", "Two", ""

    def __init__(self, take):
        self.take = take

    def measures(self, session):
        yield Measure("two.a", "a", "ms")
        yield Measure("two.b", "b", "MiB", x="instances")

    def measure(self, session):
        session.in_turn("two", self.take, 3, 1)


def fake(key):
    return SimpleNamespace(key=key, kind="container", note="",
                           missing=lambda: None, version=lambda: "1")


def session_of(take, journal, *keys):
    session = Session(None, [fake(key) for key in keys], SCALES["tiny"],
                      journal, [Two(take)])
    return session


def test_turns_alternate_and_a_failure_drops_one_subject():
    order = []

    def take(subject):
        order.append(subject.key)
        if subject.key == "bad" and len(order) > 2:
            raise runs.RunFailed("no\nsuch  thing")
        return {"two.a": len(order), "two.b": [[1, 2.0]], "failed": {}}
    session = session_of(take, runs.Journal(None), "good", "bad")
    data = results_of(session, session.run(), session.subjects,
                      command="x", conditions=[], host={})
    results.check(data)
    a, b = results.measures(data).values()
    assert order[:4] == ["good", "bad", "good", "bad"]
    assert order[4:] == ["good", "good"]
    assert len(a["samples"]["good"]) == 3  # without the warm-up
    assert a["failed"] == {"bad": "no such thing"}
    assert b["points"]["good"] == [[1, 2.0]] * 3


class Parts(Two):
    """As many turns as there are measures, each of its own."""

    def measure(self, session):
        for key in ("two.a", "two.b"):
            session.in_turn(key, lambda subject, k=key: self.take(subject, k),
                            3, 0)


def parts(take):
    session = Session(None, [fake("good"), fake("bad")], SCALES["tiny"],
                      runs.Journal(None), [Parts(take)])
    return session.run()[0]["measures"]


def test_who_drops_out_after_some_turns_has_both():
    turns = []

    def take(subject, key):
        turns.append(subject.key)
        if turns == ["good", "bad"] * 2:
            raise runs.RunFailed("crashed")
        return {key: [[1, 2]] if key == "two.b" else 1}
    measure = parts(take)[0]
    assert measure["samples"] == {"good": [1, 1, 1], "bad": [1]}
    assert measure["failed"] == {"bad": "crashed"}


def test_a_failure_is_noted_at_the_turns_own_measures_alone():
    def take(subject, key):
        if subject.key == "bad" and key == "two.a":
            raise runs.RunFailed("crashed")
        return {key: [[1, 2]] if key == "two.b" else 1}
    a, b = parts(take)
    assert a["failed"] == {"bad": "crashed"}
    assert "failed" not in b and len(b["points"]["bad"]) == 3


def test_each_measure_has_the_reason_of_its_own_turns():
    def take(subject, key):
        if subject.key == "bad":
            raise runs.RunFailed(f"no {key}")
        return {key: [[1, 2]] if key == "two.b" else 1}
    assert [m["failed"] for m in parts(take)] == [
        {"bad": "no two.a"}, {"bad": "no two.b"}]


def test_who_does_not_answer_in_emulation_is_asked_again(monkeypatch):
    calls = []

    def take(_):
        calls.append(1)
        if len(calls) % 2:
            raise runs.NoAnswer("the guest does not answer")
        return {"two.a": 1, "two.b": [[1, 1]]}
    monkeypatch.setenv("ONGGI_TESTBED", "emulated")
    rows = session_of(take, runs.Journal(None), "one").run()
    assert rows[0]["measures"][0]["samples"] == {"one": [1, 1, 1]}
    calls.clear()
    monkeypatch.delenv("ONGGI_TESTBED")
    rows = session_of(take, runs.Journal(None), "one").run()
    assert rows[0]["measures"][0]["failed"] == {
        "one": "the guest does not answer"}


def test_a_figure_that_was_not_foreseen():
    class Open(Two):
        def found(self, key):
            return Measure(key, "found", "")
    session = Session(None, [fake("one"), fake("two")], SCALES["tiny"],
                      runs.Journal(None), [Open(lambda subject: (
                          {"two.a": 1, "two.new": 5} if subject.key == "one"
                          else {"two.a": 1}))])
    found = {m["key"]: m for m in session.run()[0]["measures"]}["two.new"]
    assert found["samples"] == {"one": [5, 5, 5]}
    assert found["failed"] == {"two": "not measured for this subject"}


def test_what_a_journal_knows_is_not_measured_again(tmp_path):
    journal = tmp_path / "journal"
    journal.touch()
    calls = []

    def take(subject):
        calls.append(subject.key)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return {"two.a": 1.5, "two.b": [[1, 1]]}
    with pytest.raises(KeyboardInterrupt):
        session_of(take, runs.Journal(journal), "one").run()
    rows = session_of(take, runs.Journal(journal), "one").run()
    assert len(calls) == 5  # four turns, one of which began twice
    assert rows[0]["measures"][0]["samples"] == {"one": [1.5] * 3}


def test_a_reason_is_one_line_that_can_be_printed():
    assert one_line(runs.RunFailed("a\n\x1b[1mb\0\udcffc")) == "a [1mb c"
    assert one_line(KeyError("rate")) == "no 'rate' in what it printed"


def test_a_limit_that_the_kernel_lacks_is_no_condition(tmp_path,
                                                       monkeypatch):
    (tmp_path / "cgroup.controllers").write_text("cpu io pids\n")
    monkeypatch.setattr(places, "CGROUPS", tmp_path)
    monkeypatch.setattr(runs, "images_dir", lambda: tmp_path)
    (tmp_path / runs.machine.KERNEL).touch()
    (tmp_path / "place").mkdir()
    place = places.Place(tmp_path / "place", None, None)
    place._make_cgroup()
    assert (tmp_path / "cgroup.subtree_control").read_text() == \
        "+cpu +pids +io"
    assert [c for c in facts.conditions(place) if "memory" in c][-1] == (
        "There is no limit of memory: this kernel has no cgroup controller "
        "of it.")


def test_counters_that_cannot_be_had_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(counters, "TRACING", tmp_path)
    (tmp_path / "events").mkdir()
    (tmp_path / "instances").mkdir()
    with pytest.raises(runs.RunFailed, match="trace points: "):
        counters.Counters()
    assert not list((tmp_path / "instances").iterdir())


# --- readers ---

def test_lines_and_numbers():
    assert lines_of("a 1.5 ns\r\nb.c 2 MB/s\nnoise\n") == {"a": 1.5, "b.c": 2}
    assert number_in("Time: 0.25\n", r"^Time: *([\d.]+)") == 0.25
    with pytest.raises(runs.RunFailed):
        lines_of("nothing")
    with pytest.raises(runs.RunFailed):
        number_in("Time: none", r"Time: ([\d.]+)")


def test_fio():
    read = '"iops" : 1000.5,\r\n "99.000000" : 77000,\r\n"iops" : 0.000000,'
    assert reader("read-4k-1")(read) == {"block.read-4k-1.iops": 1000.5,
                                         "block.read-4k-1.p99": 77}
    sync = ('"iops" : 0.000000,"iops" : 500.0,"99.000000" : 1000,\n'
            '"iops" : 0.0,"99.000000" : 88000,')
    assert reader("fsync")(sync) == {"block.fsync.iops": 500,
                                     "block.fsync.p99": 88}
    with pytest.raises(runs.RunFailed):
        reader("read-4k-1")("fio: cannot open /work/fio.dat\n")


# --- seccomp ---

LOAD_NUMBER, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x00050001


def data_of(number):
    return struct.pack("=iIQ6Q", number, 0xc000003e, *[0] * 7)


def test_a_filter_is_tried():
    program = [(LOAD_NUMBER, 0, 0, 0), (EQUAL, 0, 1, 39),
               (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERRNO)]
    assert seccomp.verdict(program, data_of(39)) == ALLOW
    assert seccomp.verdict(program, data_of(40)) == ERRNO


def test_arithmetic_jumps_and_scratch():
    program = [(0x00, 0, 0, 7),     # a = 7
               (0x02, 0, 0, 3),     # m[3] = a
               (0x61, 0, 0, 3),     # x = m[3]
               (0x2c, 0, 0, 0),     # a *= x
               (0x05, 0, 0, 1),     # over the next
               (0x06, 0, 0, 1),
               (0x16, 0, 0, 0)]     # return a
    assert seccomp.verdict(program, data_of(0)) == 49


def test_who_has_no_filter_may_do_all():
    assert seccomp.allowed(os.getpid()) == len(seccomp.numbers()) > 300
