#!/usr/bin/env bash
# Another pack through the same rig, on a CPU: a companion from an invented vault and Q&A file, from extract to two rounds of the loop.
#   scripts/packs_smoke.sh [--dry-run]
# Builds llama.cpp and the tiny base of `make smoke` first where they are missing. Everything stays in output/packs-smoke.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=scripts/steps.sh disable=SC1091
source scripts/steps.sh
begin packs-smoke "$@"
root=output/packs-smoke role=companion base=output/smoke/base
pack="$root/$role.yml" evals="$root/evals"

recipe=(--with smoke --with scripts/packs_smoke/recipe.yml)
build=("$python" -m data.pipeline all --config "$pack" --sessions "$root/vault" --out "$root/datasets")
rubric=("$python" -m eval.rubric --base-model "$base" --config "$pack" --max-new-tokens 2048)
registry=("$python" -m deploy.registry --root "$root")
beside=("$python" -m scripts.packs_smoke.beside)
round=("$python" -m scripts.loop iterate "$role" --root "$root" --files "$root" --loop "$root/loop.yml" --config "$pack"
  --sessions "$root/vault" "${recipe[@]}" --strong STRONG)

step "llama.cpp is found, or built once" "$python" -m deploy.engine
[[ -f "$base/config.json" ]] || tiny_base output/smoke
"$dry_run" || { rm -rf "$root" && mkdir -p "$root"; }
step "Somebody keeps a vault" "$python" -m data.sample.vault --out "$root/vault" --notes 60
step "The same person has questions answered" "$python" -m scripts.packs_smoke --root "$root" --base "$base"
step "Vault and answers become rows" "${build[@]}"
step "Somebody reads some of the rows" "$python" -m scripts.packs_smoke.decide "$root/datasets" --out "$root/decisions.jsonl"
step "What was decided is kept" \
  "$python" -m data.curate --config "$pack" --rows "$root/datasets" --author reader --apply "$root/decisions.jsonl"
step "The next build does as it was decided" "${build[@]}"
step "Axolotl trains the companion" quietly "$root/train.log" scripts/train.sh "$pack" "${recipe[@]}" --root "$root"
step "The base and the companion answer" \
  quietly "$root/rubric.log" "${rubric[@]}" --model "$root/adapters/$role" --out "$evals/first.json" --base-out "$evals/base.json"
step "What the training was worth" "$python" -m eval.rubric_compare "$evals/base.json" "$evals/first.json" --margin 0
step "How much of the training text it repeats" \
  "$python" -m eval.verbatim --rows "$root/datasets" --results "$evals/base.json" "$evals/first.json"
step "The adapter becomes version 1" "${registry[@]}" register "$root/adapters/$role"
step "The gate looks at version 1" "${registry[@]}" evaluate "$role" 1 "$evals/base.json" "$evals/first.json" --margin 0
step "Version 1 becomes one file for llama.cpp" \
  quietly "$root/gguf.log" "$python" -m deploy.gguf "$role" 1 --root "$root" --kind gguf-q4_k_m --pre-tokenizer qwen2
step "Version 1 goes live" "${registry[@]}" promote "$role" 1
step "It is served, and asked beside a stronger model" \
  "${beside[@]}" --gateway "$root" --teacher right -- "$python" -m eval.people.compare "Where is the seal?" \
  --local LOCAL --strong STRONG --role "$role" --config "$pack" --max-new-tokens 48 --out "$root/comparisons"
step "A round of the loop: a stronger model tells what the companion did not know" \
  "${beside[@]}" --gateway "$root" --teacher right -- "${round[@]}"
step "Another round, whose teacher is wrong: the gate refuses, and what was live stays" \
  "${beside[@]}" --teacher wrong --expect 3 -- "${round[@]}"
step "What is there now" "${registry[@]}" list
printf '\nAll of it took %d s.\n' "$SECONDS"
