"""The device tree of machines that are described by one."""

import os
import struct

import pytest
from onggi import EXIT_IMAGE, EXIT_USAGE, machine, run

if not hasattr(machine, "POWER_OFF_9_BY_TREE"):
    pytest.skip("this architecture's machine has no device tree",
                allow_module_level=True)

MEMORY = 16 << 20
TREE = 64 << 10  # what is kept free for it


@pytest.fixture(name="tiny")
def tiny_guest(tmp_path):
    return machine.tiny_guest(tmp_path / "kernel", machine.POWER_OFF_9_BY_TREE)


@pytest.mark.parametrize("missing", [0, 1, 4096, TREE, TREE + 1])
def test_it_lies_between_kernel_and_the_end_of_memory(tmp_path, missing):
    """The kernel takes all memory but the tree's, and a bit of that."""
    kernel = machine.tiny_guest(tmp_path / "kernel",
                                machine.POWER_OFF_9_BY_TREE,
                                MEMORY - TREE + missing)
    result = run("run", "--kernel", kernel, "--memory", f"{MEMORY >> 20}M")
    if missing:
        assert result.returncode == EXIT_IMAGE, result.stderr
        assert "memory" in result.stderr
    else:
        assert result.returncode == 9, result.stderr


@pytest.mark.parametrize("room, status", [(TREE, 9), (0, EXIT_IMAGE)])
def test_it_lies_between_kernel_and_initrd(tmp_path, room, status):
    size = MEMORY // 2
    kernel = machine.tiny_guest(tmp_path / "kernel",
                                machine.POWER_OFF_9_BY_TREE, size)
    initrd = tmp_path / "initrd"
    initrd.write_bytes(bytes(MEMORY - size - room))
    result = run("run", "--kernel", kernel, "--initrd", initrd, "--memory",
                 f"{MEMORY >> 20}M")
    assert result.returncode == status, result.stderr


@pytest.mark.skipif(os.environ.get("ONGGI_TESTBED_GIC") != "2",
                    reason="this host's interrupt controller takes more")
@pytest.mark.parametrize("cpus, status", [(8, 9), (9, EXIT_USAGE)])
def test_a_gicv2_takes_eight_cpus(tiny, cpus, status):
    result = run("run", "--kernel", tiny, "--cpus", cpus)
    assert result.returncode == status, result.stderr
    assert ("GICv2" in result.stderr) == (cpus > 8)


def test_it_is_dumped_whole(tiny, tmp_path):
    dump = tmp_path / "dump"
    dump.write_bytes(bytes(1 << 20))  # which is longer
    result = run("run", "--kernel", tiny, "--cmdline", "a-word", "--dump-dtb",
                 dump)
    assert result.returncode == 9, result.stderr
    tree = dump.read_bytes()
    assert struct.unpack(">II", tree[:8]) == (0xd00dfeed, len(tree))
    assert b" a-word\0" in tree


@pytest.mark.parametrize("use", ["kernel", "initrd", "disk", "config",
                                 "pidfile"])
def test_it_is_not_dumped_over_what_the_vm_uses(tiny, tmp_path, use):
    files = {name: tmp_path / name for name in ("initrd", "disk", "config",
                                                "pidfile")}
    files["initrd"].write_bytes(bytes(512))
    files["disk"].write_bytes(bytes(1 << 20))
    files["config"].write_text('{"cpus": 1}', encoding="ascii")
    files["kernel"] = tiny
    before = {name: file.read_bytes() for name, file in files.items()
              if file.exists()}
    options = [word for name, file in files.items()
               for word in (f"--{name}", file)]
    result = run("run", *options, "--dump-dtb", files[use])
    assert result.returncode == EXIT_USAGE, result.stderr
    assert "dump-dtb" in result.stderr
    assert {name: file.read_bytes() for name, file in files.items()
            if file.exists()} == before
