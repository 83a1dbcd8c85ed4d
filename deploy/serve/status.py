"""The status page at `/`: what is live, how it was judged, how it does, and buttons to promote and to roll back.

`StatusPage(...).routes()` are for the gateway's app. Plain forms and no scripts: it works in every browser, and nothing
that is shown can run. Only admins see it.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from deploy.adapter import Refusal
from deploy.serve import status_view
from deploy.serve.access import is_own_page
from deploy.serve.errors import clean
from deploy.serve.metrics import Metrics
from deploy.serve.sessions import COOKIE, LASTS, Sessions, TooMany, Visitor
from deploy.serve.types import Change, Fleet, Unavailable, UnknownModel

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

HERE = Path(__file__).parent
_MOST_FORM = 16_384  # bytes of a form
_MOST_WHY = 500  # characters of a reason
_MOST_MESSAGES = 100


@dataclass(frozen=True)
class Said:
    """What a visitor is told after a form was sent."""

    good: bool
    title: str
    lines: tuple[str, ...] = ()


class StatusPage:
    """The page and its forms."""

    def __init__(self, root: Path, fleet: Fleet, metrics: Metrics, sessions: Sessions) -> None:
        self._root = root
        self._fleet = fleet
        self._metrics = metrics
        self._sessions = sessions
        self._said: dict[str, Said] = {}

    def routes(self) -> list[Route]:
        from starlette.routing import Route

        return [
            Route("/", self.page, methods=["GET"]),
            Route("/login", self.login_page, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/logout", self.log_out, methods=["POST"]),
            Route("/promote", self.promote, methods=["POST"]),
            Route("/rollback", self.rollback, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        visitor = self._sessions.visitor(request.scope)
        if visitor is None:
            return see_other("/login")
        try:
            registered = await asyncio.to_thread(status_view.read_registry, self._root)
        except Refusal as refusal:
            return self._html("status_error.html.jinja", 503, problem=clean(str(refusal)))
        view = status_view.view_of(registered, self._fleet.state(), self._fleet.ready(), self._metrics.snapshot())
        said = self._said.get(request.query_params.get("said", ""))
        return self._html("status.html.jinja", view=view, visitor=visitor, said=said)

    async def login_page(self, request: Request) -> Response:
        if self._sessions.visitor(request.scope) is not None:
            return see_other("/")
        return self._html("login.html.jinja", problem="")

    async def log_in(self, request: Request) -> Response:
        if not is_own_page(request.scope):
            return self._html("login.html.jinja", 403, problem="This came from another page. Log in here.")
        form = await form_of(request)
        try:
            session = self._sessions.log_in(form.get("key", ""), request.client.host if request.client else "")
        except TooMany:
            return self._html("login.html.jinja", 429, problem="Too many wrong keys. Wait a minute and try again.")
        if not session:
            return self._html("login.html.jinja", 403, problem="This is no admin key, or it was revoked.")
        answer = see_other("/")
        answer.set_cookie(
            COOKIE, session, max_age=int(LASTS), path="/", httponly=True, samesite="strict", secure=is_https(request)
        )
        return answer

    async def log_out(self, request: Request) -> Response:
        visitor, _ = await self._sent(request)
        if visitor is not None:
            self._sessions.log_out(visitor)
        answer = see_other("/login")
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=is_https(request))
        return answer

    async def promote(self, request: Request) -> Response:
        visitor, form = await self._sent(request)
        if visitor is None:
            return self._refused_form()
        role, why = form.get("role", ""), form.get("why", "").strip()[:_MOST_WHY]
        number = form.get("version", "")
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            return self._tell(Said(False, "Nothing was changed", ("The form named no version.",)))
        change = self._fleet.reload(role, int(number), visitor.caller.name, form.get("force") == "yes", why)
        return self._tell(await self._outcome(change, f"{role}@v{number} is not live"))

    async def rollback(self, request: Request) -> Response:
        visitor, form = await self._sent(request)
        if visitor is None:
            return self._refused_form()
        role, why = form.get("role", ""), form.get("why", "").strip()[:_MOST_WHY]
        change = self._fleet.rollback(role, visitor.caller.name, why)
        return self._tell(await self._outcome(change, f"{role} was not rolled back"))

    async def _outcome(self, change: Any, failure: str) -> Said:
        """What to say of a change that was asked for."""
        try:
            done: Change = await change
        except Refusal as refusal:
            return Said(False, clean(failure), tuple(map(clean, str(refusal).splitlines())))
        except (Unavailable, UnknownModel) as problem:
            return Said(False, clean(failure), (clean(str(problem)),))
        self._metrics.changed(done)
        before = f", before it was v{done.before}" if done.before is not None else ""
        return Said(True, f"{done.role}@v{done.version} is live", (f"It took {done.seconds:.2f} s{before}.",))

    async def _sent(self, request: Request) -> tuple[Visitor | None, Mapping[str, str]]:
        """Who sent a form of ours, and what stands in it; nobody where the form is not ours."""
        visitor, form = self._sessions.visitor(request.scope), await form_of(request)
        if visitor is None or not is_own_page(request.scope):
            return None, {}
        return (visitor, form) if self._sessions.is_from_page(visitor, form.get("token", "")) else (None, {})

    def _refused_form(self) -> Response:
        problem = "This form is too old, or it is not from this page. Nothing was changed. Open the page again."
        return self._html("status_error.html.jinja", 403, problem=problem)

    def _tell(self, said: Said) -> Response:
        """Back to the page, which then says it; a reload of the page sends nothing again."""
        while len(self._said) >= _MOST_MESSAGES:
            del self._said[next(iter(self._said))]
        name = secrets.token_urlsafe(8)
        self._said[name] = said
        return see_other(f"/?said={name}")

    def _html(self, template: str, status: int = 200, **values: Any) -> Response:
        from starlette.responses import HTMLResponse

        text = self._environment.get_template(template).render(**values)
        return HTMLResponse(text, status, {"content-security-policy": self._policy, **HEADERS})

    @cached_property
    def _environment(self) -> Environment:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup

        environment = Environment(
            loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        names = ("percent", "points", "seconds", "short", "duration", "moment")
        environment.filters |= {name: getattr(status_view, name) for name in names} | {"number": "{:,}".format}
        environment.globals["style"] = Markup(self._style)
        return environment

    @cached_property
    def _style(self) -> str:
        return (HERE / "status.css").read_text("utf-8")

    @cached_property
    def _policy(self) -> str:
        style = b64encode(hashlib.sha256(self._style.encode()).digest()).decode()
        return (
            f"default-src 'none'; style-src 'sha256-{style}'; img-src data:; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        )


# The page holds what an admin may see: nobody keeps it, shows it in a frame, or learns its address.
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def see_other(address: str) -> Response:
    from starlette.responses import RedirectResponse

    return RedirectResponse(address, 303, HEADERS)


def is_https(request: Request) -> bool:
    """Whether the browser came by https. A header that lies can only make a cookie stricter."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a small form; none of a larger one."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_FORM:
            return {}
    try:
        return dict(parse_qsl(body.decode("ascii"), max_num_fields=20))
    except ValueError:
        return {}
