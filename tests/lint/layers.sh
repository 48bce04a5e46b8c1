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

forbid base '(devices|boot|vmm|tests)/' "base/ knows only libc"
forbid base 'linux/|jansson|liburing' "base/ knows only libc"
forbid devices '(boot|vmm|tests)/' "devices/ sits on base/ alone"
forbid boot '(devices|vmm|tests)/' "boot/ sits on base/ alone"
forbid devices 'linux/kvm\.h' "devices/ does not know KVM"
forbid boot 'linux/kvm\.h' "boot/ does not know KVM"
forbid vmm 'tests/' "the program does not know its tests"

one_user() { # LIBRARY FILE
    local users
    users=$(grep -lE "#include <$1" -r base devices boot vmm || :)
    [ "$users" = "$2" ] && return
    echo "$1 has one user, $2, but is included by: $users"
    bad=1
}
one_user liburing.h devices/block_uring.c
one_user jansson.h vmm/config_json.c

# What belongs to one architecture stands in files named after it: others ask
# neither the compiler nor KVM about it, nor include its headers. The exceptions
# are named after a format that only x86 has, or are the seam itself.
arch='__x86_64__|__i386__|__aarch64__|<(cpuid|[a-z]*mmintrin|asm/[a-z_]*)\.h>'
arch+='|"(boot|devices|vmm)/[a-z0-9_]*(x86_64|aarch64)[a-z0-9_]*\.h"'
arch+='|\bkvm_(s?regs|fpu|xsave|xcrs|msrs?|msr_entry|cpuid2?|cpuid_entry2?|lapic_state)\b'
others=$(find base devices boot vmm -name '*.[ch]' ! -name '*x86_64*' \
    ! -name '*aarch64*' -exec grep -nE "$arch" {} + |
    grep -vE '^(vmm/arch_state\.h|boot/(acpi|bzimage|mptable)\.c):' || :)
if [ -n "$others" ]; then
    printf '%s -- belongs into a file named after its architecture\n' "$others"
    bad=1
fi
exit $bad
