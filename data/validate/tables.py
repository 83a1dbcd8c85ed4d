"""The numbers of a build as terminal tables of at most 80 columns.

`show(stats, console)` prints them; the pipeline closes with it, and `python -m data.validate.stats` is it.
"""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from data.record import SPLITS
from data.validate.stats import Stats
from data.validate.tally import Part, Spread

TOP = 10  # tools that are shown by name
LARGEST = 5  # sessions that are shown


def show(stats: Stats, console: Console) -> None:
    """Print what was read, what became of it, and what is in the rows."""
    read = (_records(stats), _losses(stats), _changes(stats))
    made = (_balance(stats), _splits(stats), _lengths(stats), _roles(stats), _known(stats))
    for table in (*read, *made, _calls(stats), _preferences(stats), _sessions(stats)):
        if table.row_count:
            console.print(table)
    total = stats.total
    console.print(
        f"{total.rows:,} rows from {total.sessions:,} sessions: {total.tokens:,} tokens,"
        f" {total.trained_tokens:,} of them trained ({share(total.trained_tokens, total.tokens)})",
        highlight=False,
    )


def share(part: float, whole: float) -> str:
    """A part as a percentage of the whole."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def plain(reason: str) -> str:
    """A reason as a person reads it."""
    return reason.replace("_", " ")


def _records(stats: Stats) -> Table:
    table = _table("What was read", "source", "records", "used", "set aside, by reason")
    table.columns[-1].justify = "left"
    table.columns[-1].no_wrap = False
    for source, fates in stats.records.items():
        aside = sorted((count, fate) for fate, count in fates.items() if fate != "used")
        reasons = ", ".join(f"{plain(fate)} {count:,}" for count, fate in reversed(aside))
        table.add_row(source, f"{sum(fates.values()):,}", f"{fates.get('used', 0):,}", reasons or "nothing")
    return table


def _losses(stats: Stats) -> Table:
    table = _table("Replies that are not trained", "stage", "reason", "replies", "calls", "characters", "share")
    table.columns[1].justify = "left"
    table.columns[1].no_wrap = False
    for loss in stats.losses:
        tally = loss.tally
        numbers = (f"{count:,}" for count in (tally.replies, tally.calls, tally.chars))
        table.add_row(loss.stage, plain(loss.reason), *numbers, share(tally.chars, stats.read.chars))
    return table


def _changes(stats: Stats) -> Table:
    table = _table("What was changed", "stage", "what", "times")
    table.columns[1].justify = "left"
    for stage, notes in stats.changes.items():
        for reason, count in sorted(notes.items(), key=lambda note: (-note[1], note[0])):
            table.add_row(stage, plain(reason), f"{count:,}")
    return table


def _balance(stats: Stats) -> Table:
    table = _table("Balance of the train split", "role", "rows before", "rows after", "trained tokens taken out")
    for role, taken in stats.balanced.items():
        after = stats.role_rows.get(role, {}).get("train", 0)
        table.add_row(role, f"{after + taken.conversations:,}", f"{after:,}", f"{taken.tokens:,}")
    return table


def _splits(stats: Stats) -> Table:
    table = _table("Splits", "split", "rows", "sessions", "tokens", "trained", "share")
    for name, part in _parts(stats):
        table.add_row(name, f"{part.rows:,}", *_weight(part))
    return table


def _lengths(stats: Stats) -> Table:
    table = _table(
        "Length and quality of rows", "split", "tokens p10", "p50", "p90", "longest", "quality p10", "p50", "p90"
    )
    for name, part in _parts(stats):
        table.add_row(name, *_ranks(part.length, ",.0f"), f"{part.length.max:,.0f}", *_ranks(part.score, ".2f"))
    return table


def _roles(stats: Stats) -> Table:
    table = _table("Roles", "role", *SPLITS, "sessions", "tokens", "trained", "share", "quality")
    for role, part in stats.roles.items():
        rows = [f"{stats.role_rows[role][split]:,}" for split in SPLITS]
        table.add_row(role, *rows, *_weight(part), f"{part.score.p50:.2f}")
    return table


def _known(stats: Stats) -> Table:
    """What the quality scores are made of, where anything is known of it."""
    table = _table("What the quality score knows", "part", "rows", "share", "mean")
    for name, known in stats.total.known.items():
        if known.rows:
            table.add_row(name, f"{known.rows:,}", share(known.rows, stats.total.rows), f"{known.mean:.2f}")
    return table


def _sessions(stats: Stats) -> Table:
    table = _table("Largest sessions", "session", "split", "rows", "tokens", "trained", "of all")
    for one in stats.sessions[:LARGEST]:
        trained = one.weight.trained_tokens
        counts = (f"{count:,}" for count in (one.weight.rows, one.weight.tokens, trained))
        table.add_row(one.id, one.split, *counts, share(trained, stats.total.trained_tokens))
    return table


def _calls(stats: Stats) -> Table:
    table = _table("Trained tool calls", "tool", "calls", "share")
    calls, total = list(stats.total.calls.items()), sum(stats.total.calls.values())
    for name, count in calls[:TOP]:
        table.add_row(name, f"{count:,}", share(count, total))
    if rest := sum(count for _, count in calls[TOP:]):
        table.add_row(f"{len(calls) - TOP} others", f"{rest:,}", share(rest, total))
    return table


def _preferences(stats: Stats) -> Table:
    table = _table("Preferences", "kind", "candidates", "rows", "left, by reason")
    table.columns[-1].justify = "left"
    table.columns[-1].no_wrap = False
    for kind, books in stats.preferences.items():
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in books.left.items())
        table.add_row(kind, f"{books.found:,}", f"{books.rows:,}", reasons or "none")
    return table


def _parts(stats: Stats) -> tuple[tuple[str, Part], ...]:
    return (*stats.splits.items(), ("all", stats.total))


def _weight(part: Part) -> tuple[str, ...]:
    counts = (part.sessions, part.tokens, part.trained_tokens)
    return (*(f"{count:,}" for count in counts), share(part.trained_tokens, part.tokens))


def _ranks(spread: Spread, form: str) -> tuple[str, ...]:
    return tuple(format(value, form) for value in (spread.p10, spread.p50, spread.p90))


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
