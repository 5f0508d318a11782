#!/usr/bin/env bash
# Everything that is measured on a GPU, in order of value.
#
#     benchmarks/gpu.sh OUT              all parts, one after the other
#     benchmarks/gpu.sh OUT bench table  these parts only
#
# tests      captured steps equal ordinary ones, and the other tests that need a GPU
# bench      milliseconds a step against the floor, in each precision
# precision  error rates in tf32 and bfloat16 against float32: 300 seeds of `demo`, 100 labels, margin 0.1 points
# table      one label budget of `table2`: 15 seeds, 100 labels
# budgets    the others: 200 and 1000 labels
# scaling    milliseconds a replica-step over the number of replicas
# search     settings of a ladder of few steps, by validation error; needs Optuna
#
# A call stops about TIME_LIMIT seconds after its start, up to a minute later where something is compiled just then;
# called again, it goes on where it stopped. Run folders with their checkpoints, and what is measured, stay in WORK; OUT
# gets small files only, and OUT.tar.gz beside it holds them all. The project itself needs no installation: it is taken
# from this source tree. The packages that it depends on (setup.cfg) have to be there.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
out=$(realpath -m "${1:?usage: benchmarks/gpu.sh OUT [tests|bench|precision|table|budgets|scaling|search ...]}")
shift
python3 - <<'END' || exit 2
import importlib.util
import sys

needed = "torch numpy scipy sklearn click rich pydantic safetensors matplotlib PIL jinja2".split()
missing = [name for name in needed if importlib.util.find_spec(name) is None]
if missing:
    sys.exit(f"benchmarks/gpu.sh: python3 does not find {', '.join(missing)}: install them, or name them in PYTHONPATH")
END
work=$(realpath -m "${WORK:-$root/runs/gpu}")
deadline=$((SECONDS + ${TIME_LIMIT:-540}))
device=${DEVICE:-cuda}
seeds=${SEEDS:-15}
comparison_seeds=${COMPARISON_SEEDS:-300}
trials=${TRIALS:-200}
read -r -a overrides <<<"${SET:-}" # such as "--set ladder.n_steps=10", to try the script
[ $# -gt 0 ] || set -- tests bench precision table budgets scaling search

mkdir -p "$out" "$work/packages"
ln -sfn "$root/ladder_ebgan" "$work/packages/ladder_ebgan"
ln -sfn "$root/recipes" "$work/packages/ladder_ebgan_recipes"
ln -sfn "$root/benchmarks" "$work/packages/ladder_ebgan_benchmarks"
export PYTHONPATH="$work/packages${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
cd "$root"

program=(python3 -c 'from ladder_ebgan.cli import main; main()')

SHORTEST=60 # seconds that a part is begun with

# Seconds that are left of this call; at least one, which ends a run with its checkpoint.
left() { echo $((deadline > SECONDS ? deadline - SECONDS : 1)); }

# Train in a folder of WORK until done or out of time, and keep its text files. 75: out of time.
run() { # NAME OPTION...
    local name=$1 status=0
    shift
    "${program[@]}" run --device "$device" --output "$work/$name" --time-limit "$(left)" "${overrides[@]}" "$@" \
        >"$out/$name.txt" 2> >(tee "$out/$name.log" >&2) || status=$?
    mkdir -p "$out/$name"
    for file in run.json results.csv history.csv table.json table.md table.csv table.tex; do
        if [ -e "$work/$name/$file" ]; then cp "$work/$name/$file" "$out/$name/"; fi
    done
    if [ $status -eq 1 ] && [ -s "$out/$name.txt" ]; then status=0; fi # a seed diverged, and the table says so
    return $status
}

# Measure once, one number of replicas at a time, so that little is lost when time runs out.
bench() { # PRECISION REPLICAS OPTION...
    local file="$work/bench-$1-$2.json"
    if [ ! -e "$file" ]; then
        timeout "$(left)" "${program[@]}" bench --json --device "$device" --precision "$1" --replicas "$2" \
            "${overrides[@]}" "${@:3}" >"$file.part" 2> >(tee "$out/bench-$1-$2.log" >&2) || return
        mv "$file.part" "$file"
    fi
    cp "$file" "$out/"
}

# At first those that compile nothing. A file that needs a package which is not there (pytest's plugins, Optuna) is left out.
part_tests() {
    local files marks status=0
    files=$(grep -lE 'mark\.gpu|ON_GPU' tests/test_*.py)
    for marks in "gpu and not slow" "gpu and slow"; do
        # shellcheck disable=SC2086  # one word a file
        timeout "$(left)" python3 -m pytest -v -m "$marks" -p no:cacheprovider -o filterwarnings=default \
            --continue-on-collection-errors $files 2>&1 | tee "$out/tests-${marks// /-}.txt" || status=$?
    done
    return $status
}

part_bench() {
    for each in {float32,tf32,bfloat16}" "15 {bfloat16,tf32,float32}" "45 {float32,tf32,bfloat16}" "1; do
        # shellcheck disable=SC2086  # two words
        bench $each || return
    done
}

part_precision() {
    local compiled=() # its many groups share what is compiled
    [ "$device" = cpu ] || compiled=(--compile)
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

part_table() { run table2 --recipe table2 --labels 100 --seeds "$seeds" --precision "$(table_precision)"; }

part_budgets() {
    run table2 --recipe table2 --labels 100,200,1000 --seeds "$seeds" --precision "$(table_precision)"
}

part_scaling() {
    for replicas in 2 4 8 30 64; do bench float32 "$replicas" --no-plain || return; done
}

# What goes on from OUT's files in another place is kept too: the study, and a bit for each validation image.
part_search() {
    local name=search-fast-ladder status=0
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
    if ((deadline - SECONDS < SHORTEST)); then # too little to begin, build and record something
        failed+=("$part (75)")
        continue
    fi
    echo "== $part"
    "part_$part" || failed+=("$part ($?)")
    echo "== $part: $((SECONDS - started)) s"
    tar -C "$(dirname "$out")" -czf "$out.tar.gz" "$(basename "$out")" || echo "no $out.tar.gz was written" >&2
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "not finished (exit code; 75 and 124: out of time, the same command goes on): ${failed[*]}" >&2
    exit 1
fi
