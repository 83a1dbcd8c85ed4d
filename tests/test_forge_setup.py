"""`forge init` and `forge status`: any state of a tree is told, and what is missing comes with its fix."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.registry.store import Registry
from scripts.forge import app, base_model, hardware, preparing, recommending, setting_up, state
from scripts.forge.advice import next_step
from scripts.forge.home import CODE
from scripts.forge.usage import size
from tests.hub_double import HubDouble, Repository, open_hub, use_hub

MANIFEST = {"rows": {"train": 67, "val": 6, "test": 10}, "roles": {"deacon": 68, "unknown": 14}, "sample": True}


@pytest.fixture(autouse=True)
def standing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CODE)
    monkeypatch.delenv("FORGE_ROOT", raising=False)


def forge(top: Path, *words: str) -> int:
    return app.run(["--root", str(top), *words], CODE)


def told(top: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The JSON of a command."""
    capsys.readouterr()
    assert forge(top, *words, "--json") == 0
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return value


def put(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def add_run(tree: Path, name: str, started: str = "2026-11-01T10:00:00+00:00") -> None:
    """A finished run of which only the adapter is left."""
    outcome = {"steps": 30, "max_steps": 30, "first_loss": 2.0, "last_loss": 0.5, "eval_losses": []}
    record = {"config": "a: 1", "base_model": "tiny", "started_at": started, "outcome": outcome}
    put(tree / f"adapters/{name}/run.json", record)


# --- status ----------------------------------------------------------------------------------------------------------


def test_nothing_is_a_state_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(tmp_path / "nothing", capsys, "status")
    assert found["datasets"] == found["runs"] == found["versions"] == found["problems"] == []
    assert found["next"].startswith("forge data")
    assert not (tmp_path / "nothing").exists()


def test_each_step_leads_to_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "datasets/manifest.json", MANIFEST)
    assert told(tmp_path, capsys, "status")["next"].startswith("forge train deacon")
    add_run(tmp_path, "deacon")
    assert told(tmp_path, capsys, "status")["next"].startswith("forge eval deacon")
    verdict = {"outcome": "passed", "rows": [{"base": {"value": 0.1}, "adapter": {"value": 0.8}}]}
    put(tmp_path / "evals/deacon/verdict.json", verdict)
    found = told(tmp_path, capsys, "status")
    assert found["next"].startswith("forge register deacon")
    assert found["scores"][0] | {"age_days": 0} == {
        "name": "deacon", "outcome": "passed", "base": 0.1, "adapter": 0.8, "age_days": 0,
    }  # fmt: skip


def released(role: str, live: str, gate: str) -> state.Released:
    return state.Released(role, live, "v2", 2, gate, None, None, None)


@pytest.mark.parametrize(
    ("version", "command"),
    [
        (released("deacon", "", "not evaluated"), "forge gate deacon v2"),
        (released("deacon", "", "passed"), "forge promote deacon v2"),
        (released("deacon", "v1", "passed"), "forge serve"),
        (released("deacon", "", "regression"), "forge iterate deacon"),
    ],
)
def test_a_version_leads_to_its_next_step(version: state.Released, command: str) -> None:
    rows = state.Dataset("roles", "", {"train": 1}, {"deacon": 1}, 0.0, False)
    assert next_step(state.Status(datasets=[rows], versions=[version])).startswith(command)


def test_packs_have_their_own_rows_and_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "packs/legal/datasets/manifest.json", MANIFEST | {"roles": {"legal": 83}, "sample": False})
    add_run(tmp_path / "packs/legal", "legal")
    found = told(tmp_path, capsys, "status")
    assert [(one["name"], one["roles"]) for one in found["datasets"]] == [("legal", {"legal": 83})]
    assert [(run["name"], run["pack"], run["loss"]) for run in found["runs"]] == [("legal", "legal", "2.000 -> 0.500")]
    assert found["next"].startswith("forge eval legal")


def test_what_else_there_is_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "captures/2026-11-01.jsonl", "{}\n{}\n")
    put(tmp_path / "loop/mayor/r2/state.json", {"name": "r2", "outcome": "refused"})
    put(tmp_path / "loop/mayor/r10/state.json", {"name": "r10", "outcome": ""})
    assert forge(tmp_path, "init") == 0
    found = told(tmp_path, capsys, "status")["other"]
    assert found["captures"] == {"files": 1, "bytes": 6, "lines": 2}
    assert found["loop"] == {"mayor": {"rounds": 2, "last": "r10", "outcome": "unfinished"}}
    assert found["curation"] == {}


def test_votes_that_were_taken_back_do_not_count(tmp_path: Path) -> None:
    from eval.people.votes import TABLES

    database = sqlite3.connect(tmp_path / "votes.db")
    database.executescript(TABLES.read_text("utf-8"))
    votes = [(1, "first", None), (2, "tie", None), (3, "skip", None), (4, "undo", 1)]
    for number, choice, back in votes:
        database.execute("INSERT INTO vote VALUES (?, '', '', 'm', 't', 'local', ?, ?)", (number, choice, back))
    database.commit()
    database.close()
    assert state.look(tmp_path).other["votes"] == {"votes": 1}


