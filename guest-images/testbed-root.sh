# shellcheck shell=bash
# What the testbed runs on where it is of another architecture than this
# machine, whose programs are then of no use to it: a Debian root as a plain
# tree, which QEMU shares. Nothing in it was ever run or configured, for that
# would take the very machine that it is for; what its programs need beyond
# their own files is put in place here.

# A shell and its tools, tests and what they drive.
testbed_root_packages='libc-bin bash dash coreutils util-linux mount findutils grep sed
    mawk diffutils tar gzip hostname kmod procps iproute2 busybox-static
    python3 python3-pytest fio iperf3 netcat-openbsd e2fsprogs crun passt
    qemu-utils'

testbed_root_emulator() {
    case $arch in
    x86_64) echo qemu-system-x86 ;;
    arm64) echo qemu-system-arm ;;
    esac
}

# Fills the folder testbed-root.
make_testbed_root() {
    local packages owner=()
    need mmdebstrap mmdebstrap
    packages=$(xargs <<<"$testbed_root_packages $(testbed_root_emulator)" | tr ' ' ,)
    mmdebstrap --quiet --variant=extract --architectures="$debian_arch" \
        --include="$packages" --aptopt='APT::Install-Recommends "false"' \
        "$debian_suite" root.tar >&2
    mkdir testbed-root
    [ "$(id -u)" = 0 ] || owner=(--no-same-owner)
    # Left out here, for mmdebstrap would start a filter for each package.
    tar -xf root.tar -C testbed-root "${owner[@]}" --exclude='./dev/*' \
        --exclude='./usr/share/'{doc,man,locale,info,icons,fonts}'/*'
    rm root.tar
    configure_testbed_root testbed-root
}

# What the packages' own scripts would have done, as far as it is missed.
configure_testbed_root() { # DIR
    ln -sf dash "$1/bin/sh"
    ln -sf mawk "$1/usr/bin/awk"
    ln -sf nc.openbsd "$1/bin/nc"
    echo 'root:x:0:0:root:/root:/bin/bash' >"$1/etc/passwd"
    printf '%s\n' root:x:0: tty:x:5: kvm:x:104: nogroup:x:65534: >"$1/etc/group"
    echo 'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin' >>"$1/etc/passwd"
    printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$1/etc/nsswitch.conf"
    echo 'nameserver 192.0.2.53' >"$1/etc/resolv.conf"
    printf '127.0.0.1 localhost testbed\n::1 localhost\n' >"$1/etc/hosts"
    # The emulated processor is slow: compile here. Byte code is the same on
    # every architecture, but not from one Python to the next.
    ! type -P /usr/bin/python3.11 >/dev/null ||
        /usr/bin/python3.11 -m compileall -q -s "$1" -p / "$1"/usr/lib/python3* >/dev/null || :
}
