"""What bash offers for an onggi command line."""

import subprocess

import pytest

from common import onggi

# compopt works only while a user waits for the completion
SCRIPT = """
compopt() { :; }
. "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_onggi
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(*words, program=onggi.ONGGI, **kwargs):
    result = subprocess.run(
        ["bash", "-c", SCRIPT, "bash", onggi.ROOT / "docs/onggi.bash",
         program, *words], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=True, **kwargs)
    assert result.stderr == ""
    return result.stdout.split()


def test_commands_and_options_come_from_the_program_that_was_typed():
    assert {"run", "doctor"} <= set(offered(""))
    assert {"--kernel", "--config"} <= set(offered("run", ""))
    assert offered("run", "--kern") == ["--kernel"]


def test_a_program_that_is_not_there_prints_nothing():
    assert offered("", program="/no/onggi") == []
    assert offered("run", "--", program="/no/onggi") == []


@pytest.mark.parametrize("words", [
    ["--kernel", "ima"], ["--kernel", "=", "ima"],
    ["--console", "file", "=", "ima"], ["--console", "file", "="]])
def test_paths_are_offered_where_a_path_is_wanted(tmp_path, words):
    (tmp_path / "image").touch()
    assert offered("run", *words, cwd=tmp_path) == ["image"]


def test_choices():
    assert offered("run", "--console", "f") == ["file="]
    assert offered("run", "--hvc", "n") == ["none"]
    assert offered("run", "--tables", "=", "m") == ["mptable"]


def test_nothing_is_offered_for_the_guests_own_arguments():
    assert "--kernel" in offered("run", "--pit", "--")
    for words in (["--"], ["sh", "-"], ["sh", "--kernel", ""]):
        assert offered("run", "--", *words) == []
