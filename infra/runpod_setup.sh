#!/usr/bin/env bash
# Prepares a rented GPU pod for training: checks GPU, driver and disk, and installs requirements-gpu.txt into .venv of
# this folder. Run it on the pod, once; a second run only checks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'HELP'
Usage: infra/runpod_setup.sh [--dry-run]

scripts/remote.sh full POD ROLE runs it where it is needed. By hand: send this folder to the pod's persistent volume,
  RIG_REMOTE_DIR=/workspace/data/lora-forge scripts/sync_data.sh POD ROLE
and run on the pod:
  bash /workspace/data/lora-forge/infra/runpod_setup.sh

Settings (environment):
  REQUIREMENTS   what to install (default: requirements-gpu.txt)
  PYTHON         interpreter for .venv (default: python3.12 or python3.11, whichever is there)
  MIN_DRIVER     oldest NVIDIA driver that runs the pinned torch (default: 580, for CUDA 13.0)
  MIN_FREE_GB    disk space needed here (default: 40: environment 10, base model 15, checkpoints and adapters)
HELP
}

fail() {
  printf 'error: %s\n' "$1" >&2
  exit 1
}

dry_run=false
case ${1:-} in
--help | -h) usage && exit 0 ;;
--dry-run) dry_run=true ;;
'') ;;
*) printf 'error: there is no option %s; see infra/runpod_setup.sh --help.\n' "$1" >&2 && exit 2 ;;
esac

requirements=${REQUIREMENTS:-requirements-gpu.txt}
min_driver=${MIN_DRIVER:-580}
min_free_gb=${MIN_FREE_GB:-40}
venv=.venv
stamp=$venv/.requirements.sha256

run() {
  printf '+ %s\n' "$*"
  "$dry_run" || "$@"
}

check_gpu() {
  command -v nvidia-smi >/dev/null || fail "there is no NVIDIA driver here (nvidia-smi is missing). Rent a pod with a GPU."
  local gpus driver
  gpus=$(nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader) || fail "nvidia-smi finds no GPU: $gpus. Restart the pod, or rent another one."
  printf 'GPU: %s\n' "$gpus"
  driver=$(head -n 1 <<<"$gpus" | sed 's/.*, *//')
  ((${driver%%.*} >= min_driver)) || fail "the driver $driver is older than $min_driver, which the pinned torch (CUDA 13.0) needs. Rent a pod with CUDA 13.0 or newer (a filter on RunPod)."
}

check_disk() {
  local free_gb
  free_gb=$(($(df --output=avail -k . | tail -n 1) / 1024 / 1024))
  printf 'disk: %s GB free in %s\n' "$free_gb" "$PWD"
  [[ ! -d /workspace || $PWD/ == /workspace/* ]] || printf 'note: %s is not on the persistent volume (/workspace): it is gone when the pod stops.\n' "$PWD" >&2
  # What is installed already needs no more room.
  [[ -f $stamp ]] || ((free_gb >= min_free_gb)) || fail "$free_gb GB are free and $min_free_gb are needed. Give the pod a larger volume, or set MIN_FREE_GB."
}

# 3.13 and newer have no wheel for a package that Axolotl pins.
find_python() {
  local name
  for name in ${PYTHON:-python3.12 python3.11 python3}; do
    if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  fail "Python 3.11 or 3.12 is needed. Install it: apt-get install python3.12 python3.12-venv, or set PYTHON."
}

install() {
  [[ -f $requirements ]] || fail "$requirements does not exist. Send the whole folder again with scripts/sync_data.sh."
  local wanted python
  wanted=$(sha256sum <"$requirements" | cut -d ' ' -f 1)
  if [[ -f $stamp && $(<"$stamp") == "$wanted" ]]; then
    printf 'installed already: %s in %s\n' "$requirements" "$venv"
    return
  fi
  python=$(find_python)
  [[ -x $venv/bin/python ]] || run "$python" -m venv "$venv" || fail "$python cannot make an environment. Install: apt-get install python3-venv."
  run "$venv/bin/pip" install --disable-pip-version-check --quiet --requirement "$requirements" || fail "the installation stopped; what was downloaded is kept. Check the network and run this again."
  "$dry_run" || finish_install "$wanted"
}

# Axolotl finds our plugin (configs.plugin) through this path file, from whatever folder it is started.
finish_install() {
  local packages
  packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  printf '%s\n' "$PWD" >"$packages/lora_forge.pth"
  printf '%s\n' "$1" >"$stamp"
}

check_gpu
check_disk
install
printf 'ready to train, from your machine: RIG_REMOTE_DIR=%q scripts/remote.sh full POD ROLE\n' "$PWD"
