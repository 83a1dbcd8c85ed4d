"""What a round works on: a town role, which plays scenarios, or a pack, whose answers are marked by the rubric.

`make_plan(...)` turns a command line and configs/loop.yml into one value, or raises `BadInput` with every problem.
Paths are relative to the repository, where every command of a round runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from configs.strict_yaml import ConfigError, load_mapping
from scripts.loop.errors import BadInput
from scripts.loop.settings import Settings, contradictions

Kind = Literal["town", "pack"]
REPOSITORY = Path(__file__).resolve().parent.parent.parent
PACKS = Path("configs", "packs")
DATA = Path("configs", "data.yml")
SCENARIOS = Path("eval", "prompts")
NOBODY = "none"  # for --strong
ROLE = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Asked:
    """The command line of a round. What is None or empty has its usual value."""

    role: str
    root: Path = Path("output")
    config: Path | None = None
    files: Path | None = None
    base_model: str = ""
    scenarios: Path | None = None
    tasks: Path | None = None
    sessions: Path | None = None
    overrides: tuple[str, ...] = ()
    strong: str = ""
    margin: float | None = None
    samples: int | None = None

    def words(self) -> dict[str, Any]:
        """As plain values, to tell whether a round that goes on was begun with the same words."""
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in vars(self).items()}
        return plain | {"overrides": list(self.overrides)}


@dataclass(frozen=True)
class Plan:
    """Everything that a round needs to know. `files` holds the role's datasets, `questions` what evaluation asks:
    a folder of scenarios or a file of tasks. `held_out` are families that no generator may hear of.
    """

    asked: Asked
    kind: Kind
    config: Path
    files: Path
    questions: Path
    system: str
    base_model: str
    held_out: frozenset[str]
    settings: Settings

    @property
    def role(self) -> str:
        return self.asked.role

    @property
    def root(self) -> Path:
        return self.asked.root

    @property
    def datasets(self) -> Path:
        """The rows that the role has now."""
        return self.files / "datasets"


def make_plan(asked: Asked, settings: Settings) -> Plan:
    """The plan of a round. Raises `BadInput` with everything that is missing."""
    settings = _with_options(settings, asked)
    config = asked.config or _usual_config(asked.role)
    data = _mapping(config)
    kind: Kind = "pack" if _is_pack(data, asked.role) else "town"
    files = asked.files or (asked.root / "packs" / asked.role if kind == "pack" else asked.root)
    questions = asked.tasks or _tasks(config, data, asked.role) if kind == "pack" else asked.scenarios or SCENARIOS
    plan = Plan(
        asked, kind, config, files, questions, _system(data, asked.role),
        asked.base_model, frozenset(_held_out(data)), settings,
    )  # fmt: skip
    if problems := list(_problems(plan, data)):
        raise BadInput("\n".join(problems))
    return plan


def mined_file(plan: Plan) -> Path:
    """What the miners wrote for the role."""
    return plan.root / "mined" / f"{plan.role}.jsonl"


def _with_options(settings: Settings, asked: Asked) -> Settings:
    """The settings with what the command line says otherwise."""
    from msgspec.structs import replace as changed

    endpoint = "" if asked.strong == NOBODY else asked.strong or settings.strong.endpoint
    strong = changed(settings.strong, endpoint=endpoint)
    gate = settings.gate if asked.margin is None else changed(settings.gate, margin=asked.margin)
    evaluation = settings.evaluation
    if asked.samples is not None:
        evaluation = changed(evaluation, samples=asked.samples)
    return changed(settings, strong=strong, gate=gate, evaluation=evaluation)


def _usual_config(role: str) -> Path:
    pack = PACKS / f"{role}.yml"
    return pack if pack.is_file() else DATA


def _is_pack(data: dict[str, Any], role: str) -> bool:
    """A pack has tasks; a town role plays the scenarios of its name."""
    return bool(data.get("eval")) or not (SCENARIOS / f"{role}.jsonl").is_file()


def _mapping(config: Path) -> dict[str, Any]:
    try:
        return load_mapping(config)
    except ConfigError as error:
        raise BadInput(str(error)) from None


def _tasks(config: Path, data: dict[str, Any], role: str) -> Path:
    """The pack's file of tasks: beside the pack, or below the repository."""
    evaluation = data.get("eval")
    named = evaluation.get("tasks") if isinstance(evaluation, dict) else None
    if not named:
        return Path("eval", "domains", f"{role}.jsonl")
    beside = config.parent / str(named)
    return beside if beside.is_file() else Path(str(named))


def _held_out(data: dict[str, Any]) -> Sequence[str]:
    evaluation = data.get("eval")
    named = evaluation.get("held_out") if isinstance(evaluation, dict) else None
    return [str(one) for one in named] if isinstance(named, list) else []


def _system(data: dict[str, Any], role: str) -> str:
    roles = data.get("roles")
    one = roles.get(role) if isinstance(roles, dict) else None
    return str(one.get("system", "")).strip() if isinstance(one, dict) else ""


def _problems(plan: Plan, data: dict[str, Any]) -> Iterator[str]:
    role = plan.role
    if not ROLE.fullmatch(role):
        yield f"{role} is no name of a role: small letters, digits, _ and -."
        return
    if not plan.system:
        names = ", ".join(data["roles"]) if isinstance(data.get("roles"), dict) else "none"
        yield f"{plan.config} has no role {role} (there: {names}). Choose one, or give its pack with --config."
    if plan.kind == "pack" and plan.system and plan.config.stem != role:
        yield f"{plan.config} is the pack {plan.config.stem}, not {role}. Name the file {role}.yml."
    asked = plan.questions if plan.kind == "pack" else plan.questions / f"{role}.jsonl"
    if not asked.is_file():
        option = "--tasks FILE" if plan.kind == "pack" else "--scenarios DIR"
        yield f"{asked} does not exist, so nothing can be measured. Give it with {option}."
    rows, config = plan.datasets / f"{role}_train.jsonl", plan.config
    if not rows.is_file():
        yield (
            f"{rows} does not exist, so there is nothing to add to. Build it: "
            f"python -m data.pipeline all --config {config} --out {plan.datasets}."
        )
    yield from (f"command line: {problem}" for problem in contradictions(plan.settings))
