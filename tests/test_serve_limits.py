"""Limits: of a key, of the gateway, of one request, and of what a slow client may hold."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.serve.access import Caller
from deploy.serve.config import LimitsConfig, ServeConfig, TimeoutsConfig
from deploy.serve.errors import ApiError
from deploy.serve.key_line import Rate
from deploy.serve.limits import Bucket, Limits
from deploy.serve.wire import MOST_HEAD_BYTES
from tests.engine_double import EngineDouble, Served, engine_double, served

CLIENT = httpx.Client(verify=False, trust_env=False, timeout=10)
LIMITS = LimitsConfig(body_bytes=100_000, rate="1000/s", streams=4, at_once=2, waiting=1)
TIMEOUTS = TimeoutsConfig(body=0.4, queue=5.0, idle=0.6, first_byte=5.0, total=8.0, drain=1.0)


# --- counting ---------------------------------------------------------------------------------------------------------
@given(st.integers(1, 50), st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_no_window_of_a_bucket_holds_more_than_twice_its_rate(count: int, pauses: list[float]) -> None:
    """A full bucket and what flows in meanwhile, which is the most that a bucket of tokens promises."""
    bucket, now, taken = Bucket(Rate(count, 10.0), 0.0), 0.0, list[float]()
    for pause in pauses:
        now += pause
        if bucket.take(now) == 0.0:
            taken.append(now)
    for start in taken:
        assert sum(start <= at <= start + 10.0 for at in taken) <= 2 * count


@given(st.integers(1, 1000), st.sampled_from([1.0, 60.0, 3600.0]))
def test_whoever_waits_as_long_as_told_gets_in(count: int, seconds: float) -> None:
    bucket = Bucket(Rate(count, seconds), 0.0)
    assert [bucket.take(0.0) for _ in range(count)] == [0.0] * count
    wait = bucket.take(0.0)
    assert 0 < wait <= seconds / count * (1 + 1e-9)
    assert bucket.take(wait * (1 + 1e-9) + 1e-9) == 0.0


def test_a_key_has_its_own_rate_and_its_own_streams() -> None:
    now = [0.0]
    limits = Limits(LimitsConfig(rate="2/m", streams=1), 1.0, lambda: now[0])
    slow, fast = Caller("slow"), Caller("fast", rate=Rate(100, 1.0), streams=2)
    with limits.admit(slow):
        with pytest.raises(ApiError) as refused, limits.admit(slow):
            pass
        assert (refused.value.status, refused.value.code) == (429, "too_many_streams")
        with limits.admit(fast), limits.admit(fast):
            pass
    with pytest.raises(ApiError) as refused, limits.admit(slow):
        pass
    assert (refused.value.status, refused.value.code) == (429, "rate_limit_exceeded")
    assert refused.value.headers()["retry-after"] == "30"
    now[0] = 31.0
    with limits.admit(slow):
        pass


def test_places_are_given_back_whatever_happens() -> None:
    async def scenario() -> None:
        limits = Limits(LimitsConfig(at_once=1, waiting=1), 0.05)

        async def hold(seconds: float) -> None:
            async with limits.slot():
                await asyncio.sleep(seconds)
                raise ZeroDivisionError

        first, second = asyncio.create_task(hold(0.02)), asyncio.create_task(hold(5))
        await asyncio.sleep(0.01)
        assert (limits.under_way, limits.waiting) == (1, 1)
        with pytest.raises(ApiError) as full:
            await hold(0)
        assert (full.value.status, full.value.headers()["retry-after"]) == (503, "2")
        await asyncio.sleep(0.03)
        third = asyncio.create_task(hold(0))
        with pytest.raises(ApiError) as late:
            await third
        assert late.value.status == 503
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        assert (limits.under_way, limits.waiting) == (0, 0)
        with pytest.raises(ZeroDivisionError):
            await hold(0)

    asyncio.run(scenario())


# --- at the gateway ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def engine() -> Iterator[EngineDouble]:
    with engine_double() as double:
        yield double


@pytest.fixture(scope="module")
def gateway(engine: EngineDouble) -> Iterator[Served]:
    with served(ServeConfig(limits=LIMITS, timeouts=TIMEOUTS), engine) as running:
        yield running


def chat(gateway: Served, words: str, **more: Any) -> httpx.Response:
    body = {"model": "mayor", "messages": [{"role": "user", "content": words}], **more}
    return CLIENT.post(f"{gateway.url}/v1/chat/completions", json=body)


def until_quiet(gateway: Served) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end and (gateway.fleet.held or gateway.engine.under_way):
        time.sleep(0.01)
    return not gateway.fleet.held and not gateway.engine.under_way


def test_one_too_many_is_told_to_come_back(gateway: Served) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: chat(gateway, "wait 0.4 a"), range(6)))
    # Two at the engine, one waits, a fourth finds the queue full, and the key may have four at a time.
    by_status = sorted(answer.status_code for answer in answers)
    assert by_status[:3] == [200, 200, 200] and set(by_status[3:]) <= {429, 503}
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code != 200)
    assert until_quiet(gateway) and chat(gateway, "say hi").status_code == 200


def test_a_body_that_is_too_large_is_413_with_and_without_a_length(gateway: Served) -> None:
    assert chat(gateway, "x" * 200_000).status_code == 413
    many = (b"x" * 1000 for _ in range(300))
    answer = CLIENT.post(f"{gateway.url}/v1/chat/completions", content=many)
    assert answer.status_code == 413 and answer.json()["error"]["code"] == "request_too_large"
    assert CLIENT.post(f"{gateway.url}/admin/rollback", content=b"x" * 200_000).status_code == 413


def connection_to(gateway: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", httpx.URL(gateway.url).port or 0), 5)


def answer_on(connection: socket.socket) -> bytes:
    got = b""
    while part := connection.recv(65536):
        got += part
    return got


def test_a_body_that_never_comes_is_given_up(gateway: Served) -> None:
    with connection_to(gateway) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n")
        connection.sendall(b"Connection: close\r\n\r\n{")
        assert answer_on(connection).startswith(b"HTTP/1.1 408")


def test_headers_that_never_end_are_given_up(gateway: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.serve.wire.HEAD_SECONDS", 0.2)
    for beginning in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: "):
        with connection_to(gateway) as connection:
            connection.sendall(beginning)
            assert answer_on(connection).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("line", [b"X-A: %s\r\n", b"%s: a\r\n"])
def test_headers_without_end_are_not_kept(gateway: Served, line: bytes) -> None:
    with connection_to(gateway) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
        got = b""
        try:
            for _ in range(200):
                connection.sendall(line % (b"x" * 5000))
            got = answer_on(connection)
        except ConnectionError:
            pass  # it hung up while we wrote
        assert got == b"" or got.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))


def test_a_head_that_comes_at_once_has_the_same_limit(gateway: Served) -> None:
    for size, status in ((MOST_HEAD_BYTES // 2, b"200"), (MOST_HEAD_BYTES + 10, b"431")):
        with connection_to(gateway) as connection:
            head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-A: "
            connection.sendall(head + b"x" * size + b"\r\n\r\n")
            assert answer_on(connection)[9:12] == status


def test_a_request_after_a_long_pause_is_answered(gateway: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit for a head ends with the head: a long answer is not cut off by it."""
    monkeypatch.setattr("deploy.serve.wire.HEAD_SECONDS", 0.2)
    client = httpx.Client(verify=False, trust_env=False)
    for _ in range(2):
        body = {"model": "mayor", "stream": True, "messages": [{"role": "user", "content": "wait 0.15 a b c"}]}
        assert "[DONE]" in client.post(f"{gateway.url}/v1/chat/completions", json=body).text
        time.sleep(0.3)


