"""The page of a round: it tells every outcome, needs nothing but itself, and takes nobody's words for markup."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.loop.page import HEADLINES, build_page, write_page
from scripts.loop.state import Command, Round, Step
from tests.chromium import Chromium, needed_chromium

HOSTILE = "</script><img src=x onerror='window.hacked = 1'>{{ 7 * 7 }}<b>bold</b>"
FACTS: dict[str, Any] = {
    "live": 3,
    "name": "mayor@v4",
    "families": [{"name": HOSTILE, "score": 0.25, "items": 4}, {"name": "mail", "score": 1.0, "items": 3}],
    "weak": [HOSTILE],
    "kept": 1,
    "kept_by_family": {HOSTILE: 1},
    "faults": {"answer is no JSON list": 2},
    "refused": {"answer too short": 5},
    "rates": {
        "base": {"value": 0.2, "low": 0.1, "high": 0.4},
        "adapter": {"value": 0.7, "low": 0.5, "high": 0.8},
        "live": {"value": 0.6, "low": 0.4, "high": 0.7},
    },
}


def a_round(folder: Path, outcome: Any = "refused", **facts: Any) -> Round:
    line = {"input": HOSTILE, "output": HOSTILE, "metadata": {"family": HOSTILE}}
    call = {"function": {"name": "Bash", "arguments": {"command": HOSTILE}}}
    chat = {
        "messages": [{"role": "user", "content": "Go."}, {"role": "assistant", "content": "", "tool_calls": [call]}],
        "metadata": {"family": "mail"},
    }
    (folder / "examples.jsonl").write_text(json.dumps(line) + "\n", "utf-8")
    (folder / "chats.jsonl").write_text(json.dumps(chat) + "\n", "utf-8")
    ran = Command(("python", "-m", "data.pipeline", HOSTILE), 0, 2.5, "logs/build.log")
    steps = [
        Step("look", True, "2026-11-29T20:00:00Z", 1.5, ("It looked.",)),
        Step("build", True, "", 2.5, (HOSTILE,), (ran,)),
    ]
    done = {"outcome": outcome, "reasons": (HOSTILE,), "finished_at": "2026-11-29T21:00:00Z"} if outcome else {}
    return Round("mayor", "r4", "2026-11-29T20:00:00Z", steps=steps, facts={**FACTS, **facts}, **done)


@pytest.mark.parametrize("outcome", HEADLINES)
def test_every_outcome_has_its_headline(outcome: str, tmp_path: Path) -> None:
    page = build_page(tmp_path, a_round(tmp_path, outcome))
    said = HEADLINES[outcome][1].format(name="mayor@v4", live="v3 stays live")
    assert f"<b>{said}</b>" in page
    first = build_page(tmp_path, a_round(tmp_path, outcome, live=None))
    assert "v3 stays live" not in first


def test_a_page_is_written_from_the_first_step_on(tmp_path: Path) -> None:
    write_page(tmp_path, Round("mayor", "r1", "2026-11-29T20:00:00Z"))
    assert "The round is not finished" in (tmp_path / "report.html").read_text("utf-8")
    failed = Round("mayor", "r1", "", steps=[Step("train", False, "", 1.0, ("It failed: the disk is full",))])
    page = build_page(tmp_path, failed)
    assert "Step train failed" in page and "<p>It failed: the disk is full</p>" in page


def test_nobodys_words_are_markup_and_nothing_is_fetched(tmp_path: Path) -> None:
    page = build_page(tmp_path, a_round(tmp_path))
    assert "<img" not in page and "<script" not in page and "&lt;img src=x" in page and "{{ 7 * 7 }}" in page
    assert not re.findall(r"(?:src|href)=[\"'](?!x)", page) and "http" not in page.replace("http-equiv", "")


def test_it_tells_weak_families_rates_reasons_and_commands(tmp_path: Path) -> None:
    page = build_page(tmp_path, a_round(tmp_path))
    for said in (
        "25 %",
        "70 % [50 %, 80 %]",
        "what was live",
        "answer too short",
        "answer is no JSON list",
        "exit code 0",
    ):
        assert said in page
    assert page.index("&lt;/script&gt;&lt;img", page.index("Where it was weak")) < page.index(">mail<"), "weakest first"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(needed_chromium(), tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 420])
def test_it_fits_a_window_and_opens_its_commands(browser: Chromium, tmp_path: Path, width: int) -> None:
    write_page(tmp_path, a_round(tmp_path))
    browser.resize(width, 900)
    browser.open((tmp_path / "report.html").as_uri())
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.evaluate("window.hacked === undefined && document.querySelectorAll('img').length === 0")
    browser.evaluate("document.querySelector('summary').click()")
    assert browser.evaluate(
        "document.querySelector('details').open && document.querySelector('details pre').offsetHeight > 0"
    )
    told = browser.evaluate("getComputedStyle(document.querySelector('.verdict')).borderLeftWidth")
    assert told == "6px", "the page's own style is let in"
