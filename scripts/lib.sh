# shellcheck shell=bash
# What sync_data.sh, run_train.sh, pull_adapter.sh and remote.sh share: settings, one ssh with pinned host keys, rsync with
# retries, and the sentence for each way in which a remote machine can say no. Sourced, never run.

if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
  echo "error: bash 4.4 or newer is needed (on macOS: brew install bash coreutils rsync)." >&2
  exit 2
fi

RIG_REMOTE_DIR=${RIG_REMOTE_DIR:-lora-forge}
RIG_REMOTE_DIR=${RIG_REMOTE_DIR#"~/"} # the remote side starts in the home directory anyway
RIG_RETRIES=${RIG_RETRIES:-5}
RIG_BACKOFF=${RIG_BACKOFF:-2}
readonly MARKER=.rig-owned # only a folder that holds this file is ever changed with --delete

settings_help() {
  cat <<'HELP'
Settings (environment):
  RIG_REMOTE_DIR   folder on HOST (default: lora-forge in the home directory; on a rented pod a path on the
                   persistent volume, such as /workspace/data/lora-forge)
  RIG_SSH_CONFIG   ssh config file with user, port and key of HOST (default: your own ~/.ssh/config)
  RIG_SSH_PORT     port of HOST, where the ssh config does not say it
  RIG_SSH_KEY      private key to log in with, where the ssh config does not say it
  RIG_KNOWN_HOSTS  file with the pinned host keys (default: what your ssh config says)
  RIG_RETRIES, RIG_BACKOFF   tries after a dropped connection (5) and seconds before the first one (2, then doubled)
HELP
}

exec 3>&2 # what is said to the person stays on the terminal where a command's own stderr goes to a file
say() { printf '%s\n' "$*" >&3; }
fail() { # fail SENTENCE [EXIT_CODE]
  say "error: $1"
  exit "${2:-1}"
}
quoted() { printf '%q ' "$@"; }

check_host() {
  [[ -n $1 && $1 != -* && $1 != *[[:space:]]* ]] || fail "'$1' is not a host: give a name from your ssh config, or user@address." 2
}
check_role() {
  [[ $1 =~ ^[a-z][a-z0-9_-]*$ ]] || fail "'$1' is not a role: a role is a lower-case name such as mayor." 2
}
check_run() {
  [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || fail "'$1' is not the name of a run: that is the role's, or one such as mayor-dpo." 2
}

check_gpus() {
  [[ $1 =~ ^[1-9][0-9]*$ ]] || fail "--gpus needs a number." 2
}

# run_name ROLE [--with OVERRIDE]... [--run NAME]: what the recipes call this training, and so its log and its adapter.
# A role alone has its own name, which needs no Python to be known.
run_name() {
  local python=${PYTHON:-.venv/bin/python} name
  (($# > 1)) || { printf '%s\n' "$1" && return; }
  [[ -x $python ]] || python=$(command -v python3) || fail "there is no Python here to read the recipes with. Run: make all."
  name=$("$python" -m configs.resolve "$@" --name 2>"$WORK/name.err") || fail "$(<"$WORK/name.err")"
  printf '%s\n' "$name"
}

need_tools() {
  local tool
  for tool in ssh rsync sha256sum; do
    command -v "$tool" >/dev/null || fail "$tool is not installed here. Install it: apt-get install openssh-client rsync coreutils (macOS: brew install rsync coreutils)."
  done
  [[ $(rsync --version) =~ version\ v?([0-9]+) && ${BASH_REMATCH[1]} -ge 3 ]] || fail "this rsync is older than version 3. Install a newer one: apt-get install rsync (macOS: brew install rsync)."
}

# Host keys are pinned: an unknown or changed key ends the run. ServerAlive* turns a dead line into exit code 255
# within a minute, so that the retry loop gets its turn.
ssh_options() {
  SSH=(ssh)
  [[ -z ${RIG_SSH_CONFIG:-} ]] || SSH+=(-F "$RIG_SSH_CONFIG")
  [[ -z ${RIG_SSH_PORT:-} ]] || SSH+=(-p "$RIG_SSH_PORT")
  [[ -z ${RIG_SSH_KEY:-} ]] || SSH+=(-i "$RIG_SSH_KEY" -o IdentitiesOnly=yes)
  [[ -z ${RIG_KNOWN_HOSTS:-} ]] || SSH+=(-o "UserKnownHostsFile=$RIG_KNOWN_HOSTS")
  SSH+=(-o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=15 -o ServerAliveInterval=15 -o ServerAliveCountMax=4)
}

# WORK holds error output and the ssh wrapper that rsync calls (rsync's own -e cannot quote a path with blanks).
open_work() {
  WORK=$(mktemp -d /tmp/rig.XXXXXX)
  trap 'rm -rf "$WORK"' EXIT
  ssh_options
  printf '#!/usr/bin/env bash\nexec %s "$@"\n' "$(quoted "${SSH[@]}")" >"$WORK/ssh"
  chmod 700 "$WORK/ssh"
}

# on_host HOST SCRIPT [ARG...]: runs SCRIPT with bash on HOST, in its home directory; stdin goes through.
on_host() {
  local host=$1 script=$2
  shift 2
  "${SSH[@]}" "$host" "bash -c $(quoted "$script") rig $(quoted "$@")"
}

# The same in the rig's folder on HOST; exit code 3: there is none.
in_rig() {
  local host=$1 script=$2
  shift 2
  # shellcheck disable=SC2016 # $1 and $2 are meant for the remote shell
  on_host "$host" 'cd -- "$1" && [[ -f $2 ]] || exit 3; shift 2; '"$script" "$RIG_REMOTE_DIR" "$MARKER" "$@"
}

# detached COMMAND...: detached.sh of the rig on $host.
# shellcheck disable=SC2016 # a script for the remote shell
detached() { in_rig "$host" '[[ -f scripts/detached.sh ]] || exit 3; exec bash scripts/detached.sh "$@"' "$@"; }

known_hosts_of() { "${SSH[@]}" -G "$1" | awk '$1 == "userknownhostsfile" {print $2; exit}'; }
address_of() { "${SSH[@]}" -G "$1" | awk '$1 == "hostname" {name = $2} $1 == "port" {port = $2} END {print "-p " port " " name}'; }

# explain_ssh HOST FILE: one sentence with the fix for what ssh wrote to FILE; ends the run.
explain_ssh() {
  local host=$1 said
  said=$(<"$2")
  case $said in
  *"REMOTE HOST IDENTIFICATION HAS CHANGED"*)
    fail "the host key of $host is not the pinned one: another machine answers, or it was rebuilt. If you rebuilt it, compare the new fingerprint with the provider's console, then replace the line of $host in $(known_hosts_of "$host")." ;;
  *"Host key verification failed"*)
    fail "the host key of $host is not pinned yet. Compare 'ssh-keyscan $(address_of "$host") | ssh-keygen -lf -' with the provider's console, then append what ssh-keyscan prints to $(known_hosts_of "$host")." ;;
  *"Permission denied"*)
    fail "$host refuses the login. Check the user name, and that your public key is in its authorized_keys (RIG_SSH_KEY names the private one)." ;;
  *"Could not resolve hostname"*)
    fail "there is no host named $host. Check the spelling, or add it to your ssh config (RIG_SSH_CONFIG)." ;;
  *"Connection refused"* | *"timed out"* | *"No route to host"* | *"Connection closed"* | *"Connection reset"* | *"Network is unreachable"*)
    fail "$host does not answer at $(address_of "$host"). Check that it runs, its address, and the port (RIG_SSH_PORT; on RunPod the exposed TCP port of 22, not the proxy)." ;;
  *"closed by remote host"* | *"Broken pipe"* | *"error (code 255)"*)
    fail "the connection to $host broke off. Run this again: it goes on where it stopped." ;;
  *) fail "ssh to $host failed: $(tail -n 1 "$2")" ;;
  esac
}

