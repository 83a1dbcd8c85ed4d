"""The options of the registry's commands."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

VERSION = re.compile(r"@?v?([1-9][0-9]*)")


def parser(description: str) -> argparse.ArgumentParser:
    """The command line; `command` of its result is the name of the one to run."""
    result = argparse.ArgumentParser(prog="python -m deploy.registry", description=description)
    _everywhere(result, root=Path("output"), json=False)
    commands = result.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _changing(commands)
    _telling(commands)
    return result


def _changing(commands: Any) -> None:
    register = _command(commands, "register", "an adapter as a version; it is copied and never changes")
    register.add_argument("adapter", type=Path, metavar="DIR", help="adapter folder, such as output/adapters/mayor")
    register.add_argument("--role", help="the role that it is for (default: the one whose rows it was trained on)")
    register.add_argument("--manifest", type=Path, metavar="FILE", help="manifest.json of the build it was trained on")
    evaluate = _command(
        commands, "evaluate", "let the evaluation judge a version: eval.compare, or eval.rubric_compare"
    )
    _version(evaluate)
    evaluate.add_argument(
        "base", type=Path, metavar="BASE", help="results of the base, of role_bench or of the rubric: file or folder"
    )
    evaluate.add_argument(
        "results", type=Path, metavar="ADAPTER", help="results of this very adapter, of the same kind"
    )
    evaluate.add_argument("--margin", type=_share, help="loss that is still accepted, such as 0.05 (that of the gate)")
    promote = _command(commands, "promote", "make a version live, if nothing speaks against it")
    _version(promote)
    promote.add_argument("--force", action="store_true", help="against the gate; needs --why, and both are recorded")
    promote.add_argument("--why", default="", metavar="TEXT", help="a reason for the history")
    rollback = _command(commands, "rollback", "back to the version that was live before")
    rollback.add_argument("role", metavar="ROLE")
    rollback.add_argument("--why", default="", metavar="TEXT", help="a reason for the history")


def _telling(commands: Any) -> None:
    listing = _command(commands, "list", "all versions, and which are live")
    listing.add_argument("role", nargs="?", metavar="ROLE", help="only of this role")
    show = _command(commands, "show", "one version; without one, the history of a role")
    show.add_argument("role", metavar="ROLE")
    show.add_argument("number", nargs="?", type=_number, metavar="VERSION", help="such as v3")
    lineage = _command(commands, "lineage", "from a version to its sessions, or from a session to versions")
    lineage.add_argument("role", nargs="?", metavar="ROLE")
    lineage.add_argument(
        "number", nargs="?", type=_number, metavar="VERSION", help="such as v3 (default: the live one)"
    )
    lineage.add_argument("--session", metavar="ID", help="the versions that learned from this session")
    _command(commands, "check", "hold database and folders against each other, byte for byte")


def _command(commands: Any, name: str, words: str) -> argparse.ArgumentParser:
    result: argparse.ArgumentParser = commands.add_parser(
        name, help=words, description=f"{words[0].upper()}{words[1:]}."
    )
    _everywhere(result, root=argparse.SUPPRESS, json=argparse.SUPPRESS)
    return result


def _everywhere(command: argparse.ArgumentParser, root: Any, json: Any) -> None:
    """What may stand before or behind the name of a command."""
    command.add_argument("--root", type=Path, default=root, help="the output folder (default: output)")
    command.add_argument("--json", action="store_true", default=json, help="print one JSON value, for programs")


def _version(command: argparse.ArgumentParser) -> None:
    command.add_argument("role", metavar="ROLE")
    command.add_argument("number", type=_number, metavar="VERSION", help="such as v3")


def _number(text: str) -> int:
    match = VERSION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text} is not a version; write v3 or 3")
    return int(match[1])


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not in 0..1; 0.05 accepts a loss of five points")
    return value
