"""The history of a run holds every step once, whatever killed it and however often it resumed."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from configs.runs import history
from configs.runs.history import (
    HISTORY_FILE,
    append,
    begin,
    chosen,
    evals_of,
    peak_memory,
    rates,
    read_history,
    steps_of,
    times_of,
    tokens_per_second,
)
from configs.runs.outcome import Outcome
from configs.runs.record import measured, record_text


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(history, "time", made)
    return made


def work(folder: Path, clock: Clock, after: int, until: int) -> None:
    """One sitting: steps of 2 seconds, 100 tokens each, an evaluation every fifth."""
    begin(folder, after, max_steps=20, process="1 2 boot", machine={"gpus": [], "cpus": 2})
    for step in range(after + 1, until + 1):
        clock.now += 2
        append(folder, "step", step, loss=3.0 - step / 10, seconds=2.0, tokens=100.0 * step, memory=step)
        if step % 5 == 0:
            append(folder, "eval", step, eval_loss=2.0 - step / 20, memory=50)


@given(stops=st.lists(st.tuples(st.integers(0, 15), st.integers(0, 4)), max_size=4))
@example(stops=[(1, 0), (1, 0), (0, 2)])
def test_every_step_stands_there_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, stops: list[tuple[int, int]]
) -> None:
    """Each sitting gets to some step, is killed, and the next one starts at or before it."""
    folder, clock, at = tmp_path_factory.mktemp("run"), Clock(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "time", clock)
        reached = 0
        for steps, back in stops:
            at = max(0, reached - back)
            reached = at + steps
            work(folder, clock, at, reached)
        work(folder, clock, max(0, reached - 1), 20 if reached < 20 else reached)
    entries = read_history(folder)
    last = max(20, reached)
    assert [step.step for step in steps_of(entries)] == list(range(1, last + 1))
    assert [entry["step"] for entry in entries if entry["kind"] == "step"] == list(range(1, last + 1))
    times = times_of(entries)
    assert times is not None
    assert times.resumed == len(stops)
    # Every step took 2 seconds, also those that were done again.
    assert times.seconds == pytest.approx(2 * (last + times.lost_steps))


def test_a_run_that_goes_on_from_a_checkpoint_says_what_was_lost(tmp_path: Path, clock: Clock) -> None:
    work(tmp_path, clock, 0, 8)
    clock.now += 3600
    work(tmp_path, clock, 5, 10)
    told = measured(read_history(tmp_path))
    assert told["times"] == {"seconds": 26.0, "resumed": 1, "lost_steps": 3}
    assert told["losses"] == [(step, 3.0 - step / 10) for step in range(1, 11)]
    assert told["tokens_per_second"] == 50.0
    assert told["peak_memory"] == 50
    assert evals_of(read_history(tmp_path)) == ((5, 1.75), (10, 1.5))


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path, clock: Clock) -> None:
    work(tmp_path, clock, 0, 3)
    with (tmp_path / HISTORY_FILE).open("a", encoding="utf-8") as lines:
        lines.write('{"kind": "step", "step": 4, "lo')
    assert [step.step for step in steps_of(read_history(tmp_path))] == [1, 2, 3]
    begin(tmp_path, 3)
    append(tmp_path, "step", 4, loss=1.0)
    assert [step.step for step in steps_of(read_history(tmp_path))] == [1, 2, 3, 4]


def test_tokens_a_second_are_those_of_each_step(tmp_path: Path, clock: Clock) -> None:
    work(tmp_path, clock, 0, 3)
    assert rates(steps_of(read_history(tmp_path))) == [(1, 50.0), (2, 50.0), (3, 50.0)]


def test_what_the_trainer_did_not_tell_is_not_made_up(tmp_path: Path) -> None:
    assert read_history(tmp_path) == [] and times_of([]) is None and measured([]) == {}
    begin(tmp_path, 0)
    append(tmp_path, "step", 1, loss=2.0)
    entries = read_history(tmp_path)
    assert rates(steps_of(entries)) == [] and tokens_per_second(steps_of(entries)) is None
    assert peak_memory(entries) is None


def test_of_a_log_line_the_numbers_of_the_curves_are_kept() -> None:
    logs = {"loss": 0.5, "learning_rate": 0.0, "ppl": 1.6, "tokens/total": 640, "epoch": 0.5, "grad_norm": None}
    assert chosen(logs) == {"loss": 0.5, "learning_rate": 0.0, "tokens": 640.0}


def test_a_record_is_json_with_a_line_for_each_key() -> None:
    record = {"losses": [(1, 2.0), (2, 1.0)], "seed": 42, "text": "a\nb"}
    text = record_text(record)
    assert len(text.splitlines()) == 5
    assert json.loads(text) == {"losses": [[1, 2.0], [2, 1.0]], "seed": 42, "text": "a\nb"}


def test_the_record_has_what_the_model_card_reads() -> None:
    """deploy/evidence.py reads these of `outcome`."""
    assert {"steps", "epochs", "first_loss", "last_loss", "eval_losses", "early_stopped"} <= set(
        Outcome.__dataclass_fields__
    )
