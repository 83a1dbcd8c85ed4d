"""What a claude-mem observer writes, read and judged: observations and progress summaries.

Models write these XML-like blocks by hand, so nothing here expects well-formed XML: blocks may be fenced,
unclosed or half filled, and contents may hold `<`, `&` or entities. Only what stays true becomes an example.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from data.record import Note

# claude-mem takes a missing type for the first of its list.
DEFAULT_TYPE = "bugfix"

LASTING_TYPES = {"discovery", "decision", "bugfix", "feature"}
MIN_FACTS = 2
MIN_NARRATIVE = 200  # characters, more than; without MIN_FACTS facts the narrative must carry the answer
MAX_FILES = 5  # files named in a question

# Concept of an observation -> what its question asks; the first that fits.
ASKED = {
    "why-it-exists": "Why is it so?",
    "gotcha": "What should one watch out for?",
    "problem-solution": "What was the problem, and how was it solved?",
    "trade-off": "What was traded for what?",
    "how-it-works": "How does this work?",
    "pattern": "What is the pattern?",
}

_SENSITIVE = re.compile(r"sensitive|security_")
_TIME_BOUND = re.compile(
    r"\b(?:today|yesterday|tomorrow|tonight|right now|just now|currently|so far|as of \w+|20\d\d-\d\d-\d\d"
    r"|(?:this|last|next) (?:session|morning|afternoon|evening|week|month)"
    r"|at (?:this|the) (?:moment|time of))\b",
    re.IGNORECASE,
)

_BLOCK = re.compile(r"<observation\b[^>]*>(.*?)(?:</observation\s*>|(?=<observation\b)|\Z)", re.DOTALL | re.IGNORECASE)
_SUMMARY = re.compile(r"<summary\b[^>]*>(.*?)(?:</summary\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)


class Unfit(StrEnum):
    """Why an observation, or a summary, is not lasting knowledge."""

    EMPTY = "empty observation"
    NO_SUBJECT = "observation without a subject"
    SENSITIVE = "sensitive observation"
    PASSING_TYPE = "observation of a passing kind"
    NO_LASTING_CONCEPT = "observation without a lasting concept"
    TIME_BOUND = "time-bound observation"
    TOO_THIN = "thin observation"
    DUPLICATE = "repeated observation"


class Observation(msgspec.Struct, frozen=True):
    """What an observer learned from one tool call of the session that it watches."""

    type: str = DEFAULT_TYPE
    title: str = ""
    subtitle: str = ""
    facts: tuple[str, ...] = ()
    narrative: str = ""
    concepts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Learned(msgspec.Struct, frozen=True):
    """What a progress summary says was learned, and on which request."""

    request: str
    text: str


class Example(msgspec.Struct, frozen=True):
    """A question and its answer, told apart within a reply by `key`; with a reason where it is no use."""

    question: str
    answer: str
    key: str
    reason: Unfit | None = None
    notes: tuple[Note, ...] = ()


def parse_observations(text: str) -> Iterator[Observation]:
    """Every observation block of a reply, in order."""
    for match in _BLOCK.finditer(_COMMENT.sub("", text)):
        yield _observation(match[1])


def parse_learned(text: str) -> Iterator[Learned]:
    """The `learned` part of every summary block that has one."""
    for match in _SUMMARY.finditer(_COMMENT.sub("", text)):
        if learned := field(match[1], "learned"):
            yield Learned(field(match[1], "request"), learned)


def field(block: str, tag: str) -> str:
    """The content of the first element of that name, or an empty text."""
    return next((_plain(text) for text in _elements(block, tag)), "")


def why_drop(seen: Observation) -> Unfit | None:
    """Why an observation is not lasting knowledge, or None where it is."""
    checks = (
        (Unfit.EMPTY, not (seen.title or seen.narrative or seen.facts or seen.concepts)),
        (Unfit.NO_SUBJECT, not (seen.title or seen.subtitle)),
        (Unfit.SENSITIVE, bool(_SENSITIVE.match(seen.type))),
        (Unfit.PASSING_TYPE, seen.type not in LASTING_TYPES),
        (Unfit.NO_LASTING_CONCEPT, not any(concept in ASKED for concept in seen.concepts)),
        (Unfit.TIME_BOUND, bool(_TIME_BOUND.search(f"{seen.title}\n{seen.narrative}"))),
        (Unfit.TOO_THIN, len(seen.facts) < MIN_FACTS and len(seen.narrative) <= MIN_NARRATIVE),
    )
    return next((why for why, holds in checks if holds), None)


def example_of(seen: Observation, project: str, key: str) -> Example:
    """The question and answer that an observation makes; facts that will not stay true are left out."""
    lasting = tuple(fact for fact in seen.facts if not _TIME_BOUND.search(fact))
    removed = len(seen.facts) - len(lasting)
    notes = (Note("observers", Unfit.TIME_BOUND, removed),) if removed else ()
    told = msgspec.structs.replace(seen, facts=lasting)
    answer = "\n\n".join(filter(None, (told.narrative, "\n".join(f"- {fact}" for fact in lasting))))
    reason = why_drop(told)
    return Example(_question(told, project) if reason is None else "", answer, key, reason, notes)


def learned_of(learned: Learned, project: str, key: str) -> Example:
    """The question and answer that a summary makes."""
    question = f"{_within(project, learned.request)}\nWhat is worth knowing about this?"
    return Example(question, learned.text, key, _why_drop_learned(learned))


def _question(seen: Observation, project: str) -> str:
    """What a colleague would have asked to be told this."""
    fitting = (ASKED[concept] for concept in seen.concepts if concept in ASKED)
    subject, *more = filter(None, (seen.title, seen.subtitle, *_files(seen)))
    return "\n".join((_within(project, subject), *more, next(fitting)))


def _files(seen: Observation) -> Iterator[str]:
    if seen.files:
        yield f"Files: {', '.join(seen.files[:MAX_FILES])}"


def _within(project: str, subject: str) -> str:
    return f"In {project}: {subject}" if project else subject


def _why_drop_learned(learned: Learned) -> Unfit | None:
    if _TIME_BOUND.search(learned.text):
        return Unfit.TIME_BOUND
    if not learned.request:
        return Unfit.NO_SUBJECT
    return Unfit.TOO_THIN if len(learned.text) <= MIN_NARRATIVE else None


def _observation(block: str) -> Observation:
    kind = field(block, "type").strip("[] ").lower() or DEFAULT_TYPE
    concepts = (concept.partition(":")[0].strip().lower() for concept in _items(block, "concepts", "concept"))
    files = (*_items(block, "files_read", "file"), *_items(block, "files_modified", "file"))
    return Observation(
        type=kind,
        title=field(block, "title"),
        subtitle=field(block, "subtitle"),
        facts=_items(block, "facts", "fact"),
        narrative=field(block, "narrative"),
        concepts=tuple(concept for concept in concepts if concept and concept != kind),
        files=tuple(dict.fromkeys(files)),
    )


def _items(block: str, parent: str, child: str) -> tuple[str, ...]:
    """The non-empty children of a list element."""
    found = re.search(rf"<{parent}\b[^>]*>(.*?)</{parent}\s*>", block, re.DOTALL | re.IGNORECASE)
    texts = (_plain(text) for text in _elements(found[1] if found else "", child))
    return tuple(text for text in texts if text)


def _elements(block: str, tag: str) -> Iterator[str]:
    for match in re.finditer(rf"<{tag}\b[^>]*>(.*?)</{tag}\s*>", block, re.DOTALL | re.IGNORECASE):
        yield match[1]


def _plain(text: str) -> str:
    return html.unescape(_CDATA.sub(r"\1", text)).strip()
