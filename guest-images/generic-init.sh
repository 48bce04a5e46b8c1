#!/bin/busybox sh
# shellcheck shell=dash
# /init of the generic kernel's initramfs: loads its modules, then starts the
# init of the first disk.

bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
$bb mount -t proc proc /proc
while read -r module; do
    $bb insmod "/lib/$module" || $bb echo "init: insmod $module failed"
done </lib/order
tries=0
until [ -b /dev/vda ] || [ $tries -eq 100 ]; do
    $bb sleep 0.1
    tries=$((tries + 1))
done
$bb mount -o ro /dev/vda /new || $bb echo "init: mount of /dev/vda failed"
$bb mount --move /dev /new/dev
$bb umount /proc
exec $bb switch_root /new /sbin/init
