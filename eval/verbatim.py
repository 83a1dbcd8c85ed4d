"""How much of a model's answers are trained text, word for word: learned by heart is not learned.

`python -m eval.verbatim --rows output/datasets --results base.json adapter.json` reads results of the rubric or of
role_bench. A repeat is a run of 13 words (`--words`) that stands in a reply that was trained and not in the answer's
own prompt: 13 is what GPT-3's report took for a common source of two texts (Brown et al. 2020, appendix C), and what
the stage `overlap` takes. 38 words are the 50 tokens from which on Carlini et al. (2023, "Quantifying Memorization
Across Neural Language Models") call a text extractable; they give the text before it as a prompt, which we do not.
The base never saw the rows, so what it repeats is idiom: read the adapter as a distance from that floor. The command
judges nothing; a person decides.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from eval.errors import one_sentence, writable, write_json
from eval.report import make_console
from eval.trained_text import read_trained, train_files
from eval.verbatim_answers import Side, read_side
from eval.verbatim_report import as_json, print_measured
from eval.verbatim_runs import Repeats
from eval.verbatim_shares import Measured, measure

WORDS = 13
LEAST = 4  # a shorter run stands everywhere


def verbatim(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = _arguments(argv)
    out = args.json and writable(args.json, "--json")
    sides = [read_side(path) for path in args.results]
    measured = list(measure_sides(sides, args.rows, args.words))
    print_measured(measured, args.words, make_console())
    if out:
        write_json(out, as_json(measured, args.words))
        print(f"JSON: {out}")
    return 0


def measure_sides(sides: Sequence[Side], rows: Sequence[Path], words: int) -> Iterator[Measured]:
    """What each side repeats of the rows, which are read once."""
    repeats = [Repeats(side.answers, words) for side in sides]
    for trained in read_trained(file for path in rows for file in train_files(path)):
        for one in repeats:
            one.meet(trained)
    for side, one in zip(sides, repeats, strict=True):
        yield measure(side, one.found(), words)


def _run_length(text: str) -> int:
    value = int(text)
    if value < LEAST:
        raise argparse.ArgumentTypeError(f"{text} is under {LEAST}; such runs stand in any text")
    return value


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m eval.verbatim", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", type=Path, required=True, help="files of training rows, or a build")
    parser.add_argument("--results", nargs="+", type=Path, required=True, help="results of base and adapter")
    parser.add_argument(
        "--words", type=_run_length, default=WORDS, metavar="N", help=f"words in a row; default {WORDS}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as JSON, without any text")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(one_sentence(verbatim))
