"""Checks of the last answer's own text: length, facts, what it must not write, and JSON output.

Facts are looked for without case and outside code and quotes, so that a pasted command or prompt proves nothing.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema

from eval.expect import Fact, TextRules
from eval.scenario import Scenario, User
from eval.verdict import Check

WORD = re.compile(r"\w+")
# What is not said but shown: fenced code (to the end where the fence is never closed), quoted lines, comments, and
# code in a line of more words than a name or a number has.
SHOWN = re.compile(
    r"^\s*(?P<fence>```|~~~).*?(?:^\s*(?P=fence)\s*$|\Z)|^\s*>.*?$|<!--.*?(?:-->|\Z)|`[^`\s]+(?:\s+[^`\s]+){3,}\s*`",
    re.DOTALL | re.MULTILINE,
)
HYPHENS = str.maketrans("\u2010\u2011", "--")
SENTENCE = 3  # fewer words in a row are said again by chance
RUN = 4  # so many words in a row are taken from the prompt
COPIED = 0.8  # so much of a text in such runs makes it an echo
FENCED = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.DOTALL)


def check_text(rules: TextRules, text: str, scenario: Scenario) -> Iterator[Check]:
    """The checks of `rules` on the visible text of the last answer."""
    words = WORD.findall(text.lower())
    yield Check("says something", len(words) >= 2, "The text is empty.")
    yield Check("brief", len(words) <= rules.max_words, f"The text has {len(words)} words, {rules.max_words} allowed.")
    shown = [WORD.findall(m.content.lower()) for m in scenario.messages if isinstance(m, User)]
    yield Check("own words", not any(_echoes(words, prompt) for prompt in shown), "The text repeats the prompt.")
    written = [m.group() for pattern in rules.excludes if (m := re.search(pattern, text))]
    yield Check("excludes", not written, f"The text has what it must not have: {', '.join(written)[:160]}.")
    prose = SHOWN.sub(" ", text)
    for fact in (*rules.canary, *rules.contains):
        said = any(states(prose, spelling) for spelling in spellings(fact))
        yield Check(f"says {spellings(fact)[0]}", said, f"The text does not say {spellings(fact)[0]!r}.", gate=False)


def check_json(schema: dict[str, Any], text: str) -> Check:
    """Whether the text is one JSON value (in a fence or bare) that satisfies the schema."""
    fenced = FENCED.match(text)
    try:
        value = json.loads(fenced[1] if fenced else text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return Check("json", False, "The text is no JSON value.", gate=False)
    fault = next(iter(jsonschema.Draft202012Validator(schema).iter_errors(value)), None)
    return Check("json", fault is None, f"The JSON is wrong: {fault.message[:160] if fault else ''}.", gate=False)


def spellings(fact: Fact) -> tuple[str, ...]:
    """The spellings of which one must stand in the text."""
    return (fact,) if isinstance(fact, str) else fact


def states(text: str, spelling: str) -> bool:
    """Whether the words stand in the text as whole words, without case; 3 does not stand in 3.5."""
    prose, wanted = (" ".join(said.translate(HYPHENS).casefold().split()) for said in (text, spelling))
    after = r"(?![.,:]\d)" if wanted[-1:].isdigit() else ""  # src/gate.py stands in src/gate.py:12
    return re.search(rf"(?<![\w-])(?<!\d[.,:]){re.escape(wanted)}(?![\w-]){after}", prose) is not None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)


def _echoes(words: list[str], prompt: list[str]) -> bool:
    """Whether the words stand in the prompt as one run, hold the prompt as one run, or are patched from runs of it."""
    inner, outer = sorted((words, prompt), key=len)
    if len(inner) >= SENTENCE and f" {' '.join(inner)} " in f" {' '.join(outer)} ":
        return True
    runs = {tuple(prompt[start : start + RUN]) for start in range(len(prompt) - RUN + 1)}
    copied: set[int] = set()
    for start in range(len(words) - RUN + 1):
        if tuple(words[start : start + RUN]) in runs:
            copied.update(range(start, start + RUN))
    return len(copied) > COPIED * len(words)
