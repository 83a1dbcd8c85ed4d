"""What the knowledge sources have in common: a question and its answer as one conversation."""

from __future__ import annotations

from pathlib import Path

from data.record import Assistant, Conversation, Note, Origin, User

ROLE = "knowledge"


def pair(
    question: str, answer: str, *, origin: Origin, key: str, role: str, notes: tuple[Note, ...] = ()
) -> Conversation:
    """One question with its trained answer.

    `key` tells the pairs of one session apart; with source and session it names the conversation and, for the
    build's list of trained messages, the answer.
    """
    name = ":".join(filter(None, (origin.source, origin.session, key)))
    first, last = origin.lines
    asked = User(question, id=f"{name}:question", file=origin.file, line=first)
    told = Assistant(answer, id=f"{name}:answer", said=len(answer), chars=len(answer), file=origin.file, line=last)
    return Conversation(name, origin, (asked, told), role=role or ROLE, notes=notes)


def located(source: str, session: str, path: Path, first: int, last: int = 0, started: str = "") -> Origin:
    """Where a pair came from; alone in its group, so that splits may place it anywhere."""
    return Origin(source, session, session, str(path), (first, last or first), started=started)
