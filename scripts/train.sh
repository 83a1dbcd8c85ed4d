#!/usr/bin/env bash
# Train one role's adapter: resolve the recipe, run Axolotl, check that it really trained, keep the adapter.
#   scripts/train.sh mayor [--with smoke]... [--run NAME] [--gpus N] [--backend mlx] [--root output] [--dry-run]
# With the same recipe and rows a stopped run continues from its last checkpoint. --with dpo trains the run mayor-dpo.
# --backend mlx trains with mlx-lm, on Apple silicon.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,5s/^# \{0,1\}//p' "$0"; }
die() { printf 'train: %s\n' "$1" >&2; exit "${2:-1}"; }

role="" root=output gpus=1 backend=axolotl dry_run=false
resolve_args=()
while (($#)); do
  case "$1" in
    --with) [[ $# -ge 2 ]] || die "--with needs the name of an override" 2; resolve_args+=(--with "$2"); shift 2 ;;
    --run) [[ $# -ge 2 ]] || die "--run needs a name" 2; resolve_args+=(--run "$2"); shift 2 ;;
    --gpus) [[ $# -ge 2 ]] || die "--gpus needs a number" 2; gpus="$2"; shift 2 ;;
    --backend) [[ ${2:-} =~ ^(axolotl|mlx)$ ]] || die "--backend is axolotl or mlx" 2; backend="$2"; shift 2 ;;
    --root) [[ $# -ge 2 ]] || die "--root needs a folder" 2; root="$2"; shift 2 ;;
    --dry-run) dry_run=true; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) die "there is no option $1. $(usage | sed -n 2p)" 2 ;;
    *) [[ -z "$role" ]] || die "one role at a time: got $role and $1" 2; role="$1"; shift ;;
  esac
done
[[ -n "$role" ]] || { usage >&2; exit 2; }

python="${PYTHON:-.venv/bin/python}"
[[ -x "$python" ]] || python="$(command -v python3)" || die "there is no Python. Run \`make all\` first: it makes .venv."
# Axolotl finds its helpers on PATH only.
PATH="$(dirname "$(command -v "$python")"):$PATH"
name="$("$python" -m configs.resolve "$role" "${resolve_args[@]}" --name)" || exit 1
launch="$("$python" -m configs.launch "$role" "${resolve_args[@]}" --gpus "$gpus")" || exit 1
read -ra launcher <<<"$launch"
# One process would spread one model over every GPU that it sees, and most of them would wait.
[[ "$launch" != "--launcher python" ]] || export CUDA_VISIBLE_DEVICES="${CUDA_VISIBLE_DEVICES-0}"
config="$root/configs/$name.yml"
checkpoints="$root/checkpoints/$name"
adapter="$root/adapters/$name"
export AXOLOTL_DO_NOT_TRACK=1 PYTHONUNBUFFERED=1

run() {
  if "$dry_run"; then printf '%s\n' "$*"; else "$@"; fi
}

run "$python" -m configs.resolve "$role" --root "$root" "${resolve_args[@]}"
if [[ $backend == mlx ]]; then
  run "$python" -m configs.mlx "$config" || die "mlx-lm did not finish; see above"
  run "$python" -m configs.runs.check "$checkpoints" --adapter "$adapter"
  exit
fi
run "$python" -m configs.runs.start "$config"
# Axolotl's own choice, accelerate, leaves the real trainer running when it is killed.
run axolotl train "$config" "${launcher[@]}" || die "axolotl stopped with exit code $?; see $checkpoints/debug.log"
run "$python" -m configs.runs.check "$checkpoints" --adapter "$adapter"
