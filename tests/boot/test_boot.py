"""Real kernels on the real program: every way to boot, every way to end."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import signal
import struct
import subprocess
import termios
import time

import onggi
import pytest
from onggi import Guest, machine, run


@pytest.fixture(name="tuned")
def tuned_kernel(images):
    """Arguments for the tuned kernel with the busybox initramfs."""
    return ["run", "--kernel", images.tuned, "--initrd", images.initramfs]


@pytest.mark.parametrize("kernel, options", machine.BOOT_WAYS)
@pytest.mark.parametrize("cpus, memory", [(1, "128M"), (2, "4G")])
def test_tuned_kernel_boots_each_way(images, kernel, options, cpus, memory):
    result = run("run", "--kernel", getattr(images, kernel), *options,
                "--initrd", images.initramfs, "--cpus", cpus, "--memory",
                memory,
                sh="nproc; grep MemTotal /proc/meminfo; "
                f"[ $(nproc) = {cpus} ] || dmesg | grep -i cpu; exit 7")
    assert result.returncode == 7, result.stderr
    assert result.stderr == ""
    lines = result.stdout.split()
    assert lines[0] == str(cpus), result.stdout
    mib = {"128M": 128, "4G": 4096}[memory]
    assert mib * 0.75 < int(lines[2]) / 1024 < mib


AT_PAGESZ = 6  # <linux/auxvec.h>


def needs_built(kernel):
    if not (onggi.images_dir() / kernel).exists():
        pytest.skip(f"{kernel}: was not built")


@pytest.mark.parametrize("kernel", machine.VARIANTS)
def test_variants_of_the_tuned_kernel_use_their_devices(images, tmp_path,
                                                        kernel):
    """Rings and buffers lie where their page size puts them."""
    needs_built(kernel)
    disk = tmp_path / "disk.img"
    disk.write_bytes(os.urandom(1 << 20))
    result = run("run", "--kernel", getattr(images, kernel), "--initrd",
                 images.initramfs, "--cpus", 2, "--memory", "512M", "--disk",
                 disk, sh="""
        od -An -v -tx8 -w16 /proc/self/auxv | grep '^ *0*6 '
        dd if=/dev/vda of=/tmp/copy bs=1M 2>/dev/null
        dd if=/dev/zero of=/dev/vda bs=1M count=1 conv=fsync 2>/dev/null
        dd if=/tmp/copy of=/dev/vda bs=4k conv=fsync 2>/dev/null
        md5sum </tmp/copy
        head -c 16 /dev/hwrng | wc -c
        exit 7""")
    assert result.returncode == 7, result.stdout + result.stderr
    lines = result.stdout.split("\n")
    key, value = lines[0].split()
    assert (int(key, 16), int(value, 16)) == (AT_PAGESZ,
                                              machine.VARIANTS[kernel])
    assert lines[1].split()[0] == hashlib.md5(disk.read_bytes()).hexdigest()
    assert lines[2].strip() == "16"


def test_guest_finds_topology_clock_and_hypervisor(tuned):
    out = run(*tuned, "--cpus", 2, sh="""
        cat /sys/devices/system/clocksource/clocksource0/current_clocksource
        cat /sys/devices/system/cpu/cpu1/topology/core_id
        cat /sys/devices/system/cpu/cpu1/topology/core_cpus_list
        %s && echo hypervisor
        %s && echo controller""" % (machine.KNOWS_HYPERVISOR,
                                    machine.HAS_CONTROLLER)).stdout.split()
    assert out[0] in machine.CLOCKS
    assert out[1:] == ["1", "1", "hypervisor", "controller"]


def test_timeline_reaches_every_stage(tuned):
    result = run(*tuned, "--timeline", sh="echo up")
    times = [float(t) for t in re.findall(r"([\d.]+) ms", result.stderr)]
    assert len(times) == 7, result.stderr
    # output may come before or after user space is reached
    assert times[:4] == sorted(times[:4]) and times[-1] == max(times)


def test_arguments_and_input_reach_the_guest_whole(tuned):
    result = run(*tuned, "--", "echo", "a  b", "$HOME", "x=y")
    assert result.stdout.strip() == "a  b $HOME x=y"
    typed = "".join(f"echo line-{i}-{'z' * 60}\n" for i in range(50))
    result = run(*tuned, stdin="stty -echo\n" + typed + "exit 9\n")
    assert result.returncode == 9, result.stderr
    for i in range(50):
        assert f"line-{i}-{'z' * 60}" in result.stdout


def check_count(text, last):
    """The numbers 1 to last, in order; says where they go wrong."""
    numbers = [int(n) for n in re.findall(r"^\d+", text, re.M)]
    wrong = [i for i, n in enumerate(numbers) if n != i + 1][:1]
    assert not wrong, numbers[max(wrong[0] - 2, 0):wrong[0] + 3]
    assert len(numbers) == last


def test_console_output_is_complete(tuned):
    """More than twice what Linux holds for a serial port."""
    result = run(*tuned, sh="seq 1 1800")
    check_count(result.stdout, 1800)


@pytest.mark.portable
def test_a_reader_that_pauses_loses_nothing(tuned):
    """A full pipe holds the guest up instead of growing a buffer."""
    with Guest(*tuned, sh="echo start; seq 1 3000; echo done",
               pipesize=4096) as vm:
        vm.wait_for("start")
        time.sleep(3)
        held = struct.unpack("i", fcntl.ioctl(vm.out, termios.FIONREAD,
                                              bytes(4)))[0]
        vm.wait_for("done")
        assert held < len(vm.text) / 2
        check_count(vm.text, 3000)
        assert vm.finish() == 0


@contextlib.contextmanager
def guest_on_pty(*args, kind="console", sh=None):
    """A guest whose console is a pseudo-terminal, opened as a user would."""
    with Guest(*args, f"--{kind}", "pty", sh=sh) as vm:
        path = ""
        while f"{kind} is" not in path:
            path = vm.process.stderr.readline().decode()
        vm.master = vm.out = os.open(path.split()[-1],
                                     os.O_RDWR | os.O_NOCTTY)
        yield vm


def test_init_obeys_poweroff_and_reboot(tuned):
    assert run(*tuned, sh="poweroff; sleep 60; exit 3").returncode == 0
    with Guest(*tuned, sh="echo booted; reboot; sleep 60") as vm:
        vm.wait_for("booted")
        vm.text = vm.text.split("booted", 1)[1]
        vm.wait_for("booted")


@pytest.mark.parametrize("kind", ["console", "hvc"])
def test_pty_console_carries_a_session_with_job_control(tuned, kind):
    with guest_on_pty(*tuned, kind=kind) as vm:
        # what cat repeats shows that it is in the foreground
        for typed, answer in [
                ("", "# "), ("echo $((6 * 7))\n", "42\r\n~ # "),
                ("sh -c 'echo up; exec cat'\n", "up\r\n"),
                ("a\n", "a\r\na\r\n"),
                ("\x1a", "Stopped"), ("", "# "), ("fg\n", "cat"),
                ("b\n", "b\r\nb\r\n"), ("\x03", "# "),
                ("echo $?\n", "130\r\n~ # "), ("exit 4\n", "exit 4")]:
            vm.send(typed)
            vm.text = vm.wait_for(answer).split(answer, 1)[1]
        assert vm.finish() == 4


@pytest.mark.portable
def test_a_lone_command_is_not_stopped_from_the_terminal(tuned):
    """Nobody could let it go on: ^Z does nothing, as in a container."""
    with guest_on_pty(*tuned, sh="echo up; sleep 3; echo wo''ke") as vm:
        vm.wait_for("up\r\n")
        vm.send("\x1a")
        vm.wait_for("woke")
        assert vm.finish() == 0


# --- every way to end ---

@pytest.mark.parametrize("args", [(), ("--hvc", "stdio")])
def test_panic_has_its_own_status(images, args):
    result = run("run", "--kernel", images.tuned, "--memory", "128M", *args)
    assert result.returncode == onggi.EXIT_PANIC
    assert result.stderr == "onggi: error: the guest kernel panicked\n"
    assert "Kernel panic" in result.stdout


def test_reboot_starts_again_unless_told_not_to(tuned):
    script = "echo booted; reboot -f; sleep 60"
    assert run(*tuned, "--no-reboot", sh=script).returncode == 0
    with Guest(*tuned, sh=script) as vm:
        vm.wait_for("booted")
        vm.text = vm.text.split("booted", 1)[1]
        vm.wait_for("booted")
        vm.signal(signal.SIGINT)
        assert vm.finish() == 128 + signal.SIGINT


@pytest.mark.parametrize("code, status", machine.TINY_GUESTS)
def test_tiny_guests_end_as_they_should(tmp_path, code, status):
    kernel = machine.tiny_guest(tmp_path / "guest", code)
    assert run("run", "--kernel", kernel).returncode == status


def test_rng_driver_can_be_unbound_and_bound_again(tuned):
    """Each time the device is reset and negotiated with anew."""
    result = run(*tuned, sh="""
        d=/sys/bus/virtio/drivers/virtio_rng
        for i in 1 2 3 4 5; do
            for v in $d/virtio*; do
                echo ${v##*/} >$d/unbind; echo ${v##*/} >$d/bind
            done
        done
        head -c 16 /dev/hwrng | wc -c""")
    assert result.stdout.strip() == "16" and result.returncode == 0


# --- the program itself ---

@pytest.mark.portable
def test_config_file_boots_the_same_guest(images, tmp_path):
    path = tmp_path / "vm.json"
    path.write_text(json.dumps({
        "kernel": str(images.tuned), "initrd": str(images.initramfs),
        "memory": "128M", "args": ["sh", "-c", "exit 5"]}))
    assert run("run", "--config", path).returncode == 5


@pytest.mark.portable
def test_ten_guests_run_at_once(images, tuned):
    guests = [Guest(*tuned, "--memory", "128M", sh=f"exit {10 + i}")
              for i in range(10)]
    try:
        assert [g.finish(240) for g in guests] == list(range(10, 20))
    finally:
        for guest in guests:
            guest.__exit__()


@pytest.mark.portable
def test_nothing_stays_in_the_way_after_a_kill(tuned, tmp_path):
    """No process is left, and the same guest starts again: neither the disk's
    lock nor the pidfile nor the tap of the one that was killed stop it."""
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    args = [*tuned, "--pidfile", tmp_path / "pid", "--disk", disk]
    if os.geteuid() == 0:
        args += ["--net", f"tap=onggi{os.getpid()}k"]
    with Guest(*args, sh="echo up; sleep 100", start_new_session=True) as vm:
        vm.wait_for("up")
        session = ["pgrep", "-s", str(vm.process.pid)]
        assert subprocess.run(session, check=False, text=True,
                              capture_output=True).stdout.split() == [
                                  str(vm.process.pid)]
        vm.process.kill()
        vm.process.wait()
        assert subprocess.run(session, check=False).returncode == 1
    result = run(*args, sh="exit 3")
    assert result.returncode == 3, result.stderr
    assert not (tmp_path / "pid").exists()


def test_a_guest_survives_the_loss_of_its_kernel_file(images, tmp_path):
    """Its text may be that file's until somebody writes to it."""
    kernel = tmp_path / "kernel"
    kernel.write_bytes(images.tuned.read_bytes())
    with Guest("run", "--kernel", kernel, "--initrd", images.initramfs,
               "--cpus", 2, sh="""
            echo up
            (while :; do cat /proc/self/maps >/dev/null; done) &
            read line
            find /proc /sys -type f -maxdepth 3 | wc -l
            exit 6""") as vm:
        vm.wait_for("up")
        kernel.write_bytes(bytes(20 << 20))
        kernel.write_bytes(b"")
        vm.send("go on\n")
        assert vm.finish() == 6, vm.text


def test_guest_memory_is_not_touched_before_the_guest_does(tuned):
    with Guest(*tuned, "--memory", "4G", sh="echo up; sleep 100") as vm:
        vm.wait_for("up")
        status = open(f"/proc/{vm.process.pid}/status", encoding="ascii")
        with status:
            rss = int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])
        # the kernel's page structs for 4 GiB are 64 MiB of it
        assert rss < 400 * 1024


