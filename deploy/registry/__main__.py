"""The registry of adapters: versions that never change, the gate before each promotion, and what is live.

`python -m deploy.registry register output/adapters/mayor`, then `evaluate`, `promote`, and `rollback` if it went wrong.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Callable, Sequence

from deploy.adapter import Refusal
from deploy.registry import Registry
from deploy.registry.options import parser
from deploy.registry.values import Promotion

BY = "cli"  # who promoted; a name of a user is nobody's business


def main(argv: Sequence[str] | None = None) -> int:
    """0 when it is done, 1 with a sentence for each reason why not."""
    options = parser((__doc__ or "").split("\n")[0]).parse_args(argv)
    try:
        with Registry.open(options.root) as registry:
            return COMMANDS[options.command](registry, options)
    except (Refusal, OSError, sqlite3.Error) as problem:
        for sentence in str(problem).splitlines():
            print(f"error: {sentence}", file=sys.stderr)
        return 1


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


COMMANDS: dict[str, Callable[[Registry, argparse.Namespace], int]] = {
    "register": run_register,
    "evaluate": run_evaluate,
    "promote": run_promote,
    "rollback": run_rollback,
    "list": run_list,
    "show": run_show,
    "lineage": run_lineage,
    "check": run_check,
}


if __name__ == "__main__":
    sys.exit(main())
