# shellcheck shell=bash
# What every image builder shares: the cache, packages, and clear failures.
#
# The cache holds one directory per built thing, named by the hash of all that
# went into it, and one stable symlink per artefact in images/:
#   $cache/store/kernel-0123456789abcdef/vmlinux
#   $cache/images/vmlinux -> ../store/kernel-0123456789abcdef/vmlinux

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${ONGGI_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/onggi}

die() {
    echo "guest-images: $*" >&2
    exit 1
}

# need TOOL PACKAGE: fail unless TOOL exists, naming the package that has it.
need() {
    PATH=$PATH:/usr/sbin:/sbin type -P "$1" >/dev/null ||
        die "$1 is missing: install the Debian package $2"
}

# A hash over files of this folder, this one included, and further words.
hash_inputs() { # FILE... -- WORD...
    local files=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        files+=("$here/$1")
        shift
    done
    shift
    { cat "$here/lib.sh" "${files[@]}"; printf '%s\n' "$@"; } |
        sha256sum | cut -c1-16
}

# The newest version of a package that apt knows.
package_version() {
    local version
    need apt-cache apt
    version=$(apt-cache show --no-all-versions "$1" 2>/dev/null |
        sed -n 's/^Version: //p' | head -n1)
    [ -n "$version" ] ||
        die "$1: apt knows no such package (run apt-get update?)"
    echo "$version"
}

# unpack_package NAME VERSION DIR: download a package and unpack it, without
# installing it.
unpack_package() {
    local debs
    need apt-get apt
    need dpkg-deb dpkg
    mkdir -p "$3/deb"
    # apt wants to download as user _apt, who may not enter this directory.
    (cd "$3/deb" && apt-get -q -o APT::Sandbox::User=root download "$1=$2") >&2 ||
        die "$1 $2: download failed"
    debs=("$3"/deb/*.deb)
    dpkg-deb -x "${debs[0]}" "$3"
    rm -r "$3/deb"
}

# build_cached NAME KEY FUNCTION ARTEFACT...: unless it is there already, run
# FUNCTION in a subshell inside a fresh directory that becomes
# store/NAME-KEY once it has succeeded; then point the symlinks there and
# print their paths. FUNCTION leaves each ARTEFACT as a file of that name.
# Two builders of one thing: the second waits, then finds it done.
build_cached() {
    local name=$1 key=$2 function=$3 store=$cache/store artefact
    shift 3
    mkdir -p "$store" "$cache/images"
    # So that a build in use counts as a new one when old ones are removed.
    touch -c "$store/$name-$key"
    if [ ! -d "$store/$name-$key" ]; then
        (
            flock 9
            [ -d "$store/$name-$key" ] && exit 0
            echo "guest-images: building $name" >&2
            # What an older build left when it was killed, and nobody's now:
            # the lock is ours.
            rm -rf "$store/.$name".??????
            temp=$(mktemp -d "$store/.$name.XXXXXX")
            trap 'rm -rf "$temp"' EXIT
            trap 'exit 130' INT TERM HUP
            chmod 755 "$temp"
            # Not in a condition: that would switch off set -e inside it.
            (cd "$temp" && "$function") 9>&-
            mv -T "$temp" "$store/$name-$key"
        ) 9>"$store/.$name.lock"
    fi
    for artefact in "$@"; do
        # Written beside it and renamed, so that a reader always finds one.
        ln -sfT "../store/$name-$key/$artefact" "$cache/images/.$artefact.$$"
        mv -T "$cache/images/.$artefact.$$" "$cache/images/$artefact"
        echo "$cache/images/$artefact"
    done
    # The three newest stay: another checkout may use them.
    find "$store" -maxdepth 1 -regextype posix-extended \
        -regex ".*/$name-[0-9a-f]{16}" -printf '%T@ %p\n' |
        sort -rn | tail -n +4 | cut -d' ' -f2- | xargs -r rm -rf
}
