"""Makes a pair that may be written down of an exchange with the gateway: read, redacted, and looked at again.

`Cleaner(config)(exchange)` gives a `Pair` or the reason why there is none. The redactor is that of the pipeline, and
the second scanner has its word before anything is written, not only when rows are made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from data import lenient_json
from data.chat_log import Answer, ChatMessage, NotChat, messages_of, numbered, read_answer
from data.config import DataConfig
from data.plain import writable
from data.record import Assistant, Conversation, Message, Origin, System, Tool, ToolCall, User
from data.transform.redact_marks import pseudonym
from data.transform.redact_own import load_literals
from data.transform.redactor import gather, redact_conversation
from data.validate.secrets import findings

OWN = "own-adapter"
_ROLE = re.compile(r"[a-z][a-z0-9_-]*", re.ASCII)


class Fate(StrEnum):
    """What becomes of an exchange."""

    WRITTEN = "written"
    NO_ANSWER = "no answer"
    NOT_CHAT = "no chat"
    FLAGGED = "looks like a secret"
    BROKEN = "broken"
    DISK = "disk"


class Exchange(msgspec.Struct, frozen=True):
    """One request and what came back, as the gateway sends it; the answer is base64 on the way."""

    at: str
    role: str
    version: int
    key: str
    request: dict[str, Any]
    answer: bytes
    streamed: bool
    ending: Literal["complete", "interrupted", "failed"]
    status: int
    seconds: float
    first_byte_seconds: float | None = None


class Pair(msgspec.Struct, frozen=True):
    """One line of a day's file: a request and its answer in OpenAI's form, without secrets and names.

    `model` is the version that answered, mayor@v3; `made_by` says that an adapter of this project did. `key` is a
    pseudonym of the name of the key that asked.
    """

    id: str
    at: str
    role: str
    version: int
    model: str
    made_by: str
    key: str
    messages: list[dict[str, Any]]
    tools: list[Any]
    answer: dict[str, Any]
    ending: str
    finish: str
    usage: dict[str, int]
    seconds: float


class Cleaner:
    """Redacts exchanges. `people` are user names known beforehand.

    Raises ConfigError where the user's own secrets, which the configuration names, cannot be read.
    """

    def __init__(self, config: DataConfig, people: Iterable[str] = ()) -> None:
        self._names = config.redact.names
        self._people = frozenset(people)
        self._literals = load_literals(config.redact)
        self._allow = config.audit.allow

    def warm_up(self) -> None:
        """Load both scanners now, which takes a second, and not with the first pair."""
        self._hides_secrets(self._redact(_conversation([ChatMessage("assistant", "Hello.")], "", [])))

    def __call__(self, exchange: Exchange) -> Pair | Fate:
        try:
            answer = read_answer(exchange.answer, exchange.streamed)
            messages = messages_of(exchange.request.get("messages"))
        except NotChat:
            return Fate.NOT_CHAT if exchange.ending == "complete" and exchange.status < 400 else Fate.NO_ANSWER
        seen = writable(answer.text).strip() or answer.calls
        if exchange.ending == "failed" or exchange.status >= 400 or not seen:
            return Fate.NO_ANSWER
        tools = exchange.request.get("tools") or []
        chat = numbered([*messages, ChatMessage("assistant", answer.text, answer.calls)])
        clean = self._redact(_conversation(chat, answer.reasoning, tools))
        if self._hides_secrets(clean):
            return Fate.FLAGGED
        return _pair(exchange, answer, clean.messages, chat, tools)

    def _redact(self, conversation: Conversation) -> Conversation:
        return redact_conversation(conversation, self._names, self._people, self._literals)

    def _hides_secrets(self, clean: Conversation) -> bool:
        """Whether the second scanner still sees a secret; also in names of tools, which nobody redacts."""
        names = [call.name for message in clean.messages if isinstance(message, Assistant) for call in message.calls]
        return bool(findings([*gather(clean)[0], *names], self._allow))


def people_at_home() -> frozenset[str]:
    """Who works on this machine: the owner of the home folder, and of the transcripts, as the pipeline finds them."""
    from data.extract.sessions import transcripts
    from data.sessions_folder import DEFAULT_SESSIONS
    from data.transform.redact_names import names_in_path, people_of

    sessions = DEFAULT_SESSIONS.expanduser()
    found = people_of(transcripts(sessions)) if sessions.is_dir() else frozenset()
    return found | names_in_path(f"{Path.home()}/")


def _conversation(chat: Iterable[ChatMessage], reasoning: str, tools: Any) -> Conversation:
    """All texts of an exchange in one value, so that what one reveals as a secret or a name goes from all.

    Tools come last, each of their strings as a message.
    """
    messages = [_typed(message) for message in chat]
    messages[-1] = replace(messages[-1], reasoning=writable(reasoning))
    return Conversation("", Origin("capture", ""), (*messages, *(System(writable(s)) for s in _strings(tools))))


def _typed(message: ChatMessage) -> Message:
    text = writable(message.text)
    match message.role:
        case "assistant":
            calls = tuple(ToolCall(call.id, call.name, writable(call.arguments)) for call in message.calls)
            return Assistant(text, calls=calls)
        case "tool":
            return Tool(message.call_id, "", text)
        case "user":
            return User(text)
        case _:
            return System(text)


def _strings(tools: Any) -> Iterator[str]:
    return lenient_json.strings(tools)


def _pair(
    exchange: Exchange, answer: Answer, clean: tuple[Message, ...], chat: tuple[ChatMessage, ...], tools: Any
) -> Pair:
    messages = [_written(message) for message in clean[: len(chat)]]
    told = {name: value for name, value in messages.pop().items() if name != "role"}
    marks = iter(message.text for message in clean[len(chat) :])
    role = exchange.role if _ROLE.fullmatch(exchange.role) else "unknown"
    pair = Pair(
        id="",
        at=exchange.at,
        role=role,
        version=exchange.version,
        model=f"{role}@v{exchange.version}",
        made_by=OWN,
        key=pseudonym("key", exchange.key.encode("utf-8", "replace")).decode() if exchange.key else "",
        messages=messages,
        tools=_rebuilt(tools, marks),
        answer=told,
        ending="complete" if exchange.ending == "complete" and answer.ended else "interrupted",
        finish=answer.finish.value,
        usage=answer.usage,
        seconds=round(exchange.seconds, 4),
    )
    digest = blake2b(msgspec.json.encode(pair), digest_size=8).hexdigest()
    return replace(pair, id=f"pair-{digest}")


def _written(message: Message) -> dict[str, Any]:
    """A message in OpenAI's form."""
    match message:
        case Assistant():
            reasoning = {"reasoning_content": message.reasoning} if message.reasoning else {}
            calls = {"tool_calls": list(map(_written_call, message.calls))} if message.calls else {}
            return {"role": "assistant", "content": message.text, **reasoning, **calls}
        case Tool():
            return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
        case User():
            return {"role": "user", "content": message.text}
        case System():
            return {"role": "system", "content": message.text}


def _written_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _rebuilt(value: Any, strings: Iterator[str]) -> Any:
    """The value with other strings in the places of `_strings`."""
    if isinstance(value, str):
        return next(strings)
    if isinstance(value, dict):
        return {next(strings): _rebuilt(inner, strings) for inner in value.values()}
    if isinstance(value, list):
        return [_rebuilt(inner, strings) for inner in value]
    return value
