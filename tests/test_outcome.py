"""Which replies are learned, what is known of a session's end, and the score that comes of both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from data.config import OutcomeConfig, QualityConfig, QualityWeights
from data.extract.bead_outcomes import bead_fates
from data.extract.sessions import read, units
from data.record import (
    Assistant,
    Conversation,
    Drop,
    Message,
    Origin,
    Quality,
    ResultStatus,
    Tool,
    ToolCall,
    User,
    UserKind,
    replies,
)
from data.signals.facts import BeadFate, Fact
from data.signals.people import approves, corrects
from data.signals.score import rate, score
from data.signals.shell import commands_of
from data.stage import Ledger, check, run
from data.transform import quality_filter as quality
from data.transform.outcome import STAGE, Reason, outcome
from data.transform.quality_filter import quality_filter
from tests.transcripts import Script

REJECTION = "The user doesn't want to proceed with this tool use. The tool use was rejected."
NOT_READ = "<tool_use_error>File has not been read yet. Read it first before writing to it.</tool_use_error>"
SIBLING = "<tool_use_error>Sibling tool call errored</tool_use_error>"
RED = "Exit code 1\nFAILED tests/test_queue.py::test_order - assert 1 == 2\n1 failed, 8 passed in 0.31s"
GREEN = "9 passed in 0.30s"

ERROR, OK, REJECTED, PLAN_TAKEN = (
    ResultStatus.ERROR,
    ResultStatus.OK,
    ResultStatus.REJECTED,
    ResultStatus.ACCEPTED_PLAN,
)


def says(text: str, name: str = "m") -> Assistant:
    return Assistant(text, name, said=len(text), chars=len(text), tokens=len(text) + 1)


def does(tool: str, arguments: dict[str, Any], text: str, status: ResultStatus = OK, name: str = "m") -> list[Message]:
    """A reply with one call, and its result."""
    call = ToolCall(f"call-{name}", tool, json.dumps(arguments))
    reply = Assistant("", name, calls=(call,), chars=len(call.arguments), tokens=9, file="a.jsonl", line=3)
    return [reply, Tool(call.id, tool, text, status)]


def runs(command: str, text: str = "done", status: ResultStatus = OK, name: str = "m") -> list[Message]:
    return does("Bash", {"command": command}, text, status, name)


def edits(path: str, text: str = "updated", status: ResultStatus = OK, name: str = "m") -> list[Message]:
    return does("Edit", {"file_path": path, "old_string": "a", "new_string": "b"}, text, status, name)


def human(text: str, kind: UserKind = UserKind.PROMPT) -> User:
    return User(text, kind)


def conversation(*messages: Message, branch: str = "", facts: tuple[str, ...] = ()) -> Conversation:
    return Conversation("c", Origin("sessions", "s", "s", branch=branch), messages, facts=facts)


def judged(item: Conversation, beads: dict[str, BeadFate] | None = None, **switches: Any) -> list[Conversation | Drop]:
    return list(outcome(OutcomeConfig(**switches), beads or {})(item))  # type: ignore[arg-type]


def unlearned(*messages: Message, **switches: Any) -> dict[str, str]:
    """The reason for each reply that is not learned, by its name."""
    drops = [item for item in judged(conversation(*messages), **switches) if isinstance(item, Drop)]
    return {drop.subject: drop.reason for drop in drops}


def facts(*messages: Message, branch: str = "", beads: dict[str, BeadFate] | None = None) -> list[str]:
    (item,) = [x for x in judged(conversation(*messages, branch=branch), beads) if isinstance(x, Conversation)]
    return list(item.facts)


def points(messages: Sequence[Message], known: Sequence[str] = ()) -> float:
    return score(rate(messages, known), QualityWeights())


TEXTS = ["", "done", NOT_READ, SIBLING, RED, GREEN, REJECTION, "Exit code 2\nusage: gt hook", "Error: no", "No files"]
WORDS = ["no, not that", "yes", "yes, but smaller", "Now the next one.", "stop", "thanks", "wrong file", ""]
COMMANDS = ["pytest -q", "git commit -m x", "git push", "gh pr create", "gt hook", "bd close gt-a1", "ls"]


@st.composite
def steps(draw: st.DrawFn, at: int) -> list[Message]:
    """A reply with some calls, all or some of their results, and some words after it."""
    calls = []
    for n in range(draw(st.integers(0, 2))):
        tool, target = draw(st.sampled_from(["Bash", "Edit", "Read", "ExitPlanMode"])), draw(st.sampled_from(COMMANDS))
        calls.append(ToolCall(f"{at}-{n}", tool, json.dumps({"command": target, "file_path": target[:4]})))
    text = draw(st.sampled_from(["Done.", "Shall I go on?", ""]))
    chars = len(text) + sum(len(call.arguments) for call in calls)
    reply = Assistant(text, f"m{at}", calls=tuple(calls), train=draw(st.booleans()), said=len(text), chars=chars)
    status = st.sampled_from(list(ResultStatus))
    results = [Tool(call.id, call.name, draw(st.sampled_from(TEXTS)), draw(status)) for call in calls]
    said = st.builds(User, st.sampled_from(WORDS), st.sampled_from(list(UserKind)))
    return [reply, *results, *draw(st.lists(said, max_size=2))]


@st.composite
def dialogues(draw: st.DrawFn) -> list[list[Message]]:
    return [draw(steps(at)) for at in range(draw(st.integers(0, 6)))]


def flat(parts: Sequence[Sequence[Message]]) -> list[Message]:
    return [message for part in parts for message in part]


known_facts = st.lists(st.sampled_from([*Fact, "something_else"]), unique=True)
FATES = {"gt-a1": BeadFate.LANDED}


@given(dialogues(), known_facts)
def test_what_is_not_learned_is_weighed_and_nothing_else_changes(parts: list[list[Message]], known: list[str]) -> None:
    before = conversation(human("Begin."), *flat(parts), facts=tuple(known))
    ledger = Ledger()
    ledger.admit(before)
    items = list(run([before], [(STAGE, outcome(OutcomeConfig(), FATES))], ledger))
    check(ledger, [STAGE])
    (after,) = [item for item in items if isinstance(item, Conversation)]
    gone = {drop.subject for drop in items if isinstance(drop, Drop)}
    for one, other in zip(before.messages, after.messages, strict=True):
        lost = isinstance(one, Assistant) and one.id in gone
        assert other == (replace(one, train=False) if lost else one)
        assert not lost or (isinstance(one, Assistant) and one.train)


@given(dialogues(), known_facts)
def test_judging_again_changes_nothing(parts: list[list[Message]], known: list[str]) -> None:
    stage = outcome(OutcomeConfig(), FATES)
    (once,) = [x for x in stage(conversation(*flat(parts), facts=tuple(known))) if isinstance(x, Conversation)]
    assert list(stage(once)) == [once]


@given(dialogues(), known_facts)
def test_a_score_and_its_parts_are_in_0_to_1(parts: list[list[Message]], known: list[str]) -> None:
    window = conversation(*flat(parts), facts=tuple(known))
    (rated,) = quality_filter(QualityConfig(min_trained_tokens=0, min_score=0))(window)
    assert isinstance(rated, Conversation)
    assert 0 <= rated.quality <= 1
    assert all(0 <= value <= 1 for value in asdict(rated.parts).values())
    assert round(rated.quality, 3) == rated.quality


@given(dialogues(), known_facts, st.data())
def test_an_accepted_plan_never_lowers_a_score(
    parts: list[list[Message]], known: list[str], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(parts)))
    stopped = data.draw(
        st.sampled_from([[], [human("[Request interrupted by user for tool use]", UserKind.INTERRUPT)]])
    )
    plan = [*does("ExitPlanMode", {"plan": "p"}, REJECTION, PLAN_TAKEN), *stopped]
    assert points(flat([*parts[:at], plan, *parts[at:]]), known) >= points(flat(parts), known)


FAILURES = [
    edits("a.py", NOT_READ, ERROR),
    runs("gt hoook", "Exit code 1\nError: unknown command", ERROR),
    runs("pytest -q", RED, ERROR),
    [*edits("a.py", REJECTION, REJECTED)],
    [says("Done."), human("[Request interrupted by user]", UserKind.INTERRUPT)],
    [says("Done."), human("no, not that")],
]


@given(dialogues(), known_facts, st.data())
def test_more_failures_never_raise_a_score(parts: list[list[Message]], known: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(parts)))
    more = data.draw(st.sampled_from(FAILURES))
    assert points(flat([*parts[:at], more, *parts[at:]]), known) <= points(flat(parts), known)


@given(st.lists(st.booleans(), max_size=5), st.data())
def test_a_red_test_run_never_raises_a_score(greens: list[bool], data: st.DataObject) -> None:
    def ended(results: list[bool]) -> float:
        tests = [runs("pytest -q", GREEN) if green else runs("pytest -q", RED, ERROR) for green in results]
        return rate([], facts(*flat(tests))).tests

    at = data.draw(st.integers(0, len(greens)))
    assert ended([*greens[:at], False, *greens[at:]]) <= max(ended(greens), 0.5)
    if greens:
        assert ended([*greens[:at], False, *greens[at:]]) <= ended(greens)


CONTINUED = [says("Next.", "next")]
UNLEARNED: dict[Reason, list[list[Message]]] = {
    Reason.REJECTED: [
        [*edits("a.py", REJECTION, REJECTED), human("Rename it first.", UserKind.REJECTION), *CONTINUED],
        [*edits("a.py", REJECTION, REJECTED), human("[Request interrupted by user for tool use]", UserKind.INTERRUPT)],
        [*does("ExitPlanMode", {"plan": "p"}, REJECTION, REJECTED), human("Too big.", UserKind.REJECTION), *CONTINUED],
    ],
    Reason.INTERRUPTED: [
        [says("Let me think about"), human("[Request interrupted by user]", UserKind.INTERRUPT), human("Leave it.")],
        [*runs("sleep 900"), human("[Request interrupted by user for tool use]", UserKind.INTERRUPT), *CONTINUED],
    ],
    Reason.CORRECTED: [
        [says("I renamed the queue."), human("No, not that. The cache."), *CONTINUED],
        [*edits("a.py"), human("wrong file", UserKind.BESIDE_RESULT), *CONTINUED],
        [*edits("a.py"), human("stop, I meant the other one", UserKind.QUEUED), *CONTINUED],
    ],
    Reason.REPAIRED: [
        [
            *edits("a.py", NOT_READ, ERROR),
            *does("Read", {"file_path": "a.py"}, "x", name="r"),
            *edits("a.py", name="e"),
        ],
        [*runs("gt hoook", "Exit code 1\nError: unknown command", ERROR), *runs("gt hook", name="e")],
        [*runs("pytest", "Exit code 127\npytest: command not found", ERROR), *runs("python -m pytest", name="e")],
        [*does("Read", {"file_path": "b"}, "File does not exist.", ERROR), *does("Read", {"file_path": "c"}, "x")],
    ],
}


@pytest.mark.parametrize(("reason", "messages"), [(reason, m) for reason, many in UNLEARNED.items() for m in many])
def test_a_reply_that_should_not_be_learned_stays_as_context(reason: Reason, messages: list[Message]) -> None:
    messages = [human("Begin."), replace(messages[0], id="first"), *messages[1:]]  # type: ignore[type-var]
    assert unlearned(*messages) == {"first": reason}
    assert unlearned(*messages, **{reason.name.lower(): False}) == {}


def test_every_reason_has_a_test() -> None:
    assert set(UNLEARNED) == set(Reason)


PLAN = does("ExitPlanMode", {"plan": "p"}, REJECTION, PLAN_TAKEN)
LEARNED: dict[str, list[Message]] = {
    "an accepted plan": [*PLAN, human("[Request interrupted by user for tool use]", UserKind.INTERRUPT), *CONTINUED],
    "a red test that was repaired": [*runs("pytest", RED, ERROR), *edits("a.py"), *runs("pytest", GREEN)],
    "a search without a match": [*runs("grep x .", "Exit code 1", ERROR), *runs("grep y .", "y")],
    "a call cancelled with another": [*edits("a.py", SIBLING, ERROR), *edits("a.py")],
    "a failure that nothing repaired": [*edits("a.py", NOT_READ, ERROR), *edits("b.py"), says("Given up.")],
    "a failure that another program followed": [*runs("gt x", "Exit code 1\nunknown command", ERROR), *runs("ls")],
    "a failure after which somebody spoke": [*edits("a.py", NOT_READ, ERROR), human("Read it."), *edits("a.py")],
    "a no to a question": [says("Shall I push as well?"), human("no"), *CONTINUED],
    "a longer no to a question": [says("Shall I push as well?"), human("no, don't push yet"), *CONTINUED],
    "a no that is content": [says("It did."), human("no, then it's good"), *CONTINUED],
    "a prompt that was stopped before an answer": [
        says("Done."),
        human("ok, lets"),
        human("[Request interrupted by user]", UserKind.INTERRUPT),
    ],
    "a no to one's own words": [says("Done."), human("Rename it."), human("no, wrong, leave it"), *CONTINUED],
}


@pytest.mark.parametrize("messages", LEARNED.values(), ids=LEARNED)
def test_a_reply_that_did_nothing_wrong_is_learned(messages: list[Message]) -> None:
    assert unlearned(human("Begin."), *messages) == {}


def test_one_call_that_worked_keeps_the_reply() -> None:
    calls = (ToolCall("x", "Read", '{"file_path": "a"}'), ToolCall("y", "Read", '{"file_path": "b"}'))
    results = [Tool("x", "Read", "File does not exist.", ERROR), Tool("y", "Read", "text")]
    again = does("Read", {"file_path": "c"}, "text", name="e")
    assert unlearned(Assistant("", "m", calls=calls), *results, *again) == {}
    cancelled = replace(results[1], text=SIBLING, status=ERROR)
    assert unlearned(Assistant("", "m", calls=calls), results[0], cancelled, *again) == {"m": Reason.REPAIRED}


def test_a_repair_that_comes_too_late_is_another_attempt() -> None:
    between = [says(f"Thinking {n}.", f"b{n}") for n in range(3)]
    messages = [*edits("a.py", NOT_READ, ERROR, "first"), *between, *edits("a.py", name="e")]
    assert unlearned(*messages) == {"first": Reason.REPAIRED}
    assert unlearned(*messages, repair_within=3) == {}


def test_the_drop_names_the_reply_its_place_and_its_weight() -> None:
    first, result = edits("a.py", REJECTION, REJECTED, "m7")
    drop = judged(conversation(first, result))[0]
    assert isinstance(first, Assistant)
    assert isinstance(drop, Drop)
    assert (drop.stage, drop.subject, drop.file, drop.line) == ("outcome", "m7", "a.jsonl", 3)
    assert (drop.tally.replies, drop.tally.calls, drop.tally.chars) == (1, 1, first.chars)


@pytest.mark.parametrize(
    "text",
    [
        "no, not that",
        "No! I meant the other queue",
        "nope, that's not right",
        "not what I asked for",
        "that's wrong, it is the cache",
        "That is not what I meant",
        "that doesn't work",
        "still failing",
        "hmm, wrong branch",
        "wait, undo that",
        "revert your last change",
        "stop doing that",
        "I said the cache, not the queue",
        "you forgot the tests",
        "you shouldn’t have touched main",
        "don't do that",
        "no",
        "nope.",
        "no, keep the old one",
        "no don't touch the cache",
    ],
)
def test_a_correction_is_recognised(text: str) -> None:
    assert corrects(text, "I renamed the queue.")


@pytest.mark.parametrize(
    "text",
    [
        "no, then it's good",
        "no problem",
        "no, that's fine",
        "no need to change it",
        "No tests are run in CI, add them",
        "not sure, what do you think?",
        "stop the server and start it again",
        "revert to 1.2 in the changelog",
        "nothing else",
        "now the next one",
        "know what? ship it",
        "don't forget the tests",
        "that works",
        "it is still running",
        "notice that the queue is empty",
        "wrongly sorted rows should be fixed",
        "",
    ],
)
def test_other_words_are_no_correction(text: str) -> None:
    assert not corrects(text, "I renamed the queue.")


@pytest.mark.parametrize(
    ("text", "approved"),
    [
        ("yes", True),
        ("Perfect, thanks!", True),
        ("lgtm", True),
        ("commit this", True),
        ("yeah but smaller", False),
        ("yesterday it worked", False),
        ("can you test it?", False),
    ],
)
def test_a_yes_without_a_but_is_approval(text: str, approved: bool) -> None:
    assert approves(text) is approved


def test_commands_are_found_where_they_are_run_not_where_they_are_quoted() -> None:
    line = """cd /src && FOO=1 timeout 60 ./bin/pytest -q 2>&1 | tail -3; git commit -m "run go test; git push" <<'EOF'
