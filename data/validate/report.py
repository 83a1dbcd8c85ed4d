"""A build as one page that needs nothing but itself: numbers, what was left out and why, and rows to read.

`python -m data.validate.report DIR [--out FILE.html] [--rows N]` writes the page. In its rows, trained text,
context, calls, results and left-out text have different colours.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal

import msgspec

from data.record import Split
from data.transform.chat_formatter import Row
from data.validate.rows import DatasetError, open_build, read_build
from data.validate.stats import BIN, Part, Stats, collect
from data.validate.tables import plain, share

TEMPLATE = "report.html.jinja"
ROWS = 24  # shown where --rows does not say otherwise
TOP = 12  # bars of a chart; the rest is one bar

Kind = Literal["text", "call", "result", "elided"]

_BLOCK = re.compile(r"(<tool_(call|result)>\n.*?</tool_\2>)", re.DOTALL)
_ELIDED = re.compile(r"(\[\.\.\. \d+ tokens left out \.\.\.\])")


class Bar(msgspec.Struct, frozen=True):
    """One bar of a chart. `trained` is the part of `value` that is drawn in the colour of trained text."""

    label: str
    value: float
    note: str
    trained: float = 0


class Chart(msgspec.Struct, frozen=True):
    title: str
    says: str
    bars: tuple[Bar, ...]
    wide: bool = True

    @property
    def top(self) -> float:
        """What the longest bar stands for."""
        return max((bar.value for bar in self.bars), default=0) or 1


class Shown(msgspec.Struct, frozen=True):
    """A row in the browser."""

    split: Split
    row: Row


def build_report(folder: Path, rows: int = ROWS) -> str:
    """The page of a finished build. Raises DatasetError where there is none."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    manifest, stats = open_build(folder), collect(folder)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": plain, "segments": segments}
    environment.globals["share"] = share
    page = environment.get_template(TEMPLATE)
    shown = pick_rows(read_build(folder), rows)
    return page.render(name=folder.resolve().name, manifest=manifest, stats=stats, charts=charts(stats), shown=shown)


def charts(stats: Stats) -> tuple[Chart, ...]:
    """Every chart of the page that has something to show."""
    made = (
        _weight_chart("Splits", stats.splits.items()),
        _weight_chart("Roles", stats.roles.items()),
        Chart("Length", "rows by tokens", tuple(_lengths(stats.total)), wide=False),
        Chart("Quality", "rows by quality score", tuple(_scores(stats.total)), wide=False),
        Chart("Tools", "calls in trained replies", tuple(_counted(stats.total.calls.items()))),
        Chart("Not trained, and why", "characters of replies that were read", tuple(_losses(stats))),
    )
    return tuple(chart for chart in made if any(bar.value for bar in chart.bars))


def pick_rows(rows: Iterable[tuple[Split, Row]], count: int) -> list[Shown]:
    """The first rows of each role, taken from all roles in turn."""
    heads: dict[str, list[Shown]] = {}
    for split, row in rows:
        head = heads.setdefault(row.metadata.role, [])
        if len(head) < count:
            head.append(Shown(split, row))
    turns = zip_longest(*(heads[role] for role in sorted(heads)))
    return list(islice((shown for shown in chain.from_iterable(turns) if shown), count))


def segments(value: str) -> Iterator[tuple[Kind, str]]:
    """A message's parts by kind, in order; together they are the message."""
    pieces = _BLOCK.split(value)  # text, block, the block's kind, text, block, ...
    for index in range(0, len(pieces), 3):
        yield from _parted(pieces[index], "text")
        if index + 1 < len(pieces):
            yield from _parted(pieces[index + 1], "call" if pieces[index + 2] == "call" else "result")


def _parted(text: str, kind: Kind) -> Iterator[tuple[Kind, str]]:
    for index, piece in enumerate(_ELIDED.split(text)):
        if piece:
            yield ("elided" if index % 2 else kind), piece


def _weight_chart(title: str, parts: Iterable[tuple[str, Part]]) -> Chart:
    bars = (Bar(name, part.tokens, _weight(part), part.trained_tokens) for name, part in parts if part.rows)
    return Chart(title, "tokens; the green part is trained", tuple(bars))


def _weight(part: Part) -> str:
    trained = share(part.trained_tokens, part.tokens)
    return f"{part.tokens:,} tokens, {trained} trained, {part.rows:,} rows, {part.sessions:,} sessions"


def _lengths(part: Part) -> Iterator[Bar]:
    for index, count in enumerate(part.histogram, 1):
        yield Bar(f"to {index * BIN:,}", count, f"{count:,}")


def _scores(part: Part) -> Iterator[Bar]:
    for index, count in enumerate(part.quality):
        yield Bar(f"{index / 10:g} to {(index + 1) / 10:g}", count, f"{count:,}")


def _counted(counts: Iterable[tuple[str, int]]) -> Iterator[Bar]:
    ordered = list(counts)
    for name, count in ordered[:TOP]:
        yield Bar(name, count, f"{count:,}")
    if rest := sum(count for _, count in ordered[TOP:]):
        yield Bar(f"{len(ordered) - TOP} others", rest, f"{rest:,}")


def _losses(stats: Stats) -> Iterator[Bar]:
    """Why replies are not trained, the largest reasons first, and how much of all that was read each took."""
    for loss in stats.losses:
        size, replies = loss.tally.chars, loss.tally.replies
        counted = f"{replies:,} {'reply' if replies == 1 else 'replies'}"
        yield Bar(plain(loss.reason), size, f"{share(size, stats.read.chars)} of all, {counted}, in {loss.stage}")


def _write(path: Path, text: str) -> None:
    """Write the page whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".html", delete=False) as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data.validate.report", description="A build as one page.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the output folder of a build")
    parser.add_argument("--out", type=Path, metavar="FILE.html", help="default: DIR/report.html")
    parser.add_argument("--rows", type=int, default=ROWS, metavar="N", help="rows to show (default: %(default)s)")
    options = parser.parse_args(arguments)
    out = options.out or options.folder / "report.html"
    try:
        _write(out, build_report(options.folder, options.rows))
    except DatasetError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{out}: cannot be written ({error.strerror}). Give another file with --out.", file=sys.stderr)
        return 1
    print(f"wrote {out}: open it in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
