#!/usr/bin/env bash
# sweep.sh [SEEDS [STORE_SEEDS [CLUSTER_SEEDS]]]: the default sweep of each world over many seeds, as
# TAP. It fails when a seed fails, when a verdict is unknown, and when a probe or an enabled fault was
# never reached (but for clusters, whose seeds are long and therefore few).
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
sim=build/sim/tool/tinykv-sim
seeds=${1:-20000}
store=${2:-5000}
clusters=${3:-1000}
n=0
if [ ! -x "$sim" ]; then
    echo "1..0 # SKIP there is no $sim: run ./dev test first"
    exit 0
fi

# sweep WORLD SEEDS [OPTION]
sweep() {
    n=$((n + 1))
    if "$sim" sweep --world "$1" --seeds "0..$(($2 - 1))" ${3:+"$3"} --quiet; then
        echo "ok $n - sweep of $2 seeds of the world $1"
    else
        echo "not ok $n - sweep of $2 seeds of the world $1"
    fi
}

sweep node "$seeds" --require-probes
sweep store "$store" --require-probes
sweep cluster "$clusters"
echo "1..$n"
