"""Mining: what was there stays, nothing is written twice, and nothing that is secret is written at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from data import mine
from data.extract import qna
from data.lines import alone, replacing
from data.record import Conversation
from tests.conftest import ROOT
from tests.git_town import Town

CODE = "def one():\n    return 1\n"
KEY = "AKIAQ7" + "ZX4NW2PLK3RTYV"


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def town(tmp_path: Path) -> Town:
    town = Town(tmp_path / "town")
    for number in range(3):
        town.commit(
            f"Count the rows of table {number}", {f"rows{number}.py": CODE, "tests/test_rows.py": f"{number}\n"}
        )
    return town


def run(*words: object) -> int:
    return mine.main([*map(str, words), "--config", str(ROOT / "configs/data.yml")])


def test_changes_become_pairs_that_the_source_reads(town: Town, tmp_path: Path) -> None:
    out = tmp_path / "mined" / "coding.jsonl"
    assert run(town.folder, "--out", out) == 0
    first = lines(out)[0]
    assert first["input"].startswith("Count the rows of table 2\n") and first["output"].startswith("```diff\n")
    assert first["metadata"] == {
        "commit": town.git("rev-parse", "HEAD"), "repository": "town", "files": "rows2.py, tests/test_rows.py",
        "tests": "touched", "session_id": town.git("rev-parse", "HEAD"), "source": "pulls",
    }  # fmt: skip
    made = [item for unit in qna.units(out, "crew") for item in qna.read(unit) if isinstance(item, Conversation)]
    assert [one.about["files"] for one in made] == [line["metadata"]["files"] for line in lines(out)]
    assert len(made) == 3


def test_again_writes_what_is_new_and_keeps_what_is_there(
    town: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "coding.jsonl"
    out.write_text('{"input": "own", "output": "words"}\nno pair at all')
    assert run(town.folder, "--out", out, "--limit", 2) == 0
    before = out.read_bytes()
    assert before.startswith(b'{"input": "own", "output": "words"}\nno pair at all\n{') and before.count(b"\n") == 4
    capsys.readouterr()
    assert run(town.folder, "--out", out) == 0
    assert "1 new pair from 1 path (left out: 2 in the file already, 1 first commit)." in capsys.readouterr().out
    after = out.read_bytes()
    assert after.startswith(before) and after.count(b"\n") == 5
    assert run(town.folder, "--out", out) == 0
    assert out.read_bytes() == after
    assert "0 new pairs" in capsys.readouterr().out


def test_since_and_a_branch_choose_the_changes(town: Town, tmp_path: Path) -> None:
    town.git("branch", "old", "HEAD~1")
    assert run(town.folder, "--out", tmp_path / "a.jsonl", "--branch", "old") == 0
    assert len(lines(tmp_path / "a.jsonl")) == 2
    assert run(town.folder, "--out", tmp_path / "b.jsonl", "--since", "2026-03-01T10:03:30") == 0
    assert [line["input"].split("\n")[0] for line in lines(tmp_path / "b.jsonl")] == ["Count the rows of table 2"]
    assert run(town.folder, "--out", tmp_path / "c.jsonl", "--since", "2026-03-02") == 0
    assert not (tmp_path / "c.jsonl").exists()


def test_the_limits_of_the_configuration_hold(town: Town, tmp_path: Path) -> None:
    settings = yaml.safe_load((ROOT / "configs/data.yml").read_text("utf-8"))
    settings["sources"].append({"kind": "pulls", "path": "x", "pulls": {"max_files": 1}})
    (tmp_path / "data.yml").write_text(yaml.safe_dump(settings))
    assert (
        mine.main([str(town.folder), "--out", str(tmp_path / "a.jsonl"), "--config", str(tmp_path / "data.yml")]) == 0
    )
    assert not (tmp_path / "a.jsonl").exists()


def test_secrets_and_names_are_not_written(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = f'KEY = "{KEY}"\nHOME = "/home/adalovelace/src"\n'
    town.commit("Set the key of ada.lovelace@lovelace-works.org", {"/home/adalovelace.py".strip("/"): key})
    out = tmp_path / "a.jsonl"
    assert run(town.folder, "--out", out) == 0
    assert len(lines(out)) == 4
    for secret in (KEY, "lovelace"):
        assert secret not in out.read_text()
    monkeypatch.setattr("data.transform.redactor.clean_texts", lambda texts, *_: texts)
    assert run(town.folder, "--out", tmp_path / "b.jsonl") == 0
    assert len(lines(tmp_path / "b.jsonl")) == 3  # the second scanner saw what the first one was kept from seeing
    assert KEY not in (tmp_path / "b.jsonl").read_text()


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["nowhere"], 2, "nowhere does not exist. Clone the repository there"),
        (["town", "--branch", "none"], 2, "git cannot read branch none"),
        (["town", "--config", "none.yml"], 2, "none.yml: cannot be read"),
        (["town", "--out", "file/a.jsonl"], 1, "Nothing was written."),
    ],
)
def test_what_cannot_be_mined_is_one_sentence(
    town: Town, words: list[str], code: int, problem: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(town.folder.parent)
    Path("file").write_text("")
    Path("configs").symlink_to(ROOT / "configs")
    assert mine.main(words) == code
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("--limit", "0"), ("--limit", "x"), ("--since", "yesterday")])
def test_a_wrong_option_is_one_sentence(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        mine.main([".", option, value])
    assert f"{value} is no" in capsys.readouterr().err


def test_a_broken_export_is_said_and_the_rest_is_mined(
    town: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "town.pulls.json").write_text("[")
    assert run(town.folder, "--out", tmp_path / "a.jsonl") == 0
    assert "town.pulls.json: The pull requests cannot be read" in capsys.readouterr().err
    assert len(lines(tmp_path / "a.jsonl")) == 3


def test_two_miners_do_not_write_at_once(town: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mined" / "a.jsonl"
    with alone(out):
        assert run(town.folder, "--out", out) == 1
    assert "another miner is writing here. Wait for it" in capsys.readouterr().err
    assert run(town.folder, "--out", out) == 0


def test_a_file_that_fails_half_way_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("old\n")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"new\n")
        raise KeyboardInterrupt
    assert path.read_text() == "old\n" and os.listdir(tmp_path) == ["a.jsonl"]  # noqa: PTH208
