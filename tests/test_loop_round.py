"""A killed round goes on where it was, two rounds never run at once, and only the gate decides what goes live."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from configs.runs.machine import process_mark
from deploy.registry import Registry
from scripts.loop import round as rounds_of
from scripts.loop.commands import Place, planned, promote
from scripts.loop.curate import Reason, curate
from scripts.loop.errors import BadInput, Ended, Failed
from scripts.loop.generate import Example
from scripts.loop.lock import Busy, held, holder
from scripts.loop.page import build_page
from scripts.loop.process import end_leftover, run
from scripts.loop.round import Code, begin, close, go
from scripts.loop.sources import before, promoted
from scripts.loop.state import Round, load, rounds
from scripts.loop.work import Work
from tests.chat_server import chat_server, says
from tests.conftest import ROOT
from tests.killed import killed_at
from tests.loop_town import Loop, make, stand_in
from tests.test_loop_curate import a_plan

NAMES = ("look", "build", "promote")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A round of three steps, each a small command that writes its name to the file that is returned."""
    done = tmp_path / "done.txt"

    def step(name: str) -> Callable[[Work], None]:
        def make_it(work: Work) -> None:
            work.run(("sh", "-c", f"echo {name} >> {done}"), name)
            work.facts[name] = len(work.facts)

        return make_it

    steps = {name: step(name) for name in NAMES}
    monkeypatch.setattr(rounds_of, "STEPS", steps)
    monkeypatch.setattr(rounds_of, "LAST", "promote")
    return done


@pytest.mark.slow
def test_a_round_killed_at_any_moment_goes_on_and_does_no_finished_step_again(short: Path, tmp_path: Path) -> None:
    moment = 0
    while True:
        moment += 1
        folder = tmp_path / str(moment)
        plan = a_plan(folder, rows=3)
        short.write_text("")
        if not killed_at(moment, lambda plan=plan: go(plan, begin(plan))):  # type: ignore[misc]
            break
        left = rounds(folder, "mayor")
        finished = [step.name for step in left[0].steps] if left else []
        ran = short.read_text().split()
        if not (left and left[0].outcome):  # else the very last moment
            assert go(plan, begin(plan)) == Code.PROMOTED
        [state] = rounds(folder, "mayor")
        assert "The new version is live" in (Place(plan, state.name).folder / "report.html").read_text("utf-8")
        assert [step.name for step in state.steps] == list(NAMES) and state.outcome == "promoted"
        again = short.read_text().split()[len(ran) :]
        assert again == list(NAMES)[len(finished) :], "only what was not finished is done"
        assert set(ran) | set(again) == set(NAMES)
    assert moment > 15, "there were moments to die at"


