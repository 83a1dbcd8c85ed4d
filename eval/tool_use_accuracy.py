"""The next action on held-out sessions: `python -m eval.tool_use_accuracy --model M --data FILE --out FILE.json`.

For each trained reply of the rows the model continues the real context; its answer is compared with what was
really done. Rates come with 95 % intervals whose clusters are the sessions, beside the floor of one constant
action.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.console import Console

from eval.answer import parse_answer
from eval.config import load_config
from eval.errors import BadInput, one_sentence, writable, write_json
from eval.heldout import Question, fit, questions, read_rows
from eval.models import Model, Settings, open_model, versions
from eval.next_action import MEANING, METRICS, Metric, Mistake, canonical_call, score_turn
from eval.options import model_options, positive
from eval.report import make_console, make_table, percent
from eval.scenario import load_tools
from eval.statistics import MIN_CLUSTERS, Rate, rate_interval
from eval.targets import Target, resolve_target

Tools = Mapping[str, dict[str, Any]]
NO_CALL = "Nothing to do."


class Turn(msgspec.Struct, frozen=True):
    """One held-out reply: recorded, predicted, and how they compare."""

    id: str
    session: str
    recorded: str
    answer: str
    truncated: bool
    metrics: dict[Metric, bool | None]
    mistake: Mistake | None


class ToolUse(msgspec.Struct, frozen=True, tag="tool_use_accuracy", tag_field="kind"):
    """One run over a dataset file; `floor` is what always making the most common recorded call scores."""

    model: str
    facts: dict[str, Any]
    settings: dict[str, int]
    versions: dict[str, str]
    data: dict[str, str]
    shortened: int
    too_long: int
    summary: dict[Metric, dict[str, float]]
    floor: dict[Metric, float]
    mistakes: dict[str, int]
    sessions: dict[str, dict[str, int]]
    turns: tuple[Turn, ...]
    format: Literal[1] = 1


def tool_use_accuracy(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = _arguments(argv)
    out, config = writable(args.out), load_config(args.config)
    rows, digest = read_rows(args.data)
    asked = list(questions(rows))[: args.limit]
    if not asked:
        raise BadInput(f"{args.data} holds no trained reply; choose a split with sessions of this role.")
    target = resolve_target(args.model, args.base_model, config.base_model)
    settings = Settings(args.max_new_tokens, args.batch_size)
    data = {"path": str(args.data), "sha256": digest}
    run = measure(open_model(target, settings), target, settings, asked, data)
    write_json(out, msgspec.to_builtins(run))
    print_run(run, make_console())
    print(f"Raw answers: {out}")
    return 0


def measure(
    model: Model, target: Target, settings: Settings, asked: Sequence[Question], data: dict[str, str]
) -> ToolUse:
    """Lets the model answer every question that fits its context and scores the answers."""
    fitted = [fit(question, model) for question in asked]
    kept = [question for question, _ in fitted if question is not None]
    if not kept:
        raise BadInput("no context fits the model's window; lower --max-new-tokens.")
    tools = known_tools(kept)
    replies = model.reply([question.context for question in kept])
    turns = tuple(
        _turn(question, reply.text, reply.truncated, tools) for question, reply in zip(kept, replies, strict=True)
    )
    constant = most_common_call(kept)
    return ToolUse(
        model=target.label,
        facts=model.facts,
        settings=asdict(settings),
        versions=versions(),
        data=data,
        shortened=sum(question is not None and short for question, short in fitted),
        too_long=len(asked) - len(kept),
        summary={metric: _numbers(rate) for metric, rate in rates(turns).items()},
        floor={m: rate.value for m, rate in rates(_turn(q, constant, False, tools) for q in kept).items()},
        mistakes=dict(Counter(turn.mistake.value for turn in turns if turn.mistake)),
        sessions=_by_session(turns),
        turns=turns,
    )


def known_tools(asked: Iterable[Question]) -> Tools:
    """Argument schemas by name; a tool that only the recorded replies know may take any arguments."""
    names = {call.name for question in asked for call in parse_answer(question.recorded).calls}
    return {**{name: {} for name in sorted(names)}, **load_tools()}


def most_common_call(asked: Iterable[Question]) -> str:
    """The recorded reply with calls that occurs most often up to free text, the first of those where several do."""
    by_action: dict[Any, list[str]] = {}
    for question in asked:
        if calls := parse_answer(question.recorded).calls:
            by_action.setdefault(tuple(map(canonical_call, calls)), []).append(question.recorded)
    return max(by_action.values(), key=len)[0] if by_action else NO_CALL


def rates(turns: Iterable[Turn]) -> dict[Metric, Rate]:
    """Rate and interval of every metric that applies to at least one turn; the clusters are the sessions."""
    turns = tuple(turns)
    clusters = {turn.id: turn.session for turn in turns}
    found = {}
    for metric in METRICS:
        scores = {turn.id: float(value) for turn in turns if (value := turn.metrics[metric]) is not None}
        if scores:
            found[metric] = rate_interval(scores, clusters)
    return found


def print_run(run: ToolUse, console: Console) -> None:
    """The metrics beside the floor, then the mistakes by kind and by session."""
    table = make_table(f"tool_use_accuracy: {run.model}", "metric", r"rate \[95 %]", "floor", "turns", "meaning")
    for metric, rate in rates(run.turns).items():
        floor = f"{100 * run.floor[metric]:.0f} %" if metric in run.floor else "-"
        table.add_row(metric, percent(rate), floor, str(rate.units), MEANING[metric])
    console.print(table)
    console.print("Floor: always the most common recorded call. Clusters: sessions.")
    if len(run.sessions) < MIN_CLUSTERS:
        console.print(f"Too few: {len(run.sessions)} sessions; a claim needs {MIN_CLUSTERS}, better 30.")
    for kind, count in Counter(run.mistakes).most_common():
        console.print(f"  {count} x {kind}")
    worst, counts = max(run.sessions.items(), key=lambda item: item[1]["mistakes"])
    if counts["mistakes"]:
        console.print(f"Most mistakes: {counts['mistakes']} of {counts['turns']} turns in session {worst}.")
    if run.shortened or run.too_long:
        console.print(f"{run.shortened} contexts lost their oldest turns, {run.too_long} did not fit at all.")


def _turn(question: Question, answer: str, truncated: bool, tools: Tools) -> Turn:
    score = score_turn(parse_answer(question.recorded), parse_answer(answer), tools)
    return Turn(question.id, question.session, question.recorded, answer, truncated, score.metrics, score.mistake)


def _by_session(turns: Sequence[Turn]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for turn in turns:
        counts = found.setdefault(turn.session, {"turns": 0, "mistakes": 0})
        counts["turns"] += 1
        counts["mistakes"] += turn.mistake is not None
    return found


def _numbers(rate: Rate) -> dict[str, float]:
    return {
        "value": rate.value,
        "low": rate.low,
        "high": rate.high,
        "turns": rate.units,
        "sessions": rate.clusters,
    }


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = model_options("eval.tool_use_accuracy", __doc__)
    parser.add_argument("--data", type=Path, required=True, help="held-out rows, output/datasets/ROLE_test.jsonl")
    parser.add_argument("--limit", type=positive, help="only the first N replies")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(one_sentence(tool_use_accuracy))
