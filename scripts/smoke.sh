#!/usr/bin/env bash
# The whole loop on a CPU, from transcripts to a scored adapter: the code of a real run, a sample town and a tiny base.
#   scripts/smoke.sh [--dry-run]
# Everything lands in output/smoke. No network, no GPU, about eight minutes on two slow cores.
set -euo pipefail
cd "$(dirname "$0")/.."

role=refinery dry_run=false
while (($#)); do
  case "$1" in
    --dry-run) dry_run=true; shift ;;
    -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "smoke: there is no option $1; see --help" >&2; exit 2 ;;
  esac
done

python="${PYTHON:-.venv/bin/python}"
[[ -x "$python" ]] || python="$(command -v python3)" || { echo "smoke: there is no Python; run \`make all\` first" >&2; exit 1; }
root=output/smoke
# One thread: two are slower on a shared machine at this size, and the order of sums stays the same.
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

# shellcheck source=scripts/steps.sh disable=SC1091
source scripts/steps.sh

"$dry_run" || { rm -rf "$root" && mkdir -p "$root"; }
tiny_base "$root"
step "The base's own tokens decide the windows" \
  "$python" -m scripts.smoke_data --base "$root/base" --out "$root/data.yml"
step "The transcripts become rows" \
  "$python" -m data.pipeline all --sessions "$root/town/projects" --out "$root/datasets" --config "$root/data.yml"
step "Axolotl trains the $role" \
  quietly "$root/train.log" scripts/train.sh "$role" --with smoke --root "$root"
# What the town taught, asked with values that it never drew: a model of this size learns no judgement. The token limit
# lets a model that does not stop run into its loops: an answer that is merely cut could not be compared. In small batches
# such an answer keeps few others waiting.
bench=("$python" -m eval.role_bench --base-model "$root/base" --role "$role" --config "$root/data.yml" --rows "$root/datasets"
  --scenarios scripts/smoke_scenarios --max-new-tokens 2048 --batch-size 4)
step "The base does what a $role does" "${bench[@]}" --model base --out "$root/evals/$role/base"
step "The adapter does the same" "${bench[@]}" --model "$root/adapters/$role" --out "$root/evals/$role/adapter"
# Without a margin the gate wants a gain: an interval that excludes 0.
step "What the training was worth" \
  "$python" -m eval.compare "$root/evals/$role/base" "$root/evals/$role/adapter" --margin 0 --html "$root/evals/report.html"
printf '\nAll of it took %d s.\n' "$SECONDS"
