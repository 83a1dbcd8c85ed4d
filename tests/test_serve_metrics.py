"""The gateway's numbers: what Prometheus reads, what the page shows, and that labels stay few."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.serve import metrics
from deploy.serve.metrics import Metrics, Numbers, percentile, tokens_in
from deploy.serve.types import Change, Ending, Exchange

USAGE = b'{"usage":{"prompt_tokens":812,"completion_tokens":43,"total_tokens":855}}'


def exchange(role: str = "mayor", version: int = 3, seconds: float = 0.5, **facts: Any) -> Exchange:
    given = {"answer": USAGE, "streamed": False, "ending": Ending.COMPLETE, "status": 200} | facts
    return Exchange("2026-11-29T10:00:00Z", role, version, "ci", {}, seconds=seconds, **given)


def value(numbers: Metrics, name: str, **labels: str) -> float | None:
    return numbers.registry.get_sample_value(name, labels)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_request_is_counted_by_role_version_and_status() -> None:
    numbers = Metrics()
    numbers.note(exchange(first_byte_seconds=0.1))
    numbers.note(exchange(status=502, ending=Ending.FAILED, answer=b""))
    mine = {"role": "mayor", "version": "v3"}
    assert value(numbers, "forge_requests_total", **mine, status="200") == 1
    assert value(numbers, "forge_requests_total", **mine, status="502") == 1
    assert value(numbers, "forge_request_seconds_count", **mine) == 2
    assert value(numbers, "forge_first_byte_seconds_sum", **mine) == 0.1
    assert value(numbers, "forge_tokens_total", **mine, kind="prompt") == 812
    assert value(numbers, "forge_tokens_total", **mine, kind="completion") == 43


def test_everything_that_prometheus_reads_has_its_help() -> None:
    numbers = Metrics(restarts=lambda: 2)
    numbers.note(exchange())
    numbers.refused(401)
    numbers.captured("written")
    numbers.changed(Change("mayor", 3, 2, 0.3, "reload"))
    with numbers.in_flight():
        text = numbers.text().decode()
        assert "forge_in_flight 1.0" in text
    assert "forge_in_flight 0.0" in numbers.text().decode()
    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    helped = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# HELP")}
    assert {name for name in names if not any(name.startswith(one) for one in helped)} == set()
    for sample in (
        'forge_requests_total{role="other",status="401",version="other"} 1.0',
        'forge_captures_total{fate="written"} 1.0',
        'forge_swaps_total{kind="reload",role="mayor"} 1.0',
        "forge_engine_restarts 2.0",
    ):
        assert sample in text


def test_two_gateways_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.note(exchange())
    assert value(other, "forge_requests_total", role="mayor", version="v3", status="200") is None


def test_labels_beyond_a_limit_are_counted_as_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_MOST_VERSIONS", 3)
    numbers = Metrics()
    for version in range(1, 9):
        numbers.note(exchange(version=version))
    assert numbers.text().decode().count("forge_requests_total{") == 4
    assert value(numbers, "forge_requests_total", role="other", version="other", status="200") == 5


def test_the_page_sees_the_last_minutes_by_version() -> None:
    clock = Clock()
    numbers = Metrics(clock=clock)
    numbers.note(exchange(seconds=99.0))
    clock.now += 16 * 60
    for seconds in (0.1, 0.2, 0.3):
        numbers.note(exchange(seconds=seconds))
    numbers.note(exchange(version=2, seconds=7.0, ending=Ending.INTERRUPTED, answer=b""))
    numbers.note(exchange(version=2, seconds=9.0, ending=Ending.FAILED, status=503, answer=b""))
    shown = numbers.snapshot(15)
    assert shown.versions[("mayor", 3)] == Numbers(3, 0, 0, 0.2, 0.3, 3 * 812, 3 * 43)
    assert shown.versions[("mayor", 2)] == Numbers(2, 1, 1)
    assert (shown.whole.requests, shown.whole.p95, shown.up_seconds) == (5, 0.3, 960.0)
    assert numbers.snapshot(60).whole.requests == 6


def test_a_clients_own_mistake_is_no_failure_of_ours() -> None:
    numbers = Metrics()
    numbers.note(exchange(status=400, ending=Ending.COMPLETE))
    numbers.refused(429)
    shown = numbers.snapshot()
    assert (shown.whole.failed, shown.refused) == (0, {429: 1})


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_enough_others_do_not_exceed(values: list[float], share: float) -> None:
    found = percentile(sorted(values), share)
    assert found in values
    assert sum(one <= found for one in values) >= math.floor(share * len(values))
    assert sum(one < found for one in values) < share * len(values)


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile([], 0.5) is None


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        (USAGE, (812, 43)),
        (b'data: {"choices":[],"usage":{"completion_tokens": 4,"prompt_tokens": 9}}\n\ndata: [DONE]\n\n', (9, 4)),
        (b'data: {"timings":{"cache_n":100,"prompt_n":7,"predicted_n":5}}\n\ndata: [DONE]\n\n', (107, 5)),
        (b'{"choices":[{"message":{"content":"\\"prompt_tokens\\":999"}}]}', (0, 0)),
        (b'{"choices":[{"message":{"content":"\\"completion_tokens\\":9"}}],"usage":{"prompt_tokens":1}}', (1, 0)),
        (b"", (0, 0)),
        (b"\xff\x00" * 9000, (0, 0)),
    ],
)
def test_tokens_are_those_that_the_engine_counted(answer: bytes, tokens: tuple[int, int]) -> None:
    assert tokens_in(answer) == tokens
