"""Write a sample town: `python -m data.sample --out DIR [--sessions N] [--seed S]`.

DIR/projects is what the pipeline takes as --sessions, DIR/beads/issues.jsonl is its bead file, and DIR/oddities.json
says which session shows which oddity of the format.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data.sample.disk import NotATownError, write_town
from data.sample.town import FEWEST_SESSIONS, SEED, SESSIONS, build_town


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; wrong values end here with a sentence."""
    parser = argparse.ArgumentParser(prog="python -m data.sample", description="Write a sample town.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the town; an older town is replaced")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help=f"at least {FEWEST_SESSIONS}")
    parser.add_argument("--seed", type=int, default=SEED, help="the same seed gives the same bytes")
    chosen = parser.parse_args(arguments)
    if chosen.sessions < FEWEST_SESSIONS:
        parser.error(f"--sessions {chosen.sessions} is too few to show every oddity: give {FEWEST_SESSIONS} or more")
    return chosen


def refuse(sentence: str) -> int:
    """Say why there is no town, and return the exit code for it."""
    print(f"data.sample: {sentence}", file=sys.stderr)
    return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the town and say in one line what was written."""
    chosen = parse_arguments(arguments)
    town = build_town(chosen.sessions, chosen.seed)
    try:
        write_town(chosen.out, town.files)
    except NotATownError as error:
        return refuse(str(error))
    except OSError as error:
        return refuse(f"cannot write to {chosen.out}: {error.strerror}. Give a folder that you may write to.")
    size = sum(map(len, town.files.values())) / 1e6
    print(
        f"wrote a sample town of {town.sessions} sessions with {len(town.oddities)} oddities and {town.beads} beads "
        f"({len(town.files)} files, {size:.1f} MB, seed {chosen.seed}) to {chosen.out}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
