"""Takes out what town agents do while nothing happens: empty patrols, waits, startups, triage without an action.

The rules are declared in `boilerplate:` of configs/data.yml and name the drops. A turn (words and all until the next
words) is cut into cycles at its waits; a cycle goes when every command in it is declared and printed what is declared
for it. Turns whose cycles all go disappear with their words; elsewhere the replies stay as context. Sessions of other
roles are never looked into.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache
from itertools import pairwise

import msgspec
from msgspec.structs import replace

from data.command_line import simple_commands
from data.config import BoilerplateConfig, TurnRule
from data.record import (
    Assistant,
    Conversation,
    Drop,
    Message,
    ResultStatus,
    Tally,
    Tool,
    ToolCall,
    User,
    UserKind,
    weigh,
)
from data.signals.shell import SHELL, line_of
from data.signals.steps import Step, steps_of
from data.stage import Stage

STAGE = "boilerplate"
_LONGEST = 2000  # characters of a call's arguments; more is no patrol, and would fill the memory of calls

# Texts that no person typed. A summary is among them, but what it says is needed by all that follows.
_NOT_TYPED = frozenset(
    {UserKind.EXPANSION, UserKind.NOTIFICATION, UserKind.REMINDER, UserKind.SUMMARY, UserKind.RECALL}
)


class Cycle(msgspec.Struct, frozen=True):
    """Steps of one turn up to a wait; `opening` are the words before the first of a turn."""

    turn: int
    steps: tuple[Step, ...]
    opening: tuple[User, ...] = ()


def boilerplate(config: BoilerplateConfig) -> Stage:
    """A stage that takes out cycles in which nothing happened: one drop for each rule that spoke."""
    commands = Commands(config)
    judges = {role: Judge(config, role, commands) for rule in config.rules.values() for role in rule.roles}

    def remove(conversation: Conversation) -> Iterator[Conversation | Drop]:
        judge = judges.get(conversation.role)
        if judge is None:
            yield conversation
        else:
            yield from remove_cycles(conversation, judge)

    return remove


def remove_cycles(conversation: Conversation, judge: Judge) -> Iterator[Conversation | Drop]:
    """The conversation without its idle cycles, and the drops that weigh them."""
    cycles = cut_cycles(conversation.messages, judge.waits)
    idle = judge.idle(cycles)
    lost: dict[str, list[Assistant]] = {}
    for index, rule in idle.items():
        trained = [step.reply for step in cycles[index].steps if step.reply.train]
        if trained:
            lost.setdefault(rule, []).extend(trained)
    if not lost:
        yield conversation
        return
    messages = without(conversation.messages, cycles, idle)
    empty = not any(isinstance(message, Assistant) and message.train for message in messages)
    most = max(lost, key=lambda rule: len(lost[rule]))
    for rule, trained in lost.items():
        yield _drop(conversation, rule, trained, whole=empty and rule == most)
    if not empty:
        yield replace(conversation, messages=messages)


def _drop(conversation: Conversation, rule: str, lost: Sequence[Assistant], whole: bool) -> Drop:
    first = lost[0]
    tally: Tally = weigh(lost, conversations=int(whole))
    return Drop(STAGE, rule, conversation.id, first.id, first.file, first.line, tally=tally)


def turns_of(messages: Sequence[Message]) -> list[int]:
    """The number of the turn of each message: words belong to the turn they open, results to that of their call."""
    turns, turn, of_reply, speaking = [], 0, 0, False
    for message in messages:
        if isinstance(message, User):
            turn += not speaking
            speaking = True
        elif isinstance(message, Assistant):
            of_reply, speaking = turn, False
        turns.append(of_reply if isinstance(message, Tool) else turn)
    return turns


def cut_cycles(messages: Sequence[Message], waits: re.Pattern[str]) -> list[Cycle]:
    """The cycles of a conversation: a turn is cut after every step that waits and has another call after it."""
    steps = list(steps_of(messages))
    if not steps:
        return []
    words = tuple(message for message in messages[: steps[0].at] if isinstance(message, User))
    cycles, current, turn = [], [steps[0]], int(bool(words))
    for before, step in pairwise(steps):
        if before.said or (step.reply.calls and _waits(before, waits)):
            cycles.append(Cycle(turn, tuple(current), words))
            current, words = [], before.said
            turn += bool(words)
        current.append(step)
    return [*cycles, Cycle(turn, tuple(current), words)]


def _waits(step: Step, waits: re.Pattern[str]) -> bool:
    return any(call.name == SHELL and waits.search(call.arguments) for call in step.reply.calls)


def without(messages: Sequence[Message], cycles: Sequence[Cycle], idle: Mapping[int, str]) -> tuple[Message, ...]:
    """The messages without the turns that are idle throughout; in other turns idle replies are no longer trained."""
    busy = {cycle.turn for index, cycle in enumerate(cycles) if index not in idle or _opens_epoch(cycle)}
    gone = {cycle.turn for cycle in cycles} - busy
    untrained = {step.at for index in idle for step in cycles[index].steps}
    kept = []
    for at, (message, turn) in enumerate(zip(messages, turns_of(messages), strict=True)):
        if turn in gone:
            continue
        if at in untrained and isinstance(message, Assistant) and message.train:
            message = replace(message, train=False)
        kept.append(message)
    return tuple(kept)


def _opens_epoch(cycle: Cycle) -> bool:
    return any(user.kind is UserKind.SUMMARY for user in cycle.opening)


class Judge:
    """The rules for sessions of one role."""

    def __init__(self, config: BoilerplateConfig, role: str, commands: Commands) -> None:
        self.waits = re.compile(config.waits)
        self.signs = re.compile(config.signs)
        self.town_words = config.town_words
        self.commands = commands
        rules = [(name, rule) for name, rule in config.rules.items() if rule.enabled and role in rule.roles]
        self.of_cycles = [(name, rule) for name, rule in rules if rule.scope == "cycle"]
        self.of_sessions = [(name, rule) for name, rule in rules if rule.scope == "session"]

    def idle(self, cycles: Sequence[Cycle]) -> dict[int, str]:
        """The rules that idle cycles fall under, by their index. A session is judged by what is left of it."""
        groups = {at: found for at, cycle in enumerate(cycles) if (found := self._groups_in(cycle))}
        if not groups:
            return {}
        idle: dict[int, str] = {}
        for at, found in groups.items():
            name, rule = next(((n, r) for n, r in self.of_cycles if _fits(r, found)), ("", None))
            if rule and not _is_kept(cycles[at], rule.keep):
                idle[at] = name
        left = [at for at, cycle in enumerate(cycles) if at not in idle and any(s.reply.train for s in cycle.steps)]
        if left and groups.keys() >= set(left):
            together = frozenset().union(*(groups[at] for at in left))
            idle |= next((dict.fromkeys(left, name) for name, rule in self.of_sessions if _fits(rule, together)), {})
        return idle

    def _groups_in(self, cycle: Cycle) -> frozenset[str]:
        """The groups of all commands of a cycle in which nothing happened; empty where something did."""
        groups: set[str] = set()
        for step in cycle.steps:
            results = {result.call_id: result for result in step.results}
            for call in step.reply.calls:
                found = self.commands.idle_groups(call, results.get(call.id))
                if not found:
                    return frozenset()
                groups |= found
        return frozenset(groups) if groups and self._is_quiet(cycle) else frozenset()

    def _is_quiet(self, cycle: Cycle) -> bool:
        """Whether no person spoke or stopped the agent, and no words are a sign that something happened."""
        stopped = any(user.kind is UserKind.INTERRUPT for user in cycle.steps[-1].said)
        words = [user.text for user in cycle.opening] + [step.reply.text for step in cycle.steps]
        return not (stopped or any(map(self._is_typed, cycle.opening)) or any(map(self.signs.search, words)))

    def _is_typed(self, user: User) -> bool:
        return user.kind not in _NOT_TYPED and not user.text.startswith(self.town_words)


def _fits(rule: TurnRule, groups: Set[str]) -> bool:
    """Whether all commands are of the rule and one is among those that it needs."""
    return groups <= set(rule.of) and not groups.isdisjoint(rule.needs)


def _is_kept(cycle: Cycle, share: float) -> bool:
    """Whether a cycle is of the share that stays, by the id of its first reply: no other session changes it."""
    digest = hashlib.blake2b(cycle.steps[0].reply.id.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64 < share


class Entry(msgspec.Struct, frozen=True):
    """A declared command: its group, and what its result must contain unless anything will do."""

    group: str
    command: re.Pattern[str]
    prints: re.Pattern[str] | None


class Commands:
    """The declared commands. What a call would run is remembered, since patrols repeat themselves."""

    def __init__(self, config: BoilerplateConfig) -> None:
        self.signs = re.compile(config.signs)
        self.entries = [
            Entry(group, re.compile(command), re.compile(prints) if prints else None)
            for group, commands in config.commands.items()
            for command, prints in commands.items()
        ]
        self.entries_of = lru_cache(maxsize=4096)(self._entries_of)

    def idle_groups(self, call: ToolCall, result: Tool | None) -> set[str]:
        """The groups of the commands in a call; none where one is not declared, failed or found something."""
        if call.name != SHELL or len(call.arguments) > _LONGEST or not result or result.status is not ResultStatus.OK:
            return set()
        entries = self.entries_of(call.arguments)
        looks = [entry.prints for entry in entries if entry.prints]
        if looks and not (all(prints.search(result.text) for prints in looks) and not self.signs.search(result.text)):
            return set()
        return {entry.group for entry in entries}

    def _entries_of(self, arguments: str) -> tuple[Entry, ...]:
        """The declared commands that a call is made of; none where it has others, or words that are a sign."""
        entries = []
        for command in simple_commands(line_of(ToolCall("", SHELL, arguments))) or ():
            entry = next((entry for entry in self.entries if entry.command.fullmatch(command)), None)
            if entry is None:
                return ()
            entries.append(entry)
        return () if self.signs.search(arguments) else tuple(entries)