git merge work
EOF
sudo git push"""
    (reply, _) = runs(line)
    assert isinstance(reply, Assistant)
    assert commands_of(reply.calls[0]) == ("cd /src", "pytest -q 2>&1", "tail -3", "git commit -m ''", "git push")


@pytest.mark.parametrize("arguments", ["{", "[]", '{"command": 7}', "null"])
def test_arguments_that_are_no_command_are_no_error(arguments: str) -> None:
    assert commands_of(ToolCall("x", "Bash", arguments)) == ()


TESTS_REPAIRED = [*runs("pytest", RED, ERROR), *edits("a.py"), *runs("pytest", GREEN)]
FACTS: list[tuple[list[Message], list[Fact]]] = [
    (TESTS_REPAIRED, [Fact.TESTS_REPAIRED]),
    (runs("go test ./... | tail -3", "ok  \tq/cache\t0.2s"), [Fact.TESTS_PASSED]),
    (runs("npm run test", "Tests: 2 failed, 7 passed"), [Fact.TESTS_FAILED]),
    (runs("cargo test", "test result: ok. 9 passed; 0 failed; 0 ignored"), [Fact.TESTS_PASSED]),
    (runs("mvn -q test", "Tests run: 9, Failures: 1, Errors: 0"), [Fact.TESTS_FAILED]),
    (runs("uv run --frozen pytest", GREEN), [Fact.TESTS_PASSED]),
    (runs("cd src && cargo test", "Exit code 101\nerror: could not compile", ERROR), [Fact.TESTS_FAILED]),
    (runs("make lint && make test", "Exit code 2\nlint: line too long", ERROR), []),
    (runs("pytest", "Command running in background with ID: b1"), []),
    (runs("cat test_results.txt", "9 passed"), []),
    (runs('git commit -m "x"', "[main 4f2a91c] x\n 1 file changed"), [Fact.COMMIT]),
    (runs("git commit -am x", "nothing to commit, working tree clean"), []),
    (runs("git commit -am x", "Exit code 1\nhook failed", ERROR), []),
    (runs("git -C /src push -u origin work", "To host\n * [new branch] work -> work"), [Fact.PUSH]),
    (runs("git push", " ! [rejected] main -> main (fetch first)"), []),
    (runs("git push origin --delete old"), []),
    (runs("git merge --ff-only polecat/rust/gt-a1", "Fast-forward"), [Fact.MERGE]),
    (runs("git merge origin/main", "Fast-forward"), []),
    (runs("git merge-base HEAD work", "4f2a91c"), []),
    (runs("gh pr create --fill", "https://example.com/pull/7"), [Fact.PULL_REQUEST]),
    (runs("gh pr create --fill", "a pull request already exists"), []),
    (runs("gh pr merge 7 --squash", "Merged pull request #7"), [Fact.MERGE]),
    (runs("gt done --issue gt-a1", "Merge request for gt-a1 queued"), [Fact.MERGE_REQUEST]),
    (runs("echo git push"), []),
    (does("Grep", {"command": "git push"}, "x"), []),
]


@pytest.mark.parametrize(("messages", "expected"), FACTS)
def test_what_the_commands_achieved_is_known(messages: list[Message], expected: list[Fact]) -> None:
    assert facts(*messages) == expected


BEADS = {"gt-a1": BeadFate.LANDED, "gt-a2": BeadFate.REOPENED, "gt-a3": BeadFate.REJECTED}
BEACON = "[GAS TOWN] polecat rust (rig: gastown) <- witness • 2026-01-05T10:00 • assigned:{}"
GOOD, BAD = [Fact.BEAD_LANDED], [Fact.BEAD_FAILED]


@pytest.mark.parametrize(
    ("messages", "branch", "expected"),
    [
        ([*runs("bd close gt-a1 --reason 'merged'")], "", GOOD),
        ([*runs("bd update gt-a2 --status in_progress")], "", BAD),
        ([*runs("bd close gt-a1 gt-a3")], "", GOOD + BAD),
        ([*runs("bd show gt-a3")], "", BAD),
        ([*runs("bd show gt-a3"), *runs("bd close gt-a1")], "", GOOD),
        ([human(BEACON.format("gt-a1")), says("On it.")], "", GOOD),
        ([says("On it.")], "polecat/rust/gt-a1@m4k2", GOOD),
        ([*runs("git checkout polecat/rust/gt-a2")], "", BAD),
        ([*runs("gt hook", "Hook status\n  Hooked: gt-a1: Queue stops\n  Blocks: gt-a3")], "", GOOD),
        ([*runs("gt sling gt-a1 gastown")], "", GOOD),
        ([*runs("bd close gt-a9")], "", []),
        ([*runs("bd create 'like gt-a3'")], "", []),
        ([human("Look at gt-a3."), says("Done: gt-a3.")], "", []),
    ],
)
def test_a_session_knows_what_became_of_its_beads(messages: list[Message], branch: str, expected: list[Fact]) -> None:
    assert facts(*messages, branch=branch, beads=BEADS) == expected


def test_facts_of_the_reader_stay_and_stand_first() -> None:
    item = conversation(*runs("git push"), facts=("pull_request",))
    (after,) = judged(item)
    assert isinstance(after, Conversation)
    assert after.facts == ("pull_request", "push")


@pytest.mark.parametrize(
    ("part", "messages", "known", "expected"),
    [
        ("results", [], (), 0.5),
        ("results", [*edits("a.py"), *edits("b.py"), *edits("c.py")], (), 0.875),
        ("results", [*edits("a.py", NOT_READ, ERROR)], (), 0.25),
        ("results", [*runs("pytest", RED, ERROR)], (), 0.333),
        ("results", [*edits("a.py", SIBLING, ERROR), *edits("a.py", "?", ResultStatus.MISSING)], (), 0.5),
        ("people", [says("Done.")], (), 0.5),
        ("people", [says("Done."), human("thanks")], (), 0.75),
        ("people", [*edits("a.py", REJECTION, REJECTED), human("[stop]", UserKind.INTERRUPT)], (), 0.25),
        ("people", [says("Done."), human("no, not that")], (), 0.25),
        ("people", PLAN, (), 0.75),
        ("tests", [], (Fact.TESTS_FAILED,), 0.0),
        ("tests", [], (Fact.TESTS_REPAIRED,), 1.0),
        ("landed", [], (Fact.COMMIT,), 0.7),
        ("landed", [], (Fact.COMMIT, Fact.MERGE), 1.0),
        ("beads", [], GOOD, 1.0),
        ("beads", [], BAD, 0.0),
        ("beads", [], GOOD + BAD, 0.5),
    ],
)
def test_each_part_of_the_score_says_what_it_counts(
    part: str, messages: list[Message], known: Sequence[str], expected: float
) -> None:
    assert getattr(rate(messages, known), part) == expected
    others = {name: value for name, value in asdict(rate(messages, known)).items() if name != part}
    assert set(others.values()) <= {0.5}


def test_the_score_is_the_weighted_sum() -> None:
    parts = Quality(results=1.0, people=0.0, tests=0.5, landed=0.5, beads=0.5)
    assert score(parts, QualityWeights(results=1, people=0, tests=0, landed=0, beads=0)) == 1
    assert score(parts, QualityWeights(results=0.4, people=0.3, tests=0.1, landed=0.1, beads=0.1)) == 0.55


DROPPED: dict[quality.Reason, tuple[list[Message], QualityConfig]] = {
    quality.Reason.TOO_SHORT: ([says("ok")], QualityConfig(min_trained_tokens=4)),
    quality.Reason.SHORT_ANSWER: ([human("Why?"), says("It is so.")], QualityConfig(min_answer_chars=10)),
    quality.Reason.NO_CODE: ([human("How?"), says("Call `sum(values)`.")], QualityConfig(code="required")),
    quality.Reason.LOW_SCORE: ([*edits("a.py", REJECTION, REJECTED), says("Well.")], QualityConfig(min_score=0.5)),
}


@pytest.mark.parametrize("reason", quality.Reason)
def test_a_window_from_which_nothing_can_be_learned_is_dropped(reason: quality.Reason) -> None:
    messages, config = DROPPED[reason]
    (drop,) = quality_filter(config)(conversation(*messages))
    assert isinstance(drop, Drop)
    assert (drop.stage, drop.reason, drop.tally.conversations) == ("quality", reason, 1)
    (kept,) = quality_filter(QualityConfig(min_trained_tokens=0, min_score=0))(conversation(*messages))
    assert isinstance(kept, Conversation)


FENCED = "Add them:\n\n```python\ntotal = sum(values)\n```\nThat is all."


@pytest.mark.parametrize(
    ("text", "is_code"),
    [
        (FENCED, True),
        ("~~~\nls\n~~~", True),
        ("1. First:\n   ```sh\n   ls\n   ```", True),
        ("> ```\n> ls\n> ```", True),
        ("```python\nleft open", True),
        ("`ls` and ``ls``", False),
        ("Write ``` before it.\nThen code.", False),
        ("```python\n\n```", False),
        ("```\n```", False),
        ("", False),
    ],
)
def test_code_is_what_stands_in_a_fence(text: str, is_code: bool) -> None:
    config = QualityConfig(min_trained_tokens=0, min_score=0, code="required")
    assert (quality.why_drop(conversation(says(text)), config) is None) == is_code


def test_one_good_answer_of_a_window_is_enough_and_what_is_not_trained_does_not_count() -> None:
    config = QualityConfig(min_score=0, min_answer_chars=len(FENCED), code="required")
    window = conversation(human("How?"), says("Well."), human("Yes?"), says(FENCED))
    assert quality.why_drop(window, config) is None
    window = conversation(says("Well."), says(FENCED[: len(FENCED) - 1]))
    assert quality.why_drop(window, config) is quality.Reason.SHORT_ANSWER  # none of them is as long
    window = conversation(human("How?"), says("Well."), human("Yes?"), says(FENCED))
    shown = replace(window, messages=(*window.messages[:3], replace(says(FENCED), train=False)))
    assert quality.why_drop(shown, config) is quality.Reason.SHORT_ANSWER


def play(folder: Path) -> None:
    """A session of a polecat: a failure and its repair, red and green tests, a no, a correction, work that landed."""
    t = Script(cwd="/home/ann/gt/gastown/polecats/rust/gastown")
    t.human(BEACON.format("gt-a1"))
    t.calls("t1", "m1", "Edit", {"file_path": "q.py", "old_string": "a", "new_string": "b"})
    t.result("t1", NOT_READ, error=True)
    t.calls("t2", "m2", "Edit", {"file_path": "q.py", "old_string": "a", "new_string": "b"})
    t.result("t2", "updated")
    for n, (text, red) in enumerate(((RED, True), (GREEN, False))):
        t.calls(f"t3{n}", f"m3{n}", "Bash", {"command": "pytest -q"})
        t.result(f"t3{n}", text, error=red)
    t.calls("t4", "m4", "Bash", {"command": "git push --force"})
    t.result("t4", f"{REJECTION} To tell you how to proceed, the user said:\nwithout force", error=True)
    t.says("I renamed the queue as well.", "m5")
    t.human("no, not that, undo it")
    t.calls("t6", "m6", "Bash", {"command": "git commit -am queue && git push && gt done"})
    t.result("t6", "[main 4f2a91c] queue\nMerge request queued")
    t.says("It is in the queue.", "m7")
    t.save(folder)


@pytest.mark.parametrize(("reason", "fate", "worth"), [("Merged: fixed.", GOOD, 1.0), ("Rejected: no.", BAD, 0.0)])
def test_a_session_is_judged_from_its_transcript_and_the_beads(
    tmp_path: Path, reason: str, fate: list[Fact], worth: float
) -> None:
    play(tmp_path)
    issues = tmp_path / "issues.jsonl"
    issue = {"id": "gt-a1", "title": "q", "issue_type": "bug", "status": "closed", "close_reason": reason}
    issues.write_text(json.dumps(issue) + "\n")
    (item,) = [x for unit in units(tmp_path) for x in read(unit) if isinstance(x, Conversation)]
    *drops, after = judged(item, bead_fates([issues]))
    assert isinstance(after, Conversation)
    assert [(d.subject, d.reason) for d in drops if isinstance(d, Drop)] == [
        ("m1", Reason.REPAIRED),
        ("m4", Reason.REJECTED),
        ("m5", Reason.CORRECTED),
    ]
    assert [reply.id for reply in replies(after)] == ["m2", "m30", "m31", "m6", "m7"]
    assert list(after.facts) == [Fact.TESTS_REPAIRED, Fact.COMMIT, Fact.PUSH, Fact.MERGE_REQUEST, *fate]
    parts = rate(after.messages, after.facts)
    assert (parts.tests, parts.landed, parts.beads) == (1.0, 0.9, worth)
    assert parts.people < 0.5 < parts.results


def test_the_sample_town_shows_every_reason_and_nearly_every_fact(sample_town: Path) -> None:
    stage = outcome(OutcomeConfig(), bead_fates([sample_town / "beads"]))
    sessions = [x for unit in units(sample_town / "projects") for x in read(unit) if isinstance(x, Conversation)]
    items = [item for session in sessions for item in stage(session)]
    assert {item.reason for item in items if isinstance(item, Drop)} == set(Reason)
    known = {fact for item in items if isinstance(item, Conversation) for fact in item.facts}
    assert known == set(Fact) - {Fact.TESTS_FAILED}


def test_real_sessions_lose_few_replies(corpus: Path) -> None:
    read_all = [x for unit in units(corpus) for x in read(unit) if isinstance(x, Conversation)]
    drops = [x for item in read_all for x in judged(item) if isinstance(x, Drop)]
    share = len(drops) / sum(1 for item in read_all for _ in replies(item))
    assert 0.005 < share < 0.05
    assert {drop.reason for drop in drops} >= {Reason.REJECTED, Reason.REPAIRED}
