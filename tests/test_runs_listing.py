"""The list of runs: every training of an output tree with its state, the newest first."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from configs.runs.history import append, begin
from configs.runs.listing import all_runs, duration, main
from configs.runs.machine import process_mark
from configs.runs.record import START_FILE
from tests.test_runs_outcome import early_stopping, run_folder, state

CONFIG = "base_model: some/base\nloss_watchdog_threshold: 5.0\n"


def start(folder: Path, started: str = "2026-11-29T10:00:00+00:00", **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    noted = {"base_model": "some/base", "config": CONFIG, "data": [], "started_at": started, **more}
    (folder / START_FILE).write_text(json.dumps(noted), encoding="utf-8")
    return folder


def states(root: Path) -> dict[str, str]:
    return {run.name: run.state for run in all_runs(root)}


def trains(folder: Path, process: str | None, steps: int = 3) -> None:
    begin(folder, 0, max_steps=20, process=process)
    for step in range(1, steps + 1):
        append(folder, "step", step, loss=3.0 - step)


def test_every_state_of_a_run_is_told(tmp_path: Path) -> None:
    root = tmp_path / "checkpoints"
    mine, nobody = process_mark(os.getpid()), "1 1 another-boot"
    run_folder(start(root / "done"), state())
    run_folder(start(root / "early"), state(steps=12, max_steps=20, **early_stopping(3)))
    run_folder(start(root / "cut"), adapter=False, checkpoint_12=state(steps=12, max_steps=20))
    run_folder(start(root / "watchdog"), state(steps=4, losses=[3.0, 7.0, 8.0, 9.0]))
    trains(start(root / "running"), mine)
    trains(start(root / "killed"), nobody)
    append(start(root / "loading"), "prepared", 0, process=mine)
    append(start(root / "crashed"), "prepared", 0, process=nobody)
    assert states(tmp_path) == {
        "done": "done",
        "early": "stopped early",
        "cut": "interrupted",
        "watchdog": "failed: watchdog stop",
        "running": "running",
        "killed": "interrupted",
        "loading": "starting",
        "crashed": "failed: no checkpoint",
    }


def test_a_run_whose_script_lives_on_after_its_end_is_done(tmp_path: Path) -> None:
    folder = start(tmp_path / "checkpoints" / "mayor")
    trains(folder, process_mark(os.getpid()))
    append(folder, "end", 20)
    run_folder(folder, state())
    assert states(tmp_path) == {"mayor": "done"}


def test_the_runs_of_a_sweep_are_told_and_the_sweep_itself_is_none(tmp_path: Path) -> None:
    sweep = start(tmp_path / "checkpoints" / "mayor-rates", sweep="learning_rate: [0.1]")
    append(sweep, "prepared", 0, process=process_mark(os.getpid()))
    run_folder(start(sweep / "sweep0001"), state())
    start(sweep / "sweep0002")
    assert states(tmp_path) == {"mayor-rates/sweep0001": "done", "mayor-rates/sweep0002": "waiting"}


def test_the_newest_run_comes_first_also_one_that_was_moved_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "checkpoints"
    run_folder(start(root / "mayor.old1", "2026-11-01T10:00:00+00:00"), state(losses=[2.0] * 20))
    folder = run_folder(start(root / "mayor", "2026-11-02T10:00:00+00:00"), state())
    begin(folder, 0)
    (root / "notes").mkdir()
    assert main(["--root", str(tmp_path)]) == 0
    head, newest, oldest = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "run"
    assert " ".join(newest.split()) == (
        "mayor done 20 of 20 2.950 -> 1.150 1.500 at step 20 2026-11-02 10:00 0 s some/base"
    )
    assert oldest.startswith("mayor.old1  failed: loss did not fall")


def test_an_adapter_whose_checkpoints_are_gone_is_still_a_run(tmp_path: Path) -> None:
    outcome = {"steps": 9, "max_steps": 9, "first_loss": 2.0, "last_loss": 1.0, "eval_losses": [[9, 1.5], [6, 1.4]]}
    run = {"base_model": "some/base", "config": CONFIG, "started_at": "2026", "outcome": outcome}
    adapter = tmp_path / "adapters" / "crew"
    adapter.mkdir(parents=True)
    (adapter / "run.json").write_text(json.dumps(run), encoding="utf-8")
    (found,) = all_runs(tmp_path)
    assert (found.state, found.steps, found.best) == ("done, adapter only", "9 of 9", "1.400 at step 6")
    run_folder(start(tmp_path / "checkpoints" / "crew"), state())
    assert states(tmp_path) == {"crew": "done"}


def test_without_runs_the_command_that_makes_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path)]) == 0
    assert capsys.readouterr().err == f"no runs in {tmp_path} yet: make train ROLE=mayor\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.4, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_time_is_told_as_a_person_would(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
