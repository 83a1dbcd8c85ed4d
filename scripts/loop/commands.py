"""The command lines of a round's steps, as a person would type them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.loop.plan import PACKS, Plan, mined_file
from scripts.loop.state import folder_of

Words = tuple[str, ...]
PYTHON = sys.executable


class Place:
    """The folder of a round, and where its parts lie: it is an output folder of its own, so that a round that is
    refused leaves the role's datasets and adapter as they were.
    """

    def __init__(self, plan: Plan, name: str) -> None:
        self.folder = folder_of(plan.root, plan.role) / name
        self.run = f"{plan.role}-{name}"
        self.config = self.folder / "data.yml"
        self.datasets = self.folder / "datasets"
        self.adapter = self.folder / "adapters" / self.run
        self.examples = self.folder / "examples.jsonl"
        self.chats = self.folder / "chats.jsonl"
        self._file = "results.json" if plan.kind == "town" else "rubric.json"

    def results(self, who: str) -> Path:
        """The results of base, adapter or live."""
        return self.folder / "evals" / who / self._file


def mine(plan: Plan, out: Path) -> Words:
    """What the repositories have to tell."""
    miners = plan.settings.miners
    repositories = [str(Path(one).expanduser()) for one in miners.repositories]
    return module("data.mine", *repositories, "--out", out, "--limit", miners.limit, "--config", plan.config)


def build(plan: Plan, place: Place) -> Words:
    """The datasets with the examples of the round."""
    sessions = ("--sessions", str(plan.asked.sessions)) if plan.asked.sessions else ()
    return module("data.pipeline", "all", "--config", place.config, "--out", place.datasets, *sessions)


def train(plan: Plan, place: Place) -> Words:
    """The adapter of the round."""
    overrides = [word for name in plan.asked.overrides for word in ("--with", name)]
    usual = PACKS / f"{plan.role}.yml"
    recipe = str(plan.config) if plan.kind == "pack" and plan.config != usual else plan.role
    return ("scripts/train.sh", recipe, "--root", str(place.folder), "--run", place.run, *overrides)


def register(plan: Plan, place: Place) -> Words:
    """The adapter as a version."""
    manifest = place.datasets / "manifest.json"
    return registry(plan, "register", place.adapter, "--role", plan.role, "--manifest", manifest, "--json")


def evaluate(plan: Plan, place: Place, model: str, who: str) -> Words:
    """The results of a model: `base`, or the folder of an adapter."""
    asked = plan.settings.evaluation
    shared = [*(("--base-model", plan.base_model) if plan.base_model else ()), "--config", plan.config]
    shared += ["--max-new-tokens", asked.max_new_tokens] if asked.max_new_tokens else []
    shared += ["--batch-size", asked.batch_size]
    if plan.kind == "pack":
        return module("eval.rubric", "--model", model, "--tasks", plan.questions, *shared, "--out", place.results(who))
    rows = place.datasets if place.datasets.is_dir() else plan.datasets
    own = ["--role", plan.role, "--scenarios", plan.questions, "--samples", asked.samples, "--rows", rows]
    return module("eval.role_bench", "--model", model, *own, *shared, "--out", place.results(who).parent)


def judge(plan: Plan, place: Place, version: int, base: Path) -> Words:
    """What the gate says of a version beside the base."""
    results, margin = place.results("adapter"), plan.settings.gate.margin
    return registry(plan, "evaluate", plan.role, f"v{version}", base, results, "--margin", margin, "--json")


def against_live(plan: Plan, place: Place, live: Path) -> Words:
    """The new version beside the one that is live."""
    comparison = "eval.rubric_compare" if plan.kind == "pack" else "eval.compare"
    told = place.folder / "against-live.json"
    return module(comparison, live, place.results("adapter"), "--margin", plan.settings.gate.live, "--json", told)


def export(plan: Plan, version: int) -> Words:
    """The version as what the gateway serves."""
    kind, tokens = plan.settings.export.kind, plan.settings.export.pre_tokenizer
    own = ("--pre-tokenizer", tokens) if tokens else ()
    return module("deploy.gguf", plan.role, f"v{version}", "--root", plan.root, "--kind", kind, *own)


def promote(plan: Plan, place: Place, version: int) -> Words:
    """The version goes live, if nothing speaks against it. There is no --force here."""
    return registry(plan, "promote", plan.role, f"v{version}", "--why", f"round {place.folder.name} of the loop")


def versions(plan: Plan) -> Words:
    """What there is of the role, and what is live."""
    return registry(plan, "list", plan.role, "--json")


def registry(plan: Plan, command: str, *words: object) -> Words:
    return module("deploy.registry", command, *words, "--root", plan.root)


def module(name: str, *words: object) -> Words:
    return (PYTHON, "-m", name, *map(str, words))


def planned(plan: Plan, place: Place) -> Iterator[tuple[str, tuple[Words, ...]]]:
    """Every step with the commands that it would run, for --dry-run; N is the version that `register` gives."""
    live = place.results("live")
    yield "look", (versions(plan), evaluate(plan, place, "base", "base"))
    yield "examples", (mine(plan, mined_file(plan)),) if plan.settings.miners.repositories else ()
    yield "curate", ()
    yield "build", (build(plan, place),)
    yield "train", (train(plan, place),)
    yield "register", (register(plan, place),)
    yield "evaluate", (evaluate(plan, place, str(place.adapter), "adapter"),)
    yield "judge", (judge(plan, place, 0, place.results("base")), against_live(plan, place, live))
    yield "promote", (*((export(plan, 0),) if plan.settings.export.kind else ()), promote(plan, place, 0))
    yield "reload", ()
