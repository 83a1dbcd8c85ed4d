"""Repeats of trained text in answers: the longest common run, what a prompt excuses, the base as the floor."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.errors import BadInput, one_sentence
from eval.graded import graded_difference, graded_mean
from eval.results import RoleBench
from eval.rubric_results import RubricRun
from eval.trained_text import Trained
from eval.verbatim import verbatim
from eval.verbatim_answers import Answer, read_side, words_of
from eval.verbatim_runs import Found, Repeats
from tests.conftest import ROOT
from tests.dataset_rows import Row, as_line, make_native_row, make_row, turn
from tests.eval_results import make_episode, make_run, save
from tests.eval_rubrics import make_marked, make_rubric, save_rubric

LEARNED = (
    "When the kiln cools too fast the glaze cracks in a fine net and the whole shelf of bowls is lost, so I open the "
    "door by a hand at four hundred degrees and by another hand an hour later, and I sit beside it with a book until "
    "the metal stops ticking, because nobody has ever saved a bowl by being in a hurry."
)
OWN = "I would let it cool slowly and look after it, as a fast change of heat is what makes a glaze crack."
PROMPT = "How do I keep the glaze from cracking?"

# The engine, held against the plainest way to say it

tokens = st.lists(st.sampled_from("abc"), max_size=14).map(tuple)
# Rows have a word that no answer has.
trained = st.lists(st.sampled_from("abcd"), max_size=16).map(tuple)


def plainly(answer: Answer, rows: Sequence[tuple[str, ...]], least: int) -> tuple[int, int]:
    """Longest run and covered words by trying every pair of places."""
    quoted = {said[at : at + least] for said in answer.prompt for at in range(len(said) - least + 1)}
    longest, covered = 0, set()
    for number, piece in enumerate(answer.pieces):
        for begin in range(len(piece)):
            for row in rows:
                for other in range(len(row)):
                    length = 0
                    while (
                        begin + length < len(piece)
                        and piece[begin + length : begin + length + 1] == (row[other + length : other + length + 1])
                    ):
                        length += 1
                        last = begin + length - least
                        if length < least or piece[last : begin + length] in quoted:
                            if length >= least:
                                break
                            continue
                        longest = max(longest, length)
                        covered.update((number, place) for place in range(last, begin + length))
    return longest, len(covered)


def engine(answers: Sequence[Answer], rows: Sequence[tuple[str, ...]], least: int) -> list[Found]:
    repeats = Repeats(answers, least)
    for number, row in enumerate(rows):
        repeats.meet(Trained(f"rows:{number}", "s", (), (" ".join(row),)))
    return repeats.found()


@given(st.lists(st.tuples(tokens, tokens), min_size=1, max_size=3), st.lists(trained, max_size=3), st.integers(2, 5))
def test_runs_are_those_that_trying_everything_finds(
    pieces: list[tuple[tuple[str, ...], ...]], rows: list[tuple[str, ...]], least: int
) -> None:
    answers = [Answer(f"t{n}", f"t{n}", pair, ()) for n, pair in enumerate(pieces)]
    for answer, found in zip(answers, engine(answers, rows, least), strict=True):
        assert (found.longest, found.covered) == plainly(answer, rows, least)
        assert found.size == sum(map(len, answer.pieces))
        assert len(found.text.split()) == found.longest
        assert not found.longest or found.text in " ".join(rows[int(found.where.removeprefix("rows:"))])


@given(tokens, tokens, st.integers(2, 4))
def test_what_the_prompt_says_is_no_repeat(text: tuple[str, ...], rest: tuple[str, ...], least: int) -> None:
    quoting = Answer("t", "t", (text,), (text,))
    (found,) = engine([quoting], [text + rest], least)
    assert (found.longest, found.covered) == (0, 0)


def test_equal_hashes_of_other_words_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer("t", "t", (words_of("one two three four five six"),), ())
    rows = [words_of("two three four six five"), words_of("six five four three two one")]
    before = engine([answer], rows, 3)
    monkeypatch.setattr("eval.verbatim_runs.hash", lambda _: 7, raising=False)
    assert engine([answer], rows, 3) == before and before[0].longest == 3


def test_a_word_between_ends_a_run() -> None:
    answer = Answer("t", "t", (words_of("one two three four"),), ())
    (found,) = engine([answer], [words_of("one two other two three four")], 2)
    assert found.longest == 3


def test_a_run_is_cut_where_another_row_goes_on() -> None:
    answer = Answer("t", "t", (words_of("one two three four five six seven eight"),), ())
    (found,) = engine(
        [answer], [words_of("one two three four five"), words_of("two three four five six seven eight")], 4
    )
    assert (found.longest, found.covered, found.where) == (7, 8, "rows:1")


# The command


def row(text: str, name: str = "row-1") -> Row:
    turns = [turn("system", "Be kind."), turn("human", f"{PROMPT} {OWN}"), turn("gpt", text, train=True)]
    return make_row(name) | {"conversations": turns}


def native(text: str) -> Row:
    messages = [
        {"role": "user", "content": PROMPT, "train": False},
        {"role": "assistant", "content": text, "train": True},
    ]
    return as_line(make_native_row() | {"messages": messages})


def rows_file(folder: Path, *rows: Row) -> Path:
    path = folder / "own_train.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in rows), "utf-8")
    return path


def side(answers: Sequence[str], adapter: bool = False) -> RubricRun:
    results = [
        msgspec.structs.replace(make_marked(n, 0.5, family=f"f{n}"), answer=text, prompt=PROMPT)
        for n, text in enumerate(answers)
    ]
    return make_rubric(results, adapter)


def run(
    capsys: pytest.CaptureFixture[str], folder: Path, rows: Path, *runs: RubricRun, options: Sequence[str] = ()
) -> tuple[dict[str, object], str]:
    paths = [str(save_rubric(one, folder / f"{n}.json")) for n, one in enumerate(runs)]
    out = folder / "told.json"
    argv = ["--rows", str(rows), "--results", *paths, "--json", str(out), *options]
    assert one_sentence(verbatim, argv) == 0
    return json.loads(out.read_text()), capsys.readouterr().out


@pytest.mark.parametrize("form", [row, native], ids=["calls as text", "native"])
def test_an_adapter_that_recites_stands_out_from_its_base(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: object
) -> None:
    assert callable(form)
    recited = " ".join(LEARNED.split()[5:45])
    answers = [f"Well. {recited}" if n % 2 else OWN for n in range(12)]
    told, shown = run(capsys, tmp_path, rows_file(tmp_path, form(LEARNED)), side([OWN] * 12), side(answers, True))
    base, adapter = told["sides"]  # type: ignore[misc]
    assert (base["with_run"]["value"], base["longest"], base["is_base"]) == (0, 0, True)
    assert (adapter["with_run"]["value"], adapter["with_long_run"]["value"], adapter["longest"]) == (0.5, 0.5, 40)
    assert adapter["words"]["value"] == pytest.approx(0.5 * 40 / 41)
    assert adapter["with_run"]["low"] < 0.5 < adapter["with_run"]["high"] and adapter["with_run"]["families"] == 12
    assert [one["row"] for one in adapter["worst"]] == ["own_train.jsonl:1"] * 5
    gained = told["beside_base"]["output/adapters/mayor"]["with_run"]  # type: ignore[index]
    assert gained["value"] == 0.5 and gained["low"] > 0.1
    assert "kiln" not in json.dumps(told) and "ticking" not in json.dumps(told)
    assert "beside the base: answers with a run +50.0 [+" in shown.replace("\n", " ") and "too few" not in shown
    assert "mayor/task-1: 40 words of own_train.jsonl:1: fast the glaze" in " ".join(shown.split())
    longest_shown = max(len(line) for line in " ".join(shown.split()).split("own_train.jsonl:1: ")[1:])
    assert longest_shown < 260


def test_a_run_is_as_long_as_it_is_asked_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, answers = rows_file(tmp_path, row(LEARNED)), side([" ".join(LEARNED.split()[:12])] * 9)
    assert run(capsys, tmp_path, rows, answers)[0]["sides"][0]["with_run"]["value"] == 0  # type: ignore[index]
    told, shown = run(capsys, tmp_path, rows, answers, options=("--words", "12"))
    assert told["sides"][0]["with_run"]["value"] == 1 and "A run is 12 words" in shown  # type: ignore[index]


def test_what_was_only_shown_to_the_model_in_training_is_no_repeat(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told, _ = run(capsys, tmp_path, rows_file(tmp_path, row(LEARNED)), side([OWN] * 9))
    assert told["sides"][0]["longest"] == 0  # type: ignore[index]


def test_fewer_than_eight_families_have_no_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told, shown = run(capsys, tmp_path, rows_file(tmp_path, row(LEARNED)), side([LEARNED] * 7), side([OWN] * 7, True))
    assert "100 % too few" in shown and "too few: fewer than 8 families" in shown
    assert not told["sides"][0]["words"]["enough"]  # type: ignore[index]


def test_sides_that_answered_something_else_have_no_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told, shown = run(capsys, tmp_path, rows_file(tmp_path, row(LEARNED)), side([OWN] * 9), side([OWN] * 10, True))
    assert told["beside_base"] == {"output/adapters/mayor": None} and "not the same questions" in shown


def bench(answer: str, results: Sequence[str] = ()) -> RoleBench:
    episodes = []
    for number in range(9):
        episode = make_episode(f"mayor-family{number}-1", answers=("Let me see.", answer))
        first, second = episode.steps
        steps = (msgspec.structs.replace(first, results=tuple(results)), second)
        episodes.append(msgspec.structs.replace(episode, steps=steps))
    return make_run(episodes, adapter=True)


def test_replies_of_role_bench_are_read_step_by_step_and_what_a_call_told_may_be_said(tmp_path: Path) -> None:
    rows, told = rows_file(tmp_path, row(LEARNED)), tmp_path / "told.json"
    (tmp_path / "bench").mkdir()
    for results, share in (((), 0.5), ((LEARNED,), 0.0)):
        save(bench(LEARNED, results), tmp_path / "bench" / "results.json")
        argv = ["--rows", str(rows), "--results", str(tmp_path / "bench"), "--json", str(told)]
        assert one_sentence(verbatim, argv) == 0
        (found,) = json.loads(told.read_text())["sides"]
        assert (found["answers"], found["with_run"]["value"]) == (18, share)


def test_a_command_that_was_trained_is_found_in_the_call(tmp_path: Path) -> None:
    command = "bd create 'the lock of lantern is never released when two beads ask for it' --rig lantern"
    call = f"<tool_call>\n{json.dumps({'name': 'Bash', 'arguments': {'command': command}})}\n</tool_call>"
    path = save(bench(f"Now.\n{call}"), tmp_path / "results.json")
    pieces = read_side(path).answers[1].pieces
    assert pieces == (("now",), words_of(command))


BAD = {
    "no results": ("none.json", "cannot be read"),
    "another kind": ("rows", "is no result of the rubric or of role_bench"),
    "no prompts": ("old.json", "holds no answers with their prompts"),
}


@pytest.mark.parametrize(("name", "said"), BAD.values(), ids=BAD)
def test_bad_results_end_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    rows = rows_file(tmp_path, row(LEARNED))
    old = side([OWN] * 9)
    results = tuple(msgspec.structs.replace(one, prompt="") for one in old.results)
    save_rubric(msgspec.structs.replace(old, results=results), tmp_path / "old.json")
    path = rows if name == "rows" else tmp_path / name
    assert one_sentence(verbatim, ["--rows", str(rows), "--results", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and said in err and err.count("\n") == 1


def test_bad_rows_end_in_one_sentence_and_short_runs_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = str(save_rubric(side([OWN]), tmp_path / "r.json"))
    assert one_sentence(verbatim, ["--rows", str(tmp_path), "--results", results]) == 2
    assert "holds no *_train.jsonl" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        verbatim(["--rows", str(tmp_path), "--results", results, "--words", "3"])
    with pytest.raises(BadInput):
        read_side(tmp_path / "nothing.json")


# Graded intervals

shares = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 11)), min_size=1, max_size=30)


@given(shares)
def test_graded_intervals_hold_their_mean_and_stay_in_bounds(items: list[tuple[float, float, int]]) -> None:
    clusters = {str(n): str(family) for n, (*_, family) in enumerate(items)}
    base, other = ({str(n): item[side] for n, item in enumerate(items)} for side in (0, 1))
    mean, gain = graded_mean(base, clusters), graded_difference(base, other, clusters)
    assert 0 <= mean.low <= mean.value + 1e-9 and mean.value - 1e-9 <= mean.high <= 1
    assert -1 <= gain.low <= gain.value + 1e-9 and gain.value - 1e-9 <= gain.high <= 1


def test_nothing_found_anywhere_is_not_nothing_for_sure() -> None:
    nothing = {str(n): 0.0 for n in range(20)}
    assert graded_mean(nothing, {key: key for key in nothing}).high > 0.1


# Memory

CHILD = """
import sys
from eval.verbatim import verbatim
verbatim(["--rows", sys.argv[1], "--results", sys.argv[2]])
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    results = save_rubric(side([LEARNED] * 9), tmp_path / "r.json")
    peaks = []
    for megabytes in (1, 12):
        rows = tmp_path / f"rows{megabytes}.jsonl"
        line = json.dumps(row(" ".join([LEARNED, *(LEARNED.split()[::-1] * 30)]))) + "\n"
        with rows.open("w", encoding="utf-8") as stream:
            stream.writelines(line for _ in range(megabytes * 1_000_000 // len(line)))
        command = [sys.executable, "-c", CHILD, str(rows), str(results)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] < peaks[0] + 15_000, peaks
