"""The numbers of a build as what the report draws: bars and columns with their labels, ready for the template."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from data.record import Tally
from data.validate.stats import Stats
from data.validate.tables import plain, share
from data.validate.tally import BIN, Known

TOP = 12  # bars of a chart; the rest is one bar

# What a stage calls its changes, where "changed" says too little.
_CHANGES = {
    "redact": ("Redactions", "by kind; what was redacted is shown nowhere"),
    "normalize": ("Boilerplate removed from texts", "by rule"),
    "windows": ("Cut to fit the window", "texts, by what was done"),
}


class Bar(msgspec.Struct, frozen=True):
    """One bar or column. `trained` is the part of `value` that is drawn in the colour of trained text."""

    label: str
    value: float
    note: str
    trained: float = 0


class Chart(msgspec.Struct, frozen=True):
    title: str
    says: str
    bars: tuple[Bar, ...]

    @property
    def top(self) -> float:
        """What the longest bar stands for."""
        return max((bar.value for bar in self.bars), default=0) or 1

    @property
    def told(self) -> str:
        """The whole chart as one sentence, for who does not see it."""
        return f"{self.title}, {self.says}: " + "; ".join(f"{bar.label}: {bar.note}" for bar in self.bars if bar.value)


class Balance(msgspec.Struct, frozen=True):
    """A role's rows in the train split before and after some were taken out, and the trained tokens of those."""

    role: str
    before: int
    after: int
    trained_tokens: int


def balance(stats: Stats) -> tuple[Balance, ...]:
    """All roles of the train split, whether balanced or not."""
    return tuple(
        Balance(role, rows["train"] + taken.conversations, rows["train"], taken.tokens)
        for role, rows in stats.role_rows.items()
        if rows["train"] or role in stats.balanced
        for taken in (stats.balanced.get(role, Tally()),)
    )


def length_columns(stats: Stats) -> Chart:
    """Rows by tokens, in bins of BIN."""
    counts = enumerate(stats.total.histogram)
    columns = (Bar(f"{n * BIN + 1:,} to {(n + 1) * BIN:,}", count, _rows(count)) for n, count in counts)
    return Chart("Length", "rows by tokens", tuple(columns))


def quality_columns(stats: Stats) -> Chart:
    """Rows by quality score, in tenths."""
    counts = enumerate(stats.total.quality)
    columns = (Bar(f"{n / 10:.1f} to {(n + 1) / 10:.1f}", count, _rows(count)) for n, count in counts)
    return Chart("Quality", "rows by quality score", tuple(columns))


def known_bars(known: Mapping[str, Known], rows: int) -> Chart:
    """In how many rows something is known of each part of the score."""
    bars = (
        Bar(name, part.rows, f"{share(part.rows, rows)} of rows, {part.mean:.2f} on average" if part.rows else "-")
        for name, part in known.items()
    )
    return Chart("What the score knows", "rows with evidence, by part of the score", tuple(bars))


def tool_bars(stats: Stats) -> Chart:
    total = sum(stats.total.calls.values())
    return Chart("Tools", "calls in trained replies", tuple(_largest(stats.total.calls, total)))


def record_charts(stats: Stats) -> Iterator[Chart]:
    """What became of the records, one chart for each source that was read."""
    for source, fates in stats.records.items():
        total, used = sum(fates.values()), fates.get("used", 0)
        aside = {fate: count for fate, count in fates.items() if fate != "used"}
        bars = (Bar("used", used, _counted(used, total), used), *_largest(aside, total))
        yield Chart(plain(source), f"{total:,} records, each used or set aside for one reason", bars)


def _boilerplate(stats: Stats) -> Chart:
    """The replies of turns in which nothing happened, by the rule that took them out."""
    taken = {loss.reason: loss.tally.replies for loss in stats.losses if loss.stage == "boilerplate"}
    total = sum(taken.values())
    return Chart("Boilerplate turns taken out", f"{total:,} replies, by rule", tuple(_largest(taken, total)))


def change_charts(stats: Stats) -> Iterator[Chart]:
    """What the stages changed and how often, one chart for each that changed anything; and the boilerplate turns."""
    for stage, notes in stats.changes.items():
        title, says = _CHANGES.get(stage, (f"Changed in {plain(stage)}", "by reason"))
        yield Chart(title, f"{sum(notes.values()):,} times, {says}", tuple(_largest(notes, sum(notes.values()))))
    yield _boilerplate(stats)


def _largest(counts: Mapping[str, int], total: int) -> Iterator[Bar]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    for name, count in ordered[:TOP]:
        yield Bar(plain(name), count, _counted(count, total))
    if rest := sum(count for _, count in ordered[TOP:]):
        yield Bar(f"{len(ordered) - TOP} others", rest, _counted(rest, total))


def _counted(count: int, total: int) -> str:
    return f"{count:,} ({share(count, total)})"


def _rows(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def told(charts: Iterable[Chart]) -> tuple[Chart, ...]:
    """The charts that have something to show."""
    return tuple(chart for chart in charts if any(bar.value for bar in chart.bars))
