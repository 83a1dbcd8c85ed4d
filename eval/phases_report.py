"""The table of the phases in the terminal and as JSON: pass rates, paired differences, and what follows in sentences.

`print_phases(contrasts, dataset, console)` fits into 100 columns; `as_json` holds the same numbers. A sentence calls a
side better only where the interval and the corrected p both say so.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console

from eval.gate import points
from eval.paired import ALL as TOGETHER
from eval.paired import Row
from eval.phases_table import Contrast, Side, Verdict, verdict
from eval.printable import one_line
from eval.report import make_table
from eval.results import RoleBench
from eval.statistics import Rate
from eval.wording import LEFT_OUT, TOO_FEW, change, of_scenarios, p_value, percent, size

# How sentences call the three.
NAMES = {Side.BASE: "the base", Side.ALL: "the all-roles adapter", Side.OWN: "the role's own adapter"}
LEGEND = (
    "points: passed scenarios of the first less those of the second, in percent, with the 95 % interval of the paired "
    "difference; p: signs of the families flipped, Holm over the roles; better or worse: the interval excludes 0 and "
    "p is below 0.05; floor: what an agent passes that only says one sentence."
)


def print_phases(contrasts: Sequence[Contrast], dataset: str, console: Console) -> None:
    """The rates, the differences, and the sentences."""
    _print_rates(contrasts, dataset, console)
    _print_differences(contrasts, console)
    for line in (LEGEND, *remarks(contrasts), "", *sentences(contrasts)):
        console.print(line, markup=False)


def _print_rates(contrasts: Sequence[Contrast], dataset: str, console: Console) -> None:
    columns = ("role", "scenarios", *(f"{side} [95 %]" for side in Side), "floor")
    table = make_table(f"Passed, all adapters from one dataset ({dataset[:12]})", *columns)
    for role, rates in rates_of(contrasts).items():
        row = _rows(contrasts, role)[0]
        cells = (percent(rates[side]) for side in Side)
        table.add_row(_shown(role), size(row), *cells, of_scenarios(row.floor, row.difference.units))
    console.print(table)


def _print_differences(contrasts: Sequence[Contrast], console: Console) -> None:
    columns = ("role", "difference", "points [95 %]", "better/worse/same", "p", "so it is")
    table = make_table("Differences on the same scenarios", *columns)
    for role in rates_of(contrasts):
        for contrast, row in zip(contrasts, _rows(contrasts, role), strict=True):
            table.add_row(
                _shown(role) if contrast is contrasts[0] else "",
                f"{contrast.over} - {contrast.under}",
                change(row.difference),
                " / ".join(map(str, row.directions)),
                p_value(row.p_holm) if row.enough else "n/a",
                verdict(row),
            )
    console.print(table)


def rates_of(contrasts: Sequence[Contrast]) -> dict[str, dict[Side, Rate]]:
    """The pass rate of each side by role, `all` last."""
    found: dict[str, dict[Side, Rate]] = {}
    for contrast in contrasts:
        for row in contrast.rows:
            found.setdefault(row.role, {}).update({contrast.under: row.base.rate, contrast.over: row.adapter.rate})
    return found


def sentences(contrasts: Sequence[Contrast]) -> Iterator[str]:
    """One a role, and one for all of them: who is better than whom, and what the data cannot tell."""
    for role in rates_of(contrasts):
        found = [(contrast, row, verdict(row)) for contrast, row in zip(contrasts, _rows(contrasts, role), strict=True)]
        said = [_claim(contrast, row) for contrast, row, what in found if what is not Verdict.OPEN]
        left = [f"{NAMES[one.over]} from {NAMES[one.under]}" for one, _, what in found if what is Verdict.OPEN]
        if not said:
            left = ["the three apart"]
        if left:
            said.append(f"the data cannot tell {', nor '.join(left)}")
        yield f"{_shown(role)}: {'; '.join(said)}."


def remarks(contrasts: Sequence[Contrast]) -> Iterator[str]:
    """What a reader has to know beside the numbers."""
    first = contrasts[0].comparison
    if not all(row.enough for row in first.rows):
        yield TOO_FEW
    if any(not contrast.comparison.checked for contrast in contrasts):
        yield "Contamination was not checked; give the training rows with --rows."
    elif first.left_out:
        names = ", ".join(pair.id for pair in first.left_out)
        yield f"{LEFT_OUT}: {len(first.left_out)} of {len(first.pairs)} scenarios ({one_line(names, 400)})."
    for contrast in contrasts:
        if new := "; ".join(f"{scenario}: {action}" for scenario, action in contrast.comparison.forbidden):
            yield f"Forbidden, done by {contrast.over} and not by {contrast.under}: {one_line(new, 600)}."


def as_json(contrasts: Sequence[Contrast], dataset: str) -> dict[str, Any]:
    """Everything that the table says; shares and differences in 0..1 and -1..1."""
    said = dict(zip(rates_of(contrasts), sentences(contrasts), strict=True))
    return {
        "kind": "phases",
        "dataset_manifest": dataset,
        "models": {side: _model(run) for side, run in _runs(contrasts).items()},
        "settings": contrasts[0].comparison.base.settings,
        "roles": {
            role: {
                "rates": {side: _rate(rates[side]) for side in Side},
                "differences": {
                    contrast.name: _difference(row)
                    for contrast, row in zip(contrasts, _rows(contrasts, role), strict=True)
                },
                "sentence": said[role],
            }
            for role, rates in rates_of(contrasts).items()
        },
    }


def _claim(contrast: Contrast, row: Row) -> str:
    over, under = NAMES[contrast.over], NAMES[contrast.under]
    return f"{over} is {verdict(row)} than {under} ({points(row.difference.value)} points)"


def _rows(contrasts: Sequence[Contrast], role: str) -> list[Row]:
    return [row for contrast in contrasts for row in contrast.rows if row.role == role]


def _shown(role: str) -> str:
    return "together" if role == TOGETHER else role


def _runs(contrasts: Sequence[Contrast]) -> dict[Side, RoleBench]:
    runs = {contrast.under: contrast.comparison.base for contrast in contrasts}
    return runs | {contrast.over: contrast.comparison.adapter for contrast in contrasts}


def _model(run: RoleBench) -> dict[str, Any]:
    return {"model": run.model, "base_model": run.facts.get("base_model"), "adapter": run.facts.get("adapter")}


def _rate(rate: Rate) -> dict[str, Any]:
    interval = [rate.low, rate.high] if rate.enough else None
    return {"passed": rate.value, "interval": interval, "scenarios": rate.units, "families": rate.clusters}


def _difference(row: Row) -> dict[str, Any]:
    better, worse, same = row.directions
    change = row.difference
    return {
        "value": change.value,
        "interval": [change.low, change.high] if change.enough else None,
        "p_holm": row.p_holm if row.enough else None,
        "better": better,
        "worse": worse,
        "same": same,
        "verdict": str(verdict(row)),
    }
