#!/usr/bin/env bash
# Fetches a trained adapter from another machine into output/adapters, checked file by file, then put in place in one step.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"
cd "$here/.."

usage() {
  cat <<'HELP'
Usage: scripts/pull_adapter.sh [--dry-run] HOST RUN

Copies output/adapters/RUN from RIG_REMOTE_DIR on HOST to output/adapters/RUN here; RUN is the role's name, or one such
as mayor-dpo, which run_train.sh says at its end. SHA-256 sums made there are checked here before the folder replaces an
earlier one; an interrupted copy goes on where it stopped. Versions of the registry (v1, v2, ...) stay where they are:
those here are kept, those there are not fetched.

HELP
  settings_help
}

dry_run=false host='' run=''
for argument in "$@"; do
  case $argument in
  --help | -h) usage && exit 0 ;;
  --dry-run) dry_run=true ;;
  -*) fail "there is no option $argument; see scripts/pull_adapter.sh --help." 2 ;;
  *) if [[ -z $host ]]; then host=$argument; elif [[ -z $run ]]; then run=$argument; else fail "one run at a time: $run or $argument?" 2; fi ;;
  esac
done
[[ -n $host && -n $run ]] || { usage >&2 && exit 2; }
check_host "$host"
check_run "$run"
need_tools
readonly target=output/adapters/$run incoming=output/adapters/.incoming-$run old=output/adapters/.old-$run

# An adapter is fetched only when the last training of this name there ended well, or none was started through run_train.sh.
check_state() {
  local rc=0 state
  state=$(persist detached status "$run" </dev/null 2>"$WORK/state.err") || rc=$?
  ((rc != 255)) || explain_ssh "$host" "$WORK/state.err"
  ((rc == 0)) || fail "there is no rig in $RIG_REMOTE_DIR on $host. Check RIG_REMOTE_DIR, or send it first: scripts/sync_data.sh $host ROLE."
  case $state in
  none | "exited 0") ;;
  running*) fail "the training of $run is still running on $host. Wait for it: scripts/run_train.sh $host $run --attach." ;;
  *) fail "the last training of $run on $host failed ($state), so an adapter there is from an earlier one. See why: scripts/run_train.sh $host $run --attach." ;;
  esac
}

# shellcheck disable=SC2016 # a script for the remote shell
readonly sums='cd "output/adapters/$1" && [[ -f adapter_model.safetensors ]] || exit 3
find . -type f ! -path "*/.rsync-partial/*" ! -path "./v[1-9]*/*" -print0 | sort -z | xargs -0 sha256sum'
fetch_sums() { in_rig "$host" "$sums" "$run" </dev/null >"$WORK/SHA256SUMS" 2>"$WORK/sums.err"; }

read_sums() {
  local rc=0
  persist fetch_sums || rc=$?
  ((rc != 255)) || explain_ssh "$host" "$WORK/sums.err"
  ((rc == 0)) || fail "there is no finished adapter of $run in $RIG_REMOTE_DIR/output/adapters on $host. Train it first: scripts/run_train.sh $host ROLE."
}

# holds FOLDER: whether FOLDER has exactly the files of the list, byte for byte.
holds() {
  [[ -d $1 && $(cd "$1" && find . -type f ! -path './v[1-9]*/*' | wc -l) == $(wc -l <"$WORK/SHA256SUMS") ]] || return 1
  (cd "$1" && sha256sum --check --quiet --strict -) <"$WORK/SHA256SUMS" >"$WORK/check" 2>&1
}

fetch() {
  mkdir -p "$incoming"
  copy "$host" --no-links --delete --exclude='/v[1-9]*/' "$host:$RIG_REMOTE_DIR/$target/" "$incoming/"
  holds "$incoming" || fail "what arrived differs from what is on $host ($(head -n 1 "$WORK/check")). Did it change meanwhile? Run this again."
}

# Nobody else (configs/runs/placing.py, deploy/registry) changes the adapters meanwhile; macOS has no flock.
lock_adapters() {
  exec {lock}<output/adapters
  ! command -v flock >/dev/null || flock "$lock"
}

# The one before goes away where the new one is in place, and back where it is not.
settle() {
  [[ -d $target || ! -d $old ]] || mv "$old" "$target"
  rm -rf "$old"
}

# Two renames. The versions are linked into the new folder before, so that nothing is lost whenever this is killed.
put_in_place() {
  lock_adapters
  settle
  [[ ! -d $target ]] || rsync --archive --link-dest="$PWD/$target" --include='/v[1-9]*/***' --exclude='*' "$target/" "$incoming/"
  [[ ! -d $target ]] || mv "$target" "$old"
  mv "$incoming" "$target" || { settle && fail "cannot write $target."; }
  settle
}

open_work
if $dry_run; then
  say "dry run: nothing was fetched. It would copy:"
  echo "$host:$RIG_REMOTE_DIR/$target/ -> $target/"
  exit 0
fi
reach "$host"
check_state
read_sums
mkdir -p output/adapters
(lock_adapters && settle)
if holds "$target"; then
  echo "$target is already the adapter of $host ($(wc -l <"$WORK/SHA256SUMS") files, all equal)"
  exit 0
fi
fetch
put_in_place
echo "fetched and checked: $target ($(wc -l <"$WORK/SHA256SUMS") files, $(du -sh "$target" | cut -f 1))"
