"""The comparison page: nothing of a model's is ever markup, and a browser shows and filters what is in it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import msgspec
import pytest

from eval.gate import decide
from eval.page import build_page
from eval.page_rows import LIMITS, Picture, embed
from eval.paired import compare_runs
from eval.results import RoleBench
from eval.statistics import Rate
from eval.wording import change, percent
from tests.chromium import Chromium, needed_chromium
from tests.eval_results import contaminated, every, make_episode, make_pair, make_run, one_in

MARKUP = "</script><img src=x onerror='window.hacked = 1'><!-- <script>window.hacked = 2</script>"
HOSTILE = f"{MARKUP} \u2028\u202egnp.exe\x1b[2J\x00"
SHOWN = HOSTILE.translate({code: f"⟦U+{code:04X}⟧" for code in (0x2028, 0x202E, 0x1B, 0)})


def page_of(base: RoleBench, adapter: RoleBench) -> str:
    comparison = compare_runs(base, adapter)
    return build_page(comparison, decide(comparison))


def data_of(page: str) -> list[dict[str, object]]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    rows: list[dict[str, object]] = json.loads(text)
    return rows


def hostile_pair() -> tuple[RoleBench, RoleBench]:
    plain = make_episode("mayor-mail-1", asked=({"role": "user", "content": HOSTILE},), variables={"a": HOSTILE})
    step = msgspec.structs.replace(plain.steps[0], answer=HOSTILE, results=(HOSTILE,))
    checks = (msgspec.structs.replace(plain.checks[0], name=HOSTILE, ok=False, note=HOSTILE),)
    bad = msgspec.structs.replace(
        plain, passed=False, steps=(step,), checks=checks, explanation=HOSTILE, forbidden=(HOSTILE,)
    )
    adapter = make_run([bad], adapter=True, model=HOSTILE, versions={HOSTILE: HOSTILE})
    return make_run([plain]), msgspec.structs.replace(adapter, contaminated=contaminated("mayor-other-1"))


def test_nothing_that_a_model_wrote_is_markup() -> None:
    page = page_of(*hostile_pair())
    assert page.count("<script") == page.count("</script") == 2
    assert "<img" not in page and "<!--" not in page
    assert not set("\u2028\u202e\x1b\x00") & set(page)
    assert "&lt;/script&gt;&lt;img" in page


def test_an_answer_of_a_megabyte_is_cut_with_a_note() -> None:
    step = msgspec.structs.replace(make_episode().steps[0], answer="long " * 200_000)
    page = page_of(make_run([make_episode()]), make_run([make_episode(steps=(step,))], adapter=True))
    assert len(page) < 100_000
    assert "980,000 more characters stand in the results file" in page


def test_a_page_of_much_text_stays_below_six_megabytes() -> None:
    step = msgspec.structs.replace(make_episode().steps[0], answer="é<" * 5_000, results=("ü" * 10_000,))
    base, adapter = make_pair(every, every, families=55, samples=5)
    long = [
        msgspec.structs.replace(
            run, episodes=tuple(msgspec.structs.replace(e, steps=(step,) * 3) for e in run.episodes)
        )
        for run in (base, adapter)
    ]
    page = page_of(*long)
    assert len(page.encode()) < 6_000_000
    assert len(data_of(page)) == 110


def test_where_a_check_holds_its_sentence_is_not_shown() -> None:
    check = msgspec.structs.replace(make_episode().checks[0], note="The form is broken.")
    run = make_run([make_episode(checks=(check,))], adapter=True)
    assert "The form is broken." not in page_of(run, run)


def test_both_sides_of_every_sample_are_in_the_page() -> None:
    base, adapter = make_pair(one_in(2), one_in(3), families=3, samples=2)
    rows = data_of(page_of(base, adapter))
    assert [row["id"] for row in rows] == list(dict.fromkeys(e.id for e in base.episodes))
    assert [row["passed"] for row in rows] == [[2, 2], [0, 0], [2, 0], [0, 2], [2, 0], [0, 0]]
    assert LIMITS[0] > 10_000


def test_the_numbers_of_the_page_are_those_of_the_terminal() -> None:
    pair = make_pair(one_in(2), every, roles=("mayor", "crew"), families=20)
    page, row = page_of(*pair), compare_runs(*pair).rows[-1]
    for cell in (percent(row.base.rate), percent(row.adapter.rate), change(row.difference)):
        assert f"<b>{cell}</b>" in page
    assert "40 better, 0 worse, 40 same" in page and "Passed" in page
    few = page_of(*make_pair(one_in(2), every, families=3))
    assert "50 % too few" in few and "Inconclusive" in few and " open" in few


@pytest.mark.parametrize(("low", "high", "reach"), [(-0.01, 0.02, 10), (-0.31, 0.1, 40), (-1, 1, 100), (-0.3, 0.3, 30)])
def test_an_axis_holds_every_interval(low: float, high: float, reach: int) -> None:
    picture = Picture(reach, 0)
    rate = Rate((low + high) / 2, low, high, 60, 20)
    place = picture.change(rate)
    assert 0 <= place.low <= place.value <= place.high <= 100 and place.drawn
    comparison = compare_runs(*make_pair(one_in(2), one_in(3), families=20))
    drawn = Picture.of(comparison, 0.05)
    ends = drawn.change(comparison.rows[0].difference)
    assert 0 <= ends.low < ends.high <= 100 and 0 < drawn.margin < 50


def test_a_comparison_without_clean_scenarios_still_has_a_page() -> None:
    base, adapter = make_pair(one_in(2), every, families=2)
    adapter = msgspec.structs.replace(adapter, contaminated=contaminated(*{e.id for e in adapter.episodes}))
    page = page_of(base, adapter)
    assert "Not comparable" in page and "Every scenario stands in the training rows" in page
    assert len(json.loads(embed(compare_runs(base, adapter)))) == 4


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(needed_chromium(), tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """110 scenarios in two roles, five samples; the first is in the training rows, the third did what is forbidden."""
    base, adapter = make_pair(one_in(2), one_in(3), roles=("mayor", "crew"), families=28, samples=5)
    first, *rest = adapter.episodes
    steps = (msgspec.structs.replace(first.steps[0], answer="Done, by hand.", results=(HOSTILE,)),)
    changed = [msgspec.structs.replace(first, steps=steps, explanation=HOSTILE), *rest]
    changed[10] = msgspec.structs.replace(changed[10], forbidden=("Bash gt polecat nuke",))
    adapter = msgspec.structs.replace(adapter, episodes=tuple(changed), contaminated=contaminated("mayor-family0-0"))
    page = tmp_path_factory.mktemp("page") / "page.html"
    page.write_text(page_of(base, adapter), "utf-8")
    return page.as_uri()


@pytest.fixture
def page(browser: Chromium, address: str) -> Chromium:
    browser.resize(1280, 900)
    browser.open(address)
    return browser


def listed(page: Chromium) -> list[str]:
    """The scenarios that the list shows."""
    names = "[...document.querySelectorAll('.scenario .name')].map((name) => name.firstChild.textContent)"
    found: list[str] = page.evaluate(names)
    return found


@pytest.mark.slow
def test_the_page_opens_from_a_file_in_a_second_and_asks_for_nothing_else(browser: Chromium, address: str) -> None:
    started = time.monotonic()
    browser.open(address)
    assert time.monotonic() - started < 3  # 0.5 s on a quiet machine
    assert len(listed(browser)) == 112
    assert browser.requests == [address] and browser.complaints == []


@pytest.mark.slow
def test_a_scenario_opens_with_both_runs_side_by_side(page: Chromium) -> None:
    page.click(".scenario:nth-child(1) > summary")
    page.wait("document.querySelector('.scenario .both') !== null")
    texts = page.evaluate(
        "[...document.querySelectorAll('.scenario .text.answer pre')].map((text) => text.textContent)"
    )
    assert texts == ["Done.", "Done, by hand.", "All is well."]
    marked = page.evaluate("[...document.querySelectorAll('.adapter-only')].map((mark) => mark.textContent)")
    assert marked == [", by hand"]
    assert SHOWN in page.evaluate("document.querySelector('.both').textContent")
    assert page.evaluate("document.querySelectorAll('.checks li').length") == 4
    assert "13-grams" in page.evaluate("document.querySelector('.inside').textContent")
    assert page.evaluate("window.hacked === undefined && document.images.length === 0 && document.scripts.length === 2")
    assert page.complaints == []


@pytest.mark.slow
def test_every_sample_can_be_shown(page: Chromium) -> None:
    page.click(".scenario:nth-child(2) > summary")
    page.wait("document.querySelectorAll('.tabs button').length === 5")
    page.click(".tabs button:nth-child(4)")
    page.wait("document.querySelector('.tabs button:nth-child(4)').getAttribute('aria-pressed') === 'true'")
    assert "Read the mail about pe-813." in page.evaluate("document.querySelector('.asked').textContent")


# Of the two first scenarios, and how many: every second passes in the base, every third in the adapter.
SHOWS = {
    "worse": (["mayor-family1-0", "mayor-family2-0"], 37),
    "better": (["mayor-family1-1", "mayor-family4-1"], 19),
    "adapter fails": (["mayor-family0-1", "mayor-family1-0"], 74),
    "forbidden": (["mayor-family1-0"], 1),
    "held out": (["mayor-family1-0", "mayor-family1-1"], 56),
    "in the training": (["mayor-family0-0"], 1),
}


@pytest.mark.slow
@pytest.mark.parametrize(("option", "first", "count"), [(key, *value) for key, value in SHOWS.items()])
def test_what_is_shown_is_chosen_with_the_keyboard(page: Chromium, option: str, first: list[str], count: int) -> None:
    page.choose("#show", option)
    page.wait(f"document.querySelector('#count').textContent === '{count} of 112 scenarios'")
    assert listed(page)[:2] == first


@pytest.mark.slow
def test_words_and_roles_narrow_the_list_and_are_cleared(page: Chromium) -> None:
    page.click("#query")
    page.type("nuke")
    page.wait("document.querySelectorAll('.scenario').length === 1")
    page.click("button[type=reset]")
    page.wait("document.querySelectorAll('.scenario').length === 112")
    page.choose("#role", "crew")
    page.wait("document.querySelectorAll('.scenario').length === 56")
    assert all(name.startswith("crew-") for name in listed(page))


@pytest.mark.slow
def test_keys_lead_through_the_scenarios_open_them_and_search(page: Chromium) -> None:
    for key in ("j", "j", "j", "k"):
        page.press(key, key)
    page.wait("document.activeElement.querySelector('.name')?.firstChild.textContent === 'mayor-family0-1'")
    page.press("Enter", "\r")
    page.wait("document.querySelector('.scenario[open] .both') !== null")
    page.press("/", "/")
    page.type("jk")
    assert page.evaluate("document.activeElement.value") == "jk"


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_is_never_wider_than_the_window(page: Chromium, width: int) -> None:
    page.resize(width, 900)
    page.evaluate("document.querySelector('.scenario').open = true")
    page.evaluate("document.querySelector('#conditions details').open = true")
    page.wait("document.querySelector('.scenario .both') !== null")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # What stands in a row of the list does not lie on its neighbour.
    overlaps = """[...document.querySelectorAll('.scenario > summary')].some((one) => {
        const boxes = [...one.children].map((part) => part.getBoundingClientRect());
        const before = (a, b) => a.right < b.left + 1 || a.bottom < b.top + 1;
        const apart = (a, b) => before(a, b) || before(b, a);
        return boxes.some((a, i) => boxes.slice(i + 1).some((b) => !apart(a, b)));
    })"""
    assert page.evaluate(overlaps) is False


@pytest.mark.slow
def test_every_control_has_a_name_and_both_colour_schemes_their_colours(page: Chromium) -> None:
    unnamed = "[...document.querySelectorAll('input, select')].filter((one) => !one.labels.length).map((one) => one.id)"
    assert page.evaluate(unnamed) == []
    colours = []
    for dark in (False, True):
        page.resize(1280, 900, dark)
        colours.append(page.evaluate("getComputedStyle(document.querySelector('.verdict')).backgroundColor"))
    assert len(set(colours)) == 2


@pytest.mark.slow
def test_numbers_and_intervals_need_no_script(browser: Chromium, address: str) -> None:
    browser.run_scripts(allowed=False)
    try:
        browser.open(address)
        assert browser.evaluate("document.querySelectorAll('svg circle').length") == 9
        assert browser.evaluate("document.querySelector('noscript').getBoundingClientRect().height") > 0
    finally:
        browser.run_scripts(allowed=True)
