#!/usr/bin/env bash
# The whole loop on a CPU, from transcripts to a scored adapter: the code of a real run, a sample town and a tiny base.
#   scripts/smoke.sh [--dry-run]
# Everything lands in output/smoke. No network, no GPU, about eight minutes on two slow cores.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=scripts/steps.sh disable=SC1091
source scripts/steps.sh
begin smoke "$@"
role=refinery root=output/smoke

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
