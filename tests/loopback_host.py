"""A training machine for tests: a real sshd on 127.0.0.1 with throwaway keys, and a checkout whose scripts reach it.

`rig(...)` copies the repository's remote scripts into a new git checkout beside a folder that plays the remote disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
REMOTE_SCRIPTS = ("lib.sh", "detached.sh", "sync_data.sh", "run_train.sh", "pull_adapter.sh", "remote.sh")
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MISSING = [name for name, path in (("sshd", SSHD), ("rsync", shutil.which("rsync"))) if path is None]
WHY_SKIP = f"{' and '.join(MISSING)} not installed: apt-get install openssh-server rsync"

# Writes what a real run leaves: some log lines, then an adapter. The override's name says how many steps, whether it
# waits half-way until a test lets it go on, and with which exit code it fails.
TRAIN = r"""#!/usr/bin/env bash
set -euo pipefail
run=$1 steps=2 hold=0 rc=0
while (($# > 1)); do
  case $3 in steps*) steps=${3#steps} ;; hold*) steps=${3#hold} hold=$((steps / 2)) ;; fail*) rc=${3#fail} ;; esac
  case $2$3 in --withpreferences) run=$1-dpo ;; --run*) run=$3 ;; esac
  set -- "$1" "${@:4}"
done
for ((step = 1; step <= steps; step++)); do
  echo "step $step of $steps"
  ((step != hold)) || for _ in {1..600}; do [[ ! -f go ]] || break; sleep 0.1; done
done
printf '%s' "${HF_TOKEN:-none}" | sha256sum > token_seen
((rc == 0)) || { echo "loss is not finite"; exit "$rc"; }
mkdir -p "output/adapters/$run"
head -c 200000 /dev/urandom > "output/adapters/$run/adapter_model.safetensors"
echo '{"r": 8}' > "output/adapters/$run/adapter_config.json"
"""
OVERRIDES = ("steps3", "hold10", "fail7")
ALL_STEPS = [f"step {step} of 10" for step in range(1, 11)]


@dataclass(frozen=True)
class LoopbackHost:
    """A running sshd: its folder (keys, known_hosts, ssh_config) and its port."""

    folder: Path
    port: int
    pid: int

    def drop_connections(self) -> None:
        """Kills every session's sshd, as a lost line would; the daemon and the commands that were run stay."""
        for process, parent in sshd_processes():
            if parent == self.pid:
                os.kill(process, signal.SIGKILL)

    def environment(self, remote_dir: Path) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RIG_", "HF_", "WANDB"))},
            "RIG_SSH_CONFIG": str(self.folder / "ssh_config"),
            "RIG_REMOTE_DIR": str(remote_dir),
            "RIG_BACKOFF": "1",
            "PYTHON": sys.executable,
        }


