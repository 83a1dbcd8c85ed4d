"""The source of captured pairs: what becomes a conversation, what is learned of it, and why the rest is not."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import explain, forget, pipeline
from data.config import ConfigError, RoleConfig, SourceConfig, SourceKind, load_config
from data.extract import pairs
from data.extract.pairs_line import OWN, Reason
from data.extract.unit import SourceError
from data.record import Assistant, Conversation, Drop, Message, ResultStatus, Tool, User, UserKind
from tests.small_build import ROOT, build, lines
from tests.transcripts import Script

ASKED = {"role": "user", "content": "Where is the convoy?"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "Bash", "arguments": '{"command": "gt convoy"}'}}
TRAIN = SourceConfig("pairs", "", own_answers="train")
texts = st.text(st.characters(codec="utf-8"), max_size=20)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str, *calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": text} | ({"tool_calls": list(calls)} if calls else {})


def result(text: str, call: str = "call_1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": text}


def captured(messages: Sequence[dict[str, Any]], answer: Any = "It left the depot.", **facts: Any) -> dict[str, Any]:
    """A line as the gateway writes it; by default another model than ours answered."""
    told = said(answer) if isinstance(answer, str) else answer
    line = {
        "at": "2026-11-29T10:00:00Z",
        "role": "mayor",
        "model": "other",
        "messages": list(messages),
        "answer": {name: value for name, value in told.items() if name != "role"},
        "ending": "complete",
        "finish": "stop",
    }
    return line | facts


def own(messages: Sequence[dict[str, Any]], answer: Any = "It left the depot.", **facts: Any) -> dict[str, Any]:
    return captured(messages, answer, model="mayor@v3", made_by=OWN, **facts)


def write(path: Path, *records: Any) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records), "utf-8")
    return path


def read(path: Path, source: SourceConfig | None = None, forgotten: Sequence[str] = ()) -> list[Conversation | Drop]:
    from msgspec.structs import replace

    (unit,) = pairs.units(path, "", source)
    return list(pairs.read(replace(unit, forgotten=frozenset(forgotten))))


def made(outcomes: Sequence[Conversation | Drop]) -> list[Conversation]:
    return [outcome for outcome in outcomes if isinstance(outcome, Conversation)]


def reasons(outcomes: Sequence[Conversation | Drop]) -> list[str]:
    return sorted(o.reason for o in outcomes if isinstance(o, Drop) and o.reason != "used")


def learned(conversation: Conversation) -> list[str]:
    return [m.text for m in conversation.messages if isinstance(m, Assistant) and m.train]


def shown(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages]


chats = st.lists(st.tuples(texts, texts), min_size=1, max_size=4)


@settings(max_examples=40)
@given(st.lists(st.tuples(chats, st.booleans(), st.sampled_from(["complete", "interrupted"])), max_size=6))
def test_every_line_has_one_fate_and_no_answer_is_learned_twice(
    tmp_path_factory: pytest.TempPathFactory, logged: list[tuple[list[tuple[str, str]], bool, str]]
) -> None:
    records = []
    for chat, ours, ending in logged:
        history: list[dict[str, Any]] = []
        for question, answer in chat:
            history = [*history, user(question)]
            records.append((own if ours else captured)(history, answer, ending=ending))
            history = [*history, said(answer)]
    outcomes = read(write(tmp_path_factory.mktemp("pairs") / "a.jsonl", *records))
    assert sum(o.records for o in outcomes if isinstance(o, Drop)) == len(records)
    trained = [m.id for c in made(outcomes) for m in c.messages if isinstance(m, Assistant) and m.train]
    assert len(trained) == len(set(trained))
    assert all(not c.origin.model.startswith("mayor@") for c in made(outcomes))


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("pairs") / "a.jsonl"
    path.write_bytes(content)
    assert made(read(path)) == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "role", "content", "messages", "answer", "request", "response", "choices", "message", "tool_calls", "function",
        "name", "arguments", "id", "index", "user", "assistant", "weight", "created", "at", "finish",
    ]), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(["messages", "answer", "request", "response", "ending", "at"]), json_values))
def test_any_object_is_read_without_an_error(tmp_path_factory: pytest.TempPathFactory, record: dict[str, Any]) -> None:
    outcomes = read(write(tmp_path_factory.mktemp("pairs") / "a.jsonl", record))
    assert sum(o.records for o in outcomes if isinstance(o, Drop)) == 1


def streamed(*pieces: str, end: str = "data: [DONE]\n\n") -> str:
    events = (json.dumps({"choices": [{"delta": {"content": piece}}]}) for piece in pieces)
    return "".join(f"data: {event}\n\n" for event in events) + end


REQUEST = {"model": "m", "messages": [ASKED]}
RESPONSE = {"choices": [{"message": said("It left the depot.")}]}
PARTS = {"role": "assistant", "content": [{"type": "text", "text": "It left the depot."}]}


@pytest.mark.parametrize(
    "record",
    [
        captured([ASKED]),
        {"request": REQUEST, "response": RESPONSE},
        {"request": json.dumps(REQUEST), "response": json.dumps(RESPONSE)},
        {"request": REQUEST, "response": streamed("It left ", "the depot.")},
        {"messages": [ASKED, said("It left the depot.")]},
        {"messages": [ASKED, PARTS]},
    ],
)
def test_the_usual_forms_of_a_log_are_understood(tmp_path: Path, record: Any) -> None:
    outcomes = read(write(tmp_path / "a.jsonl", record))
    (conversation,) = made(outcomes)
    assert shown(conversation.messages) == ["Where is the convoy?", "It left the depot."]
    assert learned(conversation) == ["It left the depot."]
    assert reasons(outcomes) == []


BROKEN = {"id": "x", "type": "function", "function": {"name": "Bash", "arguments": "gt convoy"}}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"messages": "none"}, Reason.NOT_A_CHAT),
        ({"messages": [{"role": "narrator", "content": "x"}, said("a")]}, Reason.NOT_A_CHAT),
        ({"request": REQUEST}, Reason.NOT_A_CHAT),
        ({"request": "no JSON", "response": {}}, Reason.NOT_A_CHAT),
        ({"request": REQUEST, "response": {"error": {"message": "busy"}, "choices": []}}, Reason.NOT_A_CHAT),
        (captured([{"role": "system", "content": "Be short."}]), Reason.NO_QUESTION),
        (captured([ASKED], "  "), Reason.NO_ANSWER),
        ({"messages": [ASKED]}, Reason.NO_ANSWER),
        (captured([ASKED, said("It le")], "ft."), Reason.PREFILLED),
        (captured([ASKED], ending="interrupted"), Reason.INTERRUPTED),
        ({"request": REQUEST, "response": streamed("It", end="")}, Reason.INTERRUPTED),
        (captured([ASKED], finish="length"), Reason.CUT_OFF),
        (captured([ASKED], said("", BROKEN)), Reason.BROKEN_CALL),
        (own([ASKED]), Reason.OWN),
        (captured([ASKED], model="refinery@v12"), Reason.OWN),
    ],
)
def test_what_teaches_nothing_is_set_aside_by_name(tmp_path: Path, record: Any, reason: Reason) -> None:
    path = write(tmp_path / "a.jsonl", captured([user("Another one?")]), record)
    outcomes = read(path)
    (drop,) = [o for o in outcomes if isinstance(o, Drop) and o.reason != "used"]
    assert (drop.reason, drop.file, drop.line, drop.records) == (reason.value, str(path), 2, 1)
    assert len(made(outcomes)) == 1


FIRST = [ASKED]
SECOND = [ASKED, said("It left the depot."), user("When?")]
THIRD = [*SECOND, said("At noon. "), user("Who saw it?")]


def test_of_a_chat_the_longest_request_stays_and_teaches_each_answer_that_was_logged(tmp_path: Path) -> None:
    (tmp_path / "captures").mkdir()
    write(
        tmp_path / "captures/captures-2026-11-29.jsonl",
        captured(FIRST, id="pair-first-one"),
        captured(SECOND, "At noon."),
    )
    last = write(tmp_path / "captures/captures-2026-11-30.jsonl", captured(THIRD, "The witness."))
    outcomes = read(tmp_path / "captures")
    (conversation,) = made(outcomes)
    assert learned(conversation) == ["It left the depot.", "At noon. ", "The witness."]
    assert reasons(outcomes) == [Reason.CONTINUED, Reason.CONTINUED]
    assert conversation.origin.session == "pair-first-one"
    assert conversation.origin.file == str(last)
    assert [Path(m.file).name[-8:-6] for m in conversation.messages if isinstance(m, Assistant)] == ["29", "29", "30"]


def test_an_answer_whose_request_was_not_logged_is_shown_and_not_learned(tmp_path: Path) -> None:
    (conversation,) = made(read(write(tmp_path / "a.jsonl", captured(THIRD, "The witness."))))
    assert learned(conversation) == ["The witness."]
    assert len(conversation.messages) == 6


def test_what_two_branches_share_is_learned_once(tmp_path: Path) -> None:
    branches = captured(FIRST), captured(SECOND, "At noon."), captured([*SECOND[:-1], user("Why?")], "It was full.")
    one, other = made(read(write(tmp_path / "a.jsonl", *branches)))
    assert learned(one) == ["It left the depot.", "At noon."]
    assert learned(other) == ["It was full."]
    assert one.origin.session == other.origin.session
    assert one.id != other.id


def test_the_same_request_and_answer_counts_once(tmp_path: Path) -> None:
    outcomes = read(write(tmp_path / "a.jsonl", captured(FIRST, at="1"), captured(FIRST, at="2")))
    assert reasons(outcomes) == [Reason.REPEATED]
    assert len(made(outcomes)) == 1


def test_a_chat_written_to_be_learned_teaches_all_its_replies_but_those_without_weight(tmp_path: Path) -> None:
    chat = {
        "messages": [ASKED, said("Wrong.") | {"weight": 0}, user("No."), said("It left."), user("When?"), said("Now.")]
    }
    (conversation,) = made(read(write(tmp_path / "a.jsonl", chat)))
    assert learned(conversation) == ["It left.", "Now."]
    assert len({m.id for m in conversation.messages if isinstance(m, Assistant)}) == 3


def test_our_own_answers_are_learned_where_the_source_says_so_and_marked(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", own([ASKED]))
    (drop,) = [o for o in read(path) if isinstance(o, Drop)]
    assert (drop.reason, drop.tally.replies, drop.tally.chars) == (Reason.OWN, 1, len("It left the depot."))
    (conversation,) = made(read(path, TRAIN))
    assert learned(conversation) == ["It left the depot."]
    assert conversation.origin.model == "mayor@v3"
    assert [(note.stage, note.reason, note.count) for note in conversation.notes] == [("pairs", Reason.OWN.value, 1)]


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(0, 6))
def test_no_more_own_answers_are_learned_than_the_limit(
    tmp_path_factory: pytest.TempPathFactory, limit: int, number: int
) -> None:
    records = [own([user(f"Question {n}?")]) for n in range(number)] + [captured([user("And they?")])]
    source = SourceConfig("pairs", "", own_answers="train", own_limit=limit)
    outcomes = read(write(tmp_path_factory.mktemp("pairs") / "a.jsonl", *records), source)
    assert len(made(outcomes)) == min(limit, number) + 1
    assert reasons(outcomes) == [Reason.OVER_LIMIT] * max(number - limit, 0)


def test_in_a_chat_with_another_model_our_own_answers_are_shown_and_the_others_learned(tmp_path: Path) -> None:
    outcomes = read(write(tmp_path / "a.jsonl", own(FIRST), captured(SECOND, "At noon.")))
    (conversation,) = made(outcomes)
    assert learned(conversation) == ["At noon."]
    (drop,) = [o for o in outcomes if isinstance(o, Drop) and o.reason == Reason.OWN]
    assert (drop.records, drop.tally.replies) == (0, 1)


def test_calls_get_their_results_in_order_and_a_missing_one_says_so(tmp_path: Path) -> None:
    other = CALL | {"id": "b"}
    chat = [ASKED, said("", CALL | {"id": "a"}, other), result("late", "b"), result("stray", "zzz")]
    (conversation,) = made(read(write(tmp_path / "a.jsonl", captured(chat, said("", CALL)))))
    _, reply, first, second, last = conversation.messages
    assert isinstance(reply, Assistant) and isinstance(first, Tool) and isinstance(second, Tool)
    assert [call.id for call in reply.calls] == [first.call_id, second.call_id] == ["call_1", "call_2"]
    assert (first.status, second.text, second.name) == (ResultStatus.MISSING, "late", "Bash")
    assert isinstance(last, Assistant) and last.train and last.chars == len('{"command": "gt convoy"}')


def test_a_system_prompt_of_the_client_is_shown_unless_it_is_the_roles_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", captured([{"role": "system", "content": "You are  the Mayor.\n"}, ASKED]))
    (unit,) = pairs.units(path, "", None, [RoleConfig("You are the Mayor.")])
    (conversation,) = made(list(pairs.read(unit)))
    assert shown(conversation.messages) == ["Where is the convoy?", "It left the depot."]
    (conversation,) = made(read(path))
    opening = conversation.messages[0]
    assert isinstance(opening, User) and opening.kind is UserKind.REMINDER


@pytest.mark.parametrize("forgotten", ["pair-first-one", "pair-second-one"])
def test_what_holds_a_forgotten_pair_is_forgotten_and_what_came_before_it_is_not(
    tmp_path: Path, forgotten: str
) -> None:
    path = write(
        tmp_path / "a.jsonl",
        captured(FIRST, id="pair-first-one"),
        captured(SECOND, "At noon.", id="pair-second-one"),
        captured(THIRD, "The witness.", id="pair-third-one"),
    )
    outcomes = read(path, forgotten=[forgotten])
    kept = [learned(conversation) for conversation in made(outcomes)]
    assert kept == ([] if forgotten == "pair-first-one" else [["It left the depot."]])
    assert reasons(outcomes) == [Reason.FORGOTTEN] * (3 - len(kept))


def test_a_source_without_files_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        list(pairs.units(tmp_path / "nowhere", ""))
    with pytest.raises(SourceError, match=r"holds no \.jsonl file"):
        list(pairs.units(tmp_path, ""))
    assert list(pairs.units(tmp_path, "", SourceConfig("pairs", "", optional=True))) == []


def test_a_line_that_is_added_while_a_build_reads_waits_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.jsonl", captured(FIRST))
    decide = pairs.plan

    def later(*given: Any) -> Any:
        with path.open("a") as file:
            file.write(json.dumps(captured([user("And now?")])) + "\n")
        return decide(*given)

    monkeypatch.setattr(pairs, "plan", later)
    assert len(made(read(path))) == 1
    monkeypatch.undo()
    assert len(made(read(path))) == 2


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{kind: qna, path: a, own_answers: train}", "own_answers and own_limit are for pairs"),
        ("{kind: pairs, path: a, own_limit: 5}", "beside own_answers: train"),
        ("{kind: pairs, path: a, own_answers: train, own_limit: 0}", "at least 1"),
        ("{kind: pairs, path: a, own_answers: always}", "own_answers"),
    ],
)
def test_a_source_that_contradicts_itself_is_refused(tmp_path: Path, line: str, problem: str) -> None:
    text = (ROOT / "configs/data.yml").read_text("utf-8").replace("sources:\n", f"sources:\n  - {line}\n", 1)
    (tmp_path / "data.yml").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=problem):
        load_config(tmp_path / "data.yml")


def test_the_line_of_the_configuration_that_a_person_uncomments_is_valid(tmp_path: Path) -> None:
    text = (ROOT / "configs/data.yml").read_text("utf-8")
    assert text.count("  # - {kind: pairs,") == 2
    (tmp_path / "data.yml").write_text(text.replace("  # - {kind: pairs,", "  - {kind: pairs,"), "utf-8")
    captures, comparisons = load_config(tmp_path / "data.yml").sources[-2:]
    assert captures == SourceConfig("pairs", "output/captures", optional=True)
    assert comparisons == SourceConfig("pairs", "output/comparisons", optional=True)


def test_every_source_that_a_person_uncomments_is_valid(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^  # (- \{kind: )", r"  \1", (ROOT / "configs/data.yml").read_text("utf-8"))
    (tmp_path / "data.yml").write_text(text, "utf-8")
    kinds = [source.kind for source in load_config(tmp_path / "data.yml").sources]
    assert sorted(set(kinds)) == sorted(get_args(SourceKind))


def a_build(folder: Path) -> Path:
    """A build of two captured chats and one session; the captures' file."""
    script = Script()
    script.human("go and look at the parser")
    script.says("It reads one row after the other.", "m1")
    script.save(folder / "projects")
    (folder / "captures").mkdir()
    file = write(
        folder / "captures/captures-2026-11-29.jsonl",
        own(FIRST, id="pair-0000000000000001"),
        own(SECOND, said("I look.", CALL), id="pair-0000000000000002"),
        captured(
            [user("What did the refinery merge today?")],
            "Two branches of petals, both green.",
            id="pair-0000000000000003",
        ),
    )
    source = {"kind": "pairs", "path": str(folder / "captures"), "own_answers": "train"}
    sessions = {"kind": "sessions", "path": "{sessions}"}
    assert build(folder, sources=[sessions, source], forgotten=str(folder / "forgotten.txt")) == 0
    return file


