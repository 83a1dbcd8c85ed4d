"""What a call does: Bash resolved into the commands that it runs, arguments without free text.

`actions(call)` are the commands as head, flags and words; `heads(call)` is the tool with each head, as
`(Bash, gt, mail, send)`; `canonical(call)` is equal for two calls that do the same. Where a command runs, how its words
are quoted and what it echoes do not count; nothing else is normalised, so that `-D` is not `-d`.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from eval import programs, shell
from eval.answer import Call

# Arguments and flags that hold prose, or do not change what happens.
FREE_ARGUMENTS = frozenset({"description", "timeout", "prompt"})
MESSAGE = frozenset({"-m", "--message"})
NOTES = MESSAGE | {"--reason", "--notes", "--description", "--body", "--subject", "-d", "-s"}
FREE_FLAGS: Mapping[tuple[str, ...], frozenset[str]] = {
    ("gt", "mail"): NOTES,
    ("gt", "handoff"): NOTES,
    ("gt",): NOTES - {"-d", "-s"},
    ("bd",): NOTES - {"-s"},
    ("gh",): frozenset({"--title", "-t", "--body", "-b", "--notes", "-n"}),
    **{("git", name): MESSAGE for name in ("commit", "tag", "merge", "stash", "notes")},
}
# Programs whose first plain word names the action, and the words of theirs that open a group of actions.
GROUPS: Mapping[str, frozenset[str]] = {
    "gt": frozenset(
        {"boot", "convoy", "costs", "crew", "deacon", "dog", "dolt", "formula", "mail", "mayor", "mol", "mq"}
        | {"patrol", "plugin", "polecat", "refinery", "rig", "session", "witness", "worktree"}
    ),
    "bd": frozenset({"comments", "config", "daemon", "dep", "dolt", "epic", "gate", "label", "mol", "swarm"}),
    "gh": frozenset({"issue", "pr", "release", "repo", "run", "workflow"}),
    "git": frozenset({"bisect", "notes", "remote", "stash", "submodule", "worktree"}),
    "docker": frozenset({"compose", "container", "image", "network", "volume"}),
    "go": frozenset({"mod", "work"}),
    "uv": frozenset({"pip", "run", "tool"}),
    **{program: frozenset({"run"}) for program in ("npm", "pnpm", "yarn", "mise", "just")},
    **{program: frozenset() for program in ("cargo", "make", "kubectl", "pip", "systemctl")},
}
ACTION = re.compile(r"[a-z][a-z:_-]*")
CHANGES_FOLDER = frozenset({"cd", "pushd", "popd"})
ONLY_SAYS = frozenset({"echo", "printf", "true", ":"})
# `git -C FOLDER push` is `git push` in another folder.
FOLDER_FLAG: Mapping[str, str] = {"git": "-C", "make": "-C"}
TARGET = re.compile(r"(?<![<>=-])>>?\s*(?![&>]|/dev/null\b)([^\s;|&<>()]+)")
HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1[^\n]*\n(.*?)^\s*\2\s*$", re.DOTALL | re.MULTILINE)


class Action(NamedTuple):
    """One command: program with the words that name the action, sorted flags, and all other words in order."""

    head: tuple[str, ...]
    flags: tuple[str, ...]
    words: tuple[str, ...]


class Canonical(NamedTuple):
    """A call without free text. `arguments` are JSON texts by name; `written` is what goes to files or interpreters."""

    name: str
    arguments: tuple[tuple[str, str], ...]
    actions: tuple[Action, ...]
    written: tuple[str, ...]


def heads(call: Call) -> list[tuple[str, ...]]:
    """The tool, and for Bash one entry per command: `(Bash, gt, mail, send)`."""
    return [(call.name, *action.head) for action in actions(call)] or [(call.name,)]


def canonical(call: Call) -> Canonical:
    """The call without what does not count; equal for two calls that do the same."""
    done = actions(call)
    arguments = tuple(
        (key, msgspec.json.encode(value, order="deterministic").decode())
        for key, value in sorted(call.arguments.items())
        if key not in FREE_ARGUMENTS and not (key == "command" and done)
    )
    return Canonical(call.name, arguments, done, _written(call.arguments["command"]) if done else ())


def actions(call: Call) -> tuple[Action, ...]:
    """The commands that a Bash call runs, in order; empty for another tool."""
    script = call.arguments.get("command")
    return _actions(script) if call.name == "Bash" and isinstance(script, str) else ()


@functools.lru_cache(maxsize=8192)
def _actions(script: str) -> tuple[Action, ...]:
    found = shell.commands(script)
    counted = [command for command in found if not _is_idle(command)]
    return tuple(map(_action, counted or found))


def _is_idle(command: shell.Command) -> bool:
    """Whether it only changes the folder or says something; `cat <<EOF` alone says something, too."""
    says = command.program in ONLY_SAYS or command.words == ("cat",)
    return command.program in CHANGES_FOLDER or (says and not command.writes)


def _action(command: shell.Command) -> Action:
    words = list(_without_folder(command))
    head = _head(command.program, words)
    free = next((flags for start, flags in FREE_FLAGS.items() if head[: len(start)] == start), frozenset())
    flags, others = [], []
    waiting = iter(_without_head(words, head[1:]))
    for word in waiting:
        name, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            others.append(word)
        elif name in free or (free >= MESSAGE and re.fullmatch(r"-[a-z]m", word)):
            # `-am TEXT` is `-a -m TEXT`.
            flags.extend([word[:2]] if name not in free else [])
            if not equals:
                next(waiting, None)
        else:
            flags.append(name)
            others.extend([value] if equals else [])
    return Action(head, tuple(sorted(flags)), tuple(others))


def _without_folder(command: shell.Command) -> Iterator[str]:
    words = iter(command.words[1:])
    for word in words:
        if word == FOLDER_FLAG.get(command.program):
            next(words, None)
        else:
            yield word


def _head(program: str, words: list[str]) -> tuple[str, ...]:
    if program not in GROUPS:
        return (program,)
    plain = [word for word in words if not word.startswith("-")][:2]
    names = [word for word in plain if ACTION.fullmatch(word)]
    if not names or names[0] != plain[0]:
        return (program,)
    deep = names[0] in GROUPS[program] and len(names) == 2
    return (program, *names[: 2 if deep else 1])


def _without_head(words: list[str], head: tuple[str, ...]) -> list[str]:
    left = list(words)
    for word in head:
        left.remove(word)
    return left


def _written(script: str) -> tuple[str, ...]:
    """Files that output goes to, and heredocs that are written or run; those that only fill a message are free text."""
    found = shell.commands(script)
    writes = any(command.writes for command in found)
    targets = [match[1].strip("'\"") for match in TARGET.finditer(script)] if writes else []
    runs = any(programs.runs_text(command.words) for command in found)
    bodies = [match[3] for match in HEREDOC.finditer(script)] if writes or runs else []
    return (*targets, *bodies)


def similarity(one: Canonical, other: Canonical) -> float:
    """How alike two calls are, 0..1: the mean likeness of their arguments, 0 for two tools.

    Equal calls are 1. A command counts as one argument; an argument that only one has counts as 0.
    """
    if one.name != other.name:
        return 0.0
    mine, theirs = _texts(one), _texts(other)
    keys = mine.keys() | theirs.keys()
    if not keys:
        return 1.0
    return sum(_likeness(mine[key], theirs[key]) for key in mine.keys() & theirs.keys()) / len(keys)


def _texts(call: Canonical) -> dict[str, str]:
    lines = [" ".join([*action.head, *action.flags, *action.words]) for action in call.actions]
    command = {"command": "\n".join([*lines, *call.written])} if call.actions else {}
    return dict(call.arguments) | command


def _likeness(one: str, other: str) -> float:
    from rapidfuzz.distance import Indel

    return 1.0 if one == other else float(Indel.normalized_similarity(one, other))
