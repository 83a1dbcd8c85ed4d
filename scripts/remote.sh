#!/usr/bin/env bash
# A training on another machine as one command: send, set up, train, fetch. Stopped anywhere, it goes on from there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"
cd "$here/.."

usage() {
  cat <<'HELP'
Usage: scripts/remote.sh full HOST ROLE [--with OVERRIDE]... [--run NAME] [--gpus N] [--dry-run]
       scripts/remote.sh status HOST

full     scripts/sync_data.sh, infra/runpod_setup.sh where HOST has no environment yet, scripts/run_train.sh and
         scripts/pull_adapter.sh, one after the other. The same command again does only what is left: it follows a
         training that still runs, and only fetches one that is done already on the same recipe and rows. The exit code
         is that of what failed.
status   every training on HOST: its name, how it stands, the last line of its log

HELP
  settings_help
}

dry_run=false command='' host='' role='' recipe=() gpus=()
while (($# > 0)); do
  case $1 in
  --help | -h) usage && exit 0 ;;
  --dry-run) dry_run=true ;;
  --with | --run)
    [[ -n ${2:-} ]] || fail "$1 needs a name." 2
    recipe+=("$1" "$2")
    shift ;;
  --gpus)
    check_gpus "${2:-}"
    gpus=(--gpus "$2")
    shift ;;
  -*) fail "there is no option $1; see scripts/remote.sh --help." 2 ;;
  *) if [[ -z $command ]]; then command=$1; elif [[ -z $host ]]; then host=$1; elif [[ -z $role ]]; then role=$1; else fail "one role at a time: $role or $1?" 2; fi ;;
  esac
  shift
done
case $command in
full) [[ -n $host && -n $role ]] || { usage >&2 && exit 2; } ;;
status) [[ -n $host && -z $role && $dry_run == false ]] || { usage >&2 && exit 2; } ;;
'') usage >&2 && exit 2 ;;
*) fail "there is no command $command; see scripts/remote.sh --help." 2 ;;
esac
check_host "$host"
[[ -z $role ]] || check_role "$role"
need_tools
train=(scripts/train.sh "$role" ${recipe[@]+"${recipe[@]}"} ${gpus[@]+"${gpus[@]}"})

doing=''
step() {
  doing=$2
  say "== $1 of 4: $2"
}

# ask COMMAND...: the output of a question to the other side; 3: there is no rig yet.
ask() {
  local rc=0
  persist "$@" </dev/null 2>"$WORK/ask.err" || rc=$?
  ((rc != 255)) || explain_ssh "$host" "$WORK/ask.err"
  return "$rc"
}
state() {
  local rc=0
  ask detached status "$name" || rc=$?
  ((rc != 3)) || { echo none && return; }
  ((rc == 0)) || unclear
}
unclear() { fail "$host cannot tell what runs there: $(tail -n 1 "$WORK/ask.err")"; }
is_same() { ask detached same "$name" "${train[@]}"; }

full() {
  local before
  before=$(state)
  if [[ $before == running* ]]; then
    is_same || fail "a training of $name with another recipe is running on $host. Wait for it (scripts/run_train.sh $host $name --attach), or give this one a name of its own: --run NAME."
    say "a training of $name is running on $host already: what has changed here since it was started is not in it"
  else
    step 1 "send code and rows to $host"
    "$here/sync_data.sh" "$host" "$role"
    step 2 "set up $host"
    set_up
  fi
  step 3 "train $name on $host"
  if [[ $before == "exited 0" ]] && is_same; then
    echo "$name is trained already, on the same recipe and rows"
  elif [[ $before == running* ]]; then
    "$here/run_train.sh" "$host" "$name" --attach
  else
    "$here/run_train.sh" "$host" "${train[@]:1}"
  fi
  step 4 "fetch the adapter of $name"
  "$here/pull_adapter.sh" "$host" "$name"
}

# An environment that the set-up made has to fit the requirements; in one that somebody else made, Axolotl is enough.
# shellcheck disable=SC2016 # a script for the remote shell
readonly is_set_up='stamp=.venv/.requirements.sha256
if [[ -f $stamp ]]; then [[ $(<"$stamp") == $(sha256sum <requirements-gpu.txt | cut -d " " -f 1) ]]
else PATH=$PWD/.venv/bin:$PATH; command -v axolotl >/dev/null; fi'

# The lock is for a set-up that outlived its connection: the next one waits for it, and finds its work done.
set_up() {
  local rc=0
  if ask in_rig "$host" "$is_set_up"; then
    echo "the environment there is ready"
    return
  fi
  persist in_rig "$host" 'exec flock .rig/setup.lock bash infra/runpod_setup.sh' </dev/null || rc=$?
  ((rc != 255)) || fail "the connection to $host was lost while it was set up, which may go on there."
  ((rc == 0)) || fail "$host could not be set up (exit code $rc); what is missing stands above." "$rc"
}

# The commands in their order; nobody is asked how far an earlier call came.
show() {
  cat <<SHOWN
scripts/sync_data.sh $host $role
ssh $host bash $RIG_REMOTE_DIR/infra/runpod_setup.sh # where there is no environment yet
scripts/run_train.sh $host ${train[*]:1}
scripts/pull_adapter.sh $host $name
SHOWN
}

status() {
  local runs rc=0
  runs=$(ask detached list) || rc=$?
  ((rc != 3)) || fail "there is no rig in $RIG_REMOTE_DIR on $host. Check RIG_REMOTE_DIR."
  ((rc == 0)) || unclear
  [[ -n $runs ]] || runs="no training was started on $host"
  awk -F '\t' '{printf NF == 1 ? "%s\n" : "%-20s %-14s %s\n", $1, $2, $3}' <<<"$runs"
}

ended() {
  rm -rf "$WORK"
  [[ -n $doing ]] || return 0
  (($1 == 0)) || say "stopped at: $doing. The same command goes on from there."
  say "$host costs money for as long as it runs: stop it when you need it no more."
}

open_work
if [[ $command == full ]]; then name=$(run_name "$role" ${recipe[@]+"${recipe[@]}"}); fi
if $dry_run; then
  say "dry run: nothing was sent or started. It would run, except what an earlier call has done:"
  show
  exit 0
fi
trap 'ended $?' EXIT
reach "$host"
"$command"
