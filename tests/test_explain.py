"""explain: the way back from a row to the lines that it was made from."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import explain
from data.config import DataConfig, RoleConfig
from data.extract.archive import archive
from data.life import find_rows
from data.record import Drop, Note, Tally
from data.transform.redactor import text_redactor
from data.validate.rows import DatasetError
from tests.traced_dataset import PROJECT, trace, write_dataset
from tests.transcripts import Script

ONE = "5e551011-0000-4000-8000-000000000001"
OTHER = "5e552022-0000-4000-8000-000000000002"
TWIN = "77ab3033-0000-4000-8000-000000000003"
LONELY = "77ab4044-0000-4000-8000-000000000004"


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    lists = {"archive": str(tmp_path / "archive"), "forgotten": str(tmp_path / "forgotten.txt")}
    return DataConfig("base", (), {"unknown": RoleConfig("You help.")}, **lists)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Four sessions; one of them, whose second window was dropped, has a subagent."""
    notes = (Note("redact", "user", 20), Note("windows", "text cut in the middle", 2))
    traces = [
        trace(f"{ONE}:0.0#0", notes=notes),
        trace(f"{ONE}:0.0#2", trained=[("msg_3", 7, 30), ("msg_4", 9, 0)]),
        trace(f"{ONE}/a1:0.0#0", file=f"{PROJECT}/{ONE}/subagents/agent-a1.jsonl", agent="a1", parent_call="toolu_1"),
        trace(f"{OTHER}:1.2#0", "val", group=ONE, file=f"{PROJECT}/{ONE}.jsonl"),
        trace(f"{TWIN}:0.0#0", role="mayor"),
        trace(f"{LONELY}:0.0#0", role="mayor"),
    ]
    file = f"{PROJECT}/{ONE}.jsonl"
    drops = [
        Drop("sessions", "system record", file, file=file, line=3, records=4),
        Drop("windows", "reply longer than a window", f"{ONE}:0.0", file=file, line=5, tally=Tally(0, 1, 0, 9, 9)),
        Drop("roles", "far away", "msg_9", file=file, line=40, tally=Tally(0, 1)),
        Drop("roles", "not fit", "msg_8", file=file, line=6, tally=Tally(0, 2, 1)),
        Drop("dedup", "exact duplicate", f"{ONE}:0.0#1", f"same as {TWIN}:0.0#0", tally=Tally(1, 1, 0, 9, 9, 50)),
    ]
    return write_dataset(tmp_path / "datasets", traces, drops)


def said(
    capsys: pytest.CaptureFixture[str], dataset: Path, config: DataConfig, row: str = "", session: str = ""
) -> str:
    assert explain.run(dataset, row, session, dataset.parent / "projects", config) == 0
    return capsys.readouterr().out


@given(st.data())
def test_every_beginning_of_a_session_finds_its_row_where_no_other_fits(data: st.DataObject) -> None:
    from tempfile import TemporaryDirectory

    ids = data.draw(st.lists(st.uuids(version=4).map(str), min_size=1, max_size=6, unique=True))
    asked = data.draw(st.sampled_from(ids))
    length = data.draw(st.integers(1, 36))
    with TemporaryDirectory() as folder:
        dataset = write_dataset(Path(folder), [trace(f"{session}:0.0#{n}") for session in ids for n in range(2)])
        found = {row.id for row in find_rows(dataset, f"{asked[:length]}:0.0#1")}
        assert found == {f"{session}:0.0#1" for session in ids if session.startswith(asked[:length])}
        assert [row.id for row in find_rows(dataset, f"{asked}:0.0#1")] == [f"{asked}:0.0#1"]


