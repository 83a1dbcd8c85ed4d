"""What the pipeline says to a person: what it would do, and what came of a build."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data.build import coverage
from data.config import DataConfig
from data.extract.unit import Unit
from data.record import SPLITS, Tally
from data.stage import Ledger
from data.transform.balance import Balance
from data.validate.rows import Manifest

if TYPE_CHECKING:
    from rich.table import Table

TOWN_ROLES = ("mayor", "deacon", "boot", "dog", "witness", "refinery", "polecat", "crew")


def announce(units: Sequence[Unit], out: Path) -> None:
    """Say what a build would read and where it would write."""
    files = sum(len(unit.files) for unit in units)
    size = sum(unit.bytes for unit in units) / 1e6
    print(f"Would read {files} files ({size:.1f} MB) in {len(units)} groups, and write the dataset to {out}.")


def close(manifest: Manifest, ledger: Ledger, config: DataConfig, out: Path) -> None:
    """The closing table and sentences of a build."""
    from rich.console import Console

    console = Console()
    console.print(_role_table(manifest))
    for sentence in _sentences(manifest, ledger, config, out):
        console.print(sentence, highlight=False, soft_wrap=True)


def _role_table(manifest: Manifest) -> Table:
    from rich.table import Table

    table = Table(title="Sample town dataset" if manifest.sample else "Dataset", title_justify="left")
    table.add_column("role")
    for split in SPLITS:
        table.add_column(f"{split} rows", justify="right")
    for role in manifest.roles:
        table.add_row(role, *(_rows(manifest, role, split) for split in SPLITS))
    table.add_section()
    table.add_row("all", *(f"{manifest.rows[split]:,}" for split in SPLITS))
    table.add_row("tokens", *(f"{manifest.tokens[split]:,}" for split in SPLITS))
    table.add_row("trained tokens", *(f"{manifest.trained_tokens[split]:,}" for split in SPLITS))
    return table


def _rows(manifest: Manifest, role: str, split: str) -> str:
    fact = manifest.files.get(f"{role}_{split}.jsonl")
    return f"{fact.rows:,}" if fact else "-"


def _sentences(manifest: Manifest, ledger: Ledger, config: DataConfig, out: Path) -> Iterator[str]:
    records = sum(sum(fates.values()) for fates in ledger.records.values())
    used = sum(fates.get("used", 0) for fates in ledger.records.values())
    yield f"Read {records:,} records of {manifest.sessions:,} sessions; {used:,} made conversations, the rest is named."
    share = coverage(ledger)
    yield (
        f"{share.text:.1%} of the assistants' text ({share.shown:.1%} with the arguments of their calls) is trained,"
        f" each reply once{_losses(ledger)}."
    )
    if any(after < before for before, after in manifest.balanced.values()):
        yield f"{Balance(manifest.balanced)}.".capitalize()
    if preferred := preferences(ledger):
        yield preferred
    elif config.tool_format == "native" and (config.preferences.dpo or config.preferences.kto):
        yield "No preferences were made: native calls are no text, which is all that DPO and KTO read."
    missing = [role for role in TOWN_ROLES if role in config.roles and role not in manifest.roles]
    if missing:
        yield f"No sessions of: {', '.join(missing)}. No files were written for them."
    for split in SPLITS:
        if not manifest.rows[split]:
            yield f"No session fell into {split}. With few sessions that happens; more of them, or another seed, helps."
    others = "origins.jsonl, drops.jsonl, ledger.json, stats.json, manifest.json"
    yield f"Written to {out}: rows by role and split, {others}."


def preferences(ledger: Ledger) -> str:
    """How many rows of preferences were made of what, in one line; empty without candidates."""
    said = []
    for method in ("dpo", "kto"):
        books = {name.removeprefix(f"{method}: "): one for name, one in ledger.preferences.items() if method in name}
        if found := sum(one.found for one in books.values()):
            kinds = ", ".join(f"{one.rows} {kind}" for kind, one in books.items() if one.rows)
            rows = sum(one.rows for one in books.values())
            said.append(f"{rows:,} for {method} of {found:,} candidates{f' ({kinds})' if kinds else ''}")
    return f"Preferences: {'; '.join(said)}." if said else ""


def _losses(ledger: Ledger) -> str:
    """The named reasons why replies are not trained, with their counts."""
    lost: dict[str, Tally] = dict(ledger.set_aside)
    for account in ledger.stages.values():
        for reason, tally in account.left.items():
            lost[reason] = lost.get(reason, Tally()) + tally
    named = [f"{tally.replies} {reason}" for reason, tally in lost.items() if tally.replies]
    return f" (not trained: {', '.join(named)})" if named else ""
