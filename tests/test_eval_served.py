"""Models behind an OpenAI-compatible server, through lm-eval's own client, against a scripted server."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from eval.errors import one_sentence
from eval.results import read_results
from eval.role_bench import role_bench
from eval.scenario import ROLES, load_scenarios
from eval.tool_use_accuracy import tool_use_accuracy
from tests.chat_server import Choice, chat_server, says
from tests.test_eval_commands import CONFIG, GOLDS
from tests.test_eval_next_action import bash, row, write_rows

HAS_LM_EVAL = importlib.util.find_spec("lm_eval") is not None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAS_LM_EVAL, reason="needs requirements-gpu.txt")]


def command(folder: Path, model: str, *options: str) -> list[str]:
    (folder / "data.yml").write_text(CONFIG)
    return ["--model", model, "--config", str(folder / "data.yml"), "--out", str(folder / "out.json"), *options]


def gold(messages: list[dict[str, str]]) -> Choice:
    return says(GOLDS[messages[-1]["content"]])


def native(messages: list[dict[str, str]]) -> Choice:
    """The gold as a server with tool parsing sends it: no content, structured calls."""
    text = GOLDS[messages[-1]["content"]]
    if not text.startswith("<tool_call>"):
        return says(text)
    call = json.loads(text.split("\n")[1])
    function = {"name": call["name"], "arguments": json.dumps(call["arguments"])}
    return says(None, tool_calls=[{"id": "1", "type": "function", "function": function}])


@pytest.mark.parametrize("answer", [gold, native])
def test_golds_pass_as_text_and_as_native_tool_calls(tmp_path: Path, answer: Any) -> None:
    with chat_server(answer) as (address, requests):
        assert one_sentence(role_bench, command(tmp_path, address)) == 0
    run = read_results(tmp_path / "out.json")
    assert run.summary["all"]["passed"] == 1
    assert len(requests) == 60
    assert all(r["temperature"] == 0 and r["messages"][0]["content"].startswith("[GAS TOWN ROLE") for r in requests)
    assert all(set(m) == {"role", "content"} for r in requests for m in r["messages"])


def test_answers_stay_with_their_scenarios_when_many_are_asked_at_once(tmp_path: Path) -> None:
    with chat_server(lambda messages: says(f"I saw: {messages[-1]['content']}")) as (address, _):
        assert one_sentence(role_bench, command(tmp_path, address)) == 0
    asked = {s.id: s.messages[-1].content for role in ROLES for s in load_scenarios(role).scenarios}
    results = read_results(tmp_path / "out.json").results
    assert all(result.answer == f"I saw: {asked[result.id]}" for result in results)


def test_an_answer_cut_at_the_token_limit_is_marked(tmp_path: Path) -> None:
    with chat_server(lambda messages: gold(messages) | {"finish_reason": "length"}) as (address, _):
        assert one_sentence(role_bench, command(tmp_path, address, "--role", "mayor")) == 0
    assert all(result.truncated for result in read_results(tmp_path / "out.json").results)


FAILURES: dict[str, tuple[Choice, str]] = {
    "500": ({"status": 500}, "stopped answering (status 500)"),
    "no message": ({"finish_reason": "stop"}, "stopped answering"),
}


@pytest.mark.parametrize(("choice", "said"), FAILURES.values(), ids=FAILURES)
def test_a_failing_server_is_an_error_not_an_empty_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], choice: Choice, said: str
) -> None:
    with chat_server(lambda _: choice) as (address, _):
        assert one_sentence(role_bench, command(tmp_path, address, "--role", "mayor", "--limit", "1")) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


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
    assert read_results(tmp_path / "out.json").summary["mayor"]["passed"] == 1


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with chat_server(gold) as (address, _):
        assert one_sentence(role_bench, command(tmp_path, address, "--role", "mayor")) == 0
    captured = capsys.readouterr()
    assert "very-secret" not in captured.out + captured.err + (tmp_path / "out.json").read_text()


def test_tool_use_accuracy_asks_with_the_real_context(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "t.jsonl", row("s", "Look.", bash("gt hook"), "Again.", bash("gt mail inbox")))
    with chat_server(lambda messages: says(bash("gt hook"))) as (address, requests):
        assert one_sentence(tool_use_accuracy, command(tmp_path, address, "--data", str(data))) == 0
    assert sorted(len(r["messages"]) for r in requests) == [2, 4]
    summary = json.loads((tmp_path / "out.json").read_text())["summary"]
    assert summary["ast_match"]["value"] == 0.5
    assert summary["tool_name_acc"]["value"] == 1
