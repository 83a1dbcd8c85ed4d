"""The calls of Ollama's HTTP API that make, show, copy and delete models, with each failure as one sentence.

From the handlers in server/routes.go and server/create.go of github.com/ollama/ollama (August 2026 and later): a blob
answers 200 or 404, an upload 201, 200 where it was there, 400 where its digest differs; create streams one JSON object
a line, errors among them, and ends with the status "success".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from deploy.adapter import Refusal

# The first version whose /api/create takes uploaded files by name; 0.0.0 is a build from source.
OLDEST: Final = (0, 5, 5)
FROM_SOURCE: Final = (0, 0, 0)
CHUNK: Final = 1 << 20
# Ollama writes and hashes what it got before it answers: minutes for a large model on a slow disk.
SECONDS: Final = 600.0


class Ollama:
    """A running Ollama; every method raises `Refusal`."""

    def __init__(self, client: Any, host: str) -> None:
        self._client, self.host = client, host

    @classmethod
    @contextmanager
    def open(cls, host: str) -> Iterator[Ollama]:
        """Connects, and refuses what is no Ollama or one that is too old."""
        import httpx

        # No proxy of the environment stands between this machine and itself, and a redirect is followed nowhere.
        timeout = httpx.Timeout(SECONDS, connect=10)
        with httpx.Client(base_url=checked(host), timeout=timeout, trust_env=False) as client:
            ollama = cls(client, host)
            try:
                ollama._check_version()
                yield ollama
            except httpx.ConnectError:
                raise Refusal(
                    f"no Ollama answers at {host}. Start it (ollama serve), or say where: --host URL."
                ) from None
            except httpx.TimeoutException:
                raise Refusal(f"Ollama at {host} does not answer any more. Look at its log, then try again.") from None
            except httpx.TransportError as problem:
                raise Refusal(f"the connection to Ollama at {host} broke ({problem}). Try again.") from None

    def _check_version(self) -> None:
        answer = self._client.get("/api/version")
        try:
            told = str(answer.json()["version"])
        except (ValueError, KeyError, TypeError):
            raise Refusal(f"what answers at {self.host} is not Ollama. Say where it is: --host URL.") from None
        numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", told)
        version = tuple(map(int, numbers.groups())) if numbers else OLDEST
        if version != FROM_SOURCE and version < OLDEST:
            raise Refusal(f"Ollama {told} is too old: 0.5.5 is needed for the files. Update it (ollama.com/download).")

    def tags(self) -> dict[str, str]:
        """The digest of every model by its name with its tag."""
        models = self._told(self._client.get("/api/tags"))["models"]
        return {str(model["name"]): str(model["digest"]) for model in models}

    def show(self, name: str) -> Mapping[str, Any] | None:
        """Modelfile, parameters, template, capabilities and licence of a model; None where there is none."""
        answer = self._client.post("/api/show", json={"model": name})
        return None if answer.status_code == 404 else self._told(answer)

    def upload(self, path: Path, digest: str) -> bool:
        """Brings a file over as a blob, unless it is there; whether it was not."""
        if self._client.head(f"/api/blobs/{digest}").status_code == 200:
            return False
        length = {"Content-Length": str(path.stat().st_size)}
        self._told(self._client.post(f"/api/blobs/{digest}", content=chunks(path), headers=length))
        return True

    def create(self, name: str, request: Mapping[str, Any]) -> None:
        """Makes a model of blobs that are there."""
        with self._client.stream("POST", "/api/create", json={"model": name, **request}) as answer:
            if answer.status_code >= 400:
                answer.read()
                self._told(answer)
            status = ""
            for line in filter(str.strip, answer.iter_lines()):
                told = json.loads(line)
                if "error" in told:
                    raise Refusal(sentence(str(told["error"])))
                status = told.get("status", status)
        if status != "success":
            raise Refusal(f"Ollama stopped in the middle of {name} ({status or 'it said nothing'}). Try again.")

    def copy(self, source: str, destination: str) -> None:
        """Points a name to what another one is."""
        self._told(self._client.post("/api/copy", json={"source": source, "destination": destination}))

    def delete(self, name: str) -> None:
        """Removes a name, and what nothing else needs."""
        self._told(self._client.request("DELETE", "/api/delete", json={"model": name}))

    def _told(self, answer: Any) -> Mapping[str, Any]:
        try:
            told = answer.json() if answer.content.strip() else {}
        except ValueError:
            told = {"error": answer.text.strip()[:200]}
        if answer.status_code >= 300:
            raise Refusal(sentence(str((told or {}).get("error") or f"status {answer.status_code}")))
        return told if isinstance(told, dict) else {}


def checked(host: str) -> str:
    """A URL of a server and nothing more. Raises `Refusal`."""
    try:
        parts = urlsplit(host)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good, parts = False, urlsplit("")
    if not good or parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password:
        raise Refusal("--host is a URL such as http://127.0.0.1:11434: http or https, a host and a port, no more.")
    return host.rstrip("/")


def sentence(error: str) -> str:
    """What Ollama said, with what to do about it."""
    if "no space left" in error or "not enough space" in error:
        return f"the disk of Ollama is full ({error}). Make room (ollama list, ollama rm NAME), then try again."
    if "digest mismatch" in error:
        return f"the file did not arrive as it was sent ({error}). Try again; if it stays so, export it again."
    return f"Ollama refuses: {error}."


def chunks(path: Path) -> Iterator[bytes]:
    """A file in pieces."""
    with path.open("rb") as stream:
        while piece := stream.read(CHUNK):
            yield piece
