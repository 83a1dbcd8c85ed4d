"""Preferences through a whole build: in their files, splits and books, and nowhere among the other rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.config import SplitConfig, load_config
from data.extract.results import REJECTED, SAID
from data.pipeline import main
from data.record import SPLITS
from data.transform.splitter import split_of
from data.validate import schema
from data.validate.secrets import check_folder
from tests.small_build import build, lines
from tests.transcripts import Script

SPLIT = {"val": 0.3, "test": 0.3}
SESSIONS = 12
NOT_READ = "<tool_use_error>File has not been read yet. Read it first before writing to it.</tool_use_error>"
CALL = {"file_path": "/home/ann/work/queue.py", "old_string": "a", "new_string": "b"}


def refused(script: Script, n: int) -> None:
    script.human(f"please rename part {n} of the queue")
    script.calls(f"c{n}", f"a{n}", "Edit", CALL)
    script.result(
        f"c{n}", f"{REJECTED} The tool use was rejected. {SAID}look at part {n} of the file first", error=True
    )
    script.calls(f"d{n}", f"b{n}", "Read", {"file_path": "/home/ann/work/queue.py"})
    script.result(f"d{n}", f"the queue of part {n}")
    script.says(f"Part {n} of the file holds the queue, which I now know.", f"e{n}")


def corrected(script: Script, n: int) -> None:
    script.human(f"please rename part {n} of the queue")
    script.says(f"I have renamed part {n} of the cache for you.", f"a{n}")
    script.human("no, not that. The queue.")
    script.says(f"Part {n} of the queue has its new name, the cache its old one.", f"b{n}")


def repaired(script: Script, n: int) -> None:
    script.human(f"please rename part {n} of the queue")
    script.calls(f"c{n}", f"a{n}", "Edit", CALL)
    script.result(f"c{n}", NOT_READ, error=True)
    script.calls(f"d{n}", f"b{n}", "Read", {"file_path": "/home/ann/work/queue.py"})
    script.result(f"d{n}", f"the queue of part {n}")
    script.calls(f"f{n}", f"e{n}", "Edit", CALL)
    script.result(f"f{n}", f"The file of part {n} has been updated.")
    script.says(f"Part {n} of the queue is renamed.", f"g{n}")
    script.human("thanks, commit this")
    script.says(f"Part {n} is committed as well.", f"h{n}")


ACTS: tuple[Callable[[Script, int], None], ...] = (refused, corrected, repaired)


def session(number: int) -> str:
    return f"5e550000-0000-4000-8000-00000000{number:04d}"


def write_town(folder: Path) -> None:
    for number in range(SESSIONS):
        script = Script(session(number), start=60 * number)
        ACTS[number % len(ACTS)](script, number)
        script.save(folder / "projects")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a build of sessions in which replies were refused, corrected, repaired and accepted."""
    folder = tmp_path_factory.mktemp("preferences")
    write_town(folder)
    assert build(folder, split=SPLIT, dedup={"near": False}) == 0
    return folder


def preferences(folder: Path, method: str) -> list[tuple[str, Any, dict[str, Any]]]:
    """(split, row, metadata) of all rows for a method."""
    return [
        (split, row, json.loads(row["metadata"]))
        for split in SPLITS
        for row in lines(folder, f"gastown.{method}.{split}.jsonl")
    ]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in (folder / "out").glob("*.jsonl") if path.name != "drops.jsonl")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_each_kind_is_there_as_often_as_it_happened(made: Path) -> None:
    kinds = [about["kind"] for _, _, about in preferences(made, "dpo")]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(
        ("rejected call", "corrected reply", "repaired attempt"), SESSIONS // 3
    )
    labels = [(row["label"], about["kind"]) for _, row, about in preferences(made, "kto")]
    assert labels.count((True, "accepted reply")) == SESSIONS // 3
    assert labels.count((False, "rejected call")) == SESSIONS // 3
    assert len(labels) == 4 * SESSIONS // 3


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_a_row_is_in_the_split_of_its_session(made: Path, method: str) -> None:
    seed = load_config(made / "data.yml").seed
    found = {about["session_id"]: split for split, _, about in preferences(made, method)}
    assert found == {name: split_of(name, seed, SplitConfig(**SPLIT)) for name in found}
    assert set(found.values()) == set(SPLITS)


def test_the_other_rows_are_those_of_a_build_without_preferences(made: Path, tmp_path: Path) -> None:
    write_town(tmp_path)
    assert build(tmp_path, split=SPLIT, dedup={"near": False}, preferences={"dpo": False, "kto": False}) == 0
    plain = {name: digest for name, digest in digests(made).items() if ".dpo." not in name and ".kto." not in name}
    plain.pop("choices.jsonl")
    # The transcripts lie elsewhere, which origins tell.
    assert digests(tmp_path) | {"origins.jsonl": ""} == plain | {"origins.jsonl": ""}
    assert json.loads((tmp_path / "out/ledger.json").read_text())["preferences"] == {}


@pytest.mark.slow
def test_one_switch_makes_the_rows_of_one_method(tmp_path: Path) -> None:
    write_town(tmp_path)
    assert build(tmp_path, preferences={"kto": False}) == 0
    assert preferences(tmp_path, "dpo") and not preferences(tmp_path, "kto")
    assert build(tmp_path, preferences={"dpo": False, "kto": False}) == 0
    assert not [
        path.name for path in (tmp_path / "out").iterdir() if ".dpo." in path.name or path.name == "choices.jsonl"
    ]