def test_a_row_is_explained_from_its_transcript_to_its_lines(
    dataset: Path, config: DataConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = sha256((dataset / "manifest.json").read_bytes()).hexdigest()
    assert (
        said(capsys, dataset, config, f"{ONE}:0.0#2")
        == f"""\
{ONE}:0.0#2: role crew, split train, quality 0.75 (results 0.50, people 0.50, tests 1.00, landed 0.50, beads 0.50)
It has 130 tokens, 30 of them trained, and stands in crew_train.jsonl line 2 and gastown_train.jsonl line 2.

Where it came from
  session {ONE}, segment 0, epoch 0, source sessions
  started 2026-01-05T10:00:01Z
  lines 1 to 9 of {PROJECT}/{ONE}.jsonl
    which is neither among the transcripts nor in the archive
  known of the session: pull request

What it trains
  {PROJECT}/{ONE}.jsonl
    line 7: msg_3, 30 tokens
    line 9: msg_4, counted with the reply before it

What the stages did
  redact       user (20 in all windows)
  roles        left out of the conversation: 2 replies, 1 call (not fit)
  windows      text cut in the middle (2 in all windows); left out of the conversation: 1 reply (reply longer than a \
window)
  dedup        left out of the conversation: 1 reply, 50 tokens (exact duplicate)

Dataset {dataset}: manifest.json has sha256 {manifest}.
"""
    )


def test_what_has_no_lines_is_told_without_them(
    tmp_path: Path, config: DataConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as a change of a repository."""
    dataset = write_dataset(tmp_path / "datasets", [trace(f"{ONE}:0.0#0", file="petals", lines=(0, 0))])
    assert "\n  petals\n" in said(capsys, dataset, config, f"{ONE}:0.0#0")


def test_a_dropped_window_is_explained_by_its_drop(
    dataset: Path, config: DataConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, dataset, config, f"{ONE}:0.0#1").splitlines() == [
        f"{ONE}:0.0#1 is not in {dataset}: the stage dedup dropped it, exact duplicate (same as {TWIN}:0.0#0).",
        "  1 reply, 50 tokens",
    ]


@pytest.mark.parametrize("asked", [{"session": ONE}, {"session": "5e551011"}, {"row": "5e551011"}])
def test_a_session_is_explained_by_its_rows_and_what_was_set_aside(
    dataset: Path, config: DataConfig, capsys: pytest.CaptureFixture[str], asked: dict[str, str]
) -> None:
    assert said(capsys, dataset, config, **asked).splitlines() == [
        f"Session {ONE} has 3 rows in {dataset} (3 train).",
        f"  {ONE}:0.0#0  crew, train, 1 reply and 40 tokens trained",
        f"  {ONE}:0.0#2  crew, train, 2 replies and 30 tokens trained",
        f"  {ONE}/a1:0.0#0  crew, train, 1 reply and 40 tokens trained",
        f"  {OTHER}:1.2#0  crew, val, 1 reply and 40 tokens trained; of session {OTHER}, which shares records",
        "Set aside:",
        "  sessions     system record: 4 records",
        "  windows      reply longer than a window: 1 reply",
        "  roles        far away: 1 reply",
        "  roles        not fit: 2 replies, 1 call",
        "  dedup        exact duplicate: 1 reply, 50 tokens",
    ]


def test_a_forgotten_session_says_so(
    dataset: Path, config: DataConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "forgotten.txt").write_text(f"{TWIN}\n")
    assert said(capsys, dataset, config, session=TWIN).endswith("later builds leave it out.\n")


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ("5e551011:0.0#0", f"{ONE}:0.0#0: role"),
        ("5e551011:0.0#2", f"{ONE}:0.0#2"),
        (f"{ONE}/a1:0.0#0", f"{ONE}/a1:0.0#0"),
        ("77ab3033:0", f"{TWIN}:0.0#0"),
        ("5e552022:1.2#0", f"shares records with session {ONE}"),
        (f"{ONE}/a1", "subagent a1, started by the call toolu_1"),
        ("77ab30", f"{TWIN}:0.0#0"),
    ],
)
def test_an_id_may_be_shortened(
    dataset: Path, config: DataConfig, capsys: pytest.CaptureFixture[str], row: str, shown: str
) -> None:
    assert shown in said(capsys, dataset, config, row)


@pytest.mark.parametrize(
    ("row", "session", "sentence"),
    [
        ("", "", "Give the id of a row, or --session and the id of a session."),
        ("5e551012:0.0#2", "", "{dataset} has no row 5e551012:0.0#2. Did you mean {one}:0.0#2?"),
        (f"{ONE}:0.0#7", "", "{dataset} has no row {one}:0.0#7. Did you mean {one}:0.0#2?"),
        ("nothing like it", "", "{dataset} has no row nothing like it."),
        ("", "5e551012", "{dataset} knows no session 5e551012. Did you mean {one}?"),
        ("", "zzzz", "{dataset} knows no session zzzz."),
        ("", "77ab", f"77ab could be {TWIN} or {LONELY}. Give more of the id."),
        ("77ab", "", f"77ab could be {TWIN} or {LONELY}. Give more of the id."),
        ("77ab:0.0#0", "", f"77ab:0.0#0 could be {TWIN}:0.0#0 or {LONELY}:0.0#0. Give more of the id."),
    ],
)
def test_an_unknown_id_is_one_sentence_with_what_comes_close(
    dataset: Path, config: DataConfig, row: str, session: str, sentence: str
) -> None:
    with pytest.raises(DatasetError) as refused:
        explain.run(dataset, row, session, dataset / "nowhere", config)
    assert str(refused.value) == sentence.format(dataset=dataset, one=ONE)


@pytest.mark.parametrize(
    ("lost", "sentence"),
    [
        ("manifest.json", "has no manifest.json: the build did not finish"),
        ("ledger.json", "has no ledger.json"),
        ("origins.jsonl", "lacks origins.jsonl"),
    ],
)
def test_an_incomplete_dataset_is_one_sentence(dataset: Path, config: DataConfig, lost: str, sentence: str) -> None:
    (dataset / lost).unlink()
    with pytest.raises(DatasetError, match=sentence):
        explain.run(dataset, f"{ONE}:0.0#0", "", dataset / "nowhere", config)


def test_a_dataset_of_an_earlier_version_has_no_origins(dataset: Path, config: DataConfig) -> None:
    manifest = json.loads((dataset / "manifest.json").read_text())
    del manifest["files"]["origins.jsonl"]
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    (dataset / "origins.jsonl").unlink()
    with pytest.raises(DatasetError, match=r"which says where rows came from\. Build the dataset again\."):
        explain.run(dataset, f"{ONE}:0.0#0", "", dataset / "nowhere", config)


def test_a_damaged_line_is_named(dataset: Path, config: DataConfig) -> None:
    with (dataset / "origins.jsonl").open("a") as file:
        file.write(f'{{"id":"{ONE}:0.0#9"\n')
    with pytest.raises(DatasetError, match=r"origins\.jsonl:7: damaged"):
        explain.run(dataset, f"{ONE}:0.0#9", "", dataset / "nowhere", config)


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    """A transcript in the folder of a person."""
    s = Script(session=ONE)
    s.human("go")
    s.says("One.", "msg_1")
    return s.save(tmp_path / "home" / "gertrude" / "projects")


def test_the_real_file_is_shown_where_the_message_stands_in_it(
    tmp_path: Path, config: DataConfig, transcript: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = write_dataset(tmp_path / "datasets", [trace(f"{ONE}:0.0#0")])
    live = transcript.parent.parent
    explain.run(dataset, f"{ONE}:0.0#0", "", live, config)
    assert f"of {PROJECT}/{ONE}.jsonl\n    which is {transcript}\n" in capsys.readouterr().out
    archive(live, tmp_path / "archive")
    transcript.write_text("something else\n")
    explain.run(dataset, f"{ONE}:0.0#0", "", live, config)
    shown = tmp_path / "archive" / "view" / "-home-ann-work" / f"{ONE}.jsonl"
    assert f"of {PROJECT}/{ONE}.jsonl\n    which is {shown}\n" in capsys.readouterr().out


def test_without_a_message_id_the_real_file_is_the_one_whose_redacted_path_is_the_same(
    tmp_path: Path, config: DataConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    live = tmp_path / "home" / "gertrude" / "projects"
    path = live / "-home-gertrude-observer-sessions" / "watcher.jsonl"
    twin = live / "-another-observer-sessions" / "watcher.jsonl"
    for file in (path, twin):
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"cwd": "/home/gertrude/work"}) + "\n")
    redacted = text_redactor(config.redact, ["gertrude"])(str(path))
    assert "gertrude" not in redacted
    row = msgspec.structs.replace(trace("watcher:0.0#0", file=redacted, trained=[("observers:watcher:answer", 1, 9)]))
    dataset = write_dataset(tmp_path / "datasets", [row])
    explain.run(dataset, "watcher:0.0#0", "", live, config)
    assert f"of {redacted}\n    which is {path}\n" in capsys.readouterr().out
