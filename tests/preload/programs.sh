#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs that know nothing of the library give the same output with libdmtr-malloc.so as without. Speaks TAP.
# usage: programs.sh LIBRARY
# shellcheck disable=SC2016 # programs in other languages have dollar signs of their own

library=$1
number=0
failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# same NAME PROGRAM ARGUMENTS...: the standard input is $work/input
same() {
    name=$1
    shift
    number=$((number + 1))
    if ! command -v "$1" > "$work/which"; then
        echo "ok $number - $name # SKIP no $1 on this machine"
        return
    fi
    "$@" < "$work/input" > "$work/plain" 2>&1
    plain=$?
    LD_PRELOAD=$library "$@" < "$work/input" > "$work/preloaded" 2>&1
    if [ $? -eq $plain ] && cmp -s "$work/plain" "$work/preloaded"; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        diff "$work/plain" "$work/preloaded" | head -n 5 | sed 's/^/# /'
        failed=1
    fi
}

cat > "$work/threads.py" <<'PYTHON'
import json, os, subprocess, threading

def work(n, results):
    kept = []
    for i in range(5000):
        kept.append({str(i) * (i % 50): list(range(i % 30))})
        if len(kept) > 500:
            del kept[:250]
    results[n] = len(json.dumps(json.loads(json.dumps(kept))))

results = {}
threads = [threading.Thread(target=work, args=(n, results)) for n in range(8)]
for t in threads: t.start()
for t in threads: t.join()
large = bytearray(100 << 20)
large[-1] = 1
child = os.fork()
if child == 0:
    os._exit(len([b"x" * i for i in range(5000)]) % 256)
print(sorted(results.items()), len(large), os.waitpid(child, 0)[1])
print(subprocess.check_output(["echo", "from a child"]))
PYTHON
cat > "$work/program.c" <<'C'
#include <stdio.h>
int main(void) { return printf("compiled\n") < 0; }
C

echo 1..8
seq 200000 > "$work/input"
same "bash runs a pipeline with subshells" bash -c 'for i in 1 2 3; do (echo $i; seq 1000 | grep -c 7); done'
same "sort on several threads" sort -r --parallel=4 -S 4M
same "grep with a backtracking pattern" grep -cE '(1|2)+3.*\1'
same "awk with a large table" awk '{ t[$1 % 5000] = t[$1 % 5000] $1 } END { for (i = 0; i < 5000; i++) n += length(t[i]); print n }'
same "python3 with threads, fork and a large buffer" python3 "$work/threads.py"
same "git makes a repository" sh -c "rm -rf '$work/r' && git init -q '$work/r' && cd '$work/r' && cp '$work/input' f &&
    git add f && git write-tree"
same "cc compiles and links" sh -c "cc -O2 -o '$work/program' '$work/program.c' && '$work/program'"
same "perl with regular expressions" perl -ne '$n{length $1}++ while /(\d*?7)/g; END { print join(",", map {"$_=$n{$_}"} sort keys %n) }'
exit $failed
