#!/usr/bin/env bash
# Sends the code, the datasets and the resolved configs to a training machine, and checks there that every file arrived.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"
cd "$here/.."

usage() {
  cat <<'HELP'
Usage: scripts/sync_data.sh [--dry-run] HOST [ROLE...]

Sends to RIG_REMOTE_DIR on HOST: the files that git tracks (as they are in your working tree), output/datasets (only
the files of the ROLEs, if you name some; never drops.jsonl) and output/configs. Files that are gone here are deleted
there, in this rig's own folder only, and datasets only when no ROLE is named. SHA-256 sums made here are checked there.

HELP
  settings_help
}

dry_run=false host='' roles=()
for argument in "$@"; do
  case $argument in
  --help | -h) usage && exit 0 ;;
  --dry-run) dry_run=true ;;
  -*) fail "there is no option $argument; see scripts/sync_data.sh --help." 2 ;;
  *) if [[ -z $host ]]; then host=$argument; else check_role "$argument" && roles+=("$argument"); fi ;;
  esac
done
[[ -n $host ]] || { usage >&2 && exit 2; }
check_host "$host"
need_tools

# --- what to send -------------------------------------------------------------------------------------------------
list_code() {
  git rev-parse --git-dir >/dev/null 2>&1 || fail "this folder is not a git checkout, so nothing says which files are code. Clone the repository, or run: git init && git add ."
  git ls-files -z | while IFS= read -r -d '' path; do [[ ! -f $path ]] || printf '%s\0' "$path"; done >"$WORK/code"
  [[ -s $WORK/code ]] || fail "git tracks no file here, so there is no code to send. Run: git add ."
  local untracked
  mapfile -t untracked < <(git ls-files --others --exclude-standard)
  ((${#untracked[@]} == 0)) || say "not sent, because git does not track them: ${#untracked[@]} files, such as ${untracked[0]} ('git add' what the training needs)"
}

list_data() {
  [[ -f output/datasets/manifest.json ]] || fail "there are no finished datasets in output/datasets (no manifest.json). Make them first: make all."
  local role
  for role in ${roles[@]+"${roles[@]}"}; do
    compgen -G "output/datasets/${role}[._]*train.jsonl" >/dev/null || fail "there is no dataset for $role (output/datasets/${role}_train.jsonl). Datasets here: $(dataset_names)."
  done
  find output/datasets -maxdepth 1 -type f ! -name drops.jsonl -print0 | sort -z | while IFS= read -r -d '' path; do
    ! is_wanted "${path##*/}" || printf '%s\0' "$path"
  done >"$WORK/data"
  [[ ! -d output/configs ]] || find output/configs -type f -print0 | sort -z >>"$WORK/data"
}

# A row file of another role is left out when roles were named; everything else is small and goes along. Preferences,
# such as mayor.dpo.train.jsonl, are the role's too.
is_wanted() {
  ((${#roles[@]} > 0)) || return 0
  [[ $1 =~ ^([a-z0-9_-]+)(_|\.[a-z]+\.)(train|val|test)\.jsonl$ ]] || return 0
  [[ " ${roles[*]} " == *" ${BASH_REMATCH[1]} "* ]]
}

dataset_names() { find output/datasets -name '*_train.jsonl' -printf '%f\n' | sed 's/_train.jsonl//' | sort | paste -sd ' '; }

size_of() { xargs -0 -r cat <"$1" | wc -c | numfmt --to=iec; }
count_of() { tr -cd '\0' <"$1" | wc -c; }

# --- sending ------------------------------------------------------------------------------------------------------
# Makes the folder and its marker. Refuses a folder that somebody else filled, and one in which a training runs.
# shellcheck disable=SC2016 # this is a script for the remote shell
readonly prepare='
command -v rsync >/dev/null || exit 13
mkdir -p -- "$1" && cd -- "$1" || exit 14
[[ -f $2 || -z $(ls -A) ]] || exit 15
touch -- "$2" && mkdir -p .rig output || exit 14
for run in .rig/*/; do
  [[ -f $run/pid && -f scripts/detached.sh ]] || continue
  name=$(basename "$run")
  [[ $(bash scripts/detached.sh status "$name") != running* ]] || { echo "$name"; exit 16; }
done'

prepare_host() {
  local rc=0 running
  running=$(persist on_host "$host" "$prepare" "$RIG_REMOTE_DIR" "$MARKER" </dev/null 2>"$WORK/prepare.err") || rc=$?
  case $rc in
  0) ;;
  13) fail "rsync is not installed on $host. Install it there: apt-get install rsync." ;;
  14) fail "cannot make $RIG_REMOTE_DIR on $host: $(tail -n 1 "$WORK/prepare.err"). Choose another RIG_REMOTE_DIR." ;;
  15) fail "$RIG_REMOTE_DIR on $host holds files that are not this rig's. Choose another RIG_REMOTE_DIR, or, if they may be replaced, run there: touch $RIG_REMOTE_DIR/$MARKER." ;;
  16) fail "a training of $running is running there. Wait for it (scripts/run_train.sh $host $running --attach), or use another RIG_REMOTE_DIR." ;;
  255) explain_ssh "$host" "$WORK/prepare.err" ;;
  *) fail "preparing $host failed (exit code $rc): $(tail -n 1 "$WORK/prepare.err")" ;;
  esac
}

# The code goes through a copy, so that --delete can remove there what git no longer has here, while output/, the
# environment and the runs of that machine are protected by their excludes.
send_code() {
  mkdir "$WORK/tree"
  rsync --links --perms --times --from0 --files-from="$WORK/code" . "$WORK/tree"
  copy "$host" --delete --exclude=/output --exclude=/.venv --exclude=/.rig --exclude="/$MARKER" "$WORK/tree/" "$host:$RIG_REMOTE_DIR/"
}

# rsync --delete wants a folder, so the chosen files are gathered in one, as links that rsync follows. With named
# roles nothing is deleted: the files of the others stay there.
send_data() {
  local path delete=(--delete)
  ((${#roles[@]} == 0)) || delete=()
  mkdir "$WORK/sent"
  while IFS= read -r -d '' path; do
    mkdir -p "$WORK/sent/$(dirname "$path")"
    ln -s "$PWD/$path" "$WORK/sent/$path"
  done <"$WORK/data"
  copy "$host" --copy-links ${delete[@]+"${delete[@]}"} "$WORK/sent/output/datasets" "$host:$RIG_REMOTE_DIR/output/"
  [[ ! -d $WORK/sent/output/configs ]] || copy "$host" --copy-links ${delete[@]+"${delete[@]}"} "$WORK/sent/output/configs" "$host:$RIG_REMOTE_DIR/output/"
}

verify() {
  cat "$WORK/code" "$WORK/data" | xargs -0 sha256sum >"$WORK/SHA256SUMS"
  local rc=0
  persist check_sums || rc=$?
  ((rc != 255)) || explain_ssh "$host" "$WORK/sums.err"
  ((rc == 0)) || fail "what arrived on $host differs from what was sent ($(grep -m 1 FAILED "$WORK/sums.out" || tail -n 1 "$WORK/sums.err")). Did a file change meanwhile? Run this again."
}
# What was checked is noted there: detached.sh tells by it whether a training read the same.
check_sums() {
  in_rig "$host" 'cat >.rig/SHA256SUMS.new && sha256sum --check --quiet --strict .rig/SHA256SUMS.new && mv .rig/SHA256SUMS.new .rig/SHA256SUMS' \
    <"$WORK/SHA256SUMS" >"$WORK/sums.out" 2>"$WORK/sums.err"
}

open_work
list_code
list_data
say "to $host:$RIG_REMOTE_DIR: $(count_of "$WORK/code") files of code ($(size_of "$WORK/code")), $(count_of "$WORK/data") files of data and configs ($(size_of "$WORK/data"))"
if $dry_run; then
  tr '\0' '\n' <"$WORK/data"
  say "dry run: nothing was sent. The connection would be: $(quoted "${SSH[@]}" "$host")"
  exit 0
fi
reach "$host"
prepare_host
send_code
send_data
verify
echo "sent and checked: $(count_of "$WORK/code") + $(count_of "$WORK/data") files on $host:$RIG_REMOTE_DIR"
