"""Shared set-up of the boot tests, and their division into shards."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from onggi import images_dir, machine  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "portable: the architecture has no part in what it proves, "
        "or only one that another test without this mark has, too. Such tests "
        "are left out where a machine of another architecture than the host's "
        "is emulated for them, which takes long: the host's own boot tests "
        "prove it.")


def pytest_addoption(parser):
    parser.addoption("--shard", default="0/1",
                     help="I/N: run every N-th test, starting with the I-th")


def pytest_collection_modifyitems(config, items):
    index, count = map(int, config.getoption("--shard").split("/"))
    config.hook.pytest_deselected(
        items=[t for i, t in enumerate(items) if i % count != index])
    items[:] = items[index::count]


class Images:
    """Guest images by name. Copied into tmpfs when first asked for: the
    emulated testbed reads its files over a slow share."""

    def __init__(self, directory):
        self.directory = directory

    @property
    def tuned(self):
        """The tuned kernel in the form that boots fastest."""
        return getattr(self, machine.KERNEL)

    def __getattr__(self, name):
        if name in machine.MADE and not (self.directory / name).exists():
            (self.directory / name).write_bytes(
                machine.MADE[name](self.tuned.read_bytes()))
        file = {"initramfs": "initramfs.cpio"}.get(name,
                                                   name.replace("_", "-"))
        copy = self.directory / file
        if not copy.exists():
            shutil.copyfile(images_dir() / file, copy)
        return copy

    @property
    def debian_root(self):
        """Too large to copy, so always given to guests as read-only."""
        return images_dir() / "debian-root.ext4"


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    return Images(tmp_path_factory.mktemp("images"))
