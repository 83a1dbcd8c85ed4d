"""A mayor who learns in rounds, for tests of the loop: real datasets and a real registry; training and asking are small
commands that leave what the real ones leave.

`python -m tests.loop_town train|ask ...` are those commands; `make(tmp_path)` builds the place.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from data import pipeline
from scripts.loop import commands
from scripts.loop.commands import Place, Words
from scripts.loop.plan import Asked, Plan, make_plan
from scripts.loop.settings import Settings, load_settings
from tests.registry_town import rows_of, write_adapter

SUBJECTS = ("ledger", "harbour", "orchard", "lantern", "quarry", "bridge", "kiln", "market", "mill", "archive")
SYSTEM = "[GAS TOWN ROLE: mayor] You are the Mayor, who coordinates all rigs of the town."


@dataclass
class Loop:
    """Where the tests work. `skill` is the share of scenarios that the next adapter passes."""

    root: Path
    config: Path
    loop: Path

    def asked(self, **other: Any) -> Asked:
        return Asked(**{"role": "mayor", "root": self.root, "config": self.config, **other})

    def plan(self, **other: Any) -> Plan:
        return make_plan(self.asked(**other), self.settings())

    def settings(self) -> Settings:
        return load_settings(self.loop)

    def set(self, **sections: Any) -> None:
        """Changes sections of its loop.yml."""
        known = yaml.safe_load(self.loop.read_text("utf-8"))
        for name, values in sections.items():
            known[name] = {**known[name], **values} if isinstance(values, dict) else values
        self.loop.write_text(yaml.safe_dump(known), "utf-8")

    def skill(self, share: float) -> None:
        (self.root / "skill").write_text(str(share), "utf-8")


def make(folder: Path) -> Loop:
    """A mayor's real rows of a config whose only source are questions and answers, and a loop.yml for it."""
    lines = [
        {"input": f"Who keeps the {one} of {other}?", "output": f"The {one} of {other} is kept by the crew of {one}."}
        for one in SUBJECTS
        for other in SUBJECTS
        if one != other
    ]
    qna = folder / "qna.jsonl"
    qna.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    config = folder / "data.yml"
    data = {
        "base_model": "Qwen/Qwen2.5-7B-Instruct",
        "sources": [{"kind": "qna", "path": str(qna), "role": "mayor"}],
        "roles": {"mayor": {"system": SYSTEM}, "unknown": {"system": "[AGENT] You help."}},
        "forgotten": str(folder / "forgotten.txt"),
        "archive": str(folder / "archive"),
        "curation": {"decisions": str(folder / "curation.db")},
    }
    config.write_text(yaml.safe_dump(data), "utf-8")
    loop = folder / "loop.yml"
    loop.write_text(Path("configs/loop.yml").read_text("utf-8"), "utf-8")
    made = Loop(folder / "output", config, loop)
    assert pipeline.main(["all", "--config", str(config), "--out", str(made.root / "datasets"), "--workers", "1"]) == 0
    made.set(gateway="", evaluation={"samples": 2}, examples={"each": 4}, curation={"likeness": 0.97})
    made.skill(1.0)
    return made


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training and asking take moments and no model; every other command is the real one."""
    monkeypatch.setattr(commands, "train", train_words)
    monkeypatch.setattr(commands, "evaluate", ask_words)
    monkeypatch.setattr("scripts.loop.work.evaluate", ask_words)


def train_words(plan: Plan, place: Place) -> Words:
    return (sys.executable, "-m", "tests.loop_town", "train", str(place.folder), place.run, plan.role)


def ask_words(plan: Plan, place: Place, model: str, who: str) -> Words:
    return (sys.executable, "-m", "tests.loop_town", "ask", str(plan.root), model, plan.role, str(place.results(who)))


def train(folder: Path, run: str, role: str) -> None:
    """The adapter that a training on these rows leaves: other rows, other weights."""
    rows = [folder / "datasets" / f"{role}_{split}.jsonl" for split in ("train", "val")]
    manifest = folder / "datasets" / "manifest.json"
    record = {
        "base_model": "Qwen/Qwen2.5-7B-Instruct",
        "config": "base_model: Qwen/Qwen2.5-7B-Instruct\nadapter: qlora\nload_in_4bit: true\n",
        "data": [rows_of(file) for file in rows if file.is_file()],
        "manifest": {"path": str(manifest), "sha256": sha256(manifest.read_bytes()).hexdigest()},
        "versions": {"axolotl": "0.19.0"},
        "started_at": "2026-11-01T10:00:00+00:00",
        "finished_at": "2026-11-01T11:00:00+00:00",
        "outcome": {"steps": 20, "max_steps": 20, "epochs": 1.0, "first_loss": 2.5, "last_loss": 0.5},
    }
    write_adapter(folder / "adapters" / run, record, seed=int(sha256(rows[0].read_bytes()).hexdigest()[:8], 16))


def ask(root: Path, model: str, role: str, results: Path) -> None:
    """The results of a model that passes the share of scenarios in root/skill; the base passes none."""
    from deploy.evidence import adapter_digest
    from tests.eval_results import ADAPTER, FACTS, make_run, make_side, save

    skill = float((root / "skill").read_text("utf-8")) if model != "base" else 0.0
    facts: dict[str, Any] = {**FACTS, "base_model": "Qwen/Qwen2.5-7B-Instruct", "adapter": None}
    if model != "base":
        facts["adapter"] = {**ADAPTER, "path": model, "sha256": adapter_digest(Path(model))}
    side = make_side(lambda number, _: number < 20 * skill, roles=(role,))
    named = [change(episode) for episode in side]
    save(make_run(named, model != "base", facts=facts), results)


def change(episode: Any) -> Any:
    """The family has the name of one that the mayor's shipped scenarios have, so that the loop knows it."""
    import msgspec

    names = {"family0": "dispatch", "family2": "file", "family4": "convoy", "family6": "escalate", "family8": "quiet"}
    return msgspec.structs.replace(episode, family=names.get(episode.family, episode.family))


def main() -> None:
    what, *words = sys.argv[1:]
    if what == "train":
        train(Path(words[0]), words[1], words[2])
    else:
        ask(Path(words[0]), words[1], words[2], Path(words[3]))


if __name__ == "__main__":
    main()
