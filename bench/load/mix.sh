#!/bin/sh
# A little of everything that programs ask of a kernel, in a loop of $1 turns:
# processes, files, a disk where there is one, memory, pipes, sockets.
set -e
cd /tmp
[ ! -d /work/lost+found ] || cd /work
for turn in $(seq "${1:-1}"); do
    sqlite3 mix.db "create table t(x); insert into t values(1); drop table t"
    head -c 100000 /dev/zero | sed 's/./x/g' | gzip -c >mix.gz
    dd if=/dev/zero of=mix.dat bs=64k count=16 conv=fsync 2>/dev/null
    dd if=mix.dat of=/dev/null bs=4k 2>/dev/null
    ls -lR /etc >/dev/null
    /bench/kernel 2 syscall pipe fork fault >/dev/null
    redis-server --port 0 --unixsocket /tmp/mix.sock --save '' >/dev/null &
    server=$!
    for try in 1 2 3 4 5 6 7 8 9; do
        redis-cli -s /tmp/mix.sock ping >/dev/null 2>&1 && break
        sleep 0.2
    done
    redis-cli -s /tmp/mix.sock set turn "$turn" >/dev/null
    kill $server
    wait $server || true
    rm -f mix.db mix.gz mix.dat
done
