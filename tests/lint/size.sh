#!/bin/bash
# A function fits a screen, a file holds one idea: functions of the C outside
# tests/ have fewer than 50 lines, files fewer than 400. What may be longer is
# listed here with its reason, for as long as it is longer.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lint/files.sh

# FILE or FILE:FUNCTION, and the reason.
exceptions='
bench/load/launch.c                     one program, built from one file
'

command -v ctags >/dev/null || {
    echo "no ctags: install the Debian package universal-ctags"
    exit 1
}

# "FILE LINES" or "FILE:FUNCTION LINES" for whatever is too long.
long_files() {
    list_code | xargs wc -l | awk '$2 != "total" && $1 >= 400 { print $2, $1 }'
}

long_functions() {
    list_code | ctags --language-force=C --c-kinds=f --fields=+ne -L - -o - |
        awk -F '\t' '/^!/ { next } {
            for (i = 4; i <= NF; i++) {
                split($i, field, ":")
                value[field[1]] = field[2]
            }
            lines = value["end"] - value["line"] + 1
            if (lines >= 50)
                print $2 ":" $1, lines
        }'
}

{ long_files; long_functions; } | awk -v exceptions="$exceptions" '
    BEGIN {
        count = split(exceptions, rows, "\n")
        for (i = 1; i <= count; i++)
            if (split(rows[i], word, " "))
                excepted[word[1]] = 1
    }
    $1 in excepted { delete excepted[$1]; next }
    { print $1 ": " $2 " lines are too many"; bad = 1 }
    END {
        for (name in excepted) {
            print name ": is not too long any more: no exception is needed"
            bad = 1
        }
        exit bad
    }'
