"""The page: a Starlette app over one store. Every decision is a form, so it works without JavaScript too.

htmx only swaps the page's body instead of loading it anew, and static/keys.js presses what the keyboard asks for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.curate import finding
from data.curate.change import Change, Refused
from data.curate.loopback import Loopback
from data.curate.similar import side_by_side
from data.curate.store import Store
from data.curate.values import Conflict, Example, Filters
from data.curate.views import beside_page, common, example_page, link, list_page, query, read_filters, shown, texts_of

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HERE = Path(__file__).parent


class Page:
    """The handlers. One at a time uses the store: they do not wait for anything in between."""

    def __init__(self, store: Store, author: str) -> None:
        from jinja2 import Environment, FileSystemLoader

        self.store = store
        self.author = author
        self.templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )

    async def start(self, request: Request) -> Response:
        """The first example that nobody decided about; the list where there is none."""
        filters = _filters(request)
        entry = finding.undecided(self.store.database, filters)
        return _go(link(entry.key, filters) if entry else f"/list{query(filters)}")

    async def listing(self, request: Request) -> Response:
        filters = _filters(request)
        asked = request.query_params.get("page", "1")
        values = list_page(self.store, filters, int(asked) if asked.isdecimal() else 1)
        return self._show("list.html.jinja", filters, **values)

    async def example(self, request: Request) -> Response:
        return self._example(request, self.store.example(request.path_params["key"]))

    async def beside(self, request: Request) -> Response:
        """Two examples beside each other, with the words marked that only one has."""
        left, right = (self.store.example(request.path_params[name]) for name in ("key", "other"))
        values = beside_page(left, right, list(side_by_side(left.turns, right.turns)))
        return self._show("beside.html.jinja", _filters(request), **values)

    async def act(self, request: Request) -> Response:
        """Store a decision, and go where the next one waits."""
        key, action = request.path_params["key"], request.path_params["action"]
        filters = _filters(request)
        if request.method == "GET":  # somebody loads again what answered a decision
            return _go(link(key, filters))
        form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
        example = self.store.example(key)
        try:
            self._decide(example, action, form)
        except Conflict as conflict:
            return self._example(request, self.store.example(key), str(conflict), 409)
        except Refused as problem:
            drafts = texts_of(example.turns, form) if action == "edit" else {}
            return self._example(request, example, str(problem), 422, action, drafts)
        return _go(self._next(example, action, filters))

    def _decide(self, example: Example, action: str, form: dict[str, str]) -> None:
        saw, why, key = form.get("saw", ""), form.get("why", "").strip()[:500], example.entry.key
        seen = int(saw) if saw.isdecimal() else example.entry.decision
        match action:
            case "undo":
                self.store.undo(key, author=self.author, saw=seen)
            case "edit":
                change = Change(texts_of(example.turns, form))
                self.store.decide(key, "edit", change, author=self.author, why=why, saw=seen)
            case "trim":
                last = form.get("last", "")
                change = Change(last=int(last) if last.isdecimal() else None)
                self.store.decide(key, "trim", change, author=self.author, why=why, saw=seen)
            case "approve" | "reject":
                self.store.decide(key, action, author=self.author, why=why, saw=seen)
            case _:
                raise Refused(f"There is no decision {action}.")

    def _next(self, example: Example, action: str, filters: Filters) -> str:
        """After approving or rejecting the next example; after the others the same, so that one sees the result."""
        key = example.entry.key
        if action not in ("approve", "reject"):
            return link(key, filters, did=key)
        database, place = self.store.database, example.entry.place
        reviewing = filters.decision not in ("", "undecided")
        entry = (finding.after if reviewing else finding.undecided)(database, filters, place)
        return link(entry.key, filters, did=key) if entry else f"/list{query(filters, did=key)}"

    def _example(
        self,
        request: Request,
        example: Example,
        problem: str = "",
        status: int = 200,
        mode: str = "",
        drafts: dict[int, str] | None = None,
    ) -> Response:
        filters, asked = _filters(request), request.query_params
        values = example_page(self.store, filters, example, asked.get("did", ""), self.author)
        values |= {"turns": shown(example, drafts), "problem": problem, "mode": mode or asked.get("mode", "")}
        return self._show("example.html.jinja", filters, status, **values)

    def _show(self, name: str, filters: Filters, status: int = 200, **values: Any) -> Response:
        from starlette.responses import HTMLResponse

        values = {"author": self.author, **common(self.store, filters), **values}
        return HTMLResponse(self.templates.get_template(name).render(values), status)

    async def missing(self, request: Request, error: Exception) -> Response:
        return self._show("missing.html.jinja", Filters(), 404, problem=str(error))


def _filters(request: Request) -> Filters:
    return read_filters(request.query_params)


def _go(address: str) -> Response:
    from starlette.responses import RedirectResponse

    return RedirectResponse(address, 303)


def make_app(store: Store, author: str) -> Starlette:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    page = Page(store, author)
    return Starlette(
        routes=[
            Route("/", page.start),
            Route("/list", page.listing),
            Route("/example/{key}", page.example),
            Route("/example/{key}/beside/{other}", page.beside),
            Route("/example/{key}/{action}", page.act, methods=["GET", "POST"]),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(Loopback)],
        exception_handlers={Refused: page.missing},
    )
