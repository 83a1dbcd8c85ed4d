"""The options of `python -m scripts.loop`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts.loop.errors import BadInput
from scripts.loop.plan import NOBODY, REPOSITORY, Asked
from scripts.loop.settings import DEFAULT


def parser(description: str) -> argparse.ArgumentParser:
    """The command line; `command` and, for auto, `action` say what is wanted."""
    result = argparse.ArgumentParser(prog="python -m scripts.loop", description=description)
    commands = result.add_subparsers(dest="command", required=True, metavar="COMMAND")
    once = commands.add_parser("iterate", help="one round", description="One round: eval, examples, train, gate.")
    once.add_argument("role", help="a town role such as mayor, or a pack")
    once.add_argument("--fresh", action="store_true", help="give an unfinished round up and begin a new one")
    once.add_argument("--dry-run", action="store_true", help="print the steps and their commands, and stop")
    _round(once)
    auto = commands.add_parser("auto", help="rounds on thresholds", description="Rounds on thresholds, one at a time.")
    actions = auto.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, words in (("start", "in the background"), ("run", "in the foreground, for systemd and the like")):
        action = actions.add_parser(name, help=words, description=f"Makes rounds on thresholds, {words}.")
        action.add_argument("role", nargs="+", help="town roles or packs, each with its usual config")
        _round(action)
        _json(action)
    stop = actions.add_parser("stop", help="ask it to end", description="Asks auto to end after the running step.")
    stop.add_argument("--now", action="store_true", help="end the running step too; the round goes on another time")
    _root(stop)
    _json(stop)
    status = actions.add_parser("status", help="how it is", description="What auto does, and why.")
    _root(status)
    _json(status)
    return result


def _json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print one JSON value, for programs")


def _root(command: argparse.ArgumentParser) -> None:
    command.add_argument("--root", type=Path, default=Path("output"), metavar="DIR", help="default: output")


def _round(command: argparse.ArgumentParser) -> None:
    _root(command)
    command.add_argument("--loop", type=Path, default=DEFAULT, metavar="FILE", help=f"default: {DEFAULT}")
    command.add_argument("--config", type=Path, metavar="FILE", help="data config or pack (default: that of the role)")
    files = "folder with the datasets (default: ROOT, of a pack ROOT/packs/ROLE)"
    command.add_argument("--files", type=Path, metavar="DIR", help=files)
    command.add_argument("--base-model", default="", metavar="MODEL", help="default: the one of the config")
    command.add_argument("--scenarios", type=Path, metavar="DIR", help="scenarios of a town role")
    command.add_argument("--tasks", type=Path, metavar="FILE", help="tasks of a pack")
    command.add_argument("--sessions", type=Path, metavar="DIR", help="transcripts or vault, for the build")
    overrides = "of the recipe, as in scripts/train.sh; may be repeated"
    command.add_argument("--with", dest="overrides", action="append", default=[], metavar="OVERRIDE", help=overrides)
    command.add_argument("--strong", default="", metavar="URL#MODEL", help=f"the stronger model, or {NOBODY}")
    command.add_argument("--margin", type=float, help="loss against the base that is still accepted, such as 0.05")
    command.add_argument("--samples", type=int, help="runs of each scenario")


def asked_for(options: argparse.Namespace, role: str) -> Asked:
    """What the options ask for a role, with paths as they are seen from the repository."""
    return Asked(
        role=role,
        root=from_repository(options.root),
        config=options.config and from_repository(options.config),
        files=options.files and from_repository(options.files),
        base_model=_model(options.base_model),
        scenarios=options.scenarios and from_repository(options.scenarios),
        tasks=options.tasks and from_repository(options.tasks),
        sessions=options.sessions and from_repository(options.sessions),
        overrides=tuple(_override(name) for name in options.overrides),
        strong=options.strong,
        margin=options.margin,
        samples=options.samples,
    )


def from_repository(path: Path) -> Path:
    """A path that means the same file in the repository's folder, where the commands run."""
    whole = path.expanduser().resolve()
    return whole.relative_to(REPOSITORY) if whole.is_relative_to(REPOSITORY) else whole


def _model(name: str) -> str:
    """A base model: a folder that is there, or a name of the Hub."""
    return str(from_repository(Path(name))) if name and Path(name).is_dir() else name


def _override(name: str) -> str:
    return str(from_repository(Path(name))) if name.endswith((".yml", ".yaml")) else name


def words_of(asked: Sequence[Asked], loop: Path) -> list[str]:
    """The command line of `auto run` that asks for this. Raises `BadInput` where several roles share what is one's."""
    first = asked[0]
    own = {"--config": first.config, "--files": first.files, "--tasks": first.tasks}
    if len(asked) > 1 and (given := [option for option, value in own.items() if value]):
        raise BadInput(f"{given[0]} is of one role; start auto with that role alone, or without it.")
    values = own | {
        "--root": first.root, "--loop": loop, "--base-model": first.base_model, "--scenarios": first.scenarios,
        "--sessions": first.sessions, "--strong": first.strong, "--margin": first.margin, "--samples": first.samples,
    }  # fmt: skip
    words = [word for option, value in values.items() if value not in (None, "") for word in (option, str(value))]
    return [*(one.role for one in asked), *words, *(word for name in first.overrides for word in ("--with", name))]
