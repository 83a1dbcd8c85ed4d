"""How numbers and findings are written, in the terminal and on the page alike: never a bare percentage.

Cells such as `60 % [31, 83]`, rows of costs, and the sentences that belong to a comparison.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from eval.costs import Costs, costs_of
from eval.gate import Decision, active_check, points
from eval.paired import Comparison, Row
from eval.printable import one_line
from eval.statistics import MIN_CLUSTERS, Rate

TOO_FEW = f"too few: fewer than {MIN_CLUSTERS} families show no spread to rest an interval on."
LEFT_OUT = "Left out, because they stand in the training rows"
RUN_LEGEND = (
    "scenarios: how many, in how many families, k samples of each; all k: scenarios whose every sample passed; "
    "floor: what an agent passes that only says one sentence."
)
LEGEND = (
    "p: signs of the families flipped, Holm over roles; detects: smallest true difference found with 80 % probability; "
    + RUN_LEGEND
)


def percent(rate: Rate) -> str:
    """`60 % [31, 83]`, or `60 % too few` without families enough for an interval."""
    return f"{100 * rate.value:.0f} % " + (
        f"[{100 * rate.low:.0f}, {100 * rate.high:.0f}]" if rate.enough else "too few"
    )


def change(rate: Rate) -> str:
    """`+4.1 [-1.2, +9.3]` in points, or `+4.1 too few`."""
    return f"{points(rate.value)} " + (f"[{points(rate.low)}, {points(rate.high)}]" if rate.enough else "too few")


def comparison_lines(comparison: Comparison, decision: Decision) -> Iterator[str]:
    """What belongs to the tables in sentences: the same in the terminal and on the page."""
    yield LEGEND
    if not all(row.enough for row in comparison.rows):
        yield TOO_FEW
    yield _held_out(comparison.held_out)
    yield _contamination(comparison)
    new = "; ".join(f"{scenario}: {action}" for scenario, action in comparison.forbidden)
    yield f"New forbidden actions: {one_line(new, 600) or 'none'}."
    active = active_check(comparison.adapter.facts) or "not checked to be active"
    yield f"Adapter {adapter_hash(comparison.adapter.facts)}, {active}."
    if decision.luck is not None:
        yield _luck(decision)


def adapter_hash(facts: Mapping[str, Any]) -> str:
    """The first digits of the adapter's digest, or what is known instead."""
    adapter = facts.get("adapter")
    digest = adapter.get("sha256") if isinstance(adapter, dict) else None
    return f"sha256 {str(digest)[:16]}" if digest else "without a digest"


def size(row: Row) -> str:
    """`18 in 10, k 5`: scenarios, families, samples of each."""
    return f"{row.difference.units} in {row.difference.clusters}, k {row.samples}"


def of_scenarios(share: float, scenarios: int) -> str:
    """`8.5 of 110`: a share as a number of scenarios, so that its size stays in sight."""
    return f"{share * scenarios:.1f}".removesuffix(".0") + f" of {scenarios}"


def p_value(value: float) -> str:
    """`0.031`, or `<0.001`."""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def seconds(value: float) -> str:
    """`0.85 s`."""
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def tokens(total: int | None, answers: int) -> str:
    """`1,200,300 (2,728 an answer)`, or `n/a` where nobody counted."""
    return "n/a" if total is None else f"{total:,} ({total / answers:,.0f} an answer)"


def cost_rows(comparison: Comparison) -> list[tuple[str, str, str]]:
    """What both runs cost: label, base, adapter."""
    sides = costs_of(comparison.base), costs_of(comparison.adapter)

    def both(label: str, of: Callable[[Costs], str]) -> tuple[str, str, str]:
        return label, of(sides[0]), of(sides[1])

    return [
        both("answers", lambda c: f"{c.answers:,}"),
        both("response time, median", lambda c: seconds(c.median)),
        both("response time, 95 of 100", lambda c: seconds(c.slow)),
        both("prompt tokens", lambda c: tokens(c.prompt_tokens, c.answers)),
        both("new tokens", lambda c: tokens(c.new_tokens, c.answers)),
        both("runs cut at the token limit", lambda c: str(c.truncated)),
        both("runs cut out of a loop", lambda c: str(c.circles)),
        both("commands nothing answered", lambda c: str(c.unanswered)),
    ]


def _held_out(row: Row | None) -> str:
    if row is None:
        return "Held-out families: none."
    better, worse, same = row.directions
    numbers = f"base {percent(row.base.rate)}, adapter {percent(row.adapter.rate)}, points {change(row.difference)}"
    return f"Held-out families alone ({size(row)}): {numbers}; {better} better, {worse} worse, {same} same.".replace(
        "\\", ""
    )


def _contamination(comparison: Comparison) -> str:
    if not comparison.checked:
        return "Contamination was not checked; give role_bench the training rows."
    if not comparison.left_out:
        return "Contamination: none of the scenarios stands in the training rows."
    names = ", ".join(pair.id for pair in comparison.left_out)
    return f"{LEFT_OUT}: {len(comparison.left_out)} of {len(comparison.pairs)} scenarios ({one_line(names, 400)})."


def _luck(decision: Decision) -> str:
    luck = decision.luck
    assert luck is not None
    if luck.tried == 1:
        return "Checkpoints tried: 1. Were more compared on these scenarios, say so with --tried: the best is lucky."
    return (
        f"Checkpoints tried: {luck.tried}. The best of {luck.tried} without any true gain would seem to gain "
        f"{100 * luck.gain:.1f} points here, and as much as this one with probability {luck.as_large:.2f}."
    )
