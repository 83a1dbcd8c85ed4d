"""The calls of the library: any record is written and read back, any bad line is named, memory does not grow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from data import library, pipeline
from data.extract.qna_lines import Pair
from data.library import RecordError, extract, load_jsonl, save_to_jsonl, stats, stream_jsonl, summarize_dataset
from data.library_summary import sides_of
from data.record import Assistant, Conversation, Drop, Origin, System, Tool, ToolCall, User
from data.sample.qna import invent
from data.tokens import load_counter
from data.transform.chat_formatter import NativeRow, Row
from data.validate.rows import read_build, read_rows
from tests.conftest import ROOT
from tests.dataset_rows import make_row
from tests.small_build import build

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(lambda text: text == text.strip() != "")
pairs = st.builds(Pair, texts, texts, st.dictionaries(texts, texts | st.integers(-9, 9), max_size=2))
conversations = st.builds(
    lambda name, asked, told: Conversation(name, Origin("qna", name), (User(asked), Assistant(told))),
    texts,
    texts,
    texts,
)


@given(st.lists(pairs | conversations, max_size=6))
def test_what_is_saved_is_what_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, records: list[Pair | Conversation]
) -> None:
    path = tmp_path_factory.mktemp("library") / "new" / "a.jsonl"
    assert save_to_jsonl(iter(records), path) == len(records)
    assert load_jsonl(path) == records == list(stream_jsonl(str(path)))


@given(st.binary(max_size=300))
def test_any_bytes_are_records_or_named_drops(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("library") / "a.jsonl"
    path.write_bytes(content)
    aside: list[Drop] = []
    load_jsonl(path, aside.append)
    assert all(drop.line and drop.detail.endswith(".") for drop in aside)


@pytest.mark.slow
def test_rows_of_both_forms_are_read(tmp_path: Path, sample_town: Path) -> None:
    for form, kind in (("xml", Row), ("native", NativeRow)):
        folder = tmp_path / form
        folder.mkdir()
        (folder / "projects").symlink_to(sample_town / "projects")
        assert build(folder, tool_format=form) == 0
        path = folder / "out" / "mayor_train.jsonl"
        records = load_jsonl(path)
        assert records == list(read_rows(path)) and {type(one) for one in records} == {kind}
        every = [row for _, row in read_build(folder / "out")]
        assert load_jsonl(folder / "out") == every and len(every) > len(records)


@pytest.mark.slow
def test_extract_gives_what_the_command_writes_and_stats_counts_it(tmp_path: Path, sample_town: Path) -> None:
    settings = yaml.safe_load((ROOT / "configs/data.yml").read_text("utf-8")) | {"archive": str(tmp_path / "none")}
    config = tmp_path / "data.yml"
    config.write_text(yaml.safe_dump(settings))
    town = sample_town / "projects"
    words = ["extract", "--sessions", str(town), "--out", str(tmp_path / "out"), "--config", str(config)]
    assert pipeline.main([*words, "--workers", "1"]) == 0
    written = load_jsonl(tmp_path / "out" / "conversations.jsonl")
    assert list(extract(config, town)) == written
    found = stats(str(config), str(town))
    ledger = json.loads((tmp_path / "out" / "extracted.json").read_text())["ledger"]
    assert found.conversations == len(written) == sum(found.roles.values()) == sum(found.sources.values())
    assert found.records == ledger["records"] and found.left["no-op patrol cycle"] > 0
    assert found.replies == sum(m.train for one in written for m in one.messages if isinstance(m, Assistant))  # type: ignore[union-attr]


def test_nothing_is_invented_where_there_are_no_transcripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(library.SourceError, match="does not exist"):
        list(extract(ROOT / "configs/data.yml"))
    with pytest.raises(library.ConfigError, match="cannot be read"):
        list(extract(tmp_path / "none.yml"))
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.parametrize(
    ("line", "reason", "sentence"),
    [
        ({"input": "q"}, "no answer", 'The line has no "output". Add the answer, or remove the line.'),
        ({"conversations": 1}, "not a row", "Build or extract it again."),
        ({"type": "conversation"}, "not a conversation", "Build or extract it again."),
        ({"messages": "[]", "tools": "[]"}, "not a row", "Build or extract it again."),
        ({"hello": 1}, "no question", 'The line has no "input". Add the question, or remove the line.'),
    ],
)
def test_a_line_that_is_no_record_stops_or_is_handed_over(
    tmp_path: Path, line: Any, reason: str, sentence: str
) -> None:
    path = tmp_path / "a.jsonl"
    save_to_jsonl([{"input": "q", "output": "a"}, line, {"input": "r", "output": "b"}], path)
    with pytest.raises(RecordError, match=r"a\.jsonl:2: The line") as error:
        load_jsonl(path)
    assert str(error.value).endswith(sentence)
    aside: list[Drop] = []
    assert load_jsonl(path, aside.append) == [Pair("q", "a"), Pair("r", "b")]
    assert [(drop.reason, drop.line, drop.file) for drop in aside] == [(reason, 2, str(path))]


def test_a_folder_is_read_in_order_and_a_missing_one_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"holds no \.jsonl or \.csv file"):
        load_jsonl(tmp_path)
    save_to_jsonl([{"input": "q", "output": "a"}], tmp_path / "b.jsonl")
    (tmp_path / "a.csv").write_text("input,output,page\nr,b,1\n")
    (tmp_path / ".being-written-x.jsonl").write_text("{")
    assert load_jsonl(tmp_path) == [Pair("r", "b", {"page": "1"}), Pair("q", "a")]
    with pytest.raises(RecordError, match="is no file and no folder"):
        load_jsonl(tmp_path / "c.jsonl")


def test_what_cannot_be_written_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    save_to_jsonl([Pair("q", "a")], path)
    with pytest.raises(TypeError):
        save_to_jsonl([{"input": "r", "output": object()}], path)
    assert load_jsonl(path) == [Pair("q", "a")] and os.listdir(tmp_path) == ["a.jsonl"]  # noqa: PTH208


def test_a_summary_counts_what_is_shown_and_what_is_learned() -> None:
    reply = Assistant("Look:", calls=(ToolCall("c", "Bash", '{"command": "ls"}'),))
    said = (System("Be brief."), User("Where?"), Assistant("Hm.", train=False), reply, Tool("c", "Bash", "a b"))
    record = Conversation("id", Origin("sessions", "s"), said)
    asked, told = sides_of(record)
    assert asked == ["Be brief.", "Where?", "Hm.", "<tool_result>\na b\n</tool_result>"]
    assert told == ['Look:\n<tool_call>\n{"name": "Bash", "arguments": {"command": "ls"}}\n</tool_call>']
    counter = load_counter("Qwen/Qwen2.5-7B-Instruct")
    row = msgspec.convert(make_row(), Row)
    found = summarize_dataset([record, row, Pair("one two", "three"), Pair("one", "two three four")])
    sides = [sides_of(one) for one in (record, row, Pair("one two", "three"), Pair("one", "two three four"))]
    inputs = sum(sum(counter.counts(asked)) for asked, _ in sides)
    outputs = sum(sum(counter.counts(told)) for _, told in sides)
    assert found.shapes == {"Conversation": 1, "Pair": 2, "Row": 1} and found.records == 4
    assert found.mean_input_tokens == round(inputs / 4, 2) and found.mean_output_tokens == round(outputs / 4, 2)
    assert found.tokens == inputs + outputs and found.base_model == "Qwen/Qwen2.5-7B-Instruct"


def test_nothing_has_a_summary_too() -> None:
    assert summarize_dataset([]).mean_input_tokens == 0


def test_the_command_says_what_is_in_a_file_and_what_is_wrong_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jsonl"
    save_to_jsonl(invent("legal", 30), path)
    assert library.main([str(path)]) == 0
    whole = capsys.readouterr().out
    assert whole.startswith("30 records, ") and "Mean input" in whole and "set aside" not in whole
    with path.open("a") as file:
        file.write('{"input": "q"}\n' * 25 + "{\n")
    assert library.main([str(path)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == whole.splitlines()
    assert said[2] == "26 lines set aside: 25 no answer, 1 malformed line."
    assert said[3] == f'  {path}:31: The line has no "output". Add the answer, or remove the line.'
    assert len(said) == 3 + 20
    assert library.main([str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["set_aside"] == {"no answer": 25, "malformed line": 1}
    assert library.main([str(tmp_path / "none.jsonl")]) == 2
    assert "is no file and no folder" in capsys.readouterr().err
    assert library.main([str(path), "--base-model", str(tmp_path)]) == 2


PEAK = """
import sys
from data.library import stream_jsonl
count = sum(1 for _ in stream_jsonl(sys.argv[1]))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(count, peak.split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_streaming_holds_one_record_at_a_time(tmp_path: Path) -> None:
    """40 MB of pairs cost no more memory of their own than 40 KB."""

    def peak(lines: int) -> int:
        path = tmp_path / "a.jsonl"
        save_to_jsonl(({"input": f"q{n}", "output": "a" * 1000} for n in range(lines)), path)
        done = subprocess.run([sys.executable, "-c", PEAK, str(path)], cwd=ROOT, capture_output=True, check=True)
        count, kilobytes = map(int, done.stdout.split())
        assert count == lines
        return kilobytes

    assert peak(40_000) < peak(40) + 8_000
