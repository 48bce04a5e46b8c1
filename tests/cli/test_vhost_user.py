"""Devices that other processes serve: options, servers that are not there or
misbehave, and memory that is shared with them."""

import json
import os
import re
import shlex
import signal
import struct
from pathlib import Path

import pytest

from common import (guest, needs_kvm, onggi, refused, wait_for_file,
                    wait_until)
from onggi import Guest, machine, run
from vhost_backend import (GET_CONFIG, GET_FEATURES, GET_PROTOCOL_FEATURES,
                           GET_QUEUE_NUM, SET_OWNER, Backend)


@pytest.fixture(name="kernel")
def null_kernel(tmp_path):
    return machine.tiny_guest(tmp_path / "null.elf", machine.NULL_GUEST)


# --- options ---

@pytest.mark.parametrize("args, words", [
    (["--disk", "vhost-user="], ["disk", "vhost-user", "empty"]),
    (["--disk", "a,vhost-user=s"], ["disk", "vhost-user", "root and id"]),
    *((["--disk", f"vhost-user=s,{option}"],
       ["disk", "vhost-user", "root and id"])
      for option in ("readonly", "direct", "serial=x", "path=a",
                     "cache=unsafe", "queues=2", "bw=1M", "bw-burst=1M",
                     "iops=10", "iops-burst=10", "iothread=t")),
    (["--disk", "vhost-user=" + "s" * 108], ["disk", "socket", "107"]),
    (["--disk", "vhost-user=s,root", "--disk", "a,root"], ["root"]),
    (["--net", "vhost-user="], ["net", "vhost-user", "empty"]),
    (["--net", "vhost-user=s,tap=t"], ["net", "one of tap=NAME"]),
    (["--net", "vhost-user=s,user"], ["net", "one of tap=NAME"]),
    (["--net", "vhost-user=s,publish=1:1"], ["net", "publish", "user"]),
    *((["--net", f"vhost-user=s,{option}"],
       ["net", "allows mac and mtu only"])
      for option in ("queues=1", "rx-bw=1M", "tx-pps-burst=1", "iothread=t")),
    (["--net", "vhost-user=s", "--net", "vhost-user=s"],
     ["net", "s is used by two cards"]),
    (["--net", "vhost-user=" + "s" * 108], ["net", "socket", "107"]),
])
def test_what_does_not_go_together_is_refused(args, words):
    refused(run("run", *args), onggi.EXIT_USAGE, *words)


def test_dry_run_prints_a_command_that_means_the_same(kernel):
    first = run("run", "--kernel", kernel, "--disk", "/a", "--disk",
                "vhost-user=/tmp/a,,b,root,id=x", "--disk", "./id=no",
                "--disk", "path=id=yes", "--net", "vhost-user=n,mtu=1400",
                "--net", "tap=t0,mac=02:00:00:00:00:01", "--dry-run")
    assert first.returncode == 0, first.stderr
    again = shlex.split(first.stdout.splitlines()[0])
    assert run(*again[1:], "--dry-run").stdout == first.stdout
    assert "root=/dev/vdb rw" in first.stdout
    assert "block: vhost-user /tmp/a,b\n" in first.stdout
    assert "block: ./id=no\n" in first.stdout
    assert "block: id=yes\n" in first.stdout
    assert "net: vhost-user n\n" in first.stdout
    assert "net: t0\n" in first.stdout


def test_json_says_the_same(tmp_path, kernel):
    path = tmp_path / "vm.json"
    path.write_text(json.dumps({
        "kernel": str(kernel),
        "disk": [{"vhost-user": "/s", "id": "x"}, "vhost-user=/t"]}))
    assert "--disk vhost-user=/s,id=x --disk vhost-user=/t,id=disk1" in \
        run("run", "--config", path, "--dry-run").stdout


# --- servers ---

def test_nobody_there_is_told(tmp_path, kernel):
    disk = f"vhost-user={tmp_path}/socket"
    refused(run("run", "--kernel", kernel, "--disk", disk), onggi.EXIT_IO,
            "disk0", f"{tmp_path}/socket", "no server listens")
    (tmp_path / "socket").touch()
    refused(run("run", "--kernel", kernel, "--disk", disk + ",id=data"),
            onggi.EXIT_IO, "data", f"{tmp_path}/socket", "no server listens")


@pytest.mark.parametrize("request_id, answer, words", [
    *((request, *mishap)
      for request in (GET_FEATURES, GET_PROTOCOL_FEATURES, GET_QUEUE_NUM,
                      SET_OWNER, GET_CONFIG)
      for mishap in (
          (None, ["closed the connection"]),
          (b"HTTP/1.1 400 Bad Request\r\n\r\n", ["no message"]),
          (struct.pack("=IIIQ", 99, 5, 8, 0),
           ["answered request", "message 99"]))),
    (GET_CONFIG, struct.pack("=II", 24, 5), ["does not answer"]),
])
def test_a_server_that_misbehaves_is_told(tmp_path, kernel, request_id, answer,
                                          words):
    with Backend(tmp_path / "s", bytes(60), bad={request_id: answer}):
        refused(run("run", "--kernel", kernel, "--disk",
                    f"vhost-user={tmp_path}/s"),
                onggi.EXIT_IO, "disk0", f"{tmp_path}/s", *words)


