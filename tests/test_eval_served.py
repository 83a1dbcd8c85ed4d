"""Models behind an OpenAI-compatible server, through lm-eval's own client, against a scripted server."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from eval.answer import Call, parse_answer
from eval.errors import one_sentence
from eval.render import call_text, result_text
from eval.results import read_results
from eval.role_bench import role_bench
from tests.chat_server import Choice, chat_server, says
from tests.scripted_model import gold_script, key
from tests.test_eval_role_bench import CONFIG

HAS_LM_EVAL = importlib.util.find_spec("lm_eval") is not None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAS_LM_EVAL, reason="needs requirements-gpu.txt")]


def command(folder: Path, model: str, *options: str) -> list[str]:
    (folder / "data.yml").write_text(CONFIG)
    rows = ["--rows", str(folder / "rows")]
    return ["--model", model, "--config", str(folder / "data.yml"), "--out", str(folder / "out"), *rows, *options]


def gold(messages: list[dict[str, str]]) -> Choice:
    return says(gold_script(1, 1234)[key(messages)])


def native(messages: list[dict[str, Any]]) -> Choice:
    """The gold as a server with tool parsing sends it: text as content, structured calls."""
    answer = parse_answer(gold_script(1, 1234)[key(as_text(messages))])
    calls = [
        {"id": "1", "type": "function", "function": {"name": c.name, "arguments": json.dumps(c.arguments)}}
        for c in answer.calls
    ]
    return says(answer.text or None, **({"tool_calls": calls} if calls else {}))


def as_text(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a native conversation looks like as text."""
    turns = [messages[0]]
    for message in messages[1:]:
        said = message["content"]
        for call in message.get("tool_calls", ()):
            assert isinstance(call["function"]["arguments"], str)
            made = Call(call["function"]["name"], json.loads(call["function"]["arguments"]))
            said = "\n".join([*([said] if said else []), call_text(made)])
        role = "user" if message["role"] == "tool" else message["role"]
        said = result_text(said) if message["role"] == "tool" else said
        if turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n{said}"
        else:
            turns.append({"role": role, "content": said})
    return turns


@pytest.mark.parametrize("form", ["xml", "native"])
def test_golds_pass_as_text_and_as_native_tool_calls(tmp_path: Path, form: str) -> None:
    gold_script(1, 1234)  # remembered before anybody waits for it
    with chat_server(gold if form == "xml" else native) as (address, requests):
        assert one_sentence(role_bench, command(tmp_path, address, "--tool-format", form)) == 0
    run = read_results(tmp_path / "out")
    assert [e.explanation for e in run.episodes if not e.passed] == []
    assert len(requests) == sum(len(episode.steps) for episode in run.episodes) > 100
    assert all(r["temperature"] == 0 and r["messages"][0]["content"].startswith("[GAS TOWN ROLE") for r in requests)
    assert all(("tools" in r) == (form == "native") for r in requests)
    assert all(step.prompt_tokens == 7 and step.new_tokens == 3 for e in run.episodes for step in e.steps)
    assert all(0 < step.seconds < 60 for e in run.episodes for step in e.steps)


def test_answers_stay_with_their_scenarios_when_many_are_asked_at_once(tmp_path: Path) -> None:
    with chat_server(lambda messages: says(f"I saw: {messages[-1]['content']}")) as (address, _):
        assert one_sentence(role_bench, command(tmp_path, address)) == 0
    for episode in read_results(tmp_path / "out").episodes:
        assert episode.steps[0].answer == f"I saw: {episode.asked[-1]['content']}"


def test_samples_ask_the_server_with_temperature_and_a_seed_of_their_own(tmp_path: Path) -> None:
    options = ("--role", "mayor", "--samples", "2", "--temperature", "0.5")
    with chat_server(lambda _: says("No.")) as (address, requests):
        assert one_sentence(role_bench, command(tmp_path, address, *options)) == 0
    assert {r["temperature"] for r in requests} == {0.5}
    assert len({r["seed"] for r in requests}) == 2


def test_an_answer_cut_at_the_token_limit_is_marked(tmp_path: Path) -> None:
    with chat_server(lambda messages: gold(messages) | {"finish_reason": "length"}) as (address, _):
        assert one_sentence(role_bench, command(tmp_path, address, "--role", "mayor")) == 0
    assert all(episode.truncated for episode in read_results(tmp_path / "out").episodes)


FAILURES: dict[str, tuple[Choice, str]] = {
    "500": ({"status": 500}, "stopped answering (status 500)"),
    "no message": ({"finish_reason": "stop"}, "stopped answering"),
}


@pytest.mark.parametrize(("choice", "said"), FAILURES.values(), ids=FAILURES)
def test_a_failing_server_is_an_error_not_an_empty_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], choice: Choice, said: str
) -> None:
    with chat_server(lambda _: choice) as (address, _):
        assert one_sentence(role_bench, command(tmp_path, address, "--role", "mayor", "--smoke")) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out/results.json").exists()


def test_a_server_that_is_down_or_serves_another_model_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chat_server(gold) as (address, requests):
        assert one_sentence(role_bench, command(tmp_path, address.replace("#mayor", "#crew"))) == 2
        assert "does not serve crew; it has mayor" in capsys.readouterr().err
    assert one_sentence(role_bench, command(tmp_path, address)) == 2
    assert "no server answers at" in capsys.readouterr().err
    assert not requests


@pytest.mark.parametrize(("status", "said"), [(401, "set OPENAI_API_KEY"), (500, "look at the server's log")])
def test_a_server_that_refuses_at_the_door_is_named_with_the_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: int, said: str
) -> None:
    with chat_server(gold, greeting=status) as (address, requests):
        assert one_sentence(role_bench, command(tmp_path, address)) == 2
    assert f"answers {status}; {said}" in capsys.readouterr().err
    assert not requests


def test_a_server_that_lists_no_models_is_asked_all_the_same(tmp_path: Path) -> None:
    with chat_server(gold, greeting=404) as (address, _):
        assert one_sentence(role_bench, command(tmp_path, address, "--role", "mayor")) == 0
    assert read_results(tmp_path / "out").summary["mayor"]["passed"] == 1


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with chat_server(gold) as (address, _):
        assert one_sentence(role_bench, command(tmp_path, address, "--role", "mayor")) == 0
    captured = capsys.readouterr()
    assert "very-secret" not in captured.out + captured.err + (tmp_path / "out/results.json").read_text()
