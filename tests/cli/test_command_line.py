"""What onggi says and does before any real kernel runs.

Runs natively: the guests are a few instructions long, which even a KVM
without hardware support executes. Every bad input has its message checked,
its exit status, and that nothing stays behind.
"""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from common import guest, needs_kvm, needs_root, onggi, refused, wait_for_file
from onggi import Guest, machine, run


@pytest.fixture(name="kernel")
def null_kernel(tmp_path):
    return machine.tiny_guest(tmp_path / "null.elf", machine.NULL_GUEST)


# --- help and completion ---

def test_help_is_everywhere():
    assert "usage: onggi COMMAND" in run().stdout
    for args in (["--help"], ["help"], ["help", "--help"], ["version", "-h"],
                 ["run", "--help"], ["doctor", "--help"],
                 ["run", "--config", "nowhere", "--help", "--frob", "x"],
                 ["doctor", "--quiet", "--help"]):
        result = run(*args)
        assert result.returncode == 0 and "usage:" in result.stdout
    assert "--kernel FILE" in run("run", "--help").stdout


def test_short_help_is_help():
    for args in (["-h"], ["run", "-h"], ["doctor", "-h"]):
        result = run(*args)
        assert result.returncode == 0, result.stderr
        assert result.stdout == run(*args[:-1], "--help").stdout


@pytest.mark.parametrize("command", [
    ["help"], ["--help"], ["version"], ["doctor"], ["doctor", "--quiet"],
    ["doctor", "--help"]])
def test_a_word_too_many_is_refused(command):
    refused(run(*command, "surplus"), onggi.EXIT_USAGE, "surplus")


@pytest.mark.parametrize("args", [
    ["version"], ["help"], ["run", "--help"], ["complete", "run"],
    ["run", "--kernel", "/bin/true", "--dry-run"]])
@pytest.mark.parametrize("output", [">/dev/full", ">&-"])
def test_lost_output_is_an_error(args, output):
    result = subprocess.run(
        ["sh", "-c", f'exec "$@" {output}', "sh", onggi.ONGGI, *args],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        check=False)
    assert result.returncode == onggi.EXIT_IO, result.stderr
    assert result.stderr.startswith("onggi: error: standard output: ")
    assert result.stderr.count("\n") == 1


def test_version_is_one_line():
    assert re.fullmatch(r"onggi \S+\n", run("version").stdout)
    assert run("--version").stdout == run("version").stdout


def test_completion_lists_every_option():
    names = run("complete", "run").stdout.split()
    shown = re.findall(r"^  (--\S+)", run("run", "--help").stdout, re.M)
    assert set(shown) <= set(names) and "--kernel" in names


def test_unknown_command_is_refused():
    refused(run("rum"), onggi.EXIT_USAGE, "rum")


# --- bad usage ---

