"""Compares two role_bench runs on the same scenarios: rates, paired difference, better / worse / same.

`python -m eval.compare BASE.json ADAPTER.json` prints the table; runs that cannot be compared end in one
sentence and exit code 2.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from eval.errors import BadInput, one_sentence
from eval.report import make_console, print_comparison
from eval.results import RoleBench, read_results
from eval.targets import same_model


def compare(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m eval.compare", description=__doc__)
    parser.add_argument("base", type=Path, help="results of the base model")
    parser.add_argument("adapter", type=Path, help="results of the adapter")
    args = parser.parse_args(argv)
    base, adapter = read_results(args.base), read_results(args.adapter)
    refuse_unequal(base, adapter)
    print_comparison(base, adapter, make_console())
    return 0


def refuse_unequal(base: RoleBench, adapter: RoleBench) -> None:
    """Raises BadInput where the two runs did not answer the same question under the same conditions."""
    again = "run role_bench for both again with the same options"
    if base.scenarios != adapter.scenarios or base.systems != adapter.systems:
        raise BadInput(f"the runs used other roles, scenarios or system prompts; {again}.")
    if {r.id for r in base.results} != {r.id for r in adapter.results}:
        raise BadInput(f"the runs cover {len(base.results)} and {len(adapter.results)} scenarios; {again}.")
    if base.settings != adapter.settings:
        raise BadInput(f"the runs differ in settings ({base.settings} and {adapter.settings}); {again}.")
    if not same_model(base.facts.get("base_model") or "", adapter.facts.get("base_model") or ""):
        bases = f"{base.facts.get('base_model')} and {adapter.facts.get('base_model')}"
        raise BadInput(f"the runs stand on different base models ({bases}); {again}.")
    for fact in ("backend", "template_sha256"):
        if base.facts.get(fact) != adapter.facts.get(fact):
            raise BadInput(f"the runs differ in {fact}, which alone can change the answers; {again}.")


if __name__ == "__main__":
    sys.exit(one_sentence(compare))
