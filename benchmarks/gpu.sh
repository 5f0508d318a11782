#!/usr/bin/env bash
# Everything that is measured on a GPU, in order of value.
#
#     benchmarks/gpu.sh OUT              all parts, one after the other
#     benchmarks/gpu.sh OUT bench table  these parts only
#
# tests      captured steps equal ordinary ones, and the other tests that need a GPU and compile nothing
# table      milliseconds a step of 15 replicas in float32; one label budget of `table2`: 15 seeds, 100 labels, all three
#            models, in float32 unless `precision` came before
# bench      milliseconds a step of 15 replicas against the floor in each precision, and of 1 and 45 in float32
# precision  error rates in tf32 and bfloat16 against float32: 300 seeds of `demo`, 100 labels, margin 0.1 points
# budgets    the other budgets of `table2`: 200 and 1000 labels
# compiled   the tests that compile
# scaling    milliseconds a step of other numbers of replicas
# search     settings of a ladder of few steps, by validation error; needs Optuna
#
# A call stops about TIME_LIMIT seconds after its start, up to two minutes later where something is compiled or evaluated
# just then; called again on the same machine, it goes on where it stopped. Run folders with their checkpoints, and what
# is measured, stay in WORK, for which a disk in memory (/dev/shm) is fastest; where WORK is lost, runs go on from the
# seeds that are finished in OUT, and nothing else does. A run's checkpoints take some 2 GB. OUT gets small files only, and
# ARCHIVE, which is OUT.tar.gz unless it is set, holds them all after each run and each measurement; where it is there and
# OUT is not, or is empty, OUT begins as what it holds. If the first measurement succeeds uncompiled only, everything runs
# uncompiled, as recorded steps all the same; LADDER_EBGAN_NO_GRAPH=1 has nothing recorded, if that should fail. The
# project itself needs no installation: it is taken from this source tree. The packages that it depends on (setup.cfg)
# have to be there.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
out=$(realpath -m "${1:?usage: benchmarks/gpu.sh OUT [tests|table|bench|precision|budgets|compiled|scaling|search ...]}")
shift
python3 - <<'END' || exit 2
import importlib
import sys

missing = []
for name in "torch numpy scipy sklearn click rich pydantic safetensors matplotlib PIL jinja2".split():
    try:
        importlib.import_module(name)
    except ImportError as error:
        missing.append(f"{name} ({error})")
if missing:
    sys.exit(f"benchmarks/gpu.sh: python3 cannot import {', '.join(missing)}: install them, or name them in PYTHONPATH")
END
work=$(realpath -m "${WORK:-$root/runs/gpu}")
archive=$(realpath -m "${ARCHIVE:-$out.tar.gz}")
deadline=$((SECONDS + ${TIME_LIMIT:-450}))
device=${DEVICE:-cuda}
seeds=${SEEDS:-15}
comparison_seeds=${COMPARISON_SEEDS:-300}
trials=${TRIALS:-200}
read -r -a overrides <<<"${SET:-}" # such as "--set ladder.n_steps=10", to try the script
[ $# -gt 0 ] || set -- tests table bench precision budgets compiled scaling search

mkdir -p "$(dirname "$out")" "$work/packages" "$(dirname "$archive")"
if [ -z "$(ls -A "$out" 2>/dev/null)" ] && [ -e "$archive" ]; then
    mkdir -p "$out"
    tar -C "$out" --strip-components 1 -xzf "$archive"
fi
mkdir -p "$out"
ln -sfn "$root/ladder_ebgan" "$work/packages/ladder_ebgan"
ln -sfn "$root/recipes" "$work/packages/ladder_ebgan_recipes"
ln -sfn "$root/benchmarks" "$work/packages/ladder_ebgan_benchmarks"
export PYTHONPATH="$work/packages${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
cd "$root"

program=(python3 -c 'from ladder_ebgan.cli import main; main()')

SHORTEST=90             # seconds that something is begun with which keeps what it has done
SHORTEST_OF_A_WHOLE=180 # and what keeps nothing before its end

# Seconds that are left of this call; at least one, which ends a run with its checkpoint.
left() { echo $((deadline > SECONDS ? deadline - SECONDS : 1)); }

enough_left() { ((deadline - SECONDS >= ${1:-$SHORTEST})); }

# Put all of OUT into the archive: what ends this call too early then leaves what came before.
keep() {
    { tar -C "$(dirname "$out")" -czf "$archive.part" "$(basename "$out")" && mv "$archive.part" "$archive"; } ||
        echo "no $archive was written" >&2
}

# Print the option that has everything run uncompiled, if the first measurement succeeds with it and not without.
compiling() {
    if [ ! -e "$work/compiling" ]; then
        local option="" status=0
        if [ "$device" != cpu ]; then measure float32 "$seeds" >&2 || status=$?; fi
        case $status in
        0) ;;
        75 | 124 | 137) return $status ;; # out of time, or killed
        *)
            option=--no-compile
            mv "$out/bench-float32-$seeds.log" "$out/bench-float32-$seeds-compiled.log"
            measure float32 "$seeds" "$option" >&2 || return $status
            ;;
        esac
        echo "$option" >"$work/compiling"
    fi
    cat "$work/compiling"
}