def test_a_client_that_does_not_read_slows_the_engine_and_is_left(gateway: Served) -> None:
    raw = json.dumps(
        {"model": "mayor", "stream": True, "messages": [{"role": "user", "content": "flood 100"}]}
    ).encode()
    left = gateway.engine.left
    with connection_to(gateway) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n")
        connection.sendall(b"Content-Length: %d\r\n\r\n" % len(raw) + raw)
        time.sleep(0.4)
        assert gateway.engine.under_way == 1, "the engine could write 100 MB to somebody who reads nothing"
        assert until_quiet(gateway) and gateway.engine.left == left + 1
        time.sleep(0.1)
        with pytest.raises(ConnectionResetError):
            while connection.recv(65536):
                pass


def test_a_slow_client_gets_all_of_it(gateway: Served) -> None:
    body = {"model": "mayor", "stream": True, "messages": [{"role": "user", "content": "flood 4"}]}
    with CLIENT.stream("POST", f"{gateway.url}/v1/chat/completions", json=body) as answer:
        size = 0
        for number, part in enumerate(answer.iter_bytes(65536)):
            size += len(part)
            if number % 10 == 0:
                time.sleep(0.02)
    assert size > 4 * 2**20


def test_a_gateway_that_is_stopped_finishes_what_is_under_way(engine: EngineDouble) -> None:
    said: list[str] = []
    config = ServeConfig(limits=LIMITS, timeouts=TIMEOUTS)
    with served(config, engine) as stopping:
        thread = threading.Thread(target=lambda: said.append(chat(stopping, "wait 0.2 a b c", stream=True).text))
        thread.start()
        while not stopping.fleet.held:
            time.sleep(0.01)
    thread.join()
    assert "[DONE]" in said[0]
    with pytest.raises(httpx.ConnectError):
        CLIENT.get(f"{stopping.url}/health")
