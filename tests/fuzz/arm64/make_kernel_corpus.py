#!/usr/bin/env python3
"""Writes the seeds of fuzz_kernel to the folder given (corpus/arm64/kernel)."""
import gzip
import pathlib
import struct
import subprocess
import sys

BODY = bytes(i * (i >> 5) & 0xFF for i in range(600))


def image(text_offset=0, size=0x10000, flags=0xA, body=BODY, pe=0):
    return struct.pack("<2sHIQQQ24s4sI", b"MZ", 0, 0, text_offset, size, flags,
                       b"", b"ARM\x64", pe) + body


def efi(raw_size):
    head = struct.pack("<4sHH12sHH", b"PE", 0xAA64, 1, b"", 16, 0)
    section = struct.pack("<8sIIII16s", b".text", 0, 0, raw_size, 64, b"")
    return head + bytes(16) + section + BODY


def zboot(payload, compression, offset=64, size=None):
    if size is None:
        size = len(payload)
    head = struct.pack("<2sH4sII8s32s", b"MZ", 0, b"zimg", offset, size, b"",
                       compression)
    return head.ljust(64, b"\0") + payload


def pack_gzip(data):
    return gzip.compress(data, mtime=0)


def pack_zstd(data):
    return subprocess.run(["zstd", "-q", "-c", "-19"], input=data,
                          stdout=subprocess.PIPE, check=True).stdout


def seeds():
    yield "image", image()
    yield "image-efi", image(body=efi(680), pe=64)
    yield "image-efi-truncated", image(body=efi(681), pe=64)
    yield "image-efi-outside", image(pe=1 << 31)
    yield "image-offset", image(text_offset=0x80000)
    yield "image-far-offset", image(text_offset=1 << 63)
    yield "image-old", image(size=0)
    yield "image-big-endian", image(flags=1)
    yield "image-large", image(size=1 << 40)
    yield "image-long", image(size=100)
    yield "image-truncated", image()[:60]
    for name, pack in ("gzip", pack_gzip), ("zstd", pack_zstd):
        packed = pack(image())
        yield "zboot-" + name, zboot(packed, name.encode())
        yield "zboot-%s-truncated" % name, zboot(packed[:-9], name.encode())
        yield "zboot-%s-outside" % name, zboot(packed, name.encode(),
                                               offset=0xFFFFFFFF)
        yield "zboot-%s-corrupt" % name, zboot(
            packed[:90] + b"\xa5" + packed[91:], name.encode())
        yield "zboot-%s-bomb" % name, zboot(
            pack(image(size=0x20000, body=bytes(0x40000))), name.encode())
        yield "zboot-%s-no-kernel" % name, zboot(pack(BODY), name.encode())
    yield "zboot-lzma", zboot(b"\x5d\0\0", b"lzma")
    yield "zboot-unterminated", zboot(b"", b"x" * 32)
    yield "image-gz", pack_gzip(image())
    yield "image-gz-two-members", pack_gzip(image()) + pack_gzip(BODY)
    yield "bzimage", b"MZ".ljust(0x202, b"\0") + b"HdrS".ljust(14, b"\0")
    yield "text", b"#!/bin/sh\n"
    yield "empty", b""


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds():
        (folder / name).write_bytes(data)


main()
