# shellcheck shell=bash
# A small initramfs: onggi's init and busybox. busybox finds its own tools
# without links, so that there is hardly anything to unpack at boot.

# A hash over what init is made of.
init_key() {
    hash_inputs initramfs.sh init.c init-libc.h "init-$arch.h" ../abi/power.h --
}

build_initramfs() {
    local key busybox
    need_compiler
    if foreign; then
        busybox=$(package_version busybox-static)
    else
        busybox=$(sha256sum <"$(busybox_path)")
    fi
    key=$(hash_inputs initramfs.sh -- "$(init_key)" \
        "$("${cross}gcc" -dumpfullversion)" "$busybox")
    build_cached initramfs "$key" make_initramfs initramfs.cpio onggi-init
}

# Of the images' architecture; what is unpacked goes to the folder busybox.
busybox_path() {
    if foreign; then
        unpack_package busybox-static "$(package_version busybox-static)" busybox
        echo busybox/bin/busybox
        return
    fi
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
    rm -rf root busybox
}

compile_init() { # OUTPUT
    need_compiler
    # The usual addition of a stack protector and unwind tables needs a C
    # library, resp. someone to read them; what is read-only after relocation
    # would begin on a page of its own, and pages can have 64 KiB.
    "${cross}gcc" -std=gnu11 -Wall -Wextra -Werror -Os -static -nostdlib -ffreestanding \
        -fno-stack-protector -fno-asynchronous-unwind-tables -fno-pie -no-pie \
        -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,norelro -s \
        -iquote "$here/.." -o "$1" "$here/init.c"
}