@pytest.mark.slow
def test_rows_of_pairs_are_built_explained_and_forgotten_like_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = a_build(tmp_path)
    rows = [row for split in ("train", "val", "test") for row in lines(tmp_path, f"gastown_{split}.jsonl")]
    mine = {row["metadata"]["session_id"]: row for row in rows if row["metadata"]["source"] == "pairs"}
    assert set(mine) == {"pair-0000000000000001", "pair-0000000000000003"}
    row = mine["pair-0000000000000001"]
    assert row["metadata"]["role"] == "mayor"
    assert row["metadata"]["trained_ids"] == ["pair-0000000000000001", "pair-0000000000000002"]
    assert row["conversations"][-1]["value"].startswith("I look.\n<tool_call>\n")
    ledger = json.loads((tmp_path / "out/ledger.json").read_text("utf-8"))
    assert ledger["records"]["pairs"] == {"used": 2, "continued by a later request": 1}
    config = load_config(tmp_path / "data.yml")
    capsys.readouterr()
    assert explain.run(tmp_path / "out", row["metadata"]["id"], "", tmp_path / "projects", config) == 0
    told = capsys.readouterr().out
    assert "source pairs" in told and "model mayor@v3" in told
    (trace,) = [one for one in lines(tmp_path, "origins.jsonl") if one["id"] == row["metadata"]["id"]]
    assert {"stage": "pairs", "reason": Reason.OWN.value, "count": 2} in trace["notes"]
    assert "neither among the transcripts" not in told
    assert forget.run("pair-0000000000000001", tmp_path, tmp_path / "projects", config) == 0
    told = capsys.readouterr().out
    assert f"{tmp_path / 'out'} holds" in told
    assert f"{file} names it as well. Builds pass over it there" in told
    options = ["--sessions", str(tmp_path / "projects"), "--out", str(tmp_path / "out"), "--workers", "1"]
    assert pipeline.main(["all", *options, "--config", str(tmp_path / "data.yml")]) == 0
    assert "pair-0000000000000001" not in (tmp_path / "out/origins.jsonl").read_text()
    assert "pair-0000000000000003" in (tmp_path / "out/origins.jsonl").read_text()
