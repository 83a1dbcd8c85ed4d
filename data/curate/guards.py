"""What a changed example must keep before its decision is stored: the row's contract, its size, no secret, no scenario.

The stage looks again, since the configuration may be another one by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import msgspec
from msgspec.structs import replace

from data.config import DataConfig
from data.curate.change import Change, Refused, changed
from data.curate.turns import Turn, messages_of
from data.curate.values import Example
from data.forms import Form, load_form
from data.record import Assistant, Conversation, Drop, Origin
from data.stage import Stage
from data.transform.chat_formatter import to_row
from data.transform.overlap import overlap
from data.transform.redactor import texts_redactor
from data.validate.schema import check_row
from data.validate.secrets import findings


class Guards:
    """Looks at changed examples. Loads the tokenizer and the scanners once, when they are needed."""

    def __init__(self, config: DataConfig) -> None:
        self.config = config

    def __call__(self, example: Example, change: Change) -> None:
        """Raises Refused with the first thing that is wrong."""
        turns = changed(example.turns, change)
        self._check_texts(list(change.texts.values()))
        window = _window(example, turns)
        if problems := check_row(msgspec.json.decode(msgspec.json.encode(to_row(window)))):
            raise Refused(f"The changed example would be no valid row: {problems[0]}. Change the text.")
        if change.texts:
            self._check_size(example, turns)
            for outcome in self._compare(window):
                if isinstance(outcome, Drop):
                    raise Refused(
                        f"The text repeats a scenario of the evaluation ({outcome.detail}). Say it otherwise."
                    )

    def warm(self) -> None:
        """Load everything, so that the first edit does not wait."""
        self._redact(["nothing"])
        self._form.counter.counts(["nothing"])
        findings(["nothing"])
        _ = self._compare

    def _check_texts(self, texts: Sequence[str]) -> None:
        """No text is repeated in a sentence here: it is a secret, perhaps."""
        clean = self._redact(texts) if texts else {}
        for text in texts:
            if clean[text] != text:
                raise Refused("The text holds what looks like a secret or a personal name. Take it out, then save.")
            if found := findings([text], self.config.audit.allow):
                raise Refused(f"The text holds what looks like a secret ({found[0].kind}). Take it out, then save.")

    def _check_size(self, example: Example, turns: Sequence[Turn]) -> None:
        """A build counts exactly; here what the changed turns add to the row's own count is close enough."""
        limit = self.config.windows.max_tokens
        pairs = [(old, new) for old, new in zip(example.turns, turns, strict=False) if old != new]
        counts = self._form.counter.counts([turn.text for pair in pairs for turn in pair])
        tokens = example.entry.tokens + sum(counts[1::2]) - sum(counts[::2])
        if len(turns) == len(example.turns) and tokens > limit:
            raise Refused(
                f"The example would have {tokens} tokens; {limit} fit (windows.max_tokens). Shorten the text."
            )

    @cached_property
    def _form(self) -> Form:
        return load_form(self.config.base_model, self.config.tool_format)

    @cached_property
    def _compare(self) -> Stage:
        return overlap(self.config.overlap)

    @cached_property
    def _redact(self) -> Callable[[Iterable[str]], dict[str, str]]:
        return texts_redactor(self.config.redact)


def _window(example: Example, turns: Sequence[Turn]) -> Conversation:
    entry, session = example.entry, example.about.session
    origin = Origin(entry.source, session or "none")
    # How many tokens are trained is counted elsewhere; the contract asks that there are some.
    messages = tuple(replace(m, tokens=1) if isinstance(m, Assistant) else m for m in messages_of(turns))
    return Conversation(entry.id, origin, messages, entry.role, quality=entry.quality, tokens=entry.tokens)
