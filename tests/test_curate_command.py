"""`python -m data.curate` without a page: what it says, and one clear sentence for what it cannot take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from data import forget
from data.config import load_config
from data.curate import bench
from data.curate.__main__ import main
from data.curate.store import Store
from tests.curated import dataset, many, window
from tests.small_build import ROOT

CONFIG = str(ROOT / "configs" / "data.yml")


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """A folder with a dataset, and a configuration whose lists lie there too."""
    settings = yaml.safe_load((ROOT / "configs/data.yml").read_text("utf-8"))
    settings |= {"forgotten": str(tmp_path / "forgotten.txt"), "archive": str(tmp_path / "archive")}
    settings["curation"] = {"decisions": str(tmp_path / "curation.db")}
    (tmp_path / "data.yml").write_text(yaml.safe_dump(settings), "utf-8")
    dataset(tmp_path / "rows", [window("one:0.0#0", replies=3), *many(8)])
    return tmp_path


def run(town: Path, *arguments: str) -> int:
    return main(["--rows", str(town / "rows"), "--config", str(town / "data.yml"), *arguments])


def test_scripted_decisions_are_taken_counted_and_exported(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = town / "decisions.jsonl"
    script.write_text('{"id": "one:0.0#0", "action": "reject"}\n{"id": "s0:0.0#0", "action": "approve"}\n')
    assert run(town, "--apply", str(script), "--author", "robot") == 0
    assert run(town, "--apply", str(script), "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["done"] == {"unchanged": 2}
    assert run(town, "--status", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["examples"], told["approved"], told["rejected"], told["undecided"]) == (9, 1, 1, 7)
    assert run(town, "--export", str(town / "records.jsonl")) == 0
    assert run(town, "--import", str(town / "records.jsonl"), "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["done"] == {"unchanged": 2, "without a response": 7}
    with Store(town / "curation.db") as store:
        assert store.example("one:0.0#0").current.author == "robot"  # type: ignore[union-attr]


def test_a_line_that_is_not_taken_makes_the_command_fail_and_the_others_count(
    town: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = town / "decisions.jsonl"
    script.write_text('{"id": "one:0.0#0", "action": "reject"}\n{"id": "nobody", "action": "approve"}\n')
    assert run(town, "--apply", str(script)) == 1
    said = capsys.readouterr()
    assert f"{script}:2: There is no example nobody." in said.err and "1 reject; 1 not taken" in said.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--rows", "nowhere"], "nowhere is not a folder"),
        (["--config", "nowhere.yml"], "nowhere.yml: cannot be read"),
        (["--host", "0.0.0.0"], "opens on this machine only"),
        (["--terminal"], "--terminal needs a terminal"),
        (["--apply", "nowhere.jsonl"], "nowhere.jsonl: cannot be read"),
        (["--import", "nowhere.jsonl"], "nowhere.jsonl: cannot be read"),
        (["--export", "/proc/nowhere/x.jsonl"], "Nothing was decided"),
        (["--database", "/proc/nowhere/x.db"], "cannot be opened"),
        (["--port", "99999"], "cannot be opened"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    town: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert run(town, *arguments) == 2
    said = capsys.readouterr().err.splitlines()
    assert says in said[-1] and not any("Traceback" in line for line in said)


def test_without_a_dataset_and_without_examples_there_is_nothing_to_do(
    town: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(town)
    assert main(["--config", str(town / "data.yml"), "--status"]) == 2
    assert "There is nothing to curate" in capsys.readouterr().err


@pytest.mark.slow
def test_a_forgotten_session_leaves_the_store_and_does_not_come_back(
    town: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(town, "--status") == 0
    script = town / "decisions.jsonl"
    script.write_text('{"id": "s0:0.0#1", "action": "edit", "texts": {"1": "zanzibar"}}\n')
    assert run(town, "--apply", str(script)) == 0
    (town / "projects").mkdir()
    assert forget.run("s0", town, town / "projects", load_config(town / "data.yml")) == 0
    assert "held 4 examples of it and 1 decision. They were deleted there." in capsys.readouterr().out
    assert b"zanzibar" not in b"".join(path.read_bytes() for path in town.glob("curation.db*"))
    dataset(town / "rows", [*many(8), window("two:0.0#0", "Another.")])
    assert run(town, "--status", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["examples"] == 5 + 1 - 1 and "1 new, 4 forgotten" in said.err


def test_what_the_list_names_is_forgotten_at_the_next_start(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(town, "--status") == 0
    (town / "forgotten.txt").write_text("s1\n")
    assert run(town, "--status", "--json") == 0
    said = capsys.readouterr()
    assert "Forgot 4 examples and 0 decisions" in said.err and json.loads(said.out.splitlines()[-1])["examples"] == 5


def test_the_benchmark_asks_for_every_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--examples", "60", "--rounds", "2"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("60 examples read in") and said.count("x an empty page") == 8
