"""How a conversation looks to a model: calls and results as text (`xml`), or as the template's own (`native`).

The forms are those of the training rows (`tool_format` in configs/data.yml), so that a model is asked in the form it
was trained on.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

from eval.answer import Answer, Call, escape, parse_answer, visible
from eval.models import Prompt
from eval.scenario import Assistant, Message, Said, Tool, User
from eval.transcript import Step

Form = Literal["xml", "native"]


def render_prompt(
    system: str, messages: Sequence[Message], steps: Sequence[Step], tools: Mapping[str, Mapping[str, Any]], form: Form
) -> Prompt:
    """The prompt after these steps: system prompt, the scenario's messages, the run so far.

    `tools` are the offered ones by name as {"description", "parameters"}; the text form does not show them, because
    its rows do not either.
    """
    if form == "xml":
        return Prompt(({"role": "system", "content": system}, *_as_text(messages, steps)))
    functions = [{"type": "function", "function": {"name": name, **tool}} for name, tool in tools.items()]
    return Prompt(({"role": "system", "content": system}, *_as_calls(messages, steps)), tuple(functions))


def said_as_text(said: Said) -> str:
    """An answer as a model writes it: what it says, then its calls."""
    text = escape(said.content.strip())
    return "\n".join([*([text] if text else []), *map(call_text, said.calls)])


def call_text(call: Call) -> str:
    """One call in its tags."""
    body = json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def result_text(result: str) -> str:
    """One result in its tags."""
    return f"<tool_result>\n{escape(result)}\n</tool_result>"


def _as_text(messages: Sequence[Message], steps: Sequence[Step]) -> Iterator[dict[str, str]]:
    turns = [*map(_turn, messages)]
    for step in steps:
        turns.append(("assistant", visible(step.answer)))
        turns.extend(("user", result_text(result)) for result in step.results)
    for role, several in groupby(turns, key=lambda turn: turn[0]):
        yield {"role": role, "content": "\n".join(text for _, text in several)}


def _turn(message: Message) -> tuple[str, str]:
    match message:
        case User():
            return "user", escape(message.content)
        case Tool():
            return "user", result_text(message.content)
        case Assistant():
            return "assistant", said_as_text(message)


def _as_calls(messages: Sequence[Message], steps: Sequence[Step]) -> Iterator[dict[str, Any]]:
    waiting: list[str] = []
    for number, message in enumerate(messages):
        match message:
            case User():
                yield {"role": "user", "content": message.content}
            case Assistant():
                waiting = [f"call_{number}_{index}" for index in range(len(message.calls))]
                yield _answer(message.content, message.calls, waiting)
            case Tool():
                yield {"role": "tool", "tool_call_id": waiting.pop(0), "content": message.content}
    for number, step in enumerate(steps, start=len(messages)):
        answer: Answer = parse_answer(step.answer)
        names = [f"call_{number}_{index}" for index in range(len(answer.calls))]
        yield _answer(answer.text, answer.calls, names)
        for name, result in zip(names, step.results, strict=True):
            yield {"role": "tool", "tool_call_id": name, "content": result}


def _answer(text: str, calls: Sequence[Call], names: Sequence[str]) -> dict[str, Any]:
    listed = [
        {"id": name, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for name, call in zip(names, calls, strict=True)
    ]
    return {"role": "assistant", "content": text, **({"tool_calls": listed} if listed else {})}
