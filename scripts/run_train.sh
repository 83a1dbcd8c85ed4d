#!/usr/bin/env bash
# Trains a role on another machine: starts scripts/train.sh there, detached, follows its log, and ends with its exit code.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"
cd "$here/.."

usage() {
  cat <<'HELP'
Usage: scripts/run_train.sh [--dry-run] HOST ROLE [--with OVERRIDE]... [--run NAME] [--gpus N] [--attach]

Runs 'scripts/train.sh ROLE --with OVERRIDE...' in RIG_REMOTE_DIR on HOST (send everything first: scripts/sync_data.sh).
The training does not hang on this connection: close the laptop, and come back with --attach, which shows the log from
its beginning and ends with the training's exit code. HF_TOKEN and WANDB_API_KEY, where they are set here, travel
through the encrypted connection into the training's environment, never through a command line.

  --run NAME  what to call the run, where the role's name (or mayor-dpo for --with dpo) is taken
  --gpus N    train on so many GPUs of HOST (default: 1)
  --attach    follow the training that was started before, do not start one; ROLE is then the name of the run
  --dry-run   print what would be run

HELP
  settings_help
}

dry_run=false attach=false host='' role='' recipe=() gpus=()
while (($# > 0)); do
  case $1 in
  --help | -h) usage && exit 0 ;;
  --dry-run) dry_run=true ;;
  --attach) attach=true ;;
  --with)
    [[ -n ${2:-} ]] || fail "--with needs the name of an override." 2
    recipe+=(--with "$2")
    shift ;;
  --run)
    [[ -n ${2:-} ]] || fail "--run needs a name." 2
    recipe+=(--run "$2")
    shift ;;
  --gpus)
    check_gpus "${2:-}"
    gpus=(--gpus "$2")
    shift ;;
  -*) fail "there is no option $1; see scripts/run_train.sh --help." 2 ;;
  *) if [[ -z $host ]]; then host=$1; elif [[ -z $role ]]; then role=$1; else fail "one role at a time: $role or $1?" 2; fi ;;
  esac
  shift
done
[[ -n $host && -n $role ]] || { usage >&2 && exit 2; }
check_host "$host"
if $attach; then check_run "$role"; else check_role "$role"; fi
need_tools
train=(scripts/train.sh "$role" ${recipe[@]+"${recipe[@]}"} ${gpus[@]+"${gpus[@]}"})

# What rows a recipe reads, train.sh tells there; that there are any of this role is told here.
check_synced() {
  local rc=0 needed='[[ -f scripts/detached.sh ]] || exit 3'
  # shellcheck disable=SC2016 # a script for the remote shell
  $attach || needed+='; compgen -G "output/datasets/$1[._]*train.jsonl" >/dev/null || exit 3'
  persist in_rig "$host" "$needed" "$role" </dev/null 2>"$WORK/check.err" || rc=$?
  ((rc != 255)) || explain_ssh "$host" "$WORK/check.err"
  ((rc == 0)) || fail "there is no code or no dataset for $role in $RIG_REMOTE_DIR on $host. Send them first: scripts/sync_data.sh $host $role."
}

secrets() {
  local name
  for name in HF_TOKEN WANDB_API_KEY; do
    [[ -z ${!name:-} ]] || printf 'export %s=%q\n' "$name" "${!name}"
  done
}
start_once() { secrets | detached start "$name" "${train[@]}" 2>"$WORK/start.err"; }

start() {
  local rc=0
  start_once || rc=$?
  if ((rc == 255)); then # it may or may not have begun: a second start says so
    sleep "$RIG_BACKOFF"
    rc=0
    persist start_once || rc=$?
    ((rc != 75)) || rc=0
  fi
  case $rc in
  0) say "started the training of $name on $host; if the connection drops it goes on" ;;
  75) fail "a training of $name is already running on $host. Follow it: scripts/run_train.sh $host $name --attach." ;;
  255) explain_ssh "$host" "$WORK/start.err" ;;
  *) fail "the training could not be started on $host: $(tail -n 1 "$WORK/start.err")" ;;
  esac
}

# Goes on after a dropped connection where the log was left, counted in bytes of the copy kept here.
follow_once() {
  local status
  detached follow "$name" "$(wc -c <"$WORK/log")" </dev/null 2>"$WORK/follow.err" | tee -a "$WORK/log"
  status=("${PIPESTATUS[@]}")
  return "${status[0]}"
}
status_once() { detached status "$name" </dev/null 2>"$WORK/status.err"; }

follow() {
  : >"$WORK/log"
  local rc state
  while :; do
    rc=0
    persist follow_once || rc=$?
    ((rc != 255)) || lost_sight "$WORK/follow.err"
    state=$(persist status_once) || lost_sight "$WORK/status.err"
    [[ $state == running* ]] || break
    sleep 1
  done
  finish "$state"
}
lost_sight() {
  say "lost the connection; the training goes on. Come back with: scripts/run_train.sh $host $name --attach"
  explain_ssh "$host" "$1"
}

finish() {
  case $1 in
  "exited 0") echo "the training of $name is done. Fetch the adapter: scripts/pull_adapter.sh $host $name" ;;
  exited*) failed "${1#exited }" ;;
  none) fail "no training of $name was ever started in $RIG_REMOTE_DIR on $host. Start one: leave --attach out." ;;
  *) tell_if_full && fail "the training of $name ended without an exit code: it was killed, or the machine restarted. Start it again; it resumes from its last checkpoint." 70 ;;
  esac
}
# A full disk may have swallowed the line that says so.
tell_if_full() {
  local free_kb
  free_kb=$(in_rig "$host" 'df -Pk . | tail -n 1' </dev/null 2>/dev/null | awk '{print $4}') || free_kb=
  if grep -qi 'no space left on device' "$WORK/log" || ((${free_kb:-10240} < 10240)); then
    say "the disk of $host is full: free some space there and start again."
  fi
}
failed() {
  say "--- the last lines of the log:"
  tail -n 15 "$WORK/log" >&2
  tell_if_full
  fail "the training of $name failed on $host with exit code $1." "$1"
}

open_work
name=$(run_name "$role" ${recipe[@]+"${recipe[@]}"})
if $dry_run; then
  say "dry run: nothing was started. It would run on $host, in $RIG_REMOTE_DIR:"
  $attach && echo "bash scripts/detached.sh follow $name" || echo "bash scripts/detached.sh start $name $(quoted "${train[@]}")"
  exit 0
fi
reach "$host"
check_synced
$attach || start
trap 'say "the training goes on. Come back with: scripts/run_train.sh $host $name --attach"; exit 130' INT
follow
