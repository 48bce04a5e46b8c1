"""The ways in which onggi speaks to passt, for tests of all of them."""

import os
import shutil
from pathlib import Path

import pytest

from onggi import images_dir

# For --net: over the stream socket, to whichever passt the host has, and over
# vhost-user, to Debian 13's.
WAYS = [("user,stream", Path(shutil.which("passt") or "/none/passt").parent,
         "passt is not installed"),
        ("user", images_dir() / "passt-root",
         "guest-images/build passt has not been run")]

# Of a test that takes the words for --net and the folder of that passt.
each_way = pytest.mark.parametrize(
    "net, folder",
    [pytest.param(net, folder, id=net, marks=pytest.mark.skipif(
        not (folder / "passt").exists(), reason=reason))
     for net, folder, reason in WAYS])


def with_first(folder):
    """An environment in which a folder's programs come before others."""
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
