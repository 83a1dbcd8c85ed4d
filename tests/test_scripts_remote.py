"""sync_data.sh, run_train.sh and pull_adapter.sh against a real sshd on 127.0.0.1; only the training is a stand-in."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.loopback_host import (
    ALL_STEPS,
    MISSING,
    WHY_SKIP,
    LoopbackHost,
    Rig,
    hashes,
    one_sentence,
    open_host,
    rig,
    steps_in,
    wait_for_line,
)

pytestmark = pytest.mark.skipif(bool(MISSING), reason=WHY_SKIP)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHost]:
    with open_host(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def town(host: LoopbackHost, tmp_path: Path) -> Rig:
    return rig(host, tmp_path, roles=("mayor", "crew"))


@pytest.fixture
def synced(town: Rig) -> Rig:
    done = town.run("sync_data.sh", "pod")
    assert done.returncode == 0, done.stderr
    return town


@pytest.mark.slow
def test_sync_train_and_pull_bring_the_same_bytes_home(synced: Rig) -> None:
    assert hashes(synced.remote / "output/datasets") == {
        name: digest for name, digest in hashes(synced.checkout / "output/datasets").items() if name != "drops.jsonl"
    }
    trained = synced.run("run_train.sh", "pod", "mayor", "--with", "steps3")
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout.splitlines()[:3] == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
    pulled = synced.run("pull_adapter.sh", "pod", "mayor")
    assert pulled.returncode == 0, pulled.stderr
    assert hashes(synced.checkout / "output/adapters/mayor") == hashes(synced.remote / "output/adapters/mayor")
    assert sorted(path.name for path in (synced.checkout / "output/adapters").iterdir()) == ["mayor"]


@pytest.mark.slow
def test_a_killed_client_does_not_stop_the_training_and_attach_shows_all_of_it(synced: Rig, tmp_path: Path) -> None:
    client = held(synced, tmp_path / "client.log")
    os.killpg(client.pid, signal.SIGKILL)
    client.wait(10)
    (synced.remote / "go").touch()
    again = synced.run("run_train.sh", "pod", "mayor", "--attach")
    assert again.returncode == 0, again.stderr
    assert steps_in(again.stdout) == ALL_STEPS
    assert steps_in((tmp_path / "client.log").read_text(encoding="utf-8")) == ALL_STEPS[:5]


@pytest.mark.slow
def test_a_dropped_connection_is_picked_up_where_the_log_was_left(synced: Rig, tmp_path: Path) -> None:
    client = held(synced, tmp_path / "client.log")
    synced.host.drop_connections()
    (synced.remote / "go").touch()
    assert client.wait(240) == 0
    text = (tmp_path / "client.log").read_text(encoding="utf-8")
    assert "connection lost, trying again" in text
    assert steps_in(text) == ALL_STEPS


def held(town: Rig, log: Path) -> subprocess.Popen[bytes]:
    """A client that follows a training of 10 steps, which waits after the fifth for a file named go."""
    client = town.popen("run_train.sh", "pod", "mayor", "--with", "hold10", output=log)
    wait_for_line(log, "step 5 of 10")
    return client


@pytest.mark.slow
def test_a_failed_training_hands_back_its_exit_code_and_last_lines(synced: Rig) -> None:
    done = synced.run("run_train.sh", "pod", "mayor", "--with", "fail7")
    assert done.returncode == 7
    assert one_sentence(done) == "error: the training of mayor failed on pod with exit code 7."
    assert "loss is not finite" in done.stderr
    assert "failed (exited 7)" in one_sentence(synced.run("pull_adapter.sh", "pod", "mayor"))


@pytest.mark.slow
def test_a_second_start_a_sync_and_a_pull_are_refused_while_a_training_runs(synced: Rig, tmp_path: Path) -> None:
    client = held(synced, tmp_path / "log")
    assert "already running" in one_sentence(synced.run("run_train.sh", "pod", "mayor"))
    assert "a training of mayor is running" in one_sentence(synced.run("sync_data.sh", "pod"))
    assert "still running" in one_sentence(synced.run("pull_adapter.sh", "pod", "mayor"))
    (synced.remote / "go").touch()
    assert client.wait(240) == 0


@pytest.mark.slow
def test_a_run_that_was_killed_outright_is_reported_as_lost(synced: Rig, tmp_path: Path) -> None:
    client = held(synced, tmp_path / "log")
    os.killpg(training_pid(synced), signal.SIGKILL)
    assert client.wait(240) == 70
    assert "resumes from its last checkpoint" in (tmp_path / "log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_terminated_training_still_leaves_its_exit_code(synced: Rig, tmp_path: Path) -> None:
    client = held(synced, tmp_path / "log")
    os.killpg(training_pid(synced), signal.SIGTERM)
    assert client.wait(240) == 128 + signal.SIGTERM


def training_pid(town: Rig) -> int:
    return int((town.remote / ".rig/mayor/pid").read_text(encoding="utf-8").split()[0])


@pytest.mark.slow
def test_the_token_reaches_the_training_and_no_command_line_log_or_file(synced: Rig) -> None:
    token = "hf_" + "Q" * 34
    done = synced.run("run_train.sh", "pod", "mayor", settings={"HF_TOKEN": token})
    assert done.returncode == 0, done.stderr
    assert token not in done.stdout + done.stderr
    seen = (synced.remote / "token_seen").read_text().split()[0]
    assert seen == hashlib.sha256(token.encode()).hexdigest()
    assert not [path for path in synced.remote.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]


@pytest.mark.slow
def test_sync_of_one_role_leaves_other_roles_at_home_and_removes_what_is_gone(town: Rig) -> None:
    assert town.run("sync_data.sh", "pod", "crew").returncode == 0
    assert not (town.remote / "output/datasets/mayor_train.jsonl").exists()
    assert town.run("sync_data.sh", "pod", "mayor").returncode == 0
    assert (town.remote / "output/datasets/crew_train.jsonl").exists()
    (town.checkout / "output/datasets/mayor_test.jsonl").unlink()
    (town.checkout / ".gitignore").write_text("output/\n# changed\n", encoding="utf-8")
    (town.remote / "scripts/stale.sh").write_text("", encoding="utf-8")
    (town.remote / "output/adapters").mkdir()
    assert town.run("sync_data.sh", "pod").returncode == 0
    left = {path.name for path in (town.remote / "output/datasets").iterdir()}
    assert "mayor_train.jsonl" in left and "mayor_test.jsonl" not in left
    assert "# changed" in (town.remote / ".gitignore").read_text(encoding="utf-8")
    assert not (town.remote / "scripts/stale.sh").exists()
    assert (town.remote / "output/adapters").is_dir()


@pytest.mark.slow
def test_a_retrained_adapter_of_the_same_size_replaces_the_old_one(synced: Rig) -> None:
    mine, theirs = (side / "output/adapters/mayor" for side in (synced.checkout, synced.remote))
    for _ in range(2):
        assert synced.run("run_train.sh", "pod", "mayor").returncode == 0
        os.utime(theirs / "adapter_model.safetensors", (1_700_000_000, 1_700_000_000))
        assert synced.run("pull_adapter.sh", "pod", "mayor").returncode == 0
        assert hashes(mine) == hashes(theirs)
    assert "all equal" in synced.run("pull_adapter.sh", "pod", "mayor").stdout


@pytest.mark.slow
def test_registered_versions_stay_at_home_and_are_not_fetched(town: Rig) -> None:
    mine, theirs = (side / "output/adapters/mayor" for side in (town.checkout, town.remote))
    assert town.run("sync_data.sh", "pod").returncode == 0
    for folder, text in ((theirs, "new"), (theirs / "v1", "their v1"), (mine, "old"), (mine / "v1", "my v1")):
        folder.mkdir(parents=True)
        (folder / "adapter_model.safetensors").write_text(text, encoding="utf-8")
    (mine / "v12").mkdir()
    (mine / "v12" / "run.json").write_text("{}", encoding="utf-8")
    kept = (mine / "v1" / "adapter_model.safetensors").stat().st_ino
    pulled = town.run("pull_adapter.sh", "pod", "mayor")
    assert pulled.returncode == 0 and "(1 files" in pulled.stdout, pulled.stderr
    assert {str(path.relative_to(mine)): path.read_text() for path in mine.rglob("*") if path.is_file()} == {
        "adapter_model.safetensors": "new",
        "v1/adapter_model.safetensors": "my v1",
        "v12/run.json": "{}",
    }
    assert (mine / "v1" / "adapter_model.safetensors").stat().st_ino == kept
    assert "all equal" in town.run("pull_adapter.sh", "pod", "mayor").stdout


@pytest.mark.slow
@pytest.mark.parametrize("renames", [1, 2])
def test_a_fetch_that_is_killed_after_a_rename_loses_nothing(town: Rig, tmp_path: Path, renames: int) -> None:
    mine, theirs = (side / "output/adapters/mayor" for side in (town.checkout, town.remote))
    assert town.run("sync_data.sh", "pod").returncode == 0
    for folder, text in ((theirs, "new"), (mine, "old"), (mine / "v1", "released")):
        folder.mkdir(parents=True)
        (folder / "adapter_model.safetensors").write_text(text, encoding="utf-8")
    deadly = tmp_path / "bin" / "mv"
    deadly.parent.mkdir()
    deadly.write_text(
        f"""#!/usr/bin/env bash
{shutil.which("mv")} "$@"
echo >>{tmp_path}/renamed
(($(wc -l <{tmp_path}/renamed) < {renames})) || kill -9 "$PPID"
""",
        encoding="utf-8",
    )
    deadly.chmod(0o755)
    killed = town.run("pull_adapter.sh", "pod", "mayor", settings={"PATH": f"{deadly.parent}:{os.environ['PATH']}"})
    assert killed.returncode == -signal.SIGKILL
    adapters = mine.parent
    places = [adapters / name / "v1/adapter_model.safetensors" for name in ("mayor", ".old-mayor")]
    assert "released" in [place.read_text() for place in places if place.is_file()]
    assert town.run("pull_adapter.sh", "pod", "mayor").returncode == 0
    assert (mine / "adapter_model.safetensors").read_text() == "new"
    assert (mine / "v1" / "adapter_model.safetensors").read_text() == "released"
    assert [path.name for path in adapters.iterdir()] == ["mayor"]


@pytest.mark.slow
def test_files_that_git_does_not_track_stay_at_home_and_are_mentioned(town: Rig) -> None:
    (town.checkout / "notes.txt").write_text("mine", encoding="utf-8")
    done = town.run("sync_data.sh", "pod")
    assert done.returncode == 0, done.stderr
    assert "1 files, such as notes.txt" in done.stderr and not (town.remote / "notes.txt").exists()


@pytest.mark.slow
def test_an_interrupted_copy_goes_on_where_it_stopped_in_both_directions(town: Rig, tmp_path: Path) -> None:
    """The line is cut in the middle of a large file; the next call finds most of it there."""
    rows = town.checkout / "output/datasets/mayor_train.jsonl"
    rows.write_bytes(os.urandom(LARGE))
    settings = slow_rsync(tmp_path)
    assert "broke off" in cut_in_the_middle(town, settings, "sync_data.sh", "pod", "mayor")
    assert town.run("sync_data.sh", "pod", "mayor", settings=settings).returncode == 0
    assert hashes(town.remote / "output/datasets")["mayor_train.jsonl"] == hashes(rows.parent)["mayor_train.jsonl"]
    assert found_there(tmp_path) > LARGE // 8
    adapter = town.remote / "output/adapters/mayor"
    adapter.mkdir(parents=True)
    (adapter / "adapter_model.safetensors").write_bytes(os.urandom(LARGE))
    assert "broke off" in cut_in_the_middle(town, settings, "pull_adapter.sh", "pod", "mayor")
    assert not (town.checkout / "output/adapters/mayor").exists()
    assert town.run("pull_adapter.sh", "pod", "mayor", settings=settings).returncode == 0
    assert hashes(town.checkout / "output/adapters") == {
        f"mayor/{name}": digest for name, digest in hashes(adapter).items()
    }
    assert found_there(tmp_path) > LARGE // 8


LARGE = 12 << 20


def slow_rsync(folder: Path) -> dict[str, str]:
    """Settings with an rsync that sends 8 MB a second and notes how much of a file it found on the other side."""
    tools = folder / "bin"
    tools.mkdir()
    (tools / "rsync").write_text(
        f"""#!/bin/sh
