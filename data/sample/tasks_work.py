"""Tasks of the two roles that write code: polecat and crew."""

from data.sample.tasks import Task, command, words_only

SOURCE = 'def {old}(rows):\n    """{title}."""\n    limit = {count}\n    return rows[:limit]\n'
LOOK = ("Read {path} first.", "Look at {path}.", "What does {path} say?")


def reading(role: str) -> Task:
    """The task of looking at one file, the same for both roles."""
    closing = "{path} defines {old} with a limit of {count}."
    return Task(role, "read", LOOK, closing, "Read", {"file_path": "{path}"}, SOURCE)


POLECAT: tuple[Task, ...] = (
    command(
        "polecat",
        "show",
        ("Your hook holds {id}.", "Assigned: {id}.", "You have {id} on your hook. Begin."),
        "bd show {id}",
        "{id}: {title}\nStatus: open   Priority: P{p}   Type: bug\nAffects: {path}",
        "{id} is about this: {title}.",
    ),
    command(
        "polecat",
        "claim",
        ("{id} is clear. Start on it.", "Take {id} now.", "Begin work on {id}."),
        "bd update {id} --status in_progress",
        "Updated {id}: {title}\nStatus: in_progress",
        "{id} is in progress.",
    ),
    Task(
        "polecat",
        "edit",
        (
            "In {path}, replace {old} by {new}.",
            "{path}: change {old} to {new}.",
            "Rename {old} to {new} in {path}.",
        ),
        "{path} now says {new}.",
        "Edit",
        {"file_path": "{path}", "old_string": "{old}", "new_string": "{new}"},
        SOURCE,
    ),
    reading("polecat"),
    command(
        "polecat",
        "done",
        (
            "{id} is committed and pushed.",
            "All checks pass and {id} is pushed.",
            "Work on {id} is complete, branch pushed.",
        ),
        "gt done --issue {id}",
        "Merge request for {id} queued\nBranch: polecat/{name}/{id}\nWitness notified",
        "{id} is in the merge queue.",
    ),
)
CREW: tuple[Task, ...] = (
    Task(
        "crew",
        "grep",
        ("Where is {symbol} defined?", "Find {symbol} in the code.", "Who uses {symbol}?"),
        "{symbol} is in src/{module}.py, line {line}.",
        "Grep",
        {"pattern": "{symbol}", "path": "src"},
        "src/{module}.py:{line}:def {symbol}(rows):",
    ),
    command(
        "crew",
        "test",
        ("Run the tests of {module}.", "Does {module} still pass?", "Check {module} with pytest."),
        "pytest tests/test_{module}.py -q",
        "........                                                                 [100%]\n{count} passed in 0.{n}s",
        "{module} passes: {count} tests.",
    ),
    command(
        "crew",
        "branch",
        (
            "Start a branch for {id}: {module}.",
            "New branch {module} for {id}, please.",
            "Branch off for {id} ({module}).",
        ),
        "git switch -c {module}-{id}",
        "Switched to a new branch '{module}-{id}'",
        "You are on {module}-{id}.",
    ),
    reading("crew"),
    words_only(
        "crew",
        "thanks",
        (
            "Thanks, that is all for today.",
            "Good work. We stop here.",
            "That was everything, thank you.",
        ),
        "You are welcome. Nothing is left open.",
    ),
)
