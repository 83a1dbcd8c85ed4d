"""tool_use_accuracy from held-out rows to the table: both sides, floors, losses, intervals, and what it refuses."""

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from eval.baselines import FLOORS
from eval.errors import BadInput, one_sentence
from eval.loss import Part, TurnLoss
from eval.models import Prompt, Reply, Sampling, Settings
from eval.next_action import METRICS, Mistake
from eval.next_report import print_run
from eval.next_results import Given, ToolUse, Turn, add_losses, compare_sides, standard_error, summarize
from eval.targets import Target
from eval.tool_use_accuracy import known_tools, measure, read_heldout, tool_use_accuracy
from tests.chat_server import chat_server, says
from tests.test_eval_loss import models, needs_lm_eval
from tests.test_eval_next_action import as_native, bash, call_text, row, write_rows

__all__ = ["models"]
CONFIG = "base_model: Qwen/Qwen2.5-7B-Instruct\nroles: {}\n"
HOOK, INBOX, PRIME = bash("gt hook"), bash("gt mail inbox"), bash("gt prime")


class Scripted:
    """A model that answers from a list; with `base` it has a side without adapter."""

    def __init__(self, answers: Sequence[str], base: "Scripted | None" = None, messages: int = 99) -> None:
        self.facts: dict[str, Any] = {"backend": "scripted", "adapter": None}
        self.base = base
        self.asked: list[Prompt] = []
        self._answers, self._messages = answers, messages

    def room(self, prompt: Prompt) -> int:
        return self._messages - len(prompt.messages)

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Reply]:
        assert sampling.temperature == 0
        assert all(len(prompt.messages) <= self._messages for prompt in prompts)
        self.asked += prompts
        return [Reply(answer, False, 10, 2, 0.5) for answer in self._answers[: len(prompts)]]


def run_on(folder: Path, model: Scripted, *rows: dict[str, Any], train: Sequence[dict[str, Any]] = ()) -> ToolUse:
    data = write_rows(folder / "mayor_test.jsonl", *rows)
    if train:
        write_rows(folder / "mayor_train.jsonl", *train)
    return measure(model, Target("adapters/mayor", "b"), Settings(), read_heldout(data, None, None))


