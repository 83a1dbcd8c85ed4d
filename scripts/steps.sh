# shellcheck shell=bash disable=SC2154
# What smoke.sh and release_smoke.sh share: a step with its title and its seconds. Sourced, never run; $dry_run is theirs.

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
