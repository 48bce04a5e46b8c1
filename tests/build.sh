# shellcheck shell=bash
# How the programs, images and commands of the tests are made: for tests/check,
# which runs all of them, and tests/one. To be sourced at the root of the tree.

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
export UBSAN_OPTIONS=print_stacktrace=1
pytest=(python3 -B -m pytest -q -p no:cacheprovider)

quiet_make() {
    make --no-print-directory -j"$(nproc)" "$@"
}

# Unit tests and the program under test, with sanitizers.
make_asan() { # TARGET...
    local sanitize="-fsanitize=address,undefined -fno-sanitize-recover=all"
    sanitize+=" -fno-omit-frame-pointer"
    quiet_make BUILD=build/asan LINK=dynamic EXTRA_CFLAGS="$sanitize" "$@"
}

make_fuzz() { # TARGET...
    local sanitize="-fsanitize=fuzzer-no-link,address,undefined"
    sanitize+=" -fno-sanitize-recover=all"
    quiet_make BUILD=build/fuzz CC=clang LINK=dynamic \
        EXTRA_CFLAGS="$sanitize" "$@"
}

# tests/fuzz/ARCH/fuzz_NAME has its corpus in tests/fuzz/corpus/ARCH/NAME.
corpus_of() { # FUZZER
    local name=${1#tests/fuzz/}
    echo "tests/fuzz/corpus/${name/fuzz_/}"
}

# What another host needs to build for arm64 and to run that. Says so when it
# is not there; an arm64 host's own build is that build.
has_cross() {
    [ "$(make -s list-arch)" != arm64 ] || return
    command -v aarch64-linux-gnu-gcc >/dev/null &&
        command -v qemu-aarch64-static >/dev/null && return
    echo "skip  arm64: no aarch64-linux-gnu-gcc and qemu-aarch64-static"
    return 1
}

# kernel-acpi takes ten minutes more: its test is skipped where nobody has
# built it.
build_boot_images() { # ARCH
    local images=(kernel initramfs debian-root cloud-kernel testbed passt)
    [ "$1" != arm64 ] || images+=(generic-kernel)
    guest-images/build --arch "$1" "${images[@]}"
}
