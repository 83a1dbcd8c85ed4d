"""The page of curation in a real browser, with the keyboard alone: no click, no mouse."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.curate.change import Change
from data.curate.store import Store
from tests.chromium import Chromium, needed_chromium
from tests.curated import dataset, many, window
from tests.small_build import ROOT
from tests.test_serve_status_browser import FAINT

pytestmark = pytest.mark.slow

SHOWN = "document.querySelector('.facts [title=row]')?.innerText"


class Served:
    """The command in a process of its own, on a free port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rows = ["--rows", folder / "rows", "--database", folder / "curation.db", "--author", "ann", "--port", 0]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "data.curate", *map(str, rows)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found
        self.url = found[0]

    def store(self) -> Store:
        return Store(self.folder / "curation.db")

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(needed_chromium(), tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    said = many(1)[0].messages[1].text
    alike = [window("two:0.0#0", said), window("three:0.0#0", said.replace("river", "ocean", 1))]
    dataset(tmp_path / "rows", [window("one:0.0#0", "Look <b>here</b>.", replies=4), *alike, *many(20, seed=9)])
    opened = Served(tmp_path)
    yield opened
    opened.end()


def press(browser: Chromium, key: str, then: str, text: str | None = None) -> None:
    """Press a key, and wait until the page is as it should be then."""
    browser.press(key, key if text is None else text)
    browser.wait(f"Boolean({then}) && !document.querySelector('.htmx-request')")


def shows(row: str) -> str:
    return f"{SHOWN} === '{row}'"


def opened(browser: Chromium, served: Served) -> None:
    browser.resize(1280, 900)
    browser._call("Page.navigate", url=served.url)
    browser.wait(f"document.readyState === 'complete' && window.htmx && {shows('one:0.0#0')}")


def test_a_whole_sitting_by_keyboard(browser: Chromium, served: Served) -> None:
    opened(browser, served)
    browser.requests.clear()
    press(browser, "a", f"{shows('two:0.0#0')} && document.querySelector('.said').innerText.includes('approved')")
    press(browser, "w", "document.activeElement.name === 'why'")
    browser.type("too dull")
    press(browser, "Enter", shows("three:0.0#0"), "\r")
    press(browser, "u", f"{shows('two:0.0#0')} && document.querySelector('.state.undecided')")
    press(browser, "e", "document.activeElement.name === 'text-1'")
    browser.press("End")
    browser.evaluate("document.activeElement.select()")
    browser.type("Only a few words, a and r and u among them.")
    browser._call("Input.dispatchKeyEvent", type="keyDown", key="Enter", modifiers=2, windowsVirtualKeyCode=13)
    browser.wait("document.querySelector('.state.edited') !== null")
    press(browser, "j", shows("three:0.0#0"))
    press(browser, "k", shows("two:0.0#0"))
    press(browser, "k", shows("one:0.0#0"))
    press(browser, "t", "document.activeElement.type === 'radio' && document.activeElement.value === '6'")
    press(browser, "ArrowUp", "document.activeElement.value === '4'", "")
    press(browser, "Enter", "document.querySelector('.state.trimmed')", "\r")
    assert browser.complaints == []
    assert all(request.startswith(served.url) for request in browser.requests)
    with served.store() as store:
        assert store.example("one:0.0#0").change == Change(last=4)
        assert store.example("two:0.0#0").change == Change({1: "Only a few words, a and r and u among them."})
        key = store.example("two:0.0#0").entry.key
        assert [(one.action, one.why) for one in store.history(key)] == [
            ("reject", "too dull"), ("undo", ""), ("edit", ""),
        ]  # fmt: skip


def test_search_filters_help_folds_and_duplicates_by_keyboard(browser: Chromium, served: Served) -> None:
    opened(browser, served)
    press(browser, "o", "[...document.querySelectorAll('article .fold')].every((one) => one.open)")
    press(browser, "?", "document.querySelector('dialog').open")
    press(browser, "a", "document.querySelector('dialog').open")
    press(browser, "Escape", "!document.querySelector('dialog').open", "")
    press(browser, "j", shows("two:0.0#0"))
    press(browser, "d", "document.querySelectorAll('.pair mark').length")
    assert set(browser.evaluate("[...document.querySelectorAll('.pair mark')].map((one) => one.innerText)")) == {
        "river", "ocean",
    }  # fmt: skip
    press(browser, "R", shows("s0:0.0#0"))
    press(browser, "/", "document.activeElement.id === 'search'")
    browser.type("number 7")
    press(browser, "Enter", "document.querySelector('h1').innerText === '1 example'", "\r")
    press(browser, "j", shows("s1:0.0#3"))
    press(browser, "x", "document.querySelector('h1').innerText === '23 examples'")
    press(browser, "f", "document.activeElement.name === 'role'")
    browser.choose("select[name=decision]", "rejected")
    browser.focus(".filters button")
    press(browser, "Enter", "document.querySelector('h1').innerText === '1 example'", "\r")
    with served.store() as store:
        assert store.example("three:0.0#0").entry.state == "rejected"
        assert store.example("one:0.0#0").entry.state == "undecided"
    assert browser.complaints == []


def test_what_somebody_else_decided_meanwhile_is_shown(browser: Chromium, served: Served) -> None:
    opened(browser, served)
    with served.store() as store:
        store.decide("one:0.0#0", "reject", author="bob", why="private")
    press(browser, "a", "document.querySelector('.problem')?.innerText.includes('bob rejected it (private)')")
    press(browser, "a", shows("two:0.0#0"))
    with served.store() as store:
        assert store.example("one:0.0#0").entry.state == "approved"


def test_keys_pressed_faster_than_pages_come_are_meant_for_the_next_page(browser: Chromium, served: Served) -> None:
    opened(browser, served)
    for key in "ara":
        browser.press(key, key)
    browser.wait(shows("s0:0.0#0"))
    browser.press("e", "e")
    for letter in "arra":  # letters of a text whose field is still on its way decide nothing
        browser.press(letter, letter)
    browser.wait("document.activeElement.name === 'text-1'")
    with served.store() as store:
        states = [store.example(f"{name}:0.0#0").entry.state for name in ("one", "two", "three", "s0")]
    assert states == ["approved", "rejected", "approved", "undecided"]


def test_a_key_that_nobody_answers_is_said_to_be_lost(browser: Chromium, served: Served) -> None:
    opened(browser, served)
    served.process.kill()
    served.process.wait()
    press(browser, "a", "document.querySelector('.problem')?.innerText.includes('was not stored')")


def test_a_killed_page_opens_again_where_it_stopped(browser: Chromium, served: Served) -> None:
    opened(browser, served)
    press(browser, "a", shows("two:0.0#0"))
    served.process.kill()
    served.process.wait()
    served.process = (again := Served(served.folder)).process
    browser._call("Page.navigate", url=again.url)
    browser.wait(f"document.readyState === 'complete' && {shows('two:0.0#0')}")
    assert "1 of 23 decided" in browser.evaluate("document.body.innerText")


def test_it_works_without_javascript_too(browser: Chromium, served: Served) -> None:
    browser.run_scripts(False)
    try:
        browser._call("Page.navigate", url=served.url)
        browser.wait(f"document.readyState === 'complete' && {shows('one:0.0#0')}")
        browser.focus("button.approved")
        press(browser, "Enter", shows("two:0.0#0"), "\r")
    finally:
        browser.run_scripts(True)


@pytest.mark.parametrize("width", [360, 760, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_the_window_and_texts_can_be_read(
    browser: Chromium, served: Served, width: int, dark: bool
) -> None:
    with served.store() as store:
        store.decide("one:0.0#0", "edit", Change({1: "Look at " + "x" * 300}), author="ann")
        store.decide("one:0.0#0", "trim", Change(last=2), author="ann")
        one, two, three = (store.example(f"{name}:0.0#0").entry.key for name in ("one", "two", "three"))
    browser.resize(width, 900, dark)
    for path in (f"example/{one}", f"example/{one}?mode=edit", f"example/{two}?mode=trim", "list",
                 f"example/{two}/beside/{three}", "list?role=crew&search=number"):  # fmt: skip
        browser.open(f"{served.url}{path}")
        browser.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width, path
        assert browser.evaluate(FAINT) == [], path
        unnamed = "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')]"
        assert browser.evaluate(f"{unnamed}.filter((one) => !one.labels.length).map((one) => one.outerHTML)") == []
    browser.resize(1280, 900)
