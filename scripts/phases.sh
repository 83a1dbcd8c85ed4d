#!/usr/bin/env bash
# One adapter for all roles (phase 1), one for each role (phase 2), from one dataset, and role_bench on all of them.
#   scripts/phases.sh [--roles "mayor crew"] [--samples 5] [--with smoke]... [--root output] [--dry-run] [-- EVAL OPTIONS]
# Without --roles: every role with rows and scenarios. --with-all OVERRIDE changes the recipe of phase 1 alone. What is trained
# or played already is not done again. --scenarios DIR plays others; what stands behind -- goes to eval.phases as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,5s/^# \{0,1\}//p' "$0"; }
die() { printf 'phases: %s\n' "$1" >&2; exit "${2:-1}"; }

all=gastown
root=output roles="" dry_run=false
with=() with_all=() options=()
while (($#)); do
  case "$1" in
    --roles) [[ $# -ge 2 ]] || die "--roles needs names, such as --roles \"mayor crew\"" 2; roles="$2"; shift 2 ;;
    --with) [[ $# -ge 2 ]] || die "--with needs the name of an override" 2; with+=(--with "$2"); shift 2 ;;
    --with-all) [[ $# -ge 2 ]] || die "--with-all needs the name of an override" 2; with_all+=(--with "$2"); shift 2 ;;
    --samples | --scenarios) [[ $# -ge 2 ]] || die "$1 needs a value" 2; options+=("$1" "$2"); shift 2 ;;
    --root) [[ $# -ge 2 ]] || die "--root needs a folder" 2; root="$2"; shift 2 ;;
    --dry-run) dry_run=true; shift ;;
    -h | --help) usage; exit 0 ;;
    --) shift; options+=("$@"); break ;;
    *) die "there is no option $1; options of the evaluation stand behind --, see --help" 2 ;;
  esac
done

python="${PYTHON:-.venv/bin/python}"
[[ -x "$python" ]] || python="$(command -v python3)" || die "there is no Python. Run \`make all\` first: it makes .venv."
scenarios=eval/prompts
for ((i = 0; i < ${#options[@]}; i++)); do
  [[ "${options[i]}" != --scenarios ]] || scenarios="${options[i + 1]:-}"
done

with_rows() { # the roles that have rows and scenarios
  local file name
  for file in "$scenarios"/*.jsonl; do
    name="$(basename "$file" .jsonl)"
    [[ ! -s "$root/datasets/${name}_train.jsonl" ]] || printf '%s ' "$name"
  done
}

same_recipe() { # same_recipe RUN WITH...: whether this recipe, which names its rows by their hash, is trained already
  local run="$1" new
  shift
  [[ -f "$root/adapters/$run/run.json" ]] || return 1
  new="$(mktemp -d)"
  "$python" -m configs.resolve "$run" --root "$root" "$@" --out "$new/recipe.yml" >"$new/log" 2>&1 || { rm -r "$new"; return 1; }
  "$python" -c 'import json, sys; run, new = map(open, sys.argv[1:]); sys.exit(json.load(run)["config"] != new.read())' \
    "$root/adapters/$run/run.json" "$new/recipe.yml"
  local code=$?
  rm -r "$new"
  return "$code"
}

train() { # train RUN WITH...; 0 trained, 3 too few rows
  local run="$1" log="$root/phases/$1.log" code=0
  shift
  printf '\n== %s: train\n' "$run"
  if "$dry_run"; then printf '%s\n' "scripts/train.sh $run --root $root $*"; return; fi
  if same_recipe "$run" "$@"; then echo "   trained already, with this recipe and these rows"; return; fi
  printf '   its log: %s\n' "$log"
  scripts/train.sh "$run" --root "$root" "$@" >"$log" 2>&1 || code=$?
  tail -n 1 "$log"
  ((code == 0)) || ! grep -q "too few rows" "$log" || return 3
  return "$code"
}

[[ -n "$roles" ]] || roles="$(with_rows)"
[[ -n "${roles// /}" ]] || die "$root/datasets has rows of no role with scenarios in $scenarios. Run \`make all\`, or give --roles."
for role in $roles; do # known before hours of training
  [[ -f "$scenarios/$role.jsonl" ]] || die "$role has no scenarios in $scenarios, so nothing could be compared. Leave it out of --roles."
  "$dry_run" || [[ -s "$root/datasets/${role}_train.jsonl" ]] || die "$role has no rows in $root/datasets. Leave it out of --roles."
done
"$dry_run" || mkdir -p "$root/phases"
train "$all" "${with[@]}" "${with_all[@]}" || die "phase 1: the all-roles adapter was not trained; see $root/phases/$all.log"
chosen=() left_out=()
for role in $roles; do
  code=0
  train "$role" "${with[@]}" || code=$?
  case "$code" in
    0) chosen+=("$role") ;;
    3) left_out+=("$role") ;;
    *) die "phase 2: $role was not trained; see $root/phases/$role.log" ;;
  esac
done
((${#chosen[@]})) || die "phase 2: every role has too few rows: ${left_out[*]}"
((${#left_out[@]} == 0)) || printf '\nLeft out, too few rows: %s\n' "${left_out[*]}"

printf '\n== Base, all-roles adapter and own adapter: %s\n' "${chosen[*]}"
compare=("$python" -m eval.phases "${chosen[@]/#/--role=}" --adapters "$root/adapters" --rows "$root/datasets"
  --evals "$root/evals" --out "$root/evals/phases" "${options[@]}")
if "$dry_run"; then printf '%s\n' "${compare[*]}"; else "${compare[@]}"; fi
