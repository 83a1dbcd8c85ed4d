"""Which part of a reply a character belongs to: words, a tool's name, its arguments, or the form around them.

`split_reply(text, calls)` gives one segment per character, so that a loss can say where a model is unsure.
"""

import json
import re
from collections.abc import Sequence
from typing import Literal, get_args

from eval.answer import CLOSE, OPEN, Call

Segment = Literal["text", "name", "arguments", "form", "end"]
SEGMENTS: tuple[Segment, ...] = get_args(Segment)
TAGGED = re.compile(f"{re.escape(OPEN)}(.*?){re.escape(CLOSE)}", re.DOTALL)
DECODER = json.JSONDecoder()


def split_reply(text: str, said: str, calls: Sequence[Call]) -> list[Segment]:
    """The segment of every character of a reply as the chat template writes it.

    `said` are its words and `calls` its calls. Between the tags of a call, or beside the words where the template has
    tags of its own, all is form but the names and the arguments; arguments that are no JSON object count as form.
    """
    tagged = [match.span() for match in TAGGED.finditer(text)]
    if tagged or not calls:
        segments: list[Segment] = ["text"] * len(text)
        for start, end in tagged:
            segments[start:end] = ["form"] * (end - start)
        place = tagged[0][0] if tagged else 0
    else:
        segments = ["form"] * len(text)
        start = max(text.find(said), 0)
        place = start + len(said) if text.startswith(said, start) else 0
        segments[start:place] = ["text"] * max(place - start, 0)
    for call in calls:
        place = _mark_call(text, call.name, place, segments)
    return segments


def _mark_call(text: str, name: str, place: int, segments: list[Segment]) -> int:
    """Marks name and arguments of the next call behind `place`; returns where it ends."""
    start = text.find(name, place)
    if start < 0:
        return place
    end = start + len(name)
    segments[start:end] = ["name"] * len(name)
    opening = text.find("{", end)
    try:
        _, closing = DECODER.raw_decode(text, opening)
    except (ValueError, RecursionError):
        return end
    segments[opening:closing] = ["arguments"] * (closing - opening)
    return closing
