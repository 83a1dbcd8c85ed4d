"""Windows: each reply trained once, no step cut, nothing over the budget."""

from __future__ import annotations

import functools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.config import RoleConfig, WindowConfig
from data.forms import Xml
from data.record import (
    Assistant,
    Conversation,
    Drop,
    Message,
    Origin,
    System,
    Tool,
    ToolCall,
    User,
    UserKind,
    replies,
)
from data.render import parse_calls, parse_results
from data.stage import Ledger, run
from data.tokens import TokenCounter, load_counter
from data.transform.chat_formatter import Row, to_row
from data.transform.chunker import LEFT_OUT, NO_START, Reason, chunker
from data.validate.schema import check_row

ROLES = {"unknown": RoleConfig("[AGENT] You help."), "mayor": RoleConfig("[GAS TOWN ROLE: mayor] You are the Mayor.")}
WORDS = ("look ", "at ", "the ", "parser ", "and ", "fix ", "it ", "now, ", "please. ")


@functools.cache
def counter() -> TokenCounter:
    return load_counter("Qwen/Qwen2.5-7B-Instruct")


def words(count: int, salt: int = 0) -> str:
    return "".join(WORDS[(i * 7 + salt) % len(WORDS)] for i in range(count)).strip()


class Talk:
    """A conversation being made up."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def human(self, size: int = 5) -> Talk:
        self.messages.append(User(words(size, len(self.messages)) or "?"))
        return self

    def reply(self, size: int = 5, calls: int = 0, result: int = 5, train: bool = True) -> Talk:
        number = len(self.messages)
        made = tuple(ToolCall(f"t{number}.{i}", "Bash", '{"command": "ls"}') for i in range(calls))
        self.messages.append(Assistant(words(size, number) or "x", f"m{number}", calls=made, train=train))
        self.messages += [Tool(c.id, "Bash", f"{c.id} {words(result, number)}") for c in made]
        return self

    def done(self, role: str = "mayor") -> Conversation:
        return Conversation("s:0.0", Origin("sessions", "s", "s"), tuple(self.messages), role=role)


def cut(conversation: Conversation, **limits: int | float) -> tuple[list[Conversation], list[Drop]]:
    """The windows and drops of a conversation, the ledger balanced."""
    stage = chunker(WindowConfig(**limits), ROLES, Xml(counter()))  # type: ignore[arg-type]
    outcomes = list(run([conversation], [("windows", stage)], Ledger()))
    return (
        [outcome for outcome in outcomes if isinstance(outcome, Conversation)],
        [outcome for outcome in outcomes if isinstance(outcome, Drop)],
    )


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("human"), st.integers(1, 300)),
        st.tuples(st.just("reply"), st.integers(1, 120), st.integers(0, 4), st.integers(0, 300), st.booleans()),
    ),
    min_size=1,
    max_size=40,
)


def talk(moves: list[tuple[object, ...]]) -> Conversation:
    made = Talk()
    for name, *arguments in moves:
        getattr(made, str(name))(*arguments)
    return made.reply().done()


@given(MOVES, st.integers(300, 900), st.integers(1, 8))
@settings(deadline=None)
def test_every_window_keeps_every_promise(moves: list[tuple[object, ...]], max_tokens: int, pairs: int) -> None:
    conversation = talk(moves)
    limits = {"result_tokens": 60, "step_tokens": 150, "human_tokens": 100, "opening_tokens": 80}
    windows, drops = cut(conversation, max_tokens=max_tokens, pairs=pairs, **limits)
    trained = Counter(reply.id for window in windows for reply in replies(window))
    assert set(trained.values()) <= {1}
    lost = sum(drop.tally.replies for drop in drops)
    assert len(trained) + lost == sum(1 for _ in replies(conversation))
    for window in windows:
        row = to_row(window)
        assert check_row(_plain(row)) == []
        assert row.metadata.tokens <= max_tokens
        assert _count(row) == (row.metadata.tokens, row.metadata.trained_tokens)
        assert len(row.conversations) <= 1 + 2 * pairs
        assert _pairs_up(row)


def _plain(row: Row) -> object:
    import msgspec

    return msgspec.json.decode(msgspec.json.encode(row))


def _count(row: Row) -> tuple[int, int]:
    """Tokens of a row counted anew from its text, and those that are trained."""
    head, frame = counter(), counter().frame
    sizes = head.counts([turn.value for turn in row.conversations])
    exchanges = len(row.conversations) // 2
    trained = sum(size + 1 for turn, size in zip(row.conversations, sizes, strict=True) if turn.train)
    return frame.opening + exchanges * frame.exchange + sum(sizes), trained


def _pairs_up(row: Row) -> bool:
    """Whether each call has its result in the next human message, and each result its call."""
    turns = [turn.value for turn in row.conversations[1:]]
    calls = [len(parse_calls(value)) for value in turns[1::2]]
    results = [len(parse_results(value)) for value in turns[0::2]]
    return results[0] == 0 and calls[:-1] == results[1:]


def test_the_second_window_shows_half_of_the_first_as_context() -> None:
    made = Talk()
    for _ in range(12):
        made.human().reply()
    first, second = cut(made.done())[0]
    flags = [[m.train for m in w.messages if isinstance(m, Assistant)] for w in (first, second)]
    assert flags == [[True] * 8, [False] * 4 + [True] * 4]


def test_a_window_inside_a_turn_starts_with_what_opened_the_turn() -> None:
    made = Talk().human(6)
    for _ in range(12):
        made.reply(calls=1)
    opening = made.messages[0]
    assert isinstance(opening, User)
    second = cut(made.done())[0][1]
    assert second.messages[1] == User(f"{opening.text}\n\n{LEFT_OUT}", UserKind.RECALL)
    assert isinstance(second.messages[2], Assistant)


def test_a_session_whose_start_is_lost_says_so() -> None:
    [window], _ = cut(Talk().reply().done())
    assert window.messages[1] == User(NO_START, UserKind.RECALL)


def test_every_window_has_the_prompt_of_its_role_and_an_unknown_role_that_of_unknown() -> None:
    for role, expected in (("mayor", ROLES["mayor"]), ("nobody", ROLES["unknown"])):
        [window], _ = cut(Talk().human().reply().done(role))
        assert window.messages[0] == System(expected.system)


def test_a_reply_longer_than_a_window_is_named_and_the_next_is_trained() -> None:
    windows, drops = cut(Talk().human().reply(900).human().reply().done(), max_tokens=300)
    assert [(drop.reason, drop.detail) for drop in drops] == [(Reason.OVER_BUDGET, "m1")]
    assert [reply.id for window in windows for reply in replies(window)] == ["m3"]


def test_what_the_assistant_wrote_is_never_cut_but_a_long_result_is() -> None:
    conversation = Talk().human(900).reply(400, calls=1, result=2000).reply(300).done()
    windows, _ = cut(conversation, max_tokens=2000)
    said = [m.text for w in windows for m in w.messages if isinstance(m, Assistant) and m.train]
    assert said == [m.text for m in conversation.messages if isinstance(m, Assistant)]
    results = [m for w in windows for m in w.messages if isinstance(m, Tool)]
    assert results and all("characters left out" in result.text for result in results)
    assert windows[0].notes


def test_replies_with_nothing_between_them_are_one_message() -> None:
    [window], _ = cut(Talk().human().reply().reply().done())
    row = to_row(window)
    assert [turn.from_ for turn in row.conversations] == ["system", "human", "gpt"]
    assert row.metadata.trained_ids == ("m1", "m2")


def test_a_reply_beside_an_untrained_one_is_lost_by_name() -> None:
    windows, drops = cut(Talk().human().reply(train=False).reply().human().reply().done())
    assert [drop.reason for drop in drops] == [Reason.BESIDE_UNTRAINED]
    assert [reply.id for window in windows for reply in replies(window)] == ["m4"]


@pytest.mark.parametrize("size", [4096, 1024])
def test_real_transcripts_fit(corpus, size: int) -> None:  # type: ignore[no-untyped-def]
    from data.extract.sessions import read, units

    for unit in list(units(corpus))[:12]:
        for item in read(unit):
            if isinstance(item, Conversation):
                for window in cut(item, max_tokens=size)[0]:
                    row = to_row(window)
                    assert row.metadata.tokens <= size
                    assert _count(row) == (row.metadata.tokens, row.metadata.trained_tokens)
                    assert _pairs_up(row)