case "$*" in
*--rsh=*) exec {shutil.which("rsync")} --bwlimit=8m --stats "$@" >>{folder}/stats ;;
*) exec {shutil.which("rsync")} "$@" ;;
esac
""",
        encoding="utf-8",
    )
    (tools / "rsync").chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}", "RIG_RETRIES": "0"}


def found_there(folder: Path) -> int:
    """Bytes that rsync did not have to send again, of all calls since this was last asked."""
    stats = (folder / "stats").read_text(encoding="utf-8")
    (folder / "stats").unlink()
    return sum(int(number.replace(",", "")) for number in re.findall(r"^Matched data: ([\d,]+)", stats, re.MULTILINE))


def cut_in_the_middle(town: Rig, settings: dict[str, str], script: str, *arguments: str) -> str:
    """Drops the connection once a quarter of a large file is there; what the script then says."""
    log = town.checkout.parent / f"{script}.log"
    client = town.popen(script, *arguments, output=log, settings=settings)
    end = time.monotonic() + 60
    while not any(size > LARGE // 4 for size in unfinished(town)):
        assert time.monotonic() < end and client.poll() is None, log.read_text(encoding="utf-8")
        time.sleep(0.02)
    town.host.drop_connections()
    assert client.wait(240) == 1
    return log.read_text(encoding="utf-8")


def unfinished(town: Rig) -> Iterator[int]:
    """Sizes of rsync's unfinished files on both sides."""
    for side in (town.checkout, town.remote):
        for path in side.glob("output/*/**/.*.*"):
            with contextlib.suppress(FileNotFoundError):
                yield path.stat().st_size


