#!/usr/bin/env python3
"""Writes the seeds of fuzz_kernel to the folder given (corpus/kernel).

Each file: one byte that chooses the protocol, then the kernel file.
"""
import pathlib
import struct
import sys

AUTO, PVH, LINUX64 = 0, 1, 2


def elf(phdrs, body, entry=0x200000, machine=62, cls=2, data=1):
    head = struct.pack(
        "<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", cls, data, 1, 0, 2, machine, 1,
        entry, 64, 0, 0, 64, 56, len(phdrs), 0, 0, 0)
    return head + b"".join(phdrs) + body


def phdr(kind, offset, paddr, filesz, memsz, align=4):
    return struct.pack("<IIQQQQQQ", kind, 7, offset,
                       0xFFFFFFFF80000000 + paddr, paddr, filesz, memsz, align)


def note(desc, name=b"Xen\0", kind=18):
    return struct.pack("<III", len(name), len(desc), kind) + name + desc


def bzimage(version=0x20F, xloadflags=1, code=b"\xf4" * 0x300):
    image = bytearray(5 * 512)
    image[0x1F1] = 4
    struct.pack_into("<I", image, 0x1F4, len(code) // 16)
    struct.pack_into("<H", image, 0x1FE, 0xAA55)
    image[0x200:0x202] = b"\xeb\x6a"
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, version)
    image[0x211] = 1
    struct.pack_into("<III", image, 0x22C, 0x7FFFFFFF, 0x200000, 0x00000001)
    struct.pack_into("<HI", image, 0x236, xloadflags, 2047)
    struct.pack_into("<QI", image, 0x258, 0x200000, 0x100000)
    return bytes(image) + code


def seeds():
    pvh = note(struct.pack("<I", 0x200000))
    pvh8 = note(struct.pack("<Q", 0x200000))
    load = phdr(1, 64 + 112, 0x200000, 20, 0x1000)
    pvh_elf = elf([load, phdr(4, 64 + 112, 0, 20, 0)], pvh)
    plain = elf([phdr(1, 64 + 56, 0x200000, 16, 0x1000)], b"\xf4" * 16)
    yield "elf-pvh", AUTO, pvh_elf
    yield "elf-pvh-forced", PVH, pvh_elf
    yield "elf-pvh-8", PVH, elf(
        [phdr(1, 64 + 112, 0x200000, 24, 0x1000),
         phdr(4, 64 + 112, 0, 24, 0, 8)], pvh8)
    yield "elf-linux64", LINUX64, pvh_elf
    yield "elf-plain", AUTO, plain
    yield "elf-truncated", AUTO, plain[:100]
    yield "elf-arm64", AUTO, elf([], b"", machine=183)
    yield "elf-32", AUTO, elf([], b"", cls=1)
    yield "elf-big-endian", AUTO, elf([], b"", data=2)
    yield "bzimage", AUTO, bzimage()
    yield "bzimage-forced-pvh", PVH, bzimage()
    yield "bzimage-old", AUTO, bzimage(version=0x20B)
    yield "bzimage-32", AUTO, bzimage(xloadflags=0)
    yield "bzimage-truncated", AUTO, bzimage()[:0x240]
    yield "gzip", AUTO, b"\x1f\x8b\x08\0"
    yield "text", AUTO, b"#!/bin/sh\n"
    yield "empty", AUTO, b""


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, choice, data in seeds():
        (folder / name).write_bytes(bytes([choice]) + data)


main()
