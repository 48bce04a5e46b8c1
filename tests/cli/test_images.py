"""What the image builders do where they cannot build; nothing is built here."""

import os
import shlex
import subprocess

from common import onggi

LIBRARIES = [onggi.ROOT / "guest-images" / name
             for name in ("lib.sh", "debian.sh")]


def test_nothing_stays_where_no_namespace_can_be_made(tmp_path):
    """Whatever stays holds stderr open."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, script in {"arch-test": "exit 1", "unshare": "exit 5",
                         "id": "echo 0", "qemu-aarch64-static": ""}.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
        (tools / name).chmod(0o755)
    sources = "".join(f". {shlex.quote(str(file))}\n" for file in LIBRARIES)
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", sources + """
         arch=arm64 debian_arch=arm64 compiler=aarch64-linux-gnu
         run_foreign true"""],
        cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path),
                           "PATH": f"{tools}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
        timeout=60)
    assert result.returncode == 5, result.stderr
