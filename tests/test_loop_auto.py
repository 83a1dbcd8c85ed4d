"""Rounds on thresholds: when one is due, one process at a time, and what becomes of it when it is ended or killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.registry import Registry
from eval.results import read_results
from scripts.loop import material
from scripts.loop.__main__ import main
from scripts.loop.auto import Auto
from scripts.loop.control import shown, status
from scripts.loop.settings import Auto as Thresholds
from scripts.loop.state import Round, rounds
from scripts.loop.thresholds import pause, why_due, why_not
from tests.chat_server import chat_server, says
from tests.conftest import ROOT
from tests.eval_results import every, none, save
from tests.loop_town import change
from tests.registry_town import make_town
from tests.test_loop_curate import a_plan, write

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)


def a_round(hours_ago: float, outcome: Any = "promoted") -> Round:
    at = (AT - timedelta(hours=hours_ago)).isoformat()
    return Round("mayor", "r4", at, outcome=outcome, finished_at=at if outcome else "")


# --- thresholds -----------------------------------------------------------------------------------------------------

DUE = [
    # last round, new examples, a stronger model, thresholds, the reason
    (None, 0, False, Thresholds(50, 24), None),
    (None, 1, False, Thresholds(50, 24), "there was no round before"),
    (None, 0, True, Thresholds(50, 24), "there was no round before"),
    (a_round(1), 49, True, Thresholds(50, 24), None),
    (a_round(1), 50, False, Thresholds(50, 24), "50 captures are new, 50 are enough"),
    (a_round(23.9), 1, True, Thresholds(50, 24), None),
    (a_round(24), 1, False, Thresholds(50, 24), "24.0 hours since round r4, 24 are enough"),
    (a_round(240), 0, False, Thresholds(50, 24), None),
    (a_round(240), 0, True, Thresholds(50, 24), "240.0 hours since round r4, 24 are enough"),
    (a_round(240), 999, True, Thresholds(0, 0), None),
    (a_round(240), 999, False, Thresholds(0, 999), None),
    (a_round(240, "refused"), 60, False, Thresholds(50, 0), "60 captures are new, 50 are enough"),
    (a_round(0.1, ""), 0, False, Thresholds(0, 0), "round r4 is unfinished"),
]


@pytest.mark.parametrize(("last", "count", "strong", "auto", "reason"), DUE)
def test_a_round_is_due_for_its_reason(last: Any, count: int, strong: bool, auto: Any, reason: str | None) -> None:
    new = {"captures": count} if count else {}
    assert why_due(last, new, auto, AT, strong) == reason
    if reason is None:
        assert why_not(last, new, auto, AT)


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0, 100), st.booleans())
def test_more_that_is_new_never_makes_a_round_less_due(count: int, more: int, hours: float, strong: bool) -> None:
    auto, last = Thresholds(50, 24), a_round(hours)
    due = why_due(last, {"mined": count} if count else {}, auto, AT, strong)
    assert due is None or why_due(last, {"mined": count + more} if count + more else {}, auto, AT, strong)


@given(st.integers(1, 500), st.floats(1, 120))
def test_pauses_after_failures_grow_to_an_hour(failures: int, check: float) -> None:
    assert check < pause(failures, check) <= 3600
    assert pause(failures, check) <= pause(failures + 1, check)


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)),
)
def test_what_is_new_is_what_is_more(before: dict[str, int], now: dict[str, int]) -> None:
    new = material.new_since(before, now)
    assert all(count > 0 for count in new.values())
    assert all(before.get(kind, 0) + count == now[kind] for kind, count in new.items())
    assert all(now[kind] <= before.get(kind, 0) for kind in now if kind not in new)


def test_everything_that_came_in_is_counted(tmp_path: Path) -> None:
    config = tmp_path / "data.yml"
    curated, vault = tmp_path / "curation.db", tmp_path / "vault"
    known = yaml.safe_load(Path("configs/data.yml").read_text("utf-8"))
    sources = [{"kind": "vault", "path": str(vault)}, {"kind": "sessions", "path": "{sessions}"}]
    config.write_text(yaml.safe_dump({**known, "sources": sources, "curation": {"decisions": str(curated)}}), "utf-8")
    import dataclasses

    plan = a_plan(tmp_path, rows=3)
    asked = dataclasses.replace(plan.asked, sessions=tmp_path / "projects")
    plan = dataclasses.replace(plan, config=config, asked=asked)
    nothing = material.totals(plan)
    assert set(nothing.values()) == {0}
    write(tmp_path / "captures" / "a" / "1.jsonl", {"a": 1}, {"a": 2})
    write(tmp_path / "comparisons" / "1.jsonl", {"a": 1})
    write(tmp_path / "mined" / "mayor.jsonl", {"a": 1}, {"a": 2}, {"a": 3})
    write(tmp_path / "mined" / "crew.jsonl", {"a": 1})
    write(vault / "deep" / "note.md", "Looking back.")
    write(tmp_path / "projects" / "p" / "s.jsonl", "{}")
    with sqlite3.connect(curated) as database:
        database.execute("CREATE TABLE examples (key TEXT, role TEXT)")
        database.execute("CREATE TABLE decisions (key TEXT)")
        database.executemany("INSERT INTO examples VALUES (?, ?)", [("a", "mayor"), ("b", "crew")])
        database.executemany("INSERT INTO decisions VALUES (?)", [("a",), ("a",), ("b",)])
    database.close()
    counted = {"captures": 2, "comparisons": 1, "mined": 3, "decisions": 2, "transcripts": 2}
    assert material.totals(plan) == counted
    assert (
        material.told(counted) == "2 captures, 1 comparison, 3 mined examples, 2 decisions and 2 transcripts or notes"
    )
    write(tmp_path / "captures" / "a" / "1.jsonl", {"a": 1}, {"a": 2}, {"a": 3})
    assert material.totals(plan)["captures"] == 3, "a file that grew is read again"


def test_what_the_datasets_hold_already_is_not_new_for_a_first_round(tmp_path: Path) -> None:
    import dataclasses

    plan = a_plan(tmp_path, rows=3)
    plan = dataclasses.replace(plan, asked=dataclasses.replace(plan.asked, sessions=tmp_path / "projects"))
    old, new = (write(tmp_path / "projects" / name, "{}") for name in ("old.jsonl", "new.jsonl"))
    manifest = write(plan.datasets / "manifest.json", {})
    os.utime(old, (1, 1))
    os.utime(new, (manifest.stat().st_mtime + 5,) * 2)
    assert material.new_since(material.before_first(plan), material.totals(plan)) == {"transcripts": 1}


# --- the process ----------------------------------------------------------------------------------------------------


def named(results: Path) -> Path:
    """The families have the names of some that the mayor's shipped scenarios have, so that the loop knows them."""
    run = read_results(results)
    episodes = tuple(map(change, run.episodes))
    return save(msgspec.structs.replace(run, episodes=episodes), results)


