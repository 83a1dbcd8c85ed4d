"""What is served, as clients may see it: GET /v1/models, /v1/models/NAME and /v1/domains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.serve.access import Caller
from deploy.serve.errors import ApiError
from deploy.serve.names import NO_PACKS, names
from deploy.serve.types import Fleet, RoleState

OWNER = "lora-forge"


def models(
    fleet: Fleet, prefix: str, caller: Caller, started: int, packs: Mapping[str, str] = NO_PACKS
) -> list[dict[str, Any]]:
    """Every name that the caller may use as `model`, with the version that it means; `started` in Unix seconds."""
    return [
        {
            "id": name,
            "object": "model",
            "created": started,
            "owned_by": OWNER,
            "role": role,
            "version": version,
        }
        for state in visible(fleet, caller)
        if state.live is not None
        for name, (role, version) in names(state.role, state.live, answering(state), prefix, packs)
    ]


def model(
    fleet: Fleet, prefix: str, caller: Caller, started: int, name: str, packs: Mapping[str, str] = NO_PACKS
) -> dict[str, Any]:
    """One of them; raises `ApiError` 404."""
    for found in models(fleet, prefix, caller, started, packs):
        if found["id"] == name:
            return found
    raise ApiError(404, f"There is no model {name[:80]!r} for you here.", "model_not_found", "model")


def domains(fleet: Fleet, caller: Caller) -> list[dict[str, Any]]:
    """The roles with their live and previous versions."""
    return [
        {"role": state.role, "live": state.live, "previous": state.previous, "versions": answering(state)}
        for state in visible(fleet, caller)
    ]


def visible(fleet: Fleet, caller: Caller) -> Iterator[RoleState]:
    return (state for state in fleet.state() if caller.may_use(state.role))


def answering(state: RoleState) -> list[int]:
    """The versions that take new requests, the live one first."""
    found = (state.live, state.previous)
    return [number for number in found if number is not None and number in state.loaded]
