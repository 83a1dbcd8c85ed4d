"""tool_use_accuracy: how predicted actions are compared with recorded ones, and held-out rows as questions."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.answer import Call, parse_answer
from eval.errors import BadInput
from eval.heldout import Question, fit, questions, read_rows
from eval.models import Conversation, Reply, Settings
from eval.next_action import Mistake, canonical_call, effective_tools, score_turn
from eval.scenario import load_tools
from eval.targets import Target
from eval.tool_use_accuracy import measure, most_common_call
from tests.eval_attacks import call_text


def bash(command: str, **more: object) -> str:
    return call_text("Bash", command=command, **more)


def judged(recorded: str, predicted: str) -> tuple[dict[str, bool | None], Mistake | None]:
    score = score_turn(parse_answer(recorded), parse_answer(predicted), load_tools())
    return {str(metric): value for metric, value in score.metrics.items()}, score.mistake


COMMANDS = st.sampled_from(
    ["gt hook", "git push -f", "cd x && bd show pe-1", 'bd close x --reason "y z"', "ls | head", "("]
)


@given(st.lists(COMMANDS, min_size=1, max_size=3))
def test_the_recorded_answer_is_right_by_every_metric(lines: list[str]) -> None:
    text = "\n".join(map(bash, lines))
    metrics, mistake = judged(text, text)
    assert all(value is not False for value in metrics.values())
    assert mistake is None


@given(st.lists(COMMANDS, min_size=2, max_size=4), st.randoms())
def test_the_order_of_calls_matters_to_exact_match_alone(lines: list[str], rng: Any) -> None:
    mixed = list(lines)
    rng.shuffle(mixed)
    metrics, _ = judged("\n".join(map(bash, lines)), "\n".join(map(bash, mixed)))
    assert metrics["ast_match"] and metrics["effective_tool_acc"] and metrics["tool_name_acc"]
    assert metrics["exact_match"] == (mixed == lines)


SAME = [
    ("gt hook", "cd /work && gt hook"),
    ("bd close x --reason 'a'", "bd close x --reason 'something else'"),
    ("git commit -m one", "git commit -m 'two words'"),
    ("bd list --status=open --json", "bd list --json --status open"),
    ("gt mail send 'a b'", 'gt mail send "a b"'),
    ("gt hook", "gt hook 2>/dev/null | head -5"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_commands_that_differ_in_quotes_folder_or_free_text_match(one: str, other: str) -> None:
    assert judged(bash(one), bash(other, description="says why"))[0]["ast_match"]


# BFCL's string normalisation calls each of these pairs equal; on real commands they are not.
DIFFERENT = [
    ("git branch -D x", "git branch -d x", Mistake.WRONG_ARGUMENTS),
    ("git push --force", "git push force", Mistake.WRONG_ARGUMENTS),
    ("rm -rf /tmp/x", "rm -rf /t/mpx", Mistake.WRONG_ARGUMENTS),
    ("gt polecat nuke a/b", "gt polecat nuke ab", Mistake.WRONG_ARGUMENTS),
    ("gt hook", "gt mail inbox", Mistake.WRONG_COMMAND),
    ("git pull", "git push", Mistake.WRONG_COMMAND),
]


@pytest.mark.parametrize(("one", "other", "mistake"), DIFFERENT)
def test_commands_that_do_something_else_do_not_match(one: str, other: str, mistake: Mistake) -> None:
    metrics, found = judged(bash(one), bash(other))
    assert metrics["tool_name_acc"] and not metrics["ast_match"]
    assert found == mistake


MISTAKES = [
    ("Nothing to do.", bash("gt hook"), Mistake.NEEDLESS),
    (bash("gt hook"), "I would run gt hook.", Mistake.MISSING),
    (bash("gt hook"), call_text("Read", file_path="x"), Mistake.WRONG_TOOL),
    (bash("gt hook"), bash("gt hook").replace("}}", "}"), Mistake.MALFORMED),
    (bash("gt hook"), call_text("Bash", cmd="gt hook"), Mistake.MALFORMED),
    (bash("gt hook"), call_text("Fly"), Mistake.MALFORMED),
    (bash("gt hook"), f"{bash('gt hook')}\n<tool_result>ok</tool_result>", Mistake.MALFORMED),
]


@pytest.mark.parametrize(("recorded", "predicted", "mistake"), MISTAKES)
def test_the_first_mistake_is_named(recorded: str, predicted: str, mistake: Mistake) -> None:
    assert judged(recorded, predicted)[1] == mistake


def test_metrics_apply_only_where_they_mean_something() -> None:
    metrics, mistake = judged("Nothing to do.", "All is quiet.")
    assert metrics["abstain_recall"] and metrics["decision_acc"] and mistake is None
    assert metrics["format_valid"] is None and metrics["ast_match"] is None


def test_bash_counts_by_what_it_runs() -> None:
    call = Call("Bash", {"command": "cd x && gt mail send mayor/ -s hi; git push origin main"})
    assert effective_tools(call) == [("Bash", "gt", "mail", "send"), ("Bash", "git", "push")]
    assert effective_tools(Call("Read", {"file_path": "x"})) == [("Read",)]
    assert canonical_call(Call("Edit", {"a": 1, "b": 2})) == canonical_call(Call("Edit", {"b": 2, "a": 1}))


def row(session: str, *values: str, trained: Sequence[bool] | None = None) -> dict[str, Any]:
    flags = trained or [True] * len(values)
    speakers = ("human", "gpt")
    turns = [
        {"from": speakers[i % 2], "value": value, "train": i % 2 == 1 and flags[i]} for i, value in enumerate(values)
    ]
    system = {"from": "system", "value": "[GAS TOWN ROLE: mayor] You are the mayor.", "train": False}
    metadata = {"id": f"{session}-0", "role": "mayor", "session_id": session, "source": "sessions", "tokens": 5}
    return {"conversations": [system, *turns], "metadata": metadata}


def write_rows(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_each_trained_reply_is_a_question_with_all_that_was_said_before(tmp_path: Path) -> None:
    rows, _ = read_rows(
        write_rows(tmp_path / "t.jsonl", row("s", "a", "b", "c", "d", trained=[False, False, False, True]))
    )
    (question,) = questions(rows)
    assert [m["content"] for m in question.context][1:] == ["a", "b", "c"]
    assert [m["role"] for m in question.context] == ["system", "user", "assistant", "user"]
    assert question.recorded == "d"


@pytest.mark.parametrize("line", ["{", "[]", '{"conversations": []}', '{"conversations": [{"from": "tool"}]}'])
def test_a_faulty_row_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    path = write_rows(tmp_path / "t.jsonl", row("s", "a", "b"))
    path.write_text(path.read_text() + line)
    with pytest.raises(BadInput, match=r"t\.jsonl:2: "):
        read_rows(path)


class Scripted:
    """A model that answers from a list and has room for a few messages."""

    def __init__(self, answers: Sequence[str], messages: int = 99) -> None:
        self.facts: dict[str, Any] = {"backend": "scripted"}
        self._answers, self._messages = answers, messages

    def room(self, conversation: Conversation) -> int:
        return self._messages - len(conversation)

    def reply(self, conversations: Sequence[Conversation]) -> list[Reply]:
        assert all(len(c) <= self._messages for c in conversations)
        return [Reply(answer, False) for answer in self._answers[: len(conversations)]]


def test_a_long_context_loses_its_oldest_turns_but_never_the_system_prompt() -> None:
    context = [{"role": "system", "content": "s"}, *({"role": "user", "content": str(i)} for i in range(5))]
    fitted, shortened = fit(Question("q", "s", context, "x"), Scripted([], messages=5))
    assert fitted is not None and shortened
    assert [m["content"] for m in fitted.context] == ["s", "2", "3", "4"]
    assert len(context) == 6
    assert fit(Question("q", "s", context, "x"), Scripted([], messages=1))[0] is None


def asked(tmp_path: Path, *rows: dict[str, Any]) -> list[Question]:
    return list(questions(read_rows(write_rows(tmp_path / "t.jsonl", *rows))[0]))


def test_a_run_counts_by_session_and_shows_the_floor_of_one_constant_action(tmp_path: Path) -> None:
    found = asked(
        tmp_path,
        row("one", "a", bash("gt hook"), "b", bash("gt hook")),
        row("two", "a", bash("gt mail inbox"), "b", "All done."),
    )
    answers = [bash("gt hook"), bash("gt prime"), bash("gt mail inbox"), bash("gt hook")]
    run = measure(Scripted(answers), Target("base", "b"), Settings(), found, {"path": "t", "sha256": "0"})
    assert run.summary["ast_match"]["value"] == pytest.approx(2 / 3)
    assert run.summary["decision_acc"]["value"] == 0.75
    assert run.floor["ast_match"] == pytest.approx(2 / 3)
    assert run.sessions == {"one": {"turns": 2, "mistakes": 1}, "two": {"turns": 2, "mistakes": 1}}
    assert run.mistakes == {Mistake.WRONG_COMMAND: 1, Mistake.NEEDLESS: 1}
    assert [turn.answer for turn in run.turns] == answers


def test_the_most_common_call_ignores_free_text(tmp_path: Path) -> None:
    rows = row("one", "a", bash("gt prime"), "b", bash("gt hook"), "c", bash("gt hook", description="x"))
    assert most_common_call(asked(tmp_path, rows)) == bash("gt hook")
