"""Initial file systems for guests: cpio archives, of which the kernel unpacks
several that follow each other (Linux: buffer-format.rst)."""

import stat
from pathlib import Path

import runs


class Archive:
    """A cpio archive that grows, in the "newc" format."""

    def __init__(self):
        self.data = bytearray()
        self.names = set()

    def _entry(self, name, mode, content):
        fields = [len(self.names) + 1, mode, 0, 0, 1, 0, len(content), 0, 0, 0,
                  0, len(name) + 1, 0]
        self.data += b"070701" + b"".join(b"%08X" % f for f in fields)
        for part in (name.encode() + b"\0", content):
            self.data += part
            self.data += bytes(-len(self.data) % 4)
        self.names.add(name)

    def add(self, name, content, permissions=0o755):
        """A file, and the folders that it is in."""
        if name in self.names:
            return
        for folder in reversed(Path(name).parents[:-1]):
            if str(folder) not in self.names:
                self._entry(str(folder), stat.S_IFDIR | 0o755, b"")
        self._entry(name, stat.S_IFREG | permissions, content)

    def add_program(self, program):
        """Into bin/, with its libraries where its loader looks for them."""
        loader = Path(runs.machine.LOADER)
        self.add(f"bin/{Path(program).name}", Path(program).read_bytes())
        for library in runs.libraries_of(program):
            self.add(f"lib/{library.name}", library.read_bytes())
            self.add(str(loader).lstrip("/"), loader.read_bytes())

    def finish(self):
        self._entry("TRAILER!!!", 0, b"")
        return self.data
