"""How close a predicted next action comes to the recorded one: the metrics of tool_use_accuracy.

Bash is most of all calls, so that naming the tool proves nothing; what counts is the command that runs. Two
calls match (`ast_match`) when name and arguments agree apart from free text, commands as program, flags and
positionals.
"""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, get_args

import msgspec

from eval import shell
from eval.answer import Answer, Call
from eval.score import argument_fault

Metric = Literal[
    "format_valid", "decision_acc", "abstain_recall", "tool_name_acc", "effective_tool_acc", "ast_match", "exact_match"
]
METRICS: tuple[Metric, ...] = get_args(Metric)
MEANING: Mapping[Metric, str] = {
    "format_valid": "attempted calls that parse, name a known tool and fit its arguments",
    "decision_acc": "a call where one was made, text where not",
    "abstain_recall": "text-only turns left without a call",
    "tool_name_acc": "same tools (turns with calls)",
    "effective_tool_acc": "same tools, Bash by the commands it runs",
    "ast_match": "same calls and arguments, free text apart",
    "exact_match": "same calls, arguments and order",
}
# Arguments and flags that hold prose, or do not change what happens.
FREE_ARGUMENTS = frozenset({"description", "timeout", "prompt"})
FREE_FLAGS = frozenset({"-m", "--message", "--reason", "--notes", "--description", "-d", "--body"})
# How many plain words behind these programs name the action (`gt mail send`, `git push`).
SUBCOMMANDS: Mapping[str, int] = {"gt": 2, "bd": 2, "gh": 2, "git": 1, "npm": 1, "docker": 1, "cargo": 1, "go": 1}
SUBCOMMAND = re.compile(r"[a-z][a-z-]*")


class Mistake(StrEnum):
    """The first thing that is wrong with a predicted action."""

    MALFORMED = "malformed call"
    NEEDLESS = "call where text was right"
    MISSING = "text where a call was right"
    WRONG_TOOL = "wrong tool"
    WRONG_COMMAND = "wrong command"
    WRONG_ARGUMENTS = "wrong arguments"


class TurnScore(msgspec.Struct, frozen=True):
    """The metrics of one turn, None where a metric does not apply, and the first mistake."""

    metrics: dict[Metric, bool | None]
    mistake: Mistake | None


def score_turn(recorded: Answer, predicted: Answer, tools: Mapping[str, dict[str, Any]]) -> TurnScore:
    """Compares the predicted answer with the recorded one.

    `tools` are the argument schemas of the known tools.
    """
    acts = bool(recorded.calls)
    valid = not predicted.flags and not any(argument_fault(call, tools) for call in predicted.calls)

    def agree(view: Any) -> bool | None:
        return _multiset(view, recorded.calls) == _multiset(view, predicted.calls) if acts else None

    metrics: dict[Metric, bool | None] = {
        "format_valid": valid if predicted.attempted else None,
        "decision_acc": predicted.attempted == acts,
        "abstain_recall": None if acts else not predicted.attempted,
        "tool_name_acc": agree(lambda call: [call.name]),
        "effective_tool_acc": agree(effective_tools),
        "ast_match": agree(lambda call: [canonical_call(call)]),
        "exact_match": recorded.calls == predicted.calls if acts else None,
    }
    return TurnScore(metrics, _mistake(metrics, predicted, acts))


def effective_tools(call: Call) -> list[tuple[str, ...]]:
    """The tool, and for Bash one entry per acting command: `(Bash, gt, mail, send)`."""
    return [(call.name, *_head(command)) for command in _commands(call)] or [(call.name,)]


def canonical_call(call: Call) -> Hashable:
    """The call without free text, so that equal meanings compare equal."""
    commands = tuple(_canonical_command(command) for command in _commands(call))
    kept = {
        key: value
        for key, value in call.arguments.items()
        if key not in FREE_ARGUMENTS and not (key == "command" and commands)
    }
    return call.name, msgspec.json.encode(kept, order="deterministic"), commands


def _commands(call: Call) -> list[shell.Command]:
    script = call.arguments.get("command")
    if call.name != "Bash" or not isinstance(script, str):
        return []
    found = shell.commands(script)
    return [command for command in found if command.acts] or list(found)


def _head(command: shell.Command) -> tuple[str, ...]:
    depth = SUBCOMMANDS.get(command.program, 0)
    words = []
    for word in command.words[1 : depth + 1]:
        if not SUBCOMMAND.fullmatch(word):
            break
        words.append(word)
    return (command.program, *words)


def _canonical_command(command: shell.Command) -> Hashable:
    """Program, sorted flags, positionals in order; the value of a free-text flag is left out."""
    flags, positionals = [], []
    words = iter(command.words[1:])
    prose = command.program in SUBCOMMANDS
    for word in words:
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            positionals.append(word)
        elif prose and name in FREE_FLAGS:
            flags.append(name)
            if not equals:
                next(words, None)
        else:
            flags.append(name)
            positionals.extend([value] if equals else [])
    return command.program, tuple(sorted(flags)), tuple(positionals)


def _multiset(view: Any, calls: Sequence[Call]) -> Counter[Hashable]:
    parts: Iterable[Iterable[Hashable]] = map(view, calls)
    return Counter(part for several in parts for part in several)


def _mistake(metrics: Mapping[Metric, bool | None], predicted: Answer, acts: bool) -> Mistake | None:
    if metrics["format_valid"] is False:
        return Mistake.MALFORMED
    if predicted.attempted != acts:
        return Mistake.MISSING if acts else Mistake.NEEDLESS
    order: tuple[tuple[Metric, Mistake], ...] = (
        ("tool_name_acc", Mistake.WRONG_TOOL),
        ("effective_tool_acc", Mistake.WRONG_COMMAND),
        ("ast_match", Mistake.WRONG_ARGUMENTS),
    )
    return next((mistake for metric, mistake in order if metrics[metric] is False), None)
