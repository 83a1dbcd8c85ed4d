"""The page of a run says whether it over-fitted, which checkpoint is the best, and what was trained."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.runs.charts import POINTS, chart, smooth, thinned, ticks
from configs.runs.history import append, begin
from configs.runs.report import main
from tests.chromium import Chromium, needed_chromium
from tests.test_runs_listing import start
from tests.test_runs_outcome import run_folder, state

FALLING = [3.0, 2.0, 1.5, 1.2, 1.1]
RISING = [3.0, 2.0, 1.5, 1.2, 1.4, 1.6, 1.9]


def trained(root: Path, evals: list[float], kept: tuple[int, ...] = (), **more: Any) -> Path:
    """A finished run with an evaluation after every tenth step, the first before them, and some checkpoints."""
    steps = 10 * (len(evals) - 1)
    folder = start(root / "checkpoints" / "mayor", **more)
    losses = [3.0 * math.exp(-step / 30) for step in range(1, steps + 1)]
    run_folder(folder, state(steps, steps, losses))
    begin(folder, 0, max_steps=steps, machine={"gpus": [{"name": "NVIDIA H200", "memory": 150 << 30}], "cpus": 16})
    for step, loss in enumerate([math.nan, *losses]):
        if step:
            rest = {"grad_norm": 0.5, "learning_rate": 1.0e-4, "tokens": 100 * step, "seconds": 0.5, "memory": 1 << 30}
            append(folder, "step", step, loss=loss, **rest)
        if step % 10 == 0:
            append(folder, "eval", step, eval_loss=evals[step // 10])
    append(folder, "end", steps)
    for step in kept:
        checkpoint = folder / f"checkpoint-{step}"
        checkpoint.mkdir()
        (checkpoint / "adapter_model.safetensors").write_bytes(b"weights" if step == kept[0] else b"others.")
    return folder


def page_of(root: Path, folder: Path) -> str:
    assert main(["mayor", "--root", str(root)]) == 0
    return (folder / "report.html").read_text(encoding="utf-8")


def test_over_fitting_is_the_first_thing_that_the_page_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = page_of(tmp_path, trained(tmp_path, RISING, kept=(30, 60)))
    said = "since step 30 the eval loss rose from 1.200 to 1.750 while the training loss fell from "
    assert f"Over-fitting: {said}" in capsys.readouterr().out
    assert '<div class="verdict bad">' in page and said.capitalize() in page
    assert "Best checkpoint: step 30, eval loss 1.2000; kept as checkpoint-30, and the adapter is this one." in page


def test_a_run_that_went_well_says_so(tmp_path: Path) -> None:
    page = page_of(tmp_path, trained(tmp_path, FALLING))
    assert '<div class="verdict good">' in page and "No sign of over-fitting" in page
    assert "Best checkpoint: step 40, eval loss 1.1000; it was not kept (save_steps, save_total_limit)." in page
    for told in ("NVIDIA H200, 150.0 GiB", "200, padding included", "1.0 GiB", "40 of 40"):
        assert told in page
    for title in ("Loss", "Learning rate", "Gradient norm", "Tokens a second", "Memory"):
        assert f"<h3>{title}</h3>" in page


@pytest.mark.parametrize(
    ("evals", "kept", "said"),
    [
        ([1.0, 1.2, 1.3], (), "Best: the base without the adapter (eval loss 1.0000). Training made it worse."),
        (FALLING, (30, 40), "Best checkpoint: step 40, eval loss 1.1000; kept as checkpoint-40."),
    ],
)
def test_the_best_checkpoint_is_told_as_it_is(
    tmp_path: Path, evals: list[float], kept: tuple[int, ...], said: str
) -> None:
    assert said in page_of(tmp_path, trained(tmp_path, evals, kept))


def test_the_recipe_the_differences_and_the_rows_are_on_the_page(tmp_path: Path) -> None:
    rows = {
        "path": "mayor_train.jsonl",
        "rows": 1234,
        "tokens": 5,
        "trained_tokens": 3,
        "longest": 5,
        "sha256": "ab" * 32,
    }
    manifest = {"path": "datasets/manifest.json", "sha256": "cd" * 32, "sample": True}
    differs = [["lora_r", 64, 16]]
    folder = trained(tmp_path, FALLING, data=[rows], differences=differs, manifest=manifest)
    page = page_of(tmp_path, folder)
    assert "<td>1,234</td>" in page and "abababababababab" in page and "the invented sample town" in page
    assert '<th scope="row">lora_r</th><td>64</td><td>16</td>' in page
    assert "loss_watchdog_threshold: 5.0" in page


def test_what_a_recipe_says_is_only_ever_text(tmp_path: Path) -> None:
    folder = trained(tmp_path, FALLING, differences=[["x", None, "<script>alert(1)</script>"]])
    page = page_of(tmp_path, folder)
    assert "<script" not in page and "&lt;script&gt;" in page


def test_an_adapter_alone_has_a_page_with_its_losses(tmp_path: Path) -> None:
    outcome = {"steps": 2, "max_steps": 2, "first_loss": 2.0, "last_loss": 1.0, "eval_losses": [[2, 1.5]]}
    told = {"base_model": "b", "config": "lora_r: 8\n", "data": [], "outcome": outcome, "losses": [[1, 2.0], [2, 1.0]]}
    adapter = tmp_path / "adapters" / "mayor"
    adapter.mkdir(parents=True)
    (adapter / "run.json").write_text(json.dumps({**told, "started_at": "2026"}), encoding="utf-8")
    page = page_of(tmp_path, adapter)
    assert "Only losses are on record" in page and "Best checkpoint: step 2, eval loss 1.5000." in page


def test_what_has_no_page_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mayor", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"report: there is no run mayor in {tmp_path}.")
    start(tmp_path / "checkpoints" / "mayor")
    assert main(["mayor", "--root", str(tmp_path)]) == 1
    assert "no step with a finite loss is on record." in capsys.readouterr().err
    start(tmp_path / "checkpoints" / "rates", sweep="x: [1]")
    assert main(["rates", "--root", str(tmp_path)]) == 1
    assert "is a sweep. Name one of its runs, such as rates/sweep0001." in capsys.readouterr().err


@given(low=st.floats(-1e6, 1e6), span=st.floats(0, 1e6))
def test_levels_are_few_round_and_hold_both_ends(low: float, span: float) -> None:
    levels = ticks(low, low + span)
    slack = 1e-6 * (1 + abs(low) + span)
    assert 2 <= len(levels) <= 7
    assert levels[0] <= low + slack and levels[-1] >= low + span - slack
    assert levels == sorted(set(levels))


@given(values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=3000))
def test_a_drawn_curve_stays_inside_its_values(values: list[float]) -> None:
    curve = list(enumerate(values))
    for drawn in (thinned(curve), smooth(curve)):
        assert all(min(values) - 1e-6 <= value <= max(values) + 1e-6 for _, value in drawn)
    assert len(thinned(curve)) <= POINTS


def test_a_lower_loss_is_drawn_lower_and_the_best_is_ringed() -> None:
    made = chart("Loss", "", [(1, 4.0), (2, 1.0)], str, marked=[(1, 3.0), (2, 2.0)], best=2)
    assert [dot.name for dot in made.dots] == ["eval", "best"]
    assert made.dots[0].y < made.dots[1].y and made.dots[0].x < made.dots[1].x
    assert "4.0 at step 1, 1.0 at step 2" in made.told


@pytest.mark.slow
def test_a_browser_shows_the_page_wide_narrow_and_dark_without_complaint(tmp_path: Path) -> None:
    folder = trained(tmp_path, RISING, kept=(30,))
    page_of(tmp_path, folder)
    with Chromium(needed_chromium(), tmp_path / "profile") as browser:
        for width, dark in ((1200, False), (390, True)):
            browser.resize(width, 900, dark)
            browser.open(f"file://{folder / 'report.html'}")
            assert browser.complaints == []
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            # The policy lets the embedded style through: a chart has the height that it gives.
            assert browser.evaluate("document.querySelector('.wide .chart > svg').clientHeight") >= 200
