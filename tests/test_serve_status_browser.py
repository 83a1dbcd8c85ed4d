"""The status page in a real browser without JavaScript: logged into, promoted, refused and rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chromium import Chromium, needed_chromium
from tests.test_serve_status import ADMIN, Page, page_of, root

pytestmark = pytest.mark.slow

__all__ = ["root"]  # the registry of the other tests


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(needed_chromium(), tmp_path_factory.mktemp("profile")) as opened:
        opened.run_scripts(False)
        yield opened


@pytest.fixture(scope="module")
def page(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with page_of(root, tmp_path_factory.mktemp("keys") / "keys") as opened:
        yield opened


def said(browser: Chromium) -> str:
    found: str = browser.evaluate("document.querySelector('.said')?.innerText ?? ''")
    return found


def row(version: int) -> str:
    """The form of a version: rows are the newest first."""
    return f"#roles tbody tr:nth-child({4 - version}) .act"


def unfold(browser: Chromium, place: str) -> None:
    """Click on what opens a form, and wait until it is open."""
    browser.click(f"{place} summary")
    browser.wait(f"document.querySelector('{place} details, details{place}').open")


def enter(browser: Chromium) -> None:
    """Press Enter and wait until another page has come."""
    browser.evaluate("document.title = 'left'")
    browser.press("Enter", "\r")
    browser.wait("document.readyState === 'complete' && document.title !== 'left'")


def leave_by(browser: Chromium, selector: str) -> None:
    browser.evaluate("document.title = 'left'")
    browser.click(selector)
    browser.wait("document.readyState === 'complete' && document.title !== 'left'")


def test_on_this_machine_the_page_opens_without_a_key_and_asks_for_nothing_else(browser: Chromium, page: Page) -> None:
    browser.open(f"{page.served.url}/")
    assert browser.evaluate("document.querySelector('h2#role-mayor').innerText") == "mayor"
    assert browser.requests == [f"{page.served.url}/"]
    assert browser.complaints == []


def test_a_version_is_promoted_refused_overruled_and_rolled_back(browser: Chromium, page: Page) -> None:
    live = page.served.fleet.live
    browser.open(f"{page.served.url}/")
    unfold(browser, row(1))
    leave_by(browser, f"{row(1)} button")
    assert "mayor@v1 is live" in said(browser) and live["mayor"] == 1
    unfold(browser, row(3))
    leave_by(browser, f"{row(3)} button")
    assert "mayor@v3 is not live" in said(browser) and "a loss of 12 points" in said(browser) and live["mayor"] == 1
    unfold(browser, row(3))
    browser.click(f"{row(3)} [name=why]")
    browser.type("tried by hand")
    browser.click(f"{row(3)} [name=force]")
    leave_by(browser, f"{row(3)} button")
    assert "mayor@v3 is live" in said(browser) and live["mayor"] == 3
    unfold(browser, ".back")
    leave_by(browser, ".back button")
    assert "mayor@v1 is live" in said(browser) and live["mayor"] == 1
    assert browser.complaints == []


def test_the_keyboard_is_enough(browser: Chromium, page: Page) -> None:
    browser.open(f"{page.served.url}/")
    browser.focus(f"{row(2)} summary")
    browser.press("Enter", "\r")
    browser.wait(f"document.querySelector('{row(2)} details').open")
    browser.focus(f"{row(2)} [name=why]")
    browser.type("by keys")
    enter(browser)
    assert "mayor@v2 is live" in said(browser) and page.served.fleet.live["mayor"] == 2


def test_a_browser_elsewhere_logs_in_and_out(browser: Chromium, page: Page) -> None:
    browser._call("Network.setExtraHTTPHeaders", headers={"via": "1.1 proxy"})
    try:
        browser._call("Page.navigate", url=f"{page.served.url}/")
        browser.wait("location.pathname === '/login' && document.readyState === 'complete'")
        browser.focus("#key")
        browser.type("sk-forge-wrong")
        enter(browser)
        assert "no admin key" in said(browser)
        browser.focus("#key")
        browser.type(ADMIN)
        enter(browser)
        assert browser.evaluate("location.pathname") == "/"
        unfold(browser, row(1))
        leave_by(browser, f"{row(1)} button")
        assert "mayor@v1 is live" in said(browser)
        leave_by(browser, "nav button")
        assert browser.evaluate("location.pathname") == "/login"
    finally:
        browser._call("Network.setExtraHTTPHeaders", headers={})


@pytest.mark.parametrize("width", [360, 760, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_the_window_and_texts_can_be_read(
    browser: Chromium, page: Page, width: int, dark: bool
) -> None:
    browser.resize(width, 900, dark)
    browser.open(f"{page.served.url}/")
    browser.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(FAINT) == []
    browser.resize(1280, 900)


# Texts whose contrast with what is behind them is under 4.5 (WCAG 2.2, level AA).
FAINT = """
(() => {
  const part = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * part(r / 255) + 0.7152 * part(g / 255) + 0.0722 * part(b / 255);
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const [r, g, b, alpha = 1] = rgb(getComputedStyle(one).backgroundColor);
      if (alpha > 0) return [r, g, b];
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")].filter((one) => {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !one.getClientRects().length) return false;
    const [a, b] = [light(rgb(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05) < 4.5;
  }).map((one) => one.className + ": " + one.textContent.trim().slice(0, 40));
})()
"""
