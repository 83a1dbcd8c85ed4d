"""Scores a model on the scenarios of each role: `python -m eval.role_bench --model MODEL --out DIR`.

MODEL is `base`, an adapter folder, or http://HOST/v1#NAME. DIR/results.json holds every raw answer with its checks; the
table goes to stdout. An interrupted run goes on where it stopped when the same command is given again.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec

from eval.config import EvalConfig, PromptKind, load_config
from eval.contamination import contaminated
from eval.episode import NO_CALL_LEFT, play, rehearse
from eval.errors import BadInput, one_sentence, sha256, writable, write_json
from eval.journal import Journal
from eval.models import Model, Prompt, Reply, Sampling, Settings, open_model, versions
from eval.options import model_options, positive
from eval.render import Form, render_prompt
from eval.report import make_console, print_run
from eval.results import NAME, Episode, Overlap, RoleBench, summarize
from eval.scenario import PROMPTS, ROLES, Scenario, ScenarioFile, instance, known_role, load_scenarios
from eval.score import score_run
from eval.targets import Target, resolve_target
from eval.transcript import Run

SMOKE_SCENARIOS = 2
ROWS = Path("output/datasets")


@dataclass(frozen=True)
class Plan:
    """What is played: the files, the system prompts by role, in which form, how often, at which temperature."""

    files: tuple[ScenarioFile, ...]
    systems: dict[str, str]
    form: Form
    prompt: PromptKind = "compact"
    samples: int = 1
    temperature: float = 0.0
    smoke: bool = False

    def scenarios(self, file: ScenarioFile) -> tuple[Scenario, ...]:
        """The scenarios of one file that are played."""
        return file.scenarios[:SMOKE_SCENARIOS] if self.smoke else file.scenarios

    @property
    def tools(self) -> dict[str, dict[str, Any]]:
        """The tools by name: those beside the scenario files."""
        return self.files[0].tools


def role_bench(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = _arguments(argv)
    config = load_config(args.config)
    plan = make_plan(args, config)
    target = resolve_target(args.model, args.base_model, config.base_model)
    out = writable(args.out / NAME)
    settings = Settings(args.max_new_tokens, args.batch_size, args.seed)
    leaks = find_leaks(plan, args.rows, settings.seed)
    model = open_model(target, settings, args.backend)
    result = bench(model, target, settings, plan, args.out, leaks)
    write_json(out, msgspec.to_builtins(result))
    Journal.discard(args.out)
    console = make_console()
    print_run(result, console)
    console.print(f"Raw answers and checks: {out}", markup=False)
    return 0


def make_plan(args: argparse.Namespace, config: EvalConfig) -> Plan:
    """The plan of a command line; raises BadInput for a role or a prompt that is not there."""
    roles = [known_role(role) for role in dict.fromkeys(args.role or ROLES)]
    files = tuple(load_scenarios(role, args.scenarios) for role in roles)
    if args.smoke and args.samples > 1:
        raise BadInput("--smoke draws one sample; leave out --smoke or --samples.")
    temperature = args.temperature if args.temperature is not None else 0.7 if args.samples > 1 else 0.0
    if args.samples > 1 and not temperature:
        raise BadInput("greedy samples are all the same; give --samples 1, or a --temperature above 0.")
    systems: dict[str, str] = {file.role: config.system(file.role, args.prompt) for file in files}
    form = args.tool_format or config.tool_format
    return Plan(files, systems, form, args.prompt, args.samples, temperature, args.smoke)


def find_leaks(plan: Plan, rows: Path, seed: int) -> dict[str, Overlap] | None:
    """The scenarios that stand in the training rows of their roles; None where there are no rows to look at."""
    files = [path for file in plan.files if (path := rows / f"{file.role}_train.jsonl").is_file()]
    return contaminated(drawn(plan, seed), files) if files else None


def drawn(plan: Plan, seed: int) -> list[Scenario]:
    """Every sample of every scenario of the plan, with its values."""
    return [
        instance(scenario, sample, seed)[0]
        for file in plan.files
        for scenario in plan.scenarios(file)
        for sample in range(plan.samples)
    ]


def bench(
    model: Model, target: Target, settings: Settings, plan: Plan, folder: Path, leaks: dict[str, Overlap] | None
) -> RoleBench:
    """Plays every scenario of the plan `plan.samples` times and judges the runs."""
    described = _describe(model, target, settings, plan)
    journal = Journal(folder, described)
    if journal.resumed:
        print(f"going on after {journal.resumed} finished rounds of {journal.path}", file=sys.stderr)
    started = time.perf_counter()
    episodes = [
        episode for sample in range(plan.samples) for episode in play_sample(model, settings, plan, sample, journal)
    ]
    print(f"{len(episodes)} episodes in {time.perf_counter() - started:.1f} s", file=sys.stderr)
    return msgspec.convert(
        described
        | {
            "kind": "role_bench",
            "floor": floor(plan, settings.seed),
            "contaminated": msgspec.to_builtins(leaks),
            "summary": summarize(e for e in episodes if e.id not in (leaks or {})),
            "episodes": msgspec.to_builtins(episodes),
        },
        RoleBench,
    )


def play_sample(model: Model, settings: Settings, plan: Plan, sample: int, journal: Journal) -> list[Episode]:
    """One sample of every scenario: all open episodes of a round are asked in one batch."""

    def ask(number: int, prompts: Sequence[Prompt]) -> Sequence[Reply]:
        seed = int(sha256(f"{settings.seed}/{sample}/{number}".encode())[:7], 16)
        return model.reply(prompts, Sampling(plan.temperature, seed))

    chosen = [scenario for file in plan.files for scenario in plan.scenarios(file)]
    instances = [instance(scenario, sample, settings.seed) for scenario in chosen]
    scenarios = [scenario for scenario, _ in instances]
    runs = play(scenarios, plan.systems, plan.tools, plan.form, journal.through(sample, ask))
    return [
        judge(scenario, variables, sample, run, plan)
        for (scenario, variables), run in zip(instances, runs, strict=True)
    ]


def judge(scenario: Scenario, variables: dict[str, str], sample: int, run: Run, plan: Plan) -> Episode:
    """The judged episode of one run."""
    score = score_run(scenario, run, plan.tools)
    cut = " An answer hit the token limit." if any(step.truncated for step in run.steps) else ""
    return Episode(
        id=scenario.id,
        role=scenario.role,
        family=scenario.family,
        held_out=scenario.held_out,
        sample=sample,
        variables=variables,
        asked=tuple(map(dict, render_prompt("", scenario.messages, (), {}, "xml").messages[1:])),
        steps=run.steps,
        passed=score.passed,
        partial=score.partial,
        explanation=score.explanation + cut,
        checks=score.checks,
        forbidden=score.forbidden,
        unanswered=run.unanswered,
    )


def floor(plan: Plan, seed: int) -> dict[str, float]:
    """The pass rate by role of an agent that never calls a tool and says one sentence: what a rate is read against."""
    passed: dict[str, list[bool]] = {}
    for file in plan.files:
        for scenario in plan.scenarios(file):
            first, _ = instance(scenario, 0, seed)
            score = score_run(first, rehearse(first, [NO_CALL_LEFT]), plan.tools)
            passed.setdefault(file.role, []).append(score.passed)
    if len(passed) > 1:
        passed["all"] = [one for several in passed.values() for one in several]
    return {role: sum(several) / len(several) for role, several in passed.items()}


def _describe(model: Model, target: Target, settings: Settings, plan: Plan) -> dict[str, Any]:
    """What was asked and of whom: the part of the results that must be equal for an interrupted run to go on."""
    return {"model": target.label, "facts": model.facts} | asked(settings, plan)


def asked(settings: Settings, plan: Plan) -> dict[str, Any]:
    """What is asked, whoever answers: the part of the results that runs which are compared have in common."""
    return {
        "settings": asdict(settings)
        | {
            "samples": plan.samples,
            "temperature": plan.temperature,
            "tool_format": plan.form,
            "prompt": plan.prompt,
        },
        "versions": versions(),
        "scenarios": {file.role: file.sha256 for file in plan.files},
        "systems": {role: sha256(system.encode()) for role, system in plan.systems.items()},
        "smoke": plan.smoke,
    }


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = model_options("eval.role_bench", __doc__, out=f"folder of {NAME}")
    parser.add_argument("--role", action="append", help=f"one of {', '.join(ROLES)}; may be repeated; default all")
    parser.add_argument("--samples", type=positive, default=1, metavar="K", help="runs of each scenario; default 1")
    parser.add_argument("--temperature", type=float, help="default 0 (greedy) for one sample, 0.7 for several")
    parser.add_argument("--seed", type=int, default=Settings().seed, help="for variables and sampling")
    parser.add_argument("--smoke", action="store_true", help=f"{SMOKE_SCENARIOS} scenarios a role, for no claim at all")
    parser.add_argument(
        "--tool-format", choices=get_args(Form), help="form of calls and results; default: the config's"
    )
    parser.add_argument("--prompt", choices=get_args(PromptKind), default="compact", help="which system prompt")
    parser.add_argument(
        "--rows", type=Path, default=ROWS, metavar="DIR", help="training rows, to find leaked scenarios"
    )
    parser.add_argument("--scenarios", type=Path, default=PROMPTS, metavar="DIR", help="folder of ROLE.jsonl files")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(one_sentence(role_bench))
