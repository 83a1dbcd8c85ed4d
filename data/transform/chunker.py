"""Cuts a conversation into windows that fit the context, each reply trained in exactly one of them.

A window is the role's system prompt and up to `pairs` exchanges: what the human side said (results of the step
before, then words) and the reply. It starts with human words: where it starts inside a turn, with the words that
opened the turn. Replies that an earlier window trained are shown again as context. Counts are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from data.config import PromptsConfig, RoleConfig, WindowConfig
from data.forms import Form
from data.prompts import choose_prompt
from data.record import (
    Assistant,
    Conversation,
    Drop,
    Message,
    System,
    Tool,
    User,
    UserKind,
    noted,
    weigh,
)
from data.render import LEFT_OUT
from data.stage import Stage
from data.tokens import TokenCounter

STAGE = "windows"
NO_START = "[The start of this session was not recorded.]"
_TOOLS_SHARE = 4  # of a window at most this part goes to schemas; twelve tools with all their arguments take as much
_LEAST_OPENING = 48  # tokens; less of an opening says nothing


_COMPACT = PromptsConfig()


class Reason(StrEnum):
    OVER_BUDGET = "reply longer than a window"
    BESIDE_UNTRAINED = "continues a reply that is not trained"


class Exchange(msgspec.Struct, frozen=True):
    """One human side and the reply to it (more than one only where nothing stood between them).

    `turn` is the index of the exchange whose words opened this turn; `human_tokens` and `reply_tokens` are
    those of the two values.
    """

    human: tuple[Message, ...]
    replies: tuple[Assistant, ...]
    turn: int
    human_tokens: int = 0
    reply_tokens: int = 0

    @property
    def train(self) -> bool:
        return all(reply.train for reply in self.replies)

    @property
    def mid_turn(self) -> bool:
        return any(isinstance(message, Tool) for message in self.human)


def chunker(
    config: WindowConfig, roles: Mapping[str, RoleConfig], form: Form, prompts: PromptsConfig = _COMPACT
) -> Stage:
    """A stage that yields the windows of a conversation, and a drop for each reply that fits in none."""

    def chunk(conversation: Conversation) -> Iterator[Conversation | Drop]:
        prompt = choose_prompt(roles.get(conversation.role, roles["unknown"]), prompts, conversation.id)
        system = System(prompt, form.tools(conversation.messages, config.max_tokens // _TOOLS_SHARE))
        messages, cuts = fit_texts(conversation.messages, config, form.counter)
        exchanges = measure(pair_up(messages), form)
        exchanges, drops = _settle(conversation, exchanges)
        yield from drops
        fitter = _Fitter(config, form, exchanges, form.counter.count(form.system(system)))
        shown = noted(conversation, STAGE, "text cut in the middle", cuts)
        for number, window in enumerate(fitter.windows()):
            if isinstance(window, Drop):
                yield replace(window, subject=conversation.id)
            else:
                body, tokens = window
                yield replace(
                    shown,
                    id=f"{conversation.id}#{number}",
                    messages=(system, *body),
                    tokens=tokens,
                    notes=shown.notes if number == 0 else (),
                )

    return chunk


def fit_texts(messages: Sequence[Message], config: WindowConfig, counter: TokenCounter) -> tuple[list[Message], int]:
    """The messages with long results and long human texts cut, and how many were."""
    budgets = _budgets(messages, config)
    fitted, cuts = list(messages), 0
    texts = [messages[i].text for i in budgets]
    for i, before, after in zip(budgets, texts, counter.cut_middle(texts, tuple(budgets.values())), strict=True):
        if after is not before:
            fitted[i] = replace(messages[i], text=after)
            cuts += 1
    return fitted, cuts


def _budgets(messages: Sequence[Message], config: WindowConfig) -> dict[int, int]:
    """The tokens that each text on the human side may have, by its place."""
    budgets: dict[int, int] = {}
    for index, message in enumerate(messages):
        if isinstance(message, User):
            budgets[index] = config.human_tokens
        elif isinstance(message, Tool):
            share = max(config.step_tokens // _siblings(messages, index), 2 * _LEAST_OPENING)
            budgets[index] = min(config.result_tokens, share)
    return budgets


def _siblings(messages: Sequence[Message], index: int) -> int:
    """How many results stand in the step of the result at an index."""
    first = last = index
    while first and isinstance(messages[first - 1], Tool):
        first -= 1
    while last + 1 < len(messages) and isinstance(messages[last + 1], Tool):
        last += 1
    return last - first + 1


def pair_up(messages: Sequence[Message]) -> list[Exchange]:
    """The exchanges of a conversation; human words after the last reply belong to none."""
    exchanges: list[Exchange] = []
    human: list[Message] = []
    for message in messages:
        if not isinstance(message, Assistant):
            human.append(message)
        elif exchanges and not human:
            last = exchanges[-1]
            exchanges[-1] = replace(last, replies=(*last.replies, message))
        else:
            here = len(exchanges)
            opens = not exchanges or any(isinstance(m, User) for m in human)
            turn = here if opens else exchanges[-1].turn
            exchanges.append(Exchange(tuple(human or [User(NO_START, UserKind.RECALL)]), (message,), turn))
            human = []
    return exchanges


def measure(exchanges: Sequence[Exchange], form: Form) -> list[Exchange]:
    """The exchanges with the exact sizes of their values; a reply's tokens include its end of turn."""
    values = [value for e in exchanges for value in (form.human(e.human), form.reply(e.replies))]
    sizes = form.counter.counts(values)
    measured = []
    for exchange, human, reply in zip(exchanges, sizes[::2], sizes[1::2], strict=True):
        first, *rest = exchange.replies
        counted = replace(first, tokens=reply + form.loss_offset)
        measured.append(replace(exchange, replies=(counted, *rest), human_tokens=human, reply_tokens=reply))
    return measured


