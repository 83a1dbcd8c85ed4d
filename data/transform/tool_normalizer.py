"""Makes texts uniform: no terminal codes, no characters that JSON or a tokenizer cannot hold, no boilerplate.

What the client or a tool adds to results goes by the notices declared in `normalize:` of configs/data.yml. In what the
assistant wrote, only banners go. A text that no rule speaks of is the same object afterwards.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from data.config import NormalizeConfig
from data.plain import is_plain, plain, writable
from data.record import Assistant, Conversation, Message, Note, Tool, ToolCall, User
from data.render import without_blank_ends
from data.stage import Stage

STAGE = "normalize"
EMPTY_RESULT = "(no output)"
BANNER = "banner"
NO_OUTPUT = "no output, in other words"

_SHELL = "Bash"
_FENCE = "```"
# Bounds in characters of a notice and of its indentation, so that a text full of beginnings costs no more than others.
_LONGEST = 4000
_DEEPEST = 80


class Notice(msgspec.Struct, frozen=True):
    """A declared notice, ready for use; `pattern` begins with the literal that was found."""

    name: str
    pattern: re.Pattern[str]
    put: str


def tool_normalizer(config: NormalizeConfig) -> Stage:
    """A stage that cleans every text; what was removed is noted by the name of its rule."""
    cleaner = _Cleaner(config)

    def normalize(conversation: Conversation) -> Iterator[Conversation]:
        removed: Counter[str] = Counter()
        messages = tuple([cleaner.clean(message, removed) for message in conversation.messages])
        notes = tuple(Note(STAGE, name, count) for name, count in sorted(removed.items()))
        yield replace(conversation, messages=messages, notes=conversation.notes + notes)

    return normalize


class _Cleaner:
    """The rules of one configuration."""

    def __init__(self, config: NormalizeConfig) -> None:
        self.config = config
        self.no_output = frozenset(config.no_output)
        self.longest = max(map(len, self.no_output), default=0)
        self.banners = tuple(character * config.banner_length for character in config.banner_characters)
        self.notices_of = lru_cache(maxsize=1024)(self._notices_of)

    def _notices_of(self, tool: str) -> tuple[tuple[str, tuple[Notice, ...]], ...]:
        """The notices that may stand in results of a tool, by the literal that they begin with."""
        found: dict[str, list[Notice]] = {}
        for name, rule in self.config.notices.items():
            if not rule.tools or tool in rule.tools:
                pattern = re.compile(f"{re.escape(rule.has)}(?:{rule.then})", re.DOTALL)
                found.setdefault(rule.has, []).append(Notice(name, pattern, rule.put))
        return tuple((has, tuple(notices)) for has, notices in found.items())

    def clean(self, message: Message, removed: Counter[str]) -> Message:
        if isinstance(message, Assistant):
            return self.clean_reply(message, removed)
        if isinstance(message, Tool):
            text = self.clean_result(message, removed)
        elif isinstance(message, User):
            text = plain(message.text).strip()
        else:
            return message
        return message if text is message.text else replace(message, text=text)

    def clean_result(self, result: Tool, removed: Counter[str]) -> str:
        before, text = "", plain(result.text)
        while text is not before:  # what is cut may uncover the beginning of another notice
            before = text
            for has, notices in self.notices_of(result.name):
                if has in text:
                    text = cut_notices(text, has, notices, removed)
        if result.name == _SHELL:
            text = self._without_banners(text, removed)
        text = without_blank_ends(text)
        if len(text) <= self.longest and text in self.no_output:
            removed[NO_OUTPUT] += 1
            return EMPTY_RESULT
        return text or EMPTY_RESULT

    def clean_reply(self, reply: Assistant, removed: Counter[str]) -> Assistant:
        text = writable(reply.text).strip()
        text = self._without_banners(text, removed, may_be_empty=bool(reply.calls)).strip()
        odd = [call for call in reply.calls if not is_plain(call.arguments)]
        if text is reply.text and not odd:
            return reply
        return replace(reply, text=text, calls=tuple(map(_clean_call, reply.calls)) if odd else reply.calls)

    def _without_banners(self, text: str, removed: Counter[str], may_be_empty: bool = True) -> str:
        """The text without lines of nothing but rules. What stands between code fences stays."""
        if text.isascii() or not any(banner in text for banner in self.banners):
            return text
        parts = text.split(_FENCE)
        count = 0
        for index in range(0, len(parts), 2):
            lines = parts[index].split("\n")
            kept = [line for line in lines if not self._is_banner(line)]
            count += len(lines) - len(kept)
            parts[index] = "\n".join(kept)
        without = _FENCE.join(parts)
        if not count or not (may_be_empty or without.strip()):
            return text
        removed[BANNER] += count
        return without

    def _is_banner(self, line: str) -> bool:
        """Whether a line is one rule from its first column on: an indented one may be a diff, a broken one a table."""
        return line.startswith(self.banners) and not line.rstrip().strip(self.config.banner_characters)


def cut_notices(text: str, has: str, notices: Sequence[Notice], removed: Counter[str]) -> str:
    """The text without the notices that begin with a literal; each begins a line. `put` takes a notice's place."""
    pieces: list[str] = []
    done, start = 0, text.find(has)
    while start >= 0:
        end = start + len(has)
        follows = pieces and start - done <= _DEEPEST and not text[done:start].strip()
        if (follows or _begins_line(text, start)) and (found := _match(notices, text, start)):
            notice, end = found
            pieces += without_blank_ends(text[done:start]), notice.put
            removed[notice.name] += 1
            done = end
        start = text.find(has, end)
    return "\n".join(filter(None, (*pieces, without_blank_ends(text[done:])))) if pieces else text


def _begins_line(text: str, at: int) -> bool:
    before = text[max(at - _DEEPEST, 0) : at]
    line = before.rpartition("\n")[2]
    return not line.strip() and (len(line) < len(before) or at <= _DEEPEST)


def _match(notices: Sequence[Notice], text: str, start: int) -> tuple[Notice, int] | None:
    """The notice that stands at a place and where it ends, if one does."""
    for notice in notices:
        if match := notice.pattern.match(text, start, start + _LONGEST):
            return notice, match.end()
    return None


def _clean_call(call: ToolCall) -> ToolCall:
    return replace(call, arguments=writable(call.arguments))
