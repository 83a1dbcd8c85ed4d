"""The data side as calls of a library: extract, stats, save_to_jsonl, load_jsonl, stream_jsonl, summarize_dataset.

As a command it checks and summarises a file of pairs, conversations or rows without a build:

python -m data.library output/mined/coding.jsonl

It ends with 1 where lines were set aside. `docs/library.md` shows every call at work.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from data.config import ConfigError, DataConfig, load_config, repository_path
from data.counted import counted
from data.extract.qna_lines import Pair
from data.extract.unit import SourceError
from data.finished import Extracted
from data.library_lines import Aside, Record, RecordError, load_jsonl, save_to_jsonl, stream_jsonl
from data.library_summary import Summary, summarize_dataset
from data.record import Conversation, replies
from data.sessions_folder import DEFAULT_SESSIONS, choose_sessions
from data.stage import Ledger
from data.tokens import TokenizerNotFound

__all__ = [
    "Aside", "ConfigError", "ExtractStats", "Pair", "Record", "RecordError", "SourceError", "Summary", "extract",
    "load_jsonl", "save_to_jsonl", "stats", "stream_jsonl", "summarize_dataset",
]  # fmt: skip


class ExtractStats(msgspec.Struct, frozen=True):
    """What the sources of a configuration hold once it is clean.

    `records` is what was read, by source and fate (`used`, or the reason why not). `left` counts the replies that a
    cleaning stage took out, by reason.
    """

    conversations: int
    replies: int
    roles: dict[str, int]
    sources: dict[str, int]
    records: dict[str, dict[str, int]]
    left: dict[str, int]


def extract(config: str | Path | DataConfig, sessions: str | Path | None = None) -> Iterator[Conversation]:
    """The conversations of all sources of a configuration, one by one, as `pipeline extract` writes them: redacted,
    with their roles, without boilerplate, not yet cut into windows.

    `sessions` is the folder or file that sources read as {sessions}; without it that is ~/.claude/projects. Paths in
    the configuration are relative to the working folder. When the first conversation is asked for, ConfigError is
    raised for a wrong configuration, and SourceError with every source that cannot be read.
    """
    for items, _ in _extracted(config, sessions):
        yield from (item for item in items if isinstance(item, Conversation))


def stats(config: str | Path | DataConfig, sessions: str | Path | None = None) -> ExtractStats:
    """The numbers of what `extract` gives with the same arguments. Raises the same errors."""
    roles: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    trained = 0
    ledger = Ledger()
    for items, books in _extracted(config, sessions):
        ledger.merge(books)
        for item in items:
            if isinstance(item, Conversation):
                roles[item.role] += 1
                sources[item.origin.source] += 1
                trained += sum(1 for _ in replies(item))
    left: Counter[str] = Counter()
    for account in ledger.stages.values():
        left.update({reason: tally.replies for reason, tally in account.left.items()})
    return ExtractStats(
        roles.total(), trained, dict(sorted(roles.items())), dict(sorted(sources.items())), ledger.records, dict(left)
    )


def _extracted(config: str | Path | DataConfig, sessions: str | Path | None) -> Iterator[Extracted]:
    """What workers make of the units of a configuration, as the command does it, in this process."""
    from data.cache import Cache
    from data.extract.bead_outcomes import bead_fates
    from data.extract.sessions import transcripts
    from data.forgotten import load_forgotten
    from data.stages import Setting
    from data.transform.redact_names import people_of
    from data.units import Looker, bead_files, find_units
    from data.workers import in_order, open_engine

    settings = config if isinstance(config, DataConfig) else load_config(Path(config))
    folder, archived, _ = choose_sessions(
        _given(settings, sessions), Path(), repository_path(settings.archive), settings.sources
    )
    people = people_of([*transcripts(folder), *archived.pick(transcripts)])
    setting = Setting(settings, people, bead_fates(bead_files(settings, folder)))
    with open_engine("local", 1, setting) as engine:
        look = Looker(Cache(None, b"").memory, engine)
        units = find_units(settings, folder, look, archived, load_forgotten(repository_path(settings.forgotten)))
        look.close()
        yield from in_order(engine, "extract", units)


def _given(config: DataConfig, sessions: str | Path | None) -> Path | None:
    """The folder that is asked for. Named, so that nobody is given the sample town in its place."""
    if sessions is not None:
        return Path(sessions).expanduser()
    return DEFAULT_SESSIONS if any("{sessions}" in source.path for source in config.sources) else None


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data.library", description=__doc__)
    parser.add_argument("file", metavar="FILE", help="a .jsonl or .csv file, or a folder of them")
    parser.add_argument("--base-model", default="", help="whose tokenizer counts (default: that of configs/data.yml)")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    arguments = parser.parse_args(argv)
    try:
        found = summarize_dataset(arguments.file, arguments.base_model)
    except (RecordError, TokenizerNotFound, ConfigError) as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        _show(found)
    return 1 if found.set_aside else 0


def _show(found: Summary) -> None:
    print(f"{counted(found.records, 'record')}, {found.tokens:,} tokens ({found.base_model}).")
    if found.records:
        print(
            f"Mean input {found.mean_input_tokens:,.1f} tokens, mean output {found.mean_output_tokens:,.1f} tokens,"
            f" longest record {found.longest_tokens:,} tokens."
        )
    if found.set_aside:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in found.set_aside.items())
        print(f"{counted(sum(found.set_aside.values()), 'line')} set aside: {reasons}.")
        for problem in found.problems:
            print(f"  {problem}")


if __name__ == "__main__":
    sys.exit(main())