def shown(run: ToolUse) -> str:
    console = Console(file=io.StringIO(), width=110)
    print_run(run, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


ONE, TWO = row("one", "a", HOOK, "b", HOOK), row("two", "a", INBOX, "b", "All done.")


def test_a_run_keeps_every_answer_of_both_sides_and_their_paired_difference(tmp_path: Path) -> None:
    ours, theirs = [HOOK, PRIME, INBOX, HOOK], [HOOK, "No.", "No.", "No."]
    run = run_on(tmp_path, Scripted(ours, Scripted(theirs)), ONE, TWO)
    assert run.base is not None and run.difference is not None
    assert [run.summary[m].value for m in ("ast_match", "decision_acc")] == [pytest.approx(2 / 3), 0.75]
    assert [run.base[m].value for m in ("ast_match", "decision_acc")] == [pytest.approx(1 / 3), 0.5]
    assert run.difference["ast_match"].value == pytest.approx(1 / 3)
    assert [turn.model.answer for turn in run.turns] == ours
    assert [turn.base.answer for turn in run.turns if turn.base] == theirs
    assert [turn.model.mistakes for turn in run.turns] == [(), (Mistake.WRONG_HEAD,), (), (Mistake.NEEDLESS,)]
    assert run.turns[0].model.prompt_tokens == 10 and run.turns[0].model.seconds == 0.5
    assert msgspec.json.decode(msgspec.json.encode(run), type=ToolUse) == run


def test_both_sides_are_asked_the_very_same(tmp_path: Path) -> None:
    base = Scripted(["a"] * 6)
    model = Scripted(["b"] * 6, base, messages=3)
    run = run_on(tmp_path, model, ONE, row("long", *map(str, range(8))))
    assert model.asked == base.asked
    assert (run.shortened, run.too_long) == (4, 0)
    assert [turn.dropped for turn in run.turns] == [0, 2, 0, 2, 4, 6]
    assert "4 contexts lost their oldest exchanges, 0 did not fit at all." in shown(run)


def test_floors_learn_from_the_training_rows_beside_the_file(tmp_path: Path) -> None:
    run = run_on(tmp_path, Scripted([HOOK] * 4), ONE, TWO, train=[row("t", "a", INBOX, "b", INBOX), TWO])
    assert set(run.floors) == set(FLOORS)
    assert run.floors["always"]["ast_match"].value == pytest.approx(1 / 3)
    assert run.training.path.endswith("mayor_train.jsonl") and not run.training.own
    assert (run.training.turns, run.training.shared) == (4, 1)
    assert "this split leaks" in shown(run)


def test_without_training_rows_the_floors_say_that_they_know_the_answers(tmp_path: Path) -> None:
    run = run_on(tmp_path, Scripted([HOOK] * 4), ONE, TWO)
    assert run.training.own and run.floors["always"]["ast_match"].value == pytest.approx(2 / 3)
    assert "for want of training rows" in " ".join(shown(run).split())


def test_native_rows_are_asked_natively_with_their_tools(tmp_path: Path) -> None:
    model = Scripted([HOOK, "Done."])
    run = run_on(tmp_path, model, as_native(row("s", "Look.", HOOK, "<tool_result>\nok\n</tool_result>", "Done.")))
    assert [tool["function"]["name"] for tool in model.asked[0].tools] == ["Bash"]
    assert [m["role"] for m in model.asked[1].messages] == ["system", "user", "assistant", "tool"]
    assert run.summary["exact_match"].value == run.summary["format_valid"].value == 1


def test_every_recorded_call_has_a_valid_form(tmp_path: Path) -> None:
    odd = "\n".join([call_text("Fly", high=1), call_text("Read", file_path=["a", "b"]), HOOK])
    asked = read_heldout(write_rows(tmp_path / "t.jsonl", row("s", "a", odd)), None, None).asked
    known = known_tools(asked)
    assert known["Fly"] == known["Read"] == {} and known["Bash"]["required"] == ["command"]
    run = run_on(tmp_path, Scripted([odd]), row("s", "a", odd))
    assert run.summary["format_valid"].value == run.summary["exact_match"].value == 1


def many(sessions: int) -> list[dict[str, Any]]:
    return [row(f"s{number}", "a", HOOK, "b", INBOX) for number in range(sessions)]


def test_the_table_says_rates_errors_floors_and_what_a_tool_name_is_worth(tmp_path: Path) -> None:
    run = run_on(tmp_path, Scripted([HOOK, HOOK] * 10, Scripted(["No."] * 20)), *many(10), train=many(3))
    text = shown(run)
    first = next(line for line in text.splitlines() if line.startswith(" effective_tool_acc *"))
    assert "50 % ±0.0 [" in first and "0 % ±0.0 [" in first and "+50 % ±0.0 [" in first
    assert "100.0 % bigram" in first and first.rstrip().endswith("20")
    assert "tool_name_acc proves nothing alone: 100 % of the recorded calls are Bash" in text
    assert "Loss: n/a, only the hf backend gives it." in text
    assert "wrong command" in text and "Too few" not in text
    assert all(metric in text for metric in METRICS if metric in run.summary)
    assert max(map(len, text.splitlines())) <= 110 and "…" not in text


def test_under_eight_sessions_there_is_no_interval(tmp_path: Path) -> None:
    text = shown(run_on(tmp_path, Scripted([HOOK, HOOK] * 7, Scripted(["No."] * 14)), *many(7)))
    assert "Too few sessions: 7" in text and "[" not in text.replace("[9", "")


def said(loss: TurnLoss | None) -> Given:
    return Given("x", False, dict.fromkeys(METRICS), (), loss=loss)


def turn(key: str, session: str, ours: TurnLoss | None, theirs: TurnLoss | None = None) -> Turn:
    return Turn(key, session, "x", 0, said(ours), said(theirs) if theirs else None)


def test_losses_are_per_token_and_bits_per_byte_leave_the_end_mark_out() -> None:
    first = TurnLoss({"text": Part(2, 3.0), "end": Part(1, 5.0)}, 4)
    second = TurnLoss({"text": Part(2, 1.0), "name": Part(1, 0.5), "end": Part(1, 1.0)}, 2)
    found = add_losses([turn("a", "s", first), turn("b", "t", second)])
    assert list(found) == ["text", "name", "end", "all", "bits_per_byte"]
    assert (found["text"].units, found["text"].model, found["text"].base) == (4, 1.0, None)
    assert found["all"].model == pytest.approx(10.5 / 7)
    assert found["bits_per_byte"].model == pytest.approx(4.5 / 0.6931472 / 6) and found["bits_per_byte"].units == 6


def test_a_gain_in_loss_is_paired_by_turn_and_clustered_by_session() -> None:
    def loss(nats: float) -> TurnLoss:
        return TurnLoss({"text": Part(1, nats)}, 1)

    turns = [turn(str(i), f"s{i % 10}", loss(i + 1.0), loss(i + 2.0)) for i in range(20)]
    gain = add_losses(turns)["text"].difference
    assert gain is not None and gain.value == pytest.approx(-1) and gain.error == pytest.approx(0)
    assert add_losses(turns[:1])["text"].difference.error is None
    assert (gain.turns, gain.sessions) == (20, 10)


SHARES = st.lists(st.tuples(st.floats(0, 1), st.just(1.0), st.sampled_from("abcdefghij")), min_size=2, max_size=30)


@given(SHARES)
def test_sessions_of_one_turn_have_the_ordinary_standard_error(shares: list[tuple[float, float, str]]) -> None:
    alone = [(value, weight, str(place)) for place, (value, weight, _) in enumerate(shares)]
    values = [value for value, _, _ in alone]
    mean = sum(values) / len(values)
    expected = (sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)) ** 0.5
    assert standard_error(alone) == pytest.approx(expected, abs=1e-9)
    twice = [share for share in alone for _ in range(2)]
    assert standard_error(twice) == pytest.approx(expected, abs=1e-9)


