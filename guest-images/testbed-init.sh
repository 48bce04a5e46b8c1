#!/bin/busybox sh
# shellcheck shell=dash
# /init of the testbed's initramfs: makes the development machine's own file
# system the root of the emulated one, then hands over to the script that
# tests/testbed/run left in the control folder.
#
# 9p tags: "host" is the whole file system of the development machine,
# read-only; "control" a folder of tests/testbed/run, read-write; "results",
# where asked for, the folder of --results. Of another architecture than the
# development machine, "host" is a tree of programs of that architecture, and
# "files" the development machine's file system, of which the folders that
# control/shares names are shown.

bb=/bin/busybox
share='trans=virtio,version=9p2000.L,msize=512000'

fail() {
    $bb echo "testbed: $*" >/dev/console
    # A reboot ends the emulator (-no-reboot); the missing exit code tells
    # tests/testbed/run that something went wrong.
    $bb reboot -f
}

insmod_until() { # MARK: the next modules of the list on fd 3
    while read -r module <&3 && [ "$module" != "$1" ]; do
        $bb insmod "/lib/$module" || fail "insmod $module failed"
    done
}

$bb mount -t devtmpfs dev /dev || fail "mount /dev failed"
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
exec 3</lib/order
insmod_until -

# The lower layer is the development machine, the upper a tmpfs: every tool is
# there, everything can be written to, and nothing that is written remains.
$bb mkdir /host /upper
$bb mount -t 9p -o "ro,$share,cache=loose" host /host || fail "mount of 9p host failed"
$bb mount -t tmpfs -o mode=755 upper /upper
$bb mkdir /upper/files /upper/work
$bb chmod 755 /upper/files
$bb mount -t overlay -o lowerdir=/host,upperdir=/upper/files,workdir=/upper/work \
    overlay /new || fail "mount of the overlay failed"

cd /new || fail "cd failed"
$bb mkdir -p dev proc sys run tmp
$bb mount --move /dev dev
$bb mount --move /proc proc
$bb mount --move /sys sys
$bb mount -t tmpfs -o mode=755 run run
$bb mount -t tmpfs -o mode=1777 tmp tmp
$bb mkdir -p dev/pts dev/shm run/testbed
$bb mount -t devpts -o ptmxmode=666,gid=5,mode=620 devpts dev/pts
$bb mount -t tmpfs -o mode=1777 shm dev/shm
$bb mount -t cgroup2 cgroup2 sys/fs/cgroup
# No cache: what is written is on the development machine when write() returns.
$bb mount -t 9p -o "rw,$share,cache=none" control run/testbed ||
    fail "mount of 9p control failed"
if [ -s run/testbed/shares ]; then
    $bb mkdir /files
    $bb mount -t 9p -o "ro,$share,cache=loose" files /files || fail "mount of 9p files failed"
    shares=0
    while IFS= read -r folder; do
        shares=$((shares + 1))
        $bb mkdir -p "/upper/files$shares" "/upper/work$shares" ".$folder"
        $bb mount -t overlay -o "lowerdir=/files$folder,upperdir=/upper/files$shares,workdir=/upper/work$shares" \
            overlay ".$folder" || fail "mount of the overlay on $folder failed"
    done <run/testbed/shares
fi
if [ -s run/testbed/results ]; then
    IFS= read -r results <run/testbed/results
    $bb mkdir -p ".$results"
    $bb mount -t 9p -o "rw,$share,cache=none" results ".$results" ||
        fail "mount of 9p results on $results failed"
fi
: >run/testbed/started

insmod_until end
exec 3<&-
# Further modules are loaded on demand, by the root's modprobe.
IFS= read -r modules <run/testbed/modules
$bb mkdir -p lib/modules
$bb ln -sfn "$modules" "lib/modules/$($bb uname -r)"
$bb hostname testbed
$bb ip link set lo up

# As switch_root does it, so that the root is a mount of its own and not a
# chroot, in which user namespaces and containers are refused.
$bb mount --move . /
exec $bb chroot . /bin/bash /run/testbed/start
