"""The registry of adapters: versions that never change, the gate before each promotion, and what is live.

`python -m deploy.registry register output/adapters/mayor`, then `evaluate`, `promote`, and `rollback` if it went wrong.
"""

from __future__ import annotations

import argparse
import re
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deploy.adapter import Refusal
from deploy.registry import Registry
from deploy.registry.values import Promotion

BY = "cli"  # who promoted; a name of a user is nobody's business
VERSION = re.compile(r"@?v?([1-9][0-9]*)")


def main(argv: Sequence[str] | None = None) -> int:
    """0 when it is done, 1 with a sentence for each reason why not."""
    options = parser().parse_args(argv)
    try:
        with Registry.open(options.root) as registry:
            code: int = options.run(registry, options)
    except (Refusal, OSError, sqlite3.Error) as problem:
        for sentence in str(problem).splitlines():
            print(f"error: {sentence}", file=sys.stderr)
        return 1
    return code


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m deploy.registry", description=(__doc__ or "").split("\n")[0])
    _everywhere(result, root=Path("output"), json=False)
    commands = result.add_subparsers(required=True, metavar="COMMAND")
    _changing(commands)
    _telling(commands)
    return result


def _changing(commands: Any) -> None:
    register = _command(commands, "register", run_register, "an adapter as a version; it is copied and never changes")
    register.add_argument("adapter", type=Path, metavar="DIR", help="adapter folder, such as output/adapters/mayor")
    register.add_argument("--role", help="the role that it is for (default: the one whose rows it was trained on)")
    register.add_argument("--manifest", type=Path, metavar="FILE", help="manifest.json of the build it was trained on")
    evaluate = _command(commands, "evaluate", run_evaluate, "let eval.compare judge a version")
    _version(evaluate)
    evaluate.add_argument("base", type=Path, metavar="BASE", help="results of role_bench of the base: file or folder")
    evaluate.add_argument("results", type=Path, metavar="ADAPTER", help="results of role_bench of this very adapter")
    evaluate.add_argument("--margin", type=_share, help="loss that is still accepted, such as 0.05 (that of the gate)")
    promote = _command(commands, "promote", run_promote, "make a version live, if nothing speaks against it")
    _version(promote)
    promote.add_argument("--force", action="store_true", help="against the gate; needs --why, and both are recorded")
    promote.add_argument("--why", default="", metavar="TEXT", help="a reason for the history")
    rollback = _command(commands, "rollback", run_rollback, "back to the version that was live before")
    rollback.add_argument("role", metavar="ROLE")
    rollback.add_argument("--why", default="", metavar="TEXT", help="a reason for the history")


def _telling(commands: Any) -> None:
    listing = _command(commands, "list", run_list, "all versions, and which are live")
    listing.add_argument("role", nargs="?", metavar="ROLE", help="only of this role")
    show = _command(commands, "show", run_show, "one version; without one, the history of a role")
    show.add_argument("role", metavar="ROLE")
    show.add_argument("number", nargs="?", type=_number, metavar="VERSION", help="such as v3")
    lineage = _command(
        commands, "lineage", run_lineage, "from a version to its sessions, or from a session to versions"
    )
    lineage.add_argument("role", nargs="?", metavar="ROLE")
    lineage.add_argument(
        "number", nargs="?", type=_number, metavar="VERSION", help="such as v3 (default: the live one)"
    )
    lineage.add_argument("--session", metavar="ID", help="the versions that learned from this session")
    _command(commands, "check", run_check, "hold database and folders against each other, byte for byte")


def _command(
    commands: Any, name: str, run: Callable[[Registry, argparse.Namespace], int], words: str
) -> argparse.ArgumentParser:
    result: argparse.ArgumentParser = commands.add_parser(
        name, help=words, description=f"{words[0].upper()}{words[1:]}."
    )
    _everywhere(result, root=argparse.SUPPRESS, json=argparse.SUPPRESS)
    result.set_defaults(run=run)
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


def run_register(registry: Registry, options: argparse.Namespace) -> int:
    from deploy.registry.show import as_json, registered

    before = registry.find(options.adapter, options.role)
    version = registry.register(options.adapter, options.role, manifest=options.manifest)
    _say(options, lambda: as_json(version), lambda: print(registered(version, before)))
    return 0


def run_evaluate(registry: Registry, options: argparse.Namespace) -> int:
    """0 also where the gate says no: the judgement is done, and `promote` refuses."""
    from deploy.registry.show import about_evaluation, as_json

    registry.attach_evaluation(options.role, options.number, options.base, options.results, options.margin)
    version = registry.version(options.role, options.number)
    _say(options, lambda: as_json(version), lambda: print("\n".join(about_evaluation(version))))
    return 0


def run_promote(registry: Registry, options: argparse.Namespace) -> int:
    done = registry.promote(options.role, options.number, by=BY, force=options.force, why=options.why)
    return _promoted(options, done)


def run_rollback(registry: Registry, options: argparse.Namespace) -> int:
    return _promoted(options, registry.rollback(options.role, by=BY, why=options.why))


def _promoted(options: argparse.Namespace, done: Promotion) -> int:
    from deploy.registry.show import as_json, promoted

    _say(options, lambda: as_json(done), lambda: print(promoted(done)))
    for reason in done.overruled:
        print(f"warning: {reason}", file=sys.stderr)
    return 0


def run_list(registry: Registry, options: argparse.Namespace) -> int:
    from deploy.registry.show import as_json, listing

    roles = [role for role in registry.roles() if options.role in (None, role.role)]
    versions = registry.versions(options.role)
    _say(options, lambda: as_json({"roles": roles, "versions": versions}), lambda: listing(roles, versions))
    return 0


def run_show(registry: Registry, options: argparse.Namespace) -> int:
    from deploy.registry.show import as_json, history, version_page

    if options.number is None:
        done = registry.history(options.role)
        _say(options, lambda: as_json(done), lambda: history(options.role, done))
        return 0
    version, exports = registry.version(options.role, options.number), registry.exports(options.role, options.number)
    _say(options, lambda: as_json({"version": version, "exports": exports}), lambda: version_page(version, exports))
    return 0


def run_lineage(registry: Registry, options: argparse.Namespace) -> int:
    from deploy.registry.show import as_json, session_tree, version_tree

    if options.session is not None:
        versions, roles = registry.holding(options.session), registry.roles()
        _say(options, lambda: as_json(versions), lambda: session_tree(options.session, versions, roles))
        return 0
    if options.role is None:
        raise Refusal("lineage needs a role, or a session: lineage mayor v3, or lineage --session ID.")
    version = registry.version(options.role, options.number or registry.live(options.role))
    sessions = registry.sessions_of(version.role, version.number)
    told = {"version": version, "sessions": sessions}
    _say(options, lambda: as_json(told), lambda: version_tree(version, sessions, registry.root))
    return 0


def run_check(registry: Registry, options: argparse.Namespace) -> int:
    from deploy.registry.show import as_json

    found = registry.check()
    whole = f"{len(registry.versions())} of {len(registry.versions())} versions are as they were registered"
    _say(options, lambda: as_json(found), lambda: print("\n".join(found) or whole))
    return int(bool(found))


def _say(options: argparse.Namespace, told: Callable[[], str], shown: Callable[[], None]) -> None:
    print(told()) if options.json else shown()


if __name__ == "__main__":
    sys.exit(main())
