"""The page of a round, `report.html` in its folder: what happened, step by step, and why. It needs nothing but itself.

What models and people wrote stands there as text. The page is for the machine's owner: it shows training examples.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from configs.files import write_text
from scripts.loop.state import Round

FILE = "report.html"
HERE = Path(__file__).parent
SHOWN = 6  # examples
HEADLINES = {
    "": ("open", "The round is not finished"),
    "promoted": ("good", "{name} is live"),
    "refused": ("bad", "{name} was not promoted; {live}"),
    "nothing": ("open", "Nothing was trained; {live}"),
    "given up": ("bad", "The round was given up; {live}"),
}
# What a round knows only after its first steps.
UNKNOWN: dict[str, Any] = {"families": [], "weak": [], "kept_by_family": {}, "kept": 0}
WHO = {"base": "the base", "live": "what was live", "adapter": "the new version"}


def write_page(folder: Path, state: Round) -> None:
    """Writes the page, whole or not at all."""
    write_text(folder / FILE, build_page(folder, state))


def build_page(folder: Path, state: Round) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    kind, words = HEADLINES[state.outcome]
    failed = bool(state.steps) and not state.steps[-1].done and not state.outcome
    before = state.facts.get("live")
    live = "nothing is live" if before is None else f"v{before} stays live"
    name = state.facts.get("name", "The new version")
    return environment.get_template("report.html.jinja").render(
        state=state,
        kind="bad" if failed else kind,
        headline=f"Step {state.steps[-1].name} failed" if failed else words.format(name=name, live=live),
        why=state.steps[-1].said[-1:] if failed else state.reasons,
        facts=UNKNOWN | state.facts,
        bars=list(_bars(state.facts)),
        examples=list(examples_of(folder)),
        left_out=sorted((state.facts.get("faults") or {}).items()) + sorted((state.facts.get("refused") or {}).items()),
        join=shlex.join,
        percent=lambda value: f"{100 * value:.0f} %",
    )


def _bars(facts: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """The rates to draw, in the order in which they are read."""
    rates = facts.get("rates") or {}
    yield from ((WHO[who], rates[who]) for who in ("base", "live", "adapter") if rates.get(who))


def examples_of(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Family, question and answer of the first examples that were kept."""
    shown = 0
    for name in ("examples.jsonl", "chats.jsonl"):
        if not (folder / name).is_file():
            continue
        for line in (folder / name).read_text("utf-8").splitlines():
            if shown == SHOWN:
                return
            shown += 1
            yield _shown(json.loads(line))


def _shown(line: dict[str, Any]) -> tuple[str, str, str]:
    family = line["metadata"]["family"]
    if "input" in line:
        return family, line["input"], line["output"]
    question, answer = line["messages"]
    calls = [f"{c['function']['name']} {json.dumps(c['function']['arguments'])}" for c in answer["tool_calls"]]
    return family, question["content"], "\n".join(filter(None, (answer["content"], *calls)))
