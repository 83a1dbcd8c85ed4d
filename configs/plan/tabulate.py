"""Tables in docs/ that the plan computes: between two marks, written by a command, held by a test."""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from configs.files import write_text
from configs.strict_yaml import ConfigError


def run(
    command: str, description: str, file: Path, lines: Callable[[], Iterator[str]], arguments: list[str] | None
) -> int:
    """The command that prints a table, or puts it into `file` with --write."""
    parser = argparse.ArgumentParser(prog=f"python -m {command}", description=description)
    parser.add_argument("--write", action="store_true", help=f"put the table into {file}")
    options = parser.parse_args(arguments)
    try:
        table = "\n".join(lines())
        if options.write:
            write_text(file, with_table(file.read_text(encoding="utf-8"), command, table))
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"{command}: {file}: {error}", file=sys.stderr)
        return 1
    print(f"wrote {file}" if options.write else table)
    return 0


def with_table(text: str, command: str, table: str) -> str:
    """A document with the table of a command replaced. Raises `ValueError` when the marks are gone."""
    mark, stop = f"<!-- python -m {command} --write -->", "<!-- end -->"
    before, begin, rest = text.partition(mark)
    _, end, after = rest.partition(stop)
    if not (begin and end):
        raise ValueError(f"no lines `{mark}` and `{stop}` to put the table between.")
    return f"{before}{begin}\n{table}\n{end}{after}"
