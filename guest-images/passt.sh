# shellcheck shell=bash
# passt of Debian 13, which is a vhost-user back-end where Debian 12's has its
# stream socket alone, for tests of both on either. Not installed: its own C
# library and loader come with it, and a script that starts it with these.

passt_suite=trixie

build_passt() {
    local key
    key=$(hash_inputs passt.sh -- "$passt_suite")
    build_cached passt "$key" make_passt passt-root
}

# The newest of its day: what apt knows of this machine's suite says nothing
# about another.
make_passt() {
    need mmdebstrap mmdebstrap
    mmdebstrap --quiet --variant=extract --architectures="$debian_arch" \
        --include=passt --aptopt='APT::Install-Recommends "false"' \
        "$passt_suite" root.tar >&2
    mkdir passt-root
    tar -xf root.tar -C passt-root --no-same-owner --wildcards \
        './usr/bin/passt' './usr/lib/*-linux-gnu/ld-linux-*' \
        './usr/lib/*-linux-gnu/libc.so.6'
    rm root.tar
    # onggi looks for the word in what it starts.
    cat >passt-root/passt <<'END'
#!/bin/sh
# passt with --vhost-user
top=${0%/*}/usr
set -- "$top/bin/passt" "$@"
for lib in "$top"/lib/*-linux-gnu; do
    exec "$lib"/ld-linux-*.so.* --library-path "$lib" "$@"
done
END
    chmod 755 passt-root/passt
}