def test_a_folder_that_is_not_the_rigs_is_never_touched(town: Rig) -> None:
    town.remote.mkdir(parents=True)
    (town.remote / "thesis.tex").write_text("mine", encoding="utf-8")
    assert "holds files that are not this rig's" in one_sentence(town.run("sync_data.sh", "pod"))
    assert [path.name for path in town.remote.iterdir()] == ["thesis.tex"]


def test_a_changed_and_an_unknown_host_key_stop_everything(town: Rig) -> None:
    changed = {"RIG_KNOWN_HOSTS": str(town.host.folder / "known_hosts_changed")}
    assert "is not the pinned one" in one_sentence(town.run("sync_data.sh", "pod", settings=changed))
    unknown = one_sentence(
        town.run("sync_data.sh", "pod", settings={"RIG_KNOWN_HOSTS": str(town.host.folder / "empty")})
    )
    assert "is not pinned yet" in unknown and f"ssh-keyscan -p {town.host.port} 127.0.0.1" in unknown
    assert not town.remote.exists()


@pytest.mark.parametrize("script", ["sync_data.sh", "run_train.sh", "pull_adapter.sh"])
def test_a_wrong_host_port_or_key_is_named_with_the_fix(town: Rig, tmp_path: Path, script: str) -> None:
    role = () if script == "sync_data.sh" else ("mayor",)
    assert "does not answer" in one_sentence(town.run(script, "pod", *role, settings={"RIG_SSH_PORT": "1"}))
    assert "no host named nowhere.invalid" in one_sentence(town.run(script, "nowhere.invalid", *role))
    assert "is not a host" in one_sentence(town.run(script, "a b", *role))
    stranger = tmp_path / "ssh_config"
    config = (town.host.folder / "ssh_config").read_text(encoding="utf-8")
    stranger.write_text(config.replace("client_key", "other_host_key"), encoding="utf-8")
    assert "refuses the login" in one_sentence(
        town.run(script, "pod", *role, settings={"RIG_SSH_CONFIG": str(stranger)})
    )


