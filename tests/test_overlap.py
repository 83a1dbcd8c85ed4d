"""What evaluation asks is not trained: windows that share a run of words with a scenario leave by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.config import ConfigError, OverlapConfig
from data.record import Assistant, Conversation, Drop, Message, Origin, System, Tool, ToolCall, User
from data.transform.overlap import Call, Reason, Scenario, Turn, digest, finder, load_runs, overlap, runs_of
from tests.sample_oddities import default_town
from tests.small_build import build, lines, rows
from tests.transcripts import Script

QUESTION = "The witness of meadow has been silent for 847 minutes and nobody knows why that is so"
COMMAND = "bd create 'the queue stalls at midnight with long names' --rig lantern -t bug -p 1"
GOLD = [{"content": "I file it.", "calls": [{"name": "Bash", "arguments": {"command": COMMAND}}]}]

OK = (Turn(content="ok"),)

words = st.text(st.sampled_from("abcdefgh"), min_size=1, max_size=6)
gaps = st.sampled_from([" ", "\n", ", ", ": ", '" (', " - ", "\n\n* "])


def window(*messages: Message) -> Conversation:
    return Conversation("s1#0", Origin("sessions", "s1"), (System("be"), *messages), role="mayor")


def calling(arguments: dict[str, str], train: bool = True) -> Assistant:
    calls = (ToolCall("t1", "Bash", json.dumps(arguments)),)
    return Assistant("", "m1", calls=calls, train=train, chars=9)


@pytest.fixture
def config(tmp_path: Path) -> OverlapConfig:
    """One scenario file with an empty line; the scenario stands in line 2."""
    scenario = {"id": "mayor-file-1", "role": "mayor", "messages": [{"role": "user", "content": QUESTION}]}
    (tmp_path / "mayor.jsonl").write_text("\n" + json.dumps(scenario | {"gold": GOLD, "family": "x"}) + "\n")
    return OverlapConfig(prompts=str(tmp_path))


def dropped_for(config: OverlapConfig, *messages: Message) -> str:
    (outcome,) = overlap(config)(window(*messages))
    if not isinstance(outcome, Drop):
        return ""
    assert (outcome.stage, outcome.reason, outcome.subject) == ("overlap", Reason.OVERLAP, "s1#0")
    return outcome.detail


@given(st.lists(words, min_size=13, max_size=20), st.data())
def test_a_shared_run_is_found_whatever_stands_between_and_around_the_words(
    spoken: list[str], data: st.DataObject
) -> None:
    scenario = Scenario("mayor-1", (Turn("user", " ".join(spoken)),), OK)
    find = finder(dict.fromkeys(runs_of(scenario, 13), "here"))
    at = data.draw(st.integers(0, len(spoken) - 13))
    shared = [word.upper() if data.draw(st.booleans()) else word for word in spoken[at : at + 13]]
    text = "".join(word + data.draw(gaps) for word in ["xx", *shared, "yy"])
    assert find(["nothing here", text]) == "here"
    assert find(["xx " + " ".join(shared[:-1]) + " yy"]) in ("", "here" if shared[:-1].count(shared[0]) > 1 else "")


def test_a_task_of_the_rubric_is_compared_like_a_scenario(tmp_path: Path) -> None:
    answer = (
        "Each side has to give something of value in exchange for the promise of the other, and a gift is no bargain."
    )
    task = {"id": "legal-1", "prompt": QUESTION, "gold_answer": answer, "category": "contracts", "requirements": []}
    (tmp_path / "legal.jsonl").write_text(json.dumps(task) + "\n")
    tasks = OverlapConfig(prompts=str(tmp_path))
    assert dropped_for(tasks, User(QUESTION), Assistant("ok", "m1", chars=2)) == "legal.jsonl:1 legal-1"
    assert dropped_for(tasks, User("Well?"), Assistant(answer, "m1", chars=9)) == "legal.jsonl:1 legal-1"
    assert not dropped_for(tasks, User("What is consideration in a contract?"), Assistant("A price.", "m1", chars=8))


@given(st.lists(words, max_size=40))
def test_fewer_words_in_common_than_a_run_are_no_overlap(spoken: list[str]) -> None:
    scenario = Scenario("mayor-1", (Turn("user", QUESTION),), OK)
    assert finder(dict.fromkeys(runs_of(scenario, 13), "here"))([" ".join(spoken)]) == ""


@pytest.mark.parametrize(
    ("messages", "overlaps"),
    [
        pytest.param((User(f"Hello. {QUESTION}!"), Assistant("ok", "m1", chars=2)), True, id="the question"),
        pytest.param((User("go"), calling({"command": f"cd x\n{COMMAND}"})), True, id="the answer, trained"),
        pytest.param((User("go"), calling({"command": COMMAND}, train=False)), False, id="the answer as context"),
        pytest.param((User("go"), Assistant(QUESTION.upper(), "m1", chars=9)), True, id="said by the agent"),
        pytest.param((Tool("t1", "Bash", QUESTION), Assistant("ok", "m1", chars=2)), False, id="printed by a tool"),
        pytest.param((User("The witness of meadow has been silent"), Assistant("ok")), False, id="a part of it"),
        pytest.param((User("Good morning"), Assistant("Good morning")), False, id="something else"),
    ],
)
def test_what_people_wrote_and_what_trains_is_compared(
    config: OverlapConfig, messages: tuple[Message, ...], overlaps: bool
) -> None:
    assert dropped_for(config, *messages) == ("mayor.jsonl:2 mayor-file-1" if overlaps else "")


def test_a_drop_weighs_the_replies_that_leave_with_it(config: OverlapConfig) -> None:
    (drop,) = overlap(config)(window(User(QUESTION), calling({"command": "ls"})))
    assert isinstance(drop, Drop)
    assert (drop.tally.conversations, drop.tally.replies, drop.tally.calls, drop.tally.chars) == (1, 1, 1, 9)


def test_a_short_question_counts_as_a_whole_and_a_short_answer_does_not() -> None:
    scenario = Scenario(
        "witness-1",
        (Turn("user", "Your hook holds ha-831."),),
        (Turn(calls=(Call({"command": "gt mq list meadow now"}),)),),
    )
    assert list(runs_of(scenario, 13)) == ["your hook holds ha 831"]
    assert list(runs_of(Scenario("witness-2", (Turn("user", "Cycle 9: beat."),), OK), 13)) == []


def test_results_in_a_scenario_are_nobodys_words() -> None:
    assert list(runs_of(Scenario("crew-1", (Turn("tool", QUESTION),), OK), 13)) == []


def test_a_value_that_is_drawn_anew_ends_a_run() -> None:
    question = f"Bead {{{{bead}}}} waits. {QUESTION}. Look at {{{{rig}}}} and say what is so."
    runs = list(runs_of(Scenario("crew-1", (Turn("user", question),), OK), 13))
    assert runs and all(run in " ".join(["waits", *QUESTION.lower().split(), "look at"]) for run in runs)


def test_a_short_question_with_drawn_values_is_how_anybody_asks() -> None:
    question = "Bead {{bead}} is ready. Give it to {{rig}}."
    assert list(runs_of(Scenario("mayor-1", (Turn("user", question),), OK), 13)) == []


def test_without_a_folder_nothing_is_compared() -> None:
    assert dropped_for(OverlapConfig(prompts=""), User(QUESTION), Assistant("ok")) == ""


def test_scenarios_that_cannot_be_read_are_named_with_file_and_line(config: OverlapConfig, tmp_path: Path) -> None:
    (tmp_path / "crew.jsonl").write_text('{"id": "crew-1", "messages": [], "gold": []}\n{"id": 3}\nnot json\n')
    with pytest.raises(ConfigError, match=r"(?s)crew\.jsonl:2 is no scenario.*crew\.jsonl:3 is no scenario"):
        load_runs(config)
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"holds no \.jsonl file"):
        load_runs(OverlapConfig(prompts=str(empty)))


def test_other_scenarios_have_another_digest(config: OverlapConfig, tmp_path: Path) -> None:
    before = digest(config)
    assert before == digest(config)
    (tmp_path / "crew.jsonl").write_text("")
    assert digest(config) == before
    (tmp_path / "crew.jsonl").write_text('{"id": "crew-1", "messages": [], "gold": []}\n')
    assert digest(config) != before


def test_every_scenario_of_the_repository_is_read_and_most_are_recognised(root: Path) -> None:
    runs = load_runs(OverlapConfig())
    lines = [line for file in (root / "eval/prompts").glob("*.jsonl") for line in file.read_text().splitlines() if line]
    known = {place.rpartition(" ")[2] for place in runs.values()}
    assert known <= {json.loads(line)["id"] for line in lines}
    assert len(known) > len(lines) / 2  # the others are short, or drawn anew for each sample


def test_the_sample_town_asks_nothing_that_evaluation_asks() -> None:
    find = finder(load_runs(OverlapConfig()))
    texts = [file.decode("utf-8", "replace").replace("\\n", " ") for file in default_town().files.values()]
    assert find(texts) == ""
    assert find([*texts, next(iter(load_runs(OverlapConfig())))])


def test_a_build_names_the_scenario_that_a_window_overlaps(tmp_path: Path) -> None:
    for number, question in enumerate(("Your hook holds ha-831.", "Your hook holds ha-12.")):
        script = Script(session=f"5e551011-0000-4000-8000-00000000000{number}")
        script.human(question)
        script.says(f"I read bead number {number} first and then begin to work on what it asks.", f"m{number}")
        script.save(tmp_path / "projects")
    asked = {"id": "polecat-show-1", "messages": [{"role": "user", "content": "Your hook holds ha-831."}], "gold": []}
    (prompts := tmp_path / "prompts").mkdir()
    (prompts / "polecat.jsonl").write_text(json.dumps(asked) + "\n")
    assert build(tmp_path, overlap={"prompts": str(prompts)}) == 0
    assert [row["conversations"][1]["value"] for row in rows(tmp_path)] == ["Your hook holds ha-12."]
    (drop,) = [drop for drop in lines(tmp_path, "drops.jsonl") if drop["stage"] == "overlap"]
    assert (drop["reason"], drop["detail"]) == ("overlaps a scenario", "polecat.jsonl:1 polecat-show-1")
    assert build(tmp_path, overlap={"prompts": ""}) == 0
    assert len(rows(tmp_path)) == 2


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"prompts": "eval/none"}, "overlap.prompts: eval/none is no folder."),
        ({"words": 2}, "overlap.words is 2; fewer than 5 words"),
    ],
)
def test_a_wrong_setting_stops_before_any_work(
    tmp_path: Path, setting: dict[str, object], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(tmp_path, overlap=setting) == 2
    assert problem in capsys.readouterr().err
