"""How close a predicted next action comes to the recorded one: the metrics of tool_use_accuracy.

Bash is most of all calls, so that naming the tool proves nothing; what counts is the command that runs. Two calls match
(`ast_match`) when name and arguments agree apart from free text, commands as head, flags and words.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, get_args

import msgspec

from eval.acts import argument_fault
from eval.answer import Answer
from eval.effective import Canonical, canonical, heads, similarity
from eval.pairing import best_pairs

Metric = Literal[
    "format_valid",
    "decision_acc",
    "abstain_recall",
    "tool_name_acc",
    "effective_tool_acc",
    "effective_f1",
    "ast_match",
    "arg_soft",
    "exact_match",
]
METRICS: tuple[Metric, ...] = get_args(Metric)
HEADLINE: tuple[Metric, ...] = ("effective_tool_acc", "ast_match")
MEANING: Mapping[Metric, str] = {
    "format_valid": "calls parse, name a known tool, fit its schema",
    "decision_acc": "a call where one was made, text where not",
    "abstain_recall": "text-only turns left without a call",
    "tool_name_acc": "same tools (from here on: turns with calls)",
    "effective_tool_acc": "same tools, Bash by the commands it runs",
    "effective_f1": "overlap of these",
    "ast_match": "same calls and arguments, free text apart",
    "arg_soft": "likeness of the calls in their best pairing",
    "exact_match": "same calls, arguments and order",
}


class Mistake(StrEnum):
    """What is wrong with a predicted action; one turn may have several."""

    MALFORMED = "malformed call"
    NEEDLESS = "call where text was right"
    MISSING = "text where a call was right"
    TOO_FEW = "too few calls"
    TOO_MANY = "too many calls"
    WRONG_TOOL = "wrong tool"
    WRONG_HEAD = "wrong command"
    MISSING_ARGUMENT = "missing argument"
    EXTRA_ARGUMENT = "extra argument"
    WRONG_ARGUMENT = "wrong argument"


class TurnScore(msgspec.Struct, frozen=True):
    """The metrics of one turn in 0..1, None where a metric does not apply, and its mistakes in the order above."""

    metrics: dict[Metric, float | None]
    mistakes: tuple[Mistake, ...]


def score_turn(recorded: Answer, predicted: Answer, schemas: Mapping[str, dict[str, Any]]) -> TurnScore:
    """Compares the predicted answer with the recorded one. `schemas` are the arguments of the known tools."""
    acts = bool(recorded.calls)
    valid = not predicted.flags and not any(argument_fault(call, schemas) for call in predicted.calls)
    metrics: dict[Metric, float | None] = {
        **dict.fromkeys(METRICS),
        "format_valid": float(valid) if predicted.attempted else None,
        "decision_acc": float(predicted.attempted == acts),
        "abstain_recall": None if acts else float(not predicted.attempted),
    }
    if acts:
        metrics |= _agreement(recorded, predicted)
    found = set(_mistakes(recorded, predicted, valid))
    return TurnScore(metrics, tuple(mistake for mistake in Mistake if mistake in found))


def _agreement(recorded: Answer, predicted: Answer) -> dict[Metric, float]:
    """The metrics of a turn with calls."""
    wanted, given = recorded.calls, predicted.calls
    first, second = _count(head for call in wanted for head in heads(call)), _count(h for c in given for h in heads(c))
    ours, theirs = list(map(canonical, wanted)), list(map(canonical, given))
    return {
        "tool_name_acc": float(_count(c.name for c in wanted) == _count(c.name for c in given)),
        "effective_tool_acc": float(first == second),
        "effective_f1": 2 * (first & second).total() / (first.total() + second.total()),
        # Equality is transitive, so that the best pairing matches all calls where these bags are equal.
        "ast_match": float(_count(ours) == _count(theirs)),
        "arg_soft": sum(likeness for _, _, likeness in pairs(ours, theirs)) / max(len(ours), len(theirs)),
        "exact_match": float(_exactly(recorded) == _exactly(predicted)),
    }


def pairs(ours: Sequence[Canonical], theirs: Sequence[Canonical]) -> list[tuple[Canonical, Canonical, float]]:
    """Calls paired one to one so that their likeness is largest in all, with the likeness of each pair."""
    likeness = [[similarity(one, other) for other in theirs] for one in ours]
    return [(ours[row], theirs[column], likeness[row][column]) for row, column in best_pairs(likeness)]


def _mistakes(recorded: Answer, predicted: Answer, valid: bool) -> Iterator[Mistake]:
    acts = bool(recorded.calls)
    if predicted.attempted and not valid:
        yield Mistake.MALFORMED
    if predicted.attempted != acts:
        yield Mistake.MISSING if acts else Mistake.NEEDLESS
    if not (acts and predicted.calls):
        return
    if len(recorded.calls) != len(predicted.calls):
        yield Mistake.TOO_FEW if len(predicted.calls) < len(recorded.calls) else Mistake.TOO_MANY
    ours, theirs = list(map(canonical, recorded.calls)), list(map(canonical, predicted.calls))
    for one, other, _ in pairs(ours, theirs):
        yield from _differences(one, other)


def _differences(one: Canonical, other: Canonical) -> Iterator[Mistake]:
    """What is wrong with the second call of a pair."""
    if one.name != other.name:
        yield Mistake.WRONG_TOOL
    elif _count(action.head for action in one.actions) != _count(action.head for action in other.actions):
        yield Mistake.WRONG_HEAD
    elif one != other:
        yield from _argument_mistakes(one, other)


def _argument_mistakes(one: Canonical, other: Canonical) -> Iterator[Mistake]:
    mine, theirs = dict(one.arguments), dict(other.arguments)
    lacking, spare = _words(one) - _words(other), _words(other) - _words(one)
    # Words and flags have no names: one too few and one too many is a wrong one, and so is another order.
    swapped = bool(lacking) == bool(spare) and (one.actions, one.written) != (other.actions, other.written)
    if mine.keys() - theirs.keys() or (lacking and not spare):
        yield Mistake.MISSING_ARGUMENT
    if theirs.keys() - mine.keys() or (spare and not lacking):
        yield Mistake.EXTRA_ARGUMENT
    if swapped or any(mine[key] != theirs[key] for key in mine.keys() & theirs.keys()):
        yield Mistake.WRONG_ARGUMENT


def _words(call: Canonical) -> Counter[Hashable]:
    """What the commands of a call are given."""
    words = ((action.head, word) for action in call.actions for word in (*action.flags, *action.words))
    return _count([*words, *call.written])


def _exactly(answer: Answer) -> list[bytes]:
    return [msgspec.json.encode(call, order="deterministic") for call in answer.calls]


def _count(values: Iterable[Hashable]) -> Counter[Hashable]:
    return Counter(values)
