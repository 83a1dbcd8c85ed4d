"""Tasks of the rubric: a JSON object per line of eval/domains/<domain>.jsonl, typed, checked at the door.

`python -m eval.domain_tasks` prints the JSON Schema (shipped as eval/domain_task.schema.json); `load_tasks(path)`
reads a file and names the line, the fault and the fix when one is wrong.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec

from eval.code_answers import CodeChecks
from eval.errors import BadInput, sha256
from eval.statements import compiled

DOMAINS = Path(__file__).parent / "domains"
Text = Annotated[str, msgspec.Meta(min_length=1)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]*$")]
Says = tuple[Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)], ...]


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that a sentence may state; `says` holds alternatives of patterns, in the notation of eval.statements.

    A fact is right to state, a wrong statement costs what a fact gives.
    """

    id: Name
    says: Annotated[Says, msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        _compile(self.says)


class Requirement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a complete answer does. In prose `says` measures it, in code the hidden tests that show it.

    `asks` is met by a question to the reader. Without any of them it is there for a judge or a person.
    """

    text: Text
    says: Says = ()
    asks: Says = ()

    def __post_init__(self) -> None:
        _compile(self.says)
        _compile(self.asks)


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One task: what is asked, and how an answer is measured.

    Prose has `facts` and `wrong`, code has `code`; the gold answer scores 100. Tasks of one `family` are so alike that
    the statistics take them as one cluster; a task without a family stands alone. Nobody who writes training examples
    hears of those that are `held_out`.
    """

    id: Name
    category: Name
    prompt: Text
    requirements: Annotated[tuple[Requirement, ...], msgspec.Meta(min_length=1)]
    gold_answer: Text
    facts: tuple[Statement, ...] = ()
    wrong: tuple[Statement, ...] = ()
    code: CodeChecks | None = None
    family: Name | None = None
    held_out: bool = False

    def __post_init__(self) -> None:
        if bool(self.facts) == (self.code is not None):
            raise ValueError("give either facts (prose), or code")
        if self.wrong and not self.facts:
            raise ValueError("wrong statements belong to prose; code has its tests")
        if self.code is not None:
            self._check_code(self.code)
        names = [statement.id for statement in (*self.facts, *self.wrong)]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{min(twice)} names two facts or wrong statements; give one another id")

    def _check_code(self, code: CodeChecks) -> None:
        if any(requirement.says or requirement.asks for requirement in self.requirements):
            raise ValueError("a requirement of code has no says or asks; name it in shows of the tests that prove it")
        highest = max((number for test in code.tests for number in test.shows), default=0)
        if highest > len(self.requirements):
            raise ValueError(f"a test shows requirement {highest}, but there are {len(self.requirements)}")


class TaskFile(msgspec.Struct, frozen=True):
    """The tasks of one domain in file order, and the hash that says which file they were."""

    domain: str
    tasks: tuple[Task, ...]
    sha256: str


def shipped_domains() -> tuple[str, ...]:
    """The domains that have a file in eval/domains."""
    return tuple(sorted(path.stem for path in DOMAINS.glob("*.jsonl")))


def domain_file(domain: str) -> Path:
    """The task file of a shipped domain, or a sentence with the domains there are."""
    if domain not in shipped_domains():
        raise BadInput(f"domain {domain!r} has no tasks; choose from {', '.join(shipped_domains())}, or give --tasks.")
    return DOMAINS / f"{domain}.jsonl"


def load_tasks(path: Path, domain: str | None = None) -> TaskFile:
    """Every task of a file; a faulty line ends in `BadInput` with file and line.

    The domain is the file's stem where no other is given.
    """
    try:
        raw = path.read_bytes()
    except OSError:
        raise BadInput(f"{path} cannot be read; a task file holds one JSON object per line.") from None
    tasks = tuple(_decode_lines(raw, path))
    if not tasks:
        raise BadInput(f"{path} holds no task; add one JSON object per line (see eval/domain_task.schema.json).")
    return TaskFile(domain or path.stem, tasks, sha256(raw))


def task_schema() -> dict[str, Any]:
    """JSON Schema of one line; what it cannot say (facts or code, the notation of patterns) the loader checks."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rubric task",
        **msgspec.json.schema(Task),
    }


def _compile(says: Says) -> None:
    for alternative in says:
        for pattern in alternative:
            compiled(pattern)


def _decode_lines(raw: bytes, path: Path) -> Iterator[Task]:
    seen: set[str] = set()
    for number, line in enumerate(raw.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            task = msgspec.json.decode(line, type=Task)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            fix = "correct the line (see eval/domain_task.schema.json)"
            raise BadInput(f"{path}:{number}: {problem}; {fix}.") from None
        if task.id in seen:
            raise BadInput(f"{path}:{number}: id {task.id} is used twice; give this line another id.")
        seen.add(task.id)
        yield task


if __name__ == "__main__":
    print(json.dumps(task_schema(), indent=1))
