"""The tasks of the roles: what is said to an agent, the one right tool call, its result, and the closing words.

The tables are in `tasks_town`, `tasks_rig` and `tasks_work`; `data.sample.book` joins them and draws scenes from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

IDLE = "Nothing to do. I wait for the next mail."


@dataclass(frozen=True)
class Task:
    """One kind of work of one role. Every text is a `str.format` template over `words.draw_values`."""

    role: str
    intent: str
    phrasings: tuple[str, str, str]
    closing: str
    tool: str | None = None
    """None: the right answer is the closing text alone, without a call."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    output: str = ""


@dataclass(frozen=True)
class Scene:
    """A task with its values filled in: one exchange of a session."""

    task: Task
    prompt: str
    closing: str
    tool: str | None
    arguments: Mapping[str, str]
    output: str
    values: Mapping[str, str]


def command(role: str, intent: str, phrasings: tuple[str, str, str], line: str, output: str, closing: str) -> Task:
    """A task whose right call is one Bash command line."""
    return Task(role, intent, phrasings, closing, "Bash", {"command": line}, output)


def words_only(role: str, intent: str, phrasings: tuple[str, str, str], closing: str) -> Task:
    """A task whose right answer is text without any call."""
    return Task(role, intent, phrasings, closing)


def fill(task: Task, phrasing: int, values: Mapping[str, str]) -> Scene:
    """The scene of `task` in its n-th phrasing with these values."""
    return Scene(
        task=task,
        prompt=task.phrasings[phrasing].format_map(values),
        closing=task.closing.format_map(values),
        tool=task.tool,
        arguments={key: text.format_map(values) for key, text in task.arguments.items()},
        output=task.output.format_map(values),
        values=values,
    )
