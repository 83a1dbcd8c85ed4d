"""Ten thousand requests that nobody should send: no 500, no key, no folder, no address of the engine in any answer."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.serve.config import LimitsConfig, ServeConfig, TimeoutsConfig
from tests.conftest import ROOT
from tests.engine_double import ENGINE_KEY, EngineDouble, Served, engine_double, served

pytestmark = pytest.mark.slow

KEYS = {name: f"sk-test-{name}-9f8e7d6c5b4a3210" for name in ("mayor", "admin")}
LIMITS = LimitsConfig(body_bytes=50_000, rate="1000000/s", streams=1000, at_once=100, waiting=1000)
TIMEOUTS = TimeoutsConfig(body=2.0, first_byte=2.0, idle=2.0, total=5.0, drain=1.0)
CLIENT = httpx.Client(verify=False, trust_env=False, timeout=10)


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineDouble]:
    with engine_double() as double:
        yield double


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("garbage")


@pytest.fixture(scope="module")
def gateway(folder: Path, engine: EngineDouble) -> Iterator[Served]:
    (folder / "secret-keys").write_text(f"{KEYS['mayor']} name=m roles=mayor\n{KEYS['admin']} name=boss admin\n")
    (folder / "adapters" / "mayor" / "v2").mkdir(parents=True)
    config = ServeConfig(root=str(folder), keys_file=str(folder / "secret-keys"), limits=LIMITS, timeouts=TIMEOUTS)
    with served(config, engine) as running:
        yield running


def secrets_of(gateway: Served, folder: Path) -> tuple[bytes, ...]:
    port = gateway.engine.url.rsplit(":", 1)[1]
    words = (
        *KEYS.values(),
        ENGINE_KEY,
        str(folder),
        str(ROOT),
        "/srv/",
        f":{port}",
        "secret-keys",
        "Traceback",
        "site-packages",
    )
    return tuple(word.encode() for word in words)


# --- requests ---------------------------------------------------------------------------------------------------------
NASTY: tuple[Any, ...] = (
    None, True, 0, -1, 2**53, 2**63, 10**30, 1e308, -0.0, "", "\0", "\ud7ff", "%s%n", "../../etc/passwd", "mayor@v9",
    "x" * 5000, "{{7*7}}", "http://169.254.169.254/", "file:///etc/passwd", [], {}, [[]], [None], {"": None},
    {"$ref": "#"}, "say hi", "status 500", "crew", "mayor", "sha256:" + "0" * 64,
)  # fmt: skip
CHAT: dict[str, Any] = {
    "model": "mayor",
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
        {"role": "user", "content": "say hi"},
    ],
    "stream": True,
    "temperature": 0.5,
    "stop": ["a"],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/admin/reload-model": {
        "role": "mayor",
        "version": 2,
        "model_path": "adapters/mayor/v2",
        "force": False,
        "why": "x",
    },
    "/admin/rollback": {"role": "mayor", "why": "x"},
    "/promote": {"role": "mayor"},
    "/login": {"key": "x"},
}
PATHS = (
    *BODIES, "/v1/models", "/v1/models/mayor", "/v1/domains", "/health", "/metrics", "/openapi.json", "/admin/status",
    "/", "/v1/models/%00", "/v1/models/..%2f..%2fetc%2fpasswd", "/../../etc/passwd", "//admin/status", "/%ff%fe", "*",
    "/admin/status/", "/admin%2fstatus", "/v1/models/" + "a" * 3000, "/?said=%00", "http://evil.example/admin/status",
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND")
HEADERS = (
    b"X-Forwarded-For: 127.0.0.1", b"Forwarded: for=127.0.0.1", b"Host: evil.example", b"Origin: null",
    b"Expect: 100-continue", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Content-Length: 5",
    b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Upgrade: websocket\r\nConnection: Upgrade",
    b"Connection: close, authorization", b"Content-Encoding: gzip", b"Content-Type: multipart/form-data; boundary=",
    b"Cookie: forge_session=\xff\xfe", b"X-A: \x00", b"X-\xff: a", b": a", b"X-A", b" folded", b"Range: bytes=0-",
    b"Accept: \x7f", b"X-A: \xff\xfe", b"Cookie: " + b"a=b;" * 2000,
)  # fmt: skip


def request(chance: random.Random) -> bytes:
    """One request: a good one that something was done to."""
    path = chance.choices(tuple(BODIES), (16, 4, 4, 1, 1))[0] if chance.random() < 0.8 else chance.choice(PATHS)
    method = ("POST" if path in BODIES else "GET") if chance.random() < 0.9 else chance.choice(METHODS)
    raw = body(chance, BODIES.get(path, CHAT)) if method != "GET" or chance.random() < 0.1 else b""
    lines = [f"{method} {path} HTTP/1.{chance.choice('1111110')}".encode(), b"Content-Length: %d" % len(raw)]
    lines += [] if chance.random() < 0.02 else [b"Host: localhost"]
    lines += [b"Authorization: " + key(chance)] if chance.random() < 0.95 else []
    lines += [chance.choice(HEADERS) for _ in range(chance.choice((0, 0, 0, 1, 3)))]
    whole = b"\r\n".join(lines) + b"\r\nConnection: close\r\n\r\n" + raw
    return scratched(chance, whole) if chance.random() < 0.1 else whole


def body(chance: random.Random, good: dict[str, Any]) -> bytes:
    value = json.loads(json.dumps(good))
    if "messages" in value and chance.random() < 0.2:
        value["messages"][-1]["content"] = chance.choice(("status 500", "status 400", "die at once", "die after 2"))
    for _ in range(chance.choice((0, 0, 1, 2, 5))):
        spoil(chance, value)
    raw = json.dumps(value).encode()
    kind = chance.random()
    if kind < 0.05:
        return chance.choice((b"[" * 20_000, b'{"a":' * 9_000, b"9" * 5000, b"NaN", b"", b"\xff\xfe{}", b"x" * 60_000))
    if kind < 0.1:
        return raw.replace(b"{", b'{"model":"crew","role":"crew",', 1)
    return scratched(chance, raw) if kind < 0.3 else raw


def spoil(chance: random.Random, value: Any) -> None:
    """Something somewhere in a JSON value becomes something else."""
    while isinstance(value, dict | list) and value:
        at = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if chance.random() < 0.4 or not isinstance(value[at], dict | list):
            value[at] = deepcopy(chance.choice(NASTY))
            if isinstance(value, dict) and chance.random() < 0.3:
                value[chance.choice(("lora", "id_slot", "n", "logit_bias", "force", "", "\0"))] = deepcopy(
                    chance.choice(NASTY)
                )
            return
        value = value[at]


def scratched(chance: random.Random, raw: bytes) -> bytes:
    """Bytes that are missing, doubled or others than they were."""
    spoiled = bytearray(raw)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(spoiled) + 1)
        spoiled[at : at + chance.choice((0, 1, 1, 20))] = chance.randbytes(chance.choice((0, 1, 1, 8)))
    return bytes(spoiled)


def key(chance: random.Random) -> bytes:
    good = KEYS[chance.choice(tuple(KEYS))].encode()
    odd = (
        good[:-1],
        good + b"\0",
        good.upper(),
        "ключ-ключ-ключ-ключ".encode(),
        b"\xff" * 30,
        b"",
        b"x" * 9000,
        b"sha256:" + good,
    )
    return b"Bearer " + (good if chance.random() < 0.8 else chance.choice(odd))


# --- answers ----------------------------------------------------------------------------------------------------------
async def answer_to(port: int, raw: bytes) -> bytes:
    """What comes back. Whoever waits for the rest of half a request soon learns that there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    with suppress(ConnectionError):
        writer.write(raw)
        with suppress(TimeoutError):
            got = await asyncio.wait_for(reader.read(65536), 0.25)
        if not got:
            writer.write_eof()
        while part := await asyncio.wait_for(reader.read(65536), 15):
            got += part
    writer.close()
    return got


