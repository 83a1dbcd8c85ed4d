"""What the shell commands of a session achieved: tests that ran, commits, pushes, merges, pull requests.

A command counts where it stands as a command: not in a message, a here-document or a quoted string.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from data.record import ResultStatus, Tool, ToolCall
from data.signals.facts import Fact
from data.signals.steps import Step

SHELL = "Bash"

_WORTH_A_LOOK = ("git ", "gh ", "gt ", "bd ", "test", "tox", "nox", "jest", "spec")
_HERE_DOCUMENT = re.compile(r"<<-?\s*(['\"]?)(\w+)\1.*?^[ \t]*\2[ \t]*$", re.DOTALL | re.MULTILINE)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'', re.DOTALL)
_BETWEEN = re.compile(r"&&|[;|\n(]|(?<!>)&(?!>)")  # but `2>&1` and `&>file` are within a command
_WRAPPERS = re.compile(
    r"(?:\w+=\S*\s+|(?:sudo|time|nice|env|command|npx|bunx|poetry run|pipenv run|bundle exec)\s+"
    r"|uv run\s+(?:--?\S+\s+)*|timeout\s+\S+\s+|(?:[\w.~-]*/)+(?=\w))*"
)
_TESTS = re.compile(
    r"(?:py\.?test|python[\d.]* -m (?:pytest|unittest)|go test|cargo (?:nextest|test)"
    r"|(?:npm|yarn|pnpm|bun)(?: run)? test"
    r"|mise (?:run |r )?test|make (?:\S+ )*(?:test|check)|just test|jest|vitest|tox|nox|rspec|ctest|rake test|mix test"
    r"|(?:mvn|gradlew?) (?:\S+ )*test|(?:dotnet|swift|deno|bazel|zig build) test|phpunit)\b"
)
# Runners say how it ended in their last lines, however much they print before.
_TAIL = 3000
_RED = re.compile(
    r"^[ \t]*(?:--- )?FAIL\b|\bFAILED\b|[1-9]\d* (?:tests? |examples? |specs? )?(?:failed|failing|failures?|errors?)\b"
    r"|(?:[Ff]ailures|[Ee]rrors)[:=] ?[1-9]|# fail [1-9]|task failed|BUILD FAILURE",
    re.MULTILINE,
)
_MAYBE_RED = ("fail", "FAIL", "Fail", "rror")
_GREEN = re.compile(
    r"^(?:ok\s|PASS\b|OK\b)|[1-9]\d* (?:tests? )?(?:passed|passing|pass)\b|0 failures|# pass [1-9]|test result: ok"
    r"|tests? passed",
    re.MULTILINE,
)

_GIT = r"git (?:-[Cc] \S+ )*"
# A merge of the trunk into one's own branch lands nothing.
_UPDATE = r"(?:\S+ )*(?:(?:(?:origin|upstream)/)?(?:main|master|develop|trunk)\b|--(?:abort|quit))"
# What came of a command, how it begins, and what its output says where nothing came of it.
_LANDINGS = tuple(
    (fact, re.compile(command), re.compile(refusal, re.MULTILINE))
    for fact, command, refusal in (
        (Fact.COMMIT, _GIT + r"commit\b(?!.* --dry-run)", r"nothing to commit|no changes added|nothing added to"),
        (Fact.PUSH, _GIT + r"push\b(?!.* --(?:delete|dry-run))", r"\[(?:remote )?rejected\]|failed to push|^fatal: "),
        (Fact.MERGE, _GIT + rf"merge +(?!{_UPDATE})", r"CONFLICT|not something we can merge"),
        (Fact.MERGE, r"gh pr merge\b", r"not mergeable|failed to"),
        (Fact.MERGE_REQUEST, r"gt (?:done|mq submit)\b", r"^Error: "),
    )
)
_PULL_REQUEST = re.compile(r"gh pr create\b")


class Run(msgspec.Struct, frozen=True):
    """One shell call: its commands, without what is quoted in them, and what came back."""

    commands: tuple[str, ...]
    result: Tool


def runs_of(steps: Iterable[Step]) -> Iterator[Run]:
    """The shell calls that may say something about the outcome, in order."""
    for step in steps:
        results = {result.call_id: result for result in step.results}
        for call in step.reply.calls:
            if call.name == SHELL and call.id in results and any(word in call.arguments for word in _WORTH_A_LOOK):
                yield Run(commands_of(call), results[call.id])


def commands_of(call: ToolCall) -> tuple[str, ...]:
    """The single commands of a shell call, without wrappers such as `sudo` and `timeout 60`."""
    line = line_of(call)
    if "<<" in line:
        line = _HERE_DOCUMENT.sub("", line)
    parts = _BETWEEN.split(_QUOTED.sub("''", line))
    return tuple(filter(None, map(_unwrapped, parts)))


def _unwrapped(part: str) -> str:
    command = part.strip()
    wrappers = _WRAPPERS.match(command)
    return command[wrappers.end() :] if wrappers else command


def line_of(call: ToolCall) -> str:
    """The command line of a shell call; empty where there is none."""
    try:
        arguments = msgspec.json.decode(call.arguments)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""
    line = arguments.get("command") if isinstance(arguments, dict) else None
    return line if isinstance(line, str) else ""


def shell_facts(runs: Sequence[Run]) -> set[Fact]:
    """What was achieved. Tests are judged by their last run; a commit or a push by its own result."""
    facts: set[Fact] = set()
    verdicts: list[bool] = []
    for run in runs:
        facts.update(_landings(run))
        if any(_TESTS.match(command) for command in run.commands):
            verdict = tests_passed(run)
            verdicts += [] if verdict is None else [verdict]
    if verdicts:
        facts.add(_tests(verdicts))
    return facts


def _landings(run: Run) -> Iterator[Fact]:
    if run.result.status is not ResultStatus.OK:
        return
    for command in run.commands:
        for fact, pattern, refusal in _LANDINGS:
            if pattern.match(command) and not refusal.search(run.result.text[-_TAIL:]):
                yield fact
        if _PULL_REQUEST.match(command) and "/pull/" in run.result.text[-_TAIL:]:
            yield Fact.PULL_REQUEST


def _tests(verdicts: Sequence[bool]) -> Fact:
    if not verdicts[-1]:
        return Fact.TESTS_FAILED
    return Fact.TESTS_PASSED if all(verdicts) else Fact.TESTS_REPAIRED


def tests_passed(run: Run) -> bool | None:
    """Whether the tests of a run passed; None where that is not said. A pipe hides the exit code, not the text."""
    result, tail = run.result, run.result.text[-_TAIL:]
    if result.status not in (ResultStatus.OK, ResultStatus.ERROR):
        return None
    if any(word in tail for word in _MAYBE_RED) and _RED.search(tail):
        return False
    if result.status is ResultStatus.OK:
        return True if _GREEN.search(tail) else None
    # Where nothing but tests ran, what failed was the tests: they did not even start.
    alone = all(_TESTS.match(command) or command.startswith("cd ") for command in run.commands)
    return False if alone else None
