# shellcheck shell=bash
# Debian 12 as a guest: a root file system with systemd, made without mounting
# anything, and that Debian's own kernel and initrd, as they come.

debian_suite=bookworm
# Beyond a bootable system: what the boot tests and measurements use.
# The kernel's package is named after the architecture.
debian_packages='systemd-sysv udev dbus kmod procps iproute2 iputils-ping
    initramfs-tools zstd e2fsprogs
    fio iperf3 netcat-openbsd'

build_debian_root() { build_debian debian-root.ext4; }
build_cloud_kernel() { build_debian debian-vmlinuz debian-initrd; }

# One run makes all three; each caller prints what it was asked for.
build_debian() {
    local key kernel systemd
    # Two packages stand for all: a new point release changes both.
    kernel=$(package_version "linux-image-cloud-$debian_arch")
    systemd=$(package_version systemd)
    key=$(hash_inputs debian.sh initramfs.sh init.c "init-$arch.h" -- "$kernel" "$systemd")
    build_cached debian "$key" make_debian debian-root.ext4 debian-vmlinuz debian-initrd |
        grep -E "/($(IFS='|'; echo "$*"))\$"
}

make_debian() {
    local packages bootstrap
    need mmdebstrap mmdebstrap
    need mkfs.ext4 e2fsprogs
    packages=$(xargs <<<"$debian_packages linux-image-cloud-$debian_arch" | tr ' ' ,)
    compile_init onggi-init
    write_debian_setup >setup
    chmod 755 setup
    # As root or in a user namespace: what is root's in the tar is root's in the
    # image either way. Documentation is left out before it is unpacked.
    bootstrap=(mmdebstrap --quiet --variant=minbase --include="$packages"
        --dpkgopt='path-exclude=/usr/share/doc/*'
        --dpkgopt='path-exclude=/usr/share/man/*'
        --dpkgopt='path-exclude=/usr/share/locale/*'
        --dpkgopt='path-exclude=/usr/share/info/*'
        --dpkgopt='force-unsafe-io'
        --aptopt='APT::Install-Recommends "false"'
        --customize-hook='copy-in onggi-init /usr/lib'
        --customize-hook=./setup
        --customize-hook='copy-out /boot .'
        "$debian_suite" root.tar)
    if foreign; then
        # Packages run programs of their own while they are installed. Merging
        # /usr afterwards takes minutes there.
        bootstrap+=(--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr)
        make_debian_mirror "$packages"
        "$here/../tests/testbed/run" --arch "$arch" --results "$PWD" --timeout 7200 -- \
            env PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            "${bootstrap[@]}" "deb [trusted=yes] copy:$PWD/mirror ./" >&2
        rm -r mirror
    else
        "${bootstrap[@]}" >&2
    fi
    rm setup
    mv boot/vmlinuz-* debian-vmlinuz
    mv boot/initrd.img-* debian-initrd
    chmod 644 debian-vmlinuz debian-initrd
    rm -r boot

    make_debian_image
    rm root.tar onggi-init
}

# The testbed has no network: all packages that the root will need, in a folder.
make_debian_mirror() { # PACKAGE,...
    local required package
    mkdir -p mirror/partial
    required=$(apt-cache "${apt_options[@]}" dumpavail |
        awk '$1 == "Package:" { name = $2 }
            $1 == "Essential:" || $0 == "Priority: required" { print name }' | sort -u)
    # shellcheck disable=SC2086  # one word per package
    apt-get -qq "${apt_options[@]}" -o Dir::Cache::archives="$PWD/mirror" \
        -o APT::Install-Recommends=false --yes --download-only \
        install apt usr-is-merged $required ${1//,/ } >&2
    rm -r mirror/partial mirror/lock
    (
        cd mirror
        for package in *.deb; do
            decompress_package "$package"
            dpkg-deb -f "$package"
            printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$package" \
                "$(stat -c %s "$package")" "$(sha256sum "$package" | cut -d' ' -f1)"
        done >Packages
        # mmdebstrap picks packages by the name of their release.
        printf 'Codename: %s\nDate: %s\nSHA256:\n %s %s Packages\n' \
            "$debian_suite" "$(date -Ru)" \
            "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" >Release
    )
}

# The emulated processor is slow: decompress here.
decompress_package() { # FILE
    mkdir parts
    (cd parts && ar x "../$1" && xz -dq data.tar.xz &&
        ar rc "../$1.new" debian-binary control.tar.* data.tar)
    mv "$1.new" "$1"
    rm -r parts
}

# Runs with the new root as $1.
write_debian_setup() {
    cat <<'END'
#!/bin/sh
set -eu
cd "$1"
install -D -m 755 usr/lib/onggi-init usr/lib/onggi/init
rm usr/lib/onggi-init
# systemd's commands of these names want systemd; init takes a signal.
for name in poweroff:USR2 halt:USR1 reboot:TERM; do
    cat >usr/local/sbin/${name%:*} <<SCRIPT
#!/bin/sh
if [ -d /run/systemd/system ] || [ \$# -gt 0 ]; then
    exec /usr/sbin/${name%:*} "\$@"
fi
kill -${name#*:} 1
SCRIPT
    chmod 755 usr/local/sbin/${name%:*}
done
# An empty password: a guest is reached by its console alone.
sed -i 's/^root:[^:]*:/root::/' etc/shadow
echo onggi >etc/hostname
printf '127.0.0.1 localhost onggi\n::1 localhost\n' >etc/hosts
echo '/dev/vda / ext4 defaults,noatime 0 1' >etc/fstab
: >etc/resolv.conf
# The same in every guest would be no identity; systemd makes one at boot.
: >etc/machine-id
rm -f var/lib/dbus/machine-id
# systemd-logind, which obeys the power button, ends where this is missing and
# the root is read-only.
mkdir -p var/lib/systemd/linger
rm -rf var/lib/apt/lists/* var/cache/apt/* var/cache/debconf/*-old var/log/*.log var/log/apt
END
}

make_debian_image() {
    mkdir files
    # Owners need root; everybody else is root in a user namespace.
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(unshare --map-root-user --map-auto)
    SOURCE_DATE_EPOCH=$(date +%s -d 2020-01-01) \
        "${as_root[@]}" bash -euo pipefail -c '
        tar -xf root.tar -C files --exclude="./dev/*"
        truncate -s 2G debian-root.ext4
        mkfs.ext4 -q -F -L onggi -m 0 -d files \
            -U 6f6e6767-6900-4000-8000-000000000001 \
            -E hash_seed=6f6e6767-6900-4000-8000-000000000002,lazy_itable_init=0 \
            debian-root.ext4
        rm -rf files'
}
