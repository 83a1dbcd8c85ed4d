"""POST /v1/chat/completions: lets in, passes on to the version that answers, and passes back every part as it comes.

A part of a streamed answer is not looked at on its way. What the last parts say (usage, [DONE]) is read at the end.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from deploy.serve.access import Caller, Door
from deploy.serve.chat import chat_request, read_body
from deploy.serve.config import ServeConfig
from deploy.serve.errors import ApiError, Receive, Scope, Send, clean, send_error
from deploy.serve.limits import Limits
from deploy.serve.metrics import Metrics
from deploy.serve.presence import Gone, present
from deploy.serve.relay import Relay
from deploy.serve.types import Exchange, Fleet, Lease, Recorder, Unavailable, UnknownModel
from deploy.serve.wire import hang_up

if TYPE_CHECKING:
    import httpx


class Chat:
    """The route as an ASGI application of its own: nothing stands between the engine's parts and the socket."""

    def __init__(
        self,
        config: ServeConfig,
        fleet: Fleet,
        door: Door,
        limits: Limits,
        engine: httpx.AsyncClient,
        metrics: Metrics,
        recorder: Recorder,
        sampling: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._config, self._fleet, self._door, self._limits = config, fleet, door, limits
        self._engine, self._metrics, self._recorder = engine, metrics, recorder
        self._sampling = sampling

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {"x-request-id": f"req-{secrets.token_hex(8)}"}
        try:
            caller = self._door.caller(scope)
            with self._limits.admit(caller), self._metrics.in_flight():
                body = await read_body(receive, self._config.limits.body_bytes, self._config.timeouts.body)
                keep = self._config.capture.enabled
                relay = Relay(chat_request(body), send, self._engine, names, keep, self._sampling)
                await self._answer(relay, caller, receive)
                if relay.stalled and not relay.gone:
                    await hang_up(scope)
        except ApiError as error:
            self._metrics.refused(error.status)
            await send_error(send, error, names)
        except ConnectionResetError:
            self._metrics.refused(499)

    async def _answer(self, relay: Relay, caller: Caller, receive: Receive) -> None:
        """Answers, and notes how it ended; raises `ApiError` where no version has seen the request."""
        failure: ApiError | None = None
        try:
            async with present(receive, self._config.timeouts) as presence, self._limits.slot():
                with self._lease(relay.model, caller) as lease:
                    await relay.run(lease, presence)
        except Gone:
            relay.gone = True
        except TimeoutError:
            failure = ApiError(504, "The model took too long.", "timeout")
        except ApiError as error:
            failure = error
        finally:
            if relay.lease is not None:
                self._note(relay, relay.exchange(caller.name, failure))
        if relay.lease is None and relay.gone:
            self._metrics.refused(499)
        elif relay.lease is None and failure is not None:
            raise failure
        elif failure is not None:
            await relay.fail(failure)

    @contextmanager
    def _lease(self, model: str, caller: Caller) -> Iterator[Lease]:
        """The version for a model's name, if the caller may use it; raises `ApiError` 403, 404 or 503."""
        try:
            with self._fleet.lease(model) as lease:
                if not caller.may_use(lease.role):
                    raise ApiError(403, f"This key may not use {model[:80]}.", "role_not_allowed", "model")
                yield lease
        except UnknownModel as unknown:
            if not self._fleet.ready():
                raise ApiError(503, "The versions are still being loaded.", "unavailable", retry=2) from None
            # The sentence lists what there is, which is not for a key that may see a part of it.
            said = str(unknown) if caller.roles is None else f"There is no model {model[:80]!r} for this key."
            raise ApiError(404, said, "model_not_found", "model") from None
        except Unavailable as unavailable:
            raise ApiError(503, clean(str(unavailable)), "unavailable", retry=unavailable.seconds) from None

    def _note(self, relay: Relay, exchange: Exchange) -> None:
        """The only place where finished requests are counted and, where that is wanted, kept."""
        self._metrics.note(exchange)
        if relay.kept:
            self._recorder.note(exchange)
