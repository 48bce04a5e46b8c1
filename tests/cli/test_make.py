"""What make hands on, and what it refuses; nothing is built here."""

import shlex

import pytest

from common import run_tool


def make(*args):
    return run_tool("make", "-n", *args)


@pytest.mark.parametrize("command", ["uname -a", "echo $HOME", "echo 'a  b'",
                                     'echo "$(id)" $1 ${A}'])
def test_the_guests_command_arrives_as_it_was_given(command):
    result = make("run", f"CMD={command}")
    assert result.returncode == 0, result.stderr
    last = result.stdout.splitlines()[-1]
    assert shlex.split(last) == ["tools/run-debian", command]


def test_check_runs_the_stages_that_are_named():
    result = make("check", "STAGE=lint unit")
    assert result.stdout.splitlines()[-1] == "tests/check lint unit"


@pytest.mark.parametrize("setting", ["LINK=statik", "ARCH=riscv"])
def test_a_setting_that_is_none_is_named(setting):
    result = make(setting)
    assert result.returncode == 2
    assert setting in result.stderr and result.stderr.count("\n") == 1


def test_a_prefix_may_hold_blanks(tmp_path):
    prefix = tmp_path / "my programs"
    result = make("install", f"PREFIX={prefix}")
    assert result.returncode == 0, result.stderr
    words = shlex.split(result.stdout.partition("install -D")[2])
    assert {f"{prefix}/bin/onggi", f"{prefix}/share/man/man1/onggi.1"} <= set(
        words)
