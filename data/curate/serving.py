"""Serves the page on this machine until it is ended; a decision is on the disk before the page says so."""

from __future__ import annotations

import socket
import threading

from data.config import ConfigError
from data.curate import finding
from data.curate.guards import Guards
from data.curate.store import Store


def serve(store: Store, author: str, host: str, port: int, guards: Guards) -> int:
    """Say where the page is, and serve it. Raises ConfigError where the port is taken."""
    import uvicorn

    from data.curate.app import make_app

    listener = _bind(host, port)
    counts = finding.progress(store.database)
    name = f"[{host}]" if ":" in host else host
    done = counts["examples"] - counts["undecided"]
    print(f"Curation of {counts['examples']:,} examples, {done:,} decided: http://{name}:{listener.getsockname()[1]}/")
    print(f"You decide as {author}. Ctrl+C ends it; every decision is stored at once.", flush=True)
    # So that the first edit does not wait for the scanners.
    threading.Thread(target=guards.warm, daemon=True).start()
    config = uvicorn.Config(make_app(store, author), log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as problem:
        listener.close()
        reason = problem.strerror if isinstance(problem, OSError) else "it is no port"
        raise ConfigError(
            f"{host}:{port} cannot be opened ({reason}). Choose another --port; 0 takes a free one."
        ) from None
    return listener
