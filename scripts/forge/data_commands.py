"""Rows: `forge data`, `extract`, `stats`, `curate`, `mine`, `explain`, `forget`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts.forge import places
from scripts.forge.rooms import room
from scripts.forge.words import AnyRole, DryRun, Json, Panel, option

Sessions = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="transcripts (default: ~/.claude/projects); of a pack, a vault or a file"),
]
Workers = Annotated[int | None, typer.Option(metavar="N", min=1, help="processes (default: one for each core)")]
OfPack = Annotated[
    str, typer.Option("--pack", metavar="NAME", help="rows of this pack", autocompletion=places.complete_pack)
]


def add_to(app: typer.Typer) -> None:
    for command in (data, extract, stats, curate, mine, explain, forget):
        app.command(rich_help_panel=Panel.DATA)(command)


def data(role: AnyRole = "", sessions: Sessions = None, workers: Workers = None, dry_run: DryRun = False) -> int:
    """Make the rows: from transcripts, or from the sources of a pack."""
    return pipeline("all", role, sessions, workers, dry_run)


def extract(role: AnyRole = "", sessions: Sessions = None, workers: Workers = None, dry_run: DryRun = False) -> int:
    """Only read the sources: clean conversations in extracted.jsonl, no rows yet."""
    return pipeline("extract", role, sessions, workers, dry_run)


def pipeline(command: str, role: str, sessions: Path | None, workers: int | None, dry_run: bool) -> int:
    at = places.known(role) if role else places.place("")
    words = [command, "--out", str(at.datasets), *at.config]
    words += option("--sessions", places.path(sessions) if sessions else None)
    return room(
        "data.pipeline",
        [*words, *option("--workers", workers), *option("--dry-run", dry_run), *places.further()],
    )


def stats(role: AnyRole = "") -> int:
    """The numbers of a dataset: rows, tokens, what left and why."""
    at = places.known(role) if role else places.place("")
    return room("data.validate.stats", [str(at.datasets), *places.further()])


def curate(
    role: AnyRole = "",
    terminal: Annotated[bool, typer.Option("--terminal", help="in this terminal instead of a browser")] = False,
    port: Annotated[int | None, typer.Option(help="of the page (default: 18794)")] = None,
    apply: Annotated[Path | None, typer.Option(metavar="FILE", help="take decisions from lines of JSON")] = None,
    export: Annotated[Path | None, typer.Option(metavar="FILE", help="write what Argilla reads")] = None,
    import_: Annotated[Path | None, typer.Option("--import", metavar="FILE", help="take what Argilla wrote")] = None,
    status: Annotated[bool, typer.Option("--status", help="say how much is decided")] = False,
    json_: Json = False,
) -> int:
    """Read examples one by one and approve, reject, edit or trim them: a page for this machine alone."""
    at = places.known(role) if role else places.place("")
    words = ["--rows", str(at.datasets), *at.config, *option("--terminal", terminal), *option("--port", port)]
    for name, file in (("--apply", apply), ("--export", export), ("--import", import_)):
        words += option(name, places.path(file) if file else None)
    words += [*option("--status", status), *option("--json", json_)]
    return room("data.curate", [*words, *places.further()])


def mine(
    repos: Annotated[list[Path], typer.Argument(metavar="REPO...", help="git repositories, or folders of them")],
    pack: Annotated[
        str,
        typer.Option(metavar="NAME", help="the pack that learns from them", autocompletion=places.complete_pack),
    ] = "",
    since: Annotated[str, typer.Option(metavar="DATE", help="changes of this day (UTC) or later")] = "",
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="at most so many new pairs")] = None,
) -> int:
    """Make examples out of merged changes: the message or the pull request asks, the diff answers."""
    at = places.known(pack) if pack else places.place("")
    words = [places.path(repo) for repo in repos]
    words += ["--out", str(at.top / "mined" / f"{pack}.jsonl"), *at.config] if pack else []
    return room("data.mine", [*words, *option("--since", since), *option("--limit", limit), *places.further()])


def explain(
    row: Annotated[str, typer.Argument(metavar="ROW_ID", help="the id of a row")] = "",
    session: Annotated[str, typer.Option(metavar="ID", help="all rows of a session instead")] = "",
    pack: OfPack = "",
) -> int:
    """The life of a row: transcript, lines, stages, trained messages."""
    at = places.place(pack)
    words = ["explain", *filter(None, [row]), *option("--session", session), "--out", str(at.datasets), *at.config]
    return room("data.pipeline", [*words, *places.further()])


def forget(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="the id of a session")],
    pack: OfPack = "",
) -> int:
    """Keep a session out of all later builds, and say what holds it now."""
    at = places.place(pack)
    return room("data.pipeline", ["forget", session, "--out", str(at.root), *at.config, *places.further()])
