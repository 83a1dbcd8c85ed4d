"""The last word of the walkthrough: `python -m scripts.smoke_gain BASE.json ADAPTER.json`.

Says how many scenarios each passed and exits 1 when the adapter did not gain at least half of them: then something in
the loop is broken, whatever the steps before it said.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

# The base passes none and the adapter most. Less than half between them has never been chance.
LEAST_GAIN: Final = 0.5


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.smoke_gain", description=__doc__.splitlines()[0])
    parser.add_argument("base", type=Path)
    parser.add_argument("adapter", type=Path)
    options = parser.parse_args(arguments)
    try:
        (before, total), (after, _) = passed(options.base), passed(options.adapter)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"smoke: not two results of eval.role_bench: {error}", file=sys.stderr)
        return 1
    print(f"The base passed {before} of {total} scenarios, the adapter {after}.")
    if after - before < LEAST_GAIN * total:
        print("smoke: the adapter gained less than half of the scenarios; see the raw answers.", file=sys.stderr)
        return 1
    return 0


def passed(results: Path) -> tuple[int, int]:
    """(scenarios passed, scenarios asked) of a results file."""
    judged = [bool(result["passed"]) for result in json.loads(results.read_text(encoding="utf-8"))["results"]]
    return sum(judged), len(judged)


if __name__ == "__main__":
    sys.exit(main())
