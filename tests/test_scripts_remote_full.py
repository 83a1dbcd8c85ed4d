"""scripts/remote.sh against a real sshd on 127.0.0.1: one command from rows to adapter, and the same one after anything
that may happen in between. Only the training and the GPU's driver are stand-ins."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback_host import (
    ALL_STEPS,
    MISSING,
    REPOSITORY,
    WHY_SKIP,
    LoopbackHost,
    Rig,
    hashes,
    one_sentence,
    open_host,
    prepare,
    rig,
    steps_in,
    wait_for_line,
)

pytestmark = pytest.mark.skipif(bool(MISSING), reason=WHY_SKIP)

# A GPU whose driver takes its time, so that a line can be cut while a pod is set up.
DRIVER = """#!/bin/sh
touch {folder}/asked
while [ -e {folder}/wait ]; do sleep 0.1; done
echo 'NVIDIA L40S, 46068 MiB, 580.95.05'
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHost]:
    """A machine with a pretended driver, and nothing installed."""
    folder = tmp_path_factory.mktemp("sshd")
    driver = folder / "bin" / "nvidia-smi"
    driver.parent.mkdir()
    driver.write_text(DRIVER.format(folder=folder), encoding="utf-8")
    driver.chmod(0o755)
    path = f"{driver.parent}:/usr/local/bin:/usr/bin:/bin"
    with open_host(folder, PATH=path, PYTHON=sys.executable, MIN_FREE_GB="0", PIP_NO_INDEX="1") as running:
        yield running


@pytest.fixture
def bare(host: LoopbackHost, tmp_path: Path) -> Rig:
    return rig(host, tmp_path, roles=("mayor", "crew"))


@pytest.fixture
def town(bare: Rig) -> Rig:
    prepare(bare)
    return bare


def adapters(side: Path) -> dict[str, str]:
    return hashes(side / "output" / "adapters")


@pytest.mark.slow
def test_one_command_sends_sets_up_trains_and_fetches_and_the_next_does_only_what_is_left(bare: Rig) -> None:
    first = bare.run("remote.sh", "full", "pod", "mayor")
    assert first.returncode == 0, first.stdout + first.stderr
    assert adapters(bare.checkout) == adapters(bare.remote)
    assert set(adapters(bare.checkout)) == {"mayor/adapter_config.json", "mayor/adapter_model.safetensors"}
    assert_told_in_the_docs(first, bare)
    again = bare.run("remote.sh", "full", "pod", "mayor")
    assert again.returncode == 0, again.stderr
    assert "mayor is trained already, on the same recipe and rows" in again.stdout and "all equal" in again.stdout
    assert "the environment there is ready" in again.stdout and not steps_in(again.stdout)
    before = adapters(bare.checkout)
    with (bare.checkout / "output/datasets/mayor_train.jsonl").open("a", encoding="utf-8") as rows:
        rows.write("{}\n")
    changed = bare.run("remote.sh", "full", "pod", "mayor")
    assert changed.returncode == 0 and steps_in(changed.stdout), changed.stderr
    assert adapters(bare.checkout) == adapters(bare.remote) != before


