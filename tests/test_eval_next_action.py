"""The next action: how predicted actions are compared with recorded ones, and how calls are paired."""

import json
import random
from collections.abc import Sequence
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import render
from eval.answer import Call, parse_answer
from eval.effective import canonical, heads, similarity
from eval.next_action import HEADLINE, METRICS, Mistake, score_turn
from eval.pairing import best_pairs
from eval.scenario import load_tools

SCHEMAS = {name: tool["parameters"] for name, tool in load_tools().items()}


def call_text(name: str, **arguments: object) -> str:
    """A call in the form of the rows."""
    return render.call_text(Call(name, arguments))


def bash(command: str, **more: object) -> str:
    return call_text("Bash", command=command, **more)


def judged(recorded: str, predicted: str) -> tuple[dict[str, float | None], tuple[Mistake, ...]]:
    score = score_turn(parse_answer(recorded), parse_answer(predicted), SCHEMAS)
    return {str(metric): value for metric, value in score.metrics.items()}, score.mistakes


COMMANDS = st.sampled_from(
    ["gt hook", "git push -f", "cd x && bd show pe-1", 'bd close x --reason "y z"', "ls | head", "("]
)
WORTHS = st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1)


@st.composite
def matrices(draw: st.DrawFn, most: int = 5) -> list[list[float]]:
    columns = draw(st.integers(1, most))
    return draw(st.lists(st.lists(WORTHS, min_size=columns, max_size=columns), min_size=1, max_size=most))


@given(matrices())
def test_no_other_pairing_is_worth_more(scores: list[list[float]]) -> None:
    found = best_pairs(scores)
    rows, columns = len(scores), len(scores[0])
    assert len({row for row, _ in found}) == len({column for _, column in found}) == len(found) == min(rows, columns)
    if rows <= columns:
        others = (zip(range(rows), chosen, strict=True) for chosen in permutations(range(columns), rows))
    else:
        others = (zip(chosen, range(columns), strict=True) for chosen in permutations(range(rows), columns))
    best = max(sum(scores[row][column] for row, column in other) for other in others)
    assert sum(scores[row][column] for row, column in found) == pytest.approx(best)


@pytest.mark.slow
def test_larger_pairings_are_those_of_scipy() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    draw = random.Random(3)
    for size in ((30, 30), (12, 40), (40, 12)):
        scores = [[draw.choice([0, 0.5, draw.random()]) for _ in range(size[1])] for _ in range(size[0])]
        rows, columns = optimize.linear_sum_assignment(scores, maximize=True)
        expected = sum(scores[row][column] for row, column in zip(rows, columns, strict=True))
        assert sum(scores[row][column] for row, column in best_pairs(scores)) == pytest.approx(expected)


@pytest.mark.parametrize("empty", [[], [[], []]])
def test_nothing_pairs_with_nothing(empty: list[list[float]]) -> None:
    assert best_pairs(empty) == []


@given(st.lists(COMMANDS, min_size=1, max_size=3))
def test_the_recorded_answer_is_right_by_every_metric(lines: list[str]) -> None:
    text = "\n".join(map(bash, lines))
    metrics, mistakes = judged(text, text)
    assert all(value in (None, 1.0) for value in metrics.values())
    assert not mistakes and metrics.keys() == set(METRICS)


@given(st.lists(COMMANDS, min_size=2, max_size=4), st.randoms())
def test_the_order_of_calls_matters_to_exact_match_alone(lines: list[str], rng: Any) -> None:
    mixed = list(lines)
    rng.shuffle(mixed)
    metrics, _ = judged("\n".join(map(bash, lines)), "\n".join(map(bash, mixed)))
    assert all(metrics[name] == 1 for name in (*HEADLINE, "tool_name_acc", "effective_f1", "arg_soft"))
    assert metrics["exact_match"] == (mixed == lines)


