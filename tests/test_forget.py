"""forget: a session that no later build may use, and all that holds it now."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import forget
from data.config import ConfigError, DataConfig, RoleConfig
from data.extract.archive import archive
from data.forgotten import add_forgotten, load_forgotten
from data.validate.rows import open_build
from tests.traced_dataset import PROJECT, trace, write_dataset
from tests.transcripts import Script

ONE = "5e551011-0000-4000-8000-000000000001"
OTHER = "0d1f7c3e-2b6a-4e55-9c1d-7a8b9c0d1e2f"
NOBODY = "99999999-0000-4000-8000-000000000009"

ids = st.one_of(
    st.uuids(version=4).map(str),
    st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1).filter(
        lambda id: id == id.strip() and not id.startswith("#") and id.isprintable() and len(id.splitlines()) == 1
    ),
)


@given(st.lists(ids, max_size=8))
def test_whatever_is_forgotten_stays_so_and_nothing_else_is(sessions: list[str]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "deep", "forgotten.txt")
        for number, session in enumerate(sessions):
            assert add_forgotten(path, session) == (session not in sessions[:number])
        assert load_forgotten(path) == frozenset(sessions)


@given(st.lists(ids, min_size=1, max_size=5, unique=True), st.data())
def test_forgetting_again_changes_no_byte(sessions: list[str], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "forgotten.txt")
        for session in sessions:
            add_forgotten(path, session)
        before = path.read_bytes()
        assert not add_forgotten(path, data.draw(st.sampled_from(sessions)))
        assert path.read_bytes() == before


def test_a_list_written_by_hand_is_read_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "forgotten.txt"
    path.write_text(f"\ufeff# asked for by mail\n\n  {ONE}  \r\n{OTHER}", "utf-8")
    assert load_forgotten(path) == {ONE, OTHER}
    add_forgotten(path, NOBODY)
    assert path.read_text() == f"# asked for by mail\n\n  {ONE}  \n{OTHER}\n{NOBODY}\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"\xff\xfe\x00", "it is not UTF-8 text"), (None, "Is a directory")],
    ids=["binary", "folder"],
)
def test_a_list_that_cannot_be_read_stops_with_a_sentence(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "forgotten.txt"
    path.write_bytes(content) if content else path.mkdir()
    with pytest.raises(ConfigError, match=rf"^[^\n]+forgotten\.txt: the list [^\n]+ \({reason}\)\. Correct it\.$"):
        load_forgotten(path)


@pytest.mark.parametrize("session", ["", "  ", "# comment", "two\nlines", "nul\0", " padded"])
def test_what_is_no_id_is_refused_and_nothing_is_written(tmp_path: Path, session: str) -> None:
    with pytest.raises(ConfigError, match="is no session id"):
        add_forgotten(tmp_path / "forgotten.txt", session)
    assert not (tmp_path / "forgotten.txt").exists()


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    lists = {"archive": str(tmp_path / "output/archive"), "forgotten": str(tmp_path / "output/forgotten.txt")}
    return DataConfig("base", (), {"unknown": RoleConfig("You help.")}, **lists)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Two datasets with a session, one without, an adapter trained on one of them, and one on rows that are gone."""
    output = tmp_path / "output"
    with_it = [trace(f"{ONE}:0.0#0"), trace(f"{ONE}:0.0#1", "val", role="mayor"), trace(f"{OTHER}:0.0#0")]
    forked = [trace(f"{OTHER}:0.1#0", file=f"{PROJECT}/{ONE}.jsonl")]
    write_dataset(output / "datasets", with_it)
    write_dataset(output / "more" / "datasets", forked)
    write_dataset(output / "clean" / "datasets", [trace(f"{OTHER}:0.0#0")])
    write_run(output / "adapters" / "crew" / "run.json", output / "datasets", "crew_train.jsonl")
    write_run(output / "checkpoints" / "old" / "start.json", output / "datasets", "crew_train.jsonl", "0" * 64)
    write_run(output / "adapters" / "fine" / "run.json", output / "clean" / "datasets", "crew_train.jsonl")
    return output


def write_run(path: Path, dataset: Path, name: str, digest: str = "") -> None:
    path.parent.mkdir(parents=True)
    block = {"path": str(dataset / name), "sha256": digest or hash_of(dataset, name)}
    path.write_text(json.dumps({"base_model": "base", "data": [block]}))


def hash_of(dataset: Path, name: str) -> str:
    return open_build(dataset).files[name].sha256


def said(capsys: pytest.CaptureFixture[str], session: str, output: Path, config: DataConfig) -> list[str]:
    assert forget.run(session, output, output.parent / "projects", config) == 0
    return capsys.readouterr().out.splitlines()


