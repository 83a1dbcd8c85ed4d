"""Marks a model's answers to the tasks of a domain: structure 25, correctness 40, similarity 20, completeness 15.

`python -m eval.rubric --model MODEL --domain coding --out FILE.json` asks and marks; `--answers FILE.jsonl` marks
stored answers ({"id", "answer"} lines), and `--attack` prints what wrong answers score. A pack may set other weights.
"""

import argparse
import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from eval.config import DEFAULT
from eval.domain_tasks import Task, TaskFile, domain_file, load_tasks, shipped_domains
from eval.errors import BadInput, one_sentence, writable, write_json
from eval.marker import Marker
from eval.models import Reply, Settings, versions
from eval.options import positive
from eval.report import make_console
from eval.rubric_answers import Replies, Source, ask_model, forget_unfinished, read_answers, systems
from eval.rubric_attacks import attack_rows, attacks_on, limits_of
from eval.rubric_config import RubricConfig, load_rubric_config
from eval.rubric_report import print_attacks, print_marks, print_marks_compared
from eval.rubric_results import Marked, RubricRun, read_rubric, refuse_unequal_rubrics, summarize_marks
from eval.sandbox import Sandbox, choose_sandbox
from eval.targets import resolve_target

# Room for a gold answer three times over: prose of 250 words, code with an explanation.
MAX_NEW_TOKENS = 1024
MEASURES = ("sacrebleu", "rapidfuzz", "tree-sitter", "tree-sitter-python")


def rubric(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = _arguments(argv)
    config, files = load_rubric_config(args.config), load_files(args.domain, args.tasks)
    if args.attack:
        return attack(files, config)
    out = writable(args.out) if args.out else None
    earlier = read_rubric(args.compare) if args.compare else None
    sandbox = sandbox_for(files)
    source, replies = _answers(args, files, config)
    run = mark_all(files, replies, config, sandbox, source)
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
    return 0


def load_files(domains: Sequence[str] | None, paths: Sequence[Path] | None) -> tuple[TaskFile, ...]:
    """The task files of the named domains and paths; all shipped ones where none is named."""
    names = dict.fromkeys(domains or ([] if paths else shipped_domains()))
    files = tuple(load_tasks(path) for path in [*map(domain_file, names), *(paths or ())])
    stems = [file.domain for file in files]
    if twice := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise BadInput(f"two task files are named {twice}, which is the domain; rename one of them.")
    return files


def sandbox_for(files: Sequence[TaskFile]) -> Sandbox | None:
    """A sandbox where a task has code to run. Raises BadInput where none works: no code is run without."""
    return choose_sandbox() if any(task.code is not None for file in files for task in file.tasks) else None


def mark_all(
    files: Sequence[TaskFile], replies: Replies, config: RubricConfig, sandbox: Sandbox | None, source: Source
) -> RubricRun:
    """Marks the replies of each domain, one per task in file order."""
    results: list[Marked] = []
    for file in files:
        marker = Marker(file, config.weights, sandbox)
        pairs = zip(file.tasks, replies[file.domain], strict=True)
        results += [_mark(marker, file.domain, task, reply) for task, reply in pairs]
    return RubricRun(
        model=source.label,
        facts=source.facts,
        settings=source.settings,
        versions=versions() | {name: importlib.metadata.version(name) for name in MEASURES},
        weights=dict(config.weights),
        tasks={file.domain: file.sha256 for file in files},
        systems=systems(files, config),
        sandbox=sandbox.name if sandbox else None,
        summary=summarize_marks(results, config.weights),
        results=tuple(results),
    )


def attack(files: Sequence[TaskFile], config: RubricConfig) -> int:
    """Prints what wrong answers score in each domain."""
    sandbox = sandbox_for(files)
    markers = [(file, Marker(file, config.weights, sandbox)) for file in files]
    attacks = [row for file, marker in markers for row in attack_rows(file, marker, attacks_on(file))]
    limits = [row for file, marker in markers for row in attack_rows(file, marker, limits_of(file))]
    print_attacks(attacks, limits, make_console())
    return 0


def _mark(marker: Marker, domain: str, task: Task, reply: Reply) -> Marked:
    score = marker.mark(task, reply.text)
    return Marked(
        id=task.id,
        domain=domain,
        category=task.category,
        is_prose=task.code is None,
        total=score.total,
        parts=score.parts,
        explanation=score.explanation,
        answer=reply.text,
        truncated=reply.truncated,
        prompt_tokens=reply.prompt_tokens,
        new_tokens=reply.new_tokens,
        seconds=reply.seconds,
    )


def _answers(args: argparse.Namespace, files: Sequence[TaskFile], config: RubricConfig) -> tuple[Source, Replies]:
    if args.answers:
        return read_answers(args.answers, files)
    if args.out is None:
        raise BadInput("--model needs --out FILE.json, so that no answer is lost.")
    if args.model == "base" and not (args.base_model or config.base_model):
        raise BadInput(f"{args.config} names no base_model; give --base-model.")
    target = resolve_target(args.model, args.base_model, config.base_model)
    settings = Settings(args.max_new_tokens, args.batch_size)
    return ask_model(target, settings, files, config, _unfinished(args.out))


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
    parser.add_argument("--domain", action="append", help=f"may be repeated; default {', '.join(shipped_domains())}")
    parser.add_argument(
        "--tasks", type=Path, action="append", metavar="FILE", help="tasks of your own; may be repeated"
    )
    parser.add_argument("--config", type=Path, default=DEFAULT, metavar="PACK.yml", help=f"default {DEFAULT}")
    parser.add_argument("--base-model", help="base model; default: the adapter's own, or that of the config")
    parser.add_argument("--max-new-tokens", type=positive, default=MAX_NEW_TOKENS)
    parser.add_argument("--batch-size", type=positive, default=Settings().batch_size)
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="results file; --model needs one")
    parser.add_argument("--compare", type=Path, metavar="EARLIER.json", help="results to compare with")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(one_sentence(rubric))
