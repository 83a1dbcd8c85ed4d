"""The parts of the gateway and its routes, put together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.pack import read_packs, sampling_of
from deploy.serve import listing
from deploy.serve.access import Caller, Door, is_own_page
from deploy.serve.admin import Admin
from deploy.serve.capture import Capture, NoCapture
from deploy.serve.chat import read_body
from deploy.serve.config import ServeConfig, key_ring
from deploy.serve.engine_link import engine_client
from deploy.serve.errors import ApiError
from deploy.serve.limits import Limits
from deploy.serve.metrics import CONTENT_TYPE, Metrics
from deploy.serve.openapi import document
from deploy.serve.proxy import Chat
from deploy.serve.sessions import Sessions
from deploy.serve.status import StatusPage
from deploy.serve.types import Fleet, Recorder

Act = Callable[[bytes, Caller], Awaitable[dict[str, Any]]]


class Gateway:
    """All parts of one gateway, and the short answers; the long ones are `Chat`'s."""

    def __init__(self, config: ServeConfig, fleet: Fleet, recorder: Recorder | None = None) -> None:
        self.config, self.fleet = config, fleet
        self.metrics = Metrics(fleet.restarts)
        self.recorder = recorder or recorder_of(config, self.metrics)
        keys = key_ring(config)
        self.door = Door(keys)
        self.sessions = Sessions(self.door, keys)
        self.limits = Limits(config.limits, config.timeouts.queue)
        self.engine = engine_client(config.timeouts.connect)
        self.admin = Admin(fleet, self.limits, self.metrics, Path(config.root))
        self.started = int(time.time())
        packs = read_packs(config.packs)
        self.sampling, self.names = sampling_of(packs), {role: pack.model_prefix for role, pack in packs.items()}

    def routes(self) -> list[Route]:
        chat = Chat(
            self.config, self.fleet, self.door, self.limits, self.engine, self.metrics, self.recorder, self.sampling
        )
        return [
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/models", self.models),
            Route("/v1/models/{name}", self.model),
            Route("/v1/domains", self.domains),
            Route("/health", self.health),
            Route("/metrics", self.numbers),
            Route("/openapi.json", self.openapi),
            Route("/admin/reload-model", self.acting(self.admin.reload), methods=["POST"]),
            Route("/admin/rollback", self.acting(self.admin.rollback), methods=["POST"]),
            Route("/admin/status", self.status),
            *StatusPage(Path(self.config.root), self.fleet, self.metrics, self.sessions).routes(),
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """What stands in the block has the engine and the capture. The task is the start of the engine, which may take
        minutes: meanwhile /health says 503. Raises `Refusal` where nothing can be captured."""
        await self.recorder.start()
        starting = asyncio.create_task(self.fleet.start())
        try:
            yield starting
        finally:
            starting.cancel()
            await asyncio.wait([starting])
            await self.fleet.stop()
            await self.engine.aclose()
            await self.recorder.stop()

    async def models(self, request: Request) -> Response:
        caller = self.door.caller(request.scope)
        data = listing.models(self.fleet, self.config.prefix, caller, self.started, self.names)
        return answer({"object": "list", "data": data})

    async def model(self, request: Request) -> Response:
        caller, name = self.door.caller(request.scope), request.path_params["name"]
        return answer(listing.model(self.fleet, self.config.prefix, caller, self.started, name, self.names))

    async def domains(self, request: Request) -> Response:
        caller = self.door.caller(request.scope)
        return answer({"object": "list", "data": listing.domains(self.fleet, caller)})

    async def health(self, _: Request) -> Response:
        """For whoever asks, so it says nothing but this."""
        if self.fleet.ready():
            return answer({"status": "ok"})
        return answer({"status": "not ready"}, 503, {"retry-after": "2"})

    async def numbers(self, request: Request) -> Response:
        self.door.observer(request.scope)
        return Response(self.metrics.text(), headers={"content-type": CONTENT_TYPE})

    async def openapi(self, _: Request) -> Response:
        return answer(document())

    async def status(self, request: Request) -> Response:
        self.door.admin(request.scope)
        return answer(self.admin.status())

    def acting(self, act: Act) -> Callable[[Request], Awaitable[Response]]:
        """The route of an action: an admin's, and never a browser's on behalf of another page."""

        async def route(request: Request) -> Response:
            caller = self.door.admin(request.scope)
            if not is_own_page(request.scope):
                raise ApiError(403, "This came from another site's page.", "cross_site")
            body = await read_body(request.receive, self.config.limits.body_bytes, self.config.timeouts.body)
            return answer(await act(body, caller))

        return route


def application_of(gateway: Gateway) -> Starlette:
    """What uvicorn runs. There is no middleware of ours: each would handle every part of every answer."""
    application = Starlette(
        routes=gateway.routes(),
        exception_handlers={
            ApiError: refuse,
            HTTPException: refuse_route,
            ConnectionResetError: refuse_gone,
            ClientDisconnect: refuse_gone,
            Exception: fail,
        },
    )
    application.router.redirect_slashes = False
    return application


def recorder_of(config: ServeConfig, metrics: Metrics) -> Recorder:
    capture = config.capture
    if not capture.enabled:
        return NoCapture()
    return Capture(Path(capture.folder), Path(capture.rules), metrics.captured)


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON that nobody keeps."""
    given = {"content-type": "application/json", "cache-control": "no-store"} | (headers or {})
    return Response(msgspec.json.encode(value), status, given)


async def refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return Response(error.body(), error.status, {"content-type": "application/json"} | error.headers())


async def refuse_route(request: Request, error: Exception) -> Response:
    """No such path, or another method."""
    assert isinstance(error, HTTPException)
    known = {404: "There is nothing at this address.", 405: "This address takes another method."}
    refused = ApiError(error.status_code, known.get(error.status_code, "The request cannot be read."))
    return Response(refused.body(), refused.status, {"content-type": "application/json"} | dict(error.headers or {}))


async def refuse_gone(_: Request, error: Exception) -> Response:
    """Nobody will read it."""
    return Response(status_code=499)


async def fail(_: Request, error: Exception) -> Response:
    """A bug of ours: the log has it, the client learns nothing but that."""
    return Response(ApiError(500, "The gateway failed.").body(), 500, {"content-type": "application/json"})
