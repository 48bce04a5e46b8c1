"""Shared folders: options, and a virtiofsd that is not there or unfit."""

import json
import os
import re
import shlex
import subprocess
import sys
import time

import pytest

from common import needs_root, onggi, refused
from onggi import machine, run


@pytest.fixture(name="kernel")
def null_kernel(tmp_path):
    return machine.tiny_guest(tmp_path / "null.elf", machine.NULL_GUEST)


@pytest.mark.parametrize("args, words", [
    (["--share", ""], ["share", "path", "empty"]),
    (["--share", "/srv"], ["share", "'/srv'", "DIR:TAG"]),
    (["--share", "tag=x"], ["share", "needs DIR:TAG"]),
    (["--share", ":x"], ["share x", "folder"]),
    (["--share", "/srv:"], ["share /srv", "1 to 36 bytes"]),
    (["--share", "/srv:" + "x" * 37], ["share /srv", "1 to 36 bytes"]),
    (["--share", "/srv,tag="], ["share", "tag", "empty"]),
    (["--share", "/a:x", "--share", "/b:x"], ["share", "two have the tag x"]),
    (["--share", "/srv:x,rw"], ["share", "rw"]),
    ([word for i in range(9) for word in ("--share", f"/srv:{i}")],
     ["share", "8"]),
])
def test_bad_usage_names_the_option_and_the_reason(args, words):
    refused(run("run", *args), onggi.EXIT_USAGE, *words)


def test_the_last_colon_parts_folder_and_tag(kernel):
    first = run("run", "--kernel", kernel, "--share", "/a:b:c,readonly",
                "--share", "/d:e,tag=" + "x" * 36, "--share", "/a,,b:f",
                "--dry-run")
    assert "file system: /a:b as c\n" in first.stdout, first.stderr
    assert "file system: /d:e as " + "x" * 36 + "\n" in first.stdout
    assert "file system: /a,b as f\n" in first.stdout
    again = shlex.split(first.stdout.splitlines()[0])
    assert run(*again[1:], "--dry-run").stdout == first.stdout
    assert "readonly" in again[again.index("--share") + 1]


def test_json_says_the_same(tmp_path, kernel):
    path = tmp_path / "vm.json"
    path.write_text(json.dumps({
        "kernel": str(kernel),
        "share": ["/a:b", {"path": "/c:d", "tag": "e", "readonly": True}]}))
    assert "--share /a,tag=b --share /c:d,tag=e,readonly" in \
        run("run", "--config", path, "--dry-run").stdout


def test_a_folder_that_is_none_is_told(tmp_path, kernel):
    for path, why in ((tmp_path / "none", "No such file"),
                      (kernel, "not a folder")):
        refused(run("run", "--kernel", kernel, "--share", f"{path}:data"),
                onggi.EXIT_IO, "share data", str(path), why)


@needs_root
def test_virtiofsd_that_is_missing_is_told(kernel):
    hide = ("for p in /usr/lib/qemu/virtiofsd /usr/libexec/virtiofsd "
            "/usr/lib/virtiofsd; do "
            "[ ! -e $p ] || mount --bind /dev/null $p; done; "
            'PATH=/nonexistent; exec "$@"')
    result = subprocess.run(
        ["unshare", "-m", "sh", "-c", hide, "sh", onggi.ONGGI, "run",
         "--kernel", kernel, "--share", "/etc:data"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    refused(result, onggi.EXIT_IO, "share data", "install", "virtiofsd",
            "qemu-system-common")


def left(tmp_path):
    """Processes with that folder on their command line, once they had time to
    end."""
    for _ in range(100):
        found = subprocess.run(["pgrep", "-f", f"{tmp_path}/virtiofsd"],
                               capture_output=True, check=False).stdout
        if not found:
            break
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("script, words", [
    ("echo 'no such thing' >&2; echo more >&2; exit 1",
     ["virtiofsd: no such thing"]),
    ("exit 0", ["closed the connection"]),
    ("kill -9 $$", ["closed the connection"]),
    ("exec python3 -c 'import time; time.sleep(1000)' # does not listen",
     ["does not answer"]),
    ("head -c 10000 /dev/zero | tr '\\0' x >&2", ["virtiofsd: xxx"]),
])
def test_one_that_is_no_good_is_told_and_does_not_stay(tmp_path, kernel,
                                                       script, words):
    program = tmp_path / "virtiofsd"
    program.write_text(f"#!/bin/sh\n: {tmp_path}/virtiofsd\n{script}\n")
    program.chmod(0o755)
    temp = tmp_path / "temp"
    temp.mkdir()
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}",
           "TMPDIR": str(temp)}
    refused(run("run", "--kernel", kernel, "--share", "/etc:data", env=env),
            onggi.EXIT_IO, "share data", *words)
    assert not left(tmp_path)
    assert not list(temp.iterdir())


def test_it_gets_the_folder_and_nothing_else(tmp_path, kernel):
    """Its command line, no file but the standard ones and its socket, and no
    signal blocked."""
    program = tmp_path / "virtiofsd"
    told = tmp_path / "told"
    program.write_text(f"""#!{sys.executable}
import json, os, sys
fds = [[fd, os.readlink(f"/proc/self/fd/{{fd}}")] for fd in range(4)]
more = [fd for fd in range(4, 100) if os.path.exists(f"/proc/self/fd/{{fd}}")]
with open("/proc/self/status") as file:
    status = file.read()
with open("{told}", "w") as file:
    json.dump([sys.argv[1:], fds, more, status], file)
""")
    program.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    folder = tmp_path / "a,b"
    folder.mkdir()
    run("run", "--kernel", kernel, "--share",
        f"{tmp_path}/./a,,b:data,readonly", env=env)
    args, fds, more, status = json.loads(told.read_text())
    assert args == ["--fd=3", "--shared-dir", str(folder), "--log-level",
                    "error", "--announce-submounts", "--readonly"]
    assert [name.split(":")[0] for _, name in fds] == \
        ["/dev/null", "pipe", "pipe", "socket"]
    assert not more
    assert re.search(r"^SigBlk:\s*0+$", status, re.M), status
