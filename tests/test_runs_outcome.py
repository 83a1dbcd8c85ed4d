"""A run counts only when its trainer's own state says that it trained to the end."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.runs.outcome import Failure, Outcome, ends, judge


def state(steps: int = 20, max_steps: int = 20, losses: list[float] | None = None, **more: Any) -> dict[str, Any]:
    falling = [3.0 - 2.0 * step / max(1, steps) for step in range(steps)]
    history: list[dict[str, float]] = [
        {"loss": loss, "step": step} for step, loss in enumerate(falling if losses is None else losses, start=1)
    ]
    return {
        "global_step": steps,
        "max_steps": max_steps,
        "epoch": 3.0 * steps / max_steps,
        "num_train_epochs": 3,
        "log_history": [*history, {"eval_loss": 1.5, "step": steps}],
        **more,
    }


def run_folder(
    root: Path, at_end: dict[str, Any] | None = None, adapter: bool = True, **checkpoints: dict[str, Any]
) -> Path:
    for name, content in checkpoints.items():
        folder = root / name.replace("_", "-")
        folder.mkdir()
        (folder / "trainer_state.json").write_text(json.dumps(content), encoding="utf-8")
    if at_end is not None:
        (root / "trainer_state.json").write_text(json.dumps(at_end), encoding="utf-8")
    if adapter:
        (root / "adapter_model.safetensors").write_bytes(b"weights")
    return root


def early_stopping(counter: int, patience: int = 3) -> dict[str, Any]:
    callback = {
        "args": {"early_stopping_patience": patience},
        "attributes": {"early_stopping_patience_counter": counter},
    }
    return {"stateful_callbacks": {"EarlyStoppingCallback": callback}}


def test_a_run_that_reached_its_last_step_is_done(tmp_path: Path) -> None:
    outcome = judge(run_folder(tmp_path, checkpoint_20=state()), threshold=5.0)
    assert isinstance(outcome, Outcome)
    assert (outcome.steps, outcome.max_steps, outcome.early_stopped) == (20, 20, False)
    assert outcome.last_loss < outcome.first_loss
    assert outcome.eval_losses == ((20, 1.5),)


FAILURES = {
    Failure.NO_CHECKPOINT: None,
    Failure.ZERO_STEPS: state(steps=0, losses=[]),
    Failure.LOSS_NOT_FINITE: state(losses=[2.0, math.nan] * 10),
    Failure.WATCHDOG_STOP: state(steps=4, losses=[3.0, 7.0, 8.0, 9.0]),
    Failure.INTERRUPTED: state(steps=12, max_steps=20),
    Failure.LOSS_NOT_FALLING: state(losses=[2.0] * 20),
}


@pytest.mark.parametrize(("failure", "at_end"), FAILURES.items())
def test_each_way_to_fail_has_its_name(tmp_path: Path, failure: Failure, at_end: dict[str, Any] | None) -> None:
    assert judge(run_folder(tmp_path, at_end), threshold=5.0) is failure


def test_a_state_without_its_plan_is_named(tmp_path: Path) -> None:
    run_folder(tmp_path, {key: value for key, value in state().items() if key != "num_train_epochs"})
    assert judge(tmp_path, None) is Failure.UNREADABLE_STATE


def test_a_state_cut_off_in_the_middle_is_named(tmp_path: Path) -> None:
    run_folder(tmp_path)
    (tmp_path / "trainer_state.json").write_text('{"global_step": 5', encoding="utf-8")
    assert judge(tmp_path, None) is Failure.UNREADABLE_STATE


def test_finished_steps_without_weights_are_no_adapter(tmp_path: Path) -> None:
    assert judge(run_folder(tmp_path, state(), adapter=False), None) is Failure.NO_ADAPTER


def test_every_failure_is_tested() -> None:
    assert {*FAILURES, Failure.UNREADABLE_STATE, Failure.NO_ADAPTER} == set(Failure)


def test_early_stopping_is_a_legitimate_end_and_a_lower_counter_is_none(tmp_path: Path) -> None:
    stopped = state(steps=12, max_steps=20, **early_stopping(3))
    outcome = judge(run_folder(tmp_path, stopped), 5.0)
    assert isinstance(outcome, Outcome)
    assert outcome.early_stopped
    run_folder(tmp_path, state(steps=12, max_steps=20, **early_stopping(2)))
    assert judge(tmp_path, 5.0) is Failure.INTERRUPTED


def test_checkpoint_100_is_newer_than_checkpoint_20(tmp_path: Path) -> None:
    run_folder(tmp_path, checkpoint_20=state(20, 100), checkpoint_100=state(100, 100))
    assert isinstance(judge(tmp_path, None), Outcome)


def test_the_state_at_the_end_counts_more_than_an_older_checkpoint(tmp_path: Path) -> None:
    stopped = state(steps=22, max_steps=40, losses=[3.0] * 19 + [8.0] * 3)
    assert judge(run_folder(tmp_path, stopped, checkpoint_20=state(20, 40)), 5.0) is Failure.WATCHDOG_STOP


@given(steps=st.integers(1, 200), max_steps=st.integers(1, 200))
def test_a_run_short_of_its_steps_is_never_done(
    tmp_path_factory: pytest.TempPathFactory, steps: int, max_steps: int
) -> None:
    judged = judge(run_folder(tmp_path_factory.mktemp("run"), state(steps, max_steps)), 5.0)
    assert isinstance(judged, Outcome) == (steps >= max_steps - 1 and steps > 1)


@given(losses=st.lists(st.floats(0, 10), min_size=1, max_size=50))
def test_the_ends_of_a_curve_lie_within_it(losses: list[float]) -> None:
    for end in ends(losses):
        assert min(losses) - 1e-9 <= end <= max(losses) + 1e-9
