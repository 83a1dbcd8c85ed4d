"""Plays the gold runs and the attacks of one role's scenarios and says what is wrong with them. Used by eval.lint."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from time import perf_counter

import msgspec

from eval.attacks import NULL, POLICY, Attack, attacks
from eval.episode import gold_answers, rehearse
from eval.lint_rules import Rule, instance_faults, role_faults, template_faults
from eval.scenario import Scenario, ScenarioFile, instance
from eval.score import judge, score_run

ATTACKED_SAMPLES = 2
OTHER_SAMPLES = 3
SEED = 0

Fault = tuple[Rule, str]
Reached = tuple[bool, float]
"""Whether a run passed, and its `partial`."""


@dataclass(frozen=True)
class Problem:
    """One broken rule: where, and a sentence."""

    path: Path
    line: int
    id: str
    rule: Rule
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.id}: {self.sentence}"


@dataclass
class Tally:
    """What was played: counts, and what was reached by agents that do nothing or always the same (by its name)."""

    scenarios: int = 0
    families: int = 0
    held_out: int = 0
    attacks: int = 0
    passed: int = 0
    waived: int = 0
    golds: int = 0
    seconds: float = 0.0
    null: list[Reached] = field(default_factory=list)
    policy: dict[str, list[Reached]] = field(default_factory=dict)


def lint_role(file: ScenarioFile, path: Path, system: str, seeds: int) -> tuple[list[Problem], Tally]:
    """Every problem of one role's file in the order of its lines, and what was played to find them.

    `system` is the role's system prompt; a scenario without variables is the same for every seed and played once.
    """
    begun = perf_counter()
    tally = Tally(
        scenarios=len(file.scenarios),
        families=len({scenario.family for scenario in file.scenarios}),
        held_out=len({scenario.family for scenario in file.scenarios if scenario.held_out}),
    )
    lines = _lines(path)
    problems = [Problem(path, 1, file.role, *fault) for fault in role_faults(file)]
    for scenario in file.scenarios:
        faults = (
            *template_faults(scenario),
            *_gold_faults(scenario, file, system, seeds, tally),
            *_attack_faults(scenario, file, system, tally),
        )
        problems += [Problem(path, lines[scenario.id], scenario.id, *fault) for fault in dict.fromkeys(faults)]
    tally.seconds = perf_counter() - begun
    return problems, tally


def _gold_faults(scenario: Scenario, file: ScenarioFile, system: str, seeds: int, tally: Tally) -> Iterator[Fault]:
    for sample in range(seeds if scenario.vars else 1):
        drawn = _drawn(scenario, sample)
        run = rehearse(drawn, gold_answers(drawn))
        score = score_run(drawn, run, file.tools)
        tally.golds += 1
        if not score.passed:
            yield Rule.GOLD, f"gold fails: {score.explanation}"
        yield from instance_faults(drawn, system, run)


def _attack_faults(scenario: Scenario, file: ScenarioFile, system: str, tally: Tally) -> Iterator[Fault]:
    passed: dict[str, Attack] = {}
    seen: set[tuple[str, str]] = set()
    for sample in range(ATTACKED_SAMPLES if scenario.vars else 1):
        for attack in _attack(scenario, file, system, sample, seen, tally):
            passed.setdefault(attack.name, attack)
            tally.passed += attack.name not in scenario.waive
    for name, attack in passed.items():
        if name not in scenario.waive:
            shown = "\n".join(attack.answers)[:160]
            yield Rule.ATTACK, f'"{name}" passes, and must fail or stand in waive: {shown!r}'
    tally.waived += len(passed.keys() & scenario.waive.keys())
    for name in sorted(scenario.waive.keys() - passed.keys()):
        yield Rule.WAIVER, f'nothing needs the waiver "{name}"; remove it.'


def _attack(
    scenario: Scenario, file: ScenarioFile, system: str, sample: int, seen: set[tuple[str, str]], tally: Tally
) -> Iterator[Attack]:
    """The attacks that pass; what was added to the gold run of an earlier sample word for word is not tried again."""
    drawn = _drawn(scenario, sample)
    mates = [_drawn(mate, sample) for mate in file.scenarios if mate.id != scenario.id]
    if scenario.vars:
        mates += [_drawn(scenario, sample + 1 + other) for other in range(OTHER_SAMPLES)]
    for attack in attacks(drawn, system, mates, scenario.vars):
        if attack.added and (attack.name, attack.added) in seen:
            continue
        seen.add((attack.name, attack.added))
        run = rehearse(drawn, attack.answers)
        tally.attacks += 1
        if attack.name in NULL or attack.name.startswith(POLICY + file.role):
            score = score_run(drawn, run, file.tools)
            reached = tally.null if attack.name in NULL else tally.policy.setdefault(attack.name, [])
            reached.append((score.passed, score.partial))
        if all(check.ok or not check.critical for check in judge(drawn, run, file.tools)):
            yield attack


def _drawn(scenario: Scenario, sample: int) -> Scenario:
    return _instance(msgspec.json.encode(scenario), sample)


@cache
def _instance(scenario: bytes, sample: int) -> Scenario:
    return instance(msgspec.json.decode(scenario, type=Scenario), sample, SEED)[0]


def _lines(path: Path) -> dict[str, int]:
    """The number of the line of each scenario."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {json.loads(line)["id"]: number for number, line in enumerate(lines, start=1) if line.strip()}
