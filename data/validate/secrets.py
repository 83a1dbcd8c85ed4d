"""The second look for secrets: finished rows, by another scanner than the one that redacted them.

`python -m data.validate.secrets FOLDER` prints `file:line: kind` for each finding, never the value, and fails if
there is one. The patterns are those of detect-secrets; hyperscan runs them all in one pass (0.3 GB/s), and
only where one may match does the pattern itself, and then a judge, have the last word.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from data.config import ConfigError, load_config
from data.lenient_json import strings
from data.transform.redact_judge import is_placeholder
from data.validate.rows import DatasetError, dataset_files, read_lines
from data.validate.secret_judges import JUDGES, Judge, always, is_assigned_secret
from data.validate.secret_patterns import KEYWORD, sources

if TYPE_CHECKING:
    from hyperscan import Database

_LINE = 1200  # characters; a name and a value, which has 500 at most, fit into half of it
_MARK = re.compile(r"\[SECRET:[a-z0-9.-]+:[0-9a-f]{4}\]")


class Finding(msgspec.Struct, frozen=True):
    """Where a text looks like a secret: characters `start` to `end`. The value itself is nowhere in it.

    Where the value stands in the text only with escapes, the place is the whole text.
    """

    kind: str
    text_index: int
    start: int
    end: int


class Pattern(msgspec.Struct, frozen=True):
    """One pattern of a kind. `group` is its group with the value, `by_line` that it may not see across lines."""

    kind: str
    regex: re.Pattern[str]
    group: int
    judge: Judge
    by_line: bool = False


def findings(texts: Sequence[str], allow: Sequence[str] = ()) -> list[Finding]:
    """Everything in the texts that looks like a secret, in order of text and place.

    `allow` are regular expressions of values that are known to be none.
    """
    if not possible("\n".join(texts)):
        return []
    return [finding for index, text in enumerate(texts) for finding in _confirm(index, text, possible(text), allow)]


def describe(finding: Finding, row: str) -> str:
    """The sentence that a person gets: where it is, what it looks like, and what to do."""
    return (
        f"row {row}, message {finding.text_index}, characters {finding.start} to {finding.end}: looks like a secret"
        f" ({finding.kind}) that redaction missed. Put the value into the file that redact.literals names; if it is"
        " no secret, put a regular expression for it into audit.allow."
    )


def possible(text: str) -> list[Pattern]:
    """The patterns that may match in a text: nearly always none."""
    database, every = _engine()
    hits: set[int] = set()
    # Without its backslashes, text inside JSON reads as it did before: `\\"` is a quote again.
    plain = text.encode("utf-8", "replace").translate(None, b"\\")
    database.scan(plain, match_event_handler=lambda hit, *_: hits.add(hit))
    return [every[hit] for hit in sorted(hits)]


@cache
def _engine() -> tuple[Database, tuple[Pattern, ...]]:
    """All patterns, and the compiled database that says which of them may match: 0.3 s, once in a process."""
    import hyperscan

    every = patterns()
    # A prefilter may say yes too often, never too seldom.
    flags = hyperscan.HS_FLAG_PREFILTER | hyperscan.HS_FLAG_SINGLEMATCH
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[_loose(pattern.regex.pattern).encode() for pattern in every],
        ids=list(range(len(every))),
        elements=len(every),
        flags=[flags | (hyperscan.HS_FLAG_CASELESS if p.regex.flags & re.IGNORECASE else 0) for p in every],
    )
    return database, every


@cache
def patterns() -> tuple[Pattern, ...]:
    """The scanner's patterns with their judges, by kind."""
    return tuple(
        Pattern(
            source.kind,
            source.compile(),
            source.group,
            is_assigned_secret if source.kind == KEYWORD else JUDGES.get(source.kind, always),
            source.by_line,
        )
        for source in sources()
    )


def _loose(pattern: str) -> str:
    r"""The pattern for the prefilter: the `n` of what was `\n` may stand where it wants a boundary."""
    return pattern.replace(r'(?:\s|=|:|"|^)', "").replace(r'(?:\s|"|$)', "")


def plain_text(text: str) -> str:
    r"""The text as it was before it stood in JSON: `\"` is a quote again, `\n` an end of line; marks are stars."""
    if "\\\\" in text:
        text = text.replace("\\\\n", "\n").replace("\\\\", "")
    if "\\" in text:
        text = text.replace('\\"', '"').replace("\\n", "\n")
    return _MARK.sub(lambda mark: "*" * len(mark[0]), text) if "[SECRET:" in text else text


def _lines(text: str) -> Iterator[str]:
    """The lines of a text; a long one in pieces that overlap, because these patterns take the square of its length."""
    for line in text.splitlines():
        if len(line) <= _LINE:
            yield line
        else:
            yield from (line[at : at + _LINE] for at in range(0, len(line), _LINE // 2))


def _confirm(index: int, text: str, likely: Sequence[Pattern], allow: Sequence[str]) -> list[Finding]:
    found = set()
    plain = plain_text(text)
    for pattern in likely:
        for part in _lines(plain) if pattern.by_line else [plain]:
            for match in pattern.regex.finditer(part):
                value = match[pattern.group]
                if is_placeholder(value.encode("utf-8", "replace")) or any(
                    re.fullmatch(known, value) for known in allow
                ):
                    continue
                if pattern.judge(match, value):
                    found.add((max(text.find(value), 0), len(value) if value in text else len(text), pattern.kind))
    return [Finding(kind, index, start, start + size) for start, size, kind in sorted(found)]


def _strings_of_line(raw: bytes) -> list[str]:
    """Every string of a row; the line itself where it is no JSON."""
    try:
        return list(strings(msgspec.json.decode(raw)))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return [raw.decode("utf-8", "replace")]


def check_folder(folder: Path, allow: Sequence[str] = ()) -> Iterator[str]:
    """`file:line: kind` for each finding in the rows of a dataset. Raises DatasetError where it cannot be read."""
    for path in dataset_files(folder):
        for number, raw in read_lines(path):
            for kind in sorted({finding.kind for finding in findings(_strings_of_line(raw), allow)}):
                yield f"{path}:{number}: {kind}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data.validate.secrets", description="Look for secrets in rows.")
    parser.add_argument("folder", type=Path, help="a dataset folder, or one of its files")
    parser.add_argument("--config", type=Path, default=Path("configs/data.yml"), help="whose audit.allow counts")
    options = parser.parse_args(arguments)
    count = 0
    try:
        for finding in check_folder(options.folder, load_config(options.config).audit.allow):
            print(finding)
            count += 1
    except (ConfigError, DatasetError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{count} findings" if count else "no finding", file=sys.stderr)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
