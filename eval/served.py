"""A model behind an OpenAI-compatible server, through lm-eval's `local-chat-completions`. Imports lm_eval.

The class drops native tool calls and turns a failed request into an empty answer; here the calls are kept, in
the form of the training rows, and a failure is an error. The key, if any, comes from OPENAI_API_KEY.
"""

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.models.api_models import JsonChatStr
from lm_eval.models.openai_completions import LocalChatCompletion

from eval.errors import BadInput
from eval.models import Prompt, Reply, Sampling, Settings, quiet_libraries
from eval.targets import Server

REQUESTS_AT_ONCE = 8
PREFLIGHT_SECONDS = 10


class ToolChat(LocalChatCompletion):  # type: ignore[misc]
    """lm-eval's chat class that offers tools, keeps native calls, and says what an answer cost.

    An answer is a `Reply` as JSON text, because the class hands on nothing but texts.
    """

    gate: asyncio.Semaphore

    def _create_payload(self, messages: Any, *args: Any, **options: Any) -> dict[str, Any]:
        payload: dict[str, Any] = super()._create_payload(messages["messages"], *args, **options)
        return payload | ({"tools": messages["tools"]} if messages["tools"] else {})

    async def amodel_call(self, *args: Any, **options: Any) -> list[str]:
        """One request; the class's own semaphore is inside, so that waiting for it would count as response time."""
        async with self.gate:
            started = time.perf_counter()
            answers = await super().amodel_call(*args, **options)
            seconds = time.perf_counter() - started
        return [json.dumps(json.loads(answer) | {"seconds": round(seconds, 6)}) for answer in answers]

    @staticmethod
    def parse_generations(outputs: Any, **_: Any) -> list[str]:
        """The answers of one response; raises where the response has none, which makes lm-eval ask again."""
        several = outputs if isinstance(outputs, list) else [outputs]
        return [
            json.dumps(_read_choice(choice, answer.get("usage") or {}))
            for answer in several
            for choice in sorted(answer["choices"], key=lambda choice: choice["index"])
        ]


class ServedModel:
    """One served model; its template, adapter and context window are the server's own affair."""

    base = None

    def __init__(self, server: Server, settings: Settings) -> None:
        self._server, self._settings = server, settings
        self._lm = ToolChat(
            model=server.name,
            base_url=f"{server.url}/chat/completions",
            num_concurrent=REQUESTS_AT_ONCE,
            max_gen_toks=settings.max_new_tokens,
            seed=settings.seed,
            max_retries=3,
        )
        _preflight(server, self._lm.header)
        self.facts: dict[str, Any] = {
            "backend": "local-chat-completions",
            "base_model": None,
            "adapter": None,
            "template_sha256": None,
        }

    def room(self, prompt: Prompt) -> None:
        """Only the server knows its context window; it refuses what does not fit."""

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Reply]:
        """Answers in order; a server that fails three times raises BadInput."""
        options = {
            "max_gen_toks": self._settings.max_new_tokens,
            "temperature": sampling.temperature,
            "seed": sampling.seed,
        }
        requests = [
            Instance("generate_until", {}, (_as_json(prompt), {**options}), index)
            for index, prompt in enumerate(prompts)
        ]
        self._lm.gate = asyncio.Semaphore(REQUESTS_AT_ONCE)
        try:
            with quiet_libraries():
                texts = self._lm.generate_until(requests) if requests else []
        except Exception as problem:
            raise BadInput(
                f"{self._server.name} at {self._server.url} stopped answering ({_reason(problem)}); "
                "look at the server's log and run again."
            ) from None
        return [Reply(**json.loads(text)) for text in texts]


def _as_json(prompt: Prompt) -> JsonChatStr:
    """Messages and tools as one text, the form in which the class carries a request."""
    messages = [_as_openai(message) for message in prompt.messages]
    return JsonChatStr(json.dumps({"messages": messages, "tools": prompt.tools}, ensure_ascii=False))


def _as_openai(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message whose call arguments are JSON text; templates take them as objects."""
    calls = [
        call | {"function": call["function"] | {"arguments": json.dumps(call["function"]["arguments"])}}
        for call in message.get("tool_calls", ())
    ]
    return {**message, **({"tool_calls": calls} if calls else {})}


def _read_choice(choice: dict[str, Any], usage: Mapping[str, Any]) -> dict[str, Any]:
    message = choice["message"]
    parts = [message.get("content") or ""]
    for call in message.get("tool_calls") or ():
        # The arguments are the model's own text: what is malformed there stays malformed here.
        name, arguments = json.dumps(call["function"]["name"]), call["function"]["arguments"]
        parts.append(f'<tool_call>\n{{"name": {name}, "arguments": {arguments}}}\n</tool_call>')
    return {
        "text": "\n".join(part for part in parts if part),
        "truncated": choice.get("finish_reason") == "length",
        "prompt_tokens": usage.get("prompt_tokens"),
        "new_tokens": usage.get("completion_tokens"),
    }


def _preflight(server: Server, headers: dict[str, str]) -> None:
    """One cheap question before the run: is somebody there, and does it serve this model?"""
    request = urllib.request.Request(f"{server.url}/models", headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PREFLIGHT_SECONDS) as response:
            listed = [entry["id"] for entry in json.load(response)["data"]]
    except urllib.error.HTTPError as problem:
        if problem.code in {404, 405}:
            return
        raise BadInput(f"{server.url} answers {problem.code}; {_fix_for(problem.code)} and run again.") from None
    except OSError as problem:
        raise BadInput(f"no server answers at {server.url} ({_reason(problem)}); start it and run again.") from None
    except (ValueError, KeyError, TypeError):
        return
    if server.name not in listed:
        raise BadInput(f"{server.url} does not serve {server.name}; it has {', '.join(listed) or 'no model'}.")


def _fix_for(status: int) -> str:
    return "set OPENAI_API_KEY" if status in {401, 403} else "look at the server's log"


def _reason(problem: BaseException) -> str:
    """The cause in one line; lm-eval 0.4.11 hides a refused connection behind an UnboundLocalError."""
    root = problem.__context__ if isinstance(problem, UnboundLocalError) and problem.__context__ else problem
    status = getattr(root, "status", None)
    return f"status {status}" if status else (str(root) or type(root).__name__).splitlines()[0]
