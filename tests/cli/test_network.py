"""Network cards as far as it takes no kernel: options, and the life of passt
beside the VM's."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from common import guest, needs_kvm, onggi, refused, wait_until
from onggi import Guest, machine, run
from passt import each_way, with_first


@pytest.mark.parametrize("text, words", [
    ("mtu=1500", ["needs one of tap=NAME, user and vhost-user=SOCK"]),
    ("user,tap=t0", ["needs one of tap=NAME, user and vhost-user=SOCK"]),
    ("user,publish", ["publish needs a value"]),
    ("tap=t0,publish=1:1", ["publish needs user"]),
    ("tap=t0,stream", ["stream needs user"]),
    ("vhost-user=s,stream", ["stream needs user"]),
    ("user,mtu=65521", ["mtu", "65520"]),
    ("user,queues=2", ["queues", "only one pair"]),
    ("tap=t0,queues=0", ["queues", "1 to 8"]),
    ("tap=t0,queues=9", ["queues", "1 to 8"]),
    ("user,vhost", ["vhost needs tap=NAME"]),
    ("vhost-user=s,vhost", ["vhost needs tap=NAME"]),
    ("tap=t0,vhost,queues=2", ["queues", "vhost has only one pair"]),
    *((f"tap=t0,vhost,{limit}", ["vhost has no limits"])
      for limit in ("rx-bw=1M", "rx-pps=1", "tx-bw=1M", "tx-pps=1")),
    ("user,publish=80:80,publish=udp:80:80,publish=0.0.0.0:80:81",
     ["host port 80 is used twice"]),
    *((f"user,publish={port}",
       [f"'{port}' does not have a form such as 8080:80"])
      for port in ("8080", "80:x", "0:1", "1:65536", "a:1:2", "[::1:1:2",
                   "::1:1:2", ":1:2", "1:2:3:4", "udp:1", "sctp:1:2", " 1:2",
                   "+1:2", "1:2:", "[1.2.3.4]:1:2")),
])
def test_bad_cards_are_refused(text, words):
    refused(run("run", "--net", text), onggi.EXIT_USAGE, "net: ", *words)


def test_passt_serves_one_card():
    refused(run("run", "--net", "user", "--net", "user"), onggi.EXIT_USAGE,
            "net: user is used by two cards")


def test_ports_are_a_list_in_both_forms(tmp_path):
    kernel = guest(tmp_path, machine.NULL_GUEST)
    path = tmp_path / "vm.json"
    path.write_text(json.dumps({"kernel": str(kernel), "net": [
        {"user": True, "stream": True, "publish": ["80:81", "udp:[::1]:82:83"],
         "mac": "02:00:00:00:00:01"}, {"tap": "t0"}]}))
    line = run("run", "--config", path, "--dry-run").stdout.splitlines()[0]
    assert ("--net 'user,stream,publish=80:81,publish=udp:[::1]:82:83,"
            "mac=02:00:00:00:00:01' --net tap=t0") in line
    again = run("run", "--kernel", kernel, "--net",
                "user,stream,publish=80:81,publish=udp:[::1]:82:83,"
                "mac=02:00:00:00:00:01", "--net", "tap=t0", "--dry-run")
    assert again.stdout.splitlines()[0] == line
    ports = ",publish=1:1" * 33
    refused(run("run", "--net", "user" + ports), onggi.EXIT_USAGE, "net: ",
            "publish: at most 32")


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
    return with_first(tmp_path)


# What onggi looks for in a passt.
VHOST_USER = "# knows --vhost-user\n"


@needs_kvm
@pytest.mark.parametrize("script", ["", VHOST_USER])
def test_a_passt_that_does_not_start_says_why(tmp_path, script):
    kernel = guest(tmp_path, machine.SLEEP)
    env = passt_that(tmp_path, script +
                     "echo first >&2; echo 'No port at all' >&2\n"
                     "echo 'Failed to send 5 bytes to syslog' >&2\n"
                     "exit 1")
    refused(run("run", "--kernel", kernel, "--net", "user", env=env),
            onggi.EXIT_IO, "net user: passt: No port at all")
    env = passt_that(tmp_path, script + "exit 0")
    refused(run("run", "--kernel", kernel, "--net", "user", env=env),
            onggi.EXIT_IO, "net user: passt: ended without a message")


@needs_kvm
def test_a_passt_that_is_no_back_end_after_all_is_refused(tmp_path):
    env = passt_that(tmp_path, VHOST_USER +
                     "echo 'some words of greeting' >&3; sleep 1; sleep 5")
    refused(run("run", "--kernel", guest(tmp_path, machine.SLEEP), "--net",
                "user", env=env),
            onggi.EXIT_IO, "net user: passt: the back-end sent what is no "
            "message")


@needs_kvm
def test_a_passt_that_hangs_up_and_talks_on_is_not_listened_to(tmp_path):
    env = passt_that(tmp_path, VHOST_USER +
                     "exec 3>&-; while echo words >&2; do sleep 0.2; done")
    refused(run("run", "--kernel", guest(tmp_path, machine.SLEEP), "--net",
                "user", env=env, timeout=20),
            onggi.EXIT_IO, "net user: passt: the back-end closed the "
            "connection")


@needs_kvm
@pytest.mark.parametrize("script, net, asked", [
    ("", "user", False), (VHOST_USER, "user", True),
    (VHOST_USER, "user,queues=1,mtu=1500", True),
    # for which frames have to come by
    *((VHOST_USER, f"user,{words}", False)
      for words in ("stream", "iothread=io", "rx-bw=1M", "tx-pps=10")),
])
def test_passt_is_asked_for_vhost_user_where_it_knows_it(tmp_path, script, net,
                                                         asked):
    words = tmp_path / "words"
    env = passt_that(tmp_path, f"{script}echo $* >{words}; exit 1")
    refused(run("run", "--kernel", guest(tmp_path, machine.SLEEP), "--net",
                net, env=env), onggi.EXIT_IO, "passt: ended without a message")
    assert ("--vhost-user" in words.read_text().split()) == asked


@pytest.mark.parametrize("script, how", [("", "a stream socket"),
                                         (VHOST_USER, "vhost-user")])
def test_doctor_says_how_passt_is_spoken_to(tmp_path, script, how):
    text = run("doctor", env=passt_that(tmp_path, script)).stdout
    assert f" {tmp_path}/passt, over {how}\n" in text


@pytest.mark.skipif(not os.access("/usr/bin/passt", os.X_OK),
                    reason="passt is not installed")
def test_passt_is_found_without_a_path_in_the_environment():
    env = {name: value for name, value in os.environ.items()
           if name != "PATH"}
    assert "/bin/passt, over " in run("doctor", env=env).stdout


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
@each_way
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_passt_ends_with_the_vm_however_that_ends(tmp_path, number, net,
                                                  folder):
    port = free_port()
    with Guest("run", "--kernel", guest(tmp_path, machine.SLEEP), "--net",
               f"{net},publish={port}:80,publish=udp:{port}:53",
               env=with_first(folder)) as vm:
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
@each_way
def test_a_guests_reboot_is_none_of_passts(tmp_path, net, folder):
    port = free_port()
    with Guest("run", "--kernel", guest(tmp_path, machine.NULL_GUEST), "--net",
               f"{net},publish={port}:80", "--log-level", "info",
               env=with_first(folder)) as vm:
        wait_until(lambda: listens(port), "the port")
        first = descendants(vm.process.pid)
        for _ in range(3):
            while b"stopping" not in vm.process.stderr.readline():
                pass
        assert descendants(vm.process.pid) == first
        vm.signal(signal.SIGINT)
        assert vm.finish() == 128 + signal.SIGINT


@needs_kvm
@each_way
def test_a_port_in_use_ends_the_vm(tmp_path, net, folder):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused(run("run", "--kernel", guest(tmp_path, machine.SLEEP), "--net",
                    f"{net},publish={port}:80", env=with_first(folder)),
                onggi.EXIT_IO, "passt", str(port))
