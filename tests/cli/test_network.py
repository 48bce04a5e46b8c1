"""Network cards as far as it takes no kernel: options, and the life of passt
beside the VM's."""

import json
import os
import shutil
import signal
import socket
from pathlib import Path

import pytest

from common import guest, needs_kvm, onggi, refused, wait_until
from onggi import Guest, machine, run

needs_passt = pytest.mark.skipif(not shutil.which("passt"),
                                 reason="passt is not installed")


@pytest.mark.parametrize("text, words", [
    ("mtu=1500", ["needs one of tap=NAME, user and vhost-user=SOCK"]),
    ("user,tap=t0", ["needs one of tap=NAME, user and vhost-user=SOCK"]),
    ("user,publish", ["publish needs a value"]),
    ("tap=t0,publish=1:1", ["publish is for user alone"]),
    ("user,mtu=65521", ["mtu", "65520"]),
    ("user,queues=2", ["queues", "one pair"]),
    ("tap=t0,queues=0", ["queues", "1 to 8"]),
    ("tap=t0,queues=9", ["queues", "1 to 8"]),
    ("user,vhost", ["vhost goes with tap=NAME alone"]),
    ("vhost-user=s,vhost", ["vhost goes with tap=NAME alone"]),
    ("tap=t0,vhost,queues=2", ["queues", "vhost has one pair"]),
    *((f"tap=t0,vhost,{limit}", ["vhost has no limits"])
      for limit in ("rx-bw=1M", "rx-pps=1", "tx-bw=1M", "tx-pps=1")),
    ("user,publish=80:80,publish=udp:80:80,publish=0.0.0.0:80:81",
     ["port 80 is named twice"]),
    *((f"user,publish={port}", [f"'{port}' is not like 8080:80"])
      for port in ("8080", "80:x", "0:1", "1:65536", "a:1:2", "[::1:1:2",
                   "::1:1:2", ":1:2", "1:2:3:4", "udp:1", "sctp:1:2", " 1:2",
                   "+1:2", "1:2:", "[1.2.3.4]:1:2")),
])
def test_bad_cards_are_refused(text, words):
    refused(run("run", "--net", text), onggi.EXIT_USAGE, "net: ", *words)


def test_passt_serves_one_card():
    refused(run("run", "--net", "user", "--net", "user"), onggi.EXIT_USAGE,
            "net: user is named twice")


def test_ports_are_a_list_in_both_forms(tmp_path):
    kernel = guest(tmp_path, machine.NULL_GUEST)
    path = tmp_path / "vm.json"
    path.write_text(json.dumps({"kernel": str(kernel), "net": [
        {"user": True, "publish": ["80:81", "udp:[::1]:82:83"],
         "mac": "02:00:00:00:00:01"}, {"tap": "t0"}]}))
    line = run("run", "--config", path, "--dry-run").stdout.splitlines()[0]
    assert ("--net 'user,publish=80:81,publish=udp:[::1]:82:83,"
            "mac=02:00:00:00:00:01' --net tap=t0") in line
    again = run("run", "--kernel", kernel, "--net",
                "user,publish=80:81,publish=udp:[::1]:82:83,"
                "mac=02:00:00:00:00:01", "--net", "tap=t0", "--dry-run")
    assert again.stdout.splitlines()[0] == line
    ports = ",publish=1:1" * 33
    refused(run("run", "--net", "user" + ports), onggi.EXIT_USAGE, "net: ",
            "publish: more than 32")


@pytest.mark.skipif(os.path.exists("/dev/vhost-net"),
                    reason="there is /dev/vhost-net")
def test_without_vhost_net_its_module_is_named(tmp_path):
    refused(run("run", "--kernel", guest(tmp_path, machine.SLEEP), "--net",
                "tap=t0,vhost"),
            onggi.EXIT_IO, "net0: /dev/vhost-net: ", "modprobe vhost_net")


def test_vhost_is_a_word_in_both_forms(tmp_path):
    kernel = guest(tmp_path, machine.NULL_GUEST)
    path = tmp_path / "vm.json"
    path.write_text(json.dumps({"kernel": str(kernel), "net": [
        {"tap": "t0", "vhost": True, "queues": 1, "iothread": "io"}]}))
    line = run("run", "--config", path, "--dry-run").stdout.splitlines()[0]
    words = "tap=t0,vhost,queues=1,iothread=io"
    assert f"--net {words}" in line
    again = run("run", "--kernel", kernel, "--net", words, "--dry-run")
    assert again.stdout.splitlines()[0] == line


