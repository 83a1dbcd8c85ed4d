"""The names under which clients ask for a version: mayor, mayor@v3, gastown-mayor:latest, gastown-mayor:v3.

A pack has a name of its own in place of gastown-mayor: companion:latest, forge-legal:v3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from deploy.serve.types import UnknownModel

NO_PACKS: Mapping[str, str] = {}


def names(
    role: str, live: int, served: Iterable[int], prefix: str, packs: Mapping[str, str] = NO_PACKS
) -> Iterator[tuple[str, tuple[str, int]]]:
    """Every name of a role with the version that it means; those with a version mean just that one.

    `packs` are the names of models by role; the others are called by `prefix` and role.
    """
    called = packs.get(role, f"{prefix}-{role}")
    for name in dict.fromkeys((role, called, f"{called}:latest")):
        yield name, (role, live)
    for number in served:
        for name in (f"{role}@v{number}", f"{role}@{number}", f"{called}:v{number}"):
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
