#!/usr/bin/env bash
# Try several values: one training for each combination in a file, through Axolotl's own --sweep, and a table of them.
#   scripts/sweep.sh mayor rates.yml [--with smoke]... [--run NAME] [--root output] [--dry-run]
# The file has a list for each key, such as learning_rate: [1.0e-4, 2.0e-4]. Called again, finished runs are not repeated.
set -euo pipefail
usage() { sed -n '2,4s/^# \{0,1\}//p' "$0"; }
die() { printf 'sweep: %s\n' "$1" >&2; exit "${2:-1}"; }

role="" sweep="" run_name="" root=output dry_run=false
resolve_args=()
while (($#)); do
  case "$1" in
    --with) [[ $# -ge 2 ]] || die "--with needs the name of an override" 2; resolve_args+=(--with "$2"); shift 2 ;;
    --run) [[ $# -ge 2 ]] || die "--run needs a name" 2; run_name="$2"; shift 2 ;;
    --root) [[ $# -ge 2 ]] || die "--root needs a folder" 2; root="$2"; shift 2 ;;
    --dry-run) dry_run=true; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) die "there is no option $1. $(usage | sed -n 2p)" 2 ;;
    *) if [[ -z "$role" ]]; then role="$1"; elif [[ -z "$sweep" ]]; then sweep="$1"; else die "one role and one file: got $1 as well" 2; fi; shift ;;
  esac
done
[[ -n "$role" && -n "$sweep" ]] || { usage >&2; exit 2; }
[[ -f "$sweep" ]] || die "$sweep: no such file. $(usage | sed -n 3p)"
sweep="$(realpath "$sweep")"
cd "$(dirname "$0")/.."

python="${PYTHON:-.venv/bin/python}"
[[ -x "$python" ]] || python="$(command -v python3)" || die "there is no Python. Run \`make all\` first: it makes .venv."
# Axolotl finds its helpers on PATH only.
PATH="$(dirname "$(command -v "$python")"):$PATH"
if [[ -z "$run_name" ]]; then
  run_name="$("$python" -m configs.resolve "$role" "${resolve_args[@]}" --name)" || exit 1
  run_name="$run_name-$(basename "${sweep%.*}")"
fi
config="$root/configs/$run_name.yml"
checkpoints="$root/checkpoints/$run_name"
export AXOLOTL_DO_NOT_TRACK=1 PYTHONUNBUFFERED=1

run() {
  if "$dry_run"; then printf '%s\n' "$*"; else "$@"; fi
}

run "$python" -m configs.resolve "$role" --root "$root" --run "$run_name" "${resolve_args[@]}"
run "$python" -m configs.runs.start "$config" --sweep "$sweep"
# A process for each training: one that fails then leaves the others alone, and its GPU memory goes with it.
run axolotl train "$config" --sweep "$sweep" --launcher accelerate || die "axolotl stopped with exit code $?; see $checkpoints"
run "$python" -m configs.runs.sweep "$checkpoints"