@dataclass(frozen=True)
class Rig:
    """A checkout on this side and the folder on the other side that its scripts fill."""

    host: LoopbackHost
    checkout: Path
    remote: Path

    def command(self, script: str, *arguments: str) -> list[str]:
        return ["bash", str(self.checkout / "scripts" / script), *arguments]

    def run(
        self, script: str, *arguments: str, timeout: float = 240, settings: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {**self.host.environment(self.remote), **(settings or {})}
        return subprocess.run(
            self.command(script, *arguments),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def popen(
        self, script: str, *arguments: str, output: Path, settings: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts a script in its own process group, so that a test can kill it with everything below it."""
        with output.open("wb") as stream:
            return subprocess.Popen(
                self.command(script, *arguments),
                env={**self.host.environment(self.remote), **(settings or {})},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Tests that run in the background have Ctrl-C ignored, and a shell that starts so cannot trap it.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )


@contextmanager
def open_host(folder: Path, **variables: str) -> Iterator[LoopbackHost]:
    """Starts sshd on a free port of 127.0.0.1 and ends it when the block is left.

    Its sessions see `variables`, and a home of their own, so that nobody's shell settings slow down or change them."""
    port = free_port()
    write_keys(folder, port)
    write_configs(folder, port, {"HOME": str(folder), **variables})
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    assert SSHD is not None
    log = (folder / "sshd.log").open("wb")
    daemon = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stdout=log, stderr=log)
    try:
        wait_for_port(port)
        yield LoopbackHost(folder, port, daemon.pid)
    finally:
        daemon.terminate()
        daemon.wait(10)


def sshd_processes() -> Iterator[tuple[int, int]]:
    """Process id and parent of each sshd."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text(encoding="utf-8").split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        if name == "sshd":
            yield int(stat.parent.name), int(rest.split()[1])


def write_keys(folder: Path, port: int) -> None:
    for name in ("host_key", "client_key", "other_host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "client_key.pub", folder / "authorized_keys")
    pin(folder / "known_hosts", port, folder / "host_key.pub")
    pin(folder / "known_hosts_changed", port, folder / "other_host_key.pub")


def pin(known_hosts: Path, port: int, public_key: Path) -> None:
    known_hosts.write_text(f"[127.0.0.1]:{port} {public_key.read_text()}", encoding="utf-8")


def write_configs(folder: Path, port: int, variables: Mapping[str, str]) -> None:
    daemon = f"""SetEnv {" ".join(f'"{name}={value}"' for name, value in variables.items())}
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
"""
    client = f"""Host pod
  HostName 127.0.0.1
  Port {port}
  IdentityFile {folder}/client_key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
"""
    (folder / "sshd_config").write_text(daemon, encoding="utf-8")
    (folder / "ssh_config").write_text(client, encoding="utf-8")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("sshd did not open its port within 5 seconds")


def rig(host: LoopbackHost, folder: Path, train: str = TRAIN, roles: Sequence[str] = ("mayor",)) -> Rig:
    """A checkout with the remote scripts, the recipes, invented datasets and `train` as its scripts/train.sh, all
    tracked by git."""
    checkout = folder / "checkout"
    (checkout / "scripts").mkdir(parents=True)
    for name in REMOTE_SCRIPTS:
        shutil.copy(REPOSITORY / "scripts" / name, checkout / "scripts" / name)
    (checkout / "scripts" / "train.sh").write_text(train, encoding="utf-8")
    (checkout / "scripts" / "train.sh").chmod(0o755)
    (checkout / "infra").mkdir()
    shutil.copy(REPOSITORY / "infra" / "runpod_setup.sh", checkout / "infra")
    (checkout / "requirements-gpu.txt").touch()
    shutil.copytree(REPOSITORY / "configs", checkout / "configs", ignore=shutil.ignore_patterns("__pycache__"))
    for name in OVERRIDES:
        (checkout / "configs" / f"{name}.yml").write_text("{}\n", encoding="utf-8")
    (checkout / "configs" / "preferences.yml").write_text("rl: dpo\n", encoding="utf-8")
    (checkout / ".gitignore").write_text("output/\n__pycache__/\n", encoding="utf-8")
    write_datasets(checkout / "output" / "datasets", roles)
    subprocess.run(["git", "init", "-q", str(checkout)], check=True)
    subprocess.run(["git", "-C", str(checkout), "add", "."], check=True)
    return Rig(host, checkout, folder / "remote disk" / "rig")


def prepare(rig: Rig) -> None:
    """Makes the folder on the other side as the set-up would, with an Axolotl that nobody calls."""
    tools = rig.remote / ".venv" / "bin"
    tools.mkdir(parents=True)
    (rig.remote / ".rig-owned").touch()
    (tools / "axolotl").touch(mode=0o755)


def write_datasets(folder: Path, roles: Sequence[str]) -> None:
    folder.mkdir(parents=True)
    for role in roles:
        for split in ("train", "val", "test"):
            (folder / f"{role}_{split}.jsonl").write_text(
                json.dumps({"role": role, "split": split}) + "\n", encoding="utf-8"
            )
    (folder / "drops.jsonl").write_text('{"path": "private"}\n', encoding="utf-8")
    (folder / "manifest.json").write_text("{}", encoding="utf-8")


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def wait_for_line(log: Path, line: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not (log.exists() and line in log.read_text(encoding="utf-8").splitlines()):
        assert time.monotonic() < end, f"{line!r} did not appear in {log.name} within {seconds} s"
        time.sleep(0.05)


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The only `error:` line of a run that failed."""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode != 0 and len(errors) == 1, done.stderr
    return errors[0]


def steps_in(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("step ")]
