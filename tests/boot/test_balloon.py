"""The balloon with real drivers: memory that a guest does not need is the
host's, by the resident memory of the process."""

import os
import re
import time
from pathlib import Path

import pytest
from onggi import Guest, run
from vhost_backend import Backend

MOUNT = "mkdir -p /run/t; mount -t tmpfs -o size=99% tmpfs /run/t; "

# A file of so many MiB, by tens; not of zeros, for which the host may have a
# single page.
def fill(mib):
    return ("head -c 10485760 /dev/urandom >/run/part; "
            f"for i in $(seq {mib // 10}); do cat /run/part; done >/run/t/f; ")


# Finds the driver's folder d and the device v.
FIND = ("d=/sys/bus/virtio/drivers/virtio_balloon; "
        "v=$(basename $d/virtio*); ")
FREE = "awk '/MemFree/ { print \"free\", int($2 / 1024) }' /proc/meminfo; "
# Waits until the guest has no more than so many MiB free.
UNTIL_FREE = ("until awk '/MemFree/ {{ exit $2 / 1024 > {} }}' /proc/meminfo; "
              "do sleep 0.2; done; ")


@pytest.fixture(name="tuned")
def tuned_kernel(images):
    return ["run", "--kernel", images.tuned, "--initrd", images.initramfs]


@pytest.fixture(name="debian")
def debian_on_its_own_kernel(images):
    return ["run", "--kernel", images.debian_vmlinuz, "--initrd",
            images.debian_initrd, "--disk",
            f"{images.debian_root},root,readonly", "--memory", "512M",
            "--cmdline", "init=/usr/lib/onggi/init"]


def resident(vm):
    """MiB of the host that the guest and its onggi have."""
    with open(f"/proc/{vm.process.pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(r"Rss:\s+(\d+)", file.read())[1]) // 1024


def in_memory_file(vm):
    """MiB that the file has which guest memory is, when others see it."""
    files = [os.stat(fd) for fd in Path(f"/proc/{vm.process.pid}/fd").iterdir()
             if "memfd:onggi guest memory" in os.readlink(fd)]
    assert len(files) == 1
    return files[0].st_blocks // 2048


def wait_until(condition, timeout=120):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.5)


def free_mib(text):
    """All that FREE printed."""
    return [int(n) for n in re.findall(r"^free (\d+)", text, re.M)]


def assert_given_back(arguments, mib, load="", held=resident, end=""):
    """A guest fills memory and frees it; the host has nearly all of it."""
    with Guest(*arguments, sh=load + MOUNT + fill(mib) +
               "echo filled; read x; rm /run/t/f; echo freed; read x; " +
               end) as vm:
        vm.wait_for("filled", 400)
        filled = held(vm)
        assert filled > mib
        vm.send("\n")
        vm.wait_for("freed")
        wait_until(lambda: held(vm) < filled - 0.8 * mib)
        vm.send("\n")
        assert vm.finish() == 0


@pytest.mark.parametrize("balloon", [
    (), pytest.param(("stats=1",), marks=pytest.mark.portable)])
@pytest.mark.parametrize("memory, mib", [
    ("1G", 300), pytest.param("96M", 50, marks=pytest.mark.portable)])
def test_what_the_guest_frees_is_the_hosts(tuned, balloon, memory, mib):
    """In large blocks and in small ones, with one queue more and less."""
    assert_given_back([*tuned, "--memory", memory, "--balloon", *balloon], mib)


def test_what_a_stock_guest_frees_is_the_hosts(debian):
    """Which obeys poweroff in the end, also without systemd."""
    assert_given_back([*debian, "--balloon"], 200,
                      "modprobe virtio_balloon; ",
                      end="poweroff; sleep 100; exit 3")


@pytest.mark.portable
def test_a_guest_that_clears_what_it_frees_gives_it_too(tuned):
    """What it reads there later are zeros, or it would end here."""
    assert_given_back([*tuned, "--memory", "256M", "--balloon", "--cmdline",
                       "init_on_free=1"], 100)


@pytest.mark.portable
def test_memory_that_a_server_maps_goes_back_too(tuned, tmp_path):
    with Backend(tmp_path / "s", bytes(60)):
        assert_given_back([*tuned, "--memory", "256M", "--balloon", "--disk",
                           f"vhost-user={tmp_path}/s"], 100,
                          held=in_memory_file)


