"""Compares two role_bench runs on the same scenarios and decides: may the adapter be released?

`python -m eval.compare BASE.json ADAPTER.json` prints the tables. Exit codes: 0 passed, 1 a regression or a new
forbidden action, 2 not comparable, 3 not decided by these scenarios (it says how many would).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from eval.errors import BadInput, one_sentence, writable
from eval.gate import decide
from eval.options import positive
from eval.paired import compare_runs
from eval.report import make_console, print_tables
from eval.results import RoleBench, read_results
from eval.targets import same_model

AGAIN = "run role_bench for both again with the same options"
# What may differ: it changes the speed, not the question.
FREE_SETTINGS = ("batch_size",)
SAME_FACTS = ("backend", "template_sha256", "base_revision", "dtype")


def compare(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = _arguments(argv)
    base, adapter = read_results(args.base), read_results(args.adapter)
    refuse_unequal(base, adapter)
    html, junit, json = (
        path and writable(path, option)
        for path, option in ((args.html, "--html"), (args.junit, "--junit"), (args.json, "--json"))
    )
    comparison = compare_runs(base, adapter)
    decision = decide(comparison, args.margin, args.tried)
    console = make_console()
    print_tables(comparison, decision, console)
    if html:
        from eval.page import write_page

        console.print(f"Page: {write_page(comparison, decision, html)}", markup=False)
    if junit:
        from eval.junit import write_junit

        console.print(f"JUnit: {write_junit(comparison, decision, junit)}", markup=False)
    if json:
        from eval.compared import write_compared

        console.print(f"JSON: {write_compared(comparison, decision, json)}", markup=False)
    return int(decision.outcome)


def refuse_unequal(base: RoleBench, adapter: RoleBench) -> None:
    """Raises BadInput where the two runs did not answer the same question under the same conditions."""
    if base.scenarios != adapter.scenarios or base.systems != adapter.systems:
        raise BadInput(f"the runs used other roles, scenarios or system prompts; {AGAIN}.")
    _refuse_other_samples(base, adapter)
    first, second = (_settings(run) for run in (base, adapter))
    if first != second:
        names = ", ".join(sorted(key for key in first | second if first.get(key) != second.get(key)))
        raise BadInput(f"the runs differ in settings ({names}: {first} and {second}); {AGAIN}.")
    if not same_model(base.facts.get("base_model") or "", adapter.facts.get("base_model") or ""):
        bases = f"{base.facts.get('base_model')} and {adapter.facts.get('base_model')}"
        raise BadInput(f"the runs stand on different base models ({bases}); {AGAIN}.")
    for fact in SAME_FACTS:
        if base.facts.get(fact) != adapter.facts.get(fact):
            raise BadInput(f"the runs differ in {fact}, which alone can change the answers; {AGAIN}.")


def _refuse_other_samples(base: RoleBench, adapter: RoleBench) -> None:
    first, second = (_asked(run) for run in (base, adapter))
    if len(first) < len(base.episodes) or len(second) < len(adapter.episodes):
        raise BadInput(f"a run holds a sample twice; {AGAIN}.")
    if first.keys() != second.keys():
        raise BadInput(f"the runs cover {len(first)} and {len(second)} samples, not the same ones; {AGAIN}.")
    if len({len([1 for key in first if key[0] == scenario]) for scenario in {key[0] for key in first}}) > 1:
        raise BadInput(f"the scenarios have different numbers of samples; {AGAIN}.")
    if other := next((key for key in first if first[key] != second[key]), None):
        raise BadInput(f"{other[0]}, sample {other[1]}, was not asked in the same words in both runs; {AGAIN}.")


def _asked(run: RoleBench) -> dict[tuple[str, int], object]:
    return {(e.id, e.sample): (e.role, e.family, e.held_out, e.variables, e.asked) for e in run.episodes}


def _settings(run: RoleBench) -> dict[str, int | float | str]:
    return {key: value for key, value in run.settings.items() if key not in FREE_SETTINGS}


def share(text: str) -> float:
    """A margin on a command line, 0..1."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not in 0..1; 0.05 allows a loss of five points")
    return value


def add_gate(parser: argparse.ArgumentParser) -> None:
    """The options of every gate: --margin and --tried."""
    parser.add_argument("--margin", type=share, default=0.05, help="loss that is still accepted (default 0.05)")
    parser.add_argument("--tried", type=positive, default=1, metavar="M", help="checkpoints compared (default 1)")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m eval.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", type=Path, metavar="BASE", help="results of the base model: a file or its folder")
    parser.add_argument("adapter", type=Path, metavar="ADAPTER", help="results of the adapter")
    add_gate(parser)
    parser.add_argument("--html", type=Path, metavar="FILE", help="write everything as one page")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML for a CI service")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write outcome, reasons and rates as JSON")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(one_sentence(compare))