def assert_told_in_the_docs(done: subprocess.CompletedProcess[str], town: Rig) -> None:
    """The transcript in the docs is what a person sees, but for numbers, the machine and the training's own log."""
    text = (REPOSITORY / "docs" / "remote.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"^```console\n\$ scripts/remote\.sh full pod mayor.*\n((?:.*\n)*?)```", text, re.MULTILINE)
    remote = str(town.remote)
    seen = (done.stdout + done.stderr).replace(sys.executable, "/usr/bin/python3.12")
    for path in (remote, remote.replace(" ", "\\ ")):
        seen = seen.replace(path, "/workspace/data/lora-forge")
    assert sentences(told) == sentences(seen)


def sentences(text: str) -> set[str]:
    """The scripts' own lines, each number as N."""
    log = re.compile(r"(started the training of .*\n)(?:.*\n)*?(the training of )|^step .*\n", re.MULTILINE)
    lines = log.sub(r"\1\2", text).splitlines()
    return {re.sub(r"\b\d[\d.,]*[KMG]?\b", "N", line) for line in lines}


@pytest.mark.slow
def test_a_line_that_drops_during_the_set_up_does_not_set_up_twice(bare: Rig, tmp_path: Path) -> None:
    wait, asked, log = bare.host.folder / "wait", bare.host.folder / "asked", tmp_path / "client.log"
    asked.unlink(missing_ok=True)
    wait.touch()
    try:
        client = bare.popen("remote.sh", "full", "pod", "mayor", output=log)
        wait_for_file(asked)
        bare.host.drop_connections()
        wait_for_line(log, "connection lost, trying again in 1 s (1 of 5)")
    finally:
        wait.unlink()
    assert client.wait(240) == 0
    text = log.read_text(encoding="utf-8")
    assert text.count("-m venv .venv") <= 1 and "fetched and checked: output/adapters/mayor" in text


@pytest.mark.slow
def test_stopped_by_hand_during_the_training_the_same_command_follows_it_and_fetches(town: Rig, tmp_path: Path) -> None:
    client = held(town, tmp_path / "client.log")
    status = town.run("remote.sh", "status", "pod")
    assert re.fullmatch(r"mayor +running \d+ +step 5 of 10\n", status.stdout), status.stderr
    os.killpg(client.pid, signal.SIGINT)
    assert client.wait(60) == 130
    assert "the training goes on." in (tmp_path / "client.log").read_text(encoding="utf-8")
    other = town.run("remote.sh", "full", "pod", "mayor", "--with", "steps3")
    assert "a training of mayor with another recipe is running on pod" in one_sentence(other)
    assert "--run NAME" in other.stderr and "costs money" not in other.stderr
    again = held(town, tmp_path / "again.log")
    (town.remote / "go").touch()
    assert again.wait(240) == 0
    text = (tmp_path / "again.log").read_text(encoding="utf-8")
    assert "a training of mayor is running on pod already" in text and steps_in(text) == ALL_STEPS
    assert adapters(town.checkout) == adapters(town.remote) != {}


@pytest.mark.slow
def test_a_dropped_line_costs_no_step(town: Rig, tmp_path: Path) -> None:
    client = held(town, tmp_path / "client.log")
    town.host.drop_connections()
    (town.remote / "go").touch()
    assert client.wait(240) == 0
    assert steps_in((tmp_path / "client.log").read_text(encoding="utf-8")) == ALL_STEPS
    assert adapters(town.checkout) == adapters(town.remote) != {}


def held(town: Rig, log: Path) -> subprocess.Popen[bytes]:
    """A client whose training of 10 steps waits after the fifth for a file named go."""
    client = town.popen("remote.sh", "full", "pod", "mayor", "--with", "hold10", output=log)
    wait_for_line(log, "step 5 of 10")
    return client


@pytest.mark.slow
def test_a_failed_training_gives_its_code_and_the_same_command_starts_it_again(town: Rig) -> None:
    for _ in range(2):
        done = town.run("remote.sh", "full", "pod", "mayor", "--with", "fail7")
        assert done.returncode == 7
        assert one_sentence(done) == "error: the training of mayor failed on pod with exit code 7."
        assert "stopped at: train mayor on pod. The same command goes on from there." in done.stderr
        assert "pod costs money for as long as it runs" in done.stderr
        assert steps_in(done.stdout) == ["step 1 of 2", "step 2 of 2"]
    assert not (town.checkout / "output/adapters").exists()


@pytest.mark.slow
def test_a_run_on_preferences_and_a_named_run_replace_no_adapter_of_the_role(town: Rig) -> None:
    (town.checkout / "output/datasets/mayor.dpo.train.jsonl").write_text("{}\n", encoding="utf-8")
    (town.checkout / "output/datasets/crew.dpo.train.jsonl").write_text("{}\n", encoding="utf-8")
    for recipe in (["--with", "preferences"], ["--with", "steps3", "--run", "mayor.3"]):
        done = town.run("remote.sh", "full", "pod", "mayor", *recipe)
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (town.checkout / "output/adapters").iterdir()) == ["mayor-dpo", "mayor.3"]
    sent = {path.name for path in (town.remote / "output/datasets").iterdir()}
    assert "mayor.dpo.train.jsonl" in sent and "crew.dpo.train.jsonl" not in sent
    attached = town.run("run_train.sh", "pod", "mayor-dpo", "--attach")
    assert attached.returncode == 0 and "pull_adapter.sh pod mayor-dpo" in attached.stdout
    status = town.run("remote.sh", "status", "pod").stdout.splitlines()
    assert [line.split()[:3] for line in status] == [["mayor-dpo", "exited", "0"], ["mayor.3", "exited", "0"]]