@pytest.mark.parametrize("args, words", [
    (["--kernl", "x"], ["--kernl"]),
    (["stray"], ["stray"]),
    (["--kernel"], ["--kernel", "value"]),
    (["--kernel", ""], ["kernel", "empty"]),
    (["--help=/etc/hostname"], ["--help", "no value"]),
    (["--cpus", "0"], ["cpus", "1 to 64"]),
    (["--cpus", "65"], ["cpus", "1 to 64"]),
    (["--cpus", "two"], ["cpus", "two"]),
    (["--cpus", "-1"], ["cpus", "-1"]),
    (["--memory", "0"], ["memory", "8 MiB"]),
    (["--memory", "12X"], ["memory", "12X"]),
    (["--memory", "99999999999999999999G"], ["memory"]),
    (["--memory", "512"], ["memory: 512 bytes", "8 MiB", "512M?"]),
    (["--memory", "4M"], ["memory: 4096 KiB", "8 MiB"]),
    (["--memory", "1025G"], ["memory: 1025 GiB", "1024 GiB"]),
    (["--memory", "40T"], ["memory: 40960 GiB", "1024 GiB"]),
    (["--memory", "1048576T"], ["memory", "1024 GiB"]),
    (["--memory", "16777220K,hugepages"], ["memory", "2 MiB"]),
    (["--memory", "64M,bigpages"], ["memory", "bigpages"]),
    (["--disk", ""], ["disk", "path"]),
    (["--disk", "a,id"], ["disk", "id"]),
    (["--disk", "a,root", "--disk", "b,root"], ["disk", "root"]),
    (["--disk", "a,serial=123456789012345678901"], ["disk", "serial"]),
    (["--disk", "a,cache=none"], ["disk: cache", "writeback|unsafe"]),
    (["--disk", "a,bw=fast"], ["disk: bw", "fast", "512M"]),
    (["--disk", "a,bw=50"], ["disk a: bw: 50 bytes", "4 KiB", "50M?"]),
    (["--disk", "a,iops=0"], ["disk: iops", "1 to"]),
    (["--disk", "a,iops=5,bw-burst=1M"], ["disk a", "bw-burst needs bw"]),
    (["--disk", "a,bw=5M,iops-burst=9"], ["disk a", "iops-burst needs iops"]),
    (["--disk", "a,queues=0"], ["disk: queues", "1 to 16"]),
    (["--disk", "a,queues=17"], ["disk: queues", "1 to 16"]),
    (["--net", "tap=t0,mac=02:00"], ["mac", "02:00"]),
    (["--net", "tap=t0,mac=03:00:00:00:00:01"], ["mac", "multicast"]),
    (["--net", "tap=t0,mtu=60"], ["mtu", "60"]),
    *((["--net", f"tap={name}"], ["net", "not a valid interface name"])
      for name in ("a/b", ".", "..", "a:b", "a b", "voilà", "a\nb",
                   "sixteen-letters-")),
    (["--net", "tap=t0", "--net", "tap=t0"], ["t0", "two cards"]),
    (["--net", "tap=t0,rx-bw=50"], ["net: t0: rx-bw: 50 bytes", "50M?"]),
    (["--net", "tap=t0,tx-pps=0"], ["net: tx-pps", "1 to"]),
    (["--net", "tap=t0,rx-pps=5,tx-pps-burst=9"],
     ["net: t0", "tx-pps-burst needs tx-pps"]),
    (["--net", "tap=t0,tx-pps=5,tx-bw-burst=1M"],
     ["net: t0", "tx-bw-burst needs tx-bw"]),
    (["--balloon", "size"], ["balloon", "size needs a value"]),
    (["--balloon", "512M"], ["balloon", "unknown key '512M'"]),
    (["--balloon", "size=256M"], ["balloon: size", "256 MiB"]),
    (["--balloon", "size=1M,"], ["balloon", "unknown key ''"]),
    (["--balloon", "size=4095"], ["balloon: size", "4 KiB"]),
    (["--balloon", "stats=0"], ["balloon: stats", "1 to 86400"]),
    (["--balloon", "--memory", "64M,hugepages"], ["balloon", "hugepages"]),
    (["--console", "stdio,pty"], ["console"]),
    (["--console", "tcp"], ["console", "tcp"]),
    (["--hvc", "stdio,pty"], ["hvc"]),
    (["--hvc", "tcp"], ["hvc", "tcp"]),
    (["--hvc", "file="], ["hvc", "file", "empty"]),
    (["--hvc", "stdio", "--console", "stdio"], ["hvc", "stdio", "console"]),
    (["--cmdline", "a", "--cmdline-only", "b"], ["cmdline"]),
    (["--log-level", "loud"], ["log-level", "loud"]),
    (["--", 'say "hi"'], ["args", "double quote"]),
    (["--", "two\nlines"], ["args", "two\\nlines", "line break"]),
    (["--", "git", "log", "--", "file"], ["args", "ignores", "--"]),
    (["--"] + ["x"] * 33, ["args", "at most 32"]),
    (["--cmdline", 'a="b c'], ["cmdline", "quote"]),
    (["--cmdline-only", '"'], ["cmdline-only", "quote"]),
    (["--cmdline", "a\nb"], ["cmdline", "line break"]),
    (["--cmdline", "a --", "--", "b"], ["cmdline", "--", "ignores"]),
])
def test_bad_usage_names_the_option_and_the_reason(args, words):
    refused(run("run", *args), onggi.EXIT_USAGE, *words)