@pytest.mark.portable
def test_freed_memory_can_be_used_again_and_again(tuned):
    """The driver reports what the guest is about to take anew."""
    script = MOUNT + """
        for i in 1 2 3 4 5; do
            dd if=/dev/urandom of=/run/t/f bs=1M count=16 2>/dev/null
            set -- $(md5sum /run/t/f)
            sleep 1
            [ "$(md5sum </run/t/f)" = "$1  -" ] || exit 3
            rm /run/t/f
        done"""
    result = run(*tuned, "--memory", "128M", "--cpus", 2, "--balloon",
                 sh=script, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_size_is_taken_from_the_guest_and_given_to_the_host(tuned):
    """Without the driver a guest has all of its memory; as soon as it binds, it
    hands over pages, those that were in use before included."""
    with Guest(*tuned, "--memory", "512M", "--balloon",
               "size=384M,no-reporting", sh=FIND + MOUNT +
               "echo $v >$d/unbind; " + fill(300) + "rm /run/t/f; " +
               FREE + "echo unbound; read x; echo $v >$d/bind; " +
               UNTIL_FREE.format(120) + "echo bound; read x; ") as vm:
        vm.wait_for("unbound")
        assert resident(vm) > 300
        vm.send("\n")
        vm.wait_for("bound")
        wait_until(lambda: resident(vm) < 150)
        vm.send("\n")
        assert vm.finish() == 0
        assert free_mib(vm.text)[0] > 400, vm.text


def balloon_log(vm):
    """(MiB in the balloon, total, free) of each line of statistics."""
    text = vm.process.stderr.read().decode()
    return [tuple(map(int, line)) for line in re.findall(
        r"info: balloon: (\d+) of \d+ MiB; guest memory: total (\d+) MiB, "
        r"free (\d+) MiB", text)]


@pytest.mark.parametrize("reporting", ["", ",no-reporting"])
@pytest.mark.portable
def test_statistics_arrive_for_as_long_as_the_guest_runs(tuned, reporting):
    with Guest(*tuned, "--memory", "256M", "--log-level", "info", "--balloon",
               f"stats=1{reporting}",
               sh=MOUNT + "sleep 4; " + fill(150) + "sleep 4") as vm:
        assert vm.finish() == 0
        stats = balloon_log(vm)
    assert len(stats) >= 4, stats
    assert all(held == 0 and 200 < total < 256 for held, total, _ in stats)
    assert stats[0][2] > 200 and stats[-1][2] < 110, stats


@pytest.mark.portable
def test_a_guest_in_need_takes_pages_out_of_the_balloon(tuned):
    with Guest(*tuned, "--memory", "512M", "--log-level", "info", "--balloon",
               "size=384M,stats=1",
               sh=MOUNT + UNTIL_FREE.format(120) + "sleep 3; " +
               fill(300) + "stat -c %s /run/t/f; sleep 3; "
               "dmesg | grep -c 'Out of memory: Killed'") as vm:
        vm.finish()
        assert vm.text.split() == [str(300 << 20), "0"]
        held = [line[0] for line in balloon_log(vm)]
    assert max(held) > 300 and held[-1] < 200, held


def test_balloon_driver_can_be_unbound_and_bound_again(tuned):
    """Each time with pages in the balloon, and others on their way."""
    result = run(*tuned, "--memory", "256M", "--cpus", 2, "--balloon",
                 "size=128M,stats=1", sh=FIND + """
        for i in 1 2 3 4 5 6; do
            echo $v >$d/unbind; echo $v >$d/bind
            [ $i -lt 4 ] || sleep 1
        done
        echo $v >$d/unbind; """ + FREE + """
        echo $v >$d/bind; """ + UNTIL_FREE.format(120), timeout=200)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert free_mib(result.stdout)[0] > 200, result.stdout


@pytest.mark.portable
def test_a_guest_that_reboots_has_its_balloon_anew(tuned):
    with Guest(*tuned, "--memory", "256M", "--balloon", "size=128M",
               sh=UNTIL_FREE.format(120) + "echo small; reboot -f; "
               "sleep 60") as vm:
        for _ in range(2):
            vm.wait_for("small")
            vm.text = vm.text.split("small", 1)[1]
