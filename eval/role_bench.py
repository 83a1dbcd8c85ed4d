"""Scores a model on the scenarios of each role: `python -m eval.role_bench --model MODEL --out FILE.json`.

MODEL is `base`, an adapter folder, or http://HOST/v1#NAME. The file holds every raw answer with its checks;
the table goes to stdout. `--compare BASE.json` adds the paired comparison with an earlier run.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec

from eval.compare import refuse_unequal
from eval.config import EvalConfig, load_config
from eval.errors import one_sentence, sha256, writable, write_json
from eval.models import Conversation, Model, Settings, open_model, versions
from eval.options import model_options, positive
from eval.report import make_console, print_comparison, print_run
from eval.results import Result, RoleBench, read_results, summarize
from eval.scenario import ROLES, Scenario, ScenarioFile, known_role, load_scenarios
from eval.score import score_answer
from eval.targets import Target, resolve_target

# What an agent says that never calls a tool: the floor that every rate is read against.
NULL_ANSWER = "Nothing to do here."


def role_bench(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = _arguments(argv)
    out, config = writable(args.out), load_config(args.config)
    files = [load_scenarios(known_role(role)) for role in dict.fromkeys(args.role or ROLES)]
    target = resolve_target(args.model, args.base_model, config.base_model)
    earlier = read_results(args.compare) if args.compare else None
    settings = Settings(args.max_new_tokens, args.batch_size)
    model = open_model(target, settings)
    run = bench(model, target, settings, files, config, args.limit)
    if earlier is not None:
        refuse_unequal(earlier, run)
    write_json(out, msgspec.to_builtins(run))
    console = make_console()
    print_run(run, console)
    if earlier is not None:
        print_comparison(earlier, run, console)
    console.print(f"Raw answers and checks: {out}")
    return 0


def bench(
    model: Model,
    target: Target,
    settings: Settings,
    files: Sequence[ScenarioFile],
    config: EvalConfig,
    limit: int | None = None,
) -> RoleBench:
    """Plays the first `limit` scenarios of each file (all of them without a limit) and scores the answers."""
    chosen = [scenario for file in files for scenario in file.scenarios[:limit]]
    started = time.perf_counter()
    replies = model.reply([conversation(scenario, config) for scenario in chosen])
    print(f"{len(chosen)} answers in {time.perf_counter() - started:.1f} s", file=sys.stderr)
    results = tuple(
        _result(scenario, reply.text, reply.truncated) for scenario, reply in zip(chosen, replies, strict=True)
    )
    return RoleBench(
        model=target.label,
        facts=model.facts,
        settings=asdict(settings),
        versions=versions(),
        scenarios={file.role: file.sha256 for file in files},
        systems={file.role: sha256(config.system(file.role).encode()) for file in files},
        never_calls=sum(score_answer(scenario, NULL_ANSWER).passed for scenario in chosen),
        summary=summarize(results),
        results=results,
    )


def conversation(scenario: Scenario, config: EvalConfig) -> Conversation:
    """What the model sees: the role's system prompt as in training, then the scenario's messages."""
    system = {"role": "system", "content": config.system(scenario.role)}
    return [system, *({"role": turn.role, "content": turn.content} for turn in scenario.messages)]


def _result(scenario: Scenario, answer: str, truncated: bool) -> Result:
    score = score_answer(scenario, answer)
    explanation = f"{score.explanation} The answer hit the token limit." if truncated else score.explanation
    return Result(score.id, score.role, score.family, score.passed, explanation, score.checks, answer, truncated)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = model_options("eval.role_bench", __doc__)
    parser.add_argument("--role", action="append", help=f"one of {', '.join(ROLES)}; may be repeated; default all")
    parser.add_argument("--limit", type=positive, help="only the first N scenarios of each role")
    parser.add_argument("--compare", type=Path, metavar="BASE.json", help="results to compare with")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(one_sentence(role_bench))
