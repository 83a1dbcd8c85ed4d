"""Packs: `python -m configs.pack list`, `show NAME`, `check [NAME...]`, `import FILE.json`.

A name is that of a file in configs/packs, or the path of a pack elsewhere. `check` tells everything that is wrong at
once; `import` makes a pack of a domain written as JSON and says what has no counterpart. docs/packs.md adds one from
nothing.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from configs.files import PACKS, shown
from configs.pack.layer import pack_file, pack_names
from configs.strict_yaml import ConfigError


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except ConfigError as error:
        if options.json:
            print(json.dumps({"problems": error.problems}))
        print(*error.problems, sep="\n", file=sys.stderr)
    except OSError as error:
        print(f"pack: {error.filename}: {error.strerror}.", file=sys.stderr)
    return 1


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m configs.pack", description=(__doc__ or "").splitlines()[0])
    commands = result.add_subparsers(required=True, metavar="COMMAND")
    known = f"{', '.join(pack_names())}, or the path of a .yml file"
    add(commands, "list", list_packs, "the packs of the repository")
    several = add(commands, "check", check_packs, "everything that is wrong with packs")
    several.add_argument("packs", nargs="*", metavar="PACK", help=f"{known} (default: all)")
    add(commands, "show", show_pack, "what a pack is, and its commands").add_argument(
        "pack", metavar="PACK", help=known
    )
    imported = add(commands, "import", import_pack, "make a pack of a domain's JSON")
    imported.add_argument("file", type=Path, metavar="FILE.json")
    imported.add_argument("--to", type=Path, default=PACKS, metavar="DIR", help="where the pack is put (configs/packs)")
    imported.add_argument("--base-model", default="", metavar="ID", help="in place of the one that the domain names")
    imported.add_argument("--tasks", default="", metavar="FILE", help="the rubric's tasks (eval/domains/ID.jsonl)")
    imported.add_argument("--force", action="store_true", help="replace a pack of the same name")
    return result


def add(commands: Any, name: str, run: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=about, description=f"{about.capitalize()}.")
    command.add_argument("--json", action="store_true", help="for machines")
    command.set_defaults(run=run)
    return command


def list_packs(options: argparse.Namespace) -> int:
    from configs.pack.check import problems_of_packs
    from configs.pack.show import print_listing, summary

    problems = {file: problems_of_packs([file]) for file in files_of([])}
    packs = [summary(file) for file, found in problems.items() if not found]
    if options.json:
        print(json.dumps(packs))
    else:
        print_listing(packs)
    wrong = [problem for found in problems.values() for problem in found]
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


def show_pack(options: argparse.Namespace) -> int:
    from configs.pack.show import description, summary

    (file,) = good(files_of([options.pack]))
    pack = summary(file)
    print(json.dumps(pack) if options.json else "\n".join(description(pack)))
    return 0


def check_packs(options: argparse.Namespace) -> int:
    files = good(files_of(options.packs))
    if options.json:
        print(json.dumps({"problems": [], "packs": [file.stem for file in files]}))
    else:
        print(f"{len(files)} packs are right: {', '.join(file.stem for file in files)}.")
    return 0


def import_pack(options: argparse.Namespace) -> int:
    from configs.pack.domain_import import import_domain

    tasks = str(Path(options.tasks).resolve()) if options.tasks else ""
    file, notes = import_domain(options.file, options.to, options.base_model, tasks, options.force)
    if options.json:
        print(json.dumps({"file": str(shown(file)), "notes": notes}))
    else:
        name = file.stem if file == pack_file(file.stem) else shown(file)
        print(*notes, f"Wrote {shown(file)}. Look at it: python -m configs.pack show {name}", sep="\n")
    return 0


def files_of(packs: Sequence[str]) -> list[Path]:
    """The files of packs by name or path; all of the repository where none is named. Raises `ConfigError`."""
    found = {name: pack_file(name) for name in packs or pack_names()}
    if unknown := [name for name, file in found.items() if file is None]:
        raise ConfigError(
            f"There is no pack `{name}`. There are {', '.join(pack_names())}, or give the path of a .yml file."
            for name in unknown
        )
    return [file for file in found.values() if file is not None]


def good(files: list[Path]) -> list[Path]:
    """The files, if nothing is wrong with any of them. Raises `ConfigError`."""
    from configs.pack.check import problems_of_packs

    if problems := problems_of_packs(files):
        raise ConfigError(problems)
    return files


if __name__ == "__main__":
    sys.exit(main())
