"""Which scenarios count as trained: planted ones, ones with other numbers, paraphrases, and what any town says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.contamination import Comparison, contaminated, contamination, is_trained, overlaps
from eval.errors import BadInput, one_sentence
from eval.results import Overlap
from eval.scenario import ROLES, Scenario, instance, load_scenarios
from eval.trained_text import Trained, read_trained
from tests.dataset_rows import Row, as_line, make_native_row, make_row, turn, write_rows

STORY = (
    "The queue of lantern has stalled since midnight because pe-812 and pe-877 both claim the same lock; find out "
    "which of the two is stuck, release the lock, and tell the mayor in one line what you did."
)
ORDER = "Bead pe-812 is ready. Give it to petals."
COMMAND = 'bd create "the lock of lantern is never released when two beads ask for it" --rig lantern -t bug -p 1'

words = st.text(st.sampled_from("abcdefgh"), min_size=1, max_size=5)


def scenario(*questions: str, steps: int = 1, command: str = "gt hook", key: str = "mayor-x") -> Scenario:
    """Asks the questions, with an answer between each two."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": questions[0]}]
    for question in questions[1:]:
        messages += [{"role": "assistant", "content": "Seen."}, {"role": "user", "content": question}]
    call = {"name": "Bash", "arguments": {"command": command}}
    value = {"id": key, "role": "mayor", "family": "x", "messages": messages, "tools": ["Bash"], "steps": steps}
    return msgspec.convert(value | {"expect": {"calls": [{"name": "Bash"}]}, "gold": [{"calls": [call]}]}, Scenario)


def asking(*questions: str, session: str = "s1", answer: str = "Done.") -> Row:
    turns = [turn("system", "[GAS TOWN ROLE: mayor] You are the mayor.")]
    for question in questions:
        turns += [turn("human", question), turn("gpt", answer, train=True)]
    return make_row(session_id=session) | {"conversations": turns}


def calling(command: str, train: bool = True) -> Row:
    body = json.dumps({"name": "Bash", "arguments": {"command": command}})
    turns = [turn("human", "Go and see."), turn("gpt", f"<tool_call>\n{body}\n</tool_call>", train=train)]
    return make_row() | {"conversations": turns}


def others(sessions: int) -> list[Row]:
    """Sessions that have nothing to do with any scenario here."""
    return [asking(f"Look at the tests of part {n}, please.", session=f"other{n}") for n in range(sessions)]


def compare(folder: Path, item: Scenario, *rows: Row) -> Overlap:
    write_rows(folder / "mayor_train.jsonl", rows)
    return overlaps([item], [folder])[item.id]


@given(st.lists(words, min_size=13, max_size=30), st.data())
def test_the_share_of_runs_is_that_of_the_words_that_were_trained(spoken: list[str], data: st.DataObject) -> None:
    """However the words are set: cut out k of n words in a row, and k - 12 of n - 12 runs are there."""
    numbered = [f"{word}{index}" for index, word in enumerate(spoken)]
    length = data.draw(st.integers(13, len(spoken)))
    at = data.draw(st.integers(0, len(spoken) - length))
    gap = data.draw(st.sampled_from([" ", "\n", ", ", ' ("']))
    comparison = Comparison([item := scenario(" ".join(numbered))])
    comparison.meet(Trained("f:1", "s", (gap.join(["xx", *numbered[at : at + length], "yy"]).upper(),), ()))
    assert comparison.overlap(item).grams == pytest.approx((length - 12) / (len(spoken) - 12))


@given(st.lists(words, min_size=5, max_size=20))
def test_a_question_that_was_trained_is_like_itself_whatever_stands_around_it(spoken: list[str]) -> None:
    question = " ".join(spoken)
    comparison = Comparison([item := scenario(question)])
    comparison.meet(
        Trained("f:7", "s", (f"<system-reminder>Be brief.</system-reminder>\n\n{question}\n\nThanks.",), ())
    )
    assert comparison.overlap(item) == Overlap(comparison.overlap(item).grams, 1.0, "f:7")