@pytest.mark.slow
def test_missing_datasets_roles_code_and_runs_are_named_with_the_fix(town: Rig) -> None:
    assert "no dataset for witness" in one_sentence(town.run("sync_data.sh", "pod", "witness"))
    assert "sync_data.sh pod mayor" in one_sentence(town.run("run_train.sh", "pod", "mayor"))
    assert "sync_data.sh pod ROLE" in one_sentence(town.run("pull_adapter.sh", "pod", "mayor"))
    assert town.run("sync_data.sh", "pod").returncode == 0
    assert "was ever started" in one_sentence(town.run("run_train.sh", "pod", "mayor", "--attach"))
    assert "no finished adapter of mayor" in one_sentence(town.run("pull_adapter.sh", "pod", "mayor"))
    (town.checkout / "output/datasets/manifest.json").unlink()
    assert "make all" in one_sentence(town.run("sync_data.sh", "pod"))


def test_no_rsync_here_or_there_is_named_with_the_fix(town: Rig, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "ssh", "sha256sum", "dirname", "cat"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    assert "rsync is not installed here" in one_sentence(town.run("sync_data.sh", "pod", settings={"PATH": str(tools)}))
    (tmp_path / "bare").mkdir()
    with open_host(tmp_path / "bare", PATH=str(tools)) as bare:
        done = replace(town, host=bare).run("sync_data.sh", "pod")
    assert "rsync is not installed on pod" in one_sentence(done)


@pytest.mark.slow
def test_a_full_disk_is_named_and_the_next_try_goes_on(town: Rig) -> None:
    town.remote.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "rig", town.remote], capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root: run this test in a root container")
    try:
        large = town.checkout / "output/datasets/crew_train.jsonl"
        large.write_bytes(os.urandom(2 << 20))
        assert "the disk is full" in one_sentence(town.run("sync_data.sh", "pod"))
        large.write_bytes(b"{}")
        assert town.run("sync_data.sh", "pod").returncode == 0
        (town.remote / "output/checkpoint").write_bytes(bytes(shutil.disk_usage(town.remote).free - (64 << 10)))
        trained = town.run("run_train.sh", "pod", "mayor")
        assert trained.returncode == 1 and "the disk of pod is full" in trained.stderr
    finally:
        subprocess.run(["umount", "-l", town.remote], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("code", [11, 12])
def test_a_receiver_that_dies_without_a_word_is_no_empty_error(town: Rig, tmp_path: Path, code: int) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    real = shutil.which("rsync")
    (tools / "rsync").write_text(
        f'#!/bin/sh\ncase "$*" in *--rsh=*) exit {code} ;; esac\nexec {real} "$@"\n', encoding="utf-8"
    )
    (tools / "rsync").chmod(0o755)
    settings = {"PATH": f"{tools}:{os.environ['PATH']}", "RIG_RETRIES": "0"}
    said = one_sentence(town.run("sync_data.sh", "pod", settings=settings))
    assert "most often the disk is full" in said
    assert "unknown" not in said


@pytest.mark.parametrize("script", ["sync_data.sh", "run_train.sh", "pull_adapter.sh"])
def test_a_dry_run_says_what_it_would_do_and_does_nothing(town: Rig, script: str) -> None:
    done = town.run(script, "--dry-run", "pod", "mayor")
    assert done.returncode == 0, done.stderr
    assert "dry run" in done.stderr and "mayor" in done.stdout
    assert not town.remote.exists()


@pytest.mark.parametrize("script", ["sync_data.sh", "run_train.sh", "pull_adapter.sh", "remote.sh"])
def test_help_names_every_setting(town: Rig, script: str) -> None:
    done = town.run(script, "--help")
    assert done.returncode == 0
    library = (town.checkout / "scripts/lib.sh").read_text(encoding="utf-8")
    settings = {word for word in library.replace("{", " ").replace("$", " ").split() if word.startswith("RIG_")}
    assert {name.split(":")[0].strip('",]}') for name in settings if ":-" in name} <= set(
        done.stdout.replace(",", " ").split()
    )
