"""What eval.verbatim prints and writes: shares with intervals, the distance from the base, the worst answers.

The terminal shows the beginning of a repeated run, because its reader has the rows; the JSON never holds any text.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from eval.printable import one_line
from eval.report import make_table
from eval.statistics import Rate
from eval.verbatim_answers import Answer
from eval.verbatim_runs import Found
from eval.verbatim_shares import LONG, Measured, beside
from eval.wording import TOO_FEW, change, percent

WORST_SHOWN, TEXT_SHOWN = 5, 100
SHARES = ("with_run", "with_long_run", "words")
LEGEND = (
    "A run is {} words that stand in a trained reply and not in the prompt; a long one is {}. words: share of an "
    "answer's words within runs. The base never saw the rows: what it repeats is idiom, and the floor."
)


def print_measured(measured: Sequence[Measured], words: int, console: Console) -> None:
    """One row per results file, the distance of each adapter from the base, and the worst answers of each."""
    columns = (
        "model",
        "answers",
        "with a run [95 %]",
        f"with {max(LONG, words)} words [95 %]",
        "words [95 %]",
        "longest",
    )
    table = make_table("repeats of trained text", *columns)
    for one in measured:
        shares = [escape(percent(rate)) for rate in one.rates]
        table.add_row(escape(_name(one)), str(len(one.found)), *shares, f"{one.longest} words")
    console.print(table)
    for name, difference in _differences(measured):
        told = "not the same questions, no difference" if difference is None else _told(difference)
        console.print(f"{name} beside the base: {told}", markup=False)
    console.print(LEGEND.format(words, max(LONG, words)), markup=False)
    if not all(rate.enough for one in measured for rate in one.rates):
        console.print(TOO_FEW, markup=False)
    for one in measured:
        _print_worst(one, console)


def as_json(measured: Sequence[Measured], words: int) -> dict[str, Any]:
    """The numbers for other programs; repeated runs are named by answer and row."""
    return {
        "kind": "verbatim",
        "words": words,
        "long": max(LONG, words),
        "sides": [_side(one) for one in measured],
        "beside_base": {
            name: None if rates is None else dict(zip(SHARES, map(_rate, rates), strict=True))
            for name, rates in _differences(measured)
        },
    }


def _side(one: Measured) -> dict[str, Any]:
    worst = [
        {"answer": answer.name, "row": found.where, "words": found.longest, "share": found.covered / found.size}
        for answer, found in _worst(one)
    ]
    return {
        "results": str(one.side.path),
        "model": one.side.model,
        "is_base": one.side.is_base,
        "answers": len(one.found),
        "longest": one.longest,
        **dict(zip(SHARES, map(_rate, one.rates), strict=True)),
        "worst": worst,
    }


def _differences(measured: Sequence[Measured]) -> Iterator[tuple[str, tuple[Rate, Rate, Rate] | None]]:
    """Each adapter with its distance from the first base there is."""
    base = next((one for one in measured if one.side.is_base), None)
    for one in measured:
        if base is not None and not one.side.is_base:
            yield _name(one), beside(base, one)


def _told(difference: tuple[Rate, Rate, Rate]) -> str:
    names = ("answers with a run", "with a long one", "words within runs")
    return "; ".join(f"{name} {change(rate)} points" for name, rate in zip(names, difference, strict=True))


def _worst(one: Measured) -> list[tuple[Answer, Found]]:
    pairs = [pair for pair in zip(one.side.answers, one.found, strict=True) if pair[1].longest]
    return sorted(pairs, key=lambda pair: (-pair[1].longest, pair[0].name))[:WORST_SHOWN]


def _print_worst(one: Measured, console: Console) -> None:
    for answer, found in _worst(one):
        said = f"{answer.name}: {found.longest} words of {found.where}: {one_line(found.text, TEXT_SHOWN)}"
        console.print(f"  {_name(one)}, {said}", markup=False)


def _name(one: Measured) -> str:
    return "base" if one.side.is_base else one_line(one.side.model, 40)


def _rate(rate: Rate) -> dict[str, float | bool]:
    return {
        "value": rate.value,
        "low": rate.low,
        "high": rate.high,
        "units": rate.units,
        "families": rate.clusters,
        "enough": rate.enough,
    }
