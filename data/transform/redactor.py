"""The redact stage: takes secrets and personal data out of every text of a conversation.

`redactor(config.redact)` is the first stage after reading; nothing before it may be written anywhere but the
archive. What it found is noted by kind with its count, never with its value. Ids and recorded sizes stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec

from data import lenient_json
from data.config import RedactConfig
from data.record import Assistant, Conversation, Message, System, Tool, ToolCall, User, noted
from data.stage import Stage
from data.transform.redact_find import SEPARATOR, Edit, apply, edits, find, homes
from data.transform.redact_judge import is_strong
from data.transform.redact_marks import swap
from data.transform.redact_names import Names, learn, names_in_path
from data.transform.redact_own import load_literals

STAGE = "redact"
# Half of all strings in calls are these keys of the common tools; they name nobody and hide nothing.
_TOOL_KEYS = frozenset(
    {"command", "description", "file_path", "old_string", "new_string", "replace_all", "pattern", "path", "content"}
    | {"output_mode", "prompt", "subagent_type", "todos", "status", "activeForm", "offset", "limit", "timeout", "url"}
)
_ROUNDS = 4  # a replacement may uncover a match that it was part of; the second round finds none in practice


class Leaves(msgspec.Struct, frozen=True):
    """The arguments of a call as a value, and the strings in it that are redacted; plain text where it is no JSON."""

    value: Any
    strings: list[str]
    json: bool = True


def redactor(config: RedactConfig, people: Iterable[str] = ()) -> Stage:
    """The stage for a config. `people` are user names known beforehand: `people_of` all transcripts.

    Raises ConfigError where the literals or an env file of the config cannot be read.
    """
    literals = load_literals(config)
    known = frozenset(people)

    def redact(conversation: Conversation) -> list[Conversation]:
        return [redact_conversation(conversation, config.names, known, literals)]

    return redact


def text_redactor(config: RedactConfig, people: Iterable[str] = ()) -> Callable[[str], str]:
    """The same for single texts that no conversation holds, such as the path of a transcript; remembers recent ones.

    Raises ConfigError like `redactor`.
    """
    redact_all = texts_redactor(config, people)

    @lru_cache(maxsize=4096)
    def redact(text: str) -> str:
        return redact_all([text])[text]

    return redact


def texts_redactor(config: RedactConfig, people: Iterable[str] = ()) -> Callable[[Iterable[str]], dict[str, str]]:
    """The same for many texts at once: each with what becomes of it. One pass costs far less than a pass for each.

    Raises ConfigError like `redactor`.
    """
    literals = load_literals(config)
    known = frozenset(people)

    def redact(texts: Iterable[str]) -> dict[str, str]:
        given = list(texts)
        named = known.union(*map(names_in_path, given))
        return dict(zip(given, clean_texts(given, named, config.names, literals, Counter()), strict=True))

    return redact


def redact_conversation(
    conversation: Conversation, names: tuple[str, ...], people: frozenset[str], literals: dict[bytes, bytes]
) -> Conversation:
    """The conversation without its secrets and names, and a note for each kind with its count."""
    texts, leaves = gather(conversation)
    origin = conversation.origin
    known = people | names_in_path(origin.cwd) | names_in_path(origin.file)
    counts: Counter[str] = Counter()
    cleaned = clean_texts(texts, known, names, literals, counts)
    if cleaned == texts:
        return conversation
    changed = rebuild(conversation, iter(cleaned), leaves)
    for kind, count in sorted(counts.items()):
        changed = noted(changed, STAGE, kind, count)
    return changed


def clean_texts(
    texts: list[str], known: Iterable[str], names: Iterable[str], literals: dict[bytes, bytes], counts: Counter[str]
) -> list[str]:
    """The texts, redacted together: what one of them reveals as a secret or a name is replaced in all.

    A text that stands there twice is looked at, and counted, once.
    """
    if not texts:
        return []
    distinct = list(dict.fromkeys(texts))
    raw = [text.encode("utf-8", "surrogatepass") for text in distinct]
    whole = SEPARATOR.join(raw)
    if b"\x02\x02" in b"".join(raw):  # a text may hold the separator itself
        whole = SEPARATOR.join(text.replace(SEPARATOR, b"\n\n\n\n") for text in raw)
    whole, counts["literal"] = swap(whole, literals)
    people: Names | None = None
    for _ in range(_ROUNDS):
        findings = find(whole)
        people = people or learn(whole, chain(findings, homes(whole)), known, names)
        changes = edits(whole, findings)
        if not changes:
            break
        whole = _replace(whole, changes, counts)
    whole, counts["user"] = (people or Names()).replace(whole)
    clean = (text.decode("utf-8", "surrogatepass") for text in whole.split(SEPARATOR))
    return list(map(dict(zip(distinct, clean, strict=True)).__getitem__, texts))


def _replace(text: bytes, changes: list[Edit], counts: Counter[str]) -> bytes:
    """Make the edits, then replace each strong secret wherever else it stands without its context."""
    secrets = {text[edit.start : edit.end]: edit for edit in reversed(changes) if edit.secret}
    counts.update(edit.kind for edit in changes)
    strong = {value: edit.mark for value, edit in secrets.items() if is_strong(value)}
    text, count = swap(apply(text, changes), strong)
    counts["repeated"] += count
    return text


def gather(conversation: Conversation) -> tuple[list[str], list[Leaves]]:
    """Every text of a conversation in the order in which `rebuild` puts them back, and each call's own strings."""
    origin = conversation.origin
    texts = [origin.cwd, origin.branch, origin.file, origin.agent, *chain(*conversation.about.items())]
    leaves: list[Leaves] = []
    for message in conversation.messages:
        match message:
            case Assistant():
                texts += [message.text, message.reasoning, message.file]
                for call in message.calls:
                    leaves.append(_leaves(call.arguments))
                    texts += leaves[-1].strings
            case User():
                texts += [message.text, message.file]
            case System() | Tool():
                texts.append(message.text)
    return texts, leaves


