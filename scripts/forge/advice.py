"""The command that comes next, from what is there."""

from __future__ import annotations

from scripts.forge.places import packs, roles
from scripts.forge.state import Dataset, Status


def next_step(found: Status) -> str:
    """One command with the reason, in the order in which an adapter is made."""
    if not found.datasets:
        return "forge data, which makes rows from your transcripts (the invented sample town where there are none)"
    role = role_to_train(found.datasets)
    if running := [run for run in found.runs if run.state in ("running", "starting")]:
        return f"forge runs, while {running[0].name} is being trained"
    ended = [run.pack or run.name for run in found.runs if run.state.startswith(("done", "stopped early"))]
    done = [name for name in dict.fromkeys(ended) if name in (*roles(), *packs())]
    if not done and not found.versions:
        return f"forge train {role}, the role with most rows (forge plan {role} says what that needs)"
    scored = {score.name for score in found.scores}
    if unscored := [name for name in done if name not in scored and not has_version(found, name)]:
        return f"forge eval {unscored[0]}, whether the adapter is better than its base"
    if unregistered := [name for name in done if not has_version(found, name)]:
        return f"forge register {unregistered[0]}, which makes it a version that can be served"
    for version in found.versions:
        if not version.live and version.gate == "passed":
            return f"forge promote {version.role} {version.newest}, which passed the gate"
        if not version.live and version.gate == "not evaluated":
            return f"forge gate {version.role} {version.newest}, by the results of forge eval {version.role}"
    if any(version.live for version in found.versions):
        return "forge serve, which answers with every live version"
    weak = found.versions[0].role if found.versions else role
    return f"forge iterate {weak}, a round that adds examples where it is weakest"


def has_version(found: Status, name: str) -> bool:
    return any(version.role == name for version in found.versions)


def role_to_train(datasets: list[Dataset]) -> str:
    """The role, or the pack, with most rows; `unknown` has no recipe."""
    first = datasets[0]
    if first.name != "roles":
        return first.name
    return max(roles(), key=lambda role: (first.roles.get(role, 0), role == "mayor"))
