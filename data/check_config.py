"""Says everything that is wrong with a configuration: `python -m data.check_config configs/packs/legal.yml`.

The other rooms ask it in this way about a pack, whose data side they know nothing of. Nothing is read but the files.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data.config import ConfigError, load_config


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data.check_config", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a configuration: data.yml, or a pack")
    problems = [problem for file in parser.parse_args(argv).files for problem in problems_of(file)]
    print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
    return 2 if problems else 0


def problems_of(file: Path) -> list[str]:
    """One sentence for each problem of a configuration."""
    try:
        load_config(file)
    except ConfigError as error:
        return str(error).splitlines()
    return []


if __name__ == "__main__":
    sys.exit(main())