def rebuild(conversation: Conversation, texts: Iterator[str], leaves: list[Leaves]) -> Conversation:
    """The conversation with other texts in the places of `gather`."""
    replace = msgspec.structs.replace
    origin = replace(conversation.origin, cwd=next(texts), branch=next(texts), file=next(texts), agent=next(texts))
    about = {next(texts): next(texts) for _ in conversation.about}
    calls = iter(leaves)
    messages = tuple(_message(message, texts, calls) for message in conversation.messages)
    return replace(conversation, origin=origin, about=about, messages=messages)


def _message(message: Message, texts: Iterator[str], leaves: Iterator[Leaves]) -> Message:
    replace = msgspec.structs.replace
    match message:
        case Assistant():
            text, reasoning, file = next(texts), next(texts), next(texts)
            calls = tuple(_call(call, texts, next(leaves)) for call in message.calls)
            return replace(message, text=text, reasoning=reasoning, file=file, calls=calls)
        case User():
            return replace(message, text=next(texts), file=next(texts))
        case System() | Tool():
            return replace(message, text=next(texts))


def _call(call: ToolCall, texts: Iterator[str], before: Leaves) -> ToolCall:
    after = [next(texts) for _ in before.strings]
    if after == before.strings:
        return call
    value = _with_strings(before.value, iter(after))
    arguments = lenient_json.dumps(value) if before.json else value
    return msgspec.structs.replace(call, arguments=arguments)


def _leaves(arguments: str) -> Leaves:
    """Keys and values of a JSON text, in order; the text itself where it is no JSON."""
    try:
        value = lenient_json.loads(arguments)
        return Leaves(value, list(lenient_json.strings(value, _TOOL_KEYS)))
    except (ValueError, RecursionError):
        return Leaves(arguments, [arguments], json=False)


def _with_strings(value: Any, strings: Iterator[str]) -> Any:
    if isinstance(value, str):
        return next(strings)
    if isinstance(value, dict):
        return {
            key if key in _TOOL_KEYS else next(strings): _with_strings(inner, strings) for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_with_strings(inner, strings) for inner in value]
    return value