def test_every_dataset_and_adapter_with_the_session_is_named(
    output: Path, config: DataConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    one, more = output / "datasets", output / "more" / "datasets"
    assert said(capsys, ONE, output, config) == [
        f"{ONE} will be in no later build: it is now in {config.forgotten}.",
        f"{one} holds 2 rows of it (1 train, 1 val):",
        f"  crew_train.jsonl  sha256 {hash_of(one, 'crew_train.jsonl')}",
        f"  gastown_train.jsonl  sha256 {hash_of(one, 'gastown_train.jsonl')}",
        f"  gastown_val.jsonl  sha256 {hash_of(one, 'gastown_val.jsonl')}",
        f"  mayor_val.jsonl  sha256 {hash_of(one, 'mayor_val.jsonl')}",
        f"  `python -m data.pipeline all --out {one}` builds it again without the session.",
        f"{more} holds 1 row made of its transcript in other sessions:",
        f"  crew_train.jsonl  sha256 {hash_of(more, 'crew_train.jsonl')}",
        f"  gastown_train.jsonl  sha256 {hash_of(more, 'gastown_train.jsonl')}",
        f"  `python -m data.pipeline all --out {more}` builds it again without the session.",
        f"{output / 'adapters' / 'crew'} was trained on {one / 'crew_train.jsonl'}, so its weights hold the session."
        " Train it again on a new build, and delete it wherever it was sent.",
        f"{output / 'checkpoints' / 'old'} was trained on rows that are no longer here, so nobody can tell whether it"
        " holds it.",
    ]
    assert load_forgotten(Path(config.forgotten)) == {ONE}


def test_forgetting_twice_says_the_same_but_for_the_list(
    output: Path, config: DataConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    first = said(capsys, ONE, output, config)
    again = said(capsys, ONE, output, config)
    assert again[0] == f"{ONE} will be in no later build: it was already in {config.forgotten}."
    assert again[1:] == first[1:]
    assert Path(config.forgotten).read_text() == f"{ONE}\n"


def test_raw_transcripts_that_hold_it_are_named_wherever_they_are(
    output: Path, config: DataConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    live = output.parent / "projects"
    s = Script(session=NOBODY)
    s.human("go")
    own = s.save(live)
    copy = s.save(live, "resumed-elsewhere")
    stored = own.parent / NOBODY / "tool-results" / "t1.txt"
    stored.parent.mkdir(parents=True)
    stored.write_text("long")
    Script().save(live, "other")
    archive(live, Path(config.archive))
    own.unlink()
    view = Path(config.archive) / "view" / own.parent.name
    assert said(capsys, NOBODY, output, config)[2:] == [
        "Held by 5 raw files, which nobody deletes but you. Builds pass over its records there:",
        f"  {stored}",
        f"  {copy}",
        f"  {view / NOBODY / 'tool-results' / 't1.txt'}",
        f"  {view / own.name}",
        f"  {view / copy.name}",
    ]


@pytest.mark.parametrize(
    ("session", "end"), [(NOBODY, "."), (f"{ONE[:-1]}2", f". Did you mean {ONE}?")], ids=["unknown", "misspelt"]
)
def test_an_id_that_nothing_holds_is_on_the_list_all_the_same(
    output: Path, config: DataConfig, capsys: pytest.CaptureFixture[str], session: str, end: str
) -> None:
    assert said(capsys, session, output, config)[-1] == f"Nothing below {output} and no transcript holds it{end}"
    assert load_forgotten(Path(config.forgotten)) == {session}


@pytest.mark.parametrize("asked", ["5e551011", ONE[:-1]])
def test_the_beginning_of_an_id_is_refused_because_it_would_exclude_nothing(
    output: Path, config: DataConfig, asked: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^{asked} is only the beginning of {ONE}\. Give the whole id\.$"):
        forget.run(asked, output, output / "nowhere", config)
    assert not Path(config.forgotten).exists()


def test_a_dataset_of_which_it_cannot_be_told_is_named_and_the_others_go_on(
    output: Path, config: DataConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    (output / "a" / "broken").mkdir(parents=True)
    (output / "a" / "broken" / "manifest.json").write_text("{nonsense")
    (output / "checkpoints" / "old" / "start.json").write_text("nonsense")
    lines = said(capsys, ONE, output, config)
    assert lines[1].startswith(f"Whether {output / 'a' / 'broken'} holds it cannot be told: ")
    assert any(line.startswith(f"{output / 'datasets'} holds 2 rows of it") for line in lines)
    assert not any("checkpoints" in line for line in lines)


def test_other_files_with_its_id_are_named(
    output: Path, config: DataConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    before = said(capsys, ONE, output, config)
    extract, report = output / "more" / "datasets" / "conversations.jsonl", output / "report.html"
    extract.write_text(f'{{"origin":{{"session":"{ONE}"}}}}\n')
    report.write_text(f"<p>{ONE}:0.0#0</p>")
    (output / "fine.html").write_text("<p>nothing</p>")
    (output / "prepared").mkdir()
    after = said(capsys, ONE, output, config)
    assert [line for line in after[1:] if line not in before] == [
        f"{output / 'prepared'} may hold Axolotl's copies of these rows. Delete it: the next training makes it again.",
        f"{report} names it as well. Make it again after the next build, or delete it.",
        f"{extract} names it as well. Make it again after the next build, or delete it.",
    ]


def test_the_list_itself_is_no_copy_whatever_the_folder_is_called(
    output: Path, config: DataConfig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(output.parent)
    said(capsys, NOBODY, output, config)
    assert said(capsys, NOBODY, Path("output"), config)[-1] == "Nothing below output and no transcript holds it."


def test_without_any_output_there_is_only_the_list(
    tmp_path: Path, config: DataConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, NOBODY, tmp_path / "nothing", config) == [
        f"{NOBODY} will be in no later build: it is now in {config.forgotten}.",
        f"Nothing below {tmp_path / 'nothing'} and no transcript holds it.",
    ]
