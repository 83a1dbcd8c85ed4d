"""archive, explain and forget through the command line, from transcripts to a dataset without a session."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from data.pipeline import main
from tests.transcripts import Script

KEPT = "5e551011-0000-4000-8000-000000000001"
UNWANTED = "77ab3033-0000-4000-8000-000000000003"


@pytest.fixture
def place(tmp_path: Path, root: Path) -> Path:
    """Two sessions, and a configuration whose archive and list of forgotten sessions are here."""
    for number, (session, word) in enumerate([(KEPT, "parser"), (UNWANTED, "printer")]):
        s = Script(session=session, start=100 * number)
        s.human(f"go and look at the {word} of the little language that we made")
        s.says(f"The {word} reads one row after the other and says where it stopped.", f"msg_{word}")
        s.save(tmp_path / "projects")
    settings = yaml.safe_load((root / "configs" / "data.yml").read_text())
    settings |= {"archive": str(tmp_path / "archive"), "forgotten": str(tmp_path / "forgotten.txt")}
    (tmp_path / "data.yml").write_text(yaml.safe_dump(settings))
    return tmp_path


def call(place: Path, *arguments: str) -> int:
    common = ["--sessions", str(place / "projects"), "--config", str(place / "data.yml")]
    return main([*arguments, *common])


def build(place: Path) -> dict[str, bytes]:
    """The rows of a new build, by file."""
    assert call(place, "all", "--out", str(place / "out"), "--workers", "1") == 0
    return {path.name: path.read_bytes() for path in (place / "out").glob("gastown_*.jsonl")}


@pytest.mark.slow
@pytest.mark.slow
def test_a_deleted_transcript_gives_the_same_rows_and_an_explanation(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(place, "archive") == 0
    before = build(place)
    (place / "projects" / "-home-ann-work" / f"{UNWANTED}.jsonl").unlink()
    assert build(place) == before
    capsys.readouterr()
    assert call(place, "explain", "77ab3033:0.0#0", "--out", str(place / "out")) == 0
    told = capsys.readouterr().out
    assert str(place / "archive" / "view" / "-home-ann-work" / f"{UNWANTED}.jsonl") in told
    assert "line 2: msg_printer" in told


def test_when_everything_was_deleted_the_archive_is_built_and_not_the_sample_town(place: Path) -> None:
    assert call(place, "archive") == 0
    before = build(place)
    for path in (place / "projects").rglob("*.jsonl"):
        path.unlink()
    assert build(place) == before


def test_the_sample_town_is_explained_and_never_archived(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(place / "nobody"))
    common = ["--config", str(place / "data.yml"), "--out", str(place / "datasets")]
    assert main(["all", "--workers", "1", *common]) == 0
    row = json.loads((place / "datasets" / "origins.jsonl").read_text().splitlines()[0])["id"]
    assert main(["explain", row, *common]) == 0
    assert str(place / "sample-town" / "projects") in capsys.readouterr().out
    assert main(["archive", *common]) != 0
    assert not (place / "archive").exists()


def test_a_forgotten_session_is_in_no_later_build(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = b"".join(build(place).values())
    assert b"printer" in before and b"parser" in before
    capsys.readouterr()
    assert call(place, "forget", UNWANTED, "--out", str(place)) == 0
    assert f"{place / 'out'} holds 1 row of it" in capsys.readouterr().out
    after = b"".join(build(place).values())
    assert b"printer" not in after and b"parser" in after
    records = json.loads((place / "out" / "ledger.json").read_text())["records"]
    assert records["sessions"] == {"used": 2, "forgotten on request": 2}
    capsys.readouterr()
    assert call(place, "explain", "--session", UNWANTED[:8], "--out", str(place / "out")) == 2
    assert call(place, "explain", "--session", UNWANTED, "--out", str(place / "out")) == 0
    assert "forgotten on request: 2 records" in capsys.readouterr().out


def test_a_transform_refuses_what_was_extracted_before_somebody_was_forgotten(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", str(place / "out"), "--workers", "1")
    assert call(place, "extract", *out) == 0
    assert call(place, "forget", UNWANTED, "--out", str(place)) == 0
    assert call(place, "transform", *out) == 2
    assert "Run `python -m data.pipeline extract` again." in capsys.readouterr().err
    assert call(place, "extract", *out) == 0
    assert call(place, "transform", *out) == 0
    rows = b"".join(path.read_bytes() for path in (place / "out").glob("gastown_*.jsonl"))
    assert b"printer" not in rows and b"parser" in rows


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["explain", "nothing"], "has no manifest.json"),
        (["explain"], "Give the id of a row, or --session"),
        (["forget", "two\nlines"], "is no session id"),
    ],
)
def test_bad_input_is_one_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert call(place, *arguments, "--out", str(place)) == 2
    said = capsys.readouterr().err.strip()
    assert sentence in said and "\n" not in said
