"""What the fleet wants from an engine, whichever it is: a version loaded, tried, and taken out again.

On the engine a version is always called by its immutable name, mayor@v3; which one is live is known to the fleet alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from deploy.adapter import Refusal
from deploy.registry import Export, Version

if TYPE_CHECKING:
    import httpx


class EngineError(Refusal):
    """The engine cannot do it; one sentence that says what it said."""


@dataclass(frozen=True)
class Artefact:
    """The files that an engine loads for a version."""

    name: str
    """mayor@v3"""
    model: Path | None
    """a GGUF file; None where the engine holds the base already"""
    adapter: Path | None = None
    """a GGUF adapter, or the folder of a PEFT adapter"""


@dataclass(frozen=True)
class Address:
    """Where the engine answers, and the headers that it wants to see."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Backend(Protocol):
    """An engine. `ensure`, `probe` and `start` raise `EngineError`, `artefact` a `Refusal`, `address` `Unavailable`."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    def artefact(self, version: Version, exports: Mapping[str, Export]) -> Artefact:
        """The files of a version for this engine."""
        ...

    async def ensure(self, artefact: Artefact) -> None:
        """Returns when the version is loaded; nothing is done where it is."""
        ...

    async def probe(self, name: str) -> None:
        """Returns when the version has answered a short question sensibly."""
        ...

    async def unload(self, name: str) -> None:
        """Takes out a version that nobody uses; one that is not loaded is fine."""
        ...

    def address(self) -> Address: ...

    def restarts(self) -> int:
        """How often the engine died and is up again."""
        ...

    async def check(self) -> None:
        """Called every second: loads what got lost since the engine started again."""
        ...


QUESTION = {
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 8,
    "temperature": 0,
    "logprobs": True,
}


async def ask(client: httpx.AsyncClient, address: Address, name: str, seconds: float) -> None:
    """One short greedy completion; raises `EngineError` unless there is text, and every probability is a number."""
    import httpx

    url = f"{address.url}/v1/chat/completions"
    try:
        reply = await client.post(url, json={"model": name, **QUESTION}, headers=address.headers, timeout=seconds)
    except httpx.TimeoutException:
        raise EngineError(f"{name} said nothing within {seconds:g} s.") from None
    except httpx.HTTPError as problem:
        raise EngineError(f"{name} broke off while it answered ({type(problem).__name__}).") from None
    if reply.status_code != 200:
        raise EngineError(f"{name} answers with {reply.status_code}: {said(reply)}.")
    if (fault := why_not(reply.text)) is not None:
        raise EngineError(f"{name} {fault}.")


def why_not(body: str) -> str | None:
    """What is wrong with the answer to `QUESTION`; NaN in the weights shows as a probability of null."""
    try:
        choice = json.loads(body)["choices"][0]
        message = choice["message"]
        text = "".join(str(message.get(part) or "") for part in ("content", "reasoning_content", "tool_calls"))
        chances = [token["logprob"] for token in (choice.get("logprobs") or {}).get("content") or ()]
    except (ValueError, LookupError, TypeError, AttributeError):
        return "answers with something else than a chat completion"
    if not all(isinstance(chance, int | float) and math.isfinite(chance) for chance in chances):
        return "computes probabilities that are no numbers; its weights are broken"
    return None if text.strip() else "ends its answer before the first word"


def said(reply: httpx.Response) -> str:
    """The engine's own message of an error, in one line."""
    try:
        value: Any = reply.json()
        value = value.get("error", value)
        message = str(value.get("message", value) if isinstance(value, dict) else value)
    except (ValueError, AttributeError):
        message = reply.text
    return " ".join(message.split())[:300].rstrip(".") or "nothing more"
