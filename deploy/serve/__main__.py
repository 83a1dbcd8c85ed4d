"""Serves every promoted adapter at one OpenAI-compatible address.

`python -m deploy.serve --config configs/serve.yml` ends at SIGTERM or Ctrl-C, after the answers that are under way.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from configs.strict_yaml import ConfigError
from deploy.adapter import Refusal

if TYPE_CHECKING:
    import uvicorn

    from deploy.serve.app import Gateway
    from deploy.serve.config import ServeConfig
    from deploy.serve.types import Fleet

MOST_CONNECTIONS = 1000

# A thread that asks the registry gives up its turn at every read and write, and waits this long for each next one while
# answers stream. Python's own 5 ms made a rollback under load several times as long.
TURN_SECONDS = 0.0005


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: 0 after a wanted end, 1 with what is wrong."""
    options = parser().parse_args(argv)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        return serve(options.config)
    except (ConfigError, Refusal) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m deploy.serve", description=(__doc__ or "").split("\n")[0])
    result.add_argument(
        "--config", type=Path, default=Path("configs/serve.yml"), metavar="FILE", help="default: %(default)s"
    )
    return result


def serve(file: Path) -> int:
    """Runs until it is told to stop. Raises `ConfigError`, and `Refusal` where it cannot start."""
    from deploy.pack import read_packs
    from deploy.serve.config import load_config
    from deploy.serve.fleet import open_fleet

    config = load_config(file)
    packs = read_packs(config.packs)
    for role, pack in packs.items():
        if (wanted := pack.serving.num_ctx or 0) > config.engine.context:
            say(f"note: the pack {role} wants chats of {wanted} tokens; engine.context allows {config.engine.context}.")
    names = {role: pack.model_prefix for role, pack in packs.items()}
    return run(config, open_fleet(config.engine, Path(config.root), config.prefix, names))


def run(config: ServeConfig, fleet: Fleet) -> int:
    """The gateway on its port, until SIGTERM or Ctrl-C."""
    import uvloop

    sys.setswitchinterval(TURN_SECONDS)
    # Taken before the engine starts: a second gateway ends here.
    with bound(config.host, config.port) as listening, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        # uvicorn raises the signal once more when it is done with it. A wanted end is no failure.
        for wanted in (signal.SIGTERM, signal.SIGINT):
            signal.signal(wanted, lambda *_: None)
        runner.run(hold(config, fleet, listening))
    return 0


def bound(host: str, port: int) -> socket.socket:
    """The socket to listen on; raises `Refusal`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as problem:
        listening.close()
        reason = f"{host}:{port} cannot be used ({problem.strerror})"
        raise Refusal(f"{reason}. Another gateway may run there; stop it, or set another port.") from None
    return listening


async def hold(config: ServeConfig, fleet: Fleet, listening: socket.socket) -> None:
    """Serves from the start of the engine to the end of the last answer; raises `Refusal` where it does not start."""
    from deploy.serve.app import Gateway

    gateway = Gateway(config, fleet)
    server = server_of(gateway)
    async with gateway.running() as starting:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        say(f"Listening on http://{config.host}:{config.port}; the versions are being loaded.")
        await asyncio.wait((starting, serving), return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and starting.exception() is not None:
            server.should_exit = True
        elif starting.done():
            say(f"Answering: {', '.join(f'{s.role}@v{s.live}' for s in fleet.state() if s.live) or 'nothing yet'}.")
        await serving
        if starting.done():
            starting.result()


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def server_of(gateway: Gateway) -> uvicorn.Server:
    """uvicorn, told to believe no header about who asks, and to log nothing per request."""
    import uvicorn

    from deploy.serve.app import application_of
    from deploy.serve.wire import Guarded

    return uvicorn.Server(
        uvicorn.Config(
            application_of(gateway),
            http=Guarded,
            ws="none",
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
            log_level="error",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=max(1, round(gateway.config.timeouts.drain)),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
