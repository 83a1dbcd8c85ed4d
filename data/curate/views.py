"""What the pages show, as values for the templates: texts folded and marked, links that keep the filters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import asdict

from data.curate import finding
from data.curate.change import ends_of
from data.curate.similar import similar
from data.curate.store import Store
from data.curate.turns import Turn
from data.curate.values import DONE, Entry, Example, Filters

AROUND = 6  # entries of the queue that are shown before the one that is read
QUEUE = 24
SPEAKERS = {"system": "System", "human": "Person", "gpt": "Model"}
SIGNS = {"undecided": "○", "approved": "✓", "rejected": "✗", "edited": "✎", "trimmed": "✂"}
SHORT = 100  # characters of a summary line


class Shown(msgspec.Struct, frozen=True):
    """A turn as the page shows it. `original` is the text before an edit, None where it is as it was."""

    number: int
    speaker: str
    who: str
    text: str
    original: str | None
    train: bool
    calls: tuple[tuple[str, str, str], ...]
    results: tuple[tuple[str, str], ...]
    gone: bool
    can_end: bool
    can_edit: bool


def shown(example: Example, drafts: Mapping[int, str] | None = None) -> list[Shown]:
    """The turns of an example with what was decided; `drafts` are texts that are being written."""
    texts = {**example.change.texts, **(drafts or {})}
    last = len(example.turns) - 1 if example.change.last is None else example.change.last
    ends = ends_of(example.turns)
    return [
        Shown(
            number=number,
            speaker=turn.speaker,
            who=SPEAKERS[turn.speaker] if turn.text or not turn.results else "Results",
            text=texts.get(number, turn.text),
            original=turn.text if number in example.change.texts else None,
            train=turn.train,
            calls=tuple((call.name, _short(call.arguments), _pretty(call.arguments)) for call in turn.calls),
            results=tuple((_short(result) or "(no output)", result) for result in turn.results),
            gone=number > last,
            can_end=number in ends,
            can_edit=turn.speaker != "system",
        )
        for number, turn in enumerate(example.turns)
    ]


def _short(text: str) -> str:
    line = " ".join(text[: 4 * SHORT].split())
    return line if len(line) <= SHORT else f"{line[: SHORT - 1]}…"


def _pretty(arguments: str) -> str:
    """A call's arguments with one key a line; a long text as it is read, not as JSON."""
    value = json.loads(arguments)
    lines = [
        f"{name}: {inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False)}"
        for name, inner in value.items()
    ]
    return "\n".join(lines)


def query(filters: Filters, **more: Any) -> str:
    """The part of an address after `?` that keeps the filters."""
    pairs = {**asdict(filters), **more}
    text = urlencode({name: value for name, value in pairs.items() if value})
    return f"?{text}" if text else ""


def link(key: str, filters: Filters, **more: Any) -> str:
    return f"/example/{quote(key)}{query(filters, **more)}"


def read_filters(values: Mapping[str, str]) -> Filters:
    return Filters(**{name: values.get(name, "").strip()[:200] for name in Filters.__struct_fields__})


def common(store: Store, filters: Filters) -> dict[str, Any]:
    """What every page shows: the progress, the filters and what there is to filter by."""
    counts = finding.progress(store.database)
    return {
        "counts": counts,
        "done": counts["examples"] - counts["undecided"],
        "filters": filters,
        "narrowed": [(name, value) for name, value in asdict(filters).items() if value],
        "choices": finding.choices(store.database),
        "signs": SIGNS,
        "query": query,
        "link": link,
    }


def list_page(store: Store, filters: Filters, number: int) -> dict[str, Any]:
    total = finding.count(store.database, filters)
    pages = max((total + finding.PAGE - 1) // finding.PAGE, 1)
    number = min(max(number, 1), pages)
    entries = finding.page(store.database, filters, (number - 1) * finding.PAGE)
    first = finding.undecided(store.database, filters)
    return {"entries": entries, "total": total, "page": number, "pages": pages, "first": first}


def example_page(store: Store, filters: Filters, example: Example, did: str, author: str) -> dict[str, Any]:
    entry = example.entry
    place = finding.rank(store.database, filters, entry.place)
    start = max(place - AROUND, 0)
    return {
        "example": example,
        "entry": entry,
        "place": place + 1,
        "total": finding.count(store.database, filters),
        "queue": finding.page(store.database, filters, start, QUEUE),
        "before": finding.before(store.database, filters, entry.place),
        "after": finding.after(store.database, filters, entry.place),
        "similar": similar(store, entry, example.turns),
        "history": store.history(entry.key),
        "done_words": DONE,
        "ends": ends_of(example.turns),
        "did": _did(store, did),
        "undo": _to_undo(store, entry, did, author),
    }


def _did(store: Store, key: str) -> Entry | None:
    """The example that was decided about just before, for the line that says so."""
    row = store.database.execute("SELECT 1 FROM examples WHERE key = ?", (key,)).fetchone() if key else None
    return store.example(key).entry if row else None


def _to_undo(store: Store, entry: Entry, did: str, author: str) -> Entry | None:
    """What the undo key takes back: the decision about this example, or else the last one of its author."""
    if entry.decision:
        return entry
    return _did(store, did or finding.last_of(store.database, author))


def beside_page(left: Example, right: Example, pairs: Sequence[Any]) -> dict[str, Any]:
    return {"left": left.entry, "right": right.entry, "pairs": pairs, "speakers": SPEAKERS}


def texts_of(turns: Sequence[Turn], form: Mapping[str, str]) -> dict[int, str]:
    """The texts of an edit as the form sent them, by turn; others than those of turns are left out."""
    names = {f"text-{number}": number for number in range(len(turns))}
    return {names[name]: value for name, value in form.items() if name in names}