def test_a_network_needs_two_queues(tmp_path, kernel):
    net = f"vhost-user={tmp_path}/s"
    refused(run("run", "--kernel", kernel, "--net", net), onggi.EXIT_IO,
            "net0", f"{tmp_path}/s", "no server listens")
    with Backend(tmp_path / "s", queues=1):
        refused(run("run", "--kernel", kernel, "--net", net), onggi.EXIT_IO,
                "net0", f"{tmp_path}/s", "serves 1 queues, not 2")


def test_a_server_of_something_else_is_told(tmp_path, kernel):
    backend = Backend(tmp_path / "s")
    backend.protocol &= ~(1 << 9)
    with backend:
        refused(run("run", "--kernel", kernel, "--disk",
                    f"vhost-user={tmp_path}/s"),
                onggi.EXIT_IO, "disk0", "configuration space", "another kind")


@needs_kvm
def test_a_guest_ends_as_ever(tmp_path):
    with Backend(tmp_path / "s", bytes(60)):
        result = run("run", "--kernel", guest(tmp_path, machine.POWER_OFF_42),
                     "--disk", f"vhost-user={tmp_path}/s")
        assert (result.returncode, result.stderr) == (42, "")


@needs_kvm
def test_a_reboot_keeps_the_connection(tmp_path, kernel):
    with Backend(tmp_path / "s", bytes(60)) as backend:
        with Guest("run", "--kernel", kernel, "--log-level", "info", "--disk",
                   f"vhost-user={tmp_path}/s") as vm:
            boots = 0
            while boots < 3:
                boots += b"stopping:" in vm.process.stderr.readline()
            assert backend.connections == 1
            vm.signal(signal.SIGINT)
            vm.finish()


@needs_kvm
def test_a_server_that_goes_and_comes_does_not_end_the_guest(tmp_path):
    with Backend(tmp_path / "s", bytes(60)) as backend, \
            Guest("run", "--kernel", guest(tmp_path, machine.SLEEP), "--disk",
                  f"vhost-user={tmp_path}/s", "--log-level", "debug") as vm:
        def told(text):
            line = ""
            while text not in line:
                line = vm.process.stderr.readline().decode()
                assert line, f"not told: {text}"

        told("created: console")
        backend.hang_up()
        told("disk0: the back-end closed the connection; trying again")
        told("disk0: connected again")
        assert backend.connections == 2
        vm.signal(signal.SIGINT)
        assert vm.finish() == 128 + signal.SIGINT


# --- memory ---

def memory_maps(pid):
    """What maps of a process's memory name, in so far as they are shared."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return re.findall(r"^\S+ rw-s .*?(/memfd:.*)$", maps, re.M)


@needs_kvm
def test_memory_is_shared_only_where_it_has_to_be(tmp_path):
    """One sealed file holds all of it then, the kernel included."""
    content = machine.SLEEP + os.urandom(3 << 20)
    kernel = guest(tmp_path, content)
    args = ["run", "--kernel", kernel, "--memory", "5G", "--pidfile",
            tmp_path / "pid"]
    with Guest(*args) as vm:
        wait_for_file(tmp_path / "pid")
        assert not memory_maps(vm.process.pid)
        vm.signal(signal.SIGINT)
        vm.finish()
    with Backend(tmp_path / "s", bytes(60)), \
            Guest(*args, "--disk", f"vhost-user={tmp_path}/s") as vm:
        pid = vm.process.pid
        wait_until(lambda: memory_maps(pid), "shared memory")
        assert set(memory_maps(pid)) == \
            {"/memfd:onggi guest memory (deleted)"}
        files = [fd for fd in Path(f"/proc/{pid}/fd").iterdir()
                 if "memfd:onggi" in os.readlink(fd)]
        assert len(files) == 1
        # its end cannot be taken from under the VM
        fd = os.open(files[0], os.O_RDWR)
        assert os.fstat(fd).st_size == 5 << 30
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 0)
        wait_until(lambda: content[-4096:] in
                   os.pread(fd, 32 << 20, 0), "the kernel")
        os.close(fd)
        vm.signal(signal.SIGINT)
        vm.finish()


@needs_kvm
def test_sigusr2_looks_at_the_other_disks(tmp_path):
    """The server looks after its own."""
    (tmp_path / "disk").write_bytes(bytes(1 << 20))
    with Backend(tmp_path / "s", bytes(60)), \
            Guest("run", "--kernel", guest(tmp_path, machine.SLEEP),
                  "--disk", f"vhost-user={tmp_path}/s", "--disk",
                  tmp_path / "disk", "--pidfile", tmp_path / "pid",
                  "--log-level", "info") as vm:
        wait_for_file(tmp_path / "pid")
        os.truncate(tmp_path / "disk", 2 << 20)
        vm.signal(signal.SIGUSR2)
        while b"disk1: disk " not in (line := vm.process.stderr.readline()):
            assert line
        assert f"{2 << 20} bytes" in line.decode()
        vm.signal(signal.SIGINT)
        assert vm.finish() == 128 + signal.SIGINT
