"""An Ollama on 127.0.0.1 for tests: its API for blobs, create, tags, show, copy, delete and chat.

It keeps the rules of the real handlers (server/routes.go, server/create.go of github.com/ollama/ollama): digests are
checked, a wrong one is 400; adapters, requantising and what is not GGUF are refused in Ollama's own words; the blob of
a model that is replaced or deleted goes with it; errors come inside the stream once it has begun. /api/chat runs the
real llama-server on the blob. What it cannot show is whether the real Ollama loads the file.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

DIGEST = re.compile(r"sha256[:-][0-9a-f]{64}")
MODEL = "application/vnd.ollama.image.model"


@dataclass
class OllamaDouble:
    """Blobs in `folder`, models by name. `spoils` changes uploads on their way, `room` is what its disk still holds.

    An Ollama with `own_templates` guesses a chat template and finds none, as versions before 2026 may.
    """

    folder: Path
    version: str = "0.30.2"
    own_templates: bool = False
    spoils: bool = False
    breaks: bool = False
    room: int = 1 << 40
    room_for_manifests: bool = True
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    host: str = ""
    running: ExitStack = field(default_factory=ExitStack)
    engines: dict[str, Any] = field(default_factory=dict)

    def blob(self, digest: str) -> Path:
        """Where a blob lies."""
        return self.folder / "blobs" / digest.replace(":", "-")

    def model(self, name: Any) -> dict[str, Any]:
        """A model by its name, with or without its tag."""
        whole = full(name)
        if whole not in self.models:
            raise Answer(404, f"model '{name}' not found")
        return self.models[whole]

    def put(self, name: str, model: dict[str, Any] | None) -> None:
        """A model under a name, or none; the blob of the one before goes if nobody else needs it."""
        before = self.models.pop(name, None)
        if model is not None:
            self.models[name] = model
        if before and before["digest"] not in {known["digest"] for known in self.models.values()}:
            self.blob(before["digest"]).unlink()


class Answer(Exception):
    """An error of the API."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


@contextmanager
def open_ollama(folder: Path, **settings: Any) -> Iterator[OllamaDouble]:
    """Serves a new, empty Ollama on a free port of 127.0.0.1 until the block is left."""
    ollama = OllamaDouble(folder, **settings)
    (folder / "blobs").mkdir(parents=True)
    handler = type("Handler", (OllamaHandler,), {"ollama": ollama})
    with ollama.running, ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        ollama.host = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield ollama
        finally:
            server.shutdown()


def full(name: Any) -> str:
    """A name with its tag."""
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+(:[\w.-]+)?", name):
        raise Answer(400, "invalid model name")
    return name if ":" in name else f"{name}:latest"


