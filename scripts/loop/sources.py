"""The data config of a round: that of the role, and the examples as further sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from configs.files import write_text
from configs.strict_yaml import load_mapping
from scripts.loop.commands import Place
from scripts.loop.curate import count_lines, limit
from scripts.loop.gather import copy_logs
from scripts.loop.plan import Plan
from scripts.loop.state import rounds

LOGS = "logs.jsonl"


def write_config(plan: Plan, place: Place) -> int:
    """Writes the config of the round; how many lines of captures and comparisons it adds."""
    config = load_mapping(plan.config)
    copied = copy_logs(plan, place.folder / LOGS, config)
    config["sources"] = [*(config.get("sources") or ()), *_extra(plan, place)]
    for role in config["roles"].values():
        if role.get("full_file"):  # relative to the config, which is another file now
            role["full_file"] = str((plan.config.parent / Path(role["full_file"]).expanduser()).resolve())
    write_text(place.config, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    return copied


def _extra(plan: Plan, place: Place) -> Iterator[dict[str, Any]]:
    """The sources that only this round has: its own examples, those of rounds that were promoted, and logs."""
    folders = [*(Place(plan, name).folder for name in promoted(plan)), place.folder]
    for folder in folders:
        for file, kind in ((folder / "examples.jsonl", "qna"), (folder / "chats.jsonl", "pairs")):
            if count_lines(file):
                yield {"kind": kind, "path": str(file), "role": plan.role} | _own(plan, kind)
    if count_lines(place.folder / LOGS):
        yield {"kind": "pairs", "path": str(place.folder / LOGS), "role": plan.role} | _own(plan, "pairs")


def _own(plan: Plan, kind: str) -> dict[str, Any]:
    """How many answers of our own adapters are learned; by default none."""
    room = limit(plan.settings.shares.own, count_lines(plan.datasets / f"{plan.role}_train.jsonl"))
    return {"own_answers": "train", "own_limit": room} if kind == "pairs" and room else {}


def promoted(plan: Plan) -> list[str]:
    """The rounds of the role that went live: what they learned stays."""
    return [state.name for state in rounds(plan.root, plan.role) if state.outcome == "promoted"]


def before(plan: Plan) -> tuple[int, list[Path]]:
    """How many examples those rounds gave, and the datasets that the newest of them was trained on."""
    places = [Place(plan, name) for name in promoted(plan)]
    count = sum(count_lines(file) for place in places for file in (place.examples, place.chats))
    return count, [place.datasets for place in places[-1:]]
