# shellcheck shell=bash
# What every image builder shares: the architecture, the cache, packages, and
# clear failures.
#
# The cache holds one directory per built thing, named by the hash of all that
# went into it, and one stable symlink per artefact in images/, resp. in
# images/arm64/:
#   $cache/store/kernel-0123456789abcdef/vmlinux
#   $cache/images/vmlinux -> ../store/kernel-0123456789abcdef/vmlinux
#   $cache/images/arm64/Image -> ../../store/kernel-arm64-0123456789abcdef/Image

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${ONGGI_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/onggi}

die() {
    echo "guest-images: $*" >&2
    exit 1
}

# The architecture that this machine's programs are of.
machine_architecture() {
    case $(uname -m) in
    aarch64) echo arm64 ;;
    *) uname -m ;;
    esac
}

# What each architecture is called elsewhere, and where its images are. All
# images of one run are of one architecture.
set_architecture() { # x86_64|arm64
    arch=$1
    case $arch in
    x86_64)
        debian_arch=amd64 compiler=x86_64-linux-gnu
        suffix='' images=$cache/images
        ;;
    arm64)
        debian_arch=arm64 compiler=aarch64-linux-gnu
        suffix=-arm64 images=$cache/images/arm64
        ;;
    *) die "--arch $arch: x86_64 and arm64 are known" ;;
    esac
    apt_options=(-o APT::Sandbox::User=root)
    cross=''
    if foreign; then set_foreign_architecture; fi
}

# Whether programs of the images' architecture do not run here.
foreign() { [ "$arch" != "$(machine_architecture)" ]; }

# apt knows this machine's packages only, unless somebody said
# dpkg --add-architecture: so it gets lists of its own, as new as the machine's.
set_foreign_architecture() {
    local apt=$cache/apt-$arch
    cross=$compiler-
    apt_options+=(-o "APT::Architecture=$debian_arch" -o "APT::Architectures=$debian_arch"
        -o "Dir::State=$apt" -o "Dir::Cache=$apt/cache" -o Dir::State::status=/dev/null)
    [ ! "$apt/updated" -nt /var/lib/apt/lists ] || return 0
    need apt-get apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    (
        flock 9
        [ ! "$apt/updated" -nt /var/lib/apt/lists ] || exit 0
        echo "guest-images: reading the lists of $debian_arch packages" >&2
        apt-get -qq "${apt_options[@]}" update >&2 || die 'apt-get update failed'
        touch "$apt/updated"
    ) 9>"$apt/lock"
}

# need TOOL PACKAGE: fail unless TOOL exists, naming the package that has it.
need() {
    PATH=$PATH:/usr/sbin:/sbin type -P "$1" >/dev/null ||
        die "$1 is missing: install the Debian package $2"
}

need_compiler() {
    need "${cross}gcc" "gcc${cross:+-${compiler//_/-}}"
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
    version=$(apt-cache "${apt_options[@]}" show --no-all-versions "$1" 2>/dev/null |
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
    (cd "$3/deb" && apt-get -q "${apt_options[@]}" download "$1=$2") >&2 ||
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
    local name=$1$suffix key=$2 function=$3 store=$cache/store artefact target
    shift 3
    mkdir -p "$store" "$images"
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
        target=$(realpath -ms --relative-to="$images" "$store/$name-$key/$artefact")
        ln -sfT "$target" "$images/.$artefact.$$"
        mv -T "$images/.$artefact.$$" "$images/$artefact"
        echo "$images/$artefact"
    done
    # The three newest stay: another checkout may use them.
    find "$store" -maxdepth 1 -regextype posix-extended \
        -regex ".*/$name-[0-9a-f]{16}" -printf '%T@ %p\n' |
        sort -rn | tail -n +4 | cut -d' ' -f2- | xargs -r rm -rf
}
