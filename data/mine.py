"""Writes the merged changes of git repositories as question and answer pairs, redacted, for the source `qna`.

python -m data.mine ~/src/petals --out output/mined/coding.jsonl --since 2025-01-01 --limit 200

What stands in the file stays; a pair that is there is not written again. The newest changes come first.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import msgspec

from data.config import ConfigError, DataConfig, PullsConfig, load_config
from data.counted import counted
from data.extract import pulls
from data.extract.pulls_changes import Reason
from data.extract.qna_lines import Found, Pair, pairs
from data.extract.unit import SourceError
from data.lines import alone, replacing
from data.record import Assistant, Conversation, Drop, User
from data.stage import Outcome

FOLDER = Path("output/mined")
SECRET = "looks like a secret after redaction"
KNOWN = "in the file already"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    out: Path = arguments.out or FOLDER / f"{arguments.repos[0].resolve().name.removesuffix('.git')}.jsonl"
    try:
        config = load_config(arguments.config)
        settings = _settings(config, arguments.branch)
        units = [unit for repo in arguments.repos for unit in pulls.units(repo.expanduser(), "", settings)]
        outcomes = (item for unit in units for item in pulls.read(unit, arguments.since))
        with alone(out):
            fates, lines = _write(out, outcomes, config, arguments.limit)
    except (ConfigError, SourceError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or out}: {error.strerror}. Nothing was written.", file=sys.stderr)
        return 1
    _close(out, len(arguments.repos), fates, lines)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data.mine", description=__doc__)
    parser.add_argument("repos", nargs="+", type=Path, metavar="REPO", help="a git repository, or a folder of them")
    parser.add_argument("--out", type=Path, help=f"file of pairs (default {FOLDER}/NAME.jsonl of the first REPO)")
    parser.add_argument("--limit", type=_positive, help="write at most N new pairs")
    parser.add_argument("--since", type=_moment, default=0, metavar="DATE", help="changes of this day (UTC) or later")
    parser.add_argument("--branch", default="", help="instead of the one that is checked out")
    parser.add_argument("--config", type=Path, default=Path("configs/data.yml"), help="for redact, audit and pulls")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of pairs: give 1 or more")
    return int(text)


def _moment(text: str) -> int:
    """Seconds since 1970 of a date."""
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no date: write it as 2025-12-31") from None


def _settings(config: DataConfig, branch: str) -> PullsConfig:
    """Those of the configuration's first source of merged changes, if it has one."""
    found = next((source.pulls for source in config.sources if source.kind == "pulls"), PullsConfig())
    return msgspec.structs.replace(found, branch=branch or found.branch)


def _write(out: Path, outcomes: Iterator[Outcome], config: DataConfig, limit: int | None) -> tuple[Counter[str], int]:
    """Add what is new to the file. How many records had which fate, and how many lines the file then has."""
    fates: Counter[str] = Counter()
    known = {_digest(item.pair) for item in pairs(out) if isinstance(item, Found)} if out.exists() else set()
    new = _new(outcomes, _cleaner(config), known, fates)
    first = next(new, None)
    if first is None:
        return fates, _lines_of(out)
    with replacing(out) as file:
        _copy(out, file)
        while first:
            file.write(msgspec.json.encode(first) + b"\n")
            first = next(new, None) if limit is None or fates["used"] < limit else None
    return fates, _lines_of(out)


def _new(
    outcomes: Iterator[Outcome], clean: Callable[[Conversation], Pair | None], known: set[bytes], fates: Counter[str]
) -> Iterator[Pair]:
    """The pairs that are not known, each counted as it is given, as is everything else."""
    for item in outcomes:
        if isinstance(item, Drop):
            if item.reason != "used":
                fates[item.reason] += item.records
            if item.reason in (Reason.UNREADABLE, Reason.BROKEN_EXPORT):  # somebody can do something about these
                print(f"{item.file}: {item.detail}", file=sys.stderr)
            continue
        pair = clean(item)
        if pair is None or _digest(pair) in known:
            fates[KNOWN if pair else SECRET] += 1
            continue
        known.add(_digest(pair))
        fates["used"] += 1
        yield pair


def _cleaner(config: DataConfig) -> Callable[[Conversation], Pair | None]:
    """Makes a redacted pair, or none where another scanner still finds what looks like a secret."""
    from data.transform.redactor import redactor
    from data.validate.secrets import findings

    redact = redactor(config.redact)

    def clean(conversation: Conversation) -> Pair | None:
        (safe,) = redact(conversation)
        assert isinstance(safe, Conversation)
        asked, told = safe.messages
        assert isinstance(asked, User) and isinstance(told, Assistant)
        about = safe.about | {"session_id": safe.origin.session, "source": safe.origin.source}
        return (
            None
            if findings([asked.text, told.text, *about.values()], config.audit.allow)
            else Pair(asked.text, told.text, about)
        )

    return clean


def _digest(pair: Pair) -> bytes:
    return blake2b(f"{pair.input}\0{pair.output}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _copy(path: Path, file: BinaryIO) -> None:
    """What stands in the file so far, with a line break at the end."""
    if not path.exists():
        return
    last = b"\n"
    with path.open("rb") as old:
        while block := old.read(1 << 20):
            file.write(block)
            last = block
    if not last.endswith(b"\n"):
        file.write(b"\n")


def _lines_of(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _close(out: Path, repositories: int, fates: Counter[str], lines: int) -> None:
    made = fates.pop("used", 0)
    left = ", ".join(f"{number} {reason}" for reason, number in fates.most_common())
    print(f"{counted(made, 'new pair')} from {counted(repositories, 'path')}{f' (left out: {left})' if left else ''}.")
    print(f"{out} holds {counted(lines, 'line')}." if lines else f"Nothing was written to {out}.")


if __name__ == "__main__":
    sys.exit(main())