def test_metrics_are_compared_only_over_turns_that_have_them() -> None:
    blank = dict.fromkeys(METRICS)
    ours = {"a": blank | {"format_valid": 1.0}, "b": blank | {"format_valid": 0.0}}
    theirs = {"a": blank | {"format_valid": 0.0}, "b": blank}
    sessions = {"a": "s", "b": "t"}
    assert summarize(ours, sessions)["format_valid"].turns == 2  # type: ignore[arg-type]
    difference = compare_sides(ours, theirs, sessions)  # type: ignore[arg-type]
    assert list(difference) == ["format_valid"]
    assert (difference["format_valid"].value, difference["format_valid"].turns) == (1.0, 1)


def command(folder: Path, model: str, *options: str) -> list[str]:
    (folder / "data.yml").write_text(CONFIG)
    return ["--model", model, "--config", str(folder / "data.yml"), "--out", str(folder / "o" / "out.json"), *options]


@pytest.mark.parametrize(
    ("model", "rows", "more", "said"),
    [
        ("base", None, [], "cannot be read"),
        ("base", "", [], "holds no trained reply"),
        ("base", "{", [], "mayor_test.jsonl:1: "),
        ("no-such-folder", None, ["good"], "there is no adapter folder no-such-folder"),
        ("base", None, ["good", "--train", "nowhere.jsonl"], "nowhere.jsonl cannot be read"),
        ("http://127.0.0.1:9/v1", None, ["good"], "names no model"),
    ],
)
def test_bad_input_ends_in_a_sentence_and_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, rows: str | None, more: list[str], said: str
) -> None:
    data = tmp_path / "mayor_test.jsonl"
    if more[:1] == ["good"]:
        write_rows(data, ONE)
    elif rows is not None:
        data.write_text(rows)
    assert one_sentence(tool_use_accuracy, command(tmp_path, model, "--data", str(data), *more[1:])) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("o/*"))


class Interrupted(Scripted):
    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Reply]:
        raise KeyboardInterrupt


def test_an_interruption_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.tool_use_accuracy.open_model", lambda *_: Interrupted([]))
    data = write_rows(tmp_path / "mayor_test.jsonl", ONE)
    assert one_sentence(tool_use_accuracy, command(tmp_path, "base", "--data", str(data))) == 130
    assert not list(tmp_path.glob("o/*"))


