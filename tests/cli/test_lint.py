"""The checks of tests/lint, on trees made to fail them."""

import shutil

import pytest

from common import onggi, run_tool


@pytest.fixture(name="tree")
def fixture_tree(tmp_path):
    """A tree with the checks of this one, and no code."""
    shutil.copytree(onggi.ROOT / "tests/lint", tmp_path / "tests/lint")

    def tree(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return tmp_path
    return tree


def function(name, lines):
    return f"int {name}(void)\n{{\n" + "\t;\n" * (lines - 3) + "}\n"


@pytest.mark.parametrize("name, text, complaint", [
    ("base/a.c", function("f", 49) * 8, None),
    ("base/a.c", function("f", 50), "base/a.c:f: 50 lines are too many"),
    ("agent/a.h", "\n" * 399, None),
    ("agent/a.h", "\n" * 400, "agent/a.h: 400 lines are too many"),
    ("tests/a.c", function("f", 500), None)])
def test_what_is_too_long_is_named(tree, name, text, complaint):
    lines = run_tool("tests/lint/size.sh", cwd=tree(name, text)).stdout.splitlines()
    assert [line for line in lines if "too many" in line] == (
        [complaint] if complaint else [])


def test_an_exception_must_be_needed(tree):
    path = "bench/load/launch.c"
    result = run_tool("tests/lint/size.sh", cwd=tree(path, "int i;\n"))
    assert result.returncode == 1
    assert (f"{path}: is not too long any more: no exception is needed"
            in result.stdout.splitlines())


@pytest.mark.parametrize("name, include, complaint", [
    ("devices/block/a.c", "devices/virtio/b.h", ""),
    ("devices/block/a.c", "devices/block/b.h", ""),
    ("devices/a.c", "devices/b.h", ""),
    ("devices/block/a.c", "devices/net/b.h",
     "devices/block/ does not know devices/net/b.h"),
    ("devices/block/x86_64/a.h", "devices/b.h",
     "devices/block/ does not know devices/b.h"),
    ("devices/a.c", "vmm/host/b.h", "devices/ does not know vmm/host/b.h"),
    ("base/a.c", "tests/b.h", "base/ does not know tests/b.h"),
    ("vmm/machine/a.c", "vmm/host/b.h", ""),
    ("vmm/host/a.c", "vmm/machine/b.h",
     "vmm/host/ does not know vmm/machine/b.h"),
    ("vmm/new/a.c", "base/b.h",
     "its folder has no row in tests/lint/layers.sh")])
def test_an_arrow_that_is_not_drawn_is_named(tree, name, include, complaint):
    root = tree(name, f'#include <a/b.h>\n#  include "{include}"\n')
    lines = run_tool("tests/lint/layers.sh", cwd=root).stdout.splitlines()
    assert [line for line in lines if line.startswith(name)] == (
        [f"{name}:2: {complaint}"] if complaint else [])
