"""The values that flow through the data side: a conversation, its messages, and what happened to it.

Everything here is frozen. A stage returns a changed copy (`msgspec.structs.replace`), several windows, or a
`Drop`. `msgspec.json` of these types is their on-disk form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Literal, TypeAlias

import msgspec

Split: TypeAlias = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class UserKind(StrEnum):
    """Why a text stands on the human side. Only the first group was written by a person (or a peer agent)."""

    PROMPT = "prompt"
    QUEUED = "queued"
    BESIDE_RESULT = "beside_result"
    REJECTION = "rejection"
    COMMAND = "command"
    PLAN = "plan"

    EXPANSION = "expansion"
    SHELL = "shell"
    NOTIFICATION = "notification"
    REMINDER = "reminder"
    INTERRUPT = "interrupt"
    SUMMARY = "summary"
    RECALL = "recall"


class ResultStatus(StrEnum):
    """How a tool call ended."""

    OK = "ok"
    ERROR = "error"
    REJECTED = "rejected"
    ACCEPTED_PLAN = "accepted_plan"
    MISSING = "missing"


class System(msgspec.Struct, frozen=True, tag="system"):
    """What a window opens with. `tools` are those that it offers in native rows, a JSON list as text."""

    text: str
    tools: str = ""


class User(msgspec.Struct, frozen=True, tag="user"):
    """A text on the human side. `file` and `line` (1-based) say where the transcript has it."""

    text: str
    kind: UserKind = UserKind.PROMPT
    id: str = ""
    file: str = ""
    line: int = 0


class ToolCall(msgspec.Struct, frozen=True):
    """One call. `arguments` is a JSON object as text."""

    id: str
    name: str
    arguments: str


class Assistant(msgspec.Struct, frozen=True, tag="assistant"):
    """One reply: all visible blocks of one API message.

    `train` says whether its tokens count in the loss. `said` is the length of its text and `chars` that of all it
    showed (text and call arguments), as recorded, before any stage changed it. `tokens` is what it adds to the
    loss, its end-of-turn token included, once the chunker has counted it.
    """

    text: str
    id: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    train: bool = True
    said: int = 0
    chars: int = 0
    tokens: int = 0
    file: str = ""
    line: int = 0


class Tool(msgspec.Struct, frozen=True, tag="tool"):
    """The result of one call, matched by the call's id."""

    call_id: str
    name: str
    text: str
    status: ResultStatus = ResultStatus.OK


Message: TypeAlias = System | User | Assistant | Tool


class Origin(msgspec.Struct, frozen=True):
    """Where a conversation came from.

    `group` is the earliest session of all that share records with this one; a split never divides a group.
    `lines` is the first and last line used, 1-based, in `file`. `parent_call` links a subagent to the call
    that started it.
    """

    source: str
    session: str
    group: str = ""
    file: str = ""
    lines: tuple[int, int] = (0, 0)
    segment: int = 0
    epoch: int = 0
    cwd: str = ""
    branch: str = ""
    model: str = ""
    started: str = ""
    agent: str = ""
    parent_call: str = ""


class Note(msgspec.Struct, frozen=True):
    """Something that a stage changed, `count` times."""

    stage: str
    reason: str
    count: int = 1


class Quality(msgspec.Struct, frozen=True):
    """The parts of a quality score, each in 0..1; 0.5 where nothing is known."""

    results: float = 0.5
    people: float = 0.5
    tests: float = 0.5
    landed: float = 0.5
    beads: float = 0.5


class Conversation(msgspec.Struct, frozen=True, tag="conversation"):
    """One epoch of a session before the chunker, one window of it after.

    `facts` are outcomes of the whole session that single messages do not show, such as `pull_request`. `about` is what
    a source knows of it beside its text and no model sees, such as the date of a note; every row of it carries that.
    """

    id: str
    origin: Origin
    messages: tuple[Message, ...]
    role: str = "unknown"
    notes: tuple[Note, ...] = ()
    facts: tuple[str, ...] = ()
    about: dict[str, str] = {}
    quality: float = 0.0
    parts: Quality = Quality()
    tokens: int = 0


class Tally(msgspec.Struct, frozen=True):
    """What a part of the data weighs, in the units that the ledger balances. Characters are as recorded."""

    conversations: int = 0
    replies: int = 0
    calls: int = 0
    said: int = 0
    chars: int = 0
    tokens: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.conversations + other.conversations,
            self.replies + other.replies,
            self.calls + other.calls,
            self.said + other.said,
            self.chars + other.chars,
            self.tokens + other.tokens,
        )


class Drop(msgspec.Struct, frozen=True, tag="drop"):
    """Something that left, why, and what it weighed.

    `records` counts transcript records, for what the readers set aside before it became a message; `tally`
    weighs the trainable replies that are lost with it.
    """

    stage: str
    reason: str
    subject: str
    detail: str = ""
    file: str = ""
    line: int = 0
    records: int = 0
    tally: Tally = Tally()


def replies(conversation: Conversation) -> Iterator[Assistant]:
    """The conversation's replies that count in the loss."""
    return (m for m in conversation.messages if type(m) is Assistant and m.train)


def weigh(trained: Iterable[Assistant], conversations: int = 0) -> Tally:
    """The tally of some trainable replies."""
    replies = calls = said = chars = tokens = 0
    for reply in trained:
        replies += 1
        calls += len(reply.calls)
        said += reply.said
        chars += reply.chars
        tokens += reply.tokens
    return Tally(conversations, replies, calls, said, chars, tokens)


def dropped(conversation: Conversation, stage: str, reason: str, detail: str = "") -> Drop:
    """The drop of a whole conversation."""
    origin = conversation.origin
    return Drop(
        stage=stage,
        reason=reason,
        subject=conversation.id,
        detail=detail,
        file=origin.file,
        line=origin.lines[0],
        tally=weigh(replies(conversation), conversations=1),
    )


def noted(conversation: Conversation, stage: str, reason: str, count: int) -> Conversation:
    """The conversation with one note more, or itself where there is nothing to note."""
    if not count:
        return conversation
    return msgspec.structs.replace(conversation, notes=(*conversation.notes, Note(stage, reason, count)))