@given(st.lists(COMMANDS, max_size=3), st.lists(COMMANDS, max_size=3))
def test_a_stricter_metric_never_says_yes_where_a_looser_one_says_no(one: list[str], other: list[str]) -> None:
    metrics, _ = judged("\n".join(map(bash, one)) or "No.", "\n".join(map(bash, other)) or "No.")
    chain = [metrics[name] for name in ("exact_match", "ast_match", "effective_tool_acc", "tool_name_acc")]
    assert all(a is None or b is None or a <= b for a, b in pairwise(chain))
    if metrics["ast_match"] is not None and metrics["arg_soft"] is not None:
        assert metrics["ast_match"] <= metrics["arg_soft"] <= 1
    assert all(value is None or 0 <= value <= 1 for value in metrics.values())


SAME = [
    ("gt hook", "cd /work && gt hook"),
    ("gt hook", "gt hook 2>/dev/null || echo 'nothing there'"),
    ("gt hook", "timeout 5 gt hook"),
    ("git push origin main", "git -C /work/petals push origin main"),
    ("bd close x --reason 'a'", "bd close x --reason 'something else'"),
    ("git commit -m one", "git commit -m 'two words'"),
    ("git commit -a -m one", "git commit -am 'two words'"),
    ("git commit -m one", "git commit -m \"$(cat <<'EOF'\ntwo words\nEOF\n)\""),
    ("gt mail send mayor/ -s Hi -m one", "gt mail send mayor/ --subject=Hello --message='two words'"),
    ("bd list --status=open --json", "bd list --json --status open"),
    ("gt nudge 'a b'", 'gt nudge "a b"'),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_commands_that_differ_in_quotes_folder_echo_or_free_text_match(one: str, other: str) -> None:
    metrics, mistakes = judged(bash(one), bash(other, description="says why"))
    assert metrics["ast_match"] == metrics["effective_tool_acc"] == metrics["arg_soft"] == 1
    assert not mistakes


# BFCL's string normalisation calls the first four pairs equal; on real commands they are not.
DIFFERENT = [
    ("git branch -D x", "git branch -d x", Mistake.WRONG_ARGUMENT),
    ("git push --force", "git push force", Mistake.WRONG_ARGUMENT),
    ("rm -rf /tmp/x", "rm -rf /t/mpx", Mistake.WRONG_ARGUMENT),
    ("gt polecat nuke a/b", "gt polecat nuke ab", Mistake.WRONG_ARGUMENT),
    ("git branch -d x", "git branch -d y", Mistake.WRONG_ARGUMENT),
    ("git branch -m a b", "git branch -m c b", Mistake.WRONG_ARGUMENT),
    ("gt escalate -s HIGH x", "gt escalate -s LOW x", Mistake.WRONG_ARGUMENT),
    ("cp a b", "cp b a", Mistake.WRONG_ARGUMENT),
    ("echo hi > a.txt", "echo hi > b.txt", Mistake.WRONG_ARGUMENT),
    ("cat > a.txt <<'EOF'\none\nEOF", "cat > a.txt <<'EOF'\ntwo\nEOF", Mistake.WRONG_ARGUMENT),
    ("python3 - <<'EOF'\nprint(1)\nEOF", "python3 - <<'EOF'\nprint(2)\nEOF", Mistake.WRONG_ARGUMENT),
    ("git push", "git push --force", Mistake.EXTRA_ARGUMENT),
    ("bd show pe-1 --json", "bd show pe-1", Mistake.MISSING_ARGUMENT),
    ("gt hook", "gt hook | head -5", Mistake.WRONG_HEAD),
    ("gt hook", "gt mail inbox", Mistake.WRONG_HEAD),
    ("git pull", "git push", Mistake.WRONG_HEAD),
    ("gt mail inbox", "gt mail read 3", Mistake.WRONG_HEAD),
    ("make test", "make lint", Mistake.WRONG_HEAD),
]


@pytest.mark.parametrize(("one", "other", "mistake"), DIFFERENT)
def test_commands_that_do_something_else_do_not_match(one: str, other: str, mistake: Mistake) -> None:
    metrics, found = judged(bash(one), bash(other))
    assert metrics["tool_name_acc"] == 1 and metrics["ast_match"] == 0
    assert found == (mistake,)
    assert metrics["effective_tool_acc"] == float(mistake != Mistake.WRONG_HEAD)
    assert 0 <= (metrics["arg_soft"] or 0) < 1


def read(**arguments: object) -> str:
    return call_text("Read", **arguments)


MISTAKES = [
    ("Nothing to do.", bash("gt hook"), [Mistake.NEEDLESS]),
    ("Nothing to do.", bash("gt hook").replace("}}", "}"), [Mistake.MALFORMED, Mistake.NEEDLESS]),
    (bash("gt hook"), "I would run gt hook.", [Mistake.MISSING]),
    (bash("gt hook"), read(file_path="x"), [Mistake.WRONG_TOOL]),
    (bash("gt hook"), bash("gt hook").replace("}}", "}"), [Mistake.MALFORMED]),
    (bash("gt hook"), call_text("Fly"), [Mistake.MALFORMED, Mistake.WRONG_TOOL]),
    (bash("gt hook"), f"{bash('gt hook')}\n<tool_result>ok</tool_result>", [Mistake.MALFORMED]),
    (bash("gt hook"), f"{bash('gt hook')}\n{bash('gt hook')}", [Mistake.TOO_MANY]),
    (f"{bash('gt hook')}\n{read(file_path='x')}", read(file_path="y"), [Mistake.TOO_FEW, Mistake.WRONG_ARGUMENT]),
    (read(file_path="x", limit=5), read(file_path="x"), [Mistake.MISSING_ARGUMENT]),
    (read(file_path="x"), read(file_path="y", limit=5), [Mistake.EXTRA_ARGUMENT, Mistake.WRONG_ARGUMENT]),
]


@pytest.mark.parametrize(("recorded", "predicted", "mistakes"), MISTAKES)
def test_mistakes_are_named_by_kind(recorded: str, predicted: str, mistakes: list[Mistake]) -> None:
    assert list(judged(recorded, predicted)[1]) == mistakes


def test_metrics_apply_only_where_they_mean_something() -> None:
    metrics, mistakes = judged("Nothing to do.", "All is quiet.")
    assert metrics["abstain_recall"] == metrics["decision_acc"] == 1 and not mistakes
    assert all(metrics[name] is None for name in METRICS if name not in ("abstain_recall", "decision_acc"))
    metrics, _ = judged(bash("gt hook"), "All is quiet.")
    assert metrics["format_valid"] is None and metrics["abstain_recall"] is None
    assert metrics["decision_acc"] == metrics["ast_match"] == metrics["arg_soft"] == 0


def test_an_attempted_call_is_no_abstention() -> None:
    metrics, _ = judged("Nothing to do.", '{"name": "Bash", "arguments": {"command": "gt hook"}}')
    assert metrics["abstain_recall"] == metrics["decision_acc"] == metrics["format_valid"] == 0


def test_arg_soft_pairs_calls_as_well_as_possible_and_divides_by_the_longer_side() -> None:
    recorded = f"{read(file_path='aaaa')}\n{read(file_path='bbbb')}"
    assert judged(recorded, f"{read(file_path='bbbb')}\n{read(file_path='aaaa')}")[0]["arg_soft"] == 1
    assert judged(recorded, read(file_path="bbbb"))[0]["arg_soft"] == 0.5
    assert judged(recorded, "\n".join([read(file_path="bbbb")] * 4))[0]["arg_soft"] == pytest.approx((1 + 1 / 3) / 4)
    # The quotation marks of the JSON text are alike; one value of two is a third of the characters.
    assert similarity(canonical(Call("Read", {})), canonical(Call("Read", {}))) == 1
    assert similarity(canonical(Call("Read", {"a": 1})), canonical(Call("Read", {"b": 1}))) == 0
    assert similarity(canonical(Call("Read", {"a": 1})), canonical(Call("Grep", {"a": 1}))) == 0


def test_effective_f1_is_the_overlap_of_what_runs() -> None:
    metrics, _ = judged(bash("git add x && git commit -m y"), bash("git add x"))
    assert metrics["effective_f1"] == pytest.approx(2 / 3) and metrics["effective_tool_acc"] == 0


def test_bash_counts_by_what_it_runs() -> None:
    call = Call("Bash", {"command": "cd x && gt mail send mayor/ -s hi; git --no-pager log -1; echo done"})
    assert heads(call) == [("Bash", "gt", "mail", "send"), ("Bash", "git", "log")]
    assert heads(Call("Read", {"file_path": "x"})) == [("Read",)]
    assert heads(Call("Bash", {"command": "echo a"})) == [("Bash", "echo")]
    assert heads(Call("Bash", {})) == [("Bash",)]
    assert canonical(Call("Edit", {"a": 1, "b": 2})) == canonical(Call("Edit", {"b": 2, "a": 1}))
    assert canonical(Call("Edit", {"a": 1})) != canonical(Call("Edit", {"a": True}))


@given(st.text(max_size=60))
def test_any_command_line_can_be_compared(script: str) -> None:
    call = Call("Bash", {"command": script})
    assert canonical(call) == canonical(Call("Bash", {"command": script, "description": "x"}))
    assert similarity(canonical(call), canonical(call)) == 1
    assert heads(call)


def row(session: str, *values: str, trained: Sequence[bool] | None = None) -> dict[str, Any]:
    """A row of alternating human and gpt messages behind a system prompt; every reply is trained unless said."""
    flags = trained or [True] * len(values)
    speakers = ("human", "gpt")
    turns = [
        {"from": speakers[i % 2], "value": value, "train": i % 2 == 1 and flags[i]} for i, value in enumerate(values)
    ]
    system = {"from": "system", "value": "[GAS TOWN ROLE: mayor] You are the mayor.", "train": False}
    metadata = {"id": f"{session}-0", "role": "mayor", "session_id": session, "source": "sessions", "tokens": 5}
    return {"conversations": [system, *turns], "metadata": metadata}


def as_native(xml: dict[str, Any]) -> dict[str, Any]:
    """The same row in the native form, messages and tools as JSON text."""
    messages: list[dict[str, Any]] = []
    tools: dict[str, Any] = {}
    waiting: list[str] = []
    for turn in xml["conversations"]:
        answer = parse_answer(turn["value"])
        if turn["from"] != "gpt":
            results = turn["value"].split("<tool_result>\n")[1:] if turn["from"] == "human" else []
            for name, result in zip(waiting, results, strict=True):
                content = result.split("\n</tool_result>")[0]
                messages.append({"role": "tool", "tool_call_id": name, "name": "Bash", "content": content})
            if not results:
                role = "system" if turn["from"] == "system" else "user"
                messages.append({"role": role, "content": turn["value"], "train": False})
            continue
        waiting = [f"{len(messages)}.{index}" for index in range(len(answer.calls))]
        functions = [{"name": call.name, "arguments": call.arguments} for call in answer.calls]
        calls = [{"id": i, "type": "function", "function": f} for i, f in zip(waiting, functions, strict=True)]
        message = {"role": "assistant", "content": answer.text, "train": turn["train"]}
        messages.append(message | ({"tool_calls": calls} if calls else {}))
        tools |= {call.name: {"name": call.name, "parameters": {"type": "object"}} for call in answer.calls}
    listed = [{"type": "function", "function": tool} for tool in tools.values()]
    return {"messages": json.dumps(messages), "tools": json.dumps(listed), "metadata": xml["metadata"]}


def write_rows(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path
