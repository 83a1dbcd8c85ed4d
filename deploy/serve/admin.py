"""What changes the gateway, and tells how it is: POST /admin/reload-model, POST /admin/rollback, GET /admin/status."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated, Any

import msgspec

from deploy.adapter import Refusal
from deploy.serve.access import Caller
from deploy.serve.chat import checked, read_json
from deploy.serve.errors import ApiError, clean
from deploy.serve.limits import Limits
from deploy.serve.metrics import Metrics
from deploy.serve.types import Change, Fleet, RoleState, Unavailable

Role = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Why = Annotated[str, msgspec.Meta(max_length=1000)]


class Reload(msgspec.Struct, forbid_unknown_fields=True):
    """Either role and version, or the folder of a registered version."""

    role: Role | None = None
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31)] | None = None
    model_path: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)] | None = None
    force: bool = False
    why: Why = ""


class Rollback(msgspec.Struct, forbid_unknown_fields=True):
    role: Role
    why: Why = ""


class Admin:
    """The three actions, for whoever was let in."""

    def __init__(self, fleet: Fleet, limits: Limits, metrics: Metrics, root: Path) -> None:
        self._fleet, self._limits, self._metrics, self._root = fleet, limits, metrics, root

    async def reload(self, body: bytes, caller: Caller) -> dict[str, Any]:
        """Makes a version live; raises `ApiError`: 409 with the reasons of the gate, the old one stays live then."""
        asked = checked(read_json(body), Reload)
        role, version = self._meant(asked)
        return await self._changed(self._fleet.reload(role, version, caller.name, asked.force, asked.why))

    async def rollback(self, body: bytes, caller: Caller) -> dict[str, Any]:
        """Back to the version before; raises `ApiError`."""
        asked = checked(read_json(body), Rollback)
        return await self._changed(self._fleet.rollback(asked.role, caller.name, asked.why))

    def status(self) -> dict[str, Any]:
        """What serves now, and how busy it is."""
        return {
            "ready": self._fleet.ready(),
            "roles": [self._shown(state) for state in self._fleet.state()],
            "under_way": self._limits.under_way,
            "waiting": self._limits.waiting,
        }

    def _shown(self, state: RoleState) -> dict[str, Any]:
        shown: dict[str, Any] = msgspec.to_builtins(state, enc_hook=dict)
        return shown | {
            "problem": clean(state.problem),
            "in_flight": {f"v{number}": count for number, count in state.in_flight.items()},
        }

    async def _changed(self, change: Awaitable[Change]) -> dict[str, Any]:
        try:
            done = await change
        except Refusal as refusal:
            raise ApiError(409, clean(str(refusal)), "refused") from None
        except Unavailable as unavailable:
            raise ApiError(503, clean(str(unavailable)), "unavailable", retry=unavailable.seconds) from None
        self._metrics.changed(done)
        return {
            "role": done.role,
            "version": done.version,
            "before": done.before,
            "seconds": round(done.seconds, 3),
            "kind": done.kind,
        }

    def _meant(self, asked: Reload) -> tuple[str, int]:
        """Role and version; raises `ApiError` 400."""
        by_name = asked.role is not None and asked.version is not None
        if by_name and asked.model_path is None:
            assert asked.role is not None and asked.version is not None
            return asked.role, asked.version
        if asked.model_path is None or asked.role is not None or asked.version is not None:
            raise ApiError(400, "Give either role and version, or model_path.", "invalid_value")
        return folder_of_version(self._root, asked.model_path)


def folder_of_version(root: Path, given: str) -> tuple[str, int]:
    """The role and version whose folder `given` is, after every link and `..` in it is followed; raises `ApiError` 400.

    Nothing else is ever loaded: a path is another name of a registered version, not a way to bring one in.
    """
    refused = ApiError(
        400,
        "model_path is no folder of a registered version. It looks like output/adapters/mayor/v3; "
        "register an adapter first (python -m deploy.registry register).",
        "invalid_value",
        "model_path",
    )
    try:
        parts = Path(given).resolve(strict=True).relative_to((root / "adapters").resolve()).parts
    except (OSError, ValueError, RuntimeError):
        raise refused from None
    if len(parts) != 2 or re.fullmatch(r"v[1-9]\d{0,8}", parts[1]) is None:
        raise refused
    return parts[0], int(parts[1][1:])
