#!/usr/bin/env bash
# Runs on the training machine: starts a command that outlives the connection, and tells how it stands.
# Each run has a folder .rig/NAME with asked, pid, train.log and, once it has ended, exit_code.
#
#   detached.sh start NAME COMMAND...   stdin: shell lines with secrets to export (may be empty); exit 75: already running
#   detached.sh follow NAME [BYTES]     the log after its first BYTES bytes, until the run ends
#   detached.sh status NAME             one line: none | running PID | exited CODE | lost
#   detached.sh same NAME COMMAND...    exit 0: the run was started with COMMAND on what lies here now; otherwise 1
#   detached.sh list                    each run: NAME, a tab, its status, a tab, the last line of its log
set -euo pipefail

# A pid alone may belong to another process after a restart, so its start time is kept beside it.
start_time() { cut -d ' ' -f 22 "/proc/$1/stat" 2>/dev/null; }

is_running() {
  local pid started
  [[ -f $RUN/pid && ! -f $RUN/exit_code ]] || return 1
  read -r pid started <"$RUN/pid"
  kill -0 "$pid" 2>/dev/null && [[ $(start_time "$pid") == "$started" ]]
}

start() {
  mkdir -p "$RUN"
  exec 9>"$RUN/lock"
  flock -n 9 || exit 75
  ! is_running || exit 75
  rm -f "$RUN/pid" "$RUN/exit_code" "$RUN/train.log"
  asked "$@" >"$RUN/asked"
  (umask 077 && cat >"$RUN/secrets")
  setsid nohup bash "${BASH_SOURCE[0]}" body "$NAME" "$@" </dev/null >/dev/null 2>&1 9>&- &
  for _ in {1..100}; do
    [[ ! -s $RUN/pid ]] || return 0
    sleep 0.1
  done
  echo "error: the run did not start within 10 seconds" >&2
  exit 70
}

# A command and what it reads: the sums of recipes, scripts and rows, as sync_data.sh checked them.
asked() {
  { grep -E '  (configs/|scripts/|output/datasets/|requirements-gpu\.txt$)' .rig/SHA256SUMS 2>/dev/null || true; } | sha256sum
  printf '%q ' "$@"
}

same() { [[ -f $RUN/asked && $(asked "$@") == "$(<"$RUN/asked")" ]]; }

# The detached part. It outlives TERM long enough to write the exit code of the command that got it too.
body() {
  trap : TERM INT HUP
  printf '%s %s\n' "$$" "$(start_time $$)" >"$RUN/pid.new"
  : >"$RUN/train.log"
  printf '%-3s\n' '' >"$RUN/exit_code.new" # its place on the disk, should the command fill it
  # shellcheck source=/dev/null
  source "$RUN/secrets"
  rm -f "$RUN/secrets"
  mv "$RUN/pid.new" "$RUN/pid"
  [[ ! -d .venv/bin ]] || PATH=$PWD/.venv/bin:$PATH
  local rc=0
  "$@" >>"$RUN/train.log" 2>&1 || rc=$?
  printf '%-3s\n' "$rc" 1<>"$RUN/exit_code.new"
  mv "$RUN/exit_code.new" "$RUN/exit_code"
}

follow() {
  local from=$((${1:-0} + 1)) pid
  [[ -f $RUN/pid ]] || return 0
  read -r pid _ <"$RUN/pid"
  if is_running; then
    tail -c "+$from" -F --pid="$pid" "$RUN/train.log" 2>/dev/null
  else
    tail -c "+$from" "$RUN/train.log"
  fi
}

status() {
  if is_running; then
    echo "running $(cut -d ' ' -f 1 "$RUN/pid")"
  elif [[ -f $RUN/exit_code ]]; then
    local code
    read -r code <"$RUN/exit_code"
    echo "exited $code"
  elif [[ -f $RUN/pid ]]; then
    echo lost
  else
    echo none
  fi
}

list() {
  for RUN in .rig/*/; do
    [[ ! -f $RUN/pid ]] || printf '%s\t%s\t%s\n' "$(basename "$RUN")" "$(status)" "$(last_line)"
  done
}
# A progress bar writes over its line with carriage returns.
last_line() { tail -c 2000 "$RUN/train.log" | tr '\r' '\n' | grep . | tail -n 1 | cut -c -120; }

command=${1:-}
NAME=${2:-}
case $command in
start | body | follow | status | same) [[ $NAME =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || { echo "error: '$NAME' is not a name of a run" >&2 && exit 2; } ;;
list) list && exit ;;
*) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
esac
RUN=.rig/$NAME
shift 2
"$command" "$@"