@pytest.mark.slow
def test_a_pod_that_cannot_be_set_up_is_named_before_anything_trains(bare: Rig) -> None:
    (bare.checkout / "requirements-gpu.txt").unlink()
    done = bare.run("remote.sh", "full", "pod", "mayor")
    assert done.returncode == 1
    assert "error: requirements-gpu.txt does not exist" in done.stderr
    assert "error: pod could not be set up (exit code 1); what is missing stands above." in done.stderr
    assert "stopped at: set up pod." in done.stderr
    assert bare.run("remote.sh", "status", "pod").stdout == "no training was started on pod\n"


def test_a_dry_run_prints_the_commands_and_reaches_nobody(town: Rig) -> None:
    recipe = ("--with", "preferences", "--gpus", "4")
    done = town.run("remote.sh", "full", "nowhere.invalid", "mayor", *recipe, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "scripts/sync_data.sh nowhere.invalid mayor",
        f"ssh nowhere.invalid bash {town.remote}/infra/runpod_setup.sh # where there is no environment yet",
        "scripts/run_train.sh nowhere.invalid mayor --with preferences --gpus 4",
        "scripts/pull_adapter.sh nowhere.invalid mayor-dpo",
    ]


def test_the_number_of_gpus_reaches_the_training(town: Rig) -> None:
    done = town.run("run_train.sh", "pod", "mayor", "--gpus", "4", "--dry-run")
    assert done.stdout.strip() == "bash scripts/detached.sh start mayor scripts/train.sh mayor --gpus 4"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("full", "pod", "mayor", "--gpus", "all"), "--gpus needs a number"),
        (("start", "pod"), "there is no command start"),
        (("full", "pod", "mayor", "crew"), "one role at a time"),
        (("full", "pod", "mayor", "--fast"), "there is no option --fast"),
        (("full", "pod", "mayor", "--with"), "--with needs a name"),
        (("full", "pod", "The Mayor"), "is not a role"),
        (("full", "-pod", "mayor"), "there is no option -pod"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_exit_code_2(town: Rig, arguments: tuple[str, ...], sentence: str) -> None:
    done = town.run("remote.sh", *arguments)
    assert done.returncode == 2 and sentence in one_sentence(done)


def test_an_unknown_override_host_or_key_is_named_before_anything_is_sent(town: Rig) -> None:
    (town.remote / ".rig-owned").unlink()
    override = town.run("remote.sh", "full", "pod", "mayor", "--with", "no-such-override")
    assert "There is no override `no-such-override`" in one_sentence(override)
    assert "no host named nowhere.invalid" in one_sentence(town.run("remote.sh", "full", "nowhere.invalid", "mayor"))
    changed = {"RIG_KNOWN_HOSTS": str(town.host.folder / "known_hosts_changed")}
    done = town.run("remote.sh", "full", "pod", "mayor", settings=changed)
    assert "is not the pinned one" in one_sentence(done) and "costs money" not in done.stderr
    assert "there is no rig" in one_sentence(town.run("remote.sh", "status", "pod"))


def wait_for_file(path: Path, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} did not appear within {seconds} s"
        time.sleep(0.05)
