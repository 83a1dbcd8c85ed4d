"""The archive never loses a byte that it once had, and says what it did."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.extract import archive as module
from data.extract.archive import archive, run
from data.extract.archive_index import ArchiveError, object_path, versions

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


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([b"one", b"two", b"one"], [b"two", b"one"]),
        ([b"one and more", b"one", b"one and more"], [b"one and more"]),
    ],
)
def test_a_content_that_comes_back_is_one_version(
    town: tuple[Path, Path], history: list[bytes], expected: list[bytes]
) -> None:
    sessions, store = town
    for changed, content in enumerate(history):
        put(sessions / "-home-x" / "s1.jsonl", content, changed)
        archive(sessions, store)
    assert kept(store)["-home-x/s1.jsonl"] == expected


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
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o400 for path in store.glob("objects/*/*"))
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
    assert run(sessions, store) == 1
    printed = capsys.readouterr()
    assert printed.err.endswith("s1.jsonl: Permission denied. It is not archived; correct that and run again.\n")
    assert printed.out.startswith(f"Archived 1 file in {store} (1 new, 0 grown")
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

    monkeypatch.setattr(module, "_write_folders", killed)
    with pytest.raises(KeyboardInterrupt):
        archive(sessions, store)
    monkeypatch.undo()
    (store / "being-written-x").write_bytes(b"half")
    archive(sessions, store)
    assert kept(store) == {"-home-x/s1.jsonl": [b'{"a":1}\n']}
    assert sorted(path.name for path in store.iterdir()) == ["folders.json", "index.jsonl", "lock", "objects", "view"]


def test_a_full_disk_loses_nothing_and_the_next_run_goes_on(
    town: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions, store = town
    archive(sessions, store)
    put(sessions / "-home-x" / "s1.jsonl", b'{"b":2}\n', 2_000_000)
    put(sessions / "-home-x" / "s2.jsonl", b'{"c":3}\n')
    put(sessions / "-home-x" / "s3.jsonl", b'{"d":4}\n')
    commit = module._commit

    def full(target: object, place: Path) -> None:
        if place.parent.parent.name == "objects" and len(list(store.glob("objects/*/*"))) == 3:
            raise OSError(28, "No space left on device")
        commit(target, place)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_commit", full)
    with pytest.raises(ArchiveError, match=r"cannot be written \(No space left on device\)\. Free some space"):
        archive(sessions, store)
    so_far = {"-home-x/s1.jsonl": [b'{"a":1}\n', b'{"b":2}\n'], "-home-x/s2.jsonl": [b'{"c":3}\n']}
    assert kept(store) == so_far
    assert not list(store.glob("being-written-*"))
    monkeypatch.undo()
    report = archive(sessions, store)
    assert (report.new, report.unchanged) == (1, 2)
    assert kept(store) == so_far | {"-home-x/s3.jsonl": [b'{"d":4}\n']}


def test_a_session_that_is_being_written_is_kept_as_far_as_it_is_and_its_rest_later(
    town: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions, store = town
    path = sessions / "-home-x" / "s1.jsonl"
    real = module._read

    def written_meanwhile(source: object) -> bytes:
        chunk = real(source)  # type: ignore[arg-type]
        if path.stat().st_size == 8:
            with path.open("ab") as live:
                live.write(b'{"b":')
        return chunk

    monkeypatch.setattr(module, "_read", written_meanwhile)
    archive(sessions, store)
    monkeypatch.undo()
    with path.open("ab") as live:
        live.write(b"2}\n")
    assert archive(sessions, store).grown == 1
    assert kept(store) == {"-home-x/s1.jsonl": [b'{"a":1}\n{"b":2}\n']}


def test_a_file_that_vanishes_while_it_is_listed_is_no_problem(
    town: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions, store = town
    gone = sessions / "-home-x" / "s0.jsonl"
    put(sessions / "zz.jsonl", b"fine")
    monkeypatch.setattr(module, "_files", lambda *_: iter([(gone, 8), (sessions / "zz.jsonl", 4)]))
    report = archive(sessions, store)
    assert (report.new, report.unreadable) == (1, ())


def test_without_its_index_an_archive_is_left_alone(town: tuple[Path, Path]) -> None:
    sessions, store = town
    archive(sessions, store)
    (sessions / "-home-x" / "s1.jsonl").unlink()
    (store / "index.jsonl").unlink()
    with pytest.raises(ArchiveError, match=r"index\.jsonl is missing\. Restore it"):
        archive(sessions, store)
    assert [path.read_bytes() for path in store.glob("objects/*/*")] == [b'{"a":1}\n']


def shown(store: Path) -> dict[str, bytes]:
    view = store / "view"
    return {path.relative_to(view).as_posix(): path.read_bytes() for path in view.rglob("*") if path.is_file()}


def test_the_view_shows_every_version_under_its_name(town: tuple[Path, Path]) -> None:
    sessions, store = town
    put(sessions / "-home-x" / "s1" / "tool-results" / "t1.txt", b"long")
    archive(sessions, store)
    put(sessions / "-home-x" / "s1.jsonl", b'{"b":2}\n', 2_000_000)
    archive(sessions, store)
    put(sessions / "-home-x" / "s1.jsonl", b'{"b":2}\n{"c":3}\n', 3_000_000)
    archive(sessions, store)
    [old] = [name for name in shown(store) if "version" in name]
    assert old.startswith("-home-x/s1.version-") and old.endswith(".jsonl")
    assert shown(store) == {
        old: b'{"a":1}\n',
        "-home-x/s1.jsonl": b'{"b":2}\n{"c":3}\n',
        "-home-x/s1/tool-results/t1.txt": b"long",
    }


def test_a_view_without_hard_links_holds_copies(town: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, store = town

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    for content in (b"one", b"two", b"two and more"):
        put(sessions / "-home-x" / "s1.jsonl", content, len(content) + content[0])
        archive(sessions, store)
    assert sorted(shown(store).values()) == [b"one", b"two and more"]
    assert stat.S_IMODE((store / "view" / "-home-x" / "s1.jsonl").stat().st_mode) == 0o400


def test_a_file_that_became_a_folder_keeps_both(town: tuple[Path, Path]) -> None:
    sessions, store = town
    put(sessions / "odd", b"a file")
    archive(sessions, store)
    (sessions / "odd").unlink()
    put(sessions / "odd" / "s2.jsonl", b"in a folder")
    archive(sessions, store)
    assert sorted(shown(store).values()) == [b"a file", b"in a folder", b'{"a":1}\n']


def test_what_was_removed_from_the_view_comes_back(town: tuple[Path, Path]) -> None:
    sessions, store = town
    archive(sessions, store)
    (store / "view" / "-home-x" / "s1.jsonl").unlink()
    archive(sessions, store)
    assert shown(store) == {"-home-x/s1.jsonl": b'{"a":1}\n'}


@pytest.mark.parametrize(
    "entry",
    [
        '{"path":"../outside.jsonl","size":1,"mtime":1,"hash":"%s"}' % ("0" * 64),
        '{"path":"/etc/passwd","size":1,"mtime":1,"hash":"%s"}' % ("0" * 64),
        '{"path":"a.jsonl","size":1,"mtime":1,"hash":"../../passwd"}',
        '{"path":"","size":1,"mtime":1,"hash":"%s"}' % ("0" * 64),
        "[]",
    ],
)
def test_an_index_cannot_point_out_of_the_archive(town: tuple[Path, Path], entry: str) -> None:
    _, store = town
    put(store / "index.jsonl", entry.encode())
    with pytest.raises(ArchiveError, match="line 1 is no entry"):
        versions(store)


@pytest.mark.parametrize("case", ["missing", "inside", "around", "other files", "broken index", "a file"])
def test_a_wrong_folder_is_one_sentence(town: tuple[Path, Path], case: str) -> None:
    sessions, store = town
    put(store / "mine.txt", b"precious")
    put(store.parent / "broken" / "index.jsonl", b"{nonsense\n")
    put(store.parent / "broken" / "lock", b"")
    wrong = {
        "missing": (sessions / "nowhere", store.parent / "new"),
        "inside": (sessions, sessions / "archive"),
        "around": (sessions, sessions.parent),
        "other files": (sessions, store),
        "broken index": (sessions, store.parent / "broken"),
        "a file": (sessions, store / "mine.txt"),
    }
    with pytest.raises(ArchiveError, match=r"^[^\n]+\. [A-Z][^\n]+\.$"):
        archive(*wrong[case])
    assert (store / "mine.txt").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (25, "The agent deletes 1 of them within 7 days; here they stay."),
        (2, "None of them expires within 7 days."),
    ],
)
def test_the_command_says_what_it_did(
    town: tuple[Path, Path], capsys: pytest.CaptureFixture[str], age: int, expected: str
) -> None:
    sessions, store = town
    put(sessions / "-home-x" / "s1.jsonl", b'{"a":1}\n', time.time() - age * DAY)
    assert run(sessions, store) == 0
    said = f"Archived 1 file in {store} (1 new, 0 grown, 0 rewritten, 0 unchanged; 0.0 MB copied). {expected}\n"
    assert capsys.readouterr().out == said
