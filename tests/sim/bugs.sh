#!/usr/bin/env bash
# bugs.sh TINYKV-SIM DIR: replays the plan of every bug that a seed once found. Prints TAP.
set -u
sim=$1 dir=$2 n=0
for plan in "$dir"/*.seed; do
    n=$((n + 1))
    if out=$("$sim" replay "$plan" --tail 20 2>&1); then
        echo "ok $n - $(basename "$plan" .seed)"
    else
        printf '%s\n' "$out" | sed 's/^/# /'
        echo "not ok $n - $(basename "$plan" .seed)"
    fi
done
echo "1..$n"
