"""The page on which people vote: one task at a time with both answers, and the result when a voter is through.

`application(match, votes, author)` is what uvicorn runs. Nothing that the browser gets says who wrote which answer
until the voter has voted on every task; what a model wrote is only ever text.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from eval.people.guard import Guard
from eval.people.judge_words import SCORE_COLUMNS, cost_rows, headline, notes, score_rows
from eval.people.match import CHOICES, Match, Pairing
from eval.people.tally import tally
from eval.people.vote_records import StoredMatch, Vote
from eval.people.votes import Votes
from eval.printable import printable

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

HERE = Path(__file__).parent
COOKIE = "forge_voter"
LONGEST_NAME = 40


class Page:
    """The routes. `author` is who votes in a browser that has given no name."""

    def __init__(self, match: Match, votes: Votes, author: str) -> None:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        self._match, self._votes, self._author = match, votes, author
        self._tasks = {pairing.id: pairing for pairing in match.open}
        self._stored: StoredMatch = next(one for one in votes.matches() if one.id == match.id)
        environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["text"] = printable
        self._templates = environment

    def show(self, request: Request) -> Response:
        author = self._voter(request)
        mine = self._votes.standing(self._match.id, author)
        voted = {vote.task for vote in mine}
        waiting = next((pairing for pairing in self._tasks.values() if pairing.id not in voted), None)
        common = {"author": author, "done": len(voted), "all": len(self._tasks), "can_undo": bool(mine)}
        if waiting is None:
            return self._html("end.html.jinja", common | self._result(mine))
        return self._html("task.html.jinja", common | _shown(waiting))

    async def vote(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        form = await request.form()
        task, choice = str(form.get("task", "")), form.get("choice")
        pairing = self._tasks.get(task)
        if pairing is None or choice not in CHOICES:
            return self._problem("There is no such task or choice here; open the page anew.", 400)
        try:
            author, match = self._voter(request), self._match.id
            await run_in_threadpool(self._votes.cast, author, match, task, pairing.first, choice)
        except sqlite3.Error:
            return self._problem("The vote could not be stored; go back and press the key again.", 503)
        return self._onward()

    def undo(self, request: Request) -> Response:
        try:
            self._votes.undo(self._voter(request), self._match.id)
        except sqlite3.Error:
            return self._problem("The vote could not be taken back; go back and press the key again.", 503)
        return self._onward()

    async def name(self, request: Request) -> Response:
        """Somebody else votes in this browser from now on."""
        form = await request.form()
        name = printable(" ".join(str(form.get("author", "")).split()))[:LONGEST_NAME]
        answer = self._onward()
        if name:
            answer.set_cookie(COOKIE, quote(name), httponly=True, samesite="strict")
        return answer

    def _voter(self, request: Request) -> str:
        given = unquote(request.cookies.get(COOKIE, ""))
        return printable(given)[:LONGEST_NAME] or self._author

    def _result(self, mine: list[Vote]) -> dict[str, Any]:
        result = tally(self._stored, self._votes.standing(self._match.id))
        return {
            "local": result.match.local,
            "strong": result.match.strong,
            "headline": headline(result),
            "verdict": result.whole.verdict.value.replace(" ", "-"),
            "rate": result.whole.rate,
            "columns": SCORE_COLUMNS,
            "scores": score_rows(result),
            "costs": cost_rows(result),
            "notes": list(notes(result)),
            "skipped": sum(vote.choice == "skip" for vote in mine),
        }

    def _html(self, template: str, values: dict[str, Any]) -> Response:
        from starlette.responses import HTMLResponse

        return HTMLResponse(self._templates.get_template(template).render(values))

    def _problem(self, sentence: str, status: int) -> Response:
        from starlette.responses import PlainTextResponse

        return PlainTextResponse(f"{sentence}\n", status)

    def _onward(self) -> Response:
        from starlette.responses import RedirectResponse

        return RedirectResponse("/", 303)


def application(match: Match, votes: Votes, author: str) -> Guard:
    """What uvicorn runs."""
    from starlette.applications import Starlette
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    page = Page(match, votes, author)
    routes = [
        Route("/", page.show),
        Route("/vote", page.vote, methods=["POST"]),
        Route("/undo", page.undo, methods=["POST"]),
        Route("/name", page.name, methods=["POST"]),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    return Guard(Starlette(routes=routes))


def _shown(pairing: Pairing) -> dict[str, Any]:
    """What the browser gets of a task: nothing of sides, times and tokens."""
    first, second = pairing.texts
    return {
        "task": pairing.id,
        "kind": pairing.local.kind,
        "prompt": pairing.local.prompt,
        "answers": (("1", "first", first), ("2", "second", second)),
    }
