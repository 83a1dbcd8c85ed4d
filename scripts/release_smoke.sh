#!/usr/bin/env bash
# From the adapter of `make smoke` to a service and back, on a CPU: two versions through registry, gate, GGUF, gateway and Hub.
#   scripts/release_smoke.sh [--dry-run]
# Builds llama.cpp and runs `make smoke` first where they are missing. Everything stays in output/smoke.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=scripts/steps.sh disable=SC1091
source scripts/steps.sh
begin release-smoke "$@"
role=refinery root=output/smoke evals="output/smoke/evals/$role" second="$role-half"

registry=("$python" -m deploy.registry)
bench=("$python" -m eval.role_bench --base-model "$root/base" --role "$role" --config "$root/data.yml" --rows "$root/datasets"
  --scenarios scripts/smoke_scenarios --max-new-tokens 2048 --batch-size 4)

# The tiny base has a tokenizer of its own, whose pre-tokenizer is Qwen2's: that is said here and checked there.
release() { # release VERSION RESULTS: what a version needs before it may be served
  step "The gate looks at version $1" "${registry[@]}" --root "$root" evaluate "$role" "$1" "$evals/base" "$2" --margin 0
  step "Version $1 becomes one file for llama.cpp" \
    quietly "$root/gguf-v$1.log" "$python" -m deploy.gguf "$role" "$1" --root "$root" --kind gguf-q4_k_m --pre-tokenizer qwen2
}

step "llama.cpp is found, or built once" "$python" -m deploy.engine
[[ -f "$evals/adapter/results.json" ]] || step "There is nothing to release yet: the walkthrough makes it" scripts/smoke.sh
"$dry_run" || rm -rf "$root/registry.db"* "$root/exports" "$root/served" "$root/adapters/$role"/v[0-9]*
step "The adapter becomes version 1" "${registry[@]}" --root "$root" register "$root/adapters/$role"
release 1 "$evals/adapter"
step "Version 1 goes live" "${registry[@]}" --root "$root" promote "$role" 1
step "Another training of the $role, with half of the steps" \
  quietly "$root/$second.log" scripts/train.sh "$role" --with smoke --with scripts/release_second.yml --run "$second" --root "$root"
step "It plays the scenarios" "${bench[@]}" --model "$root/adapters/$second" --out "$evals/half"
step "It becomes version 2" "${registry[@]}" --root "$root" register "$root/adapters/$second" --role "$role"
release 2 "$evals/half"
step "The gateway answers, and changes the version under load" "$python" -m scripts.release_steps serve --root "$root" --role "$role"
step "Version 1 goes to a Hub on this machine and comes back" "$python" -m scripts.release_steps hub --root "$root" --role "$role"
step "What is there now" "${registry[@]}" --root "$root" list
printf '\nAll of it took %d s.\n' "$SECONDS"
