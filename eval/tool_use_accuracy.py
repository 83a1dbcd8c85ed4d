"""The next action on held-out sessions: `python -m eval.tool_use_accuracy --model M --data FILE --out FILE.json`.

For each trained reply of the rows the model continues the real context; its answer is compared with what was really
done, beside floors that need no model. An adapter is measured together with its base, from one load.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from eval.acts import argument_fault
from eval.answer import parse_answer
from eval.baselines import Floor, floors
from eval.config import load_config
from eval.errors import BadInput, one_sentence, writable, write_json
from eval.heldout import Question, Row, fit, questions, read_rows
from eval.loss import Losses, NoLoss, TurnLoss, measure_losses
from eval.models import Model, Reply, Sampling, Settings, open_model, quiet_libraries, versions
from eval.next_action import score_turn
from eval.next_report import print_run
from eval.next_results import Given, Summary, ToolUse, Training, Turn, add_losses, compare_sides, summarize
from eval.options import model_options, positive
from eval.report import make_console
from eval.scenario import load_tools
from eval.targets import Target, resolve_target

Schemas = Mapping[str, dict[str, Any]]
SPLITS = ("_test", "_val")


@dataclass(frozen=True)
class Heldout:
    """What is asked, and what the floors learn from: rows, the questions of the first N replies, training turns."""

    rows: tuple[Row, ...]
    asked: tuple[Question, ...]
    data: dict[str, str]
    trained: tuple[Question, ...]
    training: Training


def tool_use_accuracy(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = _arguments(argv)
    out, config = writable(args.out), load_config(args.config)
    heldout = read_heldout(args.data, args.train, args.limit)
    target = resolve_target(args.model, args.base_model, config.base_model)
    settings = Settings(args.max_new_tokens, args.batch_size)
    run = measure(open_model(target, settings, args.backend), target, settings, heldout)
    write_json(out, msgspec.to_builtins(run))
    console = make_console()
    print_run(run, console)
    console.print(f"Raw answers: {out}", markup=False)
    return 0


def read_heldout(path: Path, train: Path | None, limit: int | None) -> Heldout:
    """The rows of `path` as questions, and the turns that the floors learn from.

    Without `train` these are the _train.jsonl beside the file, or, where there is none, the file itself.
    """
    rows, digest = read_rows(path)
    asked = tuple(questions(rows))[:limit]
    if not asked:
        raise BadInput(f"{path} holds no trained reply; choose a split with sessions of this role.")
    beside = next((path.with_name(path.name.replace(split, "_train")) for split in SPLITS if split in path.name), path)
    source = train or (beside if beside.is_file() else path)
    own = source.resolve() == path.resolve()
    trained_rows, trained_digest = (rows, digest) if own else read_rows(source)
    trained = tuple(questions(trained_rows))
    shared = len({row.session for row in rows} & {row.session for row in trained_rows})
    training = Training(str(source), trained_digest, len(trained), own, 0 if own else shared)
    return Heldout(tuple(rows), asked, {"path": str(path), "sha256": digest}, trained, training)


def measure(model: Model, target: Target, settings: Settings, heldout: Heldout) -> ToolUse:
    """Lets the model, and its base where one load gives both, answer every question that fits; scores the answers."""
    fitted = [fit(question, model) for question in heldout.asked]
    kept = [question for question in fitted if question is not None]
    if not kept:
        raise BadInput("no context fits the model's window; lower --max-new-tokens.")
    losses, no_loss = _losses(model, heldout.rows, {question.id for question in kept})
    known = known_tools([*heldout.asked, *heldout.trained])
    turns = _turns(model, kept, known, losses)
    sessions = {turn.id: turn.session for turn in turns}
    scores = {turn.id: turn.model.metrics for turn in turns}
    base_scores = {turn.id: turn.base.metrics for turn in turns if turn.base}
    return ToolUse(
        model=target.label,
        facts=model.facts,
        settings=asdict(settings) | {"temperature": 0},
        versions=versions(),
        data=heldout.data,
        training=heldout.training,
        shortened=sum(question.dropped > 0 for question in kept),
        too_long=len(fitted) - len(kept),
        summary=summarize(scores, sessions),
        base=summarize(base_scores, sessions) if base_scores else None,
        difference=compare_sides(scores, base_scores, sessions) if base_scores else None,
        floors=_floors(kept, heldout, known),
        loss=add_losses(turns) if losses else None,
        no_loss=no_loss,
        turns=turns,
    )


def known_tools(asked: Iterable[Question]) -> Schemas:
    """Argument schemas by name, so that every recorded call fits.

    A tool that is not shipped, or that was called with other arguments than its schema here allows, takes any.
    """
    schemas = {name: tool["parameters"] for name, tool in load_tools().items()}
    for question in asked:
        for call in parse_answer(question.recorded).calls:
            if argument_fault(call, schemas) is not None:
                schemas[call.name] = {}
    return schemas


def _turns(model: Model, kept: Sequence[Question], known: Schemas, losses: Losses | None) -> tuple[Turn, ...]:
    ours = _ask(model, "model", kept, known, losses.model if losses else {})
    base = model.base
    theirs = _ask(base, "base", kept, known, losses.base if losses else {}) if base else [None] * len(kept)
    return tuple(
        Turn(question.id, question.session, question.recorded, question.dropped, one, other)
        for question, one, other in zip(kept, ours, theirs, strict=True)
    )


def _ask(
    model: Model, side: str, kept: Sequence[Question], known: Schemas, losses: Mapping[str, TurnLoss]
) -> list[Given]:
    started = time.perf_counter()
    replies = model.reply([question.prompt for question in kept], Sampling())
    print(f"{side}: {len(replies)} answers in {time.perf_counter() - started:.1f} s", file=sys.stderr)
    return [_given(question, reply, known, losses) for question, reply in zip(kept, replies, strict=True)]


def _given(question: Question, reply: Reply, known: Schemas, losses: Mapping[str, TurnLoss]) -> Given:
    offered = {tool["function"]["name"]: tool["function"].get("parameters", {}) for tool in question.prompt.tools}
    score = score_turn(parse_answer(question.recorded), parse_answer(reply.text), offered or known)
    return Given(
        answer=reply.text,
        truncated=reply.truncated,
        metrics=score.metrics,
        mistakes=score.mistakes,
        prompt_tokens=reply.prompt_tokens,
        new_tokens=reply.new_tokens,
        seconds=reply.seconds,
        loss=losses.get(question.id),
    )


def _losses(model: Model, rows: Sequence[Row], asked: set[str]) -> tuple[Losses | None, str]:
    """The losses of the asked replies, or why there are none."""
    if model.facts["backend"] != "hf":
        return None, "only the hf backend gives it"
    from eval.local import LocalModel

    if not isinstance(model, LocalModel):
        raise TypeError(f"{type(model).__name__} calls itself hf")
    wanted = [replace(row, trained=tuple(place for place in row.trained if row.key(place) in asked)) for row in rows]
    try:
        with quiet_libraries():
            return measure_losses(model, wanted), ""
    except NoLoss as problem:
        return None, str(problem)


def _floors(kept: Sequence[Question], heldout: Heldout, known: Schemas) -> dict[Floor, Summary]:
    sessions = {question.id: question.session for question in kept}
    found = {}
    for name, answers in floors(kept, heldout.trained).items():
        given = {q.id: _given(q, Reply(answer), known, {}).metrics for q, answer in zip(kept, answers, strict=True)}
        found[name] = summarize(given, sessions)
    return found


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = model_options("eval.tool_use_accuracy", __doc__)
    parser.add_argument("--data", type=Path, required=True, help="held-out rows, output/datasets/ROLE_test.jsonl")
    parser.add_argument("--train", type=Path, help="rows that the floors learn from; default ROLE_train.jsonl beside")
    parser.add_argument("--limit", type=positive, help="only the first N replies")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(one_sentence(tool_use_accuracy))
