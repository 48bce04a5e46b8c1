# shellcheck shell=bash
# The testbed: kernel, initramfs and modules of the machine that QEMU emulates
# where this one has no usable KVM (tests/testbed/run). Debian's own generic
# 6.12 kernel, because it has KVM and every device; unpacked, not installed.

# What must be there before the host's root is mounted, and what nearly every
# test uses. Everything else is loaded on demand from testbed-modules.
testbed_early_modules='9p 9pnet_virtio overlay'
testbed_common_modules='tun vhost_net vhost_vsock virtio_net virtio_rng'

build_testbed() {
    local version key artefacts=(testbed-vmlinuz testbed-initramfs testbed-modules)
    local inputs=(testbed.sh testbed-init.sh) words=()
    [ "$arch" != x86_64 ] || testbed_common_modules="kvm-amd $testbed_common_modules"
    version=$(package_version "linux-image-6.12-$debian_arch")
    if foreign; then
        inputs+=(testbed-root.sh)
        artefacts+=(testbed-root)
        # They stand for all others, as in debian.sh.
        words+=("$(package_version "$(testbed_root_emulator)")" "$(package_version python3.11)")
    fi
    key=$(hash_inputs "${inputs[@]}" -- "$version" "${words[@]}")
    build_cached testbed "$key" make_testbed "${artefacts[@]}"
}

make_testbed() {
    local image release name=linux-image-6.12-$debian_arch
    need depmod kmod
    need cpio cpio
    need xz xz-utils
    # The package is only a name for the newest one, which carries its release.
    image=$(apt-cache "${apt_options[@]}" depends "$name" |
        sed -n 's/^ *Depends: \(linux-image-6\.12\..*\)/\1/p' | head -n1)
    [ -n "$image" ] || die "$name: it names no kernel image"
    release=${image#linux-image-}
    unpack_package "$image" "$(package_version "$image")" kernel

    mv "kernel/boot/vmlinuz-$release" testbed-vmlinuz
    mv "kernel/lib/modules/$release" testbed-modules
    rm -r kernel
    # No screen, sound, camera or radio in a testbed: most of the space.
    (cd testbed-modules/kernel && rm -rf sound drivers/{gpu,media,infiniband,staging} \
        drivers/net/{wireless,ethernet})
    # The emulated processor is slow: decompress here.
    find testbed-modules -name '*.ko.xz' -print0 | xargs -0 -n200 xz -d
    mkdir -p base/lib/modules
    ln -s ../../../testbed-modules "base/lib/modules/$release"
    depmod -b base "$release"
    # shellcheck disable=SC2086  # one word for each module
    make_module_initramfs testbed-initramfs "$release" testbed-init.sh \
        $testbed_early_modules - $testbed_common_modules
    rm -r base
    echo "$release" >testbed-modules/release
    ! foreign || make_testbed_root
}

# An initramfs of busybox, a script as its init, and modules out of base/, for
# which lib/order has the order of loading, which init follows blindly: a plain
# insmod of each needs neither modprobe nor its tables. A "-" is a mark in it.
make_module_initramfs() { # FILE RELEASE INIT MODULE...
    local output=$1 release=$2 init=$3 module file busybox
    shift 3
    mkdir -p root/{bin,lib,dev,proc,sys,new}
    busybox=$(busybox_path)
    cp "$busybox" root/bin/busybox
    install -m 755 "$here/$init" root/init
    for module; do
        [ "$module" = - ] && { echo -; continue; }
        modprobe -d base -S "$release" --show-depends "$module" |
            sed -n 's/^insmod *\([^ ]*\).*/\1/p'
    done | awk '!seen[$0]++' >order
    while read -r file; do
        [ "$file" = - ] && { echo -; continue; }
        cp "$file" "root/lib/${file##*/}"
        echo "${file##*/}"
    done <order >root/lib/order
    # Uncompressed, for the same reason.
    (cd root && find . -print0 | sort -z | cpio --null -o -H newc --quiet -R 0:0) \
        >"$output"
    rm -rf root order busybox
}
