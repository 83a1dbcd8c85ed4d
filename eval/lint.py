"""Attacks the scenarios before they judge anybody: `python -m eval.lint [--role R ...] [--seeds 5] [--table]`.

Gold runs must pass, generated wrong runs must fail or be waived with a reason, canaries must be secret. Each problem is
one sentence with file and line; exit code 1 where there is one. `--table` adds what agents reach that do not look.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from eval.config import DEFAULT, load_config
from eval.errors import one_sentence
from eval.lint_role import Problem, Reached, Tally, lint_role
from eval.options import positive
from eval.scenario import PROMPTS, ROLES, known_role, load_scenarios

if TYPE_CHECKING:
    from rich.table import Table

EXIT_PROBLEMS = 1
PLAIN_WIDTH = 110
COUNTS = ("scenarios", "families", "held_out", "attacks", "passed", "waived", "golds")


def lint(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    from rich.console import Console

    args = _parser().parse_args(argv)
    found = dict(_lint_roles([known_role(role) for role in args.role or ROLES], args))
    problems = [problem for several, _ in found.values() for problem in several]
    for problem in problems:
        print(problem)
    tallies = {role: tally for role, (_, tally) in found.items()}
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    console.print(_counts(tallies))
    if args.table:
        console.print(_floors(tallies))
    return EXIT_PROBLEMS if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m eval.lint", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--role", action="append", help="a role; may be given more than once; default: all")
    parser.add_argument("--seeds", type=positive, default=5, help="how often each gold run is drawn (default 5)")
    parser.add_argument("--scenarios", type=Path, default=PROMPTS, help="folder of scenario files")
    parser.add_argument("--config", type=Path, default=DEFAULT, help=f"system prompts; default {DEFAULT}")
    parser.add_argument("--table", action="store_true", help="add the scores of agents that do not read the question")
    return parser


def _lint_roles(roles: Sequence[str], args: argparse.Namespace) -> Iterator[tuple[str, tuple[list[Problem], Tally]]]:
    """Each role with its problems and counts; several roles are linted at once."""
    config = load_config(args.config)
    files = [load_scenarios(known_role(role), args.scenarios) for role in dict.fromkeys(roles)]
    paths = [_shown(args.scenarios / f"{file.role}.jsonl") for file in files]
    systems = [config.system(file.role) for file in files]
    work = (files, paths, systems, [args.seeds] * len(files))
    if len(files) == 1:
        yield files[0].role, lint_role(files[0], paths[0], systems[0], args.seeds)
        return
    with ProcessPoolExecutor() as pool:
        yield from zip((file.role for file in files), pool.map(lint_role, *work), strict=True)


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _counts(tallies: Mapping[str, Tally]) -> "Table":
    from rich.table import Table

    table = Table("role", title="scenarios and attacks")
    for column in ("scenarios", "families", "held out", "attacks", "passed", "waived", "gold runs", "seconds"):
        table.add_column(column, justify="right")
    for role, tally in tallies.items():
        table.add_row(role, *_row([tally]))
    if len(tallies) > 1:
        table.add_section()
        table.add_row("all", *_row(list(tallies.values())))
    return table


def _row(tallies: Sequence[Tally]) -> list[str]:
    counts = [str(sum(getattr(tally, name) for tally in tallies)) for name in COUNTS]
    return [*counts, f"{sum(tally.seconds for tally in tallies):.1f}"]


def _floors(tallies: Mapping[str, Tally]) -> "Table":
    """Null agents, and constant policies: always the gold run of one scenario, on all others of its role."""
    from rich.table import Table

    table = Table("role", title="agents that do not read the question")
    for column in ("null runs", "pass", "partial", "constant runs", "pass", "partial", "best pass", "best partial"):
        table.add_column(column, justify="right")
    for role, tally in tallies.items():
        table.add_row(role, *_reached(tally.null), *_constant(tally.policy))
    if len(tallies) > 1:
        null = [reached for tally in tallies.values() for reached in tally.null]
        policy = {name: reached for tally in tallies.values() for name, reached in tally.policy.items()}
        table.add_section()
        table.add_row("all", *_reached(null), *_constant(policy))
    return table


def _constant(policy: Mapping[str, Sequence[Reached]]) -> list[str]:
    """All constant policies together, and the best of them by each measure."""
    together = [reached for several in policy.values() for reached in several]
    best = [max((_mean(several, measure) for several in policy.values()), default=0.0) for measure in (0, 1)]
    return [*_reached(together), *(f"{value:.3f}" for value in best)]


def _reached(several: Sequence[Reached]) -> list[str]:
    return [str(len(several)), f"{_mean(several, 0):.3f}", f"{_mean(several, 1):.3f}"]


def _mean(several: Sequence[Reached], measure: int) -> float:
    return sum(reached[measure] for reached in several) / len(several) if several else 0.0


if __name__ == "__main__":
    sys.exit(one_sentence(lint))
