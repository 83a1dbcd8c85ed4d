"""The report in a real browser: typed into, clicked and read as a person does it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from data.transform.chunker import LEFT_OUT
from data.validate.report import build_report
from tests.chromium import Chromium, needed_chromium
from tests.dataset_rows import CALL, RESULT, Row, make_row, turn, write_build

pytestmark = pytest.mark.slow

HOSTILE = "</script><img src=x onerror='window.hacked = 1'><!-- <script>window.hacked = 2</script> \u2028"
CUT = "[... 4200 characters left out ...]"
MANY = 2000


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(needed_chromium(), tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def a_row(name: str, human: str, reply: str, **metadata: object) -> Row:
    row = make_row(name, **metadata)
    row["conversations"][1] = turn("human", human)
    row["conversations"][4] = turn("gpt", reply, train=True)
    return row


def write_page(folder: Path, train: list[Row], val: list[Row]) -> str:
    """The address of the page of a build with these rows."""
    page = folder / "page.html"
    page.write_text(build_report(write_build(folder / "town", {"train": train, "val": val})), "utf-8")
    return page.as_uri()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    edit = CALL.replace("Bash", "Edit")
    train = [
        a_row("a#0", "Where is the convoy?", "The Convoy has left the depot.", session_id="first"),
        a_row("a#1", f"{RESULT}\n{CUT}\nAnd the depot of the convoy?", edit, session_id="first", quality_score=0.4),
        a_row("b#0", f"Go on.\n\n{LEFT_OUT}", "Merged (v1.2*) to main.", role="crew", quality_score=0.95),
        a_row("c </script>#0", HOSTILE, HOSTILE, role="crew", session_id=HOSTILE, source="<b>x</b>", quality_score=0.9),
    ]
    val = [a_row("d#0", "convoy " * 400, "Nothing of it is here.", role="dog", session_id="%zz")]
    return write_page(tmp_path_factory.mktemp("page"), train, val)


@pytest.fixture
def page(browser: Chromium, address: str) -> Chromium:
    browser.resize(1280, 900)
    browser.open(address)
    return browser


def listed(page: Chromium) -> list[str]:
    """The ids of the rows that the list shows."""
    found: list[str] = page.evaluate("[...document.querySelectorAll('#list a')].map((link) => link.title)")
    return found


def shown(page: Chromium) -> str:
    """The id of the row that is open."""
    found: str = page.evaluate("document.querySelector('#about a')?.textContent ?? ''")
    return found


def said(page: Chromium, selector: str) -> str:
    found: str = page.evaluate(f"document.querySelector({selector!r}).textContent")
    return found


def test_the_page_opens_from_a_file_and_asks_for_nothing_else(page: Chromium, address: str) -> None:
    assert listed(page) == ["a#0", "a#1", "b#0", "c </script>#0", "d#0"]
    assert said(page, "#count") == "5 rows"
    assert page.requests == [address]
    assert page.complaints == []


def test_what_a_row_says_never_runs(page: Chromium) -> None:
    page.click("#list li:nth-child(4) a")
    page.wait("document.querySelector('#about a').textContent === 'c </script>#0'")
    assert page.evaluate("window.hacked === undefined && document.images.length === 0 && document.scripts.length === 2")
    texts = page.evaluate("[...document.querySelectorAll('#messages .words')].map((text) => text.textContent)")
    assert texts[1] == texts[4] == HOSTILE
    assert HOSTILE in said(page, "#about")
    assert page.complaints == []


def test_typed_words_find_the_rows_that_hold_them_all(page: Chromium) -> None:
    page.click("#query")
    page.type("convoy depot")
    assert listed(page) == ["a#0", "a#1"]
    assert said(page, "#count") == "2 of 5 rows match"
    marked = page.evaluate("[...document.querySelectorAll('#messages mark')].map((mark) => mark.textContent)")
    assert sorted(marked) == ["Convoy", "convoy", "depot"]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ('"convoy has left"', ["a#0"]),
        ('"left convoy"', []),
        ("(v1.2*)", ["b#0"]),
        ("ONERROR=", ["c </script>#0"]),
        ("here nothing it", ["d#0"]),
        ("no such words", []),
    ],
)
def test_a_search_takes_words_and_phrases_as_they_are(page: Chromium, typed: str, found: list[str]) -> None:
    page.click("#query")
    page.type(typed)
    assert listed(page) == found
    assert (said(page, "#title") == "No row matches") == (not found)
    assert page.complaints == []


def test_a_search_in_trained_text_leaves_out_what_is_only_context(page: Chromium) -> None:
    page.click("#query")
    page.type("convoy")
    assert listed(page) == ["a#0", "a#1", "d#0"]
    page.choose("#scope", "in trained")
    assert listed(page) == ["a#0"]


def test_matches_are_visited_one_after_the_other(page: Chromium) -> None:
    page.click("#query")
    page.type('"the convoy"')
    for expected in (0, 1, 0):
        page.click("#match")
        at = page.evaluate("[...document.querySelectorAll('#messages mark')].findIndex((m) => m.matches('.here'))")
        assert at == expected
        page.wait("document.querySelectorAll('mark.here').length === 1")


@pytest.mark.parametrize(
    ("control", "option", "found"),
    [
        ("#role", "crew", ["b#0", "c </script>#0"]),
        ("#split", "val", ["d#0"]),
        ("#tool", "Edit", ["a#1"]),
        ("#session", "first", ["a#0", "a#1"]),
    ],
)
def test_filters_are_chosen_with_the_keyboard_and_cleared(
    page: Chromium, control: str, option: str, found: list[str]
) -> None:
    page.choose(control, option)
    page.wait(f"document.querySelectorAll('#list a').length === {len(found)}")
    assert listed(page) == found
    page.click("button[type=reset]")
    page.wait("document.querySelectorAll('#list a').length === 5")


def test_rows_below_a_quality_are_left_out(page: Chromium) -> None:
    page.focus("#quality")
    for _ in range(16):
        page.press("ArrowRight")
    assert said(page, "#least") == "0.80"
    assert listed(page) == ["b#0", "c </script>#0"]


def test_only_rows_with_cut_text(page: Chromium) -> None:
    page.click("#cut")
    assert listed(page) == ["a#1", "b#0"]
    page.click("#cut")
    assert len(listed(page)) == 5


def test_filters_and_search_work_together(page: Chromium) -> None:
    page.choose("#session", "first")
    page.click("#cut")
    page.click("#query")
    page.type("convoy")
    assert listed(page) == ["a#1"]


def test_previous_and_next_stay_within_what_matches(page: Chromium) -> None:
    page.choose("#role", "crew")
    assert page.evaluate("document.querySelector('#previous').disabled")
    page.click("#next")
    page.wait("document.querySelector('#place').textContent === '2 of 2'")
    assert shown(page) == "c </script>#0"
    assert page.evaluate("document.querySelector('#next').disabled")
    page.click("#previous")
    page.wait("document.querySelector('#place').textContent === '1 of 2'")


def test_keys_lead_through_the_rows_and_into_the_search(page: Chromium) -> None:
    for key, row in (("j", "a#1"), ("j", "b#0"), ("k", "a#1")):
        page.press(key, key)
        page.wait(f"document.querySelector('#about a').textContent === '{row}'")
    page.press("/", "/")
    page.type("jk")
    assert page.evaluate("document.activeElement.id") == "query"
    assert page.evaluate("document.activeElement.value") == "jk"


@pytest.mark.parametrize("name", ["b%230", "c%20%3C%2Fscript%3E%230", "d%230"])
def test_a_link_opens_its_row(page: Chromium, address: str, name: str) -> None:
    page.open(f"{address}#row={name}")
    assert page.evaluate("encodeURIComponent(document.querySelector('#about a').textContent)") == name
    page.wait("document.querySelector('#row').getBoundingClientRect().top < innerHeight")


@pytest.mark.parametrize("name", ["nowhere", "%", "%zz"])
def test_a_link_to_a_row_that_is_not_there_says_so(page: Chromium, address: str, name: str) -> None:
    page.open(f"{address}#row={name}")
    assert said(page, "#count") == f"This page does not hold the row {name}."
    assert page.complaints == []


def test_a_session_of_the_table_leads_to_its_rows(page: Chromium) -> None:
    page.click("a[href='#session=first']")
    page.wait("document.querySelectorAll('#list a').length === 2")
    assert listed(page) == ["a#0", "a#1"]


def test_trained_context_and_left_out_text_have_their_own_colours(page: Chromium) -> None:
    page.click("#list li:nth-child(2) a")
    page.wait("document.querySelector('#messages .elided') !== null")
    for dark in (False, True):
        page.resize(1280, 900, dark)
        colours = page.evaluate(
            "['.message.trained', '.message.context', '.elided'].map((name) =>"
            " getComputedStyle(document.querySelector('#messages ' + name)).backgroundColor)"
        )
        assert len(set(colours)) == 3
    assert said(page, "#messages .elided") == CUT
    assert said(page, "#messages .message.trained .call").startswith("<tool_call>")


def test_long_context_is_folded_and_opens(page: Chromium) -> None:
    page.click("#list li:nth-child(5) a")
    page.wait("document.querySelector('#messages .clipped') !== null")
    page.click("#messages .more")
    assert page.evaluate("document.querySelector('#messages .clipped')") is None
    assert said(page, "#messages .more") == "Show less"


def test_who_looks_for_cut_text_gets_it_unfolded(browser: Chromium, tmp_path: Path) -> None:
    long = "convoy " * 400
    browser.open(write_page(tmp_path, [a_row("cut", f"{long}\n{CUT}\n{long}", "Seen.")], []))
    assert browser.evaluate("document.querySelectorAll('#messages .clipped').length") == 1
    browser.click("#cut")
    assert browser.evaluate("document.querySelectorAll('#messages .clipped').length") == 0
    assert said(browser, "#messages .elided") == CUT


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_is_never_wider_than_the_window(page: Chromium, width: int) -> None:
    page.resize(width, 900)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_control_has_a_name(page: Chromium) -> None:
    unnamed = "[...document.querySelectorAll('input, select')].filter((one) => !one.labels.length).map((one) => one.id)"
    assert page.evaluate(unnamed) == []


def test_charts_and_tables_need_no_script(browser: Chromium, address: str) -> None:
    browser.run_scripts(allowed=False)
    try:
        browser.open(address)
        assert browser.evaluate("document.querySelectorAll('svg rect, section table').length") > 20
        assert browser.evaluate("document.querySelector('noscript').getBoundingClientRect().height") > 0
        assert browser.evaluate("document.querySelector('#browser').hidden")
    finally:
        browser.run_scripts(allowed=True)


def test_a_list_of_many_rows_is_drawn_as_it_is_read(browser: Chromium, tmp_path: Path) -> None:
    words = "convoy depot witness refinery " * 200
    rows = [a_row(f"r#{n}", f"Question {n}: {words}", f"Answer {n}.") for n in range(MANY)]
    browser.open(write_page(tmp_path, rows, []))
    assert len(listed(browser)) == 100
    browser.evaluate("document.querySelector('#list').parentElement.scrollTop = 1e6")
    browser.wait("document.querySelectorAll('#list a').length === 200")
    browser.click("#query")
    browser.type(f'"Answer {MANY - 1}."')
    assert listed(browser) == [f"r#{MANY - 1}"]
    browser.click("button[type=reset]")
    browser.wait("document.querySelectorAll('#list a').length > 1")
    assert shown(browser) == f"r#{MANY - 1}"
    assert browser.evaluate("document.querySelector('#list a[aria-current]').title") == f"r#{MANY - 1}"
    browser.click("#previous")
    browser.wait(f"document.querySelector('#about a').textContent === 'r#{MANY - 2}'")
