"""A second build repeats only what has changed, and its bytes are those of a build from nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
import yaml

from data.cache import Cache
from data.extract.glance import Memory, hash_all, look, sharing
from data.extract.unit import Unit
from data.pipeline import main
from data.stages import Worker
from tests.transcripts import Script

SESSIONS = 6


def session(number: int, folder: Path, more: int = 0) -> Path:
    script = Script(f"5e550000-0000-4000-8000-00000000{number:04d}", cwd="/home/gertrude/work")
    for turn in range(3 + more):
        script.human(f"please look at part {number}.{turn} of the parser in /home/gertrude/work")
        script.says(
            f"Part {number}.{turn} reads one row after the other and stops at the {turn}th.", f"m{number}.{turn}"
        )
    return script.save(folder)


@pytest.fixture
def town(tmp_path: Path) -> Path:
    for number in range(SESSIONS):
        session(number, tmp_path / "projects")
    settle(tmp_path / "projects")
    return tmp_path / "projects"


def settle(folder: Path) -> None:
    """Make the files look as old as transcripts usually are."""
    for path in folder.rglob("*.jsonl"):
        stamp = path.stat().st_mtime - 60
        os.utime(path, (stamp, stamp))


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the units that a worker really worked on."""
    names: list[str] = []
    real = Worker.work

    def counted(self: Worker, unit: Unit) -> bytes:
        names.append(unit.name)
        return real(self, unit)

    monkeypatch.setattr(Worker, "work", counted)
    return names


def build(town: Path, out: Path, *more: str) -> dict[str, str]:
    assert main(["all", "--sessions", str(town), "--out", str(out), "--workers", "1", *more]) == 0
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir() if path.is_file()}


def test_nothing_is_worked_on_twice_while_nothing_changes(town: Path, tmp_path: Path, worked: list[str]) -> None:
    first = build(town, tmp_path / "out")
    assert len(worked) == SESSIONS
    assert build(town, tmp_path / "out") == first
    assert len(worked) == SESSIONS


def test_only_the_session_that_went_on_is_worked_on_again(town: Path, tmp_path: Path, worked: list[str]) -> None:
    build(town, tmp_path / "out")
    changed = session(3, town, more=1)
    worked.clear()
    again = build(town, tmp_path / "out")
    assert worked == [changed.stem]
    assert again == build(town, tmp_path / "fresh")


@pytest.mark.slow
def test_a_session_that_is_gone_is_gone_from_the_rows(town: Path, tmp_path: Path, worked: list[str]) -> None:
    build(town, tmp_path / "out")
    next(town.rglob("*0003.jsonl")).unlink()
    worked.clear()
    again = build(town, tmp_path / "out")
    assert worked == []
    assert again == build(town, tmp_path / "fresh")


def test_another_configuration_works_on_everything_again(
    root: Path, town: Path, tmp_path: Path, worked: list[str]
) -> None:
    build(town, tmp_path / "out")
    settings = yaml.safe_load((root / "configs" / "data.yml").read_text())
    settings["windows"]["pairs"] = 1
    (tmp_path / "data.yml").write_text(yaml.safe_dump(settings))
    worked.clear()
    again = build(town, tmp_path / "out", "--config", str(tmp_path / "data.yml"))
    assert len(worked) == SESSIONS
    assert again == build(town, tmp_path / "fresh", "--config", str(tmp_path / "data.yml"))


def test_a_new_colleague_works_on_everything_again(town: Path, tmp_path: Path, worked: list[str]) -> None:
    """Somebody's name is replaced in everybody's sessions, so one more name may change any of them."""
    build(town, tmp_path / "out")
    script = Script("5e550000-0000-4000-8000-000000009999", cwd="/home/hildegard/work")
    script.human("hello")
    script.says("Hello to you, too, and to everybody else who is here.", "m9")
    script.save(town)
    worked.clear()
    build(town, tmp_path / "out")
    assert len(worked) == SESSIONS + 1


def test_a_changed_output_beside_the_transcript_counts(town: Path, tmp_path: Path, worked: list[str]) -> None:
    build(town, tmp_path / "out")
    stored = next(town.rglob("*0002.jsonl")).with_suffix("") / "tool-results" / "t1.txt"
    stored.parent.mkdir(parents=True)
    stored.write_text("more")
    worked.clear()
    build(town, tmp_path / "out")
    assert worked


@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, b"not a result"])
def test_a_damaged_result_is_made_again(town: Path, tmp_path: Path, worked: list[str], damage: bytes) -> None:
    first = build(town, tmp_path / "out")
    kept = sorted((tmp_path / "out" / ".cache").glob("??/*"))
    kept[0].write_bytes(damage)
    (tmp_path / "out" / ".cache" / "glances").write_bytes(damage)
    worked.clear()
    assert build(town, tmp_path / "out") == first
    assert len(worked) == 1


def test_results_that_no_build_uses_are_removed(town: Path, tmp_path: Path) -> None:
    build(town, tmp_path / "out")
    session(3, town, more=1)
    build(town, tmp_path / "out")
    assert len(list((tmp_path / "out" / ".cache").glob("??/*"))) == SESSIONS


def test_nothing_that_is_kept_names_anybody(town: Path, tmp_path: Path) -> None:
    build(town, tmp_path / "out")
    kept = [path for path in (tmp_path / "out" / ".cache").rglob("*") if path.is_file()]
    assert len(kept) == SESSIONS + 1
    assert not any(b"gertrude" in path.read_bytes() for path in kept)


def test_no_cache_leaves_none(town: Path, tmp_path: Path) -> None:
    build(town, tmp_path / "out", "--no-cache")
    assert not (tmp_path / "out" / ".cache").exists()


def test_a_file_that_may_still_change_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "young.jsonl"
    path.write_text('{"uuid":"a"}\n')
    memory = Memory(tmp_path / "glances")
    memory.keep(path, look(path))
    memory.save()
    assert Memory(tmp_path / "glances").recall(path) is None


def test_an_unreadable_file_has_no_key_and_so_no_kept_result(tmp_path: Path) -> None:
    cache = Cache(tmp_path, b"setting")
    assert cache.key(Unit("sessions", "gone", (str(tmp_path / "gone"),)), [look(tmp_path / "gone")]) == ""
    assert cache.get("") is None


@pytest.mark.parametrize("other", [b'"uuid":"b"', b'"sessionId":"' + b"x" * 64 + b'"'])
def test_an_id_has_the_same_hash_whatever_else_stands_in_its_file(other: bytes) -> None:
    assert set(hash_all([b'"uuid":"a"'])) < set(hash_all([b'"uuid":"a"', other]))


def test_an_id_counts_with_or_without_a_space_and_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(hash_all([b'"uuid":"a"'])) == list(hash_all([b'"uuid": "a"']))
    monkeypatch.setattr("data.extract.glance._BLOCK", 40)
    path = tmp_path / "long.jsonl"
    path.write_text('{"text": "' + "x" * 33 + '","uuid":"5e550000-0000-4000-8000-000000000001"}\n')
    other = tmp_path / "other.jsonl"
    shutil.copy(path, other)
    assert sharing([look(path).identities, look(other).identities]) == [(0, 1)]
    assert len(look(path).identities) == 8
