# shellcheck shell=bash
# The tuned guest kernel, from Debian's source package: everything off, then
# the fragments on. For x86-64 two files of each: vmlinux, an ELF file for PVH
# entry, and bzImage for what can start nothing else. For arm64 one: Image.

kernel_package=linux-source-6.12

build_kernel() { build_tuned_kernel kernel '' kernel.config "kernel-$arch.config"; }

build_kernel_acpi() {
    [ "$arch" = x86_64 ] || die "kernel-acpi: there is none for $arch"
    build_tuned_kernel kernel-acpi -acpi \
        kernel.config kernel-x86_64.config kernel-x86_64-acpi.config
}

build_kernel_64k() {
    [ "$arch" = arm64 ] || die "kernel-64k: there is none for $arch"
    build_tuned_kernel kernel-64k -64k \
        kernel.config kernel-arm64.config kernel-arm64-64k.config
}

# The files of a kernel, which are also what make is asked for.
kernel_files() {
    case $arch in
    x86_64) echo vmlinux bzImage ;;
    arm64) echo Image ;;
    esac
}

build_tuned_kernel() { # NAME SUFFIX FRAGMENT...
    local name=$1 version fragments key artefacts=() file
    kernel_suffix=$2
    shift 2
    kernel_fragments=("$@")
    need_compiler
    version=$(package_version "$kernel_package")
    # Merged, so that a comment does not cost ten minutes.
    fragments=$(merge_fragments)
    key=$(hash_inputs kernel.sh -- "$version" \
        "$("${cross}gcc" -dumpfullversion)" "$fragments")
    for file in $(kernel_files); do artefacts+=("$file$kernel_suffix"); done
    build_cached "$name" "$key" make_tuned_kernel "${artefacts[@]}"
}

make_tuned_kernel() {
    local make
    need make make
    need flex flex
    need bison bison
    need bc bc
    need lz4 lz4
    [ -e /usr/include/gelf.h ] || die 'gelf.h is missing: install the Debian package libelf-dev'
    [ -e /usr/include/openssl/opensslv.h ] ||
        die 'openssl headers are missing: install the Debian package libssl-dev'

    unpack_package "$kernel_package" "$(package_version "$kernel_package")" package
    mkdir source
    tar -xf package/usr/src/$kernel_package.tar.xz -C source --strip-components=1
    rm -r package
    merge_fragments >fragment
    adjust_source
    # The same bytes whoever builds, and whenever.
    make=(make -s -C source -j"$(nproc)" ARCH="${arch/x86_64/x86}" CROSS_COMPILE="$cross"
        KBUILD_BUILD_USER=onggi KBUILD_BUILD_HOST=onggi
        KBUILD_BUILD_TIMESTAMP='2020-01-01')
    "${make[@]}" KCONFIG_ALLCONFIG="$PWD/fragment" allnoconfig >/dev/null
    check_fragments
    # shellcheck disable=SC2046  # one word per file
    "${make[@]}" $(kernel_files) >log 2>&1 || { tail -n30 log >&2; die 'the kernel does not compile'; }
    "take_kernel_$arch"
    cp source/System.map source/.config .
    rm -rf source fragment log
}

take_kernel_x86_64() {
    # The symbols are two thirds of the file, and a loader reads them all.
    "${cross}strip" -s -o "vmlinux$kernel_suffix" source/vmlinux
    readelf -n "vmlinux$kernel_suffix" 2>/dev/null | grep -q '^ *Xen' ||
        die 'vmlinux has lost its PVH note'
    cp source/arch/x86/boot/bzImage "bzImage$kernel_suffix"
}

take_kernel_arm64() {
    cp source/arch/arm64/boot/Image "Image$kernel_suffix"
}

# What no option switches off.
adjust_source() {
    local x86=source/arch/x86/kernel
    # A folder of 25 files for each of 100 caches, in /sys/kernel/slab.
    adjust source/mm/slab.h 's/^#if defined\(CONFIG_SYSFS\) && !defined\(CONFIG_SLUB_TINY\)$/#if 0/'
    # Blocks of 2 MiB for each kind of page, from the first page on: at boot
    # each kind takes a few pages from a block of its own. The host pays for
    # the whole block, and in a guest of less than 256 MiB it buys nothing.
    adjust source/mm/page_alloc.c \
        's/^(int page_group_by_mobility_disabled __read_mostly);/\1 = 1;/'
    adjust source/mm/page_alloc.c \
        's/vm_total_pages < \(pageblock_nr_pages \* MIGRATE_TYPES\)/vm_total_pages < SZ_256M \/ PAGE_SIZE/'
    # 2 MiB for the per-CPU areas of a machine with few CPUs.
    adjust $x86/setup_percpu.c 's/atom_size = PMD_SIZE;/atom_size = PAGE_SIZE;/'
    # The machine has no 8259 that anything is wired to; without one nothing
    # is looked for behind the I/O APIC's pins.
    adjust $x86/i8259.c 's/^(struct legacy_pic \*legacy_pic) = &default_legacy_pic;/\1 = \&null_legacy_pic;/'
    # 5 MiB of padding that page table isolation and memory encryption want.
    grep -q '^CONFIG_MITIGATION_PAGE_TABLE_ISOLATION=y' fragment || {
        adjust $x86/vmlinux.lds.S '/^#define ALIGN_ENTRY_TEXT_/s/PMD_SIZE/PAGE_SIZE/'
        adjust $x86/vmlinux.lds.S '/^#define BSS_DECRYPTED/,/__end_bss/s/PMD_SIZE/PAGE_SIZE/'
        adjust $x86/vmlinux.lds.S '/^#define X86_ALIGN_RODATA_/,/^$/s/HPAGE_SIZE/PAGE_SIZE/'
    }
}

adjust() { # FILE SED-SCRIPT, which must find something to change
    sed -E "$2" "$1" >adjusted
    ! cmp -s adjusted "$1" || die "$1: this has nothing to change: $2"
    cat adjusted >"$1"
    rm adjusted
}

# Later fragments win; kconfig would take the first of two lines.
merge_fragments() {
    local fragment
    for fragment in "${kernel_fragments[@]}"; do cat "$here/$fragment"; done |
        awk 'match($0, /CONFIG_[A-Za-z0-9_]+/) && /^(# )?CONFIG_/ {
            line[substr($0, RSTART, RLENGTH)] = $0
        } END { for (name in line) print line[name] }' | sort
}

# kconfig drops what lacks a dependency, without a word.
check_fragments() {
    local lost
    lost=$(grep -vxFf source/.config fragment | grep -v '^#' | tr '\n' ' ') || true
    [ -z "$lost" ] || die "kernel configuration: not taken: $lost"
}
