"""What `forge reload` says to a running gateway, and what its answers mean to a person."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Final

from scripts.forge.rooms import Problem

# A version is loaded before the old one goes; on a CPU and a cold disk that takes minutes.
PATIENCE: Final = 600.0  # seconds
KEY: Final = "FORGE_KEY"


def address_of(file: Path) -> str:
    """Where the gateway of a config listens. Raises `Problem`."""
    from configs.strict_yaml import ConfigError
    from deploy.serve.config import load_config

    try:
        config = load_config(file)
    except ConfigError as error:
        raise Problem(" ".join(error.problems)) from None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)
    return f"http://[{host}]:{config.port}" if ":" in host else f"http://{host}:{config.port}"


def ask_reload(url: str, role: str, version: str, force: bool, why: str, as_json: bool) -> int:
    """POST /admin/reload-model; 0, or raises `Problem` with what the gateway says."""
    match = re.fullmatch(r"v?([1-9]\d{0,8})", version)
    if match is None:
        raise Problem(f"{version} is not a version. Write v3 or 3.", 2)
    asked = {"role": role, "version": int(match[1]), "force": force, "why": why}
    said = answer(url.rstrip("/"), asked)
    before = f", before it v{said['before']}" if said.get("before") else ""
    print(json.dumps(said) if as_json else f"{role}@v{said['version']} is live after {said['seconds']} s{before}")
    return 0


def answer(url: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The gateway's answer. Raises `Problem`; the key appears in none of them."""
    import httpx

    key = os.environ.get(KEY, "")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        reply = httpx.post(f"{url}/admin/reload-model", json=asked, headers=headers, timeout=PATIENCE, trust_env=False)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise Problem(f"no gateway answers at {url} ({error}). Start one: forge serve.") from None
    try:
        said = reply.json()
    except ValueError:
        said = None
    if reply.status_code == 200 and isinstance(said, dict) and "version" in said:
        return said
    raise Problem(refusal(url, reply.status_code, said))


def refusal(url: str, status: int, said: Any) -> str:
    """Why it was not done, in the gateway's words where it has some."""
    error = said.get("error") if isinstance(said, dict) else None
    words = str(error.get("message")) if isinstance(error, dict) else f"{url} answered {status} and is no gateway."
    hint = f" Set {KEY} to an admin key (python -m deploy.serve.keys)." if status in (401, 403) else ""
    return words + hint
