"""Compares two runs of the rubric on the same tasks and decides: may the adapter be released?

`python -m eval.rubric_compare BASE.json ADAPTER.json` prints the table; `--json FILE` is what the registry reads. Exit
codes: 0 passed, 1 a regression, 2 not comparable, 3 not decided by these tasks (it says how many would).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from eval.compare import SAME_FACTS, add_gate
from eval.errors import BadInput, one_sentence, writable
from eval.report import make_console
from eval.rubric_gate import decide
from eval.rubric_paired import compare_rubrics
from eval.rubric_report import print_comparison
from eval.rubric_results import AGAIN, RubricRun, read_rubric, refuse_unequal_rubrics


def rubric_compare(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = _arguments(argv)
    base, adapter = read_rubric(args.base), read_rubric(args.adapter)
    refuse_other_conditions(base, adapter)
    json = args.json and writable(args.json, "--json")
    comparison = compare_rubrics(base, adapter)
    decision = decide(comparison, args.margin, args.tried)
    console = make_console()
    print_comparison(comparison, decision, console)
    if json:
        from eval.compared import write_compared_rubrics

        console.print(f"JSON: {write_compared_rubrics(comparison, decision, json)}", markup=False)
    return int(decision.outcome)


def refuse_other_conditions(base: RubricRun, adapter: RubricRun) -> None:
    """Raises BadInput where the two runs did not answer the same tasks under the same conditions."""
    refuse_unequal_rubrics(base, adapter)
    for fact in SAME_FACTS:
        if base.facts.get(fact) != adapter.facts.get(fact):
            raise BadInput(f"the runs differ in {fact}, which alone can change the answers; {AGAIN}.")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m eval.rubric_compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", type=Path, metavar="BASE.json", help="results of the base model")
    parser.add_argument("adapter", type=Path, metavar="ADAPTER.json", help="results of the adapter")
    add_gate(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write outcome, reasons and marks as JSON")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(one_sentence(rubric_compare))
