"""What the registry's commands print: tables and trees for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from deploy.registry.forgotten import forgotten_in
from deploy.registry.training import read_run
from deploy.registry.values import Export, Promotion, Rate, RoleVersions, Version
from deploy.registry.words import counted
from deploy.results import LEAST_FAMILIES

MANY = 20  # sessions of a tree; --json has all


def as_json(value: object) -> str:
    """One JSON value; dataclasses are objects, paths texts, and a version has its name."""
    return json.dumps(_plain(value), ensure_ascii=False, indent=1)


def _plain(value: Any) -> Any:
    if isinstance(value, Version):
        return {"name": value.name, **{key: _plain(part) for key, part in vars(value).items()}}
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def registered(version: Version, before: Version | None) -> str:
    """What `register` did."""
    if before == version:
        return f"this adapter is {version.name} already"
    known = f"; as {before.name} its sessions were not known" if before else ""
    unknown = "".join(f"\nnot known: {note}" for note in version.notes)
    return f"{version.name} is in {version.folder} ({len(version.files)} files, {version.sha256[:12]}{known}){unknown}"


def about_evaluation(version: Version) -> Iterator[str]:
    """The gate's answer in a line or more."""
    found = version.evaluation
    if found is None:
        yield f"{version.name} was never evaluated"
        return
    yield f"{version.name}: {found.outcome}{' (smoke)' if found.smoke else ''}"
    if found.base and found.adapter and found.difference:
        gained = points(found.difference)
        what = "" if found.measure == "role_bench" else " of the marks"
        sides = f"base {share(found.base)}, adapter {share(found.adapter)}"
        yield f"{found.about}: {sides}{what}, difference {gained} points"
    yield from found.reasons


def share(rate: Rate) -> str:
    """`60 % [31, 83]`, or `60 % too few` families for an interval"""
    interval = f"[{100 * rate.low:.0f}, {100 * rate.high:.0f}]" if rate.families >= LEAST_FAMILIES else "too few"
    return f"{100 * rate.value:.0f} % {interval}"


def points(rate: Rate) -> str:
    """`+41.2 [+10.0, +60.1]`, or `+41.2 too few`"""
    interval = f"[{100 * rate.low:+.1f}, {100 * rate.high:+.1f}]" if rate.families >= LEAST_FAMILIES else "too few"
    return f"{100 * rate.value:+.1f} {interval}"


def promoted(done: Promotion) -> str:
    """What is live now."""
    before = "" if done.before is None else f", before it v{done.before}"
    against = f", against {counted(len(done.overruled), 'reason')}" if done.forced else ""
    return f"{done.role}@v{done.number} is live{before}{against}"


def listing(roles: Sequence[RoleVersions], versions: Sequence[Version]) -> None:
    """All versions as a table."""
    if not versions:
        print("no versions yet: python -m deploy.registry register output/adapters/mayor")
        return
    table = Table("version", "", "base [95 %]", "adapter [95 %]", "points [95 %]", "gate", "registered", box=None)
    for version in versions:
        table.add_row(version.name, state(version, roles), *rates(version), version.registered_at[:10])
    wide_console().print(table)


def wide_console() -> Console:
    """Wide enough for a row of a table; a narrow terminal wraps it."""
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, 120)
    return console


def state(version: Version, roles: Sequence[RoleVersions]) -> str:
    """`live`, `previous` or nothing."""
    (role,) = (role for role in roles if role.role == version.role)
    return {role.previous: "previous", role.live: "live"}.get(version.number, "")


def rates(version: Version) -> tuple[str, str, str, str]:
    """Rates of base and adapter, their difference, and the gate's word."""
    found = version.evaluation
    if found is None:
        return "", "", "", "not evaluated"
    if not (found.base and found.adapter and found.difference):
        return "", "", "", found.outcome
    return share(found.base), share(found.adapter), points(found.difference), found.outcome


def history(role: str, done: Sequence[Promotion]) -> None:
    """What was live of a role, the newest last."""
    if not done:
        print(f"nothing of {role} was ever live: python -m deploy.registry promote {role} v1")
        return
    table = Table("when", "what", "version", "before", "by", "why", box=None)
    for one in done:
        before = "" if one.before is None else f"v{one.before}"
        why = " | ".join(filter(None, (one.why, *(f"overruled: {reason}" for reason in one.overruled))))
        table.add_row(one.promoted_at[:19], one.kind, f"v{one.number}", before, one.by, why)
    wide_console().print(table)


def version_page(version: Version, exports: Mapping[str, Export]) -> None:
    """All that is known of a version."""
    facts = {
        "folder": version.folder,
        "training": version.run,
        "base model": version.base_model,
        "its revision": version.base_revision or "not recorded",
        "adapter": version.sha256,
        "manifest": version.manifest_sha256 or "not recorded",
        "registered": version.registered_at,
        **{f"not known {place}": note for place, note in enumerate(version.notes, 1)},
    }
    print(f"{version.name}\n" + "\n".join(f"  {key:<14}{value}" for key, value in facts.items()))
    print("gate\n" + "\n".join(f"  {line}" for line in about_evaluation(version)))
    print("files\n" + "\n".join(f"  {digest}  {name}" for name, digest in sorted(version.files.items())))
    for export in exports.values():
        print(f"export {export.kind}\n  {export.sha256}  {export.path} ({export.size:,} bytes)")


def version_tree(version: Version, sessions: Mapping[str, int], root: Path) -> None:
    """Adapter, training, manifest, sessions."""
    tree = Tree(f"{version.name}  adapter {version.sha256[:12]}")
    run = read_run(version.folder)
    when = f", finished {run.finished_at[:19]}" if run else ""
    training = tree.add(f"training {version.run} on {version.base_model}{when}")
    for rows in run.data if run else ():
        training.add(f"{rows.path}  sha256 {rows.sha256[:12]}")
    known = version.manifest_sha256
    manifest = training.add(f"manifest {known[:12]}" if known else "no manifest is recorded")
    gone = forgotten_in(root, sessions, ())
    for name in sorted(sessions, key=lambda name: (name not in gone, name))[:MANY]:
        manifest.add(f"{name}  {counted(sessions[name], 'row')}{'  FORGOTTEN' if name in gone else ''}")
    if len(sessions) > MANY:
        manifest.add(f"and {len(sessions) - MANY} more sessions (--json has all)")
    for note in version.notes:
        manifest.add(f"not known: {note}")
    _print_tree(tree)


def session_tree(session: str, versions: Sequence[Version], roles: Sequence[RoleVersions]) -> None:
    """Session, versions, and whether they are live."""
    if not versions:
        print(f"no version learned from {session}")
        return
    tree = Tree(f"session {session}")
    for version in versions:
        tree.add(f"{version.name}  {state(version, roles) or 'not live'}  {version.folder}")
    _print_tree(tree)


def _print_tree(tree: Tree) -> None:
    """As wide as its paths are: the tree would break them in the middle."""
    with (console := Console(highlight=False, markup=False, width=1000)).capture() as drawn:
        console.print(tree)
    print("\n".join(line.rstrip() for line in drawn.get().splitlines()))
