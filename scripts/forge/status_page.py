"""`forge status` for people: a table for each thing that there is, and the command that comes next."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scripts.forge.state import Status
from scripts.forge.usage import size

MOST_RUNS = 8
MOST_ROLES = 4


def print_status(found: Status, console: Console) -> None:
    for table in (data_table(found), runs_table(found), versions_table(found), scores_table(found), other_table(found)):
        if table.row_count:
            console.print(table)
    if found.disk is not None and found.disk.taken:
        parts = ", ".join(f"{name} {size(count)}" for name, count in list(found.disk.taken.items())[:5])
        total = size(sum(found.disk.taken.values()))
        console.print(f"[bold]Disk[/] {total} taken ({escape(parts)}), {size(found.disk.free)} free\n")
    for problem in found.problems:
        console.print(f"[bold red]broken[/] {escape(problem)}")
    console.print(f"[bold]Next[/] {escape(found.next)}")


def table_of(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def data_table(found: Status) -> Table:
    splits = ("train", "val", "test")
    table = table_of("Rows", "dataset", *splits, "age", "of", right=(*splits, "age"))
    for one in found.datasets:
        rows = (f"{one.rows[split]:,}" for split in splits)
        largest = sorted(one.roles.items(), key=lambda pair: (-pair[1], pair[0]))
        more = f" and {len(largest) - MOST_ROLES} more" if len(largest) > MOST_ROLES else ""
        roles = ", ".join(f"{role} {count:,}" for role, count in largest[:MOST_ROLES]) + more
        said = f"the invented sample town: {roles}" if one.sample else roles
        table.add_row(escape(one.name), *rows, days(one.age_days), escape(said))
    return table


def days(number: float) -> str:
    """3 min, 5 h, 2 days."""
    minutes = number * 24 * 60
    if minutes < 100:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{number:.0f} days"


def runs_table(found: Status) -> Table:
    more = f", the newest {MOST_RUNS} of {len(found.runs)}" if len(found.runs) > MOST_RUNS else ""
    table = table_of(f"Runs{more}", "run", "state", "steps", "loss", "started")
    for run in sorted(found.runs, key=lambda run: run.started, reverse=True)[:MOST_RUNS]:
        name = f"{run.name} (pack)" if run.pack else run.name
        started = run.started[:16].replace("T", " ")
        table.add_row(escape(name), escape(run.state), run.steps, run.loss, started)
    return table


def versions_table(found: Status) -> Table:
    right = ("base", "adapter", "points")
    table = table_of("Versions", "role", "live", "newest", "gate", *right, right=right)
    for one in found.versions:
        points = "" if one.points is None else f"{100 * one.points:+.1f}"
        live = f"[green]{one.live}[/]" if one.live else "-"
        table.add_row(escape(one.role), live, one.newest, one.gate, share(one.base), share(one.adapter), points)
    return table


def share(rate: float | None) -> str:
    return "" if rate is None else f"{100 * rate:.0f} %"


def scores_table(found: Status) -> Table:
    right = ("base", "adapter", "age")
    table = table_of("Last evaluations", "of", "gate", *right, right=right)
    for one in found.scores:
        table.add_row(escape(one.name), one.outcome, share(one.base), share(one.adapter), days(one.age_days))
    return table


def other_table(found: Status) -> Table:
    table = table_of("Besides", "what", "how much")
    for name, counts in found.other.items():
        if counts:
            table.add_row(name, escape(", ".join(told(key, value) for key, value in counts.items())))
    return table


def told(key: str, value: object) -> str:
    if key == "bytes" and isinstance(value, int):
        return size(value)
    if isinstance(value, dict):
        return f"{key}: {value['last']} {value['outcome']}"
    if isinstance(value, int):
        return f"{value:,} {key.removesuffix('s') if value == 1 else key}"
    return f"{key}: {value}"