async def answers_to(port: int, requests: Iterator[bytes], at_once: int = 60) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []

    async def ask() -> None:
        for raw in requests:
            found.append((raw, await answer_to(port, raw)))

    await asyncio.gather(*(ask() for _ in range(at_once)))
    return found


def test_ten_thousand_odd_requests_break_nothing_and_learn_nothing(gateway: Served, folder: Path) -> None:
    chance, hidden = random.Random(20261129), secrets_of(gateway, folder)
    many = (request(chance) for _ in range(10_000))
    answers = asyncio.run(answers_to(httpx.URL(gateway.url).port or 0, many))
    statuses = Counter(got[9:12] for _, got in answers)
    assert len(answers) == 10_000
    for raw, got in answers:
        assert b"HTTP/1.1 500" not in got, raw
        assert not any(word in got for word in hidden), (raw, got)
    # Both sides of every check were seen.
    assert {b"200", b"400", b"401", b"403", b"404", b"405", b"409", b"413", b"502"} <= set(statuses), statuses
    assert statuses[b"200"] > 300
    assert CLIENT.get(f"{gateway.url}/health").status_code == 200
    assert quiet(gateway)


def quiet(gateway: Served, seconds: float = 5.0) -> bool:
    """Whether nothing is held for requests that are over."""
    end = time.monotonic() + seconds
    limits = gateway.gateway.limits
    while (gateway.fleet.held or limits.under_way or limits._streams) and time.monotonic() < end:
        time.sleep(0.02)
    return not (gateway.fleet.held or limits.under_way or limits.waiting or limits._streams)


