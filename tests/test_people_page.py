"""The page of the blind votes: what it shows and hides, whom it lets in, and a voter who has nothing but a keyboard."""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from eval.people.endpoint import Side
from eval.people.guard import why_not
from eval.people.match import Match
from eval.people.page import application
from eval.people.votes import Votes
from tests.chromium import Chromium, needed_chromium
from tests.conftest import ROOT
from tests.people_matches import a_match, match_of, stored

HERE = "http://127.0.0.1:18795"
SCRIPT = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"


@contextmanager
def page_of(folder: Path, match: Match, author: str = "kim") -> Iterator[tuple[TestClient, Votes]]:
    with closing(Votes(folder / "votes.db")) as votes:
        votes.add_match(match)
        yield TestClient(application(match, votes, author), HERE, follow_redirects=False), votes


def shown(client: TestClient) -> tuple[str, list[str]]:
    """The task on the page, and the two texts in their order."""
    import html

    text = client.get("/").text
    found = re.search(r'name="task" value="([^"]*)"', text)
    texts = [html.unescape(one) for one in re.findall(r'<div class="text" dir="auto">(.*?)</div>', text, re.DOTALL)]
    return (found[1] if found else ""), texts[1:]


def press(client: TestClient, choice: str) -> int:
    return client.post("/vote", data={"task": shown(client)[0], "choice": choice}).status_code


# --- blindness ---


def test_the_page_says_nothing_of_who_answered_before_the_last_vote(tmp_path: Path) -> None:
    match = a_match(6)
    with page_of(tmp_path, match) as (client, _):
        for place in range(6):
            answer = client.get("/")
            told = (answer.text + str(answer.headers)).lower()
            for word in ("local", "strong", "companion@v2", ">big<", "seconds", "token"):
                assert word not in told
            assert f"{place} of 6" in told
            press(client, "first")
        told = client.get("/").text
        assert "companion@v2" in told and "big" in told and "response time, median" in told


@settings(max_examples=6)
@given(st.integers(0, 999))
def test_two_pages_whose_sides_are_swapped_are_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    ours, theirs = [f"Ours {n}." for n in range(3)], [f"Theirs {n}." for n in range(3)]
    seen: list[list[bytes]] = []
    for match in (match_of(ours, theirs, seed), match_of(theirs, ours, seed)):
        with page_of(tmp_path_factory.mktemp("votes"), match) as (client, _):
            seen.append([])
            for _ in range(3):
                seen[-1].append(client.get("/").content)
                press(client, "first")
    assert seen[0] == seen[1]


def test_the_texts_stand_in_the_order_that_is_stored_with_the_vote(tmp_path: Path) -> None:
    match = a_match(8)
    with page_of(tmp_path, match) as (client, votes):
        for _ in range(8):
            task, (first, _) = shown(client)
            assert press(client, "first") == 303
            (one,) = [vote for vote in votes.standing(match.id) if vote.task == task]
            assert first.startswith("Ours") == (one.first is Side.LOCAL) == (one.points == 1.0)


# --- votes ---


def test_choices_undo_and_skip_are_what_they_say(tmp_path: Path) -> None:
    match = a_match(3)
    with page_of(tmp_path, match) as (client, votes):
        before = shown(client)[0]
        press(client, "tie")
        press(client, "skip")
        assert client.post("/undo").status_code == 303
        assert client.post("/undo").status_code == 303
        assert shown(client)[0] == before and votes.standing(match.id) == []
        assert client.post("/undo").status_code == 303  # nothing is left to take back


def test_a_second_tab_does_not_vote_twice_and_two_voters_do_not_see_each_other(tmp_path: Path) -> None:
    match = a_match(3)
    with page_of(tmp_path, match) as (client, votes):
        task, _ = shown(client)
        for choice in ("first", "second"):
            assert client.post("/vote", data={"task": task, "choice": choice}).status_code == 303
        assert [vote.choice for vote in votes.standing(match.id)] == ["first"]
        client.post("/name", data={"author": "  Zoë \x1b[2J; Lee "})
        assert shown(client)[0] == task and "0 of 3" in client.get("/").text
        press(client, "second")
        assert {vote.author for vote in votes.standing(match.id)} == {"kim", "Zoë ⟦U+001B⟧[2J; Lee"}
        client.post("/name", data={"author": " "})  # nobody
        assert "1 of 3" in client.get("/").text


