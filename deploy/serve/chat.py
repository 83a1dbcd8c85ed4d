"""What a chat completion may ask for: read, checked, and written anew for the engine.

The engine sees what was checked and nothing else, as our own JSON of it: no second key of the same name, no field that
chooses an adapter or a slot there (an empty `lora` gives the sum of all adapters), no address that it would fetch.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from deploy.serve.errors import ApiError, Receive

Number = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
Many = Annotated[int, msgspec.Meta(ge=1, le=8)]
Kind = TypeVar("Kind")
ModelName = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Part(msgspec.Struct, forbid_unknown_fields=True):
    """Text alone: engines fetch the address of an image themselves, from wherever they can reach."""

    text: str
    type: Literal["text"] = "text"


class Message(msgspec.Struct):
    """A message; what else it holds (tool calls, names) goes through as it is."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None


class ChatRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The parameters that are passed on: OpenAI's, and the samplers that both engines have."""

    model: ModelName
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_tokens: Whole | None = None
    max_completion_tokens: Whole | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: Whole | None = None
    min_p: Number | None = None
    repeat_penalty: Number | None = None
    repetition_penalty: Number | None = None
    frequency_penalty: Number | None = None
    presence_penalty: Number | None = None
    seed: Whole | None = None
    stop: str | list[str] | None = None
    n: Many | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    logit_bias: dict[str, Number] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    # OpenAI's clients send these; they mean nothing here and are left out.
    user: Any = None
    store: Any = None
    metadata: Any = None
    service_tier: Any = None
    modalities: Any = None
    prediction: Any = None
    verbosity: Any = None
    prompt_cache_key: Any = None
    prompt_cache_retention: Any = None
    safety_identifier: Any = None


LEFT_OUT = (
    "user", "store", "metadata", "service_tier", "modalities", "prediction", "verbosity", "prompt_cache_key",
    "prompt_cache_retention", "safety_identifier",
)  # fmt: skip


async def read_body(receive: Receive, most: int, seconds: float) -> bytes:
    """The body, of at most `most` bytes whether the request says its length or not; raises `ApiError` 413 or 408, and
    ConnectionResetError where the client is gone."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise ConnectionResetError
                parts.append(event.get("body", b""))
                size += len(parts[-1])
                if size > most:
                    raise ApiError(413, f"The request is larger than {most:,} bytes.", "request_too_large")
                if not event.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        raise ApiError(408, f"The request was not complete after {seconds:g} s.", "timeout") from None


def read_json(body: bytes) -> dict[str, Any]:
    """The object in a body. Raises `ApiError` 400 for everything else: NaN, half a surrogate, 100,000 brackets."""
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        raise ApiError(400, "The body is nested too deeply.", "invalid_json") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ApiError(400, "The body is not valid JSON.", "invalid_json") from None
    if not isinstance(value, dict):
        raise ApiError(400, "The body is not a JSON object.", "invalid_json")
    return value


def chat_request(body: bytes) -> dict[str, Any]:
    """The request as the engine may see it, still with the client's `model`; raises `ApiError` 400."""
    given = read_json(body)
    checked(given, ChatRequest)
    return {name: value for name, value in given.items() if name not in LEFT_OUT and value is not None}


def checked(given: dict[str, Any], kind: type[Kind]) -> Kind:
    """`given` as a `kind`; raises `ApiError` 400 that names the place."""
    try:
        return msgspec.convert(given, kind, strict=True)
    except msgspec.ValidationError as problem:
        reason, _, at = str(problem).partition(" - at `$")
        place = at.strip("`.")
        raise ApiError(400, f"{reason}{f' at {place}' if place else ''}.", "invalid_value", place or None) from None
    except RecursionError:
        raise ApiError(400, "The body is nested too deeply.", "invalid_json") from None
