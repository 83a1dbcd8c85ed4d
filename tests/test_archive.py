"""The archive never loses a byte that it once had, and says what it did."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.extract import archive as module
from data.extract.archive import ArchiveError, archive, main, object_path, versions

DAY = 86_400
contents = st.binary(max_size=60)


def put(path: Path, content: bytes, mtime: float = 1_000_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))


def kept(store: Path) -> dict[str, list[bytes]]:
    return {
        name: [object_path(store, entry.hash).read_bytes() for entry in entries]
        for name, entries in versions(store).items()
    }


@given(st.lists(st.tuples(st.sampled_from(["a.jsonl", "b/c.jsonl"]), contents, st.booleans()), max_size=8))
@settings(deadline=None, max_examples=20)
def test_every_content_that_a_file_had_is_the_beginning_of_a_kept_version(
    changes: list[tuple[str, bytes, bool]],
) -> None:
    with TemporaryDirectory() as folder:
        sessions, store = Path(folder, "sessions"), Path(folder, "store")
        sessions.mkdir()
        seen: list[tuple[str, bytes]] = []
        for time, (name, content, grows) in enumerate(changes, 1):
            path = sessions / name
            put(path, (path.read_bytes() if grows and path.exists() else b"") + content, time)
            archive(sessions, store, now=0)
            seen.append((name, path.read_bytes()))
        now_kept = kept(store) if changes else {}
        for name, content in seen:
            assert any(version.startswith(content) for version in now_kept[name])
        for name, content in dict(seen).items():
            assert now_kept[name][-1] == content


@given(st.lists(contents, min_size=1, max_size=5))
@settings(deadline=None, max_examples=15)
def test_a_second_run_copies_nothing(files: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        sessions, store = Path(folder, "sessions"), Path(folder, "store")
        for index, content in enumerate(files):
            put(sessions / f"{index}.jsonl", content)
        assert archive(sessions, store, now=0).new == len(files)
        before = (store / "index.jsonl").read_bytes()
        report = archive(sessions, store, now=0)
        assert (report.unchanged, report.copied_bytes) == (len(files), 0)
        assert (store / "index.jsonl").read_bytes() == before


@pytest.fixture
def town(tmp_path: Path) -> tuple[Path, Path]:
    put(tmp_path / "sessions" / "-home-x" / "s1.jsonl", b'{"a":1}\n')
    return tmp_path / "sessions", tmp_path / "store"


def test_a_grown_file_replaces_its_beginning(town: tuple[Path, Path]) -> None:
    sessions, store = town
    archive(sessions, store)
    put(sessions / "-home-x" / "s1.jsonl", b'{"a":1}\n{"b":2}\n', 2_000_000)
    assert archive(sessions, store).grown == 1
    assert kept(store) == {"-home-x/s1.jsonl": [b'{"a":1}\n{"b":2}\n']}
    assert len(list(store.glob("objects/*/*"))) == 1


def test_a_rewritten_file_keeps_both_versions(town: tuple[Path, Path]) -> None:
    sessions, store = town
    archive(sessions, store)
    put(sessions / "-home-x" / "s1.jsonl", b'{"b":2}\n', 2_000_000)
    assert archive(sessions, store).rewritten == 1
    assert kept(store) == {"-home-x/s1.jsonl": [b'{"a":1}\n', b'{"b":2}\n']}


def test_a_deleted_file_stays(town: tuple[Path, Path]) -> None:
    sessions, store = town
    archive(sessions, store)
    (sessions / "-home-x" / "s1.jsonl").unlink()
    archive(sessions, store)
    assert kept(store) == {"-home-x/s1.jsonl": [b'{"a":1}\n']}


def test_a_beginning_that_another_file_still_needs_stays(town: tuple[Path, Path]) -> None:
    sessions, store = town
    put(sessions / "copy.jsonl", b'{"a":1}\n')
    archive(sessions, store)
    put(sessions / "copy.jsonl", b'{"a":1}\n{"b":2}\n', 2_000_000)
    archive(sessions, store)
    assert kept(store) == {"-home-x/s1.jsonl": [b'{"a":1}\n'], "copy.jsonl": [b'{"a":1}\n{"b":2}\n']}


def test_only_the_owner_can_read_it(town: tuple[Path, Path]) -> None:
    sessions, store = town
    archive(sessions, store)
    assert stat.S_IMODE(store.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in store.glob("objects/*/*"))
    assert stat.S_IMODE((store / "index.jsonl").stat().st_mode) == 0o600


def test_it_counts_what_expires_within_a_week(town: tuple[Path, Path]) -> None:
    sessions, store = town
    put(sessions / "old.jsonl", b"x", 100 * DAY)
    put(sessions / "young.jsonl", b"y", 101.5 * DAY)
    put(sessions / "-home-x" / "s1.jsonl", b"z", 124 * DAY)
    assert archive(sessions, store, expire_days=30, now=124 * DAY).expiring == 1
    assert archive(sessions, store, expire_days=29, now=124 * DAY).expiring == 2


def test_an_unreadable_file_is_named_and_the_others_go_on(
    town: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sessions, store = town
    put(sessions / "zz.jsonl", b"fine")
    real = Path.open

    def refuse(path: Path, mode: str = "r") -> object:
        if path.name == "s1.jsonl":
            raise PermissionError(13, "Permission denied")
        return real(path, mode)

    monkeypatch.setattr(Path, "open", refuse)
    assert main(["--sessions", str(sessions), "--archive", str(store)]) == 1
    printed = capsys.readouterr()
    assert "s1.jsonl: Permission denied" in printed.err
    assert "archived 1 files (1 new, 0 grown" in printed.out
    assert list(kept(store)) == ["zz.jsonl"]


def test_links_and_odd_names_do_no_harm(town: tuple[Path, Path]) -> None:
    sessions, store = town
    (sessions / "loop").symlink_to(sessions, target_is_directory=True)
    (sessions / "link.jsonl").symlink_to("/etc/hostname")
    Path(os.fsdecode(os.fsencode(sessions) + b"/\xff.jsonl")).write_bytes(b"odd")
    archive(sessions, store)
    assert sorted(versions(store)) == ["-home-x/s1.jsonl", "\\xff.jsonl"]


def test_a_lost_object_is_copied_again(town: tuple[Path, Path]) -> None:
    sessions, store = town
    archive(sessions, store)
    next(store.glob("objects/*/*")).unlink()
    archive(sessions, store)
    assert kept(store) == {"-home-x/s1.jsonl": [b'{"a":1}\n']}


def test_what_a_killed_run_left_goes(town: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, store = town

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write_index", killed)
    with pytest.raises(KeyboardInterrupt):
        archive(sessions, store)
    monkeypatch.undo()
    (store / "being-written-x").write_bytes(b"half")
    archive(sessions, store)
    assert kept(store) == {"-home-x/s1.jsonl": [b'{"a":1}\n']}
    assert sorted(path.name for path in store.iterdir()) == ["index.jsonl", "lock", "objects"]


@pytest.mark.parametrize("case", ["missing", "inside", "other files", "broken index", "a file"])
def test_a_wrong_folder_is_one_sentence(town: tuple[Path, Path], case: str) -> None:
    sessions, store = town
    put(store / "mine.txt", b"precious")
    put(store.parent / "broken" / "index.jsonl", b"{nonsense\n")
    put(store.parent / "broken" / "lock", b"")
    wrong = {
        "missing": (sessions / "nowhere", store.parent / "new"),
        "inside": (sessions, sessions / "archive"),
        "other files": (sessions, store),
        "broken index": (sessions, store.parent / "broken"),
        "a file": (sessions, store / "mine.txt"),
    }
    with pytest.raises(ArchiveError, match=r"^[^\n]+\. [A-Z][^\n]+\.$"):
        archive(*wrong[case])
    assert (store / "mine.txt").read_bytes() == b"precious"


def test_the_command_says_what_it_did(town: tuple[Path, Path]) -> None:
    sessions, store = town
    command = [sys.executable, "-m", "data.extract.archive", "--sessions", str(sessions), "--archive", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        "archived 1 files (1 new, 0 grown, 0 rewritten, 0 unchanged; 0.0 MB copied); 1 expire"
    )
