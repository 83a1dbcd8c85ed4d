"""Pairs and judged replies from what people did: which become rows, why others do not, and what no row may show."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from data import shelf
from data.config import (
    ConfigError,
    DataConfig,
    OutcomeConfig,
    OverlapConfig,
    PreferencesConfig,
    RoleConfig,
    WindowConfig,
    load_config,
)
from data.extract import preferences as extract
from data.extract.preferences import Kind
from data.finished import Preferred
from data.forms import Form, load_form
from data.preferences import Maker, prefer, problems_of
from data.record import (
    Assistant,
    Conversation,
    Drop,
    Message,
    Origin,
    ResultStatus,
    Tool,
    ToolCall,
    User,
    UserKind,
)
from data.render import LEFT_OUT
from data.shelf import Shelf
from data.signals.facts import BeadFate, Fact
from data.stage import Ledger, LedgerImbalance, Stage, check
from data.stages import ORDER
from data.transform import preferences as transform
from data.transform.chunker import chunker
from data.transform.outcome import outcome
from data.transform.overlap import overlap
from data.validate.preference_shape import fits
from data.validate.preferences import check_preference, metadata_of, validator

BASE = "Qwen/Qwen2.5-7B-Instruct"
ROLES = {"unknown": RoleConfig("[AGENT] You help.")}
BEADS = {"gt-a1": BeadFate.LANDED, "gt-b2": BeadFate.REOPENED}
ERROR, OK, REJECTED, PLAN = (
    ResultStatus.ERROR,
    ResultStatus.OK,
    ResultStatus.REJECTED,
    ResultStatus.ACCEPTED_PLAN,
)
NO = "The user doesn't want to proceed with this tool use. The tool use was rejected."
NOT_READ = "<tool_use_error>File has not been read yet. Read it first before writing to it.</tool_use_error>"
STOP = "[Request interrupted by user]"


@functools.cache
def form() -> Form:
    return load_form(BASE, "xml")


def says(text: str, name: str = "first") -> list[Message]:
    return [Assistant(text, name)]


def does(tool: str, arguments: dict[str, Any], text: str, status: ResultStatus = OK, name: str = "m") -> list[Message]:
    """A reply with one call, and its result."""
    call = ToolCall(f"call-{name}", tool, json.dumps(arguments))
    return [Assistant("", name, calls=(call,), file="a.jsonl", line=3), Tool(call.id, tool, text, status)]


def runs(command: str, text: str = "done", status: ResultStatus = OK, name: str = "m") -> list[Message]:
    return does("Bash", {"command": command}, text, status, name)


def edits(path: str, text: str = "updated", status: ResultStatus = OK, name: str = "m") -> list[Message]:
    return does("Edit", {"file_path": path, "old_string": "a", "new_string": "b"}, text, status, name)


def human(text: str, kind: UserKind = UserKind.PROMPT) -> list[Message]:
    return [User(text, kind)]


def refused(*words: str) -> list[Message]:
    """A call that somebody refused, with or without words."""
    said = [User(text, UserKind.REJECTION) for text in words]
    return [*edits("a.py", NO, REJECTED, "first"), *said]


def settings(limit: int = 2048, window: int = 4096, **switches: bool) -> DataConfig:
    preferences = PreferencesConfig(max_tokens=limit, **switches)
    return DataConfig(BASE, (), ROLES, windows=WindowConfig(max_tokens=window), preferences=preferences)


def passes(conversation: Conversation) -> list[Conversation | Drop]:
    return [conversation]


def chosen_from(
    messages: Sequence[Message], config: DataConfig | None = None, compare: Stage = passes
) -> tuple[list[Preferred], list[Drop], Ledger]:
    """The rows and drops of a conversation and their books; between them the stages that a build has."""
    config = config or settings()
    whole = Conversation("s:0.0", Origin("sessions", "s", "s"), tuple(messages))
    [judged] = [one for one in outcome(OutcomeConfig(), BEADS)(whole) if isinstance(one, Conversation)]
    cut = [one for one in chunker(config.windows, ROLES, form())(judged) if isinstance(one, Conversation)]
    ledger = Ledger()
    found = list(prefer(judged, cut, Maker(config, form(), compare), ledger))
    rows = [one for one in found if isinstance(one, Preferred)]
    return rows, [one for one in found if isinstance(one, Drop)], ledger


def told(messages: Sequence[Message], config: DataConfig | None = None) -> set[tuple[str, str]]:
    """(method and kind, what became of it) for each candidate of a conversation."""
    rows, drops, _ = chosen_from(messages, config)
    kept = {(f"{row.method}: {row.kind}", "row") for row in rows}
    return kept | {(drop.detail, drop.reason) for drop in drops}


def pair_of(messages: Sequence[Message], config: DataConfig | None = None) -> dict[str, Any]:
    """The one pair of a conversation, its metadata decoded."""
    rows, _, _ = chosen_from(messages, config)
    [row] = [msgspec.json.decode(row.line) for row in rows if row.method == "dpo"]
    return {**row, "metadata": metadata_of(row)}


BEGIN = human("Rename the queue, please.")
NEXT = edits("b.py", name="next")
READ = does("Read", {"file_path": "a.py"}, "x", name="next")
DONE = says("The queue is renamed.", "next")
WANTED: dict[Kind, list[Message]] = {
    Kind.REJECTED: [*BEGIN, *refused("Read it first."), *NEXT],
    Kind.CORRECTED: [*BEGIN, *says("I renamed the cache."), *human("No, not that. The queue."), *DONE],
    Kind.REPAIRED: [*BEGIN, *edits("a.py", NOT_READ, ERROR, "first"), *READ, *edits("a.py", name="last")],
    Kind.ACCEPTED: [*BEGIN, *says("Shall I rename the cache, too?"), *human("yes, please"), *DONE],
    Kind.LANDED: [*BEGIN, *runs("bd close gt-a1", name="first"), *says("It is merged now.", "next")],
    Kind.RETURNED: [*BEGIN, *runs("bd close gt-b2", name="first"), *says("It is merged now.", "next")],
}  # fmt: skip
PAIRED = (Kind.REJECTED, Kind.CORRECTED, Kind.REPAIRED)


@pytest.mark.parametrize("kind", [*WANTED])
def test_what_happened_to_a_reply_becomes_rows_of_its_kind(kind: Kind) -> None:
    expected = {(f"kto: {kind}", "row")} | ({(f"dpo: {kind}", "row")} if kind in PAIRED else set())
    assert told(WANTED[kind]) == expected


def test_every_kind_but_a_bare_interrupt_can_be_a_row() -> None:
    assert set(WANTED) == set(Kind) - {Kind.INTERRUPTED}


@pytest.mark.parametrize(("kind", "better"), [(kind, kind in (Kind.ACCEPTED, Kind.LANDED)) for kind in WANTED])
def test_a_judged_reply_is_one_to_learn_where_it_was_wanted(kind: Kind, better: bool) -> None:
    rows, _, _ = chosen_from(WANTED[kind])
    [row] = [msgspec.json.decode(row.line) for row in rows if row.method == "kto"]
    assert row["label"] is better
    assert metadata_of(row)["judged_id"] == "first"


@pytest.mark.parametrize(
    ("kind", "saw"), [(Kind.REJECTED, "words"), (Kind.CORRECTED, "words"), (Kind.REPAIRED, "error")]
)
def test_a_pair_says_what_its_better_side_had_seen(kind: Kind, saw: str) -> None:
    about = pair_of(WANTED[kind])["metadata"]
    assert (about["judged_id"], about["chosen_id"]) == ("first", "next")
    assert (about["chosen_by"], about["chosen_saw"]) == ("model", saw)


def test_a_pair_holds_both_replies_behind_what_they_answer() -> None:
    pair = pair_of(
        [*human("Look around."), *runs("ls", name="look"), *human("Now rename."), *WANTED[Kind.REJECTED][1:]]
    )
    assert [message["role"] for message in pair["messages"]] == ["system", "user", "assistant", "user"]
    assert pair["messages"][-1]["content"].endswith("Now rename.")
    assert '"a.py"' in pair["rejected"]["content"] and '"b.py"' in pair["chosen"]["content"]


def test_the_better_side_of_a_failed_attempt_is_the_first_step_that_worked() -> None:
    again = edits("a.py", NOT_READ, ERROR, "again")
    messages = [*BEGIN, *edits("a.py", NOT_READ, ERROR, "first"), *again, *WANTED[Kind.REPAIRED][3:]]
    rows, _, _ = chosen_from(messages)
    pairs = [metadata_of(msgspec.json.decode(row.line)) for row in rows if row.method == "dpo"]
    assert [(one["judged_id"], one["chosen_id"]) for one in pairs] == [("first", "next"), ("again", "next")]


def test_a_prompt_that_is_too_long_keeps_the_words_of_its_turn_and_the_last_steps() -> None:
    looks = [step for n in range(6) for step in runs(f"cat part{n}", f"part {n} " * 40, name=f"look{n}")]
    messages = [*human("Rename the queue, please."), *looks, *WANTED[Kind.REJECTED][1:]]
    whole, short = pair_of(messages, settings(2048)), pair_of(messages, settings(400))
    assert len(short["messages"]) < len(whole["messages"])
    assert short["messages"][1]["content"] == f"Rename the queue, please.\n\n{LEFT_OUT}"
    kept = len(short["messages"]) - 2
    assert short["messages"][2:] == whole["messages"][-kept:]
    assert (short["chosen"], short["rejected"]) == (whole["chosen"], whole["rejected"])


OWN = "<bash-input>git mv a.py b.py</bash-input>"


def test_a_command_that_a_person_ran_instead_is_marked_as_theirs() -> None:
    messages = [
        *BEGIN,
        *runs("mv a.py b.py", NO, REJECTED, "first"),
        *human(OWN, UserKind.SHELL),
        *says("It is moved.", "n"),
    ]
    pair = pair_of(messages)
    assert pair["chosen"]["content"] == (
        '<tool_call>\n{"name": "Bash", "arguments": {"command": "git mv a.py b.py"}}\n</tool_call>'
    )
    about = pair["metadata"]
    assert (about["chosen_by"], about["chosen_saw"], about["chosen_id"]) == ("person", "nothing", "")


def test_an_interrupt_is_a_correction_where_the_next_words_are_one() -> None:
    stopped = [*BEGIN, *runs("sleep 900", name="first"), *human(STOP, UserKind.INTERRUPT)]
    corrected = [*stopped, *human("no, not that"), *runs("ls", name="next")]
    assert told(corrected) == {("dpo: corrected reply", "row"), ("kto: corrected reply", "row")}
    other = [*stopped, *human("by the way, which branch is it?"), *runs("git branch", name="next")]
    assert told(other) == {(f"{method}: interrupted reply", extract.Reason.NO_WORD) for method in ("dpo", "kto")}


TAKEN = does("ExitPlanMode", {"plan": "Rename it."}, NO, PLAN, "first")


def test_an_accepted_plan_is_no_rejection() -> None:
    messages = [*BEGIN, *TAKEN, *human(f"{STOP} for tool use", UserKind.INTERRUPT), *says("The plan is done.", "next")]
    assert told(messages) == {("kto: accepted reply", "row")}


def asks() -> list[Message]:
    return does("AskUserQuestion", {"questions": []}, NO, REJECTED, "first")


def two_calls(second: ResultStatus) -> list[Message]:
    calls = tuple(ToolCall(name, "Bash", '{"command": "ls"}') for name in ("x", "y"))
    return [Assistant("", "first", calls=calls), Tool("x", "Bash", NO, REJECTED), Tool("y", "Bash", "a.py", second)]


SAID = User("Read it first.", UserKind.REJECTION)
LONG = "word " * 3000
LEFT: dict[str, tuple[list[Message], str, str]] = {
    extract.Reason.NO_WORD: ([*BEGIN, *refused(), *NEXT], "dpo: rejected call", ""),
    extract.Reason.A_QUESTION: ([*BEGIN, *asks(), SAID, *says("What do you mean?", "next")], "dpo: rejected call", ""),
    extract.Reason.PARTLY: ([*BEGIN, *two_calls(OK), SAID, *NEXT], "kto: rejected call", ""),
    extract.Reason.NOTHING_CAME: ([*BEGIN, *refused("Read it first.")], "dpo: rejected call", ""),
    extract.Reason.NO_BETTER: (
        [*BEGIN, *refused("Read it first."), *edits("b.py", NO, REJECTED, "next"), SAID, *says("As you say.", "last")],
        "dpo: rejected call",
        "",
    ),
    extract.Reason.ONLY_TALK: ([*BEGIN, *refused("Why?"), *says("Because it is red.", "n")], "dpo: rejected call", ""),
    extract.Reason.BEADS_DIFFER: (
        [*BEGIN, *runs("bd close gt-a1", name="first"), *runs("bd close gt-b2"), *DONE], "kto: work that came back", ""
    ),
    extract.Reason.NOT_HANDED_IN: ([*BEGIN, *runs("bd show gt-a1", name="first"), *says("I see it.", "n")],
                                   "kto: work that landed", ""),
    transform.Reason.EQUAL: ([*BEGIN, *refused("Again, please."), *edits("a.py")], "dpo: rejected call", ""),
    transform.Reason.TOO_SHORT: ([*BEGIN, *says("No."), *human("no, not that"), *says("Then yes, of course.", "n")],
                                 "dpo: corrected reply", ""),
    transform.Reason.TOO_LONG: (
        [*human("Look."), *runs("cat a", LONG, name="look"), *WANTED[Kind.REJECTED][1:]], "dpo: rejected call", "200"
    ),
    transform.Reason.NOT_SHOWN: (
        [*BEGIN, *says(2 * LONG), *human("no, not that"), *says("Then less of it.", "n")], "dpo: corrected reply", ""
    ),
}  # fmt: skip


@pytest.mark.parametrize("reason", [*LEFT])
def test_a_candidate_that_teaches_nothing_leaves_under_its_name(reason: str) -> None:
    messages, detail, limit = LEFT[reason]
    rows, drops, ledger = chosen_from(messages, settings(int(limit or 2048)))
    assert (detail, reason) in {(drop.detail, drop.reason) for drop in drops}
    assert not [row for row in rows if f"{row.method}: {row.kind}" == detail and metadata_of(
        msgspec.json.decode(row.line))["judged_id"] == "first"]  # fmt: skip
    assert ledger.preferences[detail].left[reason] == 1


def test_every_reason_has_a_test() -> None:
    assert {*LEFT, transform.Reason.OVERLAPS} == {*extract.Reason, *transform.Reason}


ANSWER = "The cache of the mayor has to be renamed before the queue of the deacon, and never the other way round."


@pytest.mark.parametrize("side", ["judged", "better"])
def test_neither_side_of_a_pair_may_hold_what_evaluation_asks(tmp_path: Path, side: str) -> None:
    scenario = {
        "id": "mayor-1",
        "messages": [{"role": "user", "content": "Which one first?"}],
        "gold": [{"content": ANSWER}],
    }
    (tmp_path / "mayor.jsonl").write_text(json.dumps(scenario) + "\n")
    replies = ("I renamed the cache.", ANSWER) if side == "better" else (ANSWER, "I renamed the queue.")
    messages = [*BEGIN, *says(replies[0]), *human("no, not that"), *says(replies[1], "next")]
    _, drops, _ = chosen_from(messages, compare=overlap(OverlapConfig(prompts=str(tmp_path))))
    assert ("dpo: corrected reply", transform.Reason.OVERLAPS) in {(drop.detail, drop.reason) for drop in drops}
    assert ("dpo: corrected reply", "row") in told(messages)


def test_a_refusal_without_a_word_judges_the_reply_all_the_same() -> None:
    assert ("kto: rejected call", "row") in told(LEFT[extract.Reason.NO_WORD][0])


# Every text has the number of its message, so that what a row shows can be told.
WORDS = ["no, not that #", "yes, go on #", "and now the next #", "stop # it", "thanks for # of it", STOP]
RESULTS = ["done #", "done #", NOT_READ, NOT_READ, "Exit code 1\nred #", "a longer # result. " * 40]
COMMANDS = ["pytest -q", "bd close gt-a1", "bd close gt-b2", "gt done", "ls"]


@st.composite
def dialogues(draw: st.DrawFn) -> list[Message]:
    """A conversation in which all sorts of things happen to replies; each text is marked with its place."""
    messages: list[Message] = [User("Begin with #0.")]
    for number in range(draw(st.integers(1, 8))):
        tools = st.sampled_from(["Edit", "Edit", "Bash", "ExitPlanMode"])
        commands = draw(st.lists(st.sampled_from(COMMANDS), max_size=2))
        arguments = [json.dumps({"command": f"{command} #", "file_path": "a"}) for command in commands]
        calls = tuple(ToolCall(f"{number}.{i}", draw(tools), text) for i, text in enumerate(arguments))
        messages.append(
            Assistant(draw(st.sampled_from(["Let me see #.", "Is # well?", "# " * 60])), f"m{number}", calls=calls)
        )
        for call in calls:
            status = draw(st.sampled_from([OK, OK, OK, ERROR, REJECTED, PLAN]))
            messages.append(Tool(call.id, call.name, draw(st.sampled_from(RESULTS)), status))
        kinds = st.sampled_from([UserKind.PROMPT, UserKind.REJECTION, UserKind.INTERRUPT, UserKind.SHELL])
        least, most = draw(st.sampled_from([(0, 0), (0, 2)])) if calls else (1, 2)
        messages += draw(st.lists(st.builds(User, st.sampled_from(WORDS), kinds), min_size=least, max_size=most))
    return [marked(message, place) for place, message in enumerate(messages)]


def marked(message: Message, place: int) -> Message:
    mark = f"<{place}>"
    if isinstance(message, Assistant):
        calls = tuple(replace(call, arguments=call.arguments.replace("#", mark)) for call in message.calls)
        return replace(message, text=message.text.replace("#", mark), calls=calls)
    return replace(message, text=message.text.replace("#", mark))


def marks(*texts: str) -> set[int]:
    return {int(place) for text in texts for place in re.findall(r"<(\d+)>", text)}


def contents(messages: Sequence[dict[str, str]]) -> list[str]:
    return [message["content"] for message in messages]


limits = st.sampled_from([150, 300, 600, 2048])


@given(dialogues(), limits)
def test_nothing_that_came_after_a_reply_is_in_its_prompt(messages: list[Message], limit: int) -> None:
    places = {message.id: at for at, message in enumerate(messages) if isinstance(message, Assistant)}
    rows, _, _ = chosen_from(messages, settings(limit, window=700))
    for row in (msgspec.json.decode(row.line) for row in rows):
        about = metadata_of(row)
        at = places[about["judged_id"]]
        before = row["messages"] if "chosen" in row else row["completion"][:-1]
        judged = row["rejected"] if "chosen" in row else row["completion"][-1]
        assert all(place < at for place in marks(*contents(before)))
        assert max(marks(judged["content"]), default=at) == at
        if "chosen" in row and about["chosen_id"]:
            assert max(marks(row["chosen"]["content"])) == places[about["chosen_id"]] > at


@given(dialogues(), limits)
def test_a_row_keeps_the_contract_and_its_exact_size_the_limit(messages: list[Message], limit: int) -> None:
    rows, _, _ = chosen_from(messages, settings(limit, window=700))
    for row in (msgspec.json.decode(row.line) for row in rows):
        assert check_preference(row) == []
        about = metadata_of(row)
        shown = row["messages"] if "chosen" in row else row["completion"][:-1]
        sides = [row["chosen"], row["rejected"]] if "chosen" in row else row["completion"][-1:]
        exchanges = len(shown) // 2
        frame = form().opening + exchanges * form().exchange
        counts = form().counter.counts([*contents(shown), *contents(sides)])
        sizes = counts[len(shown) :]
        assert about["tokens"] == frame + sum(counts[: len(shown)]) + max(sizes) <= limit
        assert about["trained_tokens"] == sum(sizes) + len(sizes) * form().loss_offset


@given(dialogues(), limits)
def test_every_candidate_becomes_a_row_or_leaves_under_a_name(messages: list[Message], limit: int) -> None:
    rows, drops, ledger = chosen_from(messages, settings(limit, window=700))
    for books in ledger.preferences.values():
        books.rows = books.found - sum(books.left.values())
        assert books.rows >= 0
    assert sum(books.rows for books in ledger.preferences.values()) == len(rows)
    assert sum(sum(books.left.values()) for books in ledger.preferences.values()) == len(drops)
    check(ledger, ORDER)


@given(dialogues())
def test_no_reply_is_judged_twice(messages: list[Message]) -> None:
    whole = Conversation("s:0.0", Origin("sessions", "s", "s"), tuple(messages), facts=(Fact.BEAD_LANDED,))
    judged = [(one.method, one.at) for one in extract.candidates(whole, 5)]
    assert len(set(judged)) == len(judged)


def test_books_that_do_not_balance_stop_the_build() -> None:
    ledger = Ledger()
    ledger.choices("dpo: rejected call").found = 2
    ledger.choices("dpo: rejected call").drop("longer than the limit")
    with pytest.raises(LedgerImbalance, match="dpo: rejected call: 2 were found, 1 are accounted for"):
        check(ledger, ORDER)


def rows_of(session: str, started: str, *messages: Message) -> list[Preferred]:
    rows, _, _ = chosen_from(messages)
    return [replace(row, id=row.id.replace("s:", f"{session}:"), started=started) for row in rows]


def settled(rows: Sequence[Preferred]) -> tuple[list[str], set[str]]:
    """The ids that stay in order, and the reasons of the others."""
    ledger, left = Ledger(), []
    with TemporaryDirectory() as folder, Shelf(Path(folder) / "spool") as shelf:
        for row in rows:
            shelf.add(row)
        stay = [f"{row.method} {row.id}" for row in shelf.settle(ledger, left.append)]
    assert sum(books.rows for books in ledger.preferences.values()) == len(stay)
    return stay, {drop.reason for drop in left}


def test_of_rows_that_say_the_same_the_earliest_stays_wherever_it_was_found() -> None:
    late = rows_of("a", "2026-01-06", *WANTED[Kind.REJECTED])
    early = rows_of("b", "2026-01-05", *WANTED[Kind.REJECTED])
    assert settled([*late, *early]) == (["dpo b:0.0~1", "kto b:0.0~1"], {shelf.Reason.EXACT})


def test_a_reply_that_two_sessions_share_is_judged_once() -> None:
    early = rows_of("a", "2026-01-05", *WANTED[Kind.REJECTED])
    fork = rows_of("b", "2026-01-06", *human("Elsewhere."), *says("I look.", "zero"), *WANTED[Kind.REJECTED])
    assert settled([*early, *fork]) == (["dpo a:0.0~1", "kto a:0.0~1"], {shelf.Reason.SAME_REPLY})


def test_a_secret_that_passed_the_redaction_stops_a_row() -> None:
    key = "aws_secret_access_key = 'wJalrXUtnFEMIK7MDENGbPxRfiCYzT5pQ8sLmN2v'"
    [row, *_] = rows_of("a", "", *human(f"Use {key}"), *WANTED[Kind.REJECTED][1:])
    problems = list(problems_of([row], settings()))
    assert problems and all("a:0.0~1" in problem and "wJalr" not in problem for problem in problems)


PAIR = {
    "messages": [{"role": "system", "content": "You help."}, {"role": "user", "content": "Go."}],
    "chosen": {"role": "assistant", "content": "I went there."},
    "rejected": {"role": "assistant", "content": "I stayed here."},
}
ABOUT = {"id": "s:0.0~1", "role": "crew", "session_id": "s", "source": "sessions", "kind": "rejected call",
         "judged_id": "m1", "chosen_id": "m2", "chosen_by": "model", "chosen_saw": "words", "tokens": 40,
         "trained_tokens": 10}  # fmt: skip
GOOD = {**PAIR, "metadata": json.dumps(ABOUT)}
USER = {"role": "user", "content": "Go."}
BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"metadata": ABOUT}, "metadata is no JSON in a text"),
    ({"metadata": "[]"}, "metadata is no JSON in a text"),
    ({"metadata": json.dumps({**ABOUT, "chosen_by": "somebody"})}, "'somebody' is not one of"),
    ({"metadata": json.dumps({key: ABOUT[key] for key in ABOUT if key != "kind"})}, "'kind' is a required property"),
    ({"more": 1}, "Additional properties are not allowed"),
    ({"chosen": PAIR["rejected"]}, "chosen and rejected say the same"),
    ({"chosen": USER}, "'assistant' was expected"),
    ({"chosen": {"from": "gpt", "value": "x"}}, "'role' is a required property"),
    ({"messages": [*PAIR["messages"], USER]}, "user and assistant must take turns"),
    ({"messages": PAIR["messages"][1:]}, "is too short"),
    ({"rejected": {"role": "assistant", "content": " I stayed."}}, "begins or ends with white space"),
    ({"rejected": {"role": "assistant", "content": "I stayed.<|im_end|>"}}, "holds the control token <|im_end|>"),
    ({"rejected": {"role": "assistant", "content": "<tool_call>\nno"}}, "with rejected: message 2"),
]


JUDGED = {"completion": [*PAIR["messages"], PAIR["chosen"]], "label": True}
OF_JUDGED = {key: value for key, value in ABOUT.items() if not key.startswith("chosen")}


def test_a_good_row_keeps_the_contract() -> None:
    assert check_preference(GOOD) == []
    assert check_preference({**JUDGED, "metadata": json.dumps(OF_JUDGED)}) == []


SPOILT = st.sampled_from([0, 1, "", "x", None, [], {}, True, {"role": "system", "content": "x"}, "rejected call"])


@given(st.sampled_from([{**PAIR, "metadata": ABOUT}, {**JUDGED, "metadata": OF_JUDGED}]), st.data())
def test_the_types_and_the_schema_say_the_same(row: dict[str, Any], data: st.DataObject) -> None:
    row = json.loads(json.dumps(row))
    inside = data.draw(st.sampled_from([row, row["metadata"], row.get("messages", row.get("completion"))]))
    place = data.draw(st.sampled_from([*range(len(inside))] if isinstance(inside, list) else sorted(inside)))
    if data.draw(st.booleans()):
        inside[place] = data.draw(SPOILT)
    assert fits(row) == validator("chosen" in row).is_valid(row)


@pytest.mark.parametrize(("change", "problem"), BROKEN)
def test_a_broken_pair_is_told_what_is_wrong(change: dict[str, Any], problem: str) -> None:
    assert problem in " ".join(check_preference({**GOOD, **change}))


def test_a_limit_that_holds_nothing_is_refused(root: Path, tmp_path: Path) -> None:
    text = (root / "configs/data.yml").read_text("utf-8")
    path = tmp_path / "data.yml"
    path.write_text(text.replace("max_tokens: 2048", "max_tokens: 20"), "utf-8")
    with pytest.raises(ConfigError, match=r"preferences\.max_tokens is 20; a row needs at least 128 tokens"):
        load_config(path)
