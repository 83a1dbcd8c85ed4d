"""Rows as mlx-lm reads them: one example for each trained reply.

mlx-lm knows no `train` of a message: with --mask-prompt it trains the last message of an example and nothing before
it. So a row with three trained replies becomes three examples, each of which ends with one of them. What is trained,
and what is seen before it, is then the same as with Axolotl; the price is that the context is read again for each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

from configs.files import write_text

ROLES: Final = {"system": "system", "human": "user", "gpt": "assistant"}


@dataclass(frozen=True, slots=True)
class Examples:
    """Lines of JSON, the shortest first, and counts of the rows that they came from."""

    lines: tuple[str, ...]
    rows: int
    untrained: int

    @property
    def words(self) -> str:
        left = f", {self.untrained} of them without a trained reply" if self.untrained else ""
        return f"{self.rows:,} rows{left}; examples, one for each trained reply: {len(self.lines):,}"


def read_examples(file: Path) -> Examples:
    """The examples of a file of rows. Raises `ValueError` for a line that is none."""
    count = untrained = 0
    lines: list[str] = []
    with file.open(encoding="utf-8") as content:
        for number, line in enumerate(content, start=1):
            try:
                found = list(examples(json.loads(line)))
            except (ValueError, KeyError, TypeError):
                raise ValueError(f"{file}:{number}: not a row of the pipeline. Run `make all` again.") from None
            count, untrained = count + 1, untrained + (not found)
            lines += (json.dumps({"messages": messages}, ensure_ascii=False) for messages in found)
    # mlx-lm makes batches of neighbours: those of one length have little padding.
    return Examples(tuple(sorted(lines, key=lambda line: (len(line), line))), count, untrained)


def write_batches(found: Examples, batch: int, out: Path) -> None:
    """Writes whole batches. mlx-lm leaves out what does not fill one, so the longest examples fill the last one."""
    missing = -len(found.lines) % batch
    lines = [*found.lines, *islice(cycle(reversed(found.lines)), missing)]
    write_text(out, "".join(f"{line}\n" for line in lines))


def examples(row: Mapping[str, Any]) -> Iterator[list[dict[str, str]]]:
    """The conversation up to and with each trained reply."""
    turns = row["conversations"]
    messages = [{"role": ROLES[turn["from"]], "content": str(turn["value"])} for turn in turns]
    for number, turn in enumerate(turns, start=1):
        if turn.get("train") is True:
            yield messages[:number]
