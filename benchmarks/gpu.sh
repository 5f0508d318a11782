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
#
# Each part stops within TIME_LIMIT seconds; called again, it goes on where it stopped. Run folders, with their
# checkpoints, stay in WORK; only small text files go to OUT, and OUT.tar.gz holds them all. Needs no installation:
# the packages are taken from this source tree.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
out=$(realpath -m "${1:?usage: benchmarks/gpu.sh OUT [tests|bench|precision|table|budgets|scaling ...]}")
shift
work=$(realpath -m "${WORK:-$root/runs/gpu}")
limit=${TIME_LIMIT:-540}
device=${DEVICE:-cuda}
seeds=${SEEDS:-15}
comparison_seeds=${COMPARISON_SEEDS:-300}
read -r -a overrides <<<"${SET:-}" # such as "--set ladder.n_steps=10", to try the script
[ $# -gt 0 ] || set -- tests bench precision table budgets scaling

mkdir -p "$out" "$work/packages"
ln -sfn "$root/ladder_ebgan" "$work/packages/ladder_ebgan"
ln -sfn "$root/recipes" "$work/packages/ladder_ebgan_recipes"
ln -sfn "$root/benchmarks" "$work/packages/ladder_ebgan_benchmarks"
export PYTHONPATH="$work/packages${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
cd "$root"

ladder_ebgan() { python3 -c 'from ladder_ebgan.cli import main; main()' "$@"; }

# Train in a folder of WORK until done or out of time, and keep its text files.
run() { # NAME OPTION...
    local name=$1 status=0
    shift
    ladder_ebgan run --device "$device" --output "$work/$name" --time-limit "$limit" "${overrides[@]}" "$@" \
        >"$out/$name.txt" 2> >(tee "$out/$name.log" >&2) || status=$?
    mkdir -p "$out/$name"
    for file in run.json results.csv history.csv table.json table.md; do
        if [ -e "$work/$name/$file" ]; then cp "$work/$name/$file" "$out/$name/"; fi
    done
    [ $status -ne 75 ] || echo "$name: out of time; the same command goes on"
    [ $status -eq 0 ] || [ $status -eq 75 ]
}

bench() { # NAME OPTION...
    local name=$1
    shift
    timeout "$limit" python3 -c 'from ladder_ebgan.cli import main; main()' bench --device "$device" --json \
        "${overrides[@]}" "$@" >"$out/$name.json" 2> >(tee "$out/$name.log" >&2)
}

part_tests() { timeout "$limit" python3 -m pytest -q -m gpu -p no:cacheprovider tests 2>&1 | tee "$out/tests.txt"; }

part_bench() {
    for name in float32 tf32 bfloat16; do bench "bench-$name" --precision "$name" || return; done
}

part_precision() {
    for name in float32 tf32 bfloat16; do
        run "demo-$name" --recipe demo --labels 100 --seeds "$comparison_seeds" --precision "$name" || return
    done
    for name in tf32 bfloat16; do
        python3 benchmarks/precision.py "$work/demo-float32" "$work/demo-$name" >"$out/precision-$name.md" || return
    done
    cat "$out"/precision-*.md
}

# The fastest precision that was shown to be equivalent to float32; the same one for all parts of a table.
table_precision() {
    local name chosen=float32
    if [ ! -e "$work/precision" ]; then
        for name in tf32 bfloat16; do
            if grep -qs "Equivalent in every row: yes" "$out/precision-$name.md"; then chosen=$name; fi
        done
        echo "$chosen" >"$work/precision"
    fi
    cat "$work/precision"
}

part_table() { run table2 --recipe table2 --labels 100 --seeds "$seeds" --precision "$(table_precision)"; }

part_budgets() {
    run table2 --recipe table2 --labels 100,200,1000 --seeds "$seeds" --precision "$(table_precision)"
}

part_scaling() { bench scaling --precision "$(table_precision)" --replicas 1,2,4,8,15,30,45,64 --no-plain; }

failed=()
for part in "$@"; do
    started=$SECONDS
    echo "== $part"
    "part_$part" || failed+=("$part")
    echo "== $part: $((SECONDS - started)) s"
    tar -C "$(dirname "$out")" -czf "$out.tar.gz" "$(basename "$out")"
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