def test_a_planted_scenario_is_found_by_its_runs_and_by_its_question(tmp_path: Path) -> None:
    found = compare(tmp_path, scenario(STORY), *others(3), asking(STORY))
    assert found == Overlap(1.0, 1.0, "mayor_train.jsonl:4")


def test_a_planted_short_order_is_found_though_it_has_no_run_of_13_words(tmp_path: Path) -> None:
    assert compare(tmp_path, scenario(ORDER), asking(ORDER)) == Overlap(0.0, 1.0, "mayor_train.jsonl:1")
    assert is_trained(
        compare(tmp_path, scenario("Polecats: no active polecats."), asking("Polecats No active polecats"))
    )


def test_a_long_question_with_other_numbers_is_the_same_question(tmp_path: Path) -> None:
    other = STORY.replace("pe-812", "or-311").replace("pe-877", "or-402")
    found = compare(tmp_path, scenario(STORY), asking(other))
    assert found.ratio > 0.95 and is_trained(found)


def test_a_short_order_with_other_numbers_is_another_order(tmp_path: Path) -> None:
    assert compare(tmp_path, scenario(ORDER), asking(ORDER.replace("812", "813"))).ratio == 0
    assert compare(tmp_path, scenario("Cycle 833: beat."), asking("Cycle 834: beat.")).ratio == 0


def test_a_paraphrase_is_not_found(tmp_path: Path) -> None:
    """The limit of the method: who trains on paraphrases of the scenarios is not caught."""
    said = (
        "Lantern's merges do not move any more, and two beads seem to hold one lock between them. Work out who hangs, "
        "free it and send the mayor a short note."
    )
    assert not is_trained(compare(tmp_path, scenario(STORY), asking(said)))


def test_a_trained_call_is_found_though_json_writes_it_with_escapes(tmp_path: Path) -> None:
    item = scenario("What now?", command=COMMAND)
    assert compare(tmp_path, item, calling(COMMAND.replace(" --rig", "\n--rig"))).grams == 1.0
    assert compare(tmp_path, item, calling(COMMAND, train=False)).grams == 0.0


def test_results_of_tools_are_nobodys_words(tmp_path: Path) -> None:
    shown = asking(f"<tool_result>\n{STORY}\n</tool_result>")
    assert compare(tmp_path, scenario(STORY), shown, asking("Look.")) == Overlap(0.0, 0.0)


def test_a_run_of_words_in_many_sessions_is_boiler_plate(tmp_path: Path) -> None:
    rule = "Whenever you are done with a bead you close it and then say so in one short line to the mayor."
    item = scenario(
        f"{rule}\n\nLook at what petals wrote about the lock of lantern and answer it before the night is over."
    )
    habit = [asking(f"{rule}\n\nNow do part {n}.", session=f"s{n}") for n in range(5)]
    assert compare(tmp_path, item, *habit, *others(20)).grams == 0
    assert compare(tmp_path, item, *habit[:4], *others(20)).grams > 0.2


def test_windows_of_one_session_make_no_habit(tmp_path: Path) -> None:
    windows = [asking(STORY) for _ in range(40)]
    assert compare(tmp_path, scenario(STORY), *windows, *others(5)).grams == 1.0


@pytest.mark.parametrize(("steps", "ratio"), [(1, 1.0), (4, 0.0)])
def test_a_beacon_of_many_sessions_counts_only_where_nothing_follows_it(
    tmp_path: Path, steps: int, ratio: float
) -> None:
    beacon = "[GAS TOWN] witness of quarry, start the patrol now."
    habit = [asking(beacon, session=f"s{n}") for n in range(6)]
    assert compare(tmp_path, scenario(beacon, steps=steps), *habit, *others(20)).ratio == ratio


def test_a_few_words_behind_other_messages_ask_nothing_by_themselves(tmp_path: Path) -> None:
    assert compare(tmp_path, scenario(STORY, "Go on, please."), asking("Go on, please.")).ratio == 0
    assert compare(tmp_path, scenario("Go on, please."), asking("Go on, please.")).ratio == 1


