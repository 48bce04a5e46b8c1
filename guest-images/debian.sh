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
    key=$(hash_inputs debian.sh -- "$(init_key)" "$kernel" "$systemd")
    build_cached debian "$key" make_debian debian-root.ext4 debian-vmlinuz debian-initrd |
        grep -E "/($(IFS='|'; echo "$*"))\$"
}

make_debian() {
    compile_init onggi-init
    write_debian_setup >setup
    chmod 755 setup
    bootstrap_debian "$debian_packages linux-image-cloud-$debian_arch" \
        --customize-hook='copy-in onggi-init /usr/lib' \
        --customize-hook=./setup \
        --customize-hook='copy-out /boot .'
    mv boot/vmlinuz-* debian-vmlinuz
    mv boot/initrd.img-* debian-initrd
    chmod 644 debian-vmlinuz debian-initrd
    rm -r boot

    make_debian_image debian-root.ext4
    rm setup onggi-init
}

# Leaves root.tar. As root or in a user namespace: what is root's in the tar is
# root's in the image either way. Documentation is left out before it is
# unpacked.
bootstrap_debian() { # PACKAGES OPTION...
    local packages bootstrap
    need mmdebstrap mmdebstrap
    need mkfs.ext4 e2fsprogs
    packages=$(xargs <<<"$1" | tr ' ' ,)
    shift
    bootstrap=(mmdebstrap --quiet --variant=minbase --include="$packages"
        --architectures="$debian_arch"
        --dpkgopt='path-exclude=/usr/share/doc/*'
        --dpkgopt='path-exclude=/usr/share/man/*'
        --dpkgopt='path-exclude=/usr/share/locale/*'
        --dpkgopt='path-exclude=/usr/share/info/*'
        --dpkgopt='force-unsafe-io'
        --aptopt='APT::Install-Recommends "false"'
        "$@"
        "$debian_suite" root.tar)
    if foreign; then
        need arch-test arch-test
        # Packages run programs of their own while they are installed.
        run_foreign "${bootstrap[@]}" >&2
    else
        "${bootstrap[@]}" >&2
    fi
}

# Runs a command that starts programs of the images' architecture, by QEMU's
# user-mode emulation: as this machine is set up for it or, where it is not, in
# a user namespace with a set-up of its own (since Linux 6.7), which goes with
# the command.
run_foreign() { # COMMAND...
    local rule=/usr/lib/binfmt.d/qemu-${compiler%%-*}.conf
    if arch-test "$debian_arch" >/dev/null; then
        "$@"
        return
    fi
    [ "$(id -u)" = 0 ] || die "$arch programs do not run here: as root, run
    systemctl restart systemd-binfmt"
    need "qemu-${compiler%%-*}-static" qemu-user-static
    mkfifo unshared mapped
    # Only a process outside the namespace can give it all users and groups.
    {
        read -r pid <unshared
        echo '0 0 4294967295' | tee "/proc/$pid/gid_map" >"/proc/$pid/uid_map"
        echo >mapped
    } &
    # It would wait for ever where no namespace can be made, and after ^C. As a
    # job, for its number may be another process's by then.
    trap 'kill %% 2>/dev/null || :' EXIT
    # shellcheck disable=SC2016  # for the inner shell
    unshare --user --mount bash -euc '
        echo $$ >unshared
        read -r _ <mapped
        rm unshared mapped
        mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
        cat "$1" >/proc/sys/fs/binfmt_misc/register
        shift
        exec "$@"' bash "$rule" "$@"
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

# Of root.tar, which goes.
make_debian_image() { # IMAGE
    mkdir files
    # Owners need root; everybody else is root in a user namespace.
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(unshare --map-root-user --map-auto)
    SOURCE_DATE_EPOCH=$(date +%s -d 2020-01-01) \
        "${as_root[@]}" bash -euo pipefail -c '
        tar -xf root.tar -C files --exclude="./dev/*"
        truncate -s 2G "$1"
        mkfs.ext4 -q -F -L onggi -m 0 -d files \
            -U 6f6e6767-6900-4000-8000-000000000001 \
            -E hash_seed=6f6e6767-6900-4000-8000-000000000002,lazy_itable_init=0 \
            "$1"
        rm -rf files' bash "$1"
    rm root.tar
}