# --- the power button ---

@pytest.mark.parametrize("kernel", machine.BUTTON_KERNELS)
def test_a_guest_hears_the_power_button(images, tmp_path, kernel):
    """On tuned kernels that know of one; a script takes the event, 24 bytes
    when it is pressed."""
    needs_built(kernel)
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    with Guest("run", "--kernel", getattr(images, kernel), "--initrd",
               images.initramfs, "--disk", disk, "--stop-timeout", 60, sh=f"""
            cat /sys/block/vda/size
            ls {machine.BUTTON_PLACE} | grep -q {machine.BUTTON} && echo found
            exec 3</dev/input/event0
            echo up
            head -c 24 <&3 | wc -c
            exit 5""") as vm:
        vm.wait_for("up")
        vm.signal()
        assert vm.finish() == 5
        assert vm.text.split() == ["2048", "found", "up", "24"]


# --- a stock distribution ---

@pytest.fixture(name="stock")
def stock_kernel(images):
    """Debian's unmodified kernel with its own initrd and a Debian root."""
    return ["run", "--kernel", images.debian_vmlinuz, "--initrd",
            images.debian_initrd, "--disk",
            f"{images.debian_root},root,readonly", "--memory", "512M"]


def log_in(vm):
    """From the prompt to a shell, and until systemd-logind obeys the button."""
    vm.wait_for("login:", 400)
    vm.send("root\n")
    vm.wait_for("root@onggi:~#", 100)
    vm.send("until systemctl is-active systemd-logind; do sleep 1; done\n")
    vm.wait_for("\ractive\r\n", 100)


