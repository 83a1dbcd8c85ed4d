"""The benchmark: copies of transcripts are new sessions of the same words, and its table holds what was measured."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.bench import change_one, parse_all, replicate, with_fresh_ids
from tests.conftest import ROOT
from tests.sample_oddities import default_town
from tests.transcripts import Script

SIZE = 200_000
UUIDS = ("5e551011-0000-4000-8000-{:012d}", "msg_01Invented{:06d}", "toolu_01Invented{:06d}")


def session(exchanges: int) -> list[bytes]:
    """The lines of a session in which each exchange calls a tool, with ids as the agent writes them."""
    s = Script(UUIDS[0].format(0))
    for number in range(exchanges):
        record, message, call = (ids.format(number + 1) for ids in UUIDS)
        s.human(f"look at part {number}", uuid=record)
        s.calls(call, message, uuid=record.replace("-0000-", "-0001-"))
        s.result(call, f"part {number} of msg_ids and req_s", uuid=record.replace("-0000-", "-0002-"))
    return s.text().encode().splitlines(keepends=True)


def ids_of(record: dict[str, Any]) -> Iterator[str]:
    """The ids that a record or its message has of its own."""
    yield from (record["uuid"], record["sessionId"])
    if record["type"] == "assistant":
        yield record["message"]["id"]
        yield from (block["id"] for block in record["message"]["content"])


def words_of(record: dict[str, Any]) -> str:
    """What a record says, without its ids."""
    content = record["message"]["content"]
    return content if isinstance(content, str) else json.dumps([block.get("content") for block in content])


@given(exchanges=st.integers(1, 4), copy=st.integers(1, 0xFFFF))
def test_a_copy_is_another_session_that_says_the_same(exchanges: int, copy: int) -> None:
    lines = session(exchanges)
    old, new = ([json.loads(line) for line in some] for some in (lines, [with_fresh_ids(x, copy) for x in lines]))
    assert [words_of(record) for record in new] == [words_of(record) for record in old]
    fresh = {name for record in new for name in ids_of(record)}
    assert not fresh & {name for record in old for name in ids_of(record)}
    assert len(fresh) == 1 + 5 * exchanges
    assert len({record["sessionId"] for record in new}) == 1


@given(copy=st.integers(0, 0xFFFF), other=st.integers(0, 0xFFFF))
def test_two_copies_share_no_id(copy: int, other: int) -> None:
    one, two = ({name for line in session(2) for name in ids_of(json.loads(with_fresh_ids(line, number)))}
                for number in (copy, other))  # fmt: skip
    assert one == two if copy == other else not one & two


@given(copy=st.integers(0, 0xFFFF))
def test_a_copy_hangs_together_as_the_first_did(copy: int) -> None:
    records = [json.loads(with_fresh_ids(line, copy)) for line in session(3)]
    assert [record["parentUuid"] for record in records[1:]] == [record["uuid"] for record in records[:-1]]
    calls = [block["id"] for r in records if r["type"] == "assistant" for block in r["message"]["content"]]
    blocks = [block for r in records if isinstance(r["message"]["content"], list) for block in r["message"]["content"]]
    assert [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"] == calls
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", record["uuid"]) for record in records)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first few sessions of the sample town, a few hundred KB."""
    folder = tmp_path_factory.mktemp("town")
    written = 0
    for name, content in sorted(default_town().files.items()):
        if name.startswith("projects/") and name.endswith(".jsonl") and written < SIZE:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            written += (folder / name).write_bytes(content)
    return folder / "projects"


def test_transcripts_are_copied_until_there_are_enough(town: Path, tmp_path: Path) -> None:
    copies = replicate(town, tmp_path / "projects", 3 * SIZE)
    first = {path.relative_to(town): path.read_bytes() for path in town.rglob("*.jsonl")}
    made = {path.relative_to(tmp_path / "projects"): path.read_bytes() for path in tmp_path.rglob("*.jsonl")}
    size = sum(map(len, first.values()))
    assert len(made) == copies * len(first) and (copies - 1) * size < 3 * SIZE <= sum(map(len, made.values()))
    project, name = next(iter(first)).parts
    for copy in range(copies):
        path = Path(f"{project}-{copy}", name).with_stem(f"{Path(name).stem}-{copy}")
        assert made[path] == with_fresh_ids(first[Path(project, name)], copy)


def test_a_folder_without_transcripts_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"holds no \.jsonl transcripts\. Give another folder"):
        replicate(tmp_path, tmp_path / "copies", 1)


def test_a_changed_session_goes_on_under_new_ids(tmp_path: Path) -> None:
    path = tmp_path / "one" / "session.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"".join(session(3)))
    change_one(tmp_path)
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [words_of(record) for record in records[-4:]] == [words_of(record) for record in records[-8:-4]]
    assert len({record["uuid"] for record in records}) == len(records) == 13
    assert [file.name for file in path.parent.iterdir()] == ["session.jsonl"]


def test_the_yardstick_passes_over_what_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_bytes(b'{"type": "user"\n\n{"type": "user"}\n')
    parse_all(tmp_path)


@pytest.mark.slow
def test_every_figure_stands_beside_its_target(town: Path) -> None:
    command = [sys.executable, "scripts/bench.py", "--sessions", str(town), "--megabytes", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    title, *lines = done.stdout.splitlines()
    assert re.fullmatch(r"1 MB of transcripts, [3-9] copies", title.strip())
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert {name: (measured.split()[1:], target) for name, measured, target in cells} == {
        "orjson.loads of every line, CPU": (["s"], ""),
        "cold build, one worker, CPU": (["s"], ""),
        "the same in parse floors": ([], "at most 8, goal 5"),
        "cold build, one worker, wall": (["s"], ""),
        "2 workers, wall": (["s"], ""),
        "2 workers faster by": ([], "at least 1.7 for 2"),
        "peak memory, one worker": (["MiB"], "under 700"),
        "nothing changed, wall": (["s"], "under 1 s"),
        "one session changed, wall": (["s"], "under 2 s"),
    }
    figures = {name: float(measured.split()[0]) for name, measured, _ in cells}
    assert all(figure > 0 for name, figure in figures.items() if "orjson" not in name)
    assert figures["nothing changed, wall"] < figures["cold build, one worker, wall"]


@pytest.mark.slow
def test_the_evaluation_is_timed_against_a_bare_loop() -> None:
    pytest.importorskip("lm_eval")
    options = ["--roles", "crew", "--rounds", "1", "--max-new-tokens", "4"]
    done = subprocess.run(
        [sys.executable, "-m", "scripts.bench_eval", *options], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.search(r"ratio \(median of the pairs\) +│ +\d\.\d{3} +│ at most 1\.05", done.stdout)
    assert re.search(r"server that answers at once \(\d+ requests\) +│ +\d+\.\d\d +│ seconds", done.stdout)