@pytest.mark.parametrize("form", [{}, {"task": "none", "choice": "first"}, {"choice": "first"}, {"choice": "undo"}])
def test_a_form_that_is_none_is_refused(tmp_path: Path, form: dict[str, str]) -> None:
    match = a_match(2)
    with page_of(tmp_path, match) as (client, votes):
        given = {"task": shown(client)[0]} | form if form.get("choice") == "undo" else form
        assert client.post("/vote", data=given).status_code == 400
        assert votes.standing(match.id) == []


def test_a_disk_that_takes_no_vote_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("disk full")

    with page_of(tmp_path, a_match(2)) as (client, votes):
        monkeypatch.setattr(votes, "cast", full)
        task, _ = shown(client)
        answer = client.post("/vote", data={"task": task, "choice": "first"})
    assert answer.status_code == 503 and "press the key again" in answer.text


# --- hostile text, hostile pages ---


def test_what_a_model_wrote_is_only_text(tmp_path: Path) -> None:
    match = match_of([f"{SCRIPT} **bold** \x1b[2J \u202e"], ["</div></section><form action=/name>"])
    with page_of(tmp_path, match) as (client, _):
        told = client.get("/")
        assert "<script>document" not in told.text and "<img" not in told.text and "</section><form" not in told.text
        assert "⟦U+202E⟧" in told.text and "**bold**" in told.text
        policy = told.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy


OURS = {"host": "127.0.0.1:18795", "content-length": "4"}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"host": "localhost:18795"}, True),
        ({"host": "[::1]:18795"}, True),
        ({"origin": "http://127.0.0.1:18795", "sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"host": "evil.example"}, False),
        ({"host": "127.0.0.1.evil.example"}, False),
        ({"host": "[::1"}, False),
        ({"host": ""}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://127.0.0.1:8000"}, False),
        ({"origin": "null"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"content-length": "70000"}, False),
        ({"content-length": "-1"}, False),
    ],
)
def test_only_this_machine_and_this_page_get_in(headers: dict[str, str], allowed: bool) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in (OURS | headers).items()]
    assert (why_not({"method": "POST", "headers": pairs}) == "") is allowed


@pytest.mark.parametrize(
    "headers", [[], [(b"host", b"127.0.0.1"), (b"host", b"evil.example")], [(b"host", b"127.0.0.1")]]
)
def test_a_form_without_host_or_length_or_with_two_hosts_is_refused(headers: list[Any]) -> None:
    assert why_not({"method": "POST", "headers": headers})


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "http://evil.example"}])
def test_a_vote_from_elsewhere_is_refused_and_not_stored(tmp_path: Path, headers: dict[str, str]) -> None:
    match = a_match(2)
    with page_of(tmp_path, match) as (client, votes):
        form = {"task": shown(client)[0], "choice": "first"}
        assert client.post("/vote", data=form, headers=headers).status_code == 403
        assert votes.standing(match.id) == []


# --- the command and a browser ---