# reach HOST: the first contact; what fails here is wrong settings and is not tried again.
reach() {
  "${SSH[@]}" "$1" true </dev/null 2>"$WORK/reach.err" || explain_ssh "$1" "$WORK/reach.err"
}

# persist COMMAND...: runs it again with growing pauses while the connection drops (ssh 255; rsync 12, 30).
persist() {
  local try rc pause=$RIG_BACKOFF
  for ((try = 0; ; try++)); do
    rc=0
    "$@" || rc=$?
    [[ $rc == 255 || $rc == 12 || $rc == 30 ]] && ((try < RIG_RETRIES)) || return "$rc"
    say "connection lost, trying again in ${pause} s ($((try + 1)) of $RIG_RETRIES)"
    sleep "$pause"
    pause=$((pause * 2))
  done
}

# copy HOST ARG...: rsync with ARGs. Partial files are kept for the next try; never --append-verify, which skips
# a retrained adapter because it has the size of the old one.
copy() {
  local host=$1 rc=0
  shift
  persist rsync_once "$@" || rc=$?
  ((rc == 0)) || explain_rsync "$host" "$rc"
}

rsync_once() {
  rsync --rsh="$WORK/ssh" --recursive --links --perms --times --checksum --protect-args \
    --partial-dir=.rsync-partial --timeout=120 "$@" 2>"$WORK/rsync.err"
}

explain_rsync() {
  local host=$1 rc=$2
  if grep -qi 'no space left on device\|disk quota exceeded' "$WORK/rsync.err"; then
    fail "the disk is full. What was copied is kept: free some space, or choose another RIG_REMOTE_DIR on $host, and run this again. ($(grep -im 1 'no space left\|quota' "$WORK/rsync.err"))"
  elif ((rc == 127)) || grep -q 'rsync: command not found\|rsync: not found' "$WORK/rsync.err"; then
    fail "rsync is not installed on $host. Install it there: apt-get install rsync."
  elif ((rc == 255)); then
    explain_ssh "$host" "$WORK/rsync.err"
  elif ((rc == 11 || rc == 12)) && ! grep -q . "$WORK/rsync.err"; then
    # A receiver whose disk is full may die before its message is through.
    fail "files could not be written, and rsync lost the reason; most often the disk is full ($(free_space "$host")). What was copied is kept: free some space, or choose another RIG_REMOTE_DIR on $host, and run this again."
  elif ((rc == 12 || rc == 30)); then
    fail "the copy with $host broke off ($(grep -m 1 . "$WORK/rsync.err")). What was copied is kept: run this again."
  fi
  fail "rsync with $host failed (exit code $rc): $(grep -m 1 . "$WORK/rsync.err")"
}

free_space() {
  local there
  # shellcheck disable=SC2016 # $1 is meant for the remote shell
  there=$(on_host "$1" 'df -Ph -- "$1" | awk "NR == 2 {print \$4}"' "$RIG_REMOTE_DIR" </dev/null 2>/dev/null) || there=
  printf 'free there: %s, here: %s' "${there:-unknown}" "$(df -Ph . | awk 'NR == 2 {print $4}')"
}
