#!/usr/bin/env bash
# sweep.sh [SEEDS]: the default sweep over many seeds, as TAP. It fails when a seed fails, when a
# verdict is unknown, and when a probe or an enabled fault was never reached.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
sim=build/sim/tool/tinykv-sim
seeds=${1:-20000}
if [ ! -x "$sim" ]; then
    echo "1..0 # SKIP there is no $sim: run ./dev test first"
    exit 0
fi
if "$sim" sweep --seeds "0..$((seeds - 1))" --require-probes --quiet; then
    echo "ok 1 - sweep of $seeds seeds"
else
    echo "not ok 1 - sweep of $seeds seeds"
fi
echo "1..1"
