"""Blind votes of people: what is put against what, how votes are kept, and what may be said of them."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.domain_tasks import domain_file, load_tasks
from eval.errors import BadInput, one_sentence
from eval.people import live
from eval.people.answered import read_answers, shown
from eval.people.endpoint import Side, endpoint_of
from eval.people.judge import judge
from eval.people.judge_words import as_json, headline, notes
from eval.people.live import ask_all
from eval.people.match import CHOICES, Match, make_match
from eval.people.questions import of_roles, of_tasks
from eval.people.stored import read_stored
from eval.people.tally import Tally, Verdict, score, tally
from eval.people.tasks import tasks_of
from eval.people.vote_records import Costs, StoredMatch, Task, Vote
from eval.people.votes import Votes
from eval.rubric_config import RubricConfig
from tests.conftest import ROOT
from tests.eval_results import make_episode, make_run, save
from tests.people_endpoints import Talk, endpoint, nobody, refuses, says
from tests.people_matches import a_match, answers, match_of, stored

TASKS = [Task(f"t{n}", "abc"[n % 3], f"c{n % 10}", False, Costs(1, 1, 1), Costs(2, 2, 2)) for n in range(30)]
votes_on_tasks = st.lists(
    st.tuples(st.sampled_from("xyz"), st.integers(0, 29), st.sampled_from(list(Side)), st.sampled_from(CHOICES)),
    max_size=60,
)


def vote(number: int, author: str, task: int, first: Side, choice: Any) -> Vote:
    return Vote(number, "2026-11-29T10:00:00Z", author, f"t{task}", first, choice)


def other(side: Side) -> Side:
    return Side.STRONG if side is Side.LOCAL else Side.LOCAL


@contextmanager
def votes_on(path: Path, match: Match) -> Iterator[Votes]:
    with closing(Votes(path)) as votes:
        votes.add_match(match)
        yield votes


def voted(folder: Path, match: Match, choose: Callable[[tuple[str, str]], Any]) -> Tally:
    """The tally after somebody who sees nothing but the two texts has voted on each task."""
    with votes_on(folder / f"{match.id}.db", match) as votes:
        for pairing in match.open:
            votes.cast("kim", match.id, pairing.id, pairing.first, choose(pairing.texts))
        return tally(votes.matches()[0], votes.standing(match.id))


# --- what the votes say ---


@given(votes_on_tasks)
def test_the_win_rate_of_one_side_mirrors_that_of_the_other(cast: list[tuple[str, int, Side, Any]]) -> None:
    one = score(TASKS, [vote(n, *v) for n, v in enumerate(cast)])
    mirrored = score(TASKS, [vote(n, a, t, other(first), choice) for n, (a, t, first, choice) in enumerate(cast)])
    assert (one.won, one.tied, one.lost, one.skipped) == (mirrored.lost, mirrored.tied, mirrored.won, mirrored.skipped)
    assert (one.rate is None) == (mirrored.rate is None)
    if one.rate and mirrored.rate:
        assert one.rate.value == pytest.approx(1 - mirrored.rate.value)
        assert (one.rate.low, one.rate.high) == pytest.approx((1 - mirrored.rate.high, 1 - mirrored.rate.low))
        assert one.rate.low <= one.rate.value <= one.rate.high


@given(votes_on_tasks)
def test_skipped_tasks_change_nothing_but_their_own_count(cast: list[tuple[str, int, Side, Any]]) -> None:
    several = [vote(n, *v) for n, v in enumerate(cast)]
    without = score(TASKS, [one for one in several if one.choice != "skip"])
    assert score(TASKS, several).rate == without.rate and without.skipped == 0


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1, max_size=12)


@settings(max_examples=12)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=12), st.integers(0, 99))
def test_who_sees_only_the_texts_gives_the_mirrored_result_when_the_sides_are_swapped(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str]], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("votes")

    def longer(texts: tuple[str, str]) -> str:
        first, second = ((len(text), text) for text in texts)
        return "tie" if len(texts[0]) == len(texts[1]) else "first" if first > second else "second"

    ours, theirs = [one for one, _ in texts], [two for _, two in texts]
    match, swapped = match_of(ours, theirs, seed), match_of(theirs, ours, seed)
    assert [p.texts for p in match.pairings] == [p.texts for p in swapped.pairings]
    one, mirrored = (voted(folder, both, longer).whole for both in (match, swapped))
    assert (one.won, one.lost, one.tied) == (mirrored.lost, mirrored.won, mirrored.tied)


def test_the_order_of_the_answers_is_a_fair_coin_that_the_seed_repeats() -> None:
    match, again, another = a_match(400), a_match(400), match_of(["a"] * 400, ["b"] * 400, seed=7)
    firsts = [pairing.first for pairing in match.pairings]
    assert match == again and 150 < firsts.count(Side.LOCAL) < 250
    assert 150 < [pairing.first for pairing in another.pairings].count(Side.LOCAL) < 250
    assert [p.id for p in match.pairings] != sorted(p.id for p in match.pairings)


def made(won: int, lost: int, tied: int = 0, clusters: int = 10) -> Tally:
    """The tally of votes on as many tasks, spread over clusters."""
    match = a_match(1)
    tasks = [Task(f"t{n}", "k", f"c{n % clusters}", False, Costs(1, 1, 1), Costs(2, 2, 2)) for n in range(200)]
    said = ["first"] * won + ["second"] * lost + ["tie"] * tied
    stored_match = StoredMatch(match.id, "2026-11-29", "ours", "theirs", tuple(tasks))
    return tally(stored_match, [vote(n, "kim", n, Side.LOCAL, choice) for n, choice in enumerate(said)])


@pytest.mark.parametrize(
    ("counts", "verdict", "sentence"),
    [
        ((0, 0), Verdict.NO_VOTES, "Nobody has voted yet."),
        ((36, 4), Verdict.LOCAL, "The local model is preferred: it wins 90 % ["),
        ((4, 36), Verdict.STRONG, "The stronger model is preferred: the local model wins 10 % ["),
        ((20, 20), Verdict.UNDECIDED, "Undecided: the local model wins 50 % ["),
        ((22, 18), Verdict.UNDECIDED, "so either could be the better one."),
        ((0, 0, 40), Verdict.UNDECIDED, "Undecided: the local model wins 50 % ["),
        ((4, 0, 0, 4), Verdict.TOO_FEW, "Too little to claim anything: 4 independent tasks have votes, and at least 8"),
        ((40, 0, 0, 3), Verdict.TOO_FEW, "the 40 tasks with votes come from 3 families, and at least 8 are needed."),
    ],
)
def test_the_headline_claims_what_the_votes_carry(counts: tuple[int, ...], verdict: Verdict, sentence: str) -> None:
    told = made(*counts)
    assert told.whole.verdict is verdict and sentence in headline(told)
    assert as_json(told)["verdict"] == verdict.value


def test_what_would_decide_is_said_where_it_is_not_decided() -> None:
    assert any("tasks like these would decide" in note for note in notes(made(25, 15)))
    assert any("so close that more tasks would hardly decide" in note for note in notes(made(20, 20)))
    assert not any("decide" in note for note in notes(made(36, 4)))
    assert any("A tie counts as half a win." in note for note in notes(made(1, 1)))


def test_what_may_have_swayed_people_and_how_far_they_agree_is_said(tmp_path: Path) -> None:
    match = a_match(30)
    with votes_on(tmp_path / "votes.db", match) as votes:
        for place, pairing in enumerate(match.open):
            votes.cast("kim", match.id, pairing.id, pairing.first, "first")
            votes.cast("lee", match.id, pairing.id, pairing.first, "first" if place % 3 else "tie")
        told = tally(votes.matches()[0], votes.standing(match.id))
    assert (told.voters, told.first_shown, told.agreement) == ({"kim": 30, "lee": 30}, 1.0, pytest.approx(2 / 3))
    said = " ".join(notes(told))
    assert "shown first won 100 %" in said and "kim 30, lee 30. Two people agreed in 67 % of their votes." in said


def test_the_same_answer_from_both_is_a_tie_that_nobody_is_asked_about(tmp_path: Path) -> None:
    match = match_of(["Yes.", "No.", "Ours."], ["Yes.", "No.", "Theirs."])
    assert [pairing.id for pairing in match.open] == ["companion/t2"]
    told = voted(tmp_path, match, lambda texts: "first" if texts[0] == "Ours." else "second")
    assert told.whole.rate and told.whole.rate.value == pytest.approx(2 / 3) and told.whole.same == 2
    assert any("2 tasks have the same answer from both" in note for note in notes(told))


def test_response_times_and_tokens_of_both_sides_are_told(tmp_path: Path) -> None:
    local = answers("ours", ["a", "b", "c"], seconds=2.0, new_tokens=10)
    match = make_match(local, answers("theirs", ["d", "e", "f"], seconds=None, new_tokens=None), 1)
    told = voted(tmp_path, match, lambda texts: "tie")
    assert (told.local.median, told.local.slow, told.local.new_tokens, told.local.prompt_tokens) == (2.0, 2.0, 30, 300)
    assert (told.strong.median, told.strong.new_tokens, told.strong.prompt_tokens) == (None, None, 300)


# --- the votes in their file ---

acts = st.lists(st.one_of(st.tuples(st.sampled_from("kl"), st.integers(0, 3), st.sampled_from(CHOICES)),
                          st.tuples(st.sampled_from("kl"), st.none(), st.none())), max_size=25)  # fmt: skip


@settings(max_examples=15)
@given(acts)
def test_votes_are_what_a_pile_of_each_voter_holds_and_no_row_is_ever_lost(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int | None, Any]]
) -> None:
    match, path = a_match(), tmp_path_factory.mktemp("votes") / "votes.db"
    piles: dict[str, list[tuple[str, str]]] = {"k": [], "l": []}
    rows: list[Any] = []
    with votes_on(path, match) as votes:
        for author, place, choice in acts:
            pile = piles[author]
            if place is None:
                assert votes.undo(author, match.id) == (pile.pop()[0] if pile else None)
            else:
                pairing = match.open[place]
                free = all(task != pairing.id for task, _ in pile)
                assert votes.cast(author, match.id, pairing.id, pairing.first, choice) is free
                if free:
                    pile.append((pairing.id, choice))
            found = _rows(path)
            assert found[: len(rows)] == rows  # what was there is there
            rows = found
        for author, pile in piles.items():
            assert [(one.task, one.choice) for one in votes.standing(match.id, author)] == pile


def _rows(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as base:
        return base.execute("SELECT * FROM vote ORDER BY number").fetchall()


@pytest.mark.parametrize("table", ["vote", "task", "match"])
def test_no_row_can_be_changed_or_deleted(tmp_path: Path, table: str) -> None:
    match = a_match()
    with votes_on(tmp_path / "votes.db", match) as votes:
        votes.cast("kim", match.id, match.open[0].id, match.open[0].first, "tie")
    with closing(sqlite3.connect(tmp_path / "votes.db")) as base:
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET rowid = rowid + 1"):
            with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
                base.execute(statement)


def test_a_vote_has_its_author_time_and_order(tmp_path: Path) -> None:
    match = a_match()
    with votes_on(tmp_path / "votes.db", match) as votes:
        votes.cast("kim", match.id, match.open[0].id, match.open[0].first, "second")
        (one,) = votes.standing(match.id)
    assert (one.author, one.task, one.first, one.choice) == ("kim", match.open[0].id, match.open[0].first, "second")
    assert one.at[:2] == "20" and one.at.endswith("Z")
    assert one.points == (0.0 if one.first is Side.LOCAL else 1.0)


def vote_on_all(path: Path, author: str) -> None:
    match = a_match(30)
    with votes_on(path, match) as votes:
        for pairing in match.open:
            assert votes.cast(author, match.id, pairing.id, pairing.first, "tie")


@pytest.mark.slow
def test_several_processes_vote_at_once_and_no_vote_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "votes.db"
    program = "import sys; from tests.test_people_judge import *; vote_on_all(Path(sys.argv[1]), sys.argv[2])"
    words = [sys.executable, "-c", program, str(path)]
    several = [subprocess.Popen([*words, author], cwd=ROOT) for author in ("kim", "lee", "max")]
    assert [one.wait() for one in several] == [0, 0, 0] and len(_rows(path)) == 90


@pytest.mark.parametrize("content", [b"no database at all, whatever its name says", None])
def test_a_file_that_is_no_file_of_votes_is_left_as_it_is(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "votes.db"
    if content is None:
        with closing(sqlite3.connect(path)) as base:
            base.execute("CREATE TABLE vote (mine TEXT)")
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(BadInput, match="is no file of votes that can be written; move it away"):
        Votes(path)
    assert path.read_bytes() == before


# --- whose answers ---


def test_runs_of_role_bench_are_put_against_each_other_by_scenario(tmp_path: Path) -> None:
    names = ["mayor-mail-1", "mayor-mail-2", "mayor-dispatch-1"]
    base = make_run([make_episode(name, answers=["<think>I am big</think>Done.<|im_end|>"]) for name in names])
    adapter = make_run([make_episode(name, answers=["Sent."]) for name in names[:2]], adapter=True)
    local = read_answers(save(adapter, tmp_path / "adapter.json"))
    strong = read_answers(save(base, tmp_path / "base.json"))
    match = make_match(local, strong, 1)
    assert sorted(p.id for p in match.pairings) == names[:2]
    one = match.pairings[0]
    assert (one.local.kind, one.local.cluster) == ("mail", "mayor/mail") and "Read the mail" in one.local.prompt
    assert one.local.text.startswith("Sent.") and "I am big" not in one.strong.text and "<|" not in shown("x<|im_end|>")
    assert (one.local.seconds, one.local.new_tokens) == (0.5, 40)


def marks(domain: str = "legal", text: str = "An answer.", digest: str | None = None) -> dict[str, Any]:
    """A results file of the rubric with an answer to each task of a domain."""
    file = load_tasks(domain_file(domain))
    result = {"domain": domain, "category": "c", "is_prose": True, "total": 0.5, "parts": [], "explanation": ""}
    results = [{**result, "id": task.id, "answer": text, "seconds": 1.0} for task in file.tasks]
    known = {"kind": "rubric", "model": "base", "facts": {}, "settings": {}, "versions": {}, "weights": {}}
    whole = {"systems": {}, "sandbox": None, "summary": {}, "results": results, "format": 1}
    return {**known, **whole, "tasks": {domain: digest or file.sha256}}


def test_results_of_the_rubric_are_shown_with_the_prompts_of_their_tasks(tmp_path: Path) -> None:
    path = tmp_path / "rubric.json"
    path.write_text(json.dumps(marks()))
    found = read_answers(path)
    task = load_tasks(domain_file("legal")).tasks[0]
    assert found.by_task[f"legal/{task.id}"].prompt == task.prompt
    assert found.by_task[f"legal/{task.id}"].cluster == f"legal/{task.id}"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read"),
        (b"{}", "holds no answers"),
        (b"[1]", "holds no answers"),
        (b"\xff\x00", "holds no answers"),
        (b'{"kind": "rubric"}', "is no result of the rubric"),
        (b'{"kind": "answers", "model": "m", "asked": "a"}\n{"half', "holds no answer yet"),
        (json.dumps(marks(digest="0" * 64)).encode(), "answers another version of the tasks of legal"),
        (json.dumps({**marks(), "tasks": {"cooking": "0"}}).encode(), "give their file with --tasks."),
    ],
)
def test_results_that_cannot_be_used_are_one_sentence(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "results.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput) as wrong:
        read_answers(path)
    assert problem in str(wrong.value) and str(wrong.value).startswith(str(path))


def test_sides_that_were_asked_different_things_are_refused() -> None:
    with pytest.raises(BadInput, match="have no task in common"):
        make_match(answers("a", []), answers("b", ["x"]), 1)
    strong = answers("b", ["x"])
    odd = {key: msgspec.structs.replace(one, prompt="Another?") for key, one in strong.by_task.items()}
    with pytest.raises(BadInput, match="asked different things at companion/t0"):
        make_match(answers("a", ["x"]), type(strong)("b", odd), 1)


# --- asked live ---


@pytest.fixture
def tasks() -> list[Any]:
    return list(of_tasks([(load_tasks(domain_file("legal")), RubricConfig(systems={"legal": "You are a clerk."}))]))


def test_a_pack_brings_its_own_tasks_and_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs/packs").mkdir(parents=True)
    task = load_tasks(domain_file("legal")).tasks[0]
    mine = msgspec.structs.replace(task, id="bicycles-brakes", prompt="Why does it squeal?")
    (tmp_path / "configs/packs/bicycles.jsonl").write_bytes(msgspec.json.encode(mine))
    pack = "roles: {bicycles: {system: You are a mechanic.}}\neval: {tasks: bicycles.jsonl}\n"
    (tmp_path / "configs/packs/bicycles.yml").write_text(pack)
    for found in (tasks_of(["bicycles"], (), None), tasks_of((), (), Path("configs/packs/bicycles.yml"))):
        (question,) = of_tasks(found)
        assert question.id == "bicycles/bicycles-brakes"
        assert question.asked == "You are a mechanic.\nWhy does it squeal?"
    with pytest.raises(BadInput, match="two files of tasks are for bicycles"):
        tasks_of(["bicycles"], [Path("configs/packs/bicycles.jsonl")], Path("configs/packs/bicycles.yml"))


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PAUSE_SECONDS", 0.01)
    for name in ("FORGE_KEY", "OPENAI_API_KEY", "FORGE_STRONG"):
        monkeypatch.delenv(name, raising=False)


def asked(folder: Path, tasks: list[Any], local: str, strong: str, **options: Any) -> list[Path]:
    sides = [endpoint_of(Side.LOCAL, local), endpoint_of(Side.STRONG, strong)]
    return ask_all(tasks, sides, folder, {}, 60.0, **options)


def test_both_are_asked_everything_and_what_is_stored_is_not_asked_again(tmp_path: Path, tasks: list[Any]) -> None:
    with (
        endpoint(says("Ours.", x_forge_model="legal@v2")) as (local, mine),
        endpoint(says("<think>hm</think>Theirs.")) as (strong, theirs),
    ):
        told: list[str] = []
        first = asked(tmp_path, tasks, local, strong, note=told.append)
        assert told == []
        assert asked(tmp_path, tasks, local, strong, note=told.append) == first
        assert len(told) == 2 and told[0].startswith("The local model (m at") and "--again asks anew." in told[0]
        assert len(mine) == len(theirs) == len(tasks)
        asked(tmp_path, tasks, local, strong, again=True)
        assert len(mine) == 2 * len(tasks)
    assert mine[0].body["messages"][0] == {"role": "system", "content": "You are a clerk."}
    ours, others = (read_answers(path) for path in first)
    assert ours.model == "legal@v2" and others.model.endswith("#m")
    one = next(iter(others.by_task.values()))
    assert (one.text, one.prompt_tokens, one.new_tokens) == ("Theirs.", 9, 4) and one.seconds


def test_an_endpoint_that_dies_half_way_loses_nothing(tmp_path: Path, tasks: list[Any]) -> None:
    dies = True

    def mortal(talk: Talk) -> None:
        (refuses(401) if dies and len(talks) > 3 else says("Theirs."))(talk)

    with endpoint(says("Ours.")) as (local, _), endpoint(mortal) as (strong, talks):
        with pytest.raises(BadInput, match=r"The stronger model .* answers 401; set OPENAI_API_KEY .* is kept; run"):
            asked(tmp_path, tasks, local, strong)
        dies = False
        path = asked(tmp_path, tasks, local, strong)[1]
        assert len(talks) == len(tasks) + 1 and len(read_stored(path).by_task) == len(tasks)


def test_what_may_pass_is_tried_again_and_half_a_line_of_a_crash_is_asked_anew(
    tmp_path: Path, tasks: list[Any]
) -> None:
    def busy(talk: Talk) -> None:
        (refuses(429) if len(talks) % 2 else says("Theirs."))(talk)

    with endpoint(says("Ours.")) as (local, _), endpoint(busy) as (strong, talks):
        path = asked(tmp_path, tasks, local, strong)[1]
        path.write_bytes(path.read_bytes()[:-20])
        asked(tmp_path, tasks, local, strong)
    assert len(read_stored(path).by_task) == len(tasks)
    assert len(path.read_bytes().splitlines()) == len(tasks) + 1


def test_answers_of_two_versions_are_not_mixed(tmp_path: Path, tasks: list[Any]) -> None:
    def changing(talk: Talk) -> None:
        says("Ours.", x_forge_model=f"legal@v{1 + len(talks) // 5}")(talk)

    with endpoint(changing) as (local, talks), endpoint(says("Theirs.")) as (strong, _):
        path = asked(tmp_path, tasks, local, strong)[0]
    with pytest.raises(BadInput, match=r"mixes answers of legal@v1 and legal@v2.*; ask anew with --again"):
        read_answers(path)


def test_scenarios_are_played_to_their_end(tmp_path: Path) -> None:
    from eval.config import load_config

    calls = '<tool_call>\n{"name": "Bash", "arguments": {"command": "gt mail inbox"}}\n</tool_call>'
    questions = list(of_roles(["mayor"], load_config(ROOT / "configs/data.yml")))[:6]
    with endpoint(says(calls)) as (local, mine), endpoint(says("Nothing.")) as (strong, theirs):
        ours, others = (read_answers(path) for path in asked(tmp_path, questions, local, strong))
    assert len(theirs) == len(questions) < len(mine)
    assert any("<tool_result>" in one.text for one in ours.by_task.values())
    assert {one.cluster.split("/")[0] for one in others.by_task.values()} == {"mayor"}


# --- the command ---


def test_the_report_tells_every_match_or_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = a_match(12), match_of(["x"] * 9, ["y"] * 9)
    path = tmp_path / "votes.db"
    for match in (one, two):
        with votes_on(path, match) as votes:
            for pairing in match.open:
                choice = "first" if pairing.first is Side.LOCAL else "second"
                votes.cast("kim", match.id, pairing.id, pairing.first, choice)  # type: ignore[arg-type]
    assert one_sentence(judge, ["--report", "--votes", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {entry["match"] for entry in told} == {one.id, two.id}
    assert all(entry["verdict"] == "local" and entry["all"]["win_rate"] == 1 for entry in told)
    files = [stored(tmp_path / f"{name}.jsonl", name, [name] * 9) for name in "xy"]
    results = ["--results", *map(str, files), "--votes", str(path)]
    assert one_sentence(judge, [*results, "--report"]) == 2  # named otherwise, so another match
    assert "has no votes on this" in capsys.readouterr().err
    assert one_sentence(judge, ["--report", "--votes", str(path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "companion@v2 (local) against big" in said and "The local model is preferred: it wins 100 % [" in said
    assert "response time, median" in said and "decisions" in said


def test_the_command_asks_both_and_opens_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    served: list[Any] = []
    monkeypatch.setattr("eval.people.judge.serve", lambda *given: served.append(given) or 0)
    places = ["--votes", str(tmp_path / "votes.db"), "--answers", str(tmp_path / "answers"), "--author", "kim"]
    with endpoint(says("Ours.", x_forge_model="legal@v2")) as (local, mine), endpoint(says("Theirs.")) as (strong, _):
        monkeypatch.setenv("FORGE_STRONG", strong)
        options = ["--domain", "legal", "--local", local, "--max-new-tokens", "50", *places]
        assert one_sentence(judge, options) == one_sentence(judge, options) == 0
    assert "has answered all of it before, which is used; --again asks anew." in capsys.readouterr().err
    match, _, author, port = served[0]
    assert (match, author, port) == (served[1][0], "kim", 18795) and match.local == "legal@v2"
    assert len(match.open) == len(mine) and mine[0].body["max_tokens"] == 50
    with closing(Votes(tmp_path / "votes.db")) as votes:
        assert [one.id for one in votes.matches()] == [match.id]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "give --results LOCAL STRONG, or what is asked"),
        (["--report"], "does not exist, so nobody has voted"),
        (["--domain", "cooking"], "domain 'cooking' has no tasks"),
        (["--domain", "legal"], "name the stronger model: --strong URL#MODEL"),
        (["--role", "nobody"], "role 'nobody' has no scenarios"),
        (["--results", "a.json", "b.json"], "a.json cannot be read"),
        (["--domain", "legal", "--local", nobody(), "--strong", nobody()], "Nobody answers as the "),
    ],
)
def test_what_cannot_be_judged_is_one_sentence(
    tmp_path: Path,
    options: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    places = ["--votes", str(tmp_path / "votes.db"), "--answers", str(tmp_path / "answers"), "--port", "0"]
    assert one_sentence(judge, [*options, *places]) == 2
    assert problem in capsys.readouterr().err and not (tmp_path / "votes.db").exists()
