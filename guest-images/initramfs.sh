# shellcheck shell=bash
# A small initramfs: onggi's init and busybox. busybox finds its own tools
# without links, so that there is hardly anything to unpack at boot.

build_initramfs() {
    local key busybox
    need gcc gcc
    busybox=$(busybox_path)
    key=$(hash_inputs initramfs.sh init.c init-x86_64.h -- \
        "$(gcc -dumpfullversion)" "$(sha256sum <"$busybox")")
    build_cached initramfs "$key" make_initramfs initramfs.cpio onggi-init
}

busybox_path() {
    type -P busybox || die 'busybox is missing: install the Debian package busybox-static'
}

make_initramfs() {
    local busybox
    need cpio cpio
    busybox=$(busybox_path)
    readelf -l "$busybox" | grep -q INTERP &&
        die 'busybox is not static: install the Debian package busybox-static'
    compile_init onggi-init
    mkdir -p root/{bin,dev,proc,sys,run,tmp,root,etc}
    chmod 1777 root/tmp
    install -m 755 onggi-init root/init
    install -m 755 "$busybox" root/bin/busybox
    ln -s busybox root/bin/sh
    echo 'root:x:0:0:root:/root:/bin/sh' >root/etc/passwd
    (cd root && find . -exec touch -hd @0 {} + &&
        find . -print0 | sort -z |
        cpio --null -o -H newc --quiet -R 0:0 --reproducible) >initramfs.cpio
    rm -r root
}

compile_init() { # OUTPUT
    need gcc gcc
    # The usual addition of a stack protector and unwind tables needs a C
    # library, resp. someone to read them.
    gcc -std=gnu11 -Wall -Wextra -Werror -Os -static -nostdlib -ffreestanding \
        -fno-stack-protector -fno-asynchronous-unwind-tables -fno-pie -no-pie \
        -Wl,--build-id=none -Wl,-z,noseparate-code -s -o "$1" "$here/init.c"
}
