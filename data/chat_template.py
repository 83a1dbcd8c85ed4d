"""A base model's own chat template, rendered exactly as the transformers library renders it.

`ChatTemplate(name, source, specials).render(messages, tools)` gives the text that training tokenizes, without
that library: the same Jinja environment, and JSON as it writes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

# The template of Qwen2.5's text models, byte for byte as their tokenizer_config.json has it (Apache-2.0). Axolotl and
# TRL ship the same text, which a test compares.
QWEN2_5 = Path(__file__).with_name("qwen2_5.jinja")

SPECIALS = ("bos_token", "eos_token", "pad_token", "unk_token")

ChatMessage = Mapping[str, Any]


class TemplateRefused(Exception):
    """A template that cannot show a conversation: the end of a sentence that says why."""


class ChatTemplate:
    """A compiled template. `specials` are the control tokens that it may name, such as `eos_token`."""

    def __init__(self, name: str, source: str, specials: Mapping[str, str]) -> None:
        from jinja2.exceptions import TemplateError
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.filters["tojson"] = _to_json
        environment.globals |= {"raise_exception": _refuse, "strftime_now": _now}
        self.name = name
        self.specials = dict(specials)
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise TemplateRefused(f"is not a template: {error}") from None

    def render(self, messages: Sequence[ChatMessage], tools: Sequence[Any] | None = None) -> str:
        """The text of a conversation. Raises TemplateRefused where the template does not take it."""
        from jinja2.exceptions import TemplateError

        try:
            return self._template.render(
                messages=messages, tools=tools, documents=None, add_generation_prompt=False, **self.specials
            )
        except (TemplateError, TypeError) as error:
            raise TemplateRefused(f"does not take it: {error}") from None


def read_template(name: str, locate: Callable[[str], Path]) -> ChatTemplate:
    """The template among a tokenizer's files: a file of its own, or in tokenizer_config.json.

    Raises TemplateRefused where there is none, or where the model has several.
    """
    try:
        config = json.loads(locate("tokenizer_config.json").read_text("utf-8"))
        source = config.get("chat_template") or locate("chat_template.jinja").read_text("utf-8")
    except (OSError, ValueError) as error:
        raise TemplateRefused(f"cannot be read ({error})") from None
    if not isinstance(source, str):
        raise TemplateRefused("is one of several; keep only the one to train with in tokenizer_config.json")
    found = {key: config.get(key) for key in SPECIALS}
    contents = {key: value["content"] if isinstance(value, dict) else value for key, value in found.items()}
    return ChatTemplate(name, source, {key: value for key, value in contents.items() if value})


def _to_json(value: Any, ensure_ascii: bool = False, **layout: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **layout)


def _refuse(message: str) -> str:
    raise TemplateRefused(f"refuses it: {message.rstrip('!.')}")


def _now(layout: str) -> str:
    return datetime.now().strftime(layout)
