"""--disk FILE,engine=: what carries out a disk's requests."""

import os
from pathlib import Path

import pytest
from common import guest, machine, needs_kvm, onggi, refused, wait_until
from onggi import Guest, run

ENGINE_THREAD = "disk"


def engines(pid):
    """The rings and the engine threads of a process."""
    process = Path(f"/proc/{pid}")
    links = [os.readlink(fd) for fd in (process / "fd").iterdir()]
    names = [task.read_text().strip()
             for task in process.glob("task/*/comm")]
    return (sum("io_uring" in link for link in links),
            names.count(ENGINE_THREAD))


@needs_kvm
@pytest.mark.parametrize("key, has_thread", [("", False),
                                             (",engine=auto", False),
                                             (",engine=thread", True)])
def test_the_engine_is_the_one_that_was_asked_for(tmp_path, key, has_thread):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    with Guest("run", "--kernel", guest(tmp_path, machine.SLEEP),
               "--console", "none", "--disk", f"{disk}{key}") as vm:
        wait_until(lambda: any(engines(vm.process.pid)), "an engine")
        rings, threads = engines(vm.process.pid)
        if not has_thread and threads:
            pytest.skip("this host has no io_uring for us")
        assert (rings > 0, threads) == (not has_thread, int(has_thread))


def test_a_wrong_engine_is_refused(tmp_path):
    refused(run("run", "--disk", f"{tmp_path}/disk,engine=aio"),
            onggi.EXIT_USAGE, "engine", "'aio'", "auto|thread")


def test_a_servers_disk_has_no_engine_of_ours(tmp_path):
    refused(run("run", "--disk", f"vhost-user={tmp_path}/socket,engine=thread"),
            onggi.EXIT_USAGE, "disk", "vhost-user")
