"""The rules for examples: each has its reason, shares are never passed, and what is kept is what the sources read."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.extract import pairs, qna
from data.record import Assistant, Conversation, User
from scripts.loop.curate import Judge, Reason, as_lines, capped, curate, in_turn, limit
from scripts.loop.gather import copy_logs, from_miners, is_own
from scripts.loop.generate import Call, Example, Fault, collect, parse
from scripts.loop.plan import Asked, Plan, make_plan
from scripts.loop.settings import Settings, Shares, Strong, load_settings
from tests.dataset_rows import turn

GOOD = Example("How do I plan a week of watering?", "Water in the morning, and look at the soil first.", "garden", "m")
KNOWN = "Who waters the lemon trees on Sundays?"


def a_plan(folder: Path, rows: int = 100, **changes: Any) -> Plan:
    """A mayor with so many rows, one of which asks about lemon trees."""
    (folder / "datasets").mkdir(parents=True, exist_ok=True)
    row = {"conversations": [turn("human", KNOWN), turn("gpt", "The gardener does.", train=True)]}
    text = (json.dumps(row) + "\n") * rows
    (folder / "datasets" / "mayor_train.jsonl").write_text(text, "utf-8")
    settings = load_settings()
    return make_plan(Asked("mayor", folder, Path("configs/data.yml")), msgspec.structs.replace(settings, **changes))


# --- shares ---------------------------------------------------------------------------------------------------------

examples = st.lists(
    st.builds(
        Example,
        input=st.text(min_size=1, max_size=9),
        output=st.just("x" * 30),
        family=st.sampled_from("abc"),
        generated_by=st.just("m"),
        own=st.booleans(),
    ),
    max_size=60,
)


@given(examples, st.integers(0, 200), st.integers(0, 40), st.floats(0, 0.9), st.floats(0, 0.9))
def test_shares_are_never_passed_and_every_example_has_its_place(
    offered: list[Example], rows: int, before: int, generated: float, own: float
) -> None:
    refused: Counter[Reason] = Counter()
    kept = list(capped(offered, Shares(generated, own), rows, before, refused))
    new, ours = len(kept), sum(one.own for one in kept)
    assert new + refused.total() == len(offered)
    assert new == 0 or (new + before) <= generated * (new + before + rows) + 1e-6
    assert ours <= own * (ours + rows) + 1e-6
    rest = iter(map(id, offered))
    assert all(id(one) in rest for one in kept), "in their order"


@given(st.floats(0, 0.95), st.integers(0, 10_000))
def test_a_limit_is_the_largest_number_within_the_share(share: float, rows: int) -> None:
    most = limit(share, rows)
    assert most <= share * (most + rows) + 1e-6
    assert most + 1 > share * (most + 1 + rows) - 1e-6 or math.isclose(share, 0)


@given(examples)
def test_a_limit_takes_from_all_families_alike(given_ones: list[Example]) -> None:
    turned = in_turn(given_ones)
    assert sorted(map(repr, turned)) == sorted(map(repr, given_ones))
    for count in range(len(turned)):
        taken = Counter(one.family for one in turned[:count])
        left = Counter(one.family for one in turned[count:])
        assert all(taken[family] >= max(taken.values(), default=0) - 1 for family in left)


# --- rules ----------------------------------------------------------------------------------------------------------

CASES = [
    (Reason.TOO_SHORT, {"output": "Yes."}),
    (Reason.TOO_LONG, {"output": "word " * 2000}),
    (Reason.REFUSAL, {"output": "As an AI language model I do not water plants, sadly."}),
    (Reason.REFUSAL, {"output": "I'm sorry, but I can't help with watering plants today."}),
    (Reason.REFUSAL, {"output": "Sorry, I cannot tell you anything about the watering plan."}),
    (Reason.EVALUATION, {"input": "Three cards for the Mayor are open: pe-211, pe-212 and pe-213."}),
    (Reason.KNOWN, {"input": KNOWN}),
    (Reason.KNOWN, {"input": KNOWN.replace("?", "!").upper()}),
    (Reason.SECRET, {"output": "Log in with AKIAIOSFODNN7EXAMPLD and then look at the watering plan."}),
    (Reason.SECRET, {"input": "Why does ghp_16C7e42F292c6912E7710c838347Ae178B4a not open the greenhouse?"}),
]


@pytest.mark.parametrize(("reason", "change"), CASES)
def test_an_example_is_refused_for_its_reason(reason: Reason, change: dict[str, str], tmp_path: Path) -> None:
    plan = a_plan(tmp_path)
    if reason is Reason.EVALUATION:
        change = {"input": first_question(plan)}
    kept, refused = curate(
        [GOOD, msgspec.structs.replace(GOOD, **{"input": "Another one entirely", **change})], plan, 0
    )
    assert kept == [GOOD] and refused == {reason: 1}


def first_question(plan: Plan) -> str:
    """What a shipped scenario asks, with its values drawn."""
    line = (plan.questions / "mayor.jsonl").read_text("utf-8").splitlines()[0]
    return str(json.loads(line)["messages"][0]["content"]).replace("{{", "v").replace("}}", "")


def test_a_question_is_kept_once_and_nearly_the_same_one_not_again(tmp_path: Path) -> None:
    near = msgspec.structs.replace(GOOD, input="how do I plan a week of watering")
    kept, refused = curate([GOOD, GOOD, near], a_plan(tmp_path), 0)
    assert kept == [GOOD] and refused == {Reason.REPEATED: 2}


def test_what_earlier_rounds_gave_counts_in_the_share(tmp_path: Path) -> None:
    plan = a_plan(tmp_path, rows=10, shares=Shares(generated=0.2, own=0.1))
    assert curate([GOOD], plan, 1)[0] == [GOOD]
    assert curate([GOOD], plan, 2) == ([], {Reason.OVER_SHARE: 1})


def test_our_own_adapters_have_a_smaller_share(tmp_path: Path) -> None:
    own = [
        msgspec.structs.replace(GOOD, input=text, own=True)
        for text in ("When is the harvest?", "Why do the leaves fall?", "Who prunes this old apple?")
    ]
    plan = a_plan(tmp_path, rows=18, shares=Shares(generated=0.5, own=0.1))
    kept, refused = curate(own, plan, 0)
    assert len(kept) == 2 and refused == {Reason.OWN: 1}
    plain, _ = as_lines(kept, "r1")
    assert {json.loads(line)["metadata"]["made_by"] for line in plain.splitlines()} == {"own-adapter"}


@pytest.mark.parametrize(
    ("endpoint", "own"),
    [
        ("http://10.0.0.5/v1#mayor@v3", True),
        ("http://127.0.0.1:18793/v1#gastown-mayor:latest", True),
        ("http://127.0.0.1:1/v1#big", False),
        ("https://api.example.org/v1#gpt-x", False),
    ],
)
def test_an_adapter_of_ours_is_known_by_its_name_or_by_our_gateway(endpoint: str, own: bool, tmp_path: Path) -> None:
    assert is_own(a_plan(tmp_path, strong=Strong(endpoint=endpoint))) is own


def test_every_reason_has_a_case() -> None:
    told = {reason for reason, _ in CASES} | {Reason.REPEATED, Reason.OVER_SHARE, Reason.OWN}
    assert told == set(Reason)


def test_a_call_needs_no_words() -> None:
    class Open:
        def asks(self, _: str) -> bool:
            return False

        def shares_words(self, *_: str) -> bool:
            return False

    judge = Judge(Settings().curation, Open(), set(), lambda text: text)  # type: ignore[arg-type]
    assert judge.why_not(Example("Go on.", "", "a", "m", (Call("Bash", {"command": "ls"}),))) is None


# --- what is written is what is read ---------------------------------------------------------------------------------


def test_kept_examples_are_read_as_questions_and_answers_and_as_calls(tmp_path: Path) -> None:
    calling = Example("Show the queue.", "I look.", "merge", "m", (Call("Bash", {"command": "gt mq list"}),))
    plain, chats = as_lines([GOOD, calling], "r7")
    (tmp_path / "examples.jsonl").write_text(plain, "utf-8")
    (tmp_path / "chats.jsonl").write_text(chats, "utf-8")
    about = {"generated_by": "m", "family": "garden", "round": "r7"}
    assert json.loads(plain)["metadata"] == about
    [told] = read(qna, tmp_path / "examples.jsonl")
    assert [type(message) for message in told.messages] == [User, Assistant]
    assert (told.messages[0].text, told.messages[1].text, told.role) == (GOOD.input, GOOD.output, "mayor")
    [called] = read(pairs, tmp_path / "chats.jsonl")
    [call] = called.messages[-1].calls
    assert (call.name, json.loads(call.arguments)) == ("Bash", {"command": "gt mq list"})


def read(source: Any, file: Path) -> list[Conversation]:
    [unit] = source.units(file, "mayor")
    return [one for one in source.read(unit) if isinstance(one, Conversation)]


# --- answers of the stronger model -----------------------------------------------------------------------------------

ANSWERS = [
    ('[{"input": "a", "output": "b"}]', [None]),
    ('```json\n[{"input": "a", "output": "b"}, {"input": "c", "output": "d"}]\n```', [None, None]),
    ("Here you are: [...]", [Fault.NOT_JSON]),
    ('{"input": "a", "output": "b"}', [Fault.NOT_JSON]),
    ("[" * 100_000, [Fault.NOT_JSON]),
    ("", [Fault.NOT_JSON]),
    ('["a", 3, null]', [Fault.NOT_AN_OBJECT] * 3),
    ('[{"output": "b"}, {"input": " ", "output": "b"}, {"input": 3, "output": "b"}]', [Fault.NO_INPUT] * 3),
    ('[{"input": "a"}, {"input": "a", "output": "  "}, {"input": "a", "output": ["b"]}]', [Fault.NO_OUTPUT] * 3),
    ('[{"input": "a", "calls": [{"name": "Bash", "arguments": {"command": "ls"}}]}]', [None]),
    ('[{"input": "a", "calls": [{"name": "Rm", "arguments": {}}]}]', [Fault.UNKNOWN_TOOL]),
    ('[{"input": "a", "output": "b", "calls": [{"name": "Bash", "arguments": "ls"}]}]', [Fault.BAD_CALL]),
    ('[{"input": "a", "output": "b", "calls": "Bash"}]', [Fault.BAD_CALL]),
]


@pytest.mark.parametrize(("text", "told"), ANSWERS)
def test_an_answer_is_read_strictly(text: str, told: list[Fault | None]) -> None:
    found = list(parse(text, "merge", "m", frozenset({"Bash"})))
    assert [one if isinstance(one, Fault) else None for one in found] == told


def test_every_fault_has_a_case() -> None:
    assert {fault for _, told in ANSWERS for fault in told if fault} == set(Fault)


@given(st.text(max_size=200))
def test_no_answer_breaks_the_reader(text: str) -> None:
    for one in parse(text, "merge", "m", frozenset()):
        assert isinstance(one, Fault | Example)


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 5))
def test_a_model_is_asked_for_what_is_missing_and_not_for_ever(wanted: int, at_once: int, gives: int) -> None:
    asked: list[int] = []

    def ask(count: int) -> str:
        asked.append(count)
        start = 100 * len(asked)
        return json.dumps([{"input": f"q{start + number}", "output": "a"} for number in range(min(gives, count))])

    found, _ = collect(ask, wanted, at_once, lambda text: parse(text, "merge", "m", frozenset()))
    assert len(found) <= wanted and len(asked) <= 2 * math.ceil(wanted / at_once)
    assert all(0 < count <= at_once for count in asked)
    assert gives == 0 or len(found) == wanted or len(asked) == 2 * math.ceil(wanted / at_once)


# --- miners and logs ------------------------------------------------------------------------------------------------


def write(file: Path, *lines: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        "".join(line + "\n" if isinstance(line, str) else json.dumps(line) + "\n" for line in lines), "utf-8"
    )
    return file


def test_the_miners_give_each_family_what_is_nearest_and_nothing_twice(tmp_path: Path) -> None:
    plan = a_plan(tmp_path)
    near = {"input": "How is a convoy dispatched?", "output": "Sling its bead to the rig, then dispatch."}
    far = {"input": "Zzz?", "output": "Qqq."}
    write(tmp_path / "mined" / "mayor.jsonl", near, far, "no json", {"input": "only this"}, [1])
    found = from_miners(plan, ["dispatch", "convoy"])
    assert [(one.input, one.generated_by) for one in found] == [(near["input"], "mined")]
    assert from_miners(a_plan(tmp_path / "none"), ["dispatch"]) == []


def test_logs_of_the_role_are_copied_once_and_those_of_a_source_not(tmp_path: Path) -> None:
    plan = a_plan(tmp_path)
    mine, others = {"role": "mayor", "n": 1}, {"role": "crew", "n": 2}
    write(tmp_path / "captures" / "a.jsonl", mine, others, "torn {")
    write(tmp_path / "comparisons" / "b.jsonl", {"n": 3})
    assert copy_logs(plan, tmp_path / "logs.jsonl", {"sources": []}) == 2
    assert [json.loads(line)["n"] for line in (tmp_path / "logs.jsonl").read_text().splitlines()] == [1, 3]
    own = {"sources": [{"kind": "pairs", "path": str(tmp_path / "captures")}]}
    assert copy_logs(plan, tmp_path / "logs.jsonl", own) == 1
