"""The command line of the data side, from a folder of transcripts to a dataset."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from data.pipeline import main
from data.stage import Ledger
from tests.transcripts import Script


@pytest.fixture(scope="module")
def town(sample_town: Path) -> Path:
    return sample_town / "projects"


@pytest.fixture(scope="module")
def dataset(town: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dataset")
    assert main(["all", "--sessions", str(town), "--out", str(out), "--workers", "1"]) == 0
    return out


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "workers"), [("30", "2"), pytest.param("1000", "3", marks=pytest.mark.slow)])
def test_any_number_of_workers_gives_the_same_bytes(town: Path, tmp_path: Path, limit: str, workers: str) -> None:
    for number in ("1", workers):
        arguments = ["--sessions", str(town), "--out", str(tmp_path / number), "--limit", limit]
        assert main(["all", *arguments, "--workers", number]) == 0
    assert digests(tmp_path / "1") == digests(tmp_path / workers) != {}


def test_extract_and_transform_give_the_same_rows_as_one_pass(town: Path, dataset: Path, tmp_path: Path) -> None:
    assert main(["extract", "--sessions", str(town), "--out", str(tmp_path), "--workers", "1"]) == 0
    assert main(["transform", "--out", str(tmp_path), "--workers", "1"]) == 0
    made = digests(tmp_path)
    assert {name: made[name] for name in digests(dataset)} == digests(dataset)
    assert main(["validate", "--out", str(tmp_path)]) == 0
    assert main(["stats", "--out", str(tmp_path)]) == 0


def test_the_manifest_describes_every_file(dataset: Path) -> None:
    manifest = json.loads((dataset / "manifest.json").read_text())
    assert not manifest["sample"]
    for name, fact in manifest["files"].items():
        content = (dataset / name).read_bytes()
        assert fact == {
            "sha256": hashlib.sha256(content).hexdigest(),
            "rows": content.count(b"\n"),
            "bytes": len(content),
        }
        assert content, f"{name} is empty"
    assert {"ledger.json", "stats.json", "drops.jsonl"} <= set(digests(dataset))


def test_all_eight_roles_of_the_town_have_rows_with_their_prompt(dataset: Path) -> None:
    for role in ("mayor", "deacon", "boot", "dog", "witness", "refinery", "polecat", "crew"):
        first = json.loads((dataset / f"{role}_train.jsonl").read_text().splitlines()[0])
        assert first["conversations"][0]["value"].startswith(f"[GAS TOWN ROLE: {role}]")


def test_knowledge_never_stands_in_a_role(dataset: Path) -> None:
    for path in dataset.glob("*_*.jsonl"):
        for line in path.read_text().splitlines():
            metadata = json.loads(line)["metadata"]
            assert (metadata["role"] == "knowledge") == (metadata["source"] in ("observers", "beads"))


def test_a_session_stays_in_its_split_when_others_are_added(town: Path, dataset: Path, tmp_path: Path) -> None:
    assert main(["all", "--sessions", str(town), "--out", str(tmp_path), "--limit", "40", "--workers", "1"]) == 0

    def homes(folder: Path) -> dict[str, str]:
        found = {}
        for path in folder.glob("gastown_*.jsonl"):
            for line in path.read_text().splitlines():
                found[json.loads(line)["metadata"]["session_id"]] = path.name
        return found

    few, many = homes(tmp_path), homes(dataset)
    assert few
    assert {session: many[session] for session in few} == few


def test_files_of_an_earlier_build_do_not_stay(town: Path, tmp_path: Path) -> None:
    (tmp_path / "nobody_train.jsonl").write_text("{}\n")
    (tmp_path / "notes.jsonl").write_text("mine\n")
    assert main(["all", "--sessions", str(town), "--out", str(tmp_path), "--limit", "10", "--workers", "1"]) == 0
    assert not (tmp_path / "nobody_train.jsonl").exists()
    assert (tmp_path / "notes.jsonl").exists()


def test_a_killed_build_leaves_the_old_dataset_and_no_half_file(
    town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["all", "--sessions", str(town), "--out", str(tmp_path), "--limit", "10", "--workers", "1"]) == 0
    before = digests(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr("data.build.stats.collect", full)
    assert main(["all", "--sessions", str(town), "--out", str(tmp_path), "--limit", "10", "--workers", "1"]) == 1
    assert digests(tmp_path) == before


@pytest.mark.slow
def test_books_that_do_not_balance_stop_the_build(
    town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Ledger, "admit", lambda *_: None)
    assert main(["all", "--sessions", str(town), "--out", str(tmp_path), "--limit", "10", "--workers", "1"]) == 1
    assert "Nothing was published" in capsys.readouterr().err
    assert digests(tmp_path) == {}


def test_without_transcripts_the_sample_town_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["all", "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    assert "sample town" in capsys.readouterr().out.splitlines()[0]
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["sample"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--sessions", "{tmp}/nowhere"], "does not exist"),
        (["--sessions", "{tmp}"], "holds no .jsonl transcripts"),
        (["--config", "{tmp}/none.yml"], "--config"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    arguments = [argument.format(tmp=tmp_path) for argument in arguments]
    assert main(["all", "--out", str(tmp_path / "out"), *arguments]) == 2
    complaint = capsys.readouterr().err.strip()
    assert expected in complaint
    assert "\n" not in complaint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"base_model": "someone/else"}, "No tokenizer of someone/else is at hand"),
        ({"redact": {"literals": "/nowhere/secrets.txt"}}, "/nowhere/secrets.txt"),
    ],
)
def test_what_would_stop_a_worker_stops_before_the_first_file(
    root: Path, town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], expected: str
) -> None:
    settings = yaml.safe_load((root / "configs" / "data.yml").read_text()) | change
    (tmp_path / "data.yml").write_text(yaml.safe_dump(settings))
    arguments = ["--sessions", str(town), "--config", str(tmp_path / "data.yml"), "--out", str(tmp_path / "out")]
    assert main(["all", *arguments, "--workers", "2"]) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_transform_without_extract_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transform", "--out", str(tmp_path)]) == 2
    assert "extract` first" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["all", "--sessions", str(town), "--out", str(tmp_path / "out"), "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("Would read ")
    assert not (tmp_path / "out").exists()


def test_an_unreadable_file_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    s = Script()
    s.human("go and look at the parser")
    s.says("It reads one row after the other.", "m1")
    s.save(tmp_path / "sessions")
    (tmp_path / "sessions" / "-home-ann-work" / "gone.jsonl").symlink_to(tmp_path / "nothing")
    arguments = ["--sessions", str(tmp_path / "sessions"), "--out", str(tmp_path / "out")]
    assert main(["all", *arguments, "--workers", "1"]) == 0
    drops = (tmp_path / "out" / "drops.jsonl").read_text()
    assert "unreadable file" in drops and "gone.jsonl" in drops
    assert sum(json.loads((tmp_path / "out" / "manifest.json").read_text())["rows"].values()) == 1