def test_of_several_draws_the_worst_counts(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [asking(ORDER)])
    drawn = [scenario(ORDER.replace("812", number)) for number in ("813", "812", "814")]
    assert contaminated(drawn, [tmp_path / "rows.jsonl"]) == {"mayor-x": Overlap(0.0, 1.0, "rows.jsonl:1")}


def test_only_what_counts_as_trained_is_named(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [asking(STORY)])
    both = [scenario(STORY, key="mayor-one"), scenario("Which rig has no witness at all today?", key="mayor-two")]
    assert list(contaminated(both, [tmp_path / "rows.jsonl"])) == ["mayor-one"]


@pytest.mark.parametrize(
    ("overlap", "trained"),
    [((0.30, 0.0), True), ((0.29, 0.89), False), ((0.0, 0.90), True), ((0.0, 0.0), False)],
)
def test_the_rule_is_thirty_percent_of_the_runs_or_a_likeness_of_ninety(
    overlap: tuple[float, float], trained: bool
) -> None:
    assert is_trained(Overlap(*overlap)) is trained


def test_native_rows_say_the_same_as_rows_with_calls_as_text(tmp_path: Path) -> None:
    native, text = make_native_row(), make_row()
    for message in native["messages"]:
        message["train"] = message["role"] == "assistant"
    for message in text["conversations"]:
        message["train"] = message["from"] == "gpt"
    write_rows(tmp_path / "native.jsonl", [as_line(native)])
    write_rows(tmp_path / "text.jsonl", [text])
    (one,), (other,) = (list(read_trained([tmp_path / name])) for name in ("native.jsonl", "text.jsonl"))
    assert " ".join(one.asked).split() == " ".join(other.asked).split() == ["Check", "your", "hook.", "And", "now?"]
    assert [text for text in one.answered if text] == ["gt hook", "The hook is empty, so I wait."]
    assert [text.strip() for text in other.answered] == ["Looking at the hook.", *one.answered[1:]]


def test_a_build_is_read_once_though_two_files_hold_each_row(tmp_path: Path) -> None:
    for name in ("gastown_train.jsonl", "mayor_train.jsonl", "mayor_val.jsonl"):
        write_rows(tmp_path / name, [asking(ORDER)])
    assert overlaps([scenario(ORDER)], [tmp_path])["mayor-x"].nearest == "gastown_train.jsonl:1"


BROKEN = {
    "not JSON": ('{"conversations": [', "rows.jsonl:1: no row"),
    "no session": ('{"conversations": []}', "rows.jsonl:1: no row"),
    "native text": ('{"messages": "[{", "metadata": {"session_id": "s"}}', "rows.jsonl:1: no row"),
    "no messages": ('{"metadata": {"session_id": "s"}}', "rows.jsonl:1: a row without messages"),
}


@pytest.mark.parametrize(("line", "said"), BROKEN.values(), ids=BROKEN)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "rows.jsonl").write_text(line + "\n")
    with pytest.raises(BadInput, match="make the rows again") as error:
        contaminated([scenario(ORDER)], [tmp_path / "rows.jsonl"])
    assert said in str(error.value)


def test_a_missing_file_and_a_folder_without_rows_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert one_sentence(contamination, ["--role", "crew", "--rows", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl cannot be read; give the training rows with --rows." in capsys.readouterr().err
    assert one_sentence(contamination, ["--role", "crew", "--rows", str(tmp_path)]) == 2
    assert "holds no *_train.jsonl" in capsys.readouterr().err


def test_the_command_prints_the_worst_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = [instance(s, 0, 0)[0] for s in load_scenarios(ROLES[0]).scenarios]
    planted = next(s for s in shipped if len(s.messages) == s.steps == 1)
    write_rows(tmp_path / "rows.jsonl", [*others(30), asking(planted.messages[0].content)])
    assert one_sentence(contamination, ["--role", ROLES[0], "--rows", str(tmp_path / "rows.jsonl")]) == 0
    lines = capsys.readouterr().out.splitlines()
    worst = next(line for line in lines if planted.id in line)
    assert worst.rstrip().endswith("trained") and "1.00" in worst and "rows.jsonl:31" in worst
    assert lines.index(worst) == 3
    assert f" of {len(shipped)} scenarios stand in the training rows." in lines[-1]
