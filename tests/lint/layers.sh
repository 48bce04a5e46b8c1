#!/bin/bash
# The arrows of ARCHITECTURE.md: who may include whom.
set -euo pipefail
cd "$(dirname "$0")/../.."

bad=0
# forbid WHERE PATTERN WHY: no source below WHERE includes what matches.
forbid() {
    local hits
    [ -d "$1" ] || { echo "$1: no such room"; bad=1; }
    hits=$(grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($2)" \
        -r "$1" --include='*.[ch]' || :)
    [ -z "$hits" ] && return
    printf '%s\n' "$hits" | sed "s|$| -- $3|"
    bad=1
}

forbid abi '' "abi/ is for programs of any kind and includes nothing"
forbid base '(abi|devices|boot|vmm|tests)/' "base/ knows only libc"
forbid base 'linux/|jansson|liburing' "base/ knows only libc"
forbid devices '(boot|vmm|tests)/' "devices/ sits on abi/ and base/ alone"
forbid boot '(devices|vmm|tests)/' "boot/ sits on abi/ and base/ alone"
forbid devices 'linux/kvm\.h' "devices/ does not know KVM"
forbid boot 'linux/kvm\.h' "boot/ does not know KVM"
forbid vmm 'tests/' "the program does not know its tests"

# Families of devices know each other only by virtio/ and vhost_user/.
for family in block console net platform vsock; do
    siblings=$(printf '%s|' block console net platform vsock | sed "s/$family|//")
    forbid devices/$family "devices/(${siblings%|})/" \
        "a family of devices knows virtio/ and vhost_user/ alone"
done
forbid devices/virtio 'devices/[^v]|devices/v(host|sock)|devices/virtio_' \
    "devices/virtio/ serves all families and knows none"
forbid devices/vhost_user 'devices/[^v]|devices/vsock|devices/virtio_' \
    "devices/vhost_user/ knows virtio/ alone"

one_user() { # LIBRARY FILE
    local users
    users=$(grep -lE "#include <$1" -r abi base devices boot vmm || :)
    [ "$users" = "$2" ] && return
    echo "$1 has one user, $2, but is included by: $users"
    bad=1
}
one_user liburing.h devices/block/block_uring.c
one_user jansson.h vmm/config/config_json.c
one_user libfdt.h boot/arm64/fdt.c
one_user zlib.h boot/arm64/unpack.c
one_user zstd.h boot/arm64/unpack.c

# What belongs to one architecture stands in the folders named after it: other
# files neither ask the compiler or KVM about it, nor include from there, nor
# speak its name. kernel.c knows the files that people pass by mistake.
arch='x86|amd64|aarch64|arm64|__i386__|<(cpuid|[a-z]*mmintrin|asm/[a-z_]*)\.h>'
arch+='|\bkvm_(s?regs|fpu|xsave|xcrs|msrs?|msr_entry|cpuid2?|cpuid_entry2?|lapic_state)\b'
others=$(find abi base devices boot vmm \( -name x86_64 -o -name arm64 \) -prune -o \
    -name '*.[ch]' -exec grep -niE "$arch" {} + |
    grep -vE '^boot/kernel\.c:[0-9]*:	\{ (16|56|0x202), MAGIC' || :)
if [ -n "$others" ]; then
    printf '%s -- belongs into a folder named after its architecture\n' "$others"
    bad=1
fi
exit $bad
