"""Turns in which nothing happened leave by name; whatever happened in the town stays."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.config import BoilerplateConfig, load_config
from data.forms import Xml
from data.pipeline import main
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
    replies,
    weigh,
)
from data.sample.quiet import QUIET
from data.stage import Ledger, check, run
from data.tokens import load_counter
from data.transform.boilerplate import STAGE, boilerplate
from data.transform.chat_formatter import to_row
from data.transform.chunker import chunker
from data.validate.schema import check_row
from tests.conftest import ROOT
from tests.sample_oddities import default_town
from tests.transcripts import Script, read_all

CONFIG = load_config(ROOT / "configs" / "data.yml")
# No share is kept, so that one cycle shows what a rule does.
STRICT = msgspec.structs.replace(
    CONFIG.boilerplate,
    rules={name: msgspec.structs.replace(rule, keep=0.0) for name, rule in CONFIG.boilerplate.rules.items()},
)
BEACON = "[GAS TOWN] witness <- deacon • 2026-01-05T10:00 • patrol\n\nRun `gt prime --hook` and begin patrol."
EMPTY_INBOX = "Inbox: rig/witness (0 messages, 0 unread)\n\n  (no messages)"
EMPTY_QUEUE = "Merge queue for 'rig':\n\n  (empty)"
TIMEOUT = "Awaiting signal (timeout: 30s)...\nTimeout after 30s (no activity)"
NO_WORK = "Nothing on hook - no work slung"
ALIVE = "Deacon: alive, last heartbeat 9s ago\nAction: NOTHING"

IDLE_STEPS = (
    ("gt mail inbox", EMPTY_INBOX),
    ("cd /home/ann/gt && gt mq list rig 2>&1 | head -20", EMPTY_QUEUE),
    ("gt hook", NO_WORK),
    ("gt polecat list rig", "No polecats found."),
    ("bd mol current", "inbox-check (step 1 of 8)"),
    ("bd show rig-wisp-a1b", "inbox-check: read your mail. Escalate what is stuck."),
    ("bd update rig-wisp-a1b --status in_progress", "Updated issue: rig-wisp-a1b"),
    ('bd close rig-wisp-a1b --reason "inbox is empty"', "Closed rig-wisp-a1b"),
    ('gt mail inbox; echo "---"; gt mq list rig', f"{EMPTY_INBOX}\n---\n{EMPTY_QUEUE}"),
    ("gt mol step await-signal --agent-bead gt-witness --backoff-base 30s", TIMEOUT),
    ("sleep 60", "(no output)"),
)
BUSY_STEPS = (
    ("gt mail inbox", "Inbox: rig/witness (1 messages, 1 unread)\n\n  1. ● POLECAT_DONE rust"),
    ("gt mq list rig", "ID     BRANCH            STATUS\npe-12  polecat/rust/pe-12  ready"),
    ("gt mol step await-signal --timeout 30s", "Awaiting signal (timeout: 30s)...\nSignal received after 2s"),
    ("gt polecat nuke rig/rust", "Nuking rig/rust"),
    ('gt escalate -s high "rig/rust is blocked"', "Escalation pe-99 opened"),
    ('gt nudge rig/witness "health check"', "Nudged rig/witness"),
    ("gt session restart rig/refinery", "Started pe-refinery"),
    ("git rebase main", "CONFLICT (content): Merge conflict in src/parser.py"),
    ("bd show pe-12", "pe-12: the parser stalls"),
    ('bd close pe-12 --reason "merged"', "Closed pe-12"),
    ("bd close rig-wisp-a1b pe-12", "Closed rig-wisp-a1b\nClosed pe-12"),
    ("bd update pe-12 --status in_progress", "Updated issue: pe-12"),
    ('bd close rig-wisp-a1b --reason "deacon is dead, escalated"', "Closed rig-wisp-a1b"),
    ("gt mail inbox && gt polecat nuke rig/rust", EMPTY_INBOX),
    ("gt mail inbox > inbox.txt", "(no messages)"),
    ('gt mail read "$(gt mail inbox | head -1)"', "(no messages)"),
    ("for i in 1 2; do gt mail inbox; done", "(no messages)"),
    ("tail -50 daemon.log", "nothing new"),
    ("gt hook; grep -r TODO src", NO_WORK),
)


class Day:
    """A session of a town agent being made up."""

    def __init__(self, *, beacon: str = BEACON) -> None:
        self.messages: list[Message] = []
        if beacon:
            self.word(beacon)

    def word(self, text: str, kind: UserKind = UserKind.PROMPT) -> Day:
        self.messages.append(User(text, kind))
        return self

    def step(
        self, line: str, output: str, said: str = "", status: ResultStatus = ResultStatus.OK, tool: str = "Bash"
    ) -> Day:
        number = len(self.messages)
        call = ToolCall(f"c{number}", tool, json.dumps({"command": line}))
        self.messages.append(Assistant(said, f"m{number}", calls=(call,), said=len(said), chars=40))
        self.messages.append(Tool(call.id, tool, output, status))
        return self

    def steps(self, steps: Sequence[tuple[str, str]]) -> Day:
        for line, output in steps:
            self.step(line, output)
        return self

    def says(self, text: str, train: bool = True) -> Day:
        self.messages.append(Assistant(text, f"m{len(self.messages)}", said=len(text), chars=len(text), train=train))
        return self

    def done(self, role: str = "witness") -> Conversation:
        return Conversation("s:0.0", Origin("sessions", "s", "s"), tuple(self.messages), role=role)


def remove(
    conversation: Conversation, config: BoilerplateConfig = STRICT
) -> tuple[Conversation | None, dict[str, int], list[Drop]]:
    """What is left of a conversation, the replies that left by reason, and the drops; the ledger balanced."""
    ledger = Ledger()
    ledger.admit(conversation)
    outcomes = list(run([conversation], [(STAGE, boilerplate(config))], ledger))
    check(ledger, (STAGE,))
    left = [outcome for outcome in outcomes if isinstance(outcome, Conversation)]
    drops = [outcome for outcome in outcomes if isinstance(outcome, Drop)]
    assert len(left) + sum(drop.tally.conversations for drop in drops) == 1
    return left[0] if left else None, {drop.reason: drop.tally.replies for drop in drops}, drops


def trained(conversation: Conversation | None) -> list[str]:
    return [reply.id for reply in replies(conversation)] if conversation else []


STEPS = st.sampled_from(IDLE_STEPS + BUSY_STEPS)
MOVES = st.lists(
    st.one_of(
        STEPS.map(lambda step: ("step", *step)),
        STEPS.map(lambda step: ("step", *step)),
        st.sampled_from(
            [
                ("word", BEACON, UserKind.PROMPT),
                ("word", "[from deacon] Are you there?", UserKind.NOTIFICATION),
                ("word", "What waits for merging?", UserKind.PROMPT),
                ("word", "Earlier: the queue was empty.", UserKind.SUMMARY),
                ("word", "[Request interrupted by user]", UserKind.INTERRUPT),
                ("says", "All is quiet.", True),
                ("says", "The deacon is dead.", True),
                ("says", "All is quiet.", False),
                ("step", "gt mail inbox", EMPTY_INBOX, "", ResultStatus.ERROR),
                ("step", "gt mail inbox", EMPTY_INBOX, "", ResultStatus.MISSING),
                ("step", "gt boot triage", ALIVE),
                ("step", "gt prime --hook", "# Witness Context"),
                ("step", "gt handoff -s 'Quiet'", "Handing off"),
            ]
        ),
    ),
    max_size=25,
)
ROLES = st.sampled_from(["witness", "refinery", "deacon", "boot", "mayor", "crew", "unknown"])
SHARES = st.sampled_from([STRICT, CONFIG.boilerplate])


def play(moves: Sequence[tuple[object, ...]], role: str) -> Conversation:
    day = Day()
    for name, *arguments in moves:
        getattr(day, str(name))(*arguments)
    return day.done(role)


def is_coherent(messages: Sequence[Message]) -> bool:
    """Words first, and after each reply the results of exactly its calls."""
    for at, message in enumerate(messages):
        if isinstance(message, Assistant):
            results = messages[at + 1 : at + 1 + len(message.calls)]
            if [call.id for call in message.calls] != [r.call_id for r in results if isinstance(r, Tool)]:
                return False
    calls = sum(len(m.calls) for m in messages if isinstance(m, Assistant))
    return isinstance(messages[0], User) and calls == sum(isinstance(m, Tool) for m in messages)


@given(moves=MOVES, role=ROLES, config=SHARES)
def test_what_is_left_is_coherent_and_nothing_more_leaves_from_it(
    moves: list[tuple[object, ...]], role: str, config: BoilerplateConfig
) -> None:
    conversation = play(moves, role)
    left, lost, _ = remove(conversation, config)
    assert len(trained(left)) + sum(lost.values()) == len(trained(conversation))
    if left is not None:
        assert is_coherent(left.messages)
        assert remove(left, config) == (left, {}, [])


@given(moves=MOVES, role=ROLES, number=st.integers(0, 100))
def test_a_reply_that_did_something_stays_trained(moves: list[tuple[object, ...]], role: str, number: int) -> None:
    line, output = BUSY_STEPS[number % len(BUSY_STEPS)]
    conversation = play([*moves, ("step", line, output)], role)
    left, _, _ = remove(conversation)
    assert trained(left)[-1:] == trained(conversation)[-1:]


@given(moves=MOVES)
def test_a_session_outside_of_a_town_is_the_same_object(moves: list[tuple[object, ...]]) -> None:
    conversation = play(moves, "unknown")
    assert remove(conversation)[0] is conversation


@functools.cache
def windows():  # type: ignore[no-untyped-def]
    return chunker(CONFIG.windows, CONFIG.roles, Xml(load_counter(CONFIG.base_model)))


@given(moves=MOVES, role=ROLES)
def test_rows_of_what_is_left_keep_the_contract(moves: list[tuple[object, ...]], role: str) -> None:
    left, _, _ = remove(play(moves, role))
    for window in windows()(left) if left else ():
        if isinstance(window, Conversation):
            assert check_row(json.loads(msgspec.json.encode(to_row(window)))) == []


@pytest.mark.parametrize(("line", "output"), IDLE_STEPS)
def test_a_turn_in_which_nothing_happened_leaves_with_its_words(line: str, output: str) -> None:
    day = Day().step(line, output).says("Nothing to do.")
    day.word("What waits?").says("Nothing waits.")
    left, lost, _ = remove(day.done())
    assert left is not None and sum(lost.values()) == 2
    assert [m.text for m in left.messages] == ["What waits?", "Nothing waits."]  # type: ignore[union-attr]


@pytest.mark.parametrize(("line", "output"), BUSY_STEPS)
def test_a_step_that_did_or_found_something_keeps_its_cycle(line: str, output: str) -> None:
    conversation = Day().steps(IDLE_STEPS[:3]).step(line, output).says("Done.").done()
    assert remove(conversation)[0] is conversation


REASONS = {
    "pure wait": ("witness", Day().step("sleep 60", "(no output)").says("Still here.")),
    "boot triage without an action": (
        "boot",
        Day(beacon="Run `gt boot triage` now.").step("gt boot triage", ALIVE).says("The deacon is alive."),
    ),
    "no-op patrol cycle": ("refinery", Day().steps(IDLE_STEPS[:-1])),
    "startup turn": (
        "witness",
        Day()
        .step("gt prime --hook", "# Witness Context")
        .step("gt hook", NO_WORK)
        .step("sleep 60", "")
        .says("I wait."),
    ),
    "handoff-only session": (
        "mayor",
        Day().step("gt hook", NO_WORK).step("gt handoff -s 'Quiet shift'", "Handing off mayor").says("I handed over."),
    ),
}


def test_every_rule_of_the_config_has_its_case() -> None:
    assert REASONS.keys() == CONFIG.boilerplate.rules.keys()


@pytest.mark.parametrize("reason", REASONS)
def test_a_session_of_one_kind_of_boilerplate_is_dropped_by_its_name(reason: str) -> None:
    role, day = REASONS[reason]
    left, _, drops = remove(day.done(role))
    assert left is None
    assert [(drop.reason, drop.tally) for drop in drops] == [(reason, weigh(replies(day.done(role)), conversations=1))]


@pytest.mark.parametrize("reason", REASONS)
def test_a_rule_that_is_turned_off_takes_nothing(reason: str) -> None:
    role, day = REASONS[reason]
    off = {name: msgspec.structs.replace(rule, enabled=name != reason) for name, rule in STRICT.rules.items()}
    assert reason not in remove(day.done(role), msgspec.structs.replace(STRICT, rules=off))[1]


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("role", ["unknown", "knowledge"])
def test_rules_of_a_town_leave_other_sessions_alone(reason: str, role: str) -> None:
    conversation = REASONS[reason][1].done(role)
    assert remove(conversation)[0] is conversation


@pytest.mark.parametrize(
    "day",
    [
        Day(beacon="Is the inbox empty?").step("gt mail inbox", EMPTY_INBOX).says("It is."),
        Day().step("gt mail inbox", EMPTY_INBOX, status=ResultStatus.ERROR),
        Day().step("gt mail inbox", EMPTY_INBOX, status=ResultStatus.REJECTED),
        Day().step("sleep 600", "", status=ResultStatus.MISSING),
        Day().step("gt mail inbox", EMPTY_INBOX, said="The deacon is dead."),
        Day().step("gt mail inbox", EMPTY_INBOX).says("Two branches conflict. I wait for the overseer."),
        Day().step("gt mail inbox", EMPTY_INBOX).word("[Request interrupted by user]", UserKind.INTERRUPT),
        Day(beacon=f"{BEACON}\nrust is stuck.").step("gt mail inbox", EMPTY_INBOX),
        Day().step("gt mail inbox", f"{EMPTY_INBOX}\n<system-reminder>QUEUED NUDGE (1 message)</system-reminder>"),
        Day().step("gt mail inbox", EMPTY_INBOX, tool="Read"),
        Day().says("Nothing to merge and no mail."),
    ],
)
def test_people_errors_signs_and_bare_words_keep_a_turn(day: Day) -> None:
    conversation = day.done()
    assert remove(conversation)[0] is conversation


@pytest.mark.parametrize(("role", "line"), [("witness", "cd /home/ann && echo hi"), ("crew", "bd show rig-wisp-a1b")])
def test_commands_that_a_rule_only_allows_beside_others_keep_a_turn(role: str, line: str) -> None:
    conversation = Day().step(line, "hi").says("Hi.").done(role)
    assert remove(conversation)[0] is conversation


def test_a_result_leaves_with_its_call_also_where_words_stand_between() -> None:
    day = Day().step("gt mail inbox", EMPTY_INBOX)
    found = day.messages.pop()
    day.word("What waits?").messages.append(found)
    left, lost, _ = remove(day.says("Nothing waits.").done())
    assert left is not None and lost == {"no-op patrol cycle": 1}
    assert [m.text for m in left.messages] == ["What waits?", "Nothing waits."]  # type: ignore[union-attr]


def test_what_is_denied_is_no_sign() -> None:
    assert remove(Day().step("gt mail inbox", EMPTY_INBOX).says("No conflicts, 0 failed, no mail.").done())[0] is None


def test_idle_cycles_of_a_busy_turn_stay_as_context() -> None:
    idle, busy = IDLE_STEPS[:2], BUSY_STEPS[3:4]
    wait = ("gt mol step await-signal --timeout 30s", TIMEOUT)
    day = Day().steps([*idle, wait, *idle, *busy, wait, *idle, wait]).says("The patrol is over.")
    left, lost, _ = remove(day.done())
    assert left is not None and len(left.messages) == len(day.messages)
    assert lost == {"no-op patrol cycle": 7}
    assert [bool(m.train) for m in left.messages if isinstance(m, Assistant)] == [False] * 3 + [True] * 4 + [False] * 4


def test_what_is_looked_at_after_a_short_sleep_belongs_to_what_was_done_before() -> None:
    seen = Day().steps([BUSY_STEPS[3], ("sleep 5", ""), IDLE_STEPS[3], ("sleep 120", ""), *IDLE_STEPS[:2]])
    left, lost, _ = remove(seen.done())
    assert len(trained(left)) == 4 and lost == {"no-op patrol cycle": 2}


def test_after_a_persons_words_only_later_cycles_can_be_idle() -> None:
    wait = ("sleep 60", "")
    left, lost, _ = remove(Day(beacon="Look after the rig.").steps([*IDLE_STEPS[:2], wait, *IDLE_STEPS[:2]]).done())
    assert len(trained(left)) == 3 and lost == {"no-op patrol cycle": 2}


def test_a_summary_stays_when_the_turn_that_it_opens_is_idle() -> None:
    day = Day(beacon="").word("Earlier: rust was merged.", UserKind.SUMMARY).steps(IDLE_STEPS[:2])
    left, lost, _ = remove(day.word("And now?").says("Now I wait.").done())
    assert left is not None and lost == {"no-op patrol cycle": 2}
    assert len(left.messages) == 7 and len(trained(left)) == 1


def test_a_handoff_after_work_stays() -> None:
    day = Day(beacon="Merge pe-12.").step("git merge pe-12", "Fast-forward").word(BEACON)
    conversation = day.step("gt handoff -s 'pe-12 is merged'", "Handing off").done()
    assert remove(conversation)[0] is conversation


def test_a_handoff_is_all_that_is_left_of_a_session_without_news() -> None:
    day = Day().steps(IDLE_STEPS).word(BEACON).step("gt handoff -s 'Quiet'", "Handing off")
    left, lost, _ = remove(day.done())
    assert left is None and lost == {"pure wait": 1, "no-op patrol cycle": 10, "handoff-only session": 1}


def test_the_share_that_stays_depends_on_nothing_but_the_reply() -> None:
    def kept(copies: Sequence[int]) -> set[int]:
        messages = [
            message
            for copy in copies
            for message in (
                User("Run `gt boot triage` now."),
                Assistant("", f"m{copy}", calls=(ToolCall(f"c{copy}", "Bash", '{"command": "gt boot triage"}'),)),
                Tool(f"c{copy}", "Bash", ALIVE),
            )
        ]
        conversation = Conversation("s:0.0", Origin("sessions", "s", "s"), tuple(messages), role="boot")
        return {int(name[1:]) for name in trained(remove(conversation, CONFIG.boilerplate)[0])}

    all_of_them = kept(range(500))
    assert 20 < len(all_of_them) < 90
    assert kept(range(250)) == {number for number in all_of_them if number < 250}
    assert kept(range(499, -1, -1)) == all_of_them


def test_the_quiet_sessions_of_the_sample_town_leave_by_every_rule(sample_town: Path) -> None:
    from data.transform.role_tagger import role_tagger
    from data.transform.tool_normalizer import tool_normalizer

    conversations, _ = read_all(sample_town / "projects")
    stages = [
        ("roles", role_tagger(CONFIG.tagger)),
        ("normalize", tool_normalizer(CONFIG.normalize)),
        (STAGE, boilerplate(CONFIG.boilerplate)),
    ]
    ledger = Ledger()
    left = [outcome for outcome in run(conversations, stages, ledger) if isinstance(outcome, Conversation)]
    assert ledger.account(STAGE).left.keys() == CONFIG.boilerplate.rules.keys()
    assert {"banner", "unsigned binary"} <= ledger.account("normalize").notes.keys()
    for play_quiet, role in QUIET:
        session = default_town().oddities[f"{role}_{play_quiet.__name__}"].session
        busy = [c for c in left if c.origin.session == session and any(r.calls for r in replies(c))]
        assert bool(busy) == (play_quiet.__name__ == "patrol_without_news")


def test_a_patrol_goes_through_the_whole_pipeline(tmp_path: Path) -> None:
    script = Script(cwd="/home/ann/gt/petals/witness")
    script.human(BEACON)
    for number, (line, output) in enumerate((*IDLE_STEPS[:4], IDLE_STEPS[9], *BUSY_STEPS[:4])):
        script.calls(f"t{number}", f"p{number}", arguments={"command": line})
        script.result(f"t{number}", output)
    script.says("rust is gone, pe-12 waits.", "p99")
    script.save(tmp_path / "sessions")
    out = tmp_path / "out"
    assert main(["all", "--sessions", str(tmp_path / "sessions"), "--out", str(out), "--workers", "1"]) == 0
    account = json.loads((out / "ledger.json").read_bytes())["stages"][STAGE]
    assert {reason: tally["replies"] for reason, tally in account["left"].items()} == {"no-op patrol cycle": 5}
    rows = [json.loads(line) for file in out.glob("witness_*.jsonl") for line in file.read_text().splitlines()]
    assert sum(turn.get("train") is True for row in rows for turn in row["conversations"]) == 5
    assert [problem for row in rows for problem in check_row(row)] == []
