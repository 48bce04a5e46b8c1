# shellcheck shell=bash
# Every C file outside tests/, by its path. Sourced by the checks.
list_code() {
    find . \( -path ./build -o -path ./tests -o -path ./.git \) -prune -o \
        -name '*.[ch]' -printf '%P\n'
}
