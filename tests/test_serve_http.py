"""The gateway's routes, against the real uvicorn and an engine that misbehaves when it is asked to."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from deploy.serve.config import ServeConfig, TimeoutsConfig
from deploy.serve.relay import refusal
from tests.engine_double import ENGINE_KEY, SECRET_PATH, EngineDouble, Served, engine_double, served

TIMEOUTS = TimeoutsConfig(first_byte=0.4, idle=0.4, total=1.0, body=0.5, drain=2.0)
# Made once: a client reads the certificates of the whole world when it is made.
CLIENT = httpx.Client(verify=False, trust_env=False, timeout=10)


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineDouble]:
    with engine_double() as double:
        yield double


@pytest.fixture(scope="module")
def gateway(engine: EngineDouble) -> Iterator[Served]:
    with served(ServeConfig(timeouts=TIMEOUTS), engine) as running:
        yield running


@pytest.fixture
def here(gateway: Served) -> Iterator[Served]:
    """The same gateway, as it was at the start."""
    fleet = gateway.fleet
    fleet.live, fleet.previous = {"mayor": 2, "crew": 1}, {"mayor": 1, "crew": None}
    fleet.started, fleet.unavailable, fleet.url = True, False, gateway.engine.url
    gateway.engine.requests.clear()
    yield gateway
    # The engine too: what it still hears of one test's clients would count in the next.
    assert until(lambda: not (fleet.held or gateway.gateway.limits.under_way or gateway.engine.under_way))


def body(words: str, **more: Any) -> dict[str, Any]:
    return {"model": "mayor", "messages": [{"role": "user", "content": words}], **more}


def ask(here: Served, words: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    return CLIENT.post(f"{here.url}/v1/chat/completions", json=body(words, **more), headers=headers)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert set(answer.json()) == {"error"} and set(error) == {"message", "type", "param", "code"}
    return error


def until(true: Callable[[], bool], seconds: float = 3.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not true():
        time.sleep(0.01)
    return true()


def last_seen(here: Served) -> Any:
    return here.gateway.metrics._seen[-1]


# --- what comes back -------------------------------------------------------------------------------------------------
def test_an_answer_in_one_piece_is_the_engines_own(here: Served) -> None:
    answer = ask(here, "say good morning")
    assert answer.status_code == 200 and answer.headers["x-forge-model"] == "mayor@v2"
    assert answer.json()["choices"][0]["message"]["content"] == "good morning"
    assert here.engine.requests[-1]["model"] == "mayor@v2"
    assert "llama" not in answer.headers.get("server", "")


def test_a_streamed_answer_is_passed_on_byte_for_byte(here: Served) -> None:
    answer = ask(here, "say good morning", stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-forge-model"] == "mayor@v2"
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    told = [json.loads(event)["choices"][0]["delta"].get("content") for event in events[:-1]]
    assert told == [" good", " morning", None]
    seen = last_seen(here)
    assert (seen.prompt_tokens, seen.completion_tokens, seen.interrupted) == (11, 3, False)


def test_the_first_part_does_not_wait_for_the_second(here: Served) -> None:
    with CLIENT.stream("POST", f"{here.url}/v1/chat/completions", json=body("wait 0.15 a b c", stream=True)) as answer:
        parts = answer.iter_bytes()
        next(parts)
        first = time.monotonic()
        list(parts)
    assert time.monotonic() - first > 0.25


@pytest.mark.parametrize("name", ["mayor", "mayor@v2", "gastown-mayor:latest"])
def test_every_name_of_a_version_works(here: Served, name: str) -> None:
    assert ask(here, "say hi", model=name).headers["x-forge-model"] == "mayor@v2"


def test_tool_calls_pass_in_both_directions(here: Served) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
    answer = ask(here, "call weather", tools=tools, tool_choice="auto").json()
    call = answer["choices"][0]["message"]["tool_calls"][0]
    assert call["function"] == {"name": "weather", "arguments": '{"city": "Riga"}'}
    assert here.engine.requests[-1]["tools"] == tools
    history = [
        {"role": "user", "content": "call weather"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "say rain"},
    ]
    assert ask(here, "", messages=history).json()["choices"][0]["message"]["content"] == "rain"
    assert here.engine.requests[-1]["messages"] == history


# --- what the engine does not see ------------------------------------------------------------------------------------
@pytest.mark.parametrize("field", ["lora", "id_slot", "cache_prompt", "grammar", "chat_template", "n_predict"])
def test_a_field_that_steers_the_engine_is_refused(here: Served, field: str) -> None:
    answer = ask(here, "say hi", **{field: []})
    assert answer.status_code == 400 and field in error_of(answer)["message"]
    assert here.engine.requests == []


def test_what_openai_clients_send_without_meaning_here_is_left_out(here: Served) -> None:
    assert ask(here, "say hi", store=True, metadata={"a": "b"}, user="u", temperature=0.5).status_code == 200
    assert set(here.engine.requests[-1]) == {"model", "messages", "temperature"}


def test_the_engine_is_never_asked_to_fetch_an_address(here: Served) -> None:
    part = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest/meta-data"}}
    answer = ask(here, "", messages=[{"role": "user", "content": [{"type": "text", "text": "say hi"}, part]}])
    assert answer.status_code == 400 and here.engine.requests == []


def test_of_two_keys_of_one_name_the_engine_sees_the_one_that_was_checked(here: Served) -> None:
    raw = b'{"model":"crew","lora":[],"messages":[{"role":"user","content":"say a"}],"model":"mayor"}'
    assert post(here, raw).status_code == 400
    assert post(here, raw.replace(b'"lora":[],', b"")).status_code == 200
    assert here.engine.requests[-1]["model"] == "mayor@v2"


def post(here: Served, raw: bytes) -> httpx.Response:
    return CLIENT.post(f"{here.url}/v1/chat/completions", content=raw, headers={"content-type": "application/json"})


BROKEN = {
    "no JSON": b"{",
    "empty": b"",
    "an array": b"[]",
    "NaN": b'{"model":"mayor","messages":[{"role":"user","content":"say a"}],"temperature":NaN}',
    "a number without end": b'{"model":"mayor","messages":[{"role":"user","content":"a"}],"seed":' + b"9" * 5000 + b"}",
    "a number beyond all": b'{"model":"mayor","messages":[{"role":"user","content":"a"}],"temperature":1e999}',
    "a whole number of 400 digits": b'{"model":"mayor","messages":[{"role":"user","content":"a"}],"seed":'
    + b"9" * 400
    + b"}",
    "invalid UTF-8": b'{"model":"mayor","messages":[{"role":"user","content":"\xff"}]}',
    "half a surrogate": b'{"model":"mayor","messages":[{"role":"user","content":"\\ud800"}]}',
    "a hundred thousand brackets": b'{"model":"mayor","messages":[{"role":"user","content":' + b"[" * 100_000,
    "tools as deep": b'{"model":"mayor","messages":[{"role":"user","content":"a"}],"tools":' + b'[{"a":' * 50_000,
    "no messages": b'{"model":"mayor","messages":[]}',
    "messages that are none": b'{"model":"mayor","messages":[1]}',
    "a role of its own": b'{"model":"mayor","messages":[{"role":"root","content":"a"}]}',
    "no model": b'{"messages":[{"role":"user","content":"a"}]}',
    "a model that is a list": b'{"model":["mayor"],"messages":[{"role":"user","content":"a"}]}',
    "a null byte": b"\x00" * 10,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_request_is_the_clients_fault(here: Served, name: str) -> None:
    answer = post(here, BROKEN[name])
    assert answer.status_code == 400
    assert error_of(answer)["type"] == "invalid_request_error"
    assert here.engine.requests == []


def test_a_request_as_deep_as_the_parser_allows_is_answered(here: Served) -> None:
    deep: Any = "x"
    for _ in range(400):
        deep = {"a": deep}
    assert ask(
        here, "say hi", tools=[{"type": "function", "function": {"name": "f", "parameters": deep}}]
    ).status_code in (200, 400)


# --- what goes wrong -------------------------------------------------------------------------------------------------
def test_an_unknown_model_is_404_and_lists_what_there_is(here: Served) -> None:
    answer = ask(here, "say hi", model="alderman")
    assert answer.status_code == 404
    error = error_of(answer)
    assert (error["code"], error["param"]) == ("model_not_found", "model") and "mayor" in error["message"]


@pytest.mark.parametrize(("said", "status"), [(400, 400), (422, 400), (404, 503), (503, 503), (500, 502), (401, 502)])
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_of_the_engine_keeps_its_places_to_itself(here: Served, said: int, status: int, stream: bool) -> None:
    answer = ask(here, f"status {said}", stream=stream)
    assert answer.status_code == status and answer.headers["x-forge-model"] == "mayor@v2"
    message = error_of(answer)["message"]
    assert "error loading" in message
    assert SECRET_PATH not in answer.text and "/srv" not in answer.text and here.engine.url not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)
    assert here.gateway.metrics._seen[-1].failed


def test_what_a_router_could_not_hand_to_a_dead_child_may_be_asked_again() -> None:
    body = json.dumps({"error": {"code": 500, "message": "proxy error: Could not establish connection"}}).encode()
    lost, failed = refusal(500, body), refusal(500, b'{"error": {"message": "out of memory"}}')
    assert (lost.status, lost.retry, failed.status, failed.retry) == (503, 1.0, 502, None)


def test_an_engine_that_dies_before_its_first_word_is_a_502(here: Served) -> None:
    for stream in (False, True):
        assert error_of(answer := ask(here, "die at once", stream=stream))["code"] == "engine_error"
        assert answer.status_code == 502


@pytest.mark.parametrize("how", ["die", "end"])
def test_an_engine_that_stops_in_the_middle_ends_the_stream_with_an_error(here: Served, how: str) -> None:
    answer = ask(here, f"{how} after 3", stream=True)
    events = [event for event in answer.text.split("\n\n") if event.strip()]
    assert answer.status_code == 200 and "[DONE]" not in answer.text and " 2" in answer.text
    assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "engine_error"
    assert last_seen(here).interrupted


def test_an_engine_that_is_not_there_is_503_with_a_time_to_come_back(here: Served) -> None:
    here.fleet.url = "http://127.0.0.1:1"
    answer = ask(here, "say hi")
    assert answer.status_code == 503 and answer.headers["retry-after"] == "1" and "127.0.0.1" not in answer.text
    here.fleet.unavailable = True
    answer = ask(here, "say hi")
    assert answer.status_code == 503 and answer.headers["retry-after"] == "3" and "127.0.0.1" not in answer.text


def test_a_gateway_that_is_starting_says_so(here: Served) -> None:
    here.fleet.started = False
    health = CLIENT.get(f"{here.url}/health")
    assert health.status_code == 503 and "retry-after" in health.headers
    assert ask(here, "say hi").status_code == 503
    here.fleet.started = True
    assert CLIENT.get(f"{here.url}/health").json() == {"status": "ok"}


def test_an_engine_that_says_nothing_is_given_up(here: Served) -> None:
    answer = ask(here, "wait 30 a", stream=True)
    assert answer.status_code == 504 and error_of(answer)["code"] == "timeout"
    assert until(lambda: here.engine.under_way == 0), "the engine goes on computing for nobody"


def test_an_answer_in_one_piece_has_the_whole_time(here: Served) -> None:
    assert ask(here, "wait 0.6 a").status_code == 200
    assert ask(here, "wait 30 a").status_code == 504


def test_a_stream_has_an_end(here: Served) -> None:
    started = time.monotonic()
    answer = ask(here, "wait 0.3 " + "a " * 50, stream=True)
    assert 0.7 < time.monotonic() - started < 15 and '"timeout"' in answer.text
    assert last_seen(here).interrupted


# --- clients that leave ----------------------------------------------------------------------------------------------
def asked_raw(here: Served, raw: bytes) -> socket.socket:
    """A connection on which a chat was asked for and nothing was read yet."""
    connection = socket.create_connection(("127.0.0.1", httpx.URL(here.url).port or 0), 5)
    connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n")
    connection.sendall(b"Content-Length: %d\r\n\r\n" % len(raw) + raw)
    return connection


def hang_up_after(here: Served, words: str, least: bytes, stream: bool = True) -> None:
    """Reads until `least` has come, then closes the connection."""
    raw = json.dumps(body(words, stream=stream)).encode()
    with asked_raw(here, raw) as connection:
        got = b""
        while least not in got:
            got += connection.recv(65536)


@pytest.mark.parametrize("stream", [True, False])
def test_the_engine_stops_when_the_client_leaves(here: Served, stream: bool) -> None:
    left = here.engine.left
    raw = json.dumps(body("wait 0.8 a b c", stream=stream)).encode()
    with asked_raw(here, raw):
        assert until(lambda: here.engine.under_way == 1)
    assert until(lambda: here.engine.left == left + 1, 0.7)
    assert until(lambda: last_seen(here).interrupted)


def test_a_client_that_leaves_in_the_middle_leaves_an_interrupted_answer(here: Served) -> None:
    before = len(here.gateway.metrics._seen)
    hang_up_after(here, "wait 0.2 a b c d", b" a")
    assert until(lambda: len(here.gateway.metrics._seen) > before)
    assert last_seen(here).interrupted and not last_seen(here).failed


def test_a_client_that_leaves_after_done_has_its_whole_answer(here: Served) -> None:
    before = len(here.gateway.metrics._seen)
    hang_up_after(here, "say a b", b"[DONE]")
    assert until(lambda: len(here.gateway.metrics._seen) > before)
    assert not last_seen(here).interrupted


# --- what is kept ----------------------------------------------------------------------------------------------------
def test_nothing_is_kept_unless_somebody_wants_it(here: Served) -> None:
    ask(here, "say hi")
    assert here.kept.exchanges == []


# --- lists -----------------------------------------------------------------------------------------------------------
def test_models_and_domains_say_what_is_served(here: Served) -> None:
    models = CLIENT.get(f"{here.url}/v1/models").json()
    names = {model["id"]: model["version"] for model in models["data"]}
    assert {"mayor": 2, "mayor@v2": 2, "mayor@v1": 1, "gastown-mayor:latest": 2, "crew@v1": 1}.items() <= names.items()
    domains = CLIENT.get(f"{here.url}/v1/domains").json()["data"]
    assert domains[1] == {"role": "mayor", "live": 2, "previous": 1, "versions": [2, 1]}
    assert CLIENT.get(f"{here.url}/v1/models/mayor@v1").json()["version"] == 1
    assert CLIENT.get(f"{here.url}/v1/models/alderman").status_code == 404


def test_the_numbers_are_prometheus(here: Served) -> None:
    ask(here, "say hi")
    answer = CLIENT.get(f"{here.url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'forge_requests_total{role="mayor",status="200",version="v2"}' in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("POST", "/admin/status", 405),
    ],
)
def test_other_addresses_and_methods_are_refused_in_the_same_form(
    here: Served, method: str, path: str, status: int
) -> None:
    answer = CLIENT.request(method, here.url + path)
    assert answer.status_code == status and error_of(answer)["message"]


# --- the admin's actions ---------------------------------------------------------------------------------------------
def act(here: Served, action: str, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return CLIENT.post(f"{here.url}/admin/{action}", json=body, headers=headers)


def test_a_version_goes_live_and_back(here: Served) -> None:
    assert ask(here, "say hi").headers["x-forge-model"] == "mayor@v2"
    done = act(here, "rollback", role="mayor").json()
    assert done == {"role": "mayor", "version": 1, "before": 2, "seconds": 0.01, "kind": "rollback"}
    assert ask(here, "say hi").headers["x-forge-model"] == "mayor@v1"
    assert act(here, "reload-model", role="mayor", version=2).json()["version"] == 2
    states = {state["role"]: state for state in CLIENT.get(f"{here.url}/admin/status").json()["roles"]}
    assert (states["mayor"]["live"], states["mayor"]["previous"]) == (2, 1)


def test_a_refused_version_is_409_with_the_reasons_and_the_old_one_stays(here: Served) -> None:
    answer = act(here, "reload-model", role="mayor", version=3)
    assert answer.status_code == 409 and "12 points" in error_of(answer)["message"]
    assert ask(here, "say hi").headers["x-forge-model"] == "mayor@v2"
    assert act(here, "reload-model", role="mayor", version=3, force=True, why="a person said so").status_code == 200


def test_a_refusal_tells_no_folder_of_the_machine(here: Served) -> None:
    answer = act(here, "reload-model", role="mayor", version=9)
    assert answer.status_code == 409 and "/srv" not in answer.text and "mayor.gguf" in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"role": "mayor"},
        {"role": "mayor", "version": "2"},
        {"role": "mayor", "version": 0},
        {"role": "../x", "version": 1},
        {"role": "mayor", "version": 1, "model_path": "x"},
        {"role": "mayor", "version": 1, "by": "me"},
        {"version": 1},
    ],
)
def test_an_action_that_is_not_clear_does_nothing(here: Served, body: dict[str, Any]) -> None:
    assert act(here, "reload-model", **body).status_code == 400
    assert here.fleet.live["mayor"] == 2


# --- this machine ----------------------------------------------------------------------------------------------------
FOREIGN = [
    {"x-forwarded-for": "10.0.0.9"},
    {"forwarded": "for=10.0.0.9"},
    {"x-real-ip": "10.0.0.9"},
    {"host": "evil.example"},
    {"host": "127.0.0.1.evil.example"},
    {"host": "localhost@evil.example"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_whoever_only_comes_through_this_machine_needs_a_key(here: Served, headers: dict[str, str]) -> None:
    assert ask(here, "say hi", headers).status_code == 401
    assert act(here, "rollback", headers, role="mayor").status_code == 401
    for path in ("/admin/status", "/metrics", "/v1/models", "/v1/domains"):
        assert CLIENT.get(here.url + path, headers=headers).status_code == 401
    assert here.fleet.live["mayor"] == 2 and here.engine.requests == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:18793", "127.0.0.1", "[::1]:18793"])
def test_this_machine_by_any_of_its_names_needs_none(here: Served, host: str) -> None:
    assert ask(here, "say hi", {"host": host, "origin": f"http://{host}"}).status_code == 200


def test_where_there_are_no_keys_a_clients_made_up_one_opens_and_closes_nothing(here: Served) -> None:
    made_up = {"authorization": "Bearer sk-of-somebody-else-entirely"}
    assert ask(here, "say hi", made_up).status_code == 200
    answer = ask(here, "say hi", made_up | {"x-forwarded-for": "10.0.0.9"})
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert "somebody" not in answer.text


def test_the_engines_key_is_never_shown(here: Served) -> None:
    for words in ("say hi", "status 500", "die at once"):
        answer = ask(here, words)
        assert ENGINE_KEY not in answer.text and ENGINE_KEY not in str(answer.headers)
    assert ENGINE_KEY not in CLIENT.get(f"{here.url}/admin/status").text


def test_the_clients_headers_do_not_reach_the_engine(here: Served) -> None:
    # The double answers 401 to any key but the fleet's.
    assert ask(here, "say hi", {"connection": "keep-alive, authorization", "te": "trailers"}).status_code == 200
