"""A stand-in for `vllm serve`, strict about the rules of its API for adapters; it computes nothing and needs no GPU.

`python -m tests.vllm_server_double serve BASE --port N --enable-lora ...` takes the options that the gateway gives and
no others. Its rules: the routes for adapters exist only with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 and --enable-lora; a
name that is loaded is refused (400), as is a rank above --max-lora-rank; an unknown name or folder is 404; everything
below /v1 wants the key in VLLM_API_KEY, and /health does not. An answer tells the adapter's name and the digest of its
weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Reply = tuple[int, Any]


def digest_of(folder: Path) -> str:
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()[:12]


def refused(status: int, message: str, kind: str = "BadRequestError") -> Reply:
    return status, {"error": {"message": message, "type": kind, "param": None, "code": status}}


@dataclass
class Engine:
    """What a vLLM holds, and the requests that change it."""

    base: str
    max_lora_rank: int = 16
    adapters_change: bool = True
    key: str = ""
    loaded: dict[str, str] = field(default_factory=dict)
    """adapters by name, with the digest of their weights"""
    log: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, method: str, path: str, authorization: str, body: Any) -> Reply:
        if path == "/health":
            return 200, ""
        if self.key and authorization != f"Bearer {self.key}":
            return 401, {"error": "Unauthorized"}
        match method, path:
            case "GET", "/v1/models":
                return 200, {"object": "list", "data": [{"id": name} for name in (self.base, *self.loaded)]}
            case "POST", "/v1/chat/completions":
                return self._chat(body)
            case "POST", "/v1/load_lora_adapter" if self.adapters_change:
                return self._load(str(body.get("lora_name", "")), str(body.get("lora_path", "")))
            case "POST", "/v1/unload_lora_adapter" if self.adapters_change:
                return self._unload(str(body.get("lora_name", "")))
        return 404, {"detail": "Not Found"}

    def _load(self, name: str, path: str) -> Reply:
        self.log.append(("load", name))
        if not name or not path:
            return refused(400, "Both 'lora_name' and 'lora_path' must be provided.", "InvalidUserInput")
        if name in self.loaded:
            return refused(400, f"The lora adapter '{name}' has already been loaded.", "InvalidUserInput")
        try:
            rank = json.loads((Path(path) / "adapter_config.json").read_text())["r"]
            digest = digest_of(Path(path))
        except OSError:
            return refused(404, f"Loading lora {name} failed: No adapter found for {path}", "NotFoundError")
        if rank > self.max_lora_rank:
            return refused(400, f"LoRA rank {rank} is greater than max_lora_rank {self.max_lora_rank}.")
        self.loaded[name] = digest
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def _unload(self, name: str) -> Reply:
        self.log.append(("unload", name))
        if name not in self.loaded:
            return refused(404, f"The lora adapter '{name}' cannot be found.", "NotFoundError")
        del self.loaded[name]
        return 200, f"Success: LoRA adapter '{name}' removed successfully."

    def _chat(self, body: Any) -> Reply:
        name = body["model"]
        if name != self.base and name not in self.loaded:
            return refused(404, f"The model `{name}` does not exist.", "NotFoundError")
        text = f"I am {name} {self.loaded.get(name, 'alone')}"
        chances = {"content": [{"token": word, "logprob": -0.5} for word in text.split()]}
        message = {"role": "assistant", "content": text}
        return 200, {"choices": [{"index": 0, "message": message, "logprobs": chances, "finish_reason": "stop"}]}


def server(engine: Engine, port: int = 0) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(*engine.answer("GET", self.path, self.headers.get("Authorization", ""), None))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(*engine.answer("POST", self.path, self.headers.get("Authorization", ""), body))

        def _send(self, status: int, value: Any) -> None:
            raw = value.encode() if isinstance(value, str) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


@contextmanager
def vllm_server(engine: Engine) -> Iterator[str]:
    """The address of a double in this process."""
    running = server(engine)
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}"
    finally:
        running.shutdown()
        running.server_close()


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("serve", choices=["serve"])
    parser.add_argument("base")
    parser.add_argument("--host", required=True, choices=["127.0.0.1"])
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--max-loras", type=int, default=1)
    parser.add_argument("--max-lora-rank", type=int, default=16, choices=[1, 8, 16, 32, 64, 128, 256, 320, 512])
    parser.add_argument("--max-model-len", type=int)
    chosen = parser.parse_args(words)
    change = chosen.enable_lora and os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") == "1"
    engine = Engine(chosen.base, chosen.max_lora_rank, change, os.environ.get("VLLM_API_KEY", ""))
    server(engine, chosen.port).serve_forever()


if __name__ == "__main__":
    main()
