#!/usr/bin/env bash
# Fetches a trained adapter from another machine into output/adapters/ROLE, checked file by file, then put in place in one step.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"
cd "$here/.."

usage() {
  cat <<'HELP'
Usage: scripts/pull_adapter.sh [--dry-run] HOST ROLE

Copies output/adapters/ROLE from RIG_REMOTE_DIR on HOST to output/adapters/ROLE here. SHA-256 sums made there are
checked here before the folder replaces an earlier one; an interrupted copy goes on where it stopped.

HELP
  settings_help
}

dry_run=false host='' role=''
for argument in "$@"; do
  case $argument in
  --help | -h) usage && exit 0 ;;
  --dry-run) dry_run=true ;;
  -*) fail "there is no option $argument; see scripts/pull_adapter.sh --help." 2 ;;
  *) if [[ -z $host ]]; then host=$argument; elif [[ -z $role ]]; then role=$argument; else fail "one role at a time: $role or $argument?" 2; fi ;;
  esac
done
[[ -n $host && -n $role ]] || { usage >&2 && exit 2; }
check_host "$host"
check_role "$role"
need_tools
readonly target=output/adapters/$role incoming=output/adapters/.incoming-$role old=output/adapters/.old-$role

# An adapter is fetched only when the last training of this role there ended well, or none was started through run_train.sh.
check_state() {
  local rc=0 state
  # shellcheck disable=SC2016 # a script for the remote shell
  state=$(persist in_rig "$host" 'exec bash scripts/detached.sh status "$1"' "$role" </dev/null 2>"$WORK/state.err") || rc=$?
  ((rc != 255)) || explain_ssh "$host" "$WORK/state.err"
  ((rc == 0)) || fail "there is no rig in $RIG_REMOTE_DIR on $host. Check RIG_REMOTE_DIR, or send it first: scripts/sync_data.sh $host $role."
  case $state in
  none | "exited 0") ;;
  running*) fail "the training of $role is still running on $host. Wait for it: scripts/run_train.sh $host $role --attach." ;;
  *) fail "the last training of $role on $host failed ($state), so an adapter there is from an earlier one. See why: scripts/run_train.sh $host $role --attach." ;;
  esac
}

# shellcheck disable=SC2016 # a script for the remote shell
readonly sums='cd "output/adapters/$1" && [[ -f adapter_model.safetensors ]] || exit 3
find . -type f ! -path "*/.rsync-partial/*" -print0 | sort -z | xargs -0 sha256sum'
fetch_sums() { in_rig "$host" "$sums" "$role" </dev/null >"$WORK/SHA256SUMS" 2>"$WORK/sums.err"; }

read_sums() {
  local rc=0
  persist fetch_sums || rc=$?
  ((rc != 255)) || explain_ssh "$host" "$WORK/sums.err"
  ((rc == 0)) || fail "there is no finished adapter for $role in $RIG_REMOTE_DIR/output/adapters on $host. Train it first: scripts/run_train.sh $host $role."
}

# holds FOLDER: whether FOLDER has exactly the files of the list, byte for byte.
holds() {
  [[ -d $1 && $(find "$1" -type f | wc -l) == $(wc -l <"$WORK/SHA256SUMS") ]] || return 1
  (cd "$1" && sha256sum --check --quiet --strict -) <"$WORK/SHA256SUMS" >"$WORK/check" 2>&1
}

fetch() {
  mkdir -p "$incoming"
  copy "$host" --no-links --delete "$host:$RIG_REMOTE_DIR/$target/" "$incoming/"
  holds "$incoming" || fail "what arrived differs from what is on $host ($(head -n 1 "$WORK/check")). Did it change meanwhile? Run this again."
}

# Two renames; should the second one fail, the earlier adapter comes back.
put_in_place() {
  rm -rf "$old"
  [[ ! -d $target ]] || mv "$target" "$old"
  mv "$incoming" "$target" || { [[ ! -d $old ]] || mv "$old" "$target" && fail "cannot write $target."; }
  rm -rf "$old"
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
if holds "$target"; then
  echo "$target is already the adapter of $host ($(wc -l <"$WORK/SHA256SUMS") files, all equal)"
  exit 0
fi
fetch
put_in_place
echo "fetched and checked: $target ($(wc -l <"$WORK/SHA256SUMS") files, $(du -sh "$target" | cut -f 1))"