@needs_kvm
def test_without_passt_its_package_is_named(tmp_path):
    refused(run("run", "--kernel", guest(tmp_path, machine.SLEEP), "--net",
                "user", env={"PATH": str(tmp_path)}),
            onggi.EXIT_IO, "net0", "passt is not installed", "package passt")


def passt_that(tmp_path, script):
    """A passt of our own."""
    path = tmp_path / "passt"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}


@needs_kvm
def test_a_passt_that_does_not_start_says_why(tmp_path):
    kernel = guest(tmp_path, machine.SLEEP)
    env = passt_that(tmp_path, "echo first >&2; echo 'No port at all' >&2\n"
                               "echo 'Failed to send 5 bytes to syslog' >&2\n"
                               "exit 1")
    refused(run("run", "--kernel", kernel, "--net", "user", env=env),
            onggi.EXIT_IO, "passt: No port at all")
    env = passt_that(tmp_path, "exit 0")
    refused(run("run", "--kernel", kernel, "--net", "user", env=env),
            onggi.EXIT_IO, "passt: ended at once")


def descendants(pid):
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return path.read_text().split()


@needs_kvm
def test_passt_gets_a_clean_start(tmp_path):
    """No signal of onggi's, no descriptor but its own, no terminal."""
    kernel = guest(tmp_path, machine.SLEEP)
    found, disk = tmp_path / "found", tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    env = passt_that(tmp_path, f"""
        {{ grep -E '^Sig(Blk|Ign)' /proc/self/status
        ps -o sid= -p $$ | tr -d ' '; echo $$
        ls /proc/$$/fd; }} >{found}.new
        mv {found}.new {found}
        echo $$ >&2
        read line <&3""")
    with Guest("run", "--kernel", kernel, "--net", "user", "--disk", disk,
               env=env) as vm:
        wait_until(found.exists, "passt's findings")
        # ready, so the end is none of the VM's business
        os.kill(int(descendants(vm.process.pid)[0]), signal.SIGKILL)
        vm.signal(signal.SIGINT)
        assert vm.finish() == 128 + signal.SIGINT
        assert vm.process.stderr.read() == b""
    words = found.read_text().split()
    assert words[0] == "SigBlk:" and int(words[1], 16) == 0
    # but for two that are the C library's own
    assert words[2] == "SigIgn:" and int(words[3], 16) & ~(3 << 31) == 0
    assert words[4] == words[5]
    # a shell has its own from 10 on
    assert {fd for fd in words[6:] if int(fd) < 10} == {"0", "1", "2", "3"}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def udp_is_bound(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        try:
            other.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


@needs_kvm
@needs_passt
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_passt_ends_with_the_vm_however_that_ends(tmp_path, number):
    port = free_port()
    with Guest("run", "--kernel", guest(tmp_path, machine.SLEEP), "--net",
               f"user,publish={port}:80,publish=udp:{port}:53") as vm:
        wait_until(lambda: listens(port), "the port")
        wait_until(lambda: udp_is_bound(port), "the port of UDP")
        pid, = descendants(vm.process.pid)
        vm.signal(number)
        vm.process.wait(20)
        if number == signal.SIGKILL:
            wait_until(lambda: not Path(f"/proc/{pid}").exists(), "its end")
        assert not Path(f"/proc/{pid}").exists()
        assert not listens(port) and not udp_is_bound(port)
        assert vm.process.stderr.read() == b""


@needs_kvm
@needs_passt
def test_a_guests_reboot_is_none_of_passts(tmp_path):
    port = free_port()
    with Guest("run", "--kernel", guest(tmp_path, machine.NULL_GUEST), "--net",
               f"user,publish={port}:80", "--log-level", "info") as vm:
        wait_until(lambda: listens(port), "the port")
        first = descendants(vm.process.pid)
        for _ in range(3):
            while b"stopping" not in vm.process.stderr.readline():
                pass
        assert descendants(vm.process.pid) == first
        vm.signal(signal.SIGINT)
        assert vm.finish() == 128 + signal.SIGINT


@needs_kvm
@needs_passt
def test_a_port_in_use_ends_the_vm(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused(run("run", "--kernel", guest(tmp_path, machine.SLEEP), "--net",
                    f"user,publish={port}:80"),
                onggi.EXIT_IO, "passt", str(port))
