"""Marks a model's answers to the tasks of a domain: structure 25, correctness 40, similarity 20, completeness 15.

`python -m eval.rubric --model MODEL --config PACK.yml --out FILE.json` asks and marks the pack's tasks (`--domain`,
`--tasks` for others); `--base-out FILE.json` asks the adapter's base too, from the same load. `--answers FILE.jsonl`
marks stored answers ({"id", "answer"} lines), and `--attack` prints what wrong answers score.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from eval.config import DEFAULT
from eval.domain_tasks import TaskFile, shipped_domains
from eval.errors import BadInput, one_sentence, writable, write_json
from eval.marker import Marker
from eval.models import Settings, open_model
from eval.options import positive
from eval.report import make_console
from eval.rubric_answers import Questions, Replies, Source, base_of, forget_unfinished, read_answers
from eval.rubric_attacks import attack_rows, attacks_on, limits_of
from eval.rubric_config import RubricConfig, load_rubric_config
from eval.rubric_marking import mark_all, sandbox_for
from eval.rubric_report import print_attacks, print_marks, print_marks_compared
from eval.rubric_results import RubricRun, read_rubric, refuse_unequal_rubrics
from eval.rubric_tasks import load_files
from eval.targets import resolve_target

# Room for a gold answer three times over: prose of 250 words, code with an explanation.
MAX_NEW_TOKENS = 1024


def rubric(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = _arguments(argv)
    config = load_rubric_config(args.config)
    files = load_files(args.domain, args.tasks, config)
    if args.attack:
        return attack(files, config)
    _refuse_outputs(args)
    earlier = read_rubric(args.compare) if args.compare else None
    sandbox = sandbox_for(files)
    for source, replies, out in _answers(
        args, Questions(files, config, Settings(args.max_new_tokens, args.batch_size))
    ):
        run = mark_all(files, replies, config, sandbox, source)
        _tell(run, earlier, out)
        earlier = earlier or run
    return 0


def attack(files: Sequence[TaskFile], config: RubricConfig) -> int:
    """Prints what wrong answers score in each domain."""
    sandbox = sandbox_for(files)
    markers = [(file, Marker(file, config.weights, sandbox)) for file in files]
    attacks = [row for file, marker in markers for row in attack_rows(file, marker, attacks_on(file))]
    limits = [row for file, marker in markers for row in attack_rows(file, marker, limits_of(file))]
    print_attacks(attacks, limits, make_console())
    return 0


def _refuse_outputs(args: argparse.Namespace) -> None:
    """Raises BadInput where the results could not be written, before a model is loaded."""
    if args.model and args.out is None:
        raise BadInput("--model needs --out FILE.json, so that no answer is lost.")
    if args.base_out and (args.model is None or args.base_out.resolve() == args.out.resolve()):
        raise BadInput("--base-out goes with --model ADAPTER and another file in --out; give both.")
    for path, option in ((args.out, "--out"), (args.base_out, "--base-out")):
        if path is not None:
            writable(path, option)


def _answers(args: argparse.Namespace, questions: Questions) -> Iterator[tuple[Source, Replies, Path | None]]:
    """Who answered what, and where its results go: the base before its adapter."""
    if args.answers:
        yield *read_answers(args.answers, questions.files), args.out
        return
    if args.model == "base" and not (args.base_model or questions.config.base_model):
        raise BadInput(f"{args.config} names no base_model; give --base-model.")
    target = resolve_target(args.model, args.base_model, questions.config.base_model)
    model = open_model(target, questions.settings)
    if args.base_out:
        yield *questions.ask(base_of(model, target.label), "base", _unfinished(args.base_out)), args.base_out
    yield *questions.ask(model, target.label, _unfinished(args.out)), args.out


def _tell(run: RubricRun, earlier: RubricRun | None, out: Path | None) -> None:
    """Writes the results and prints them, beside the earlier ones where there are some."""
    if earlier is not None:
        refuse_unequal_rubrics(earlier, run)
    if out is not None:
        write_json(out, msgspec.to_builtins(run))
        forget_unfinished(_unfinished(out))
    console = make_console()
    print_marks(run, console)
    if earlier is not None:
        print_marks_compared(earlier, run, console)
    if out is not None:
        console.print(f"Raw answers and reasons: {out}", markup=False)


def _unfinished(out: Path) -> Path:
    return out.with_name(f"{out.name}.unfinished")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m eval.rubric", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", help="base, an adapter folder, or http://HOST/v1#NAME")
    source.add_argument("--answers", type=Path, metavar="FILE.jsonl", help="mark stored answers")
    source.add_argument("--attack", action="store_true", help="print what wrong answers score; needs no model")
    shipped = ", ".join(shipped_domains())
    parser.add_argument(
        "--domain", action="append", help=f"may be repeated; default eval.tasks of the pack, or {shipped}"
    )
    parser.add_argument(
        "--tasks", type=Path, action="append", metavar="FILE", help="tasks of your own; may be repeated"
    )
    parser.add_argument("--config", type=Path, default=DEFAULT, metavar="PACK.yml", help=f"default {DEFAULT}")
    parser.add_argument("--base-model", help="base model; default: the adapter's own, or that of the config")
    parser.add_argument("--max-new-tokens", type=positive, default=MAX_NEW_TOKENS)
    parser.add_argument("--batch-size", type=positive, default=Settings().batch_size)
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="results file; --model needs one")
    earlier = parser.add_mutually_exclusive_group()
    earlier.add_argument("--compare", type=Path, metavar="EARLIER.json", help="results to compare with")
    earlier.add_argument(
        "--base-out", type=Path, metavar="FILE.json", help="ask an adapter's base too; its results file"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(one_sentence(rubric))