@contextmanager
def serving(folder: Path, local: list[str], strong: list[str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    files = [stored(folder / "local.jsonl", "ours", local), stored(folder / "strong.jsonl", "theirs", strong)]
    options = ["--results", *map(str, files), "--votes", str(folder / "votes.db"), "--port", "0", "--author", "Kim"]
    command = [sys.executable, "-m", "eval.people.judge", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout
            told = child.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/", told)
            assert found and "tasks to judge" in told and "as Kim" in told
            yield found[0], child
        finally:
            child.kill()


@pytest.mark.slow
def test_a_killed_page_loses_no_vote_and_the_next_goes_on(tmp_path: Path) -> None:
    texts = [f"Ours {n}." for n in range(5)], [f"Theirs {n}." for n in range(5)]
    with serving(tmp_path, *texts) as (address, child):
        for _ in range(3):
            task = re.search(r'name="task" value="([^"]*)"', httpx.get(address, trust_env=False).text)
            assert task
            form = {"task": task[1], "choice": "second"}
            assert httpx.post(f"{address}vote", data=form, trust_env=False).status_code == 303
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with serving(tmp_path, *texts) as (address, child):
        assert "3 of 5" in httpx.get(address, trust_env=False).text
        child.send_signal(signal.SIGINT)  # Ctrl-C is how the page ends
        assert child.stdout and "3 votes stand on 5 tasks" in child.stdout.read() and child.wait() == 0


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(needed_chromium(), tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def key(browser: Chromium, name: str) -> None:
    """Press a key when the page has settled, and wait until another page has."""
    browser.wait("document.documentElement.dataset.ready")
    browser.evaluate("document.documentElement.dataset.left = 'no'")
    browser.press(name, name)
    browser.wait("document.readyState === 'complete' && !document.documentElement.dataset.left")


def progress(browser: Chromium) -> str:
    browser.wait("!!document.querySelector('.way span')")
    found: str = browser.evaluate("document.querySelector('.way span').innerText")
    return found


def _said(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "votes.db")) as base:
        return [choice for (choice,) in base.execute("SELECT choice FROM vote ORDER BY number")]


@pytest.mark.slow
def test_a_voter_with_a_keyboard_alone_comes_to_the_end(browser: Chromium, tmp_path: Path) -> None:
    ours = [f"Ours {n}. {SCRIPT}" for n in range(6)]
    theirs = [f"Theirs {n}.\n\n- **one**\n- two" for n in range(6)]
    with serving(tmp_path, ours, theirs) as (address, _):
        browser.open(address)
        assert progress(browser) == "0 of 6" and browser.evaluate("document.title") == "Which answer is better?"
        for name, done in [("1", 1), ("b", 2), ("0", 3), ("u", 2), ("t", 3), ("s", 4), ("2", 5)]:
            key(browser, name)
            assert progress(browser) == f"{done} of 6"
        key(browser, "a")
        assert "Thank you" in browser.evaluate("document.querySelector('h1').innerText")
        assert "ours" in browser.evaluate("document.querySelector('.verdict').innerText")
        assert browser.evaluate("document.title") == "The votes"  # no script of a model ran
        assert browser.complaints == [] and all(asked.startswith(address) for asked in browser.requests)
        key(browser, "u")
        assert progress(browser) == "5 of 6"
    assert _said(tmp_path) == ["first", "second", "tie", "undo", "tie", "skip", "second", "first", "undo"]


@pytest.mark.slow
def test_a_key_meant_for_the_page_before_and_keys_in_the_name_vote_for_nothing(
    browser: Chromium, tmp_path: Path
) -> None:
    with serving(tmp_path, ["a", "b", "c"], ["d", "e", "f"]) as (address, _):
        browser.open(address)
        browser.wait("document.documentElement.dataset.ready")
        browser.evaluate("delete document.documentElement.dataset.ready")  # as in the first moment of a page
        browser.press("1", "1")
        browser.evaluate("document.documentElement.dataset.ready = 'yes'")
        browser.evaluate("document.querySelector('.voter').open = true")
        browser.evaluate("document.querySelector('#author').select()")
        browser.type("12s0")
        assert browser.evaluate("document.querySelector('#author').value") == "12s0"
        browser.press("Enter", "\r")
        browser.wait("document.querySelector('.voter summary')?.innerText === '12s0'")
        assert progress(browser) == "0 of 3" and _said(tmp_path) == []
        browser.run_scripts(False)  # buttons work without them
        browser.open(address)
        browser.click("button[value=second]")
        browser.wait("document.querySelector('.way span')?.innerText === '1 of 3'")
        browser.run_scripts(True)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_nothing_is_wider_than_the_window(browser: Chromium, tmp_path: Path, width: int, dark: bool) -> None:
    dice = random.Random(1)
    long = [" ".join(["word" * dice.randint(1, 60)] * 30) for _ in range(4)]
    with serving(tmp_path, long[:2], long[2:]) as (address, _):
        browser.resize(width, 844, dark)
        browser.open(address)
        for _ in range(2):
            assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            key(browser, "1")
        assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        browser.resize(1280, 900)
