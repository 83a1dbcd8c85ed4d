"""The page of curation over HTTP: what it shows, what it stores, and whom it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.config import ConfigError
from data.curate.app import make_app
from data.curate.change import Change
from data.curate.loading import load
from data.curate.loopback import check_host
from data.curate.store import Store
from tests.curated import dataset, many, window

ORIGIN = {"origin": "http://127.0.0.1"}
FIRST = "one:0.0#0"


class Visit:
    """One curator's browser, as far as it sends requests."""

    def __init__(self, store: Store, author: str = "ann") -> None:
        from starlette.testclient import TestClient

        self.store = store
        self.client = TestClient(make_app(store, author), base_url="http://127.0.0.1")

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        answer = self.client.get(path, headers=headers)
        return answer.status_code, answer.text

    def post(self, path: str, **form: str) -> tuple[int, str]:
        """The answer after the redirections that follow."""
        answer = self.client.post(path, data=form, headers=ORIGIN)
        return answer.status_code, answer.text

    def key(self, name: str = FIRST) -> str:
        return self.store.example(name).entry.key

    def state(self, name: str = FIRST) -> str:
        return self.store.example(name).entry.state


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Visit]:
    with Store(tmp_path / "curation.db") as store:
        load(
            store,
            dataset(tmp_path / "rows", [window(FIRST, "Look at <script>alert(1)</script>.", replies=3), *many(8)]),
        )
        yield Visit(store)


def shown(page: str) -> str:
    """The id of the row that a page shows."""
    found = re.search(r'<span title="row">(.*?)</span>', page)
    return found[1] if found else ""


def test_it_opens_at_the_first_undecided_example(visit: Visit) -> None:
    visit.store.decide(FIRST, "approve", author="bob")
    status, page = visit.get("/")
    assert status == 200 and shown(page) == "s0:0.0#0" and "1 of 9 decided" in page


def test_texts_of_examples_are_texts(visit: Visit) -> None:
    _, page = visit.get(f"/example/{visit.key()}")
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page
    assert "ls &lt;\\tool_call&gt; /tmp" in page and "a.txt" in page


def test_approving_leads_to_the_next_undecided_one_and_says_what_was_done(visit: Visit) -> None:
    status, page = visit.post(f"/example/{visit.key()}/approve", saw="0")
    assert status == 200 and visit.state() == "approved" and shown(page) == "s0:0.0#0"
    assert "is approved." in page and f"/example/{visit.key()}/undo" in page


def test_undo_takes_the_last_decision_back_and_shows_its_example(visit: Visit) -> None:
    visit.post(f"/example/{visit.key()}/reject", saw="0", why="dull")
    saw = str(visit.store.example(FIRST).entry.decision)
    status, page = visit.post(f"/example/{visit.key()}/undo", saw=saw)
    assert status == 200 and visit.state() == "undecided" and shown(page) == FIRST and "undone" in page


def test_an_edit_is_shown_beside_its_original(visit: Visit) -> None:
    key = visit.key()
    _, form = visit.get(f"/example/{key}?mode=edit")
    assert 'name="text-1"' in form and 'name="text-0"' not in form
    status, page = visit.post(f"/example/{key}/edit", **{"saw": "0", "text-1": "Look\r\naround.", "text-2": "I look."})
    assert status == 200 and visit.store.example(FIRST).change == Change({1: "Look\naround."})
    assert "the original" in page and "Look\naround." in page


def test_a_trim_leaves_what_is_behind_it_in_sight(visit: Visit) -> None:
    status, page = visit.post(f"/example/{visit.key()}/trim", saw="0", last="2")
    assert status == 200 and visit.state() == "trimmed" and "trimmed away" in page


def test_a_text_that_is_refused_stays_in_its_field(visit: Visit) -> None:
    form = {"saw": "0", "text-1": "", "text-4": "What I wrote for an hour."}
    status, page = visit.post(f"/example/{visit.key()}/edit", **form)
    assert status == 422 and "Message 1 would be empty" in page and "What I wrote for an hour." in page
    assert visit.state() == "undecided"


def test_what_somebody_else_decided_meanwhile_is_shown_and_stays(visit: Visit) -> None:
    visit.store.decide(FIRST, "reject", author="bob", why="too long")
    status, page = visit.post(f"/example/{visit.key()}/approve", saw="0")
    assert status == 409 and "bob rejected it (too long)" in page and visit.state() == "rejected"
    saw = str(visit.store.example(FIRST).entry.decision)
    assert visit.post(f"/example/{visit.key()}/approve", saw=saw)[0] == 200 and visit.state() == "approved"


def test_filters_hold_while_one_goes_on(visit: Visit) -> None:
    _, page = visit.get("/?role=crew")
    assert shown(page) == "s0:0.0#1" and "1 of 3" in page.replace('<span class="of">', "")
    key = visit.key("s0:0.0#1")
    _, page = visit.post(f"/example/{key}/approve?role=crew", saw="0")
    assert shown(page) == "s1:0.0#0" and "role=crew" in page


def test_the_list_finds_and_turns_pages(tmp_path: Path) -> None:
    with Store(tmp_path / "curation.db") as store:
        load(store, dataset(tmp_path / "rows", many(120)))
        visit = Visit(store)
        assert "page 1 of 3" in visit.get("/list")[1] and "page 3 of 3" in visit.get("/list?page=99")[1]
        assert "1 example<" in visit.get("/list?search=number+77")[1]
        assert "No example fits" in visit.get("/list?search=zanzibar")[1]
        assert visit.get("/list?page=x")[0] == 200


def test_two_like_examples_stand_side_by_side_with_their_words_marked(visit: Visit) -> None:
    status, page = visit.get(f"/example/{visit.key('s0:0.0#0')}/beside/{visit.key('s0:0.0#3')}")
    assert status == 200 and "<mark>0</mark>" in page and "<mark>3</mark>" in page


def test_an_address_without_an_example_says_so(visit: Visit) -> None:
    status, page = visit.get("/example/nobody")
    assert status == 404 and "There is no example nobody." in page
    assert visit.get(f"/example/{visit.key()}/approve")[0] == 200 and visit.state() == "undecided"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "none"},
    ],
)
def test_nobody_decides_from_another_page(visit: Visit, headers: dict[str, str]) -> None:
    answer = visit.client.post(f"/example/{visit.key()}/approve", data={"saw": "0"}, headers=headers)
    assert answer.status_code == 403 and visit.state() == "undecided"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.168.0.7:18794", "", "localhost.evil:80"]
)
def test_the_page_answers_to_no_name_but_this_machine(visit: Visit, host: str) -> None:
    assert visit.get("/list", host=host)[0] == 403


@pytest.mark.parametrize("host", ["127.0.0.1:18794", "localhost:1", "[::1]:18794", "localhost"])
def test_the_names_of_this_machine_are_served(visit: Visit, host: str) -> None:
    assert visit.get("/list", host=host)[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "::", "example.org", ""])
def test_an_address_that_others_reach_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="this machine only"):
        check_host(host)


def test_the_page_may_load_its_own_files_only(visit: Visit) -> None:
    answer = visit.client.get("/list")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', answer.text)
    assert visit.get("/static/htmx.min.js")[0] == 200 and visit.get("/static/../app.py")[0] == 404
