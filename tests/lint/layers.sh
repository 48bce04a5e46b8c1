#!/bin/bash
# The arrows of ARCHITECTURE.md: who may include whom.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lint/files.sh

bad=0

# A folder, and the folders that it knows besides itself. A file belongs to the
# innermost of these folders.
arrows='
abi
base
bench
boot                base abi
devices             base abi devices/virtio devices/vhost_user
devices/block       base abi devices/virtio devices/vhost_user
devices/console     base abi devices/virtio devices/vhost_user
devices/net         base abi devices/virtio devices/vhost_user
devices/platform    base abi devices/virtio devices/vhost_user
devices/vhost_user  base abi devices/virtio
devices/virtio      base abi
devices/vsock       base abi devices/virtio devices/vhost_user
guest-images        abi
vmm/cli             base abi devices boot vmm/config vmm/host vmm/machine
vmm/config          base abi devices
vmm/host            base abi devices vmm/config
vmm/machine         base abi devices boot vmm/config vmm/host
'

# "FILE:LINE:PATH" for each file that is included by its path.
list_includes() {
    local include='^[[:space:]]*#[[:space:]]*include[[:space:]]*"'
    list_code | xargs grep -HnE "$include[^\"]*/" |
        sed -E 's/#[^"]*"([^"]*)".*/\1/'
}

list_includes | awk -F : -v arrows="$arrows" '
    function folder_of(path) {
        while (sub(/\/[^\/]*$/, "", path))
            if (path in known)
                return path
    }
    function knows(from, path,    i) {
        for (i = split(known[from], folder, " "); i > 1; i--)
            if (index(path, folder[i] "/") == 1)
                return 1
        return folder_of(path) == from
    }
    BEGIN {
        for (i = split(arrows, rows, "\n"); i > 0; i--)
            if (split(rows[i], word, " "))
                known[word[1]] = rows[i]
    }
    {
        from = folder_of($1)
        if (from && knows(from, $3))
            next
        print $1 ":" $2 ": " (from ? from "/ does not know " $3 : \
            "its folder has no row in tests/lint/layers.sh")
        bad = 1
    }
    END { exit bad }' || bad=1

# forbid PATTERN WHY ROOM...: nothing in these rooms includes what matches.
forbid() {
    local hits
    hits=$(grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($1)" \
        "${@:3}" --include='*.[ch]' || :)
    [ -z "$hits" ] && return
    printf '%s\n' "$hits" | sed "s|$| -- $2|"
    bad=1
}
forbid 'linux/|jansson|liburing' "base/ knows only libc" base
forbid 'linux/kvm\.h' "KVM is the business of vmm/machine/" \
    devices boot vmm/cli vmm/config vmm/host

one_user() { # LIBRARY FILE
    local users
    users=$(grep -lE "#include <$1" -r base devices boot vmm || :)
    [ "$users" = "$2" ] && return
    echo "$1 has one user, $2, but is included by: $users"
    bad=1
}
one_user liburing.h devices/block/block_uring.c
one_user jansson.h vmm/config/json.c
one_user libfdt.h boot/arm64/fdt.c
one_user zlib.h boot/arm64/unpack.c
one_user zstd.h boot/arm64/unpack.c

# What belongs to one architecture stands in the folders named after it: other
# files neither ask the compiler or KVM about it, nor include from there, nor
# speak its name. kernel.c knows the files that people pass by mistake.
arch='x86|amd64|aarch64|arm64|__i386__|<(cpuid|[a-z]*mmintrin|asm/[a-z_]*)\.h>'
arch+='|\bkvm_(s?regs|fpu|xsave|xcrs|msrs?|msr_entry|cpuid2?|cpuid_entry2?|lapic_state)\b'
others=$(find base devices boot vmm \( -name x86_64 -o -name arm64 \) -prune -o \
    -name '*.[ch]' -exec grep -niE "$arch" {} + |
    grep -vE '^boot/kernel\.c:[0-9]*:	\{ (16|56|0x202), MAGIC' || :)
if [ -n "$others" ]; then
    printf '%s -- belongs into a folder named after its architecture\n' "$others"
    bad=1
fi
exit $bad
