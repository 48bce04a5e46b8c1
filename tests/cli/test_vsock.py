"""The socket of --vsock, as a file: what it replaces and what it leaves."""

import os
import resource
import signal
import socket
import stat

import pytest

from common import (guest, needs_kvm, onggi, printing, refused, wait_for_file,
                    wait_until)
from onggi import Guest, machine, run, threads_of


@pytest.fixture(name="kernel")
def null_kernel(tmp_path):
    return machine.tiny_guest(tmp_path / "null.elf", machine.NULL_GUEST)


def connected(path):
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    return client


def is_socket(path):
    return stat.S_ISSOCK(os.lstat(path).st_mode)


@pytest.mark.parametrize("value, words", [
    ("", ["path", "empty"]),
    ("cid=3", ["needs a path"]),
    ("./cid=3", None),  # a path like any other
    ("s,cid=2", ["cid", "3 to 4294967294"]),
    ("s,cid=0", ["cid", "3 to 4294967294"]),
    ("s,cid=4294967295", ["cid", "3 to 4294967294"]),
    ("s,cid=x", ["cid", "x"]),
    ("s,cid", ["cid"]),
    ("s,port=1", ["port"]),
    ("x" * 97, ["x" * 97, "96 bytes"]),
])
def test_bad_values_are_refused(kernel, value, words):
    result = run("run", "--kernel", kernel, "--vsock", value, "--dry-run")
    if words:
        refused(result, onggi.EXIT_USAGE, "vsock", *words)
    else:
        assert "--vsock ./cid=3,cid=3" in result.stdout


def test_a_cid_without_a_path_is_refused(kernel, tmp_path):
    config = tmp_path / "vm.json"
    config.write_text('{"vsock": {"cid": 5}}')
    refused(run("run", "--kernel", kernel, "--config", config, "--dry-run"),
            onggi.EXIT_USAGE, "vsock", "path")
    config.write_text('{"vsock": {"cid": 5, "path": "s"}}')
    result = run("run", "--kernel", kernel, "--config", config, "--dry-run")
    assert "--vsock s,cid=5" in result.stdout


def test_dry_run_shows_the_device_and_makes_nothing(kernel, tmp_path):
    path = tmp_path / "a,b"
    result = run("run", "--kernel", kernel, "--vsock",
                 str(path).replace(",", ",,"), "--dry-run")
    assert f"vsock: {path}, CID 3" in result.stdout
    assert not path.exists()
    assert "vsock" not in run("run", "--kernel", kernel, "--dry-run").stdout


@needs_kvm
def test_the_socket_is_there_as_long_as_the_vm_is(tmp_path):
    path = tmp_path / "s"
    with Guest("run", "--kernel", guest(tmp_path, machine.SLEEP), "--vsock",
               path) as vm:
        wait_until(path.exists, path)
        # no driver is up: whoever connects has to wait
        client = connected(path)
        client.sendall(b"CONNECT 1\n")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        vm.signal(signal.SIGINT)
        assert vm.finish() == 128 + signal.SIGINT
        client.settimeout(20)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert not path.exists()


@needs_kvm
def test_the_socket_outlives_a_reboot(tmp_path, kernel):
    path = tmp_path / "s"
    with Guest("run", "--kernel", kernel, "--vsock", path, "--log-level",
               "info") as vm:
        wait_until(path.exists, path)
        before = os.lstat(path)
        boots = 0
        while boots < 3:
            boots += b"keyboard controller" in vm.process.stderr.readline()
        assert os.lstat(path).st_ino == before.st_ino
        connected(path).close()
        vm.signal(signal.SIGINT)
        vm.finish()
    assert not path.exists()


@needs_kvm
def test_a_socket_in_use_is_refused(tmp_path, kernel):
    path = tmp_path / "s"
    with Guest("run", "--kernel", guest(tmp_path, machine.SLEEP), "--vsock",
               path) as vm:
        wait_until(path.exists, path)
        refused(run("run", "--kernel", kernel, "--vsock", path),
                onggi.EXIT_IO, "vsock", str(path), "another process")
        connected(path).close()
        vm.process.kill()
        vm.process.wait()
    # a kill leaves it behind, and the next one takes its place
    assert is_socket(path)
    result = run("run", "--kernel", kernel, "--no-reboot", "--vsock", path)
    assert result.returncode == 0, result.stderr
    assert not path.exists()


@needs_kvm
def test_other_files_are_left_alone(tmp_path, kernel):
    path = tmp_path / "notes"
    path.write_text("mine")
    refused(run("run", "--kernel", kernel, "--vsock", path), onggi.EXIT_IO,
            "vsock", str(path), "not a socket")
    assert path.read_text() == "mine"
    refused(run("run", "--kernel", kernel, "--vsock", tmp_path),
            onggi.EXIT_IO, "vsock", str(tmp_path), "not a socket")
    refused(run("run", "--kernel", kernel, "--vsock", "/no/socket"),
            onggi.EXIT_IO, "vsock", "/no/socket", "No such file")


@needs_kvm
def test_only_the_own_socket_is_removed(tmp_path):
    path = tmp_path / "s"
    with Guest("run", "--kernel", guest(tmp_path, machine.SLEEP), "--vsock",
               path) as vm:
        wait_until(lambda: "vcpu0" in threads_of(vm.process), path)
        path.unlink()
        path.write_text("somebody else's")
        vm.signal(signal.SIGINT)
        vm.finish()
    assert path.read_text() == "somebody else's"


@needs_kvm
def test_a_file_has_one_role(tmp_path, kernel):
    path = tmp_path / "file"
    refused(run("run", "--kernel", kernel, "--vsock", kernel),
            onggi.EXIT_USAGE, "vsock", "the kernel")
    refused(run("run", "--kernel", kernel, "--pidfile", path, "--vsock", path),
            onggi.EXIT_USAGE, "vsock", str(path), "the pidfile")
    assert not path.exists()
    refused(run("run", "--kernel", kernel, "--vsock", path, "--console",
                f"file={path}"),
            onggi.EXIT_USAGE, "vsock", str(path), "the console")
    assert not path.exists()


@needs_kvm
def test_the_socket_goes_when_the_start_fails(tmp_path, kernel):
    path = tmp_path / "s"
    refused(run("run", "--kernel", kernel, "--vsock", path, "--console",
                "file=/no/console"), onggi.EXIT_IO, "/no/console")
    assert not path.exists()


def low_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))


@needs_kvm
def test_as_many_descriptors_as_connections_are_allowed(tmp_path):
    console = tmp_path / "console"
    with Guest("run", "--kernel",
               guest(tmp_path, printing(1, machine.SLEEP)), "--vsock",
               tmp_path / "s", "--console", f"file={console}",
               preexec_fn=low_limit) as vm:
        wait_for_file(console)
        with open(f"/proc/{vm.process.pid}/limits", encoding="utf-8") as text:
            line = next(l for l in text if l.startswith("Max open files"))
        soft, hard = map(int, line.split()[3:5])
        assert soft == min(hard, 2048)
        vm.signal(signal.SIGINT)
        vm.finish()
