"""The tools that a conversation may call, as the JSON schemas that a base model's chat template shows.

Transcripts name their calls but not the tools that were offered. So a conversation offers what it calls: tools
that agents commonly have are declared in tools.json, others and further arguments are read off the calls.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.record import Assistant, Message
from data.render import escape, read_arguments

DECLARED = Path(__file__).with_name("tools.json")

_KINDS = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}

Schema = dict[str, Any]


def tools_of(messages: Iterable[Message], brief: bool = False) -> str:
    """The tools that a conversation calls, by name: a JSON list as text, empty where it calls none.

    In brief they take any arguments.
    """
    calls: dict[str, list[Mapping[str, Any]]] = {}
    for message in messages:
        if isinstance(message, Assistant):
            for call in message.calls:
                calls.setdefault(escape(call.name), []).append(read_arguments(call.arguments))
    tools = [{"type": "function", "function": describe(name, [] if brief else calls[name])} for name in sorted(calls)]
    return json.dumps(tools, ensure_ascii=False) if tools else ""


def describe(name: str, calls: Sequence[Mapping[str, Any]]) -> Schema:
    """One tool. The schema admits all of the calls; `required` are declared, or what every call gave.

    Without a call to look at, it takes any arguments.
    """
    known = declared().get(name, {"description": "", "parameters": {}})
    schema: Schema = {"type": "object"}
    if calls:
        properties: dict[str, Schema] = dict(known["parameters"].get("properties", {}))
        for call in calls:
            for key, value in call.items():
                properties[key] = _admit(properties.get(key), value)
        required = known["parameters"].get("required", calls[0])
        schema["properties"] = properties
        schema["required"] = [key for key in required if all(key in call for call in calls)]
    return {"name": name, "description": known["description"], "parameters": schema}


@functools.cache
def declared() -> dict[str, Schema]:
    """What is declared of the common tools, by name."""
    return {tool["name"]: tool for tool in json.loads(DECLARED.read_text("utf-8"))}


def _admit(schema: Schema | None, value: Any) -> Schema:
    """A property's schema that takes the value too: without a type where it has seen two."""
    kind = _KINDS.get(type(value))
    if schema is None:
        return {"type": kind} if kind else {}
    return schema if schema.get("type", kind) == kind else {}
