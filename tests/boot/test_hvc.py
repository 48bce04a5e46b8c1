"""The virtio console: Linux's driver, and what it does to onggi."""

import fcntl
import os
import re
import select
import signal
import struct
import termios
import threading
import time

import pytest
from onggi import Guest, run


def talk(fd, heard, enough):
    """Reads all there is, and types all the time, until the other end goes."""
    while not enough.is_set():
        try:
            if select.select([fd], [], [], 0.01)[0]:
                heard.append(os.read(fd, 65536))
            if select.select([], [fd], [], 0)[1]:
                os.write(fd, b"typed\n")
        except OSError:
            break


def set_size(vm, columns, rows):
    fcntl.ioctl(vm.master, termios.TIOCSWINSZ,
                struct.pack("<4H", rows, columns, 0, 0))


@pytest.mark.portable
def test_a_terminal_is_carried_whole_and_across_a_reboot(images, tmp_path):
    """More output than a slow reader's buffers hold, input, and the size of
    the terminal, which changes; then all of it again after a reboot."""
    serial = tmp_path / "serial"
    line_end = ",".join(map(str, range(1, 31)))
    with Guest("run", "--kernel", images.tuned, "--initrd", images.initramfs,
               "--hvc", "stdio", "--console", f"file={serial}",
               terminal=True, sh="""
            until [ "$(stty size)" = "40 100" ]; do sleep 0.1; done
            stty -echo
            echo start
            seq 1 1000 | sed "s/$/ $(seq -s , 30)/"
            echo done
            read line
            echo "got $line"
            until [ "$(stty size)" = "55 66" ]; do sleep 0.1; done
            echo resized >/dev/ttyS0
            [ "$line" != again ] || { reboot; sleep 60; }
            exit 7""") as vm:
        for count, line in enumerate(("again", "enough"), 1):
            set_size(vm, 100, 40)
            vm.signal(signal.SIGWINCH)
            vm.wait_for("start")
            time.sleep(3)
            text = vm.wait_for("done\r\n", 200)
            numbers = [int(n) for n in re.findall(
                rf"^(\d+) {line_end}\r$", text, re.M)]
            assert numbers == list(range(1, 1001)), text[-300:]
            vm.send(line + "\n")
            vm.text = vm.wait_for(f"got {line}").split(f"got {line}", 1)[1]
            set_size(vm, 66, 55)
            vm.signal(signal.SIGWINCH)
            end = time.monotonic() + 60
            while serial.read_text().count("resized") != count:
                assert time.monotonic() < end, serial.read_text()
                time.sleep(0.1)
        assert vm.finish() == 7


def test_input_from_a_pipe_waits_for_its_reader(images):
    """It is there before the driver is; nothing is printed first."""
    result = run("run", "--kernel", images.tuned, "--initrd",
                 images.initramfs, "--hvc", "stdio", "--console", "none",
                 stdin="".join(f"line {i}\n" for i in range(1000)),
                 sh="""
            stty -echo
            sum=0
            while read word number; do
                sum=$((sum + number))
                [ $number != 999 ] || break
            done
            echo $sum""")
    assert result.stdout.endswith(f"{999 * 500}\n"), result.stdout
    assert result.returncode == 0


def test_driver_can_be_unbound_and_bound_again_in_traffic(images, tmp_path):
    """Both ways; the shell itself is on the serial port. One vCPU, as Linux
    6.12 takes what another prints meanwhile for a buffer of its own, and frees
    it."""
    with Guest("run", "--kernel", images.tuned, "--initrd", images.initramfs,
               "--hvc", "pty", "--console", "stdio", "--cmdline",
               "console=ttyS0", sh="""
            d=/sys/bus/virtio/drivers/virtio_console
            v=$(basename $d/virtio*)
            for i in 1 2 3 4 5; do
                yes >/dev/hvc0 2>/dev/null &
                cat </dev/hvc0 >/dev/null 2>&1 &
                sleep 0.2
                echo $v >$d/unbind
                wait
                echo $v >$d/bind
            done
            echo all is well >/dev/hvc0
            exit 6""") as vm:
        path = vm.process.stderr.readline().decode().split()[-1]
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        heard, enough = [], threading.Event()
        user = threading.Thread(target=talk, args=(fd, heard, enough))
        user.start()
        try:
            assert vm.finish(200) == 6, vm.text
        finally:
            enough.set()
            user.join()
        os.close(fd)
        text = b"".join(heard)
        assert text.count(b"y\r\n") > 100 and b"all is well\r\n" in text
