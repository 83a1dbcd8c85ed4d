# shellcheck shell=bash disable=SC2154
# What the walkthroughs share: a step with its title and its seconds, and the tiny base. Sourced, never run; $dry_run and
# $python are theirs.

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