def test_too_many_disks_are_refused():
    disks = [word for i in range(9) for word in ("--disk", f"d{i}")]
    refused(run("run", *disks), onggi.EXIT_USAGE, "disk", "8")


# --- configuration file ---

@pytest.mark.parametrize("text, words", [
    ('{"kernl": "x"}', ["kernl"]),
    ('{"disk": [{"path": "a", "rdonly": true}]}', ["disk", "rdonly"]),
    ('{"disk": "a"}', ["disk", "array"]),
    ('{"cpus": 1.5}', ["cpus"]),
    ('{"cpus": 1000}', ["cpus", "1 to 64"]),
    ('{"no-reboot": "yes"}', ["no-reboot", "true"]),
    ('{"kernel": true}', ["kernel", "must be a string"]),
    ('{"kernel": 5}', ["kernel", "must be a string"]),
    ('{"kernel": null}', ["kernel", "must be a string"]),
    ('{"pidfile": ["a"]}', ["pidfile", "must be a string"]),
    ('{"cpus": true}', ["cpus", "whole number"]),
    ('{"memory": true}', ["memory", "a whole number, a string or an object"]),
    ('{"memory": 1e9}', ["memory", "a whole number, a string or an object"]),
    ('{"memory": {"size": true}}', ["memory: size", "whole number"]),
    ('{"balloon": 1}', ["balloon", "true, false, a string or an object"]),
    ('{"balloon": null}', ["balloon", "must be true"]),
    ('{"balloon": {"stats": true}}', ["balloon: stats", "whole number"]),
    ('{"balloon": {"given": true}}', ["balloon", "given"]),
    ('{"disk": [1]}', ["disk", "string or an object"]),
    ('{"disk": [{"path": false}]}', ["disk: path", "string"]),
    ('{"log-level": 1}', ["log-level", "must be a string"]),
    ('{"args": [1]}', ["args", "must be a string"]),
    ('{"kernel": "a\\u0000b"}', ["line 1"]),
    ('{"kernel": "a", "kernel": "b"}', ["line 1"]),
    ('["kernel"]', ["object"]),
    ('{"kernel": ', ["line 1"]),
    ('', ["line 1"]),
])
def test_bad_json_names_file_key_and_reason(tmp_path, text, words):
    path = tmp_path / "vm.json"
    path.write_text(text)
    refused(run("run", "--config", path), onggi.EXIT_USAGE, "vm.json", *words)


def test_missing_config_file_is_named():
    refused(run("run", "--config", "/nonexistent.json"), onggi.EXIT_USAGE,
            "/nonexistent.json", "No such file")


def test_flags_win_over_the_file_and_lists_are_replaced(tmp_path, kernel):
    path = tmp_path / "vm.json"
    path.write_text(json.dumps({
        "kernel": str(kernel), "cpus": 2, "memory": "64M",
        "disk": [{"path": "/a", "readonly": True}, "/b,id=second"],
        "net": [{"tap": "t0", "mac": "02:00:00:00:00:01"}],
        "console": {"file": "/tmp/c"}, "no-reboot": True,
        "args": ["sh", "-c", "echo a b"]}))
    plain = run("run", "--dry-run", "--config", path).stdout
    assert "--cpus 2 --memory 64M --disk /a,readonly" in plain
    assert "--disk /b,id=second" in plain
    assert "--net tap=t0,mac=02:00:00:00:00:01" in plain
    assert "-- sh -c 'echo a b'" in plain
    flags = run("run", "--cpus", "3", "--disk", "/c", "--config", path,
                "--dry-run").stdout
    assert "--cpus 3" in flags and "--disk /c" in flags
    assert "/a" not in flags and "/b" not in flags