@pytest.mark.portable  # what the power button's and the next one show, too
def test_stock_debian_reaches_a_login_prompt_and_powers_off(stock):
    """systemd from start to login, and its own power-off."""
    with Guest(*stock) as vm:
        log_in(vm)
        vm.send(f"ls {machine.BUTTON_PLACE}\n")
        vm.wait_for(machine.BUTTON, 60)
        vm.send("systemctl poweroff\n")
        assert vm.finish(250) == 0, vm.text[-2000:]


def test_stock_debian_obeys_the_power_button(images, tmp_path):
    """SIGTERM ends it in order, and leaves its file system clean. Its console
    is a virtio console, whose driver comes late."""
    root = tmp_path / "root.ext4"
    subprocess.run(["cp", "--sparse=always", images.debian_root, root],
                   check=True)
    kernel, initrd = (getattr(images, name) for name in machine.BUTTON_STOCK)
    with Guest("run", "--kernel", kernel, "--initrd", initrd, "--disk",
               f"{root},root", "--memory", "512M", "--stop-timeout", 400,
               "--hvc", "stdio", "--cmdline",
               "systemd.wants=serial-getty@hvc0.service") as vm:
        log_in(vm)
        vm.signal()
        assert vm.finish(400) == 0, vm.text[-2000:]
    check = subprocess.run(["e2fsck", "-n", root], capture_output=True,
                           text=True, check=False)
    assert check.returncode == 0 and ": clean," in check.stdout, check


def test_stock_debian_runs_one_command(stock):
    result = run(*stock, "--cpus", 2, "--cmdline",
                 "init=/usr/lib/onggi/init", sh="uname -r; nproc; exit 3",
                 timeout=200)
    assert result.returncode == 3, result.stderr
    assert machine.STOCK_KERNEL in result.stdout and "\n2" in result.stdout.replace(
        "\r", "")
