"""The data pipeline: transcripts in, ShareGPT rows for Axolotl out.

python -m data.pipeline all --sessions ~/.claude/projects --out output/datasets
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from data.build import BrokenRows, Input, build, collect, staging_folder, write_json
from data.config import ConfigError, DataConfig, load_config
from data.extract.unit import SourceError
from data.record import Conversation, Drop
from data.stage import Ledger, LedgerImbalance, Outcome
from data.stages import check_config, find_units
from data.summary import announce, close
from data.tokens import TokenizerNotFound
from data.transform.redact_names import people_of
from data.validate import schema, stats
from data.workers import Result, spread

DEFAULT_SESSIONS = Path("~/.claude/projects")
EXTRACTED = "conversations.jsonl"
COMMANDS = {
    "extract": "read the transcripts, write clean conversations",
    "transform": "make rows from extracted conversations",
    "validate": "check the rows",
    "stats": "print the numbers of a dataset",
    "all": "extract, transform and validate in one pass",
}


class Extracted(msgspec.Struct, frozen=True):
    """What `extract` leaves beside its conversations for `transform`."""

    input: Input
    ledger: Ledger


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except (ConfigError, SourceError, TokenizerNotFound) as error:
        print(error, file=sys.stderr)
        return 2
    except (LedgerImbalance, BrokenRows) as error:
        print(f"Nothing was published, because the result would not be right:\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. Nothing was published.", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"{error.filename or arguments.out}: {error.strerror}. Nothing was published.", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    commands = "; ".join(f"{name}: {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(prog="python -m data.pipeline", description=__doc__)
    parser.add_argument("command", choices=COMMANDS, help=commands)
    parser.add_argument("--sessions", type=Path, help=f"folder with transcripts (default {DEFAULT_SESSIONS})")
    parser.add_argument("--out", type=Path, default=Path("output/datasets"), help="folder of the dataset")
    parser.add_argument("--config", type=Path, default=Path("configs/data.yml"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--limit", type=int, help="read only the first N groups of transcripts")
    parser.add_argument("--dry-run", action="store_true", help="say what would be read and written, and stop")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config)
    match arguments.command:
        case "validate":
            return schema.main([str(arguments.out)])
        case "stats":
            return stats.main([str(arguments.out)])
    check_config(config)
    if arguments.command == "transform":
        return _transform(config, arguments)
    with tempfile.TemporaryDirectory(prefix="sample-town-") as scratch:
        folder, sample = choose_sessions(arguments.sessions, Path(scratch))
        units = find_units(config, folder)[: arguments.limit]
        if arguments.dry_run:
            announce(units, arguments.out)
            return 0
        people = people_of(Path(file) for unit in units for file in unit.files)
        source = Input(len(units), sum(unit.bytes for unit in units), sample)
        if arguments.command == "extract":
            return _extract(spread("extract", units, arguments.workers, config, people), source, arguments.out)
        return _finish(spread("work", units, arguments.workers, config, people), source, config, arguments.out)


def choose_sessions(given: Path | None, scratch: Path) -> tuple[Path, bool]:
    """The folder to read and whether it is the sample town, which stands in where a user has no transcripts yet.

    Raises SourceError where a folder was given and holds no transcript.
    """
    folder = (given or DEFAULT_SESSIONS).expanduser()
    if folder.is_dir() and next(folder.rglob("*.jsonl"), None):
        return folder, False
    if given:
        state = "holds no .jsonl transcripts" if folder.is_dir() else "does not exist"
        raise SourceError(f"{given} {state}. Give the folder that Claude Code writes to, usually {DEFAULT_SESSIONS}.")
    from data.sample.disk import write_town
    from data.sample.town import build_town

    town = build_town()
    write_town(scratch, town.files)
    print(f"No transcripts in {DEFAULT_SESSIONS}: using the invented sample town of {town.sessions} sessions instead.")
    return scratch / "projects", True


def _extract(results: Iterator[Result], source: Input, out: Path) -> int:
    ledger = Ledger()
    encoder = msgspec.json.Encoder()
    with staging_folder(out) as staging:
        with (staging / EXTRACTED).open("wb") as file:
            file.writelines(encoder.encode(item) + b"\n" for item in collect(results, ledger))
        write_json(staging / "extracted.json", Extracted(source, ledger))
        for name in (EXTRACTED, "extracted.json"):
            (staging / name).replace(out / name)
    print(f"Extracted {ledger.read.conversations} conversations into {out / EXTRACTED}.")
    return 0


def _transform(config: DataConfig, arguments: argparse.Namespace) -> int:
    facts = arguments.out / "extracted.json"
    if not facts.is_file():
        raise SourceError(
            f"{arguments.out} holds no extracted conversations. Run `python -m data.pipeline extract` first."
        )
    extracted = msgspec.json.decode(facts.read_bytes(), type=Extracted)
    if arguments.dry_run:
        print(f"Would make rows from {arguments.out / EXTRACTED}.")
        return 0

    def results() -> Iterator[Result]:
        yield [], extracted.ledger
        yield from spread("transform", _items(arguments.out / EXTRACTED), arguments.workers, config)

    return _finish(results(), extracted.input, config, arguments.out)


def _items(path: Path, batch: int = 8) -> Iterator[list[Outcome]]:
    """The extracted conversations and drops, some at a time: enough for one task of a worker."""
    decoder: msgspec.json.Decoder[Outcome] = msgspec.json.Decoder(Conversation | Drop)
    with path.open("rb") as lines:
        while items := [decoder.decode(line) for line in islice(lines, batch)]:
            yield items


def _finish(results: Iterator[Result], source: Input, config: DataConfig, out: Path) -> int:
    manifest, ledger = build(results, source, config, out)
    close(manifest, ledger, config, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