def test_the_books_balance_and_the_manifest_names_every_file(made: Path) -> None:
    books = json.loads((made / "out/ledger.json").read_text())["preferences"]
    assert all(one["found"] == one["rows"] + sum(one["left"].values()) for one in books.values())
    manifest = json.loads((made / "out/manifest.json").read_text())["files"]
    for method in ("dpo", "kto"):
        rows = sum(one["rows"] for name, one in books.items() if name.startswith(method))
        named = {name: fact["rows"] for name, fact in manifest.items() if name.startswith(f"gastown.{method}.")}
        assert sum(named.values()) == rows == len(preferences(made, method))
    assert {path.name for path in (made / "out").glob("*.jsonl")} == set(manifest)


def test_the_files_of_the_roles_hold_the_same_rows(made: Path) -> None:
    for split in SPLITS:
        for method in ("dpo", "kto"):
            together = lines(made, f"gastown.{method}.{split}.jsonl")
            assert together == lines(made, f"unknown.{method}.{split}.jsonl")


def test_no_glob_for_rows_finds_a_preference(made: Path) -> None:
    names = [path.name for path in (made / "out").iterdir() if ".dpo." in path.name or ".kto." in path.name]
    assert names and not [name for name in names if "_" in name]


def test_rows_of_preferences_pass_the_contract_and_the_second_scan(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert schema.main([str(made / "out")]) == 0
    rows = sum(2 * len(preferences(made, method)) for method in ("dpo", "kto"))
    others = sum(2 * len(lines(made, f"gastown_{split}.jsonl")) for split in SPLITS)
    assert f"checked {rows + others:,} rows: no problem" in capsys.readouterr().out
    assert list(check_folder(made / "out")) == []


def test_a_broken_pair_and_one_in_the_wrong_split_are_named_with_their_line(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [_, row, about] = next(one for one in preferences(made, "dpo") if one[0] == "train")
    for name, rows in (
        ("crew.dpo.train.jsonl", [{**row, "chosen": row["rejected"]}, row]),
        ("crew.dpo.val.jsonl", [row]),
    ):
        (tmp_path / name).write_text("".join(json.dumps(one) + "\n" for one in rows))
    assert schema.main([str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path}/crew.dpo.train.jsonl:1: chosen and rejected say the same" in said
    assert f"{tmp_path}/crew.dpo.val.jsonl:1: session {about['session_id']} is in train too" in said


def test_the_user_name_in_a_path_is_in_no_row(made: Path) -> None:
    rows = [json.dumps(row) for method in ("dpo", "kto") for _, row, _ in preferences(made, method)]
    assert not [row for row in rows if "/home/ann" in row]
    assert any("queue.py" in row for row in rows)


def test_the_summary_and_the_statistics_count_them(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["all", "--sessions", str(made / "projects"), "--out", str(made / "out"),
                 "--config", str(made / "data.yml"), "--workers", "1"]) == 0  # fmt: skip
    said = capsys.readouterr().out
    assert (
        "Preferences: 12 for dpo of 12 candidates (4 corrected reply, 4 rejected call, 4 repaired attempt); 16 " in said
    )
    assert main(["stats", "--out", str(made / "out")]) == 0
    assert "dpo: rejected call" in capsys.readouterr().out


def test_a_preference_is_explained_by_its_replies(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [split, _, about] = preferences(made, "dpo")[0]
    assert main(["explain", about["id"], "--out", str(made / "out"), "--sessions", str(made / "projects")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{about['id']}: a preference for dpo, {about['kind']}, role unknown, split {split}"
    assert said[1] == f"It stands in unknown.dpo.{split}.jsonl line 1 and gastown.dpo.{split}.jsonl line 1."
    assert about["judged_id"] in said[2] and about["chosen_id"] in said[3]


def test_a_session_names_its_preferences(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--out", str(made / "out"), "--sessions", str(made / "projects")]
    assert main(["explain", "--session", session(0), *arguments]) == 0
    assert f"  {session(0)}:0.0~1  unknown, " in (said := capsys.readouterr().out)
    assert "a preference for dpo: rejected call" in said and "a preference for kto: rejected call" in said


@pytest.mark.slow
def test_a_forgotten_session_is_named_where_preferences_hold_it_and_leaves_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_town(tmp_path)
    listed = {"forgotten": str(tmp_path / "forgotten.txt")}
    assert build(tmp_path, **listed) == 0
    capsys.readouterr()
    assert main(["forget", session(0), "--out", str(tmp_path / "out"), "--sessions", str(tmp_path / "projects"),
                 "--config", str(tmp_path / "data.yml")]) == 0  # fmt: skip
    said = capsys.readouterr().out
    assert "2 rows of preferences made of it" in said
    assert ".dpo." in said and "sha256" in said
    assert build(tmp_path, **listed) == 0
    assert session(0) not in {about["session_id"] for _, _, about in preferences(tmp_path, "dpo")}


@pytest.mark.slow
def test_native_rows_make_no_preferences_and_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_town(tmp_path)
    assert build(tmp_path, tool_format="native") == 0
    assert not preferences(tmp_path, "dpo")
    assert (
        "No preferences were made: native calls are no text, which is all that DPO and KTO read."
        in capsys.readouterr().out
    )


@pytest.mark.slow
def test_real_rejections_become_pairs(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "projects").symlink_to(corpus)
    assert build(tmp_path) == 0
    rows = preferences(tmp_path, "dpo")
    kinds = [about["kind"] for _, _, about in rows]
    assert kinds.count("rejected call") >= 3 and kinds.count("repaired attempt") >= 5
    assert all(about["tokens"] <= 2048 and about["chosen_saw"] in ("words", "error") for _, _, about in rows)
    accepted = [row["label"] for _, row, about in preferences(tmp_path, "kto") if about["kind"] == "accepted reply"]
    assert len(accepted) >= 10 and all(accepted)
    assert schema.main([str(tmp_path / "out")]) == 0