class Place:
    """A mayor whose rounds are short: nothing is live, and results of the base are there."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        self.root, self.loop = folder / "output", folder / "loop.yml"
        town = make_town(self.root, ("mayor",))
        version = town.registered("mayor")
        results = [named(town.results(None, none)), named(town.results(version.folder, every))]
        with Registry.open(self.root) as registry:
            registry.attach_evaluation("mayor", version.number, *results)
        known = yaml.safe_load(Path("configs/loop.yml").read_text("utf-8"))
        known |= {"gateway": "", "auto": {"check_seconds": 0.2, "hours": 1e-9, "new_examples": 0, "give_up_after": 3}}
        for name, values in sections.items():
            known[name] = {**known[name], **values} if isinstance(values, dict) else values
        self.loop.write_text(yaml.safe_dump(known), "utf-8")

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "scripts.loop", "auto", *words, "--root", str(self.root)],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=90,
        )  # fmt: skip

    def start(self, strong: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.command("start", "mayor", "--loop", str(self.loop), "--strong", strong, *words)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.command("status", "--json").stdout)
        return found

    def rounds(self) -> list[Round]:
        return rounds(self.root, "mayor")

    def end(self) -> None:
        with_pid = self.status()
        if with_pid["running"]:
            self.command("stop", "--now")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, strong={"tries": 1, "seconds": 30}, examples={"families": 1, "each": 1})
    yield made
    made.end()


def wait_for(true: Callable[[], Any], seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := true():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen")


DOWN = "http://127.0.0.1:1/v1#big"


@pytest.mark.slow
def test_it_runs_apart_makes_rounds_and_says_how_it_is(place: Place) -> None:
    assert "auto does not run" in place.command("status").stdout
    assert place.command("stop").returncode == 2
    started = place.start(DOWN)
    assert started.returncode == 0 and "auto runs as process" in started.stdout, started.stderr
    wait_for(lambda: [one.outcome for one in place.rounds()][:2] == ["nothing", "nothing"])
    told = place.status()
    assert told["running"] and os.getsid(told["pid"]) == told["pid"] != os.getsid(0)
    [role] = told["roles"]
    assert role["role"] == "mayor" and role["last"]["round"].startswith("r")
    again = place.start(DOWN)
    assert again.returncode == 2 and f"process {told['pid']}" in again.stderr and "auto stop" in again.stderr
    asked = place.command("stop", "--json")
    assert asked.returncode == 0 and "after the running step" in json.loads(asked.stdout)["said"]
    wait_for(lambda: not place.status()["running"])
    log = (place.root / "loop" / "auto" / "auto.log").read_text("utf-8")
    assert "auto ends, as it was asked to" in log and "hours since round r1" in log
    count = len(place.rounds())
    time.sleep(0.6)
    assert len(place.rounds()) == count, "nothing goes on after the end"


@pytest.mark.slow
def test_killed_in_a_step_it_goes_on_with_the_same_round(place: Place) -> None:
    waits: list[float] = [600.0]

    def slow(_: Any) -> Any:
        time.sleep(waits[0])
        return says("no list at all")

    with chat_server(slow) as (address, asked):
        place.start(address)
        wait_for(lambda: asked)
        [unfinished] = place.rounds()
        assert [step.name for step in unfinished.steps] == ["look"]
        os.kill(place.status()["pid"], signal.SIGKILL)
        wait_for(lambda: not place.status()["running"])
        assert place.status()["roles"][0]["last"]["outcome"] == "unfinished"
        waits[0] = 0.0
        assert place.start(address).returncode == 0
        wait_for(lambda: place.rounds()[0].outcome)
        first = place.rounds()[0]
        assert [step.name for step in first.steps] == ["look", "examples"] and first.outcome == "nothing"
        assert "answer is no JSON list" in json.dumps(first.facts)
        log = (place.root / "loop" / "auto" / "auto.log").read_text("utf-8")
        assert "round r1 is unfinished" in log


@pytest.mark.slow
def test_stop_now_ends_the_step_and_stop_waits_for_it(place: Place) -> None:
    waits = [600.0]

    def slow(_: Any) -> Any:
        time.sleep(waits[0])
        return says("[]")

    with chat_server(slow) as (address, asked):
        place.start(address)
        wait_for(lambda: asked)
        done = place.command("stop", "--now")
        assert done.returncode == 0 and "goes on when it is started again" in done.stdout
        assert not place.status()["running"] and not place.rounds()[0].outcome
        waits[0] = 2.0
        place.start(address)
        wait_for(lambda: len(asked) > 1)
        assert place.command("stop").returncode == 0
        assert place.status()["stopping"], "it still waits for the answer"
        wait_for(lambda: not place.status()["running"])
        assert place.rounds()[0].done("examples") or place.rounds()[0].outcome == "nothing"


@pytest.mark.slow
def test_a_round_that_fails_again_and_again_is_tried_later_and_given_up(place: Place) -> None:
    (place.root / "registry.db").write_bytes(b"no database " * 500)
    place.start(DOWN)
    wait_for(lambda: [one.outcome for one in place.rounds()][:1] == ["given up"], 90)
    first = place.rounds()[0]
    assert [step.done for step in first.steps] == [False] * 3 and first.reasons == ("It failed 3 times.",)
    starts = [datetime.fromisoformat(step.started_at) for step in first.steps]
    assert starts == sorted(starts)
    log = (place.root / "loop" / "auto" / "auto.log").read_text("utf-8")
    assert "failed 1 times in a row; again at" in log and "round r1 was given up" in log


def test_a_config_that_breaks_later_is_a_failure_and_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path)
    monkeypatch.chdir(ROOT)
    from scripts.loop.plan import Asked

    auto = Auto([Asked("mayor", place.root)], place.loop)
    place.loop.write_text("sharez: {}\n", "utf-8")
    (place.root / "loop" / "auto").mkdir(parents=True)
    auto._check_all()
    told = status(place.root)
    assert "failed 1 times in a row" in shown(told) and not told["running"]


BAD = [
    (["auto", "start", "nobody"], "has no role nobody"),
    (["auto", "start", "mayor", "crew", "--config", "configs/data.yml"], "--config is of one role"),
    (["auto", "start", "mayor", "--strong", "big"], "command line: strong.endpoint is no URL#MODEL"),
    (["auto", "stop"], "auto does not run"),
    (["iterate", "mayor", "--margin", "5"], "gate.margin must be in 0..1 (1 excluded), not 5.0."),
    (["iterate", "mayor", "--samples", "0"], "evaluation.samples must be more than 0, not 0."),
    (["iterate", "mayor", "--scenarios", "nowhere"], "nowhere/mayor.jsonl does not exist"),
    (["iterate", "mayor", "--loop", "nowhere.yml"], "no such file"),
    (["iterate", "Mayor"], "is no name of a role"),
    (["iterate", "legal", "--config", "configs/data.yml"], "has no role legal"),
]


@pytest.mark.parametrize(("words", "said"), BAD)
def test_bad_input_is_a_sentence_and_exit_code_2(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_plan(tmp_path, rows=3)
    monkeypatch.chdir(ROOT)
    assert main([*words, "--root", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert said in told and told.startswith("error: ") and "Traceback" not in told