def test_bytes_that_are_no_http_at_all_are_refused(gateway: Served, folder: Path) -> None:
    chance, hidden = random.Random(7), secrets_of(gateway, folder)
    known = [
        b"",
        b"\r\n" * 1000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"GET / HTTP/2.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET\t/admin/status\tHTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    ]
    raw = [*known, *(chance.randbytes(chance.randint(1, 2000)) for _ in range(300))]
    for sent, got in asyncio.run(answers_to(httpx.URL(gateway.url).port or 0, iter(raw))):
        assert not got or got.split(b" ")[1] in (b"303", b"400", b"401", b"404", b"405", b"431"), (sent, got)
        assert not any(word in got for word in hidden)


SMUGGLED = b"POST /admin/rollback HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16\r\n\r\n" + b'{"role":"mayor"}'


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Content-Length: 0\r\nContent-Length: 4\r\n",
        b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n",
        b"Transfer-Encoding : chunked\r\nContent-Length: 0\r\n",
        b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 0\r\n",
        b"Content-Length: +0\r\n",
        b"Content-Length: 0x0\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
    ],
)
def test_a_request_whose_length_is_said_twice_hides_no_second_one(gateway: Served, headers: bytes) -> None:
    """What a proxy in front would take for a body is not taken for a request here: one answer, and it is a refusal."""
    before = dict(gateway.fleet.live)
    raw = b"POST /health HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n0\r\n\r\n" + SMUGGLED
    got = asyncio.run(answer_to(httpx.URL(gateway.url).port or 0, raw))
    assert got.startswith(b"HTTP/1.1 400") and got.count(b"HTTP/1.1 ") == 1
    assert gateway.fleet.live == before


# --- by the interface's own description -------------------------------------------------------------------------------
def test_the_gateway_does_what_its_openapi_says(gateway: Served, folder: Path) -> None:
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    schema = schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")
    hidden, seen = secrets_of(gateway, folder), Counter[str]()
    headers = {"Authorization": f"Bearer {KEYS['admin']}"}
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def run(case: Any) -> None:
            answer = case.call(headers=headers)
            excluded = [not_a_server_error] if answer.status_code in (502, 503) else []
            case.validate_response(answer, checks=checks, excluded_checks=excluded)
            assert not any(word in answer.content for word in hidden)
            seen[case.operation.path] += 1

        run()
    # Schemathesis leaves out the document itself.
    assert set(seen) == set(schema.raw_schema["paths"]) - {"/openapi.json"} and seen["/v1/chat/completions"] >= 20
