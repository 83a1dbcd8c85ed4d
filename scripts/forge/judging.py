"""Judge: `forge eval`, `compare`, `judge`."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from scripts.forge import places
from scripts.forge.rooms import first_failure, room
from scripts.forge.words import Json, Panel, Role, option

Step = tuple[str, list[str]]


def add_to(app: typer.Typer) -> None:
    app.command("eval", rich_help_panel=Panel.JUDGE)(evaluate)
    for command in (compare, judge):
        app.command(rich_help_panel=Panel.JUDGE)(command)


def evaluate(
    role: Role,
    adapter: Annotated[
        str, typer.Option(metavar="MODEL", help="a folder or http://HOST/v1#NAME (default: the trained adapter)")
    ] = "",
    samples: Annotated[int | None, typer.Option(metavar="K", min=1, help="runs of each scenario of a role")] = None,
    json_: Json = False,
) -> int:
    """Base beside adapter: the role's scenarios, or a pack's tasks with the rubric; the exit code is the gate's."""
    at = places.known(role)
    tested = places.model(adapter) if adapter else str(at.adapter)
    steps = pack_steps(at, tested) if at.pack else role_steps(at, tested, samples)
    if not json_:
        return first_failure(*steps)
    with contextlib.redirect_stdout(sys.stderr):
        verdict(at).unlink(missing_ok=True)
        code = first_failure(*steps)
    if verdict(at).is_file():
        print(verdict(at).read_text("utf-8").rstrip())
    else:
        print(json.dumps({"exit_code": code, "outcome": None}))
    return code


def verdict(at: places.Place) -> Path:
    """What the comparison said, as JSON; `forge status` reads it."""
    return at.evals / "verdict.json"


def role_steps(at: places.Place, adapter: str, samples: int | None) -> list[Step]:
    """role_bench on both, then the gate."""
    asked = ["--role", at.role, "--rows", str(at.datasets), *option("--samples", samples)]
    base, after = str(at.evals / "base"), str(at.evals / "adapter")
    pages = ["--html", str(at.evals / "report.html"), "--junit", str(at.evals / "junit.xml")]
    return [
        ("eval.role_bench", ["--model", "base", *asked, "--out", base, *places.further()]),
        ("eval.role_bench", ["--model", adapter, *asked, "--out", after, *places.further()]),
        ("eval.compare", [base, after, *pages, "--json", str(verdict(at))]),
    ]


def pack_steps(at: places.Place, adapter: str) -> list[Step]:
    """The rubric on both with the pack's tasks and weights, then the gate."""
    base, after = str(at.evals / "base.json"), str(at.evals / "adapter.json")
    return [
        ("eval.rubric", ["--model", "base", *at.config, "--out", base, *places.further()]),
        ("eval.rubric", ["--model", adapter, *at.config, "--out", after, *places.further()]),
        ("eval.rubric_compare", [base, after, "--json", str(verdict(at))]),
    ]


Strong = Annotated[str, typer.Option(metavar="URL#MODEL", help="the stronger model (default: $FORGE_STRONG)")]
ForRole = Annotated[str, typer.Option(metavar="NAME", help="a role or pack", autocompletion=places.complete_role)]


def compare(
    prompt: Annotated[str, typer.Argument(help="what both are asked")] = "",
    prompts: Annotated[Path | None, typer.Option(metavar="FILE", help="several: .jsonl, or one a line")] = None,
    role: ForRole = "",
    strong: Strong = "",
    json_: Json = False,
) -> int:
    """Ask the local model and a stronger one the same, see both answers, and keep them as a pair."""
    at = places.known(role) if role else places.place("")
    words = [*filter(None, [prompt]), *option("--prompts", places.path(prompts) if prompts else None)]
    words += [*option("--role", at.role), *at.config, *option("--strong", strong), *option("--json", json_)]
    return room("eval.people.compare", [*words, "--out", str(at.top / "comparisons"), *places.further()])


def judge(
    role: Annotated[str, typer.Argument(help="whose tasks both answer", autocompletion=places.complete_role)] = "",
    results: Annotated[
        tuple[Path, Path] | None, typer.Option(metavar="LOCAL STRONG", help="stored results instead of new answers")
    ] = None,
    strong: Strong = "",
    port: Annotated[int | None, typer.Option(help="of the page (default: 18795)")] = None,
    report: Annotated[bool, typer.Option("--report", help="say what the votes tell, and serve nothing")] = False,
    json_: Json = False,
) -> int:
    """Blind A/B in the browser: vote for the better answer; win rate with its interval."""
    at = places.known(role) if role else places.place("")
    words = [*option("--domain" if at.pack else "--role", at.role), *at.config]
    words += ["--results", *map(places.path, results)] if results else []
    words += [*option("--strong", strong), *option("--port", port), *option("--report", report)]
    votes = ["--votes", str(at.top / "votes.db"), "--answers", str(at.top / "judged")]
    return room("eval.people.judge", [*words, *votes, *option("--json", json_), *places.further()])