def test_only_the_first_replies_are_asked_with_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Scripted([HOOK] * 4)
    monkeypatch.setattr("eval.tool_use_accuracy.open_model", lambda *_: model)
    data = write_rows(tmp_path / "mayor_test.jsonl", ONE, TWO)
    assert one_sentence(tool_use_accuracy, command(tmp_path, "base", "--data", str(data), "--limit", "3")) == 0
    run = msgspec.json.decode((tmp_path / "o" / "out.json").read_bytes(), type=ToolUse)
    assert len(model.asked) == len(run.turns) == 3
    assert run.settings["temperature"] == 0 and run.data["path"] == str(data)


def test_the_command_explains_itself_without_loading_torch() -> None:
    heavy = "('torch', 'transformers', 'lm_eval', 'scipy', 'rapidfuzz')"
    code = f"import sys, eval.tool_use_accuracy; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    options = [sys.executable, "-m", "eval.tool_use_accuracy", "--help"]
    assert "--train" in subprocess.run(options, capture_output=True, text=True, check=True).stdout


def test_no_context_that_fits_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no context fits"):
        run_on(tmp_path, Scripted([], messages=1), ONE)


@pytest.mark.slow
@needs_lm_eval
def test_a_server_is_asked_with_the_real_context_and_has_no_loss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_rows(tmp_path / "mayor_test.jsonl", as_native(row("s", "Look.", HOOK)), ONE)
    native = says(
        None, tool_calls=[{"type": "function", "function": {"name": "Bash", "arguments": '{"command": "gt hook"}'}}]
    )
    with chat_server(lambda messages: native) as (address, requests):
        assert one_sentence(tool_use_accuracy, command(tmp_path, address, "--data", str(data))) == 0
    assert sorted(len(request["messages"]) for request in requests) == [2, 2, 4]
    assert ["tools" in request for request in sorted(requests, key=lambda r: "tools" not in r)] == [True, False, False]
    run = msgspec.json.decode((tmp_path / "o" / "out.json").read_bytes(), type=ToolUse)
    assert run.summary["ast_match"].value == 1 and run.loss is None and run.base is None
    assert "Loss: n/a" in capsys.readouterr().out


@pytest.mark.slow
@needs_lm_eval
def test_a_server_that_fails_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_rows(tmp_path / "mayor_test.jsonl", ONE)
    with chat_server(lambda messages: {"status": 500}) as (address, _):
        assert one_sentence(tool_use_accuracy, command(tmp_path, address, "--data", str(data))) == 2
    assert "stopped answering (status 500)" in capsys.readouterr().err
    assert not list(tmp_path.glob("o/*"))


@pytest.mark.slow
@needs_lm_eval
@pytest.mark.parametrize("form", ["xml", "native"])
def test_an_adapter_and_its_base_are_measured_from_one_load(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    rows = (
        [ONE, TWO]
        if form == "xml"
        else [as_native(row("s", "Look.", HOOK, "<tool_result>\nok\n</tool_result>", "Ok."))]
    )
    data = write_rows(tmp_path / "mayor_test.jsonl", *rows)
    options = ["--data", str(data), "--base-model", str(models / "base"), "--max-new-tokens", "8"]
    assert one_sentence(tool_use_accuracy, command(tmp_path, str(models / "adapter"), *options)) == 0
    text = capsys.readouterr().out
    run = msgspec.json.decode((tmp_path / "o" / "out.json").read_bytes(), type=ToolUse)
    alone = command(tmp_path, "base", *options)
    assert one_sentence(tool_use_accuracy, alone) == 0
    base = msgspec.json.decode((tmp_path / "o" / "out.json").read_bytes(), type=ToolUse)
    assert "bits per byte" in text and "difference" in text
    assert [t.base.answer for t in run.turns if t.base] == [t.model.answer for t in base.turns]
    assert [t.base.loss for t in run.turns if t.base] == [t.model.loss for t in base.turns]
    assert run.loss is not None and base.loss is not None
    assert run.loss["all"].base == base.loss["all"].model != run.loss["all"].model
    assert run.facts["adapter"]["sha256"] and len(run.data["sha256"]) == 64
    assert {"torch", "transformers", "lm_eval"} <= run.versions.keys()
    assert json.loads((tmp_path / "o" / "out.json").read_text())["kind"] == "tool_use_accuracy"
