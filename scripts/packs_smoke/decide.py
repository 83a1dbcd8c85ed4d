"""The decisions of somebody who reads the vault's examples: `python -m scripts.packs_smoke.decide ROWS --out FILE`.

Two reflections are rejected, one is edited, one approved; `python -m data.curate --apply FILE` takes them.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

from scripts.packs_smoke.files import write_lines

ADDED: Final = " That much I know today."


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.packs_smoke.decide", description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, help="folder of the dataset")
    parser.add_argument("--out", type=Path, required=True, help="file for the decisions")
    options = parser.parse_args(arguments)
    made = list(decisions(reflections(options.rows)))
    write_lines(options.out, made)
    print(f"wrote {len(made)} decisions: {', '.join(str(one['action']) for one in made)}")
    return 0


def reflections(folder: Path) -> list[dict[str, Any]]:
    """The rows that come from the vault, in a fixed order."""
    files = [folder / f"companion_{split}.jsonl" for split in ("train", "val", "test")]
    rows = map(json.loads, chain.from_iterable(file.read_text("utf-8").splitlines() for file in files))
    return sorted((row for row in rows if row["metadata"]["source"] == "vault"), key=lambda row: row["metadata"]["id"])


def decisions(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What is decided about the first four rows."""
    first, second, third, fourth = rows[:4]
    for row, why in ((first, "too private"), (second, "I see it otherwise now")):
        yield {"id": row["metadata"]["id"], "action": "reject", "why": why}
    answer = len(third["conversations"]) - 1
    told = third["conversations"][answer]["value"]
    yield {"id": third["metadata"]["id"], "action": "edit", "texts": {str(answer): told + ADDED}}
    yield {"id": fourth["metadata"]["id"], "action": "approve"}


if __name__ == "__main__":
    sys.exit(main())
