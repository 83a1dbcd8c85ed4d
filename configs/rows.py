"""What the recipes need to know about a role's rows: how many, how long, and the hash that names their
content.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

# The keys that change what Axolotl writes into its prepared data; the content of the files is hashed beside them.
PREPARED_BY: Final = (
    "base_model",
    "tokenizer_config",
    "chat_template",
    "datasets",
    "test_datasets",
    "shuffle_merged_datasets",
    "sequence_len",
    "excess_length_strategy",
    "sample_packing",
    "eval_sample_packing",
    "pad_to_sequence_len",
    "special_tokens",
    "eot_tokens",
    "seed",
    "rl",
)


# Where ordinary rows of the two forms have their messages, and how such rows train.
COLUMNS: Final = {"conversations": "without `--with native`", "messages": "with `--with native`"}
# What tells a row of preferences: the better reply of a pair for DPO, the judged reply for KTO.
PREFERENCES: Final = ("chosen", "completion")


@dataclass(frozen=True, slots=True)
class RowFile:
    """One file of rows: counts in rows and tokens, `longest` in tokens, `sha256` of its bytes.

    `messages` is the column whose name tells the forms of rows apart; empty without rows.
    """

    path: str
    rows: int
    tokens: int
    trained_tokens: int
    longest: int
    sha256: str
    messages: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def read_rows(file: Path) -> RowFile:
    """Read a dataset file as a stream. Raises `ValueError` for a line that is not a row."""
    digest = hashlib.sha256()
    lengths: list[int] = []
    trained = 0
    column = ""
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            digest.update(line)
            try:
                row = json.loads(line)
                column = next(name for name in (*PREFERENCES, *COLUMNS) if name in row)
                metadata = json.loads(row["metadata"]) if column in PREFERENCES else row["metadata"]
                lengths.append(int(metadata["tokens"]))
                trained += int(metadata["trained_tokens"])
            except (ValueError, KeyError, TypeError, StopIteration):
                raise ValueError(f"{file}:{number}: not a row of the pipeline. Run `make all` again.") from None
    return RowFile(str(file), len(lengths), sum(lengths), trained, max(lengths, default=0), digest.hexdigest(), column)


def prepared_name(config: Mapping[str, Any], files: Iterable[RowFile]) -> str:
    """A folder name for Axolotl's prepared data: equal rows and equal reading of them give the same name."""
    relevant = {key: config[key] for key in PREPARED_BY if key in config}
    content = json.dumps([relevant, [file.sha256 for file in files]], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def estimated_steps(config: Mapping[str, Any], rows: RowFile) -> int:
    """About how many optimizer steps one GPU makes; packs are never quite full, so a few more come out."""
    packed = config.get("sample_packing", False)
    sequences = rows.tokens // config["sequence_len"] if packed else rows.rows
    batch = config.get("micro_batch_size", 1) * config.get("gradient_accumulation_steps", 1)
    steps = sequences // batch * config.get("num_epochs", 1)
    return int(config.get("max_steps", steps))