def _settle(conversation: Conversation, exchanges: list[Exchange]) -> tuple[list[Exchange], list[Drop]]:
    """Replies that stand in one value train together or not at all."""
    settled, drops = [], []
    for exchange in exchanges:
        lost = [reply for reply in exchange.replies if reply.train]
        if lost and not exchange.train:
            drops.append(_drop_replies(conversation.id, Reason.BESIDE_UNTRAINED, lost))
            exchange = _as_context(exchange)
        settled.append(exchange)
    return settled, drops


def _as_context(exchange: Exchange) -> Exchange:
    return replace(exchange, replies=tuple(replace(reply, train=False) for reply in exchange.replies))


def _drop_replies(subject: str, reason: Reason, lost: Sequence[Assistant]) -> Drop:
    first = lost[0]
    return Drop(STAGE, reason, subject, first.id, first.file, first.line, tally=weigh(lost))


class _Fitter:
    """Lays windows over the exchanges of one conversation."""

    def __init__(self, config: WindowConfig, form: Form, exchanges: list[Exchange], system_tokens: int) -> None:
        self.config = config
        self.form = form
        self.exchanges = exchanges
        self.room = config.max_tokens - form.opening - system_tokens
        self.openings: dict[tuple[int, int, bool], tuple[User, int]] = {}
        # Most windows that start inside a turn take these; one batch costs less than a call for each.
        turns = dict.fromkeys(e.turn for i, e in enumerate(exchanges) if e.turn != i)
        self._prepare_openings([(turn, config.opening_tokens, True) for turn in turns])

    def windows(self) -> Iterator[tuple[list[Message], int] | Drop]:
        """The messages and tokens of each window, in order, and a drop for each reply that fits in none."""
        at = 0
        while at < len(self.exchanges):
            exchange = self.exchanges[at]
            if not exchange.train:
                at += 1
            elif self._human_room(at) < _LEAST_OPENING:
                yield _drop_replies("", Reason.OVER_BUDGET, exchange.replies)
                self.exchanges[at] = _as_context(exchange)
                at += 1
            else:
                start = self._start(at)
                end = self._end(start, at)
                yield self._window(start, at, end)
                at = end + 1

    def _human_room(self, at: int) -> int:
        """Tokens left for the human side of a window that holds this exchange alone."""
        return self.room - self._cost(at) + self.exchanges[at].human_tokens

    def _cost(self, at: int) -> int:
        exchange = self.exchanges[at]
        return exchange.human_tokens + exchange.reply_tokens + self.form.exchange

    def _opening_tokens(self, start: int, at: int) -> int:
        return self._opening(start)[1] if self._needs_opening(start, at) else self.exchanges[start].human_tokens

    def _needs_opening(self, start: int, at: int) -> bool:
        """Results cannot open a window, since their calls are before it; mere context need not say all it said."""
        exchange = self.exchanges[start]
        limit = self._human_room(start) if start == at else self.config.opening_tokens
        return exchange.mid_turn or exchange.human_tokens > limit

    def _opening(self, start: int) -> tuple[User, int]:
        """The words that opened the turn, cut to what there is room for, and their size."""
        turn = self.exchanges[start].turn
        key = (turn, min(self.config.opening_tokens, self._human_room(start)), start != turn)
        if key not in self.openings:
            self._prepare_openings([key])
        return self.openings[key]

    def _prepare_openings(self, keys: Sequence[tuple[int, int, bool]]) -> None:
        """Cut and measure openings; a key is the turn, its budget, and whether steps of it are left out after them."""
        texts = []
        for turn, _, _ in keys:
            words = [m.text for m in self.exchanges[turn].human if isinstance(m, User)]
            texts.append("\n\n".join(words) or NO_START)
        budgets = [max(budget - _LEAST_OPENING // 2, 2) for _, budget, _ in keys]
        users = [
            User(f"{text}\n\n{LEFT_OUT}" if later else text, UserKind.RECALL)
            for (_, _, later), text in zip(keys, self.form.counter.cut_middle(texts, budgets), strict=True)
        ]
        sizes = self.form.counter.counts([self.form.human([user]) for user in users])
        self.openings.update(zip(keys, zip(users, sizes, strict=True), strict=True))

    def _total(self, start: int, at: int, end: int) -> int:
        """Tokens of a window from start to end in which what is before `at` is context."""
        inner = sum(self._cost(i) for i in range(start, end + 1)) - self.exchanges[start].human_tokens
        return inner + self._opening_tokens(start, at)

    def _start(self, at: int) -> int:
        """The earliest exchange whose context leaves at least the new part's share of the room to what is new.

        The step just before is shown even where it takes more: its results are what the reply answers.
        """
        context_pairs = int(self.config.pairs * self.config.overlap)
        for start in range(max(at - context_pairs, 0), at):
            fits = self._total(start, at, at) <= self.room
            modest = self._total(start, at, at - 1) <= self.room * self.config.overlap
            if fits and (modest or start == at - 1):
                return start
        return at

    def _end(self, start: int, at: int) -> int:
        """The last exchange of the window: trained, and as late as pairs and tokens allow."""
        end = at
        for candidate in range(at + 1, min(start + self.config.pairs, len(self.exchanges))):
            if self._total(start, at, candidate) > self.room:
                break
            if self.exchanges[candidate].train:
                end = candidate
        return end

    def _window(self, start: int, at: int, end: int) -> tuple[list[Message], int]:
        body: list[Message] = []
        for i in range(start, end + 1):
            exchange = self.exchanges[i] if i >= at else _as_context(self.exchanges[i])
            opens = i == start and self._needs_opening(i, at)
            body.extend((self._opening(i)[0],) if opens else exchange.human)
            body.extend(exchange.replies)
        fixed = self.config.max_tokens - self.room
        return body, fixed + self._total(start, at, end)
