"""A plan for a person: the rows, the memory by part, time and money, the verdict, and what to change."""

import sys
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from configs.plan.advice import Change
from configs.plan.memory import GIB
from configs.plan.plan import Plan, Verdict

PIPE_WIDTH = 100
COLOURS = {Verdict.FITS: "bold green", Verdict.TIGHT: "bold yellow", Verdict.TOO_LARGE: "bold red"}


def make_console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)


def print_plan(plan: Plan, title: str, console: Console) -> None:
    console.print(f"[bold]{title}[/bold]", soft_wrap=True)
    print_verdict(plan, console)
    console.print()
    console.print(work_table(plan))
    console.print(memory_table(plan))


def make_table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=SIMPLE, pad_edge=False, show_header=False)


def work_table(plan: Plan) -> Table:
    work, recipe, spent = plan.work, plan.recipe, plan.duration
    table = make_table("Work and time")
    table.add_row("rows", f"{work.rows:,}", f"{work.tokens:,} tokens, {work.trained_tokens:,} of them trained")
    if recipe.packing:
        size = recipe.batch_tokens if recipe.one_long_pack else recipe.sequence_len
        table.add_row("packs", f"{work.packs:,}", f"of {size:,} tokens, {work.full:.0%} full")
    else:
        table.add_row("batches", f"{work.micro_batches:,}", f"of {recipe.micro_batch} rows, {work.full:.0%} full")
    each = f"{work.steps_per_epoch:,} an epoch, {recipe.accumulation} micro-batches each"
    table.add_row("steps", f"{work.steps:,}", f"{work.epochs:.3g} epochs, {each}" + on_cards(plan))
    seen = f"{plan.gpu.utilization:.0%} of {plan.gpu.tflops:g} TFLOP/s"
    table.add_row("speed", f"{spent.tokens_per_second:,.0f} tokens/s", f"{seen}, assumed")
    times = recipe.evaluations(work.steps)
    evaluated = f"{times} evaluations {clock(spent.evaluation)}" if spent.evaluation else "no evaluation"
    table.add_row("time", clock(spent.training + spent.evaluation), f"{evaluated}; without loading and saving")
    price = f"{plan.gpus} x {plan.gpu.price:.2f}" if plan.gpus > 1 else f"{plan.gpu.price:.2f}"
    table.add_row("cost", f"${plan.cost:,.2f}", f"at {price} dollars an hour; change prices in configs/plan/gpus.yml")
    return table


def on_cards(plan: Plan) -> str:
    return f", on each of {plan.gpus} cards" if plan.gpus > 1 else ""


def clock(seconds: float) -> str:
    """Seconds as a person says them: 40 s, 12 min, 3.4 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def memory_table(plan: Plan) -> Table:
    """The parts in each moment of a run, the sums, and their share of the card; the largest sum counts."""
    moments, peak = plan.memory.moments, plan.memory.peak
    table = make_table(f"Memory of {'each' if plan.gpus > 1 else 'the'} card in GiB, at its fullest moments")
    table.show_header = True
    table.add_column("")
    for moment in moments:
        style = "bold" if moment is peak else "dim"
        table.add_column(f"{moment.name}{' (peak)' if moment is peak else ''}", justify="right", style=style)
    for name in dict.fromkeys(name for moment in moments for name in moment.parts):
        table.add_row(name, *(gib(moment.parts.get(name, 0)) for moment in moments))
    table.add_section()
    table.add_row("needed", *(gib(moment.total) for moment in moments))
    shares = (moment.total / GIB / plan.gpu.memory_gib for moment in moments)
    table.add_row(f"of {plan.gpu.memory_gib:g} on {plan.gpu.name}", *(f"{share:.0%}" for share in shares))
    return table


def gib(size: int) -> str:
    return f"{size / GIB:.2f}" if size else "-"


def print_verdict(plan: Plan, console: Console) -> None:
    """The answer in one line; where it is close, what it hangs on."""
    spent = plan.duration.training + plan.duration.evaluation
    needs = f"{plan.needs:.1f} of {plan.gpu.memory_gib:g} GiB, {clock(spent)}, ${plan.cost:,.2f}"
    console.print(f"{plan.verdict.upper()}: {needs}", style=COLOURS[plan.verdict])
    if plan.verdict is Verdict.TIGHT:
        console.print(
            "It goes through only if PyTorch gives back the free pieces that it keeps. Better change something."
        )


def print_changes(steps: Sequence[Change], others: Sequence[Change], console: Console) -> None:
    if steps:
        console.print(changes_table("What to change, one after the other", steps))
    if others:
        console.print(changes_table("Or instead", others))


def changes_table(title: str, changes: Iterable[Change]) -> Table:
    table = make_table(title)
    for column in ("change", "needs", "saves", "", "time", "cost"):
        table.add_column(column, no_wrap=column != "change", justify="left" if column in ("change", "") else "right")
    table.show_header = True
    for change in changes:
        plan = change.plan
        table.add_row(
            change.words,
            f"{plan.needs:.1f} GiB",
            f"{change.saves:.1f} GiB" if change.saves > 0.05 else "-",
            f"[{COLOURS[plan.verdict]}]{plan.verdict}[/]",
            clock(plan.duration.hours * 3600),
            f"${plan.cost:,.2f}",
        )
    return table
