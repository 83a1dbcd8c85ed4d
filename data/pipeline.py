"""The data pipeline: transcripts in, ShareGPT rows for Axolotl out.

python -m data.pipeline all --sessions ~/.claude/projects --out output/datasets
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import get_args

import msgspec

from data import explain, forget
from data.build import BrokenRows, build, staging_folder, write_json
from data.cache import Cache
from data.config import ConfigError, DataConfig, load_config, repository_path
from data.curate.decisions import load_decisions
from data.extract import archive, sessions
from data.extract.bead_outcomes import bead_fates
from data.extract.library import Archived
from data.extract.unit import SourceError
from data.finished import Done, Extracted, unpack
from data.forgotten import load_forgotten
from data.progress import watched
from data.record import Conversation, Drop
from data.sessions_folder import DEFAULT_SESSIONS, Chosen, choose_sessions, find_sessions
from data.stage import Ledger, LedgerImbalance, Outcome
from data.stages import Setting, check_config
from data.summary import announce, close
from data.tokens import TokenizerNotFound
from data.transform.redact_names import people_of
from data.units import Looker, bead_files, find_units, work
from data.validate import schema, stats
from data.validate.rows import DatasetError
from data.workers import EngineError, EngineName, in_order, open_engine
from data.writer import Input

EXTRACTED = "conversations.jsonl"
CACHE = ".cache"
COMMANDS = {
    "extract": "read the transcripts, write clean conversations",
    "transform": "make rows from extracted conversations",
    "validate": "check the rows",
    "stats": "print the numbers of a dataset",
    "all": "extract, transform and validate in one pass",
    "archive": "keep raw transcripts before the agent deletes them",
    "explain": "tell the life of a row, or with --session what became of a session",
    "forget": "keep a session out of all later builds, and say what holds it now",
}


class Extraction(msgspec.Struct, frozen=True):
    """What `extract` leaves beside its conversations for `transform`."""

    input: Input
    ledger: Ledger
    forgotten: tuple[str, ...] = ()


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    arguments.out = arguments.out or Path("output" if arguments.command == "forget" else "output/datasets")
    try:
        return _run(arguments)
    except (ConfigError, SourceError, TokenizerNotFound, EngineError, DatasetError) as error:
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
    parser.add_argument("command", choices=COMMANDS, metavar="command", help=commands)
    parser.add_argument("id", nargs="?", default="", help="of a row for explain, of a session for forget")
    parser.add_argument("--session", default="", help="explain a session: its id, or the beginning of it")
    parser.add_argument("--sessions", type=Path, help=f"what the sources call {{sessions}}: a folder of "
                        f"transcripts (default {DEFAULT_SESSIONS}), a pack's vault or answers")  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder of the dataset (default output/datasets; forget: output)")
    parser.add_argument("--archive", type=Path, help="folder that keeps raw transcripts (default: archive in --config)")
    parser.add_argument("--expire-days", type=int, default=archive.EXPIRE_DAYS, help="the agent's cleanupPeriodDays")
    parser.add_argument("--config", type=Path, default=Path("configs/data.yml"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--engine", choices=get_args(EngineName), default="local", help="where workers run")
    parser.add_argument("--no-cache", action="store_true", help="do not keep or use results of earlier builds")
    parser.add_argument("--limit", type=int, help="read only the first N groups of transcripts")
    parser.add_argument("--dry-run", action="store_true", help="say what would be read and written, and stop")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config)
    if arguments.archive:
        config = msgspec.structs.replace(config, archive=str(arguments.archive.absolute()))
    match arguments.command:
        case "archive":
            live = (arguments.sessions or DEFAULT_SESSIONS).expanduser()
            return archive.run(live, repository_path(config.archive), arguments.expire_days)
        case "explain":
            live = find_sessions(arguments.sessions, arguments.out)
            return explain.run(arguments.out, arguments.id, arguments.session, live, config)
        case "forget":
            live = find_sessions(arguments.sessions, arguments.out)
            return forget.run(arguments.id, arguments.out, live, config)
        case "validate":
            return schema.main([str(arguments.out)])
        case "stats":
            return stats.main([str(arguments.out)])
    check_config(config)
    if arguments.command == "transform":
        return _transform(config, arguments)
    archived = repository_path(config.archive)
    return _read(config, choose_sessions(arguments.sessions, arguments.out, archived, config.sources), arguments)


def _read(config: DataConfig, chosen: Chosen, arguments: argparse.Namespace) -> int:
    """Read the transcripts: a dry run, an extraction, or a build. Raises SourceError where it would read itself."""
    folder, archived, sample = chosen
    if arguments.out.resolve().is_relative_to(folder.resolve()):
        raise SourceError(f"{arguments.out} lies in {folder}, where transcripts are read. Choose another --out.")
    forgotten = load_forgotten(repository_path(config.forgotten))
    beads = bead_fates(bead_files(config, folder))
    setting = Setting(config, _people(folder, archived), beads, load_decisions(config.curation))
    with open_engine(arguments.engine, arguments.workers, setting) as engine:
        cache = Cache(None if arguments.no_cache or arguments.dry_run else arguments.out / CACHE, setting.key())
        look = Looker(cache.memory, engine)
        units = find_units(config, folder, look, archived, forgotten)[: arguments.limit]
        if arguments.dry_run:
            announce(units, arguments.out)
            return 0
        sizes = [unit.bytes for unit in units]
        source = Input(len(units), sum(sizes), sample)
        if arguments.command == "extract":
            extracted = watched(in_order(engine, "extract", units), sizes, "reading")
            return _extract(extracted, Extraction(source, Ledger(), tuple(sorted(forgotten))), arguments.out)
        done = watched(work(engine, units, look, cache), sizes, "reading")
        return _finish(done, source, config, arguments.out)


def _people(folder: Path, archived: Archived) -> frozenset[str]:
    """Everybody in whose home folder one of the transcripts was recorded."""
    transcripts = [*sessions.transcripts(folder), *archived.pick(sessions.transcripts)]
    return people_of(transcripts)


def _extract(results: Iterator[Extracted], extraction: Extraction, out: Path) -> int:
    ledger = extraction.ledger
    encoder = msgspec.json.Encoder()
    with staging_folder(out) as staging:
        with (staging / EXTRACTED).open("wb") as file:
            for items, part in results:
                ledger.merge(part)
                file.writelines(encoder.encode(item) + b"\n" for item in items)
        write_json(staging / "extracted.json", extraction)
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
    extracted = msgspec.json.decode(facts.read_bytes(), type=Extraction)
    if load_forgotten(repository_path(config.forgotten)) - set(extracted.forgotten):
        raise SourceError("Sessions were forgotten since. Run `python -m data.pipeline extract` again.")
    if arguments.dry_run:
        print(f"Would make rows from {arguments.out / EXTRACTED}.")
        return 0
    setting = Setting(config, verdicts=load_decisions(config.curation))
    with open_engine(arguments.engine, arguments.workers, setting) as engine:
        made = in_order(engine, "transform", _items(arguments.out / EXTRACTED))
        results = chain([Done(extracted.ledger)], map(unpack, made))
        return _finish(results, extracted.input, config, arguments.out)


def _items(path: Path, batch: int = 8) -> Iterator[list[Outcome]]:
    """The extracted conversations and drops, some at a time: enough for one task of a worker."""
    decoder: msgspec.json.Decoder[Outcome] = msgspec.json.Decoder(Conversation | Drop)
    with path.open("rb") as lines:
        while items := [decoder.decode(line) for line in islice(lines, batch)]:
            yield items


def _finish(results: Iterable[Done], source: Input, config: DataConfig, out: Path) -> int:
    manifest, ledger = build(results, source, config, out)
    close(manifest, ledger, config, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
