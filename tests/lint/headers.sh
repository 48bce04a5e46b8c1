#!/bin/bash
# Every header compiles alone, and says #pragma once.
set -euo pipefail
cd "$(dirname "$0")/../.."

bad=0
read -ra includes <<<"$(make -s list-includes)"
for header in $(make -s list-headers); do
    grep -q '^#pragma once' "$header" || {
        echo "$header: no #pragma once"
        bad=1
    }
    "${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE "${includes[@]}" -Wall -Wextra -Werror \
        -fsyntax-only -x c -include "$header" /dev/null || bad=1
done
exit $bad