class OllamaHandler(BaseHTTPRequestHandler):
    """One request."""

    ollama: OllamaDouble
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.route({"/api/version": lambda _: {"version": self.ollama.version}, "/api/tags": self.tags})

    def do_HEAD(self) -> None:
        self.ollama.requests.append(f"HEAD {self.path}")
        path = self.ollama.blob(self.digest())
        self.send(200 if path.exists() else 404, None)

    def do_DELETE(self) -> None:
        self.route({"/api/delete": self.delete})

    def do_POST(self) -> None:
        if self.path.startswith("/api/blobs/"):
            self.ollama.requests.append(f"POST {self.path}")
            try:
                self.send(self.store(self.digest()), None)
            except Answer as problem:
                with suppress(BrokenPipeError):
                    self.send(problem.status, {"error": problem.error})
            return
        routes = {"/api/show": self.show, "/api/copy": self.copy, "/api/create": self.create, "/api/chat": self.chat}
        self.route(routes)

    def route(self, routes: Mapping[str, Any]) -> None:
        self.ollama.requests.append(f"{self.command} {self.path}")
        try:
            if self.path not in routes:
                raise Answer(404, "404 page not found")
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told = routes[self.path](json.loads(raw) if raw else {})
        except Answer as problem:
            self.send(problem.status, {"error": problem.error})
        else:
            self.send(200, told)

    def digest(self) -> str:
        found = self.path.rsplit("/", 1)[-1]
        if not DIGEST.fullmatch(found):
            raise Answer(400, "invalid digest format")
        return found

    def store(self, digest: str) -> int:
        """The body as a blob: 201, or 200 where it is there."""
        size = int(self.headers["Content-Length"])
        if self.ollama.breaks:
            self.rfile.read(size // 2)
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            raise Answer(500, "nobody hears this")
        body = self.rfile.read(size)
        if self.ollama.blob(digest).exists():
            return 200
        if size > self.ollama.room:
            raise Answer(500, f"write {self.ollama.folder}/blobs/{digest}-partial: no space left on device")
        if self.ollama.spoils:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if (got := f"sha256:{hashlib.sha256(body).hexdigest()}") != digest:
            raise Answer(400, f'digest mismatch, expected "{digest}", got "{got}"')
        self.ollama.blob(digest).write_bytes(body)
        return 201

    def create(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """The lines of the stream."""
        name, files = full(request.get("model")), request.get("files")
        if request.get("adapters"):
            raise Answer(400, "LoRA adapters are no longer supported")
        if not files:
            raise Answer(400, "neither 'from' or 'files' was specified")
        if any(name.endswith(".safetensors") for name in files):
            raise Answer(503, "the MLX runtime is not available")
        if request.get("quantize"):
            raise Answer(
                400,
                "create-time quantization is only supported for safetensors imports; quantize GGUF models with "
                "llama.cpp tools before importing",
            )
        ((file, digest),) = files.items()
        if not DIGEST.fullmatch(digest):
            raise Answer(400, f"invalid digest for {file}: invalid digest format")
        if not self.ollama.blob(digest).exists():
            raise Answer(500, f"open {self.ollama.blob(digest)}: no such file or directory")
        return list(self.made(name, file, digest, request))

    def made(self, name: str, file: str, digest: str, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"status": "parsing GGUF"}
        try:
            fields = read_fields(self.ollama.blob(digest))
        except (ValueError, struct.error):
            yield {"error": "invalid file magic"}
            return
        if fields.get("general.type") == "adapter":
            yield {"error": f"LoRA adapters are no longer supported: {file} is a LoRA adapter"}
            return
        yield {"status": f"using existing layer {digest}"}
        yield {"status": "writing manifest"}
        if not self.ollama.room_for_manifests:
            yield {"error": f"write {self.ollama.folder}/manifests/{name}: no space left on device"}
            return
        kept = {key: request.get(key) for key in ("parameters", "license")}
        self.ollama.put(name, {"digest": digest, "fields": fields, **kept})
        yield {"status": "success"}

    def tags(self, request: Any) -> dict[str, Any]:
        models = [
            {"name": name, "model": name, "digest": manifest_digest(model), "size": 1}
            for name, model in self.ollama.models.items()
        ]
        return {"models": models}

    def show(self, request: dict[str, Any]) -> dict[str, Any]:
        model = self.ollama.model(request.get("model"))
        own = "{{ .Prompt }}" if self.ollama.own_templates else model["fields"].get("tokenizer.chat_template", "")
        source = f"FROM {self.ollama.blob(model['digest'])}"
        hint = f'# Modelfile generated by "ollama show"\n# FROM {request["model"]}\n\n'
        return {
            "license": model["license"] or "",
            "modelfile": f"{hint}{source}\nTEMPLATE {own}\n",
            "parameters": "\n".join(as_go(model["parameters"] or {})),
            "template": own,
            "details": {"format": "gguf", "family": model["fields"].get("general.architecture")},
            "capabilities": ["completion", *(["tools"] if "tools" in own else [])],
        }

    def copy(self, request: dict[str, Any]) -> None:
        source, destination = full(request.get("source")), full(request.get("destination"))
        if source not in self.ollama.models:
            raise Answer(404, f'model "{request["source"]}" not found')
        self.ollama.put(destination, self.ollama.models[source])

    def delete(self, request: dict[str, Any]) -> None:
        self.ollama.model(request.get("model"))
        self.ollama.put(full(request["model"]), None)

    def chat(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the real llama-server says with this model, its parameters and its own template."""
        model = self.ollama.model(request.get("model"))
        parameters = model["parameters"] or {}
        asked = {"messages": request["messages"], "stop": parameters.get("stop", []), "max_tokens": 64}
        answer = self.engine(model).post(
            "/v1/chat/completions", json={**asked, "temperature": parameters.get("temperature", 0.8)}
        )
        answer.raise_for_status()
        message = answer.json()["choices"][0]["message"]
        return {"model": request["model"], "message": message, "done": True}

    def engine(self, model: dict[str, Any]) -> Any:
        """A llama-server on the blob, started once."""
        from deploy.gguf_run import served

        digest, context = model["digest"], (model["parameters"] or {}).get("num_ctx", 4096)
        if digest not in self.ollama.engines:
            client = self.ollama.running.enter_context(served(self.ollama.blob(digest), None, context))
            self.ollama.engines[digest] = client
        return self.ollama.engines[digest]

    def send(self, status: int, told: Any) -> None:
        """A value as JSON, a list as one JSON object a line, None as no body."""
        lines = told if isinstance(told, list) else [told]
        body = b"" if told is None else "".join(json.dumps(line) + "\n" for line in lines).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


def manifest_digest(model: Mapping[str, Any]) -> str:
    """One for each content: the weights, the parameters, the licence."""
    content = {key: value for key, value in model.items() if key != "fields"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def as_go(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Parameters as `%-30s %#v` prints them, in no order that can be relied on."""
    for name, value in reversed(parameters.items()):
        for each in value if isinstance(value, list) else [value]:
            whole = isinstance(each, float) and each.is_integer()
            written = json.dumps(int(each) if whole else each, ensure_ascii=False)
            yield f"{name:<30} {written}"


def read_fields(path: Path) -> dict[str, Any]:
    """The metadata of a GGUF file; arrays are read over. ValueError where it is none."""
    with path.open("rb") as stream:
        magic, _, _, count = struct.unpack("<4sIQQ", stream.read(24))
        if magic != b"GGUF":
            raise ValueError("no GGUF file")
        return {read_text(stream): read_value(stream, take(stream, "<I")) for _ in range(count)}


def take(stream: BinaryIO, layout: str) -> Any:
    return struct.unpack(layout, stream.read(struct.calcsize(layout)))[0]


def read_text(stream: BinaryIO) -> str:
    return stream.read(take(stream, "<Q")).decode()


def read_value(stream: BinaryIO, kind: int) -> Any:
    if kind == 8:
        return read_text(stream)
    if kind == 9:
        inner, length = take(stream, "<I"), take(stream, "<Q")
        return len([read_value(stream, inner) for _ in range(length)])
    return take(stream, "<" + "BbHhIif?__Qqd"[kind])
