"""Attempts whose calls could not work, and whether later replies of the same turn made them good."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise, takewhile

from data.record import ToolCall
from data.signals.results import Verdict, judge_result
from data.signals.shell import SHELL, commands_of, line_of
from data.signals.steps import Step

# Both are the model's own JSON, so the same file is the same text.
_FILE = re.compile(r'"(?:file|notebook)_path":\s?("(?:[^"\\]|\\.)*")')
_EDITORS = frozenset({"Edit", "MultiEdit", "Write", "NotebookEdit"})


def failed_calls(step: Step) -> tuple[ToolCall, ...]:
    """The calls of a reply none of whose calls worked; empty where one did, or where none was at fault itself."""
    verdicts = {result.call_id: judge_result(result) for result in step.results}
    if Verdict.WRONG_CALL not in verdicts.values():
        return ()
    if not set(verdicts.values()) <= {Verdict.WRONG_CALL, Verdict.UNKNOWN}:
        return ()
    return tuple(call for call in step.reply.calls if verdicts.get(call.id) is Verdict.WRONG_CALL)


def is_repaired(steps: Sequence[Step], index: int, within: int) -> bool:
    """Whether one of the next replies of the turn, at most so many, did with success what this one had tried."""
    failed = failed_calls(steps[index])
    later = rest_of_turn(steps, index, within) if failed else []
    return bool(failed) and all(any(_repairs(call, other) for other in later) for call in failed)


def rest_of_turn(steps: Sequence[Step], index: int, most: int) -> list[Step]:
    """The next steps, at most so many, until somebody speaks."""
    turn = takewhile(lambda pair: not pair[0].ends_turn, pairwise(steps[index : index + most + 1]))
    return [step for _, step in turn]


def _repairs(failed: ToolCall, later: Step) -> bool:
    """Whether a later reply did with success what this call had tried."""
    fine = {result.call_id for result in later.results if judge_result(result) is Verdict.FINE}
    return any(call.id in fine and call.name == failed.name and _same_aim(failed, call) for call in later.reply.calls)


def _same_aim(failed: ToolCall, later: ToolCall) -> bool:
    """Whether two calls of a tool are after the same: an edit of one file, a command with one program.

    Where a search or a read failed, another place to look is the repair.
    """
    if failed.name in _EDITORS:
        return _file_of(failed) == _file_of(later)
    if failed.name == SHELL:
        programs = [command.split()[0] for command in commands_of(failed) if not command.startswith("cd ")]
        words = [word.rpartition("/")[2] for word in line_of(later).split()]
        return any(word.startswith(program) for program in programs for word in words)
    return True


def _file_of(call: ToolCall) -> str:
    match = _FILE.search(call.arguments)
    return match.group(1) if match else ""
