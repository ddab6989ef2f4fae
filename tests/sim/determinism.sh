#!/usr/bin/env bash
# determinism.sh - the same seed gives the same trace hash whatever built the simulator: gcc and
# clang, -O0 and -O2, sanitizers, glibc and musl, x86-64, aarch64 and the big-endian s390x (static,
# under qemu-user); and with shadow recoveries on or off.
#
# usage: tests/sim/determinism.sh [BUILD...]     only those builds, e.g. musl s390x
# Prints TAP: one test a build, and one for the shadows; a build whose tools are missing is skipped.
# SEEDS and SLOW_SEEDS (under qemu) say how many seeds, SET how the plan is changed ("ops=100
# shadow_max=4"), DIR where the builds go.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly SEEDS=${SEEDS:-200} SLOW_SEEDS=${SLOW_SEEDS:-20}
readonly DIR=${DIR:-build-determinism}
read -r -a plan <<<"${SET:-}"
only=("$@")
sets=()
for set in "${plan[@]}"; do
    sets+=(--set "$set")
done
n=0
world=node # whose seeds are run

say() { printf '# %s\n' "$*"; }
ok() { n=$((n + 1)); printf 'ok %d - %s\n' "$n" "$*"; }
not_ok() { n=$((n + 1)); printf 'not ok %d - %s\n' "$n" "$*"; }
skip() { n=$((n + 1)); printf 'ok %d - %s # SKIP %s\n' "$n" "$1" "$2"; }

wanted() {
    [ "${#only[@]}" = 0 ] || [ "$1" = gcc-O2 ] || [[ " ${only[*]} " == *" $1 "* ]]
}

# build NAME CC MESON_ARGS...: the tool alone; quiet unless it fails.
build() {
    local name=$1 cc=$2
    shift 2
    local dir=$DIR/$name log=$DIR/$name.log
    if [ ! -f "$dir/build.ninja" ] &&
        ! CC=$cc meson setup "$dir" -Dwerror=false -Ddebug=false "$@" >"$log" 2>&1; then
        tail -n 20 "$log" | sed 's/^/# /'
        return 1
    fi
    if ! ninja -C "$dir" sim/tool/tinykv-sim >"$log" 2>&1; then
        tail -n 40 "$log" | sed 's/^/# /'
        return 1
    fi
}

# hashes OUT SEEDS COMMAND...: a line a seed, "SEED HASH", in order. Only the hashes are judged
# here: whether the runs pass is the sweep's business.
hashes() {
    local out=$1 count=$2
    shift 2
    "$@" sweep --world "$world" --seeds "0..$((count - 1))" --hashes --quiet "${sets[@]}" >"$out.all" 2>&1
    grep -E '^[0-9]+ [0-9a-f]{16}$' "$out.all" | sort -n >"$out"
    [ "$(wc -l <"$out")" = "$count" ] || { tail -n 10 "$out.all" | sed 's/^/# /'; return 1; }
}

# compare NAME COUNT REFERENCE FILE: COUNT lines of both.
compare() {
    local name=$1 count=$2 reference=$3 file=$4 different
    different=$(diff <(head -n "$count" "$reference") "$file" | grep '^>' | head -n 5)
    if [ -z "$different" ]; then
        ok "$name: the same hashes over $count seeds"
    else
        printf '%s\n' "$different" | sed 's/^>/# differs: seed/'
        not_ok "$name: other hashes"
    fi
}

# variant NAME SEEDS RUNNER CC MESON_ARGS...; RUNNER is "" or what runs foreign programs
variant() {
    local name=$1 count=$2 runner=$3 cc=$4 start=$SECONDS
    shift 4
    wanted "$name" || return 0
    if ! command -v "$cc" >/dev/null; then
        skip "$name" "there is no $cc"
        return
    fi
    if [ -n "$runner" ] && ! command -v "$runner" >/dev/null; then
        skip "$name" "there is no $runner"
        return
    fi
    if ! build "$name" "$cc" "$@"; then
        not_ok "$name: does not build"
        return
    fi
    local tool=("$DIR/$name/sim/tool/tinykv-sim")
    [ -z "$runner" ] || tool=("$runner" "${tool[@]}")
    for world in node store cluster; do
        if ! hashes "$DIR/$name.$world.hashes" "$count" "${tool[@]}"; then
            not_ok "$name, $world: gave no hash for some seeds"
            return
        fi
        [ "$name" = gcc-O2 ] ||
            compare "$name, $world" "$count" "$DIR/gcc-O2.$world.hashes" "$DIR/$name.$world.hashes"
    done
    say "$name: $((SECONDS - start)) s"
}

# Shadow recoveries leave no mark on the run that they look at. (Without any, nobody knows what a
# crash left, and the history is judged by a search: hence the short runs.)
shadows() {
    local tool=$DIR/gcc-O2/sim/tool/tinykv-sim on=$DIR/shadows-on.hashes off=$DIR/shadows-off.hashes
    wanted shadows || return 0
    local all=("${sets[@]}" --set ops=60)
    for world in node store; do
        sets=("${all[@]}")
        hashes "$on" "$SEEDS" "$tool" || { not_ok "shadows on, $world: no hash for some seeds"; return; }
        sets+=(--set shadow_max=0)
        hashes "$off" "$SEEDS" "$tool" || { not_ok "shadows off, $world: no hash for some seeds"; return; }
        compare "shadows on and off, $world" "$SEEDS" "$on" "$off"
    done
}

mkdir -p "$DIR"
rm -f "$DIR"/*.hashes # of another time
static=(-Ddefault_library=static -Dc_link_args=-static -Db_pie=false)
asan=(-Doptimization=1 -Db_sanitize=address,undefined -Db_lundef=false)
aarch64=(-Doptimization=2 --cross-file tests/cross/aarch64.ini "${static[@]}")
s390x=(-Doptimization=2 --cross-file tests/cross/s390x.ini "${static[@]}")
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}

variant gcc-O2 "$SEEDS" '' gcc -Doptimization=2
if [ ! -f "$DIR/gcc-O2.store.hashes" ]; then
    not_ok 'gcc-O2: the reference'
    printf '1..%d\n' "$n"
    exit 1
fi
variant gcc-O0 "$SEEDS" '' gcc -Doptimization=0
variant clang-O0 "$SEEDS" '' clang -Doptimization=0
variant clang-O2 "$SEEDS" '' clang -Doptimization=2
variant sanitizers "$SEEDS" '' gcc "${asan[@]}"
variant musl "$SEEDS" '' musl-gcc -Doptimization=2 "${static[@]}"
variant aarch64 "$SLOW_SEEDS" qemu-aarch64 aarch64-linux-gnu-gcc "${aarch64[@]}"
variant s390x "$SLOW_SEEDS" qemu-s390x s390x-linux-gnu-gcc "${s390x[@]}"
shadows
printf '1..%d\n' "$n"
