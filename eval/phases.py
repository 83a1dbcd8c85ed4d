"""One adapter for all roles, or one for each? `python -m eval.phases --role mayor --role crew` measures both.

The base, the all-roles adapter and each role's own play the same scenarios; what is played already, with the same
adapter and settings, is not played again. The table says of each pair which is better, or that the data cannot tell.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from eval.config import DEFAULT, load_config
from eval.errors import one_sentence, writable, write_json
from eval.gate import decide
from eval.models import Settings
from eval.options import DEFAULTS, positive
from eval.phases_report import as_json, print_phases
from eval.phases_runs import ALL_ROLES, Course, one_dataset, play_roles
from eval.phases_table import Contrast, compare_phases
from eval.report import make_console
from eval.role_bench import ROWS, make_plan
from eval.scenario import PROMPTS, ROLES, known_role

TABLE = "table.json"


def phases(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = _arguments(argv)
    config = load_config(args.config)
    roles = [known_role(role) for role in dict.fromkeys(args.role)]
    plans = {role: make_plan(_one_role(args, role), config) for role in roles}
    course = Course(plans, Settings(args.max_new_tokens, args.batch_size, args.seed), args.rows, args.evals)
    dataset = one_dataset(args.adapters, (ALL_ROLES, *roles), args.rows)
    out = writable(args.out / TABLE)
    contrasts = compare_phases(play_roles(course, args.adapters))
    write_json(out, as_json(contrasts, dataset))
    console = make_console()
    print_phases(contrasts, dataset, console)
    for path in (out, *_pages(contrasts, args.out)):
        console.print(f"Written: {path}", markup=False)
    return 0


def _one_role(args: argparse.Namespace, role: str) -> argparse.Namespace:
    """The options of role_bench for one role."""
    return argparse.Namespace(
        role=[role],
        scenarios=args.scenarios,
        samples=args.samples,
        temperature=None,
        prompt="compact",
        tool_format=None,
        smoke=False,
    )


def _pages(contrasts: Sequence[Contrast], folder: Path) -> list[Path]:
    """For each pair a page with every answer of both, and JUnit XML for a CI service."""
    from eval.junit import write_junit
    from eval.page import write_page

    written = []
    for contrast in contrasts:
        decision = decide(contrast.comparison)
        written.append(write_page(contrast.comparison, decision, folder / f"{contrast.name}.html"))
        written.append(write_junit(contrast.comparison, decision, folder / f"{contrast.name}.xml"))
    return written


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m eval.phases", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--role", action="append", required=True, help=f"one of {', '.join(ROLES)}; may be repeated")
    parser.add_argument("--adapters", type=Path, default=Path("output/adapters"), metavar="DIR",
                        help=f"folder of {ALL_ROLES} and one adapter a role")  # fmt: skip
    parser.add_argument("--rows", type=Path, default=ROWS, metavar="DIR", help="the dataset of all of them")
    parser.add_argument("--evals", type=Path, default=Path("output/evals"), metavar="DIR",
                        help="where each role's runs are: base, adapter (its own) and all-roles")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("output/evals/phases"), metavar="DIR",
                        help=f"folder of {TABLE}, a page and JUnit XML for each pair")  # fmt: skip
    parser.add_argument("--config", type=Path, default=DEFAULT, help=f"default {DEFAULT}")
    parser.add_argument("--scenarios", type=Path, default=PROMPTS, metavar="DIR", help="folder of ROLE.jsonl files")
    parser.add_argument("--samples", type=positive, default=1, metavar="K", help="runs of each scenario; default 1")
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed, help="for variables and sampling")
    parser.add_argument("--max-new-tokens", type=positive, default=DEFAULTS.max_new_tokens)
    parser.add_argument("--batch-size", type=positive, default=DEFAULTS.batch_size)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(one_sentence(phases))
