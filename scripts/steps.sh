# shellcheck shell=bash disable=SC2154
# What the walkthroughs share: their options, a step with its title and its seconds, and the tiny base. Sourced, never run.

begin() { # begin NAME [--dry-run]: reads the options of the walkthrough NAME, and finds Python
  local name="$1"
  shift
  dry_run=false
  while (($#)); do
    case "$1" in
      --dry-run) dry_run=true; shift ;;
      -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;;
      *) echo "$name: there is no option $1; see --help" >&2; exit 2 ;;
    esac
  done
  python="${PYTHON:-.venv/bin/python}"
  [[ -x "$python" ]] || python="$(command -v python3)" || { echo "$name: there is no Python; run \`make all\` first" >&2; exit 1; }
  # One thread: two are slower on a shared machine at this size, and the order of sums stays the same.
  export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
}

step() { # step "what happens" COMMAND...
  local title="$1" started=$SECONDS
  shift
  printf '\n== %s\n' "$title"
  if "$dry_run"; then printf '%s\n' "$*"; else "$@" && printf '   %d s\n' "$((SECONDS - started))"; fi
}

quietly() { # quietly LOG COMMAND...: a long log goes to a file; its last line says how it ended
  local log="$1" code=0
  shift
  "$@" >"$log" 2>&1 || code=$?
  if ((code)); then tail -n 20 "$log" >&2; else tail -n 1 "$log"; fi
  return "$code"
}

tiny_base() { # tiny_base ROOT: a base model of two million parameters that can speak and knows no role, in ROOT/base
  step "A town of agents talks" \
    "$python" -m data.sample --out "$1/town" --sessions 1200
  step "What a tiny base can read" \
    "$python" -m scripts.smoke_data --out "$1/general.yml"
  step "Its transcripts become general text" \
    "$python" -m data.pipeline all --sessions "$1/town/projects" --out "$1/general" --config "$1/general.yml"
  step "A tiny base learns to speak, and no role" \
    "$python" -m scripts.tiny_base --data "$1/general" --out "$1/base"
}
