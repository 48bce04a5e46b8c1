"""qemu-storage-daemon as a vhost-user server of a disk."""

import shutil
import subprocess
import time

import pytest

PROGRAM = "qemu-storage-daemon"
needs_storage_daemon = pytest.mark.skipif(
    not shutil.which(PROGRAM) or not shutil.which("qemu-img"),
    reason=f"no {PROGRAM} and qemu-img (Debian: qemu-system-common, "
           "qemu-utils)")


class StorageDaemon:
    """Serves a new qcow2 image of so many MiB; may be killed and started
    again."""

    def __init__(self, directory, mib, options="writable=on"):
        self.image = directory / "disk.qcow2"
        self.socket = directory / "disk.sock"
        self.options = options
        self.process = None
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.image,
                        f"{mib}M"], check=True)

    def start(self):
        self.socket.unlink(missing_ok=True)
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            [PROGRAM, "--blockdev",
             f"driver=file,node-name=file,filename={self.image}", "--blockdev",
             "driver=qcow2,node-name=disk,file=file", "--export",
             "type=vhost-user-blk,id=export,node-name=disk,addr.type=unix,"
             f"addr.path={self.socket},{self.options}"])
        end = time.monotonic() + 60
        while not self.listens():
            assert self.process.poll() is None and time.monotonic() < end
            time.sleep(0.05)

    def listens(self):
        """Asked without a connection, which would be the one it serves."""
        with open("/proc/net/unix", encoding="utf-8") as sockets:
            return any(line.endswith(f" {self.socket}\n") for line in sockets)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