def test_a_step_that_fails_is_tried_again_by_the_same_command(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = a_plan(tmp_path, rows=3)
    whole = dict(rounds_of.STEPS)

    def broken(work: Work) -> None:
        work.run(("sh", "-c", "echo some noise; echo the disk is full; exit 4"), "build")

    monkeypatch.setattr(rounds_of, "STEPS", {**whole, "build": broken})
    state = begin(plan)
    assert go(plan, state) == Code.FAILED and not state.outcome
    [said] = state.steps[-1].said
    assert "exit code 4: the disk is full" in said and "logs/build.log" in said
    assert "Step build failed" in build_page(Place(plan, "r1").folder, state)
    monkeypatch.setattr(rounds_of, "STEPS", whole)
    assert go(plan, begin(plan)) == Code.PROMOTED
    assert short.read_text().split() == list(NAMES)


def test_a_round_that_nobody_wants_any_more_stops_between_two_steps(short: Path, tmp_path: Path) -> None:
    plan = a_plan(tmp_path, rows=3)
    wanted = iter((True, True, False))
    assert go(plan, begin(plan), lambda: next(wanted)) == Code.STOPPED
    assert short.read_text().split() == ["look", "build"]
    assert go(plan, begin(plan)) == Code.PROMOTED and short.read_text().split() == list(NAMES)


def test_an_unfinished_round_wants_the_words_that_it_was_begun_with(short: Path, tmp_path: Path) -> None:
    import dataclasses

    plan = a_plan(tmp_path, rows=3)
    begin(plan)
    other = dataclasses.replace(plan, asked=dataclasses.replace(plan.asked, overrides=("long",)))
    with pytest.raises(BadInput, match="other options"):
        begin(other)
    assert begin(plan).name == "r1"
    assert begin(other, fresh=True).name == "r2"
    assert [state.outcome for state in rounds(tmp_path, "mayor")] == ["given up", ""]


@pytest.mark.parametrize("outcome", ["nothing", "refused"])
def test_a_round_that_ends_early_says_why_and_the_next_one_is_new(
    outcome: Any, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(work: Work) -> None:
        raise Ended(outcome, ["It was not to be."])

    monkeypatch.setattr(rounds_of, "STEPS", {**rounds_of.STEPS, "build": end})
    plan = a_plan(tmp_path, rows=3)
    state = begin(plan)
    assert go(plan, state) == Code.NOT_PROMOTED
    assert (state.outcome, state.reasons, bool(state.finished_at)) == (outcome, ("It was not to be.",), True)
    assert begin(plan).name == "r2"


def test_a_state_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    plan = a_plan(tmp_path, rows=3)
    begin(plan)
    (tmp_path / "loop" / "mayor" / "r1" / "state.json").write_text('{"role": ')
    with pytest.raises(BadInput, match=r"state\.json cannot be read .* Move .*r1 away"):
        begin(plan)


# --- processes ------------------------------------------------------------------------------------------------------

SLEEPER = """
import sys
from pathlib import Path
from scripts.loop.process import run
child = "import subprocess, time; subprocess.run(['sleep', '600'])"
run((sys.executable, "-c", child), Path(sys.argv[1]), "logs/x.log")
"""


@pytest.fixture
def killed_sleeper(tmp_path: Path) -> Iterator[int]:
    """The leader of what a loop that was killed has left running."""
    loop = subprocess.Popen([sys.executable, "-c", SLEEPER, str(tmp_path)], cwd=ROOT)
    mark = wait_for(lambda: (tmp_path / "running").is_file() and (tmp_path / "running").read_text())
    leader = int(mark.split()[0])
    wait_for(lambda: members(leader) >= 2)
    loop.kill()
    loop.wait()
    yield leader
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def wait_for(true: Callable[[], Any], seconds: float = 30) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := true():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def members(group: int) -> int:
    """How many processes of a group run."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    found = [line.split() for line in listed.splitlines()]
    return sum(number == str(group) and not state.startswith("Z") for number, state in found)


def test_what_a_killed_loop_left_running_is_ended_before_the_round_goes_on(killed_sleeper: int, tmp_path: Path) -> None:
    assert members(killed_sleeper) >= 2, "the training outlives the loop"
    assert end_leftover(tmp_path) and members(killed_sleeper) == 0
    assert not end_leftover(tmp_path)


def test_another_process_with_the_same_number_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        mark = process_mark(other.pid)
        assert mark is not None
        number, started, boot = mark.split()
        (tmp_path / "running").write_text(f"{number} {int(started) - 1} {boot}")
        assert not end_leftover(tmp_path) and other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_an_interrupted_command_takes_its_children_with_it(tmp_path: Path) -> None:
    words = [sys.executable, "-c", SLEEPER, str(tmp_path)]
    loop = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.DEVNULL)
    mark = wait_for(lambda: (tmp_path / "running").is_file() and (tmp_path / "running").read_text())
    wait_for(lambda: members(int(mark.split()[0])) >= 2)
    loop.send_signal(signal.SIGINT)
    loop.wait(30)
    assert members(int(mark.split()[0])) == 0


def test_a_command_keeps_its_log_and_is_told_nothing_at_its_input(tmp_path: Path) -> None:
    for _ in range(2):
        done = run(("sh", "-c", "cat; echo out; echo err >&2; exit 3"), tmp_path, "logs/x.log", {"A": "b"})
        assert (done.code, done.log) == (3, "logs/x.log")
    log = (tmp_path / "logs" / "x.log").read_text()
    assert log.count("out\n") == 2 and log.count("err\n") == 2 and log.startswith("$ sh -c")


HOLDER = """
import sys, time
from pathlib import Path
from scripts.loop.lock import held
with held(Path(sys.argv[1]), "a round of crew"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_two_processes_never_hold_the_lock_and_a_dead_one_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / "loop" / "lock"
    assert holder(lock) is None
    other = subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(Busy, match=rf"a round of crew is running \(process {other.pid}, since 2"), held(lock, "me"):
            pass
        assert (holder(lock) or {})["pid"] == other.pid
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        if other.stdout:
            other.stdout.close()
    assert holder(lock) is None
    with held(lock, "me"):
        assert (holder(lock) or {})["pid"] == os.getpid()
    assert holder(lock) is None


# --- the gate -------------------------------------------------------------------------------------------------------


def test_no_command_of_a_round_overrules_the_gate(tmp_path: Path) -> None:
    plan = a_plan(tmp_path, rows=3)
    place = Place(plan, "r1")
    words = [word for _, commands in planned(plan, place) for command in commands for word in command]
    assert "promote" in words and not [word for word in words if "force" in word]
    assert "--force" not in promote(plan, place, 1)
    sources = [file.read_text("utf-8") for file in (ROOT / "scripts" / "loop").glob("*.py")]
    assert not [text for text in sources if '"--force"' in text or "force=" in text]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    return make(tmp_path_factory.mktemp("loop"))


@pytest.fixture
def loop(built: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loop:
    """A mayor of its own for each test, whose training and asking take moments."""
    shutil.copytree(built.root, tmp_path / "output")
    shutil.copy(built.loop, tmp_path / "loop.yml")
    stand_in(monkeypatch)
    return Loop(tmp_path / "output", built.config, tmp_path / "loop.yml")


WORDS = ("tower", "ferry", "well", "granary", "smithy", "chapel", "dyke", "stable")


def teacher(messages: list[dict[str, str]]) -> Any:
    """A stronger model that gives eight examples of whatever kind, one of which is no example."""
    kind = messages[-1]["content"].split("one kind of work: ")[1].split(".")[0]
    given = [
        {"input": f"Which {kind} belongs to the {one}?", "output": f"The {kind} of the {one} does."} for one in WORDS
    ]
    return says(json.dumps([*given[:4], {"input": "nothing else"}]))


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.mark.slow
def test_a_better_adapter_goes_live_and_a_worse_one_stays_registered(loop: Loop) -> None:
    with chat_server(teacher) as (address, _):
        plan = loop.plan(strong=address)
        loop.skill(0.7)
        first = begin(plan)
        assert go(plan, first) == Code.PROMOTED
        assert first.facts["kept"] == 12 and first.facts["faults"] == {"no output and no call": 3}
        assert first.facts["rows"] > first.facts["rows_before"]
        loop.skill(0.1)
        second = begin(plan)
        assert go(plan, second) == Code.NOT_PROMOTED and second.outcome == "refused"
    with Registry.open(loop.root) as registry:
        assert registry.live("mayor") == 1
        assert [version.number for version in registry.versions("mayor")] == [1, 2]
        [done] = registry.history("mayor")
        assert not done.forced and done.why == "round r1 of the loop"
    assert second.facts["weak"] == ["quiet"], "the weakest of what is live"
    assert any(reason.startswith("Beside v1: ") for reason in second.reasons)
    page = (Place(plan, "r2").folder / "report.html").read_text("utf-8")
    assert "mayor@v2 was not promoted; v1 stays live" in page and "Beside v1" in page
    # The examples of the promoted round are still among the sources of the second one, those of a refused one are not.
    config = Place(plan, "r2").config.read_text("utf-8")
    assert "/r1/examples.jsonl" in config and "/r2/examples.jsonl" in config
    assert sorted(promoted(plan)) == ["r1"] and before(plan)[0] == 12
    again = [Example(line["input"], line["output"], "convoy", "m") for line in lines_of(Place(plan, "r1").examples)]
    assert curate(again, plan, *before(plan)) == ([], {Reason.KNOWN: 12}), "what a promoted round learned is known"


@pytest.mark.slow
def test_what_passed_the_base_and_not_what_is_live_is_refused(loop: Loop) -> None:
    with chat_server(teacher) as (address, _):
        plan = loop.plan(strong=address)
        loop.skill(0.8)
        assert go(plan, begin(plan)) == Code.PROMOTED
        loop.skill(0.7)
        loop.set(gate={"live": 0.0})
        plan = loop.plan(strong=address)
        state = begin(plan)
        assert go(plan, state) == Code.NOT_PROMOTED
    assert state.facts["gate"]["passed"] and all(reason.startswith("Beside v1") for reason in state.reasons)


@pytest.mark.slow
def test_an_endpoint_that_is_down_leaves_the_miners_and_then_nothing(loop: Loop) -> None:
    plan = loop.plan(strong="http://127.0.0.1:1/v1#big")
    loop.set(strong={"tries": 1})
    plan = loop.plan(strong="http://127.0.0.1:1/v1#big")
    state = begin(plan)
    assert go(plan, state) == Code.NOT_PROMOTED and state.outcome == "nothing"
    assert "nothing to learn from" in state.reasons[-1] and any("gave no answer" in said for said in state.reasons)
    mined = loop.root / "mined" / "mayor.jsonl"
    mined.parent.mkdir()
    lines = [
        {"input": f"How do I dispatch bead {one}?", "output": f"Sling it to the rig of the {one}."} for one in WORDS
    ]
    mined.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    state = begin(plan)
    assert go(plan, state) == Code.PROMOTED
    assert any("The miners have" in said for step in state.steps for said in step.said)
    kept = [json.loads(line) for line in Place(plan, "r2").examples.read_text("utf-8").splitlines()]
    assert kept and {line["metadata"]["generated_by"] for line in kept} == {"mined"}


@pytest.mark.slow
def test_captures_are_learned_and_those_of_our_own_adapters_within_their_share(loop: Loop) -> None:
    captures = loop.root / "captures" / "2026-11-29.jsonl"
    captures.parent.mkdir()

    def line(number: int, model: str) -> str:
        asked = [{"role": "user", "content": f"What did the {WORDS[number]} of the old town cost, {model}?"}]
        answer = {"role": "assistant", "content": f"The {WORDS[number]} cost {number} coins."}
        told = {"role": "mayor", "model": model, "messages": asked, "answer": answer, "ending": "complete"}
        return json.dumps({"id": f"capture-{model}-{number}", "at": "2026-11-29T10:00:00Z", **told}) + "\n"

    captures.write_text("".join(line(n, m) for n in range(8) for m in ("big", "mayor@v1")), "utf-8")
    loop.set(shares={"own": 0.04})
    plan = loop.plan(strong="none")
    state = begin(plan)
    assert go(plan, state) == Code.PROMOTED
    ledger = json.loads((Place(plan, "r1").datasets / "ledger.json").read_text("utf-8"))
    assert "over the limit of our own answers" in json.dumps(ledger)
    rows = (Place(plan, "r1").datasets).glob("mayor_*.jsonl")
    told = "".join(file.read_text("utf-8") for file in rows)
    assert told.count("old town cost, big") == 8 and 0 < told.count("old town cost, mayor@v1") <= 3
    assert begin(plan).facts["before"]["captures"] == 16


def test_a_failure_of_the_registry_is_a_failed_step_and_no_traceback(tmp_path: Path) -> None:
    plan = a_plan(tmp_path, rows=3)
    (tmp_path / "registry.db").write_text("this is no database, and it is long enough to be read as one" * 20)
    state = begin(plan)
    assert go(plan, state) == Code.FAILED
    assert "deploy.registry ended with exit code 1: error:" in state.steps[-1].said[-1]
    close(plan, state, "Enough.")
    assert load(Place(plan, "r1").folder).outcome == "given up"


def test_an_answer_that_is_no_json_is_a_failed_step(tmp_path: Path) -> None:
    plan = a_plan(tmp_path, rows=3)
    work = Work(plan, Place(plan, "r1"), Round("mayor", "r1", ""))
    assert work.answer(("sh", "-c", "echo 'warning: {odd}'; echo '[1, 2]'"), "x") == [1, 2]
    with pytest.raises(Failed, match="printed no JSON"):
        work.answer(("sh", "-c", "echo nothing"), "x")
