"""What the tests know of an x86-64 machine."""

import struct
from pathlib import Path

IMAGES = ""  # below the folder of all images
KERNEL = "vmlinux"
# Every way to boot the tuned kernel: image and options.
BOOT_WAYS = [("bzImage", ()), ("vmlinux", ("--boot", "pvh")),
             ("vmlinux", ("--boot", "linux64"))]
CLOCKS = ("kvm-clock", "tsc")
# Says in a guest that it knows whose guest it is.
KNOWS_HYPERVISOR = "grep -q -w hypervisor /proc/cpuinfo"
HAS_CONTROLLER = "grep -q IO-APIC /proc/interrupts"
MADE = {}  # images that are made of others
STOCK_KERNEL = "cloud-amd64"
# Where a stock guest finds the power button, and as what; the kernel that has
# a driver for it.
BUTTON_PLACE, BUTTON = "/sys/bus/acpi/devices", "PNP0C0C"
BUTTON_STOCK = ("debian_vmlinuz", "debian_initrd")
# Whether a file system of it has DAX.
STOCK_HAS_DAX = True
# Tuned kernels that know of a power button.
BUTTON_KERNELS = ["vmlinux-acpi", "bzImage-acpi"]
# Tuned kernels that only some have built, with the size of their pages.
VARIANTS = {"vmlinux-acpi": 4096}
LOADER = "/lib64/ld-linux-x86-64.so.2"
QEMU = "qemu-system-x86_64"
QEMU_CMDLINE = "console=ttyS0 reboot=t"


def tiny_guest(path, code):
    """Writes an ELF that enters 32-bit code at 1 MiB by its PVH note."""
    entry, offset = 0x100000, 0x1000
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", entry)
    header = struct.pack("<4s5B7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, 2,
                         62, 1, entry, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, offset, entry, entry, len(code),
                       len(code), 0x1000)
    notes = struct.pack("<IIQQQQQQ", 4, 4, 64 + 2 * 56, 0, 0, len(note),
                        len(note), 4)
    image = header + load + notes + note
    Path(path).write_bytes(image.ljust(offset, b"\0") + code)
    return path


# mov al, 0xfe; out 0x64, al; hlt: the keyboard controller's reset
NULL_GUEST = b"\xb0\xfe\xe6\x64\xf4"
# lidt with a limit of 0; ud2: nobody to take the exception
TRIPLE_FAULT = b"\x0f\x01\x1d\x00\x10\x10\x00\x0f\x0b"
# jmp to 0xd1000000, where there is no memory to fetch from
RUN_FROM_NOWHERE = b"\xb8\x00\x00\x00\xd1\xff\xe0"
# mov dx, 0x605; mov al, 42; out; mov dx, 0x600; mov al, 0x34; out: power-off
# with an exit code
POWER_OFF_42 = (b"\x66\xba\x05\x06\xb0\x2a\xee"
                b"\x66\xba\x00\x06\xb0\x34\xee\xf4")
# cli; hlt; jmp back: sits there for good
SLEEP = b"\xfa\xf4\xeb\xfc"
# mov dx, 0x3f8; mov al, 'o'; out; mov al, 'k'; out, then as POWER_OFF_42
HELLO = b"\x66\xba\xf8\x03\xb0\x6f\xee\xb0\x6b\xee" + POWER_OFF_42

# For benchmarks: a reset, and where nobody listens for it a triple fault.
ENDS_AT_ONCE = NULL_GUEST[:-1] + TRIPLE_FAULT

# How tiny guests end: code and onggi's exit status.
TINY_GUESTS = [(TRIPLE_FAULT, 81), (RUN_FROM_NOWHERE, 70), (POWER_OFF_42, 42),
               (HELLO, 42)]
