"""What the tests know of an arm64 machine."""

import gzip
import os
import struct
from pathlib import Path

IMAGES = "arm64"  # below the folder of all images
KERNEL = "Image"
# Every way to boot the tuned kernel: image and options.
BOOT_WAYS = [("Image", ()), ("zboot", ())]
CLOCKS = ("arch_sys_counter",)
# Says in a guest that it knows whose guest it is.
KNOWS_HYPERVISOR = "grep -q hvc /proc/device-tree/psci/method"
# Its interrupt controller is the host's, of which the testbed may be told.
HAS_CONTROLLER = "grep -q %s /proc/interrupts" % (
    "GIC-0" if os.environ.get("ONGGI_TESTBED_GIC") == "2" else "GICv3")
STOCK_KERNEL = "cloud-arm64"
# Where a stock guest finds the power button, and as what; the kernel that has
# a driver for it: Debian's cloud kernel is without.
BUTTON_PLACE, BUTTON = "/proc/device-tree", "gpio-keys"
BUTTON_STOCK = ("generic_vmlinuz", "generic_initrd")
# Whether a file system of it has DAX.
STOCK_HAS_DAX = False
# Tuned kernels that know of a power button.
BUTTON_KERNELS = ["Image"]
# Tuned kernels that only some have built, with the size of their pages.
VARIANTS = {"Image-64k": 65536}
LOADER = "/lib/ld-linux-aarch64.so.1"
QEMU = "qemu-system-aarch64"
QEMU_CMDLINE = "console=ttyAMA0"


def _zboot(image):
    """An EFI image that has a compressed kernel in it, as distributions ship
    them (Linux drivers/firmware/efi/libstub/zboot-header.S)."""
    payload = gzip.compress(image, 1)
    header = struct.pack("<4s4sII8x32s", b"MZ\0\0", b"zimg", 64,
                         len(payload), b"gzip")
    return header.ljust(64, b"\0") + payload


MADE = {"zboot": _zboot}  # images that are made of the tuned kernel


def tiny_guest(path, code, size=0x10000):
    """Writes an Image whose first instruction, after the header's two, is
    that of code, and that wants size bytes of memory."""
    header = struct.pack("<IIQQQQQQ4sI", 0x14000010, 0, 0, size, 0xa, 0, 0, 0,
                         b"ARM\x64", 0)
    Path(path).write_bytes(header + code)
    return path


def _words(*words):
    return struct.pack(f"<{len(words)}I", *words)


# mov x1, #0x9020000 (power registers); mov w0, #1; strb w0, [x1, #2]: reset
NULL_GUEST = _words(0xd2a12041, 0x52800020, 0x39000820)
# mov x1, #0x9000000; ldp x2, x3, [x1]: an access to a device that the processor
# does not take apart for KVM
PAIR_FROM_DEVICE = _words(0xd2a12001, 0xa9400c22)
# mov x1, #0x9020000; mov w0, #42; strb w0, [x1, #5]; mov w0, #0x34;
# strb w0, [x1]: power-off with an exit code
POWER_OFF_42 = _words(0xd2a12041, 0x52800540, 0x39001420, 0x52800680,
                      0x39000020)
# wfi; b back: sits there for good
SLEEP = _words(0xd503207f, 0x17ffffff)
# mov x1, #0x9000000 (serial port); mov w0, 'o'; strb; mov w0, 'k'; strb, then
# as POWER_OFF_42
HELLO = _words(0xd2a12001, 0x52800de0, 0x39000020, 0x52800d60,
               0x39000020) + POWER_OFF_42

# ldr w1, [x0]; movz w2, #0x0dd0; movk w2, #0xedfe, lsl #16; cmp w1, w2;
# b.ne to the last two; mov w3, #9; mov x4, #0x9020000; strb w3, [x4, #5];
# movz w0, #8; movk w0, #0x8400, lsl #16; hvc #0: PSCI's power-off, with 9 as
# exit code when the first thing in x0 is a device tree's magic number
POWER_OFF_9_BY_TREE = _words(
    0xb9400001, 0x5281ba02, 0x72bdbfc2, 0x6b02003f, 0x54000081, 0x52800123,
    0xd2a12044, 0x39001483, 0x52800100, 0x72b08000, 0xd4000002)

# For benchmarks.
ENDS_AT_ONCE = NULL_GUEST

# How tiny guests end: code and onggi's exit status.
TINY_GUESTS = [(PAIR_FROM_DEVICE, 70), (POWER_OFF_42, 42), (HELLO, 42)]