# Train in a folder of WORK until done or out of time, and keep its text files. 75: out of time.
run() { # NAME OPTION...
    local name=$1 status=0 compile
    shift
    compile=$(compiling) || return
    enough_left || return 75
    if [ ! -e "$work/$name" ] && [ -e "$out/$name" ]; then cp -r "$out/$name" "$work/"; fi
    "${program[@]}" run --device "$device" --output "$work/$name" --time-limit "$(left)" "${overrides[@]}" "$@" \
        ${compile:+"$compile"} \
        >"$out/$name.txt" 2> >(tee "$out/$name.log" >&2) || status=$?
    mkdir -p "$out/$name"
    for file in run.json results.csv history.csv table.json table.md table.csv table.tex; do
        if [ -e "$work/$name/$file" ]; then cp "$work/$name/$file" "$out/$name/"; fi
    done
    if [ $status -eq 1 ] && [ -s "$out/$name.txt" ]; then status=0; fi # a seed diverged, and the table says so
    keep
    return $status
}

# Measure once, one number of replicas at a time, so that little is lost when time runs out. 75, 124: out of time.
measure() { # PRECISION REPLICAS OPTION...
    local file="$work/bench-$1-$2.json"
    if [ ! -e "$file" ]; then
        enough_left $SHORTEST_OF_A_WHOLE || return 75
        timeout "$(left)" "${program[@]}" bench --json --device "$device" --precision "$1" --replicas "$2" \
            "${overrides[@]}" "${@:3}" >"$file.part" 2> >(tee "$out/bench-$1-$2.log" >&2) || return
        mv "$file.part" "$file"
    fi
    cp "$file" "$out/"
    keep
}

# Measure all of them, those behind one that fails too, with the options in the array `options`.
bench() { # PRECISION:REPLICAS...
    local compile failure=0 status each
    compile=$(compiling) || return
    for each in "$@"; do
        status=0
        measure "${each%:*}" "${each#*:}" "${options[@]}" ${compile:+"$compile"} || status=$?
        case $status in
        0) ;;
        75 | 124) return $status ;;
        *) failure=$status ;;
        esac
    done
    return $failure
}

# A file that needs a package which is not there (pytest's plugins, Optuna) is left out.
test_on_gpu() { # NAME MARKS
    local files status=0
    [ ! -e "$work/$1.done" ] || return "$(cat "$work/$1.done")"
    files=$(grep -lE 'mark\.gpu|ON_GPU' tests/test_*.py)
    # shellcheck disable=SC2086  # one word a file
    timeout "$(left)" python3 -m pytest -v -m "$2" -p no:cacheprovider -o filterwarnings=default \
        --continue-on-collection-errors $files 2>&1 | tee "$out/$1.txt" || status=$?
    if [ $status -le 1 ]; then echo $status >"$work/$1.done"; fi # what fails does not pass by itself
    keep
    return $status
}

part_tests() { test_on_gpu tests "gpu and not slow"; }

part_compiled() { test_on_gpu tests-compiled "gpu and slow"; }

part_bench() {
    local options=()
    bench {float32,tf32,bfloat16}:"$seeds" float32:{1,45}
}

part_precision() {
    local compiled=() # its many groups share what is compiled
    [ "$device" = cpu ] || [ -n "$(compiling)" ] || compiled=(--compile)
    for name in float32 tf32 bfloat16; do
        run "demo-$name" --recipe demo --labels 100 --seeds "$comparison_seeds" --precision "$name" \
            "${compiled[@]}" || return
        rm -rf "$work/demo-$name/models" # which nobody reads: 35 MB each
    done
    for name in tf32 bfloat16; do
        python3 benchmarks/precision.py "$work/demo-float32" "$work/demo-$name" >"$work/precision-$name.md" || return
        cp "$work/precision-$name.md" "$out/"
    done
}

# The precision of all tables: bfloat16 or tf32, in this order, if it was shown to be equivalent to float32 before the
# first table began.
table_precision() {
    local name chosen=float32
    if [ ! -e "$work/precision" ]; then
        for name in tf32 bfloat16; do
            if grep -qs "Equivalent in every row: yes" "$work/precision-$name.md"; then chosen=$name; fi
        done
        echo "$chosen" >"$work/precision"
    fi
    cat "$work/precision"
}

table2() { # LABELS
    local models=(--model ladder --model ebgan-ladder --model ladder-matched)
    run table2 --recipe table2 --labels "$1" --seeds "$seeds" --precision "$(table_precision)" "${models[@]}"
}

part_table() { table2 100; }

part_budgets() { table2 100,200,1000; }

part_scaling() {
    local options=(--no-plain)
    bench float32:{1,2,4,8,30,64} {tf32,bfloat16}:{1,45}
}

# What goes on from OUT's files in another place is kept too: the study, and a bit for each validation image.
part_search() {
    local name=search-fast-ladder status=0
    python3 -c 'import optuna' || return
    "${program[@]}" search --space fast-ladder --trials "$trials" --device "$device" --output "$work/$name" \
        --time-limit "$(left)" "${overrides[@]}" >"$out/$name.txt" 2> >(tee "$out/$name.log" >&2) || status=$?
    mkdir -p "$out/$name"
    for file in search.json study.journal trials.csv table.json table.md best.toml correct; do
        if [ -e "$work/$name/$file" ]; then cp -r "$work/$name/$file" "$out/$name/"; fi
    done
    return $status
}

failed=()
for part in "$@"; do
    started=$SECONDS
    if ! enough_left; then
        failed+=("$part (75)")
        continue
    fi
    echo "== $part"
    "part_$part" || failed+=("$part ($?)")
    echo "== $part: $((SECONDS - started)) s"
    keep
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "not finished (exit code; 75 and 124: out of time, the same command goes on): ${failed[*]}" >&2
    exit 1
fi
