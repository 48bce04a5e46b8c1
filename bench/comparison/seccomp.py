"""How many system calls a process may make: its seccomp filters, as the kernel
has them (ptrace(2), PTRACE_SECCOMP_GET_FILTER), tried with every number."""

import ctypes
import os
import re
import struct
from pathlib import Path

import runs

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
PTRACE_SECCOMP_GET_FILTER = 0x420c
ARCHITECTURES = {"x86_64": 0xc000003e, "arm64": 0xc00000b7}  # linux/audit.h
SECCOMP_RET_LOG = 0x7ffc0000  # this and what is above is let through
STRICT = 4  # system calls of mode 1: seccomp(2)

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.restype = ctypes.c_long
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p,
                        ctypes.c_void_p]


def numbers():
    """Of all system calls of this architecture, by the kernel's header."""
    folder = "x86_64-linux-gnu/" if runs.ARCH == "x86_64" else \
        "aarch64-linux-gnu/"
    for name in (f"{folder}asm/unistd_64.h", "asm-generic/unistd.h"):
        path = Path("/usr/include") / name
        if path.exists():
            return sorted({int(n) for n in re.findall(
                r"#define __NR\w*_\w+\s+(\d+)",
                path.read_text(encoding="ascii"))})
    raise runs.RunFailed("the kernel's header of system calls is missing "
                         "(package linux-libc-dev)")


def _ptrace(request, pid, addr=0, data=0):
    result = LIBC.ptrace(request, pid, addr, data)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace of {pid}: {os.strerror(error)}")
    return result


def filters(pid):
    """The programs, each a list of (code, jt, jf, k)."""
    _ptrace(PTRACE_SEIZE, pid)
    try:
        _ptrace(PTRACE_INTERRUPT, pid)
        os.waitpid(pid, 0x40000000)  # __WALL
        found = []
        while True:
            try:
                length = _ptrace(PTRACE_SECCOMP_GET_FILTER, pid, len(found))
            except OSError:
                return found
            program = ctypes.create_string_buffer(8 * length)
            _ptrace(PTRACE_SECCOMP_GET_FILTER, pid, len(found),
                    ctypes.addressof(program))
            found.append(list(struct.iter_unpack("=HBBI", program.raw)))
    finally:
        _ptrace(PTRACE_DETACH, pid)


def verdict(program, data):
    """What a classic BPF program says of struct seccomp_data. Only what
    seccomp allows such a program: loads of 32 bits, jumps, arithmetic."""
    a = x = at = 0
    scratch = [0] * 16
    while True:
        code, jt, jf, k = program[at]
        at += 1
        kind, source = code & 7, x if code & 8 else k
        if kind == 0:  # BPF_LD
            mode = code & 0xe0
            a = k if mode == 0 else scratch[k] if mode == 0x60 else \
                len(data) if mode == 0x80 else \
                struct.unpack_from("=I", data, k)[0]
        elif kind == 1:  # BPF_LDX
            mode = code & 0xe0
            x = k if mode == 0 else scratch[k] if mode == 0x60 else len(data)
        elif kind == 2:
            scratch[k] = a
        elif kind == 3:
            scratch[k] = x
        elif kind == 4:  # BPF_ALU
            a = _arithmetic(code & 0xf0, a, source) & 0xffffffff
        elif kind == 5:  # BPF_JMP
            operation = code & 0xf0
            if operation == 0:
                at += k
            else:
                true = {0x10: a == source, 0x20: a > source,
                        0x30: a >= source, 0x40: a & source}[operation]
                at += jt if true else jf
        elif kind == 6:  # BPF_RET
            return a if code & 0x18 == 0x10 else k
        elif code & 0xf8:
            a = x  # BPF_TXA
        else:
            x = a


def _arithmetic(operation, a, b):
    return {0x00: lambda: a + b, 0x10: lambda: a - b, 0x20: lambda: a * b,
            0x30: lambda: a // b if b else 0, 0x40: lambda: a | b,
            0x50: lambda: a & b, 0x60: lambda: a << (b & 31),
            0x70: lambda: a >> (b & 31), 0x80: lambda: -a,
            0x90: lambda: a % b if b else 0, 0xa0: lambda: a ^ b}[operation]()


def allowed(pid):
    """How many system calls its filters let through, arguments being 0."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    mode = re.search(r"^Seccomp:\s+(\d)", status, re.M)[1]
    if mode == "1":
        return STRICT
    programs = filters(pid) if mode == "2" else []
    architecture = ARCHITECTURES[runs.ARCH]
    return sum(
        all(verdict(program, struct.pack("=iIQ6Q", number, architecture,
                                         *[0] * 7)) & 0xffff0000
            >= SECCOMP_RET_LOG for program in programs)
        for number in numbers())
