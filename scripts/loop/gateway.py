"""Tells a running gateway that a version is live: POST /admin/reload-model, with the key from FORGE_KEY."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request

SECONDS = 120  # the engine loads a model


def reload(address: str, role: str, version: int) -> str:
    """What came of it, as a sentence. The version is live in the registry whatever the gateway says."""
    if not address:
        return "No gateway is configured, so none was told."
    body = json.dumps({"role": role, "version": version}).encode()
    request = urllib.request.Request(
        f"{address.rstrip('/')}/admin/reload-model", body, {"Content-Type": "application/json"}
    )
    if key := os.environ.get("FORGE_KEY"):
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=SECONDS):
            return f"The gateway at {address} serves v{version} now."
    except urllib.error.HTTPError as problem:
        with problem:
            fix = " Set FORGE_KEY to an admin's key." if problem.code in {401, 403} else ""
            return f"The gateway at {address} did not take it ({problem.code}: {_said(problem)}).{fix}"
    except urllib.error.URLError as problem:
        if isinstance(problem.reason, ConnectionRefusedError):
            return f"No gateway runs at {address}; the next one that starts serves v{version}."
        return f"The gateway at {address} could not be told ({problem.reason})."
    except OSError as problem:
        return f"The gateway at {address} could not be told ({problem})."


def _said(problem: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(problem.read(10_000))["error"]["message"])
    except (OSError, ValueError, LookupError, TypeError):
        return problem.reason
