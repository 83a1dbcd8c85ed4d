"""The official clients of OpenAI, as people use them: Python here, JavaScript from npm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.serve.config import LimitsConfig, ServeConfig
from tests.conftest import ROOT
from tests.engine_double import Served, engine_double, served

KEY = "sk-test-clients-0123456789"
SLOW_KEY = "sk-test-slowly-0123456789"
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"{KEY} name=client roles=mayor\n{SLOW_KEY} name=slow rate=1/h\n")
    config = ServeConfig(keys_file=str(keys), limits=LimitsConfig(body_bytes=100_000))
    with engine_double() as engine, served(config, engine) as running:
        yield running


@pytest.fixture(scope="module")
def client(gateway: Served) -> Iterator[Any]:
    import openai

    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0, timeout=10) as made:
        yield made


def said(words: str) -> Any:
    return [{"role": "user", "content": words}]


def test_python_chats(client: Any) -> None:
    answer = client.chat.completions.create(
        model="mayor", messages=said("say good morning"), temperature=0, store=False
    )
    assert answer.choices[0].message.content == "good morning" and answer.model == "mayor@v2"
    assert answer.usage.total_tokens == 14
    raw = client.chat.completions.with_raw_response.create(model="mayor", messages=said("say hi"))
    assert raw.headers["x-forge-model"] == "mayor@v2" and raw.request_id.startswith("req-")


def test_python_streams(client: Any) -> None:
    stream = client.chat.completions.create(model="gastown-mayor:latest", messages=said("say a b"), stream=True)
    assert [part.choices[0].delta.content for part in stream] == [" a", " b", None]


def test_python_calls_tools(client: Any) -> None:
    answer = client.chat.completions.create(model="mayor", messages=said("call weather"), tools=TOOLS)
    assert answer.choices[0].message.tool_calls[0].function.arguments == '{"city": "Riga"}'
    with client.chat.completions.stream(model="mayor", messages=said("call weather"), tools=TOOLS) as stream:
        done = stream.get_final_completion()
    call = done.choices[0].message.tool_calls[0].function
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Riga"})
    assert done.choices[0].finish_reason == "tool_calls"


def test_python_lists_models(client: Any) -> None:
    assert {"mayor", "mayor@v2", "mayor@v1"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("mayor@v1").id == "mayor@v1"


def test_python_maps_errors_to_its_own(client: Any, gateway: Served) -> None:
    import openai

    def ask(model: str = "mayor", words: str = "say hi", key: str = KEY, **more: Any) -> Any:
        return client.with_options(api_key=key).chat.completions.create(model=model, messages=said(words), **more)

    with pytest.raises(openai.AuthenticationError, match="not known"):
        ask(key="sk-of-somebody-else-entirely")
    with pytest.raises(openai.NotFoundError, match="alderman") as unknown:
        ask("alderman")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.PermissionDeniedError, match="crew"):
        ask("crew")
    with pytest.raises(openai.BadRequestError, match="lora"):
        ask(extra_body={"lora": []})
    with pytest.raises(openai.APIStatusError) as large:
        ask(words="x" * 200_000)
    assert large.value.status_code == 413
    ask(key=SLOW_KEY)
    with pytest.raises(openai.RateLimitError) as often:
        ask(key=SLOW_KEY)
    assert int(often.value.response.headers["retry-after"]) > 3000
    with pytest.raises(openai.InternalServerError):
        ask(words="die at once")


def test_python_notices_an_answer_that_breaks_off(client: Any) -> None:
    import openai

    words = []
    with pytest.raises(openai.APIError, match="broke off"):
        for part in client.chat.completions.create(model="mayor", messages=said("die after 3"), stream=True):
            words.append(part.choices[0].delta.content)
    assert words == [" 0", " 1", " 2"]


def test_pythons_asynchronous_client_streams(gateway: Served) -> None:
    import asyncio

    import openai

    async def scenario() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, timeout=10) as made:
            stream = await made.chat.completions.create(model="mayor", messages=said("say a b"), stream=True)
            return [part.choices[0].delta.content async for part in stream]

    assert asyncio.run(scenario()) == [" a", " b", None]


@pytest.fixture(scope="module")
def javascript() -> Path:
    """A folder with the pinned client of tests/js, installed once into the user's cache."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node and npm here; the JavaScript client is tested where there are (Node 20 or newer)")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lora-forge" / "js-client"
    cache.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "client.mjs"):
        shutil.copy(ROOT / "tests" / "js" / name, cache / name)
    done = subprocess.run(
        ["npm", "install", "--prefer-offline", "--no-package-lock", "--no-audit", "--no-fund"],
        cwd=cache,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode != 0:
        pytest.skip(f"npm cannot install the JavaScript client: {done.stderr.strip().splitlines()[-1:]}")
    return cache


@pytest.mark.slow
def test_javascript_chats_streams_calls_tools_and_maps_errors(gateway: Served, javascript: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "OPENAI_BASE_URL": f"{gateway.url}/v1", "OPENAI_API_KEY": KEY}
    done = subprocess.run(
        ["node", "client.mjs"], cwd=javascript, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "text": "good morning",
        "version": "mayor@v2",
        "streamed": " a b",
        "tool": {"name": "weather", "arguments": {"city": "Riga"}},
        "models": True,
        "errors": {
            "key": "AuthenticationError 401",
            "model": "NotFoundError 404 model_not_found",
            "role": "PermissionDeniedError 403",
            "field": "BadRequestError 400",
            "broken": "APIError The engine broke off.",
        },
    }