BROKEN = {
    "datasets/manifest.json": "{",
    "evals/mayor/verdict.json": "[]",
    "registry.db": "no database at all, but long enough to be taken for one" * 100,
    "curation.db": "no database either, but long enough to be taken for one" * 100,
    "loop/mayor/r1/state.json": '{"name": "r1"}',
    "packs/legal/datasets/manifest.json": '{"rows": 3}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_and_hides_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "captures/a.jsonl", "{}\n")
    broken = put(tmp_path / name, BROKEN[name])
    found = told(tmp_path, capsys, "status")
    (problem,) = found["problems"]
    assert str(broken if "state" not in name else tmp_path / "loop") in problem and "\n" not in problem
    assert found["other"]["captures"]["lines"] == 1
    assert forge(tmp_path, "status") == 0
    assert "broken" in capsys.readouterr().out


def test_bytes_on_the_disk_are_those_of_the_files(tmp_path: Path) -> None:
    put(tmp_path / "a/b/c", "12345")
    put(tmp_path / "d", "1")
    (tmp_path / "a/link").symlink_to("/")
    found = state.look(tmp_path).disk
    assert found is not None and list(found.taken) == ["a", "d"]
    assert found.taken["a"] - len("/") == 5 and found.taken["d"] == 1


@given(st.integers(0, 10**15))
def test_a_size_is_short_and_near(count: int) -> None:
    number, unit = size(count).split()
    factor = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
    assert abs(float(number.replace(",", "")) * factor - count) <= max(0.05 * count, 0.5)


# --- init ------------------------------------------------------------------------------------------------------------


def cards(folder: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """An nvidia-smi that prints this."""
    tool = put(folder / "nvidia-smi", "#!/bin/sh\ncat <<'END'\n" + "\n".join(lines) + "\nEND\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("line", "options", "trains"),
    [
        ("NVIDIA GeForce RTX 4090, 24564, 570.1", "", True),
        ("NVIDIA GeForce RTX 3060, 12288, 570.1", " --with qwen3b", True),
        ("NVIDIA GeForce RTX 4060, 8188, 570.1", " --with qwen1.5b", True),
        ("NVIDIA H200, 143771, 570.1", "", True),
        ("NVIDIA Tesla M60, 2048, 570.1", " --with qwen1.5b", False),
    ],
)
def test_the_recipe_that_is_recommended_fits_the_card(
    line: str, options: str, trains: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards(tmp_path, monkeypatch, line)
    found = hardware.find_hardware(tmp_path)
    advice = recommending.recommend(found)
    assert (found.kind, advice.options, advice.trains) == ("cuda", options, trains)
    assert found.words.startswith("CUDA: NVIDIA ") and found.driver == "570.1"


def test_a_driver_that_fails_is_no_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards(tmp_path, monkeypatch, "Failed to initialize NVML: Driver/library version mismatch")
    assert hardware.nvidia_cards() == ((), "")
    assert recommending.recommend(hardware.find_hardware(tmp_path)).trains is False


@pytest.mark.parametrize(("memory", "options"), [(64, ""), (16, " --with qwen3b"), (8, " --with qwen1.5b")])
def test_apple_silicon_trains_with_mlx(memory: float, options: str) -> None:
    advice = recommending.recommend(hardware.Hardware("apple", (), memory, 100, 8, "3.12"))
    assert advice.trains and advice.options == f" --backend mlx{options}"


def test_init_twice_is_init_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = told(tmp_path, capsys, "init", "--yes")
    with Registry.open(tmp_path) as registry:
        assert registry.roles() == ()
    again = told(tmp_path, capsys, "init", "--yes")
    assert {**again, "hardware": ""} == {**first, "hardware": ""}
    assert first["databases"] == [str(tmp_path / "registry.db"), str(tmp_path / "curation.db")]
    assert len(first["next"]) == 2 and first["next"][0] == "forge data"
    assert forge(tmp_path, "init") == 0
    assert "next" in capsys.readouterr().out


def test_a_database_that_cannot_be_opened_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "registry.db", BROKEN["registry.db"])
    assert forge(tmp_path, "init") == 1
    assert f"{tmp_path}/registry.dbcannotbeopened" in "".join(capsys.readouterr().out.split())


def test_what_make_installs_is_installed_when_somebody_says_yes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[list[str]] = []
    monkeypatch.setattr(preparing, "CODE", tmp_path)
    monkeypatch.setattr(preparing.subprocess, "run", lambda words, **_: made.append(words))
    machine = hardware.Hardware("apple", (), 16, 100, 8, "3.12")
    ready = preparing.Ready()
    preparing.prepare_environment(ready, machine, lambda question: "mlx" in question)
    assert made == [["make", ".venv/.mlx"]]
    assert ready.environment == {"light": False, "mlx": False}
    assert ready.missing[0] == "rows, registry, gateway: not installed. Run: make .venv/.light"


def test_nobody_is_asked_where_nobody_sits() -> None:
    assert setting_up.answers(yes=False, json_=True)("Fetch it?") is False
    assert setting_up.answers(yes=True, json_=True)("Fetch it?") is True


# --- the base model --------------------------------------------------------------------------------------------------

FILES = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "model.safetensors.index.json": json.dumps(
        {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    ).encode(),
    "model-00001-of-00002.safetensors": b"one" * 1000,
    "model-00002-of-00002.safetensors": b"two" * 1000,
    "pytorch_model.bin": b"the same once more" * 1000,
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    return tmp_path / "cache"


@pytest.mark.usefixtures("cache")
def test_a_download_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = put(tmp_path / "tiny.yml", "base_model: tiny/base\n")
    with open_hub() as hub:
        use_hub(hub, monkeypatch)
        hub.repositories["tiny/base"] = Repository(False)
        hub.repositories["tiny/base"].commit(FILES)
        hub.unreachable = "model-00002-of-00002.safetensors"
        first = told(tmp_path, capsys, "init", "--yes", "--with", str(recipe))
        assert first["base_model"]["here"] is False and "tiny/base could not be fetched" in first["missing"][0]
        hub.unreachable, before = "", len(hub.requests)
        second = told(tmp_path, capsys, "init", "--yes", "--with", str(recipe))
        fetched = [line for line in hub.requests[before:] if line.startswith("GET") and ".safetensors" in line]
    assert second["base_model"]["here"] is True and second["missing"] == []
    assert {line.rsplit("/", 1)[1] for line in fetched} == {"model-00002-of-00002.safetensors"}
    assert not any("pytorch_model" in line for line in hub.requests if line.startswith("GET"))
    # Now it is here, with no hub at all.
    assert base_model.find_base("tiny/base").here


@pytest.mark.usefixtures("cache")
def test_what_the_hub_refuses_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_hub() as hub:
        use_hub(hub, monkeypatch)
        hub.repositories["tiny/weightless"] = Repository(False)
        hub.repositories["tiny/weightless"].commit({"config.json": b"{}"})
        assert "the hub has no tiny/nothing" in base_model.fetch("tiny/nothing").problem
        assert "has no model.safetensors" in base_model.fetch("tiny/weightless").problem
    assert "is neither a folder here nor a name on the hub" in base_model.fetch("a/b/c").problem


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("offline", [False, True])
def test_without_a_network_the_rest_goes_on(
    offline: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_hub(HubDouble(endpoint="http://127.0.0.1:9"), monkeypatch)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    found = told(tmp_path, capsys, "init", "--yes", "--with", "qwen1.5b")
    (missing,) = found["missing"]
    assert missing.startswith("Qwen/Qwen2.5-1.5B-Instruct could not be fetched: the hub does not answer from here")
    assert len(found["databases"]) == 2 and found["next"][0] == "forge data"


def test_a_base_that_does_not_fit_the_disk_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_model, "room", lambda: 10**9)
    fetched = base_model.fetch("Qwen/Qwen2.5-7B-Instruct")
    assert fetched.problem.startswith(
        "Qwen/Qwen2.5-7B-Instruct needs about 15 GB, and the hub's cache has 1.0 GB free."
    )


def test_a_base_without_one_of_its_parts_is_not_here(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    assert base_model.is_whole(str(tmp_path))
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    assert not base_model.is_whole(str(tmp_path))


# --- from end to end -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_from_nothing_to_rows_as_a_person_does_it(tmp_path: Path) -> None:
    """From a folder outside of the checkout, with relative paths, in processes of their own."""

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "scripts.forge", "--root", "made", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(CODE), "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    sample = [sys.executable, "-m", "data.sample", "--out", str(tmp_path / "town")]
    subprocess.run(sample, cwd=CODE, check=True, capture_output=True)
    assert json.loads(run("init", "--json"))["next"][0] == "forge data"
    assert "train rows" in run("data", "--sessions", "town/projects", "--workers", "1", "--", "--limit", "60")
    assert "deacon" in run("stats")
    found = json.loads(run("status", "--json"))
    assert found["datasets"][0]["roles"]["deacon"] > 10 and found["next"].startswith("forge train deacon")
    plan = json.loads(run("plan", "deacon", "--gpu", "rtx4090", "--json"))
    assert plan["verdict"] == "fits" and 0 < plan["rows"] < found["datasets"][0]["roles"]["deacon"]
    trained = run("train", "deacon", "--dry-run")
    assert f"{tmp_path}/made/configs/deacon.yml" in trained
    assert json.loads(run("versions", "--json"))["versions"] == []
