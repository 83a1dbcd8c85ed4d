"""Write invented questions and answers of a domain: `python -m data.sample.qna --out FILE --domain coding --count N`.

The same domain, count and seed give the same bytes, and a larger count the same beginning. FILE ends with .jsonl or
.csv. The answers are right, and long enough for the pack of their domain.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import msgspec

from data.extract.qna_lines import Pair
from data.lines import replacing
from data.sample.qna_texts import TEXTS, WORDS

COUNT = 200
SEED = 7


def invent(domain: str, count: int, seed: int = SEED) -> Iterator[Pair]:
    """Pairs of a domain; no question stands twice."""
    rng = Random(f"{domain} {seed}")
    asked: set[str] = set()
    while len(asked) < count:
        text = TEXTS[domain][len(asked) % len(TEXTS[domain])]
        values = _draw(rng, len(asked))
        question = text.question.format(**values)
        if question not in asked:
            about = {"domain": domain, "topic": text.topic, "number": len(asked)}
            asked.add(question)
            yield Pair(question, text.answer.format(**values), about)


def _draw(rng: Random, number: int) -> dict[str, object]:
    """A word or a number for every slot; later pairs have larger numbers, so that questions never run out."""
    drawn: dict[str, object] = {slot: rng.choice(words) for slot, words in WORDS.items()}
    drawn |= {slot.capitalize(): str(drawn[slot]).capitalize() for slot in ("person", "ache", "cause")}
    n = 2 + rng.randrange(28 + number // 3)
    return drawn | {"n": n, "over": n + n // 2} | _loan(rng, number) | _trade(rng, number)


def _loan(rng: Random, number: int) -> dict[str, object]:
    amount, rate, years = 100 * rng.randint(1, 90 + number), rng.randint(2, 9), rng.randint(2, 8)
    yearly = amount * rate // 100
    interest = yearly * years
    return {
        "amount": amount, "rate": rate, "years": years, "yearly": yearly, "interest": interest,
        "total": amount + interest,
    }  # fmt: skip


def _trade(rng: Random, number: int) -> dict[str, object]:
    """A thing is bought and sold; so many of them cannot be shared evenly by so many children."""
    cost, children = rng.randint(10, 60 + number), rng.randint(3, 7)
    price = cost + rng.randint(2, 40)
    price += price % children == 0
    left, fixed = price - cost, 100 * rng.randint(1, 20)
    return {
        "cost": cost, "price": price, "left": left, "margin": f"{100 * left / price:.1f}", "fixed": fixed,
        "pieces": -(-fixed // left), "children": children, "share": price // children,
        "shared": price // children * children, "rest": price % children, "missing": children - price % children,
    }  # fmt: skip


def encode(pairs: Iterator[Pair], table: bool) -> Iterator[bytes]:
    """The lines of a file of pairs, JSON Lines or CSV."""
    if not table:
        yield from (msgspec.json.encode(pair) + b"\n" for pair in pairs)
        return
    yield b"input,output,domain,topic,number\n"
    for pair in pairs:
        row = io.StringIO(newline="")
        csv.writer(row, lineterminator="\n").writerow([pair.input, pair.output, *pair.metadata.values()])
        yield row.getvalue().encode()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data.sample.qna", description="Write questions and answers.")
    parser.add_argument("--out", type=Path, required=True, help=".jsonl or .csv file; an older one is replaced")
    parser.add_argument("--domain", choices=TEXTS, required=True)
    parser.add_argument("--count", type=int, default=COUNT, help="how many pairs")
    parser.add_argument("--seed", type=int, default=SEED, help="the same seed gives the same bytes")
    chosen = parser.parse_args(arguments)
    if chosen.count < 1:
        parser.error(f"--count {chosen.count} is no number of pairs: give 1 or more")
    try:
        with replacing(chosen.out) as file:
            file.writelines(encode(invent(chosen.domain, chosen.count, chosen.seed), chosen.out.suffix == ".csv"))
    except OSError as error:
        print(f"{chosen.out}: {error.strerror}. Give a file that you may write.", file=sys.stderr)
        return 1
    print(f"wrote {chosen.count} invented pairs of {chosen.domain} (seed {chosen.seed}) to {chosen.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
