# shellcheck shell=bash
# Debian's generic kernel as a guest of the root image of debian.sh, which has
# only the cloud kernel: that of arm64 has no driver for a power button.

generic_modules='virtio_mmio virtio_blk ext4 gpio_keys evdev'

build_generic_kernel() {
    local key
    build_testbed >/dev/null
    key=$(hash_inputs generic.sh generic-init.sh testbed.sh -- \
        "$(readlink "$images/testbed-modules")")
    build_cached generic "$key" make_generic_kernel generic-vmlinuz generic-initrd
}

# The testbed's kernel is Debian's generic one.
make_generic_kernel() {
    local modules release
    modules=$(readlink -f "$images/testbed-modules")
    release=$(cat "$modules/release")
    mkdir -p base/lib/modules
    ln -s "$modules" "base/lib/modules/$release"
    # shellcheck disable=SC2086  # one word for each module
    make_module_initramfs generic-initrd "$release" generic-init.sh $generic_modules
    rm -r base
    cp "$(readlink -f "$images/testbed-vmlinuz")" generic-vmlinuz
}
