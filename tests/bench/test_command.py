"""bench/compare as its user calls it, as far as that needs no guest: what is
wrong is one line, and nobody's night is thrown away."""

import fcntl
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import SimpleNamespace

import pytest
import synthetic
from comparison import results, subjects

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = ROOT / "bench/compare"

import runs  # noqa: E402
from guest_shell import GuestShell  # noqa: E402


def call(*words, **options):
    return subprocess.run([sys.executable, "-B", COMMAND, *words], text=True,
                          capture_output=True, timeout=60, check=False,
                          **options)


def module():
    loader = SourceFileLoader("compare", str(COMMAND))
    sys.dont_write_bytecode = True
    loaded = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("compare", loader))
    loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize("words, line", [
    (["--out", "{0}/file"], "{0}/file: File exists"),
    (["--out", "{0}/file/x"], "{0}/file/x: Not a directory"),
    (["--out", "{0}", "--subjects", "kvmtool", "--kvmtool", "{0}/file"],
     "no subject can run: {0}/file: not an executable file"),
    (["--out", "{0}", "--subjects", "kvmtool", "--kvmtool", "{0}"],
     "no subject can run: {0}: not an executable file"),
    (["--out", "{0}", "--subjects", "onggi", "--onggi", "{0}/none"],
     "no subject can run: {0}/none: not found"),
    (["report", "{0}/none"], "{0}/none/results.json: No such file or "
     "directory")])
def test_bad_input_is_one_line(words, line, tmp_path):
    (tmp_path / "file").touch()
    done = call(*(word.format(tmp_path) for word in words))
    assert (done.returncode, done.stdout, done.stderr) == (
        1, "", f"bench/compare: {line.format(tmp_path)}\n")


def test_clocks_cannot_be_mixed():
    done = call("--counted", "--emulated")
    assert done.returncode == 2 and "not allowed with" in done.stderr


def test_options_that_are_repeated_add_up(monkeypatch):
    monkeypatch.setattr(sys, "argv", [
        "x", "--only", "size", "--only", "cpu", "memory"])
    assert module().parse_options().only == ["size", "cpu", "memory"]
    monkeypatch.setattr(sys, "argv", ["x"])
    assert len(module().parse_options().only) == 11


def test_a_diff_that_cannot_be_written_is_not_one_that_is_worse(tmp_path):
    results.write(tmp_path / "results.json", synthetic.results())
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-B", COMMAND, "diff", tmp_path, tmp_path],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "No space left on device\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_do_not_write_into_one_folder(tmp_path):
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    done = call("--out", tmp_path)
    os.close(handle)
    assert done.returncode == 1 and done.stderr == (
        f"bench/compare: {tmp_path}: another bench/compare is at work "
        "there\n")


def test_a_report_is_made_once_more(tmp_path):
    folder = tmp_path / "a report"
    folder.mkdir()
    results.write(folder / "results.json", synthetic.results())
    done = call("report", folder)
    assert done.returncode == 0, done.stderr
    assert {"report.html", "report.md", "results.json"} <= {
        path.name for path in folder.iterdir()}


def test_who_reads_the_beginning_of_a_diff_may_go(tmp_path):
    results.write(tmp_path / "results.json", synthetic.results())
    done = subprocess.run(
        f"'{sys.executable}' -B '{COMMAND}' diff '{tmp_path}' '{tmp_path}' | "
        "true; exit ${PIPESTATUS[0]}", shell=True, executable="/bin/bash",
        check=False, text=True, capture_output=True, timeout=60)
    assert done.stderr == ""
    assert done.returncode in (0, 128 + signal.SIGPIPE)


def test_a_folders_name_that_is_no_text(tmp_path):
    assert module().command_of(["--out", "a\udcff"]) == \
        "bench/compare --out 'a?'"
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    results.write(tmp_path / "results.json", synthetic.results())
    os.rename(tmp_path / "results.json", folder + b"/results.json")
    done = call("report", folder)
    assert done.returncode == 0 and "report.html" in done.stdout


# --- the journal ---

WHAT = {"scale": "tiny"}


def test_a_journal_of_the_same_is_gone_on_with(tmp_path, capsys):
    journal = tmp_path / "journal"
    compare = module()
    compare.begin_journal(journal, WHAT)
    runs.note_result(journal, "a", {"x": 1})
    compare.begin_journal(journal, WHAT)
    assert runs.Journal(journal).known["a"] == {"x": 1}
    assert capsys.readouterr().err == \
        f"bench/compare: goes on with {tmp_path}\n"


@pytest.mark.parametrize("text", [
    b'["what", {"scale": "full"}]\n["a", {}]\n', b"\xff\xfe", b"["])
def test_a_journal_of_another_run_is_kept(text, tmp_path, capsys):
    journal = tmp_path / "journal"
    journal.write_bytes(text)
    module().begin_journal(journal, WHAT)
    assert list(runs.Journal(journal).known) == ["what"]
    assert (tmp_path / "journal.old").read_bytes() == text
    assert "keeps it as journal.old" in capsys.readouterr().err


def test_a_half_written_line_does_not_count(tmp_path):
    journal = tmp_path / "journal"
    journal.write_text('["what", 1]\n["a", {"x": 1}]\n5\n["b", {"x"')
    calls = []
    for _ in range(2):
        known = runs.Journal(journal)
        assert known.note("a", None) == {"x": 1}
        assert known.note("b", lambda: calls.append(1) or {"x": 2}) == {"x": 2}
    assert calls == [1]
    assert not runs.under_way(journal).exists()


@pytest.mark.parametrize("key", ["emulated", "subjects", "onggi", "crun"])
def test_what_differs_makes_a_run_another(key, tmp_path):
    compare = module()
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)
    options = SimpleNamespace(
        scale="tiny", only=["size"], subjects=None, counted=True,
        emulated=False, onggi="/bin/true", crun="/bin/true")
    before = json.dumps(compare.what_is_measured(options))
    assert before == json.dumps(compare.what_is_measured(options))
    with open(program, "ab") as file:
        file.write(b"\n")
    setattr(options, key, {"emulated": True, "subjects": ["native"]}.get(
        key, str(program)))
    assert before != json.dumps(compare.what_is_measured(options))


# --- programs that are no monitors ---

@pytest.mark.parametrize("text, version", [
    ("#!/bin/sh\necho version 1.2.3\n", "1.2.3"),
    ("#!/bin/sh\nwhile :; do echo 1.5 noise; done\n", "1.5"),
    ("#!/bin/sh\nprintf '\\377\\376'\n", "\ufffd\ufffd"),
    ("#!/bin/sh\nprintf '\\033[1mno\\0one'\n", "[1mno one"),
    ("#!/bin/sh\nsleep 60\n", ""), ("\x7fELF", "")])
def test_a_version_of_any_program(text, version, tmp_path, monkeypatch):
    monkeypatch.setattr(subjects, "VERSION_S", 1)
    program = tmp_path / "a program"
    program.write_text(text)
    program.chmod(0o755)
    subject = {s.key: s for s in subjects.load({"crun": program})}["crun"]
    assert subject.missing() is None
    assert subject.version() == version


def test_a_guest_that_prints_without_end_fails():
    with pytest.raises(runs.RunFailed, match="prints without end: "):
        with GuestShell(["yes", "noise"], 5):
            pass
