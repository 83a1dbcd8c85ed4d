"""The names under which clients ask for a version: mayor, mayor@v3, gastown-mayor:latest, gastown-mayor:v3."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deploy.serve.types import UnknownModel


def names(role: str, live: int, served: Iterable[int], prefix: str) -> Iterator[tuple[str, tuple[str, int]]]:
    """Every name of a role with the version that it means; those with a version mean just that one."""
    for name in (role, f"{prefix}-{role}", f"{prefix}-{role}:latest"):
        yield name, (role, live)
    for number in served:
        for name in (f"{role}@v{number}", f"{role}@{number}", f"{prefix}-{role}:v{number}"):
            yield name, (role, number)


def unknown(model: str, served: Iterable[tuple[str, int]]) -> UnknownModel:
    """The sentence for a name that means nothing here; a registered version that is not served means nothing either."""
    there = [f"{role}@v{number}" for role, number in served]
    if not there:
        return UnknownModel("No model is served here yet. Promote one: python -m deploy.registry promote ROLE VERSION.")
    roles = dict.fromkeys(name.split("@")[0] for name in there)
    return UnknownModel(
        f"There is no model {model[:80]!r} here, only {', '.join((*roles, *there))}. "
        "Of each role the live version and the one before it are served."
    )