def test_a_later_file_wins_over_an_earlier_one(tmp_path, kernel):
    def write(name, **keys):
        path = tmp_path / name
        path.write_text(json.dumps(keys))
        return ["--config", path]

    first = write("1", kernel=str(kernel), console="pty", cpus=2,
                  memory={"size": "64M", "hugepages": True})
    second = write("2", console="stdio", memory="512M")
    third = write("3", console={"file": "/c"}, memory={"hugepages": True})
    shown = run("run", *first, *second, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "--cpus 2 --memory 512M --console stdio " in shown.stdout
    shown = run("run", *first, *second, *third, "--dry-run").stdout
    assert "--memory 256M,hugepages --console file=/c " in shown


def test_an_option_that_needs_no_value_takes_one_where_it_is(tmp_path, kernel):
    def shown(*args):
        result = run("run", "--kernel", kernel, "--dry-run", *args)
        assert result.returncode == 0, result.stderr
        assert ("balloon\n" in result.stdout) == ("--balloon" in result.stdout)
        return result.stdout.partition(" --console ")[0].partition("256M")[2]

    def written(value):
        path = tmp_path / "vm.json"
        path.write_text(json.dumps({"balloon": value}))
        return shown("--config", path)

    assert shown() == ""
    for args in (["--balloon"], ["--balloon", "--cpus", "2"], ["--balloon="],
                 ["--balloon", "--", "sh"], ["--balloon", "size=0"],
                 ["--balloon", "size=1M", "--balloon"]):
        assert shown(*args) == " --balloon", args
    text = " --balloon size=64M,stats=5,no-reporting"
    assert shown("--balloon", "no-reporting,size=64M,stats=5") == text
    assert shown("--balloon=stats=5", "--balloon=stats=6") == \
        " --balloon stats=6"
    for value in (True, {}, ""):
        assert written(value) == " --balloon", value
    assert written({"size": "64M", "stats": 5, "no-reporting": True}) == text
    assert written("size=64M,stats=5,no-reporting") == text
    assert written(False) == ""


def test_a_small_guest_reports_small_blocks(kernel):
    word = " page_reporting.page_reporting_order="
    for args, small in (([], True), (["--memory", "1G"], False),
                        (["--balloon", "no-reporting"], False),
                        (["--cmdline-only", "x"], False)):
        shown = run("run", "--kernel", kernel, "--balloon", "--dry-run", *args)
        assert (word in shown.stdout) == small, args
    assert word not in run("run", "--kernel", kernel, "--dry-run").stdout


def test_defaults_are_what_the_help_says(kernel):
    shown = run("run", "--kernel", kernel, "--dry-run").stdout
    for words in ("--cpus 1 ", "--memory 256M ", "--console stdio ",
                  "--stop-timeout 10 ", "--log-level warn "):
        assert words in shown.replace("\n", " ")


@pytest.mark.parametrize("args, options, consoles", [
    ([], "--console stdio --hvc none", ["ttyS0"]),
    (["--hvc", "none"], "--console stdio --hvc none", ["ttyS0"]),
    (["--hvc", "pty"], "--console file=/dev/null --hvc pty",
     ["ttyS0", "hvc0"]),
    (["--hvc", "pty", "--console", "none"], "--console none --hvc pty",
     ["hvc0"]),
    (["--hvc", "stdio", "--console", "file=/a"],
     "--console file=/a --hvc stdio", ["ttyS0", "hvc0"]),
    (["--hvc", "pty", "--console", "stdio"], "--console stdio --hvc pty",
     ["ttyS0", "hvc0"]),
    (["--console", "none"], "--console none --hvc none", [])])
def test_a_virtio_console_silences_the_serial_port(kernel, args, options,
                                                   consoles):
    """Unless both are asked for; /dev/console is the one named last."""
    shown = run("run", "--kernel", kernel, *args, "--dry-run").stdout
    assert f" {options} " in shown
    assert re.findall(r"\bconsole=(\w+)", shown.splitlines()[3]) == consoles
    assert ("console: hvc0\n" in shown) == ("hvc0" in consoles)


def test_a_virtio_console_of_the_file_can_be_refused(tmp_path, kernel):
    path = tmp_path / "vm.json"
    path.write_text(json.dumps({"kernel": str(kernel), "hvc": "pty",
                                "console": {"file": "/c"}}))
    shown = run("run", "--config", path, "--dry-run").stdout
    assert "--console file=/c --hvc pty " in shown
    shown = run("run", "--config", path, "--hvc", "none", "--dry-run").stdout
    assert "--console file=/c --hvc none " in shown


def test_a_kernel_command_line_may_be_empty(kernel):
    def shown(*args):
        result = run("run", "--kernel", kernel, *args, "--dry-run")
        assert result.returncode == 0, result.stderr
        first, _, rest = result.stdout.partition("\n")
        return first, rest

    assert shown("--cmdline", "")[1] == shown()[1]
    first, rest = shown("--cmdline-only", "")
    assert "--cmdline-only ''" in first
    assert rest.startswith("\nkernel command line:\n\n")


@pytest.mark.parametrize("arg, word", [
    ("plain", "plain"), ("a b", '"a b"'), ("a\tb", '"a\tb"'), ("", '""'),
    ("--x", "--x"), ("voilà", '"voilà"'), ("été", "été"),
    ("a\vb", '"a\vb"'), ("a=b c", '"a=b c"')])
def test_arguments_are_quoted_where_linux_sees_a_blank(kernel, arg, word):
    shown = run("run", "--kernel", kernel, "--dry-run", "--", "sh", arg, "z")
    assert shown.returncode == 0, shown.stderr
    assert f" -- sh {word} z\n\nmemory map:" in shown.stdout


def test_as_many_arguments_as_linux_takes(kernel):
    result = run("run", "--kernel", kernel, "--dry-run", "--", *["x"] * 32)
    assert result.returncode == 0, result.stderr


def test_quotes_that_are_closed_and_dashes_of_ones_own_are_fine(kernel):
    for args in (['a="b -- c"', "--", "sh"], ["a -- b"], ["--x --y", "--", "z"]):
        result = run("run", "--kernel", kernel, "--dry-run", "--cmdline",
                     *args)
        assert result.returncode == 0, result.stderr


# --- dry run ---

def test_dry_run_prints_a_command_that_means_the_same(tmp_path, kernel):
    odd = tmp_path / "a disk, with commas.img"
    first = run("run", "--kernel", kernel, "--memory", "5G", "--disk",
                str(odd).replace(",", ",,") + ",root,direct,cache=unsafe,queues=3,bw=5000,iops=9,"
                "bw-burst=4K,iops-burst=3,serial=S1",
                "--net", "tap=t0,rx-bw=1M,rx-pps=7,tx-bw=2M,tx-pps=8,"
                "rx-bw-burst=4K,rx-pps-burst=1,tx-bw-burst=8K,tx-pps-burst=2",
                "--cmdline", "a='b c'", "--dry-run", "--", "sh", "-c", "it's")
    assert first.returncode == 0, first.stderr
    again = shlex.split(first.stdout.splitlines()[0])
    assert str(odd).replace(",", ",,") in first.stdout
    # before the "--" of the guest's arguments
    at = again.index("--")
    second = run(*again[1:at], "--dry-run", *again[at:])
    assert second.stdout == first.stdout
    assert "root=/dev/vda rw" in first.stdout
    assert ("cache=unsafe,queues=3,bw=5000,iops=9,bw-burst=4K,iops-burst=3,"
            in first.stdout)
    assert ("--net tap=t0,rx-bw=1M,rx-pps=7,rx-bw-burst=4K,rx-pps-burst=1,"
            "tx-bw=2M,tx-pps=8,tx-bw-burst=8K,tx-pps-burst=2" in first.stdout)
    assert re.search(r"0x100000000 .* memory, 2048 MiB", first.stdout)


def test_dry_run_starts_and_leaves_nothing(tmp_path, kernel):
    pidfile = tmp_path / "pid"
    run("run", "--kernel", kernel, "--pidfile", pidfile, "--console",
        f"file={tmp_path}/console", "--dry-run")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["null.elf"]


# --- bad images ---

@pytest.mark.parametrize("content, words", [
    (b"", ["empty"]),
    (b"#!/bin/sh\necho no kernel\n" * 100, ["kernel"]),
    (b"\x1f\x8b" + bytes(600), ["gzip"]),
    (b"\x7fELF" + bytes(20), ["kernel"]),
    (bytes(0x1fe) + b"\x55\xaa" + bytes(2) + b"HdrS", ["kernel"]),
])
@needs_kvm
def test_what_is_not_a_kernel_is_refused(tmp_path, content, words):
    path = tmp_path / "image"
    path.write_bytes(content)
    refused(run("run", "--kernel", path), onggi.EXIT_IMAGE, "image", *words)


@needs_kvm
def test_a_truncated_kernel_is_refused(tmp_path, kernel):
    whole = Path(kernel).read_bytes()
    for length in (100, 200, 4096, len(whole) - 1):
        path = tmp_path / "cut"
        path.write_bytes(whole[:length])
        refused(run("run", "--kernel", path), onggi.EXIT_IMAGE, "cut")


def test_missing_files_are_named(tmp_path, kernel):
    refused(run("run", "--kernel", "/no/kernel"), onggi.EXIT_IMAGE,
            "/no/kernel", "No such file")
    refused(run("run", "--kernel", tmp_path), onggi.EXIT_IMAGE,
            str(tmp_path), "regular file")
    refused(run("run", "--kernel", kernel, "--initrd", "/no/initrd"),
            onggi.EXIT_IMAGE, "/no/initrd", "No such file")
    refused(run("run", "--kernel", kernel, "--disk", "/no/disk"),
            onggi.EXIT_IO, "disk0", "/no/disk", "No such file")


@pytest.mark.parametrize("name, shown, reason", [
    ("two\nlines", "two\\nlines", "No such file"),
    ("red\x1b[31m", "red\\x1b[31m", "No such file"),
    ("n" * 5000, "nnn...nnn", "File name too long"),
    ("d/" * 2040, "d/" * 2040, "No such file")],
    ids=["two lines", "escape", "long name", "long path"])
def test_a_message_is_one_line_with_its_reason(kernel, name, shown, reason):
    refused(run("run", "--kernel", kernel, "--initrd", name),
            onggi.EXIT_IMAGE, "initrd: ", shown, reason)
    if "/" not in name:
        refused(run(name[:100]), onggi.EXIT_USAGE, "unknown command")


def test_named_pipes_are_no_images(tmp_path, kernel):
    """And are not waited for."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    refused(run("run", "--kernel", fifo, timeout=20), onggi.EXIT_IMAGE,
            str(fifo), "regular file")
    refused(run("run", "--kernel", kernel, "--initrd", fifo, timeout=20),
            onggi.EXIT_IMAGE, str(fifo), "regular file")


@needs_kvm
def test_closed_standard_files_do_not_lead_into_a_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    result = subprocess.run(
        [*shell, onggi.ONGGI, "run", "--kernel",
         str(guest(tmp_path, machine.HELLO)), "--disk", str(disk),
         "--log-level", "debug"], check=False, timeout=60)
    assert result.returncode == 42
    assert not any(disk.read_bytes())


def test_no_kernel_at_all_lists_what_was_tried(tmp_path):
    result = run("run", env={"HOME": str(tmp_path), "PATH": "/bin"})
    if result.returncode == onggi.EXIT_IMAGE and "tried" in result.stderr:
        refused(result, onggi.EXIT_IMAGE, f"{tmp_path}/.cache/onggi/images",
                "/share/onggi/vmlinux", "/boot/vmlinuz-")
    else:  # the host's own kernel is there and was taken
        assert os.access(f"/boot/vmlinuz-{os.uname().release}", os.R_OK)


@needs_kvm
def test_an_initrd_larger_than_memory_is_refused(tmp_path, kernel):
    initrd = tmp_path / "initrd"
    initrd.touch()
    os.truncate(initrd, 100 << 20)
    refused(run("run", "--kernel", kernel, "--initrd", initrd, "--memory",
                "64M"), onggi.EXIT_IMAGE, f"initrd: {initrd}", "100 MiB",
            "64 MiB")


@needs_kvm
def test_a_command_line_that_is_too_long_is_refused(kernel):
    refused(run("run", "--kernel", kernel, "--cmdline", "x" * 3000),
            onggi.EXIT_USAGE, "command line", "2047")


# --- host resources ---

def test_a_directory_is_no_disk(tmp_path, kernel):
    refused(run("run", "--kernel", kernel, "--disk", tmp_path),
            onggi.EXIT_IO, "disk0", str(tmp_path), "directory")


@needs_kvm
@pytest.mark.parametrize("option, value", [
    ("--console", "file={}"), ("--hvc", "file={}"), ("--pidfile", "{}")],
    ids=["console", "hvc", "pidfile"])
@pytest.mark.parametrize("role, words", [
    ("kernel", "the kernel"), ("initrd", "the initrd"), ("disk", "disk0")])
def test_output_never_goes_into_what_the_vm_reads(tmp_path, option, value,
                                                  role, words):
    files = {}
    for name in ("kernel", "initrd", "disk"):
        files[name] = guest(tmp_path, machine.POWER_OFF_42).rename(
            tmp_path / name)
        os.truncate(files[name], 1 << 20)
    before = files[role].read_bytes()
    link = tmp_path / "link"
    link.symlink_to(files[role])
    for path in (files[role], link):
        refused(run("run", "--kernel", files["kernel"], "--initrd",
                    files["initrd"], "--disk", files["disk"], option,
                    value.format(path)),
                onggi.EXIT_USAGE, option[2:], str(path), words)
    assert files[role].read_bytes() == before


@pytest.mark.parametrize("option, value", [
    ("--console", "file={}"), ("--hvc", "file={}"), ("--pidfile", "{}")],
    ids=["console", "hvc", "pidfile"])
def test_output_never_goes_into_the_configuration(tmp_path, kernel, option,
                                                  value):
    config = tmp_path / "vm.json"
    config.write_text(json.dumps({"kernel": str(kernel)}))
    link = tmp_path / "link"
    link.symlink_to(config)
    before = config.read_text()
    for path in (config, link):
        refused(run("run", option, value.format(path), "--config", config),
                onggi.EXIT_USAGE, option[2:], str(path), "configuration")
    assert config.read_text() == before


@needs_kvm
@pytest.mark.parametrize("name", ["console", "hvc"])
def test_the_console_does_not_go_into_the_pidfile(tmp_path, kernel, name):
    path = tmp_path / "file"
    refused(run("run", "--kernel", kernel, "--no-reboot", "--pidfile", path,
                f"--{name}", f"file={path}"),
            onggi.EXIT_USAGE, name, str(path), "pidfile")


@needs_kvm
def test_a_disk_in_use_is_locked(tmp_path):
    disk = tmp_path / "disk"
    disk.touch()
    os.truncate(disk, 1 << 20)
    kernel = guest(tmp_path, machine.SLEEP)
    with Guest("run", "--kernel", kernel, "--disk", disk, "--pidfile",
               tmp_path / "pid"):
        wait_for_file(tmp_path / "pid")
        refused(run("run", "--kernel", kernel, "--disk", disk),
                onggi.EXIT_IO, "disk0", str(disk), "locked")
        refused(run("run", "--kernel", kernel, "--disk", f"{disk},readonly"),
                onggi.EXIT_IO, "locked")


@needs_kvm
def test_a_disk_named_twice_is_not_somebody_elses(tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    link = tmp_path / "link"
    link.symlink_to(disk)
    args = ("run", "--kernel", guest(tmp_path, machine.POWER_OFF_42), "--disk")
    refused(run(*args, disk, "--disk", f"{link},readonly"), onggi.EXIT_USAGE,
            "disk1", str(link), "is disk0 already")
    result = run(*args, f"{disk},readonly", "--disk", f"{link},readonly")
    assert (result.returncode, result.stderr) == (42, "")


def as_nobody(*args):
    """onggi as a user without rights; the program may lie where only root
    can go, so it is handed over open."""
    return subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
         f"/proc/self/fd/{args[0]}", *map(str, args[1:])],
        pass_fds=[args[0]], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False)


@needs_root
def test_no_right_to_a_tap_or_to_kvm_says_what_to_do(tmp_path):
    # pytest's own tmp_path is closed to others
    kernel = "/bin/true"
    program = os.open(onggi.ONGGI, os.O_RDONLY)
    try:
        result = as_nobody(program, "run", "--kernel", kernel, "--net",
                           "tap=onggi-t0")
        refused(result, onggi.EXIT_IO, "net0", "onggi-t0")
        if os.stat("/dev/net/tun").st_mode & 0o006:
            assert "ip tuntap add" in result.stderr
        else:
            assert "/dev/net/tun: Permission denied" in result.stderr
        if not os.stat("/dev/kvm").st_mode & 0o006:
            result = as_nobody(program, "run", "--kernel", kernel)
            refused(result, onggi.EXIT_KVM, "/dev/kvm", "Permission denied",
                    "group")
    finally:
        os.close(program)


@needs_root
def test_no_usable_kvm_has_its_own_status(kernel):
    hide = ["unshare", "-m", "sh", "-c",
            'mount --bind /dev/null /dev/kvm && exec "$@"', "sh"]
    result = subprocess.run(
        [*hide, onggi.ONGGI, "run", "--kernel", str(kernel)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    refused(result, onggi.EXIT_KVM, "/dev/kvm")


def test_places_that_cannot_be_written_are_named(kernel):
    refused(run("run", "--kernel", kernel, "--console", "file=/no/console"),
            onggi.EXIT_IO, "/no/console")
    refused(run("run", "--kernel", kernel, "--pidfile", "/no/pid"),
            onggi.EXIT_IO, "/no/pid")


@needs_kvm
def test_huge_pages_that_are_not_there_are_explained(kernel):
    free = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
    if not free.exists() or int(free.read_text()) > 32:
        pytest.skip("huge pages are reserved here")
    refused(run("run", "--kernel", kernel, "--memory", "64M,hugepages"),
            onggi.EXIT_IO, "huge pages", "nr_hugepages")


# --- doctor ---

def test_doctor_tells_and_its_status_agrees():
    result = run("doctor")
    assert result.returncode in (0, onggi.EXIT_KVM)
    for word in ("KVM", "huge pages", "tap", "passt", "virtiofsd", "io_uring",
                 "vhost"):
        assert word in result.stdout
    quiet = run("doctor", "--quiet")
    assert quiet.returncode == result.returncode
    assert quiet.stdout == "" and quiet.stderr == ""
    assert ("FAIL" in result.stdout) == (result.returncode != 0)
