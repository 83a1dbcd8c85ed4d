"""The status page: who may see it, what it says, and what its forms do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.registry import Registry
from deploy.serve import sessions, status_view
from deploy.serve.access import Door
from deploy.serve.config import ServeConfig
from deploy.serve.key_line import fingerprint
from deploy.serve.keyring import KeyRing
from deploy.serve.sessions import COOKIE, Sessions, TooMany
from tests.engine_double import SECRET_PATH, Served, engine_double, served
from tests.registry_town import make_town

ADMIN = "sk-forge-admin-0123456789abcdefghij"
CHAT = "sk-forge-chat-0123456789abcdefghijk"
KEYS = f"{ADMIN} name=ops admin\n{CHAT} name=ci\n"
ELSEWHERE = {"x-forwarded-for": "203.0.113.9"}  # what a proxy sends; then nobody is this machine
HOSTILE = "<script>alert(1)</script>"


@dataclass
class Page:
    """A gateway with keys and a registry, and a client that keeps cookies and follows nothing."""

    served: Served
    client: httpx.Client
    keys: Path

    def get(self, path: str = "/", **headers: str) -> httpx.Response:
        return self.client.get(path, headers=headers)

    def send(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        return self.client.post(path, data=fields, headers=headers or {})

    def token(self, **headers: str) -> str:
        found = re.search(r'name="token" value="(\w+)"', self.get("/", **headers).text)
        assert found
        return found[1]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry in which the mayor has three versions: one that passed, and two that were never evaluated."""
    town = make_town(tmp_path_factory.mktemp("town"), ("mayor",))
    town.released(seed=1)
    town.registered(seed=2)
    town.registered(seed=3)
    with Registry.open(town.root) as registry:
        registry.promote("mayor", 2, by=HOSTILE, force=True, why=HOSTILE)
    return town.root


@contextmanager
def page_of(root: Path, keys: Path) -> Iterator[Page]:
    keys.write_text(KEYS, "utf-8")
    config = ServeConfig(root=str(root), keys_file=str(keys))
    with engine_double() as engine, served(config, engine) as running, httpx.Client(base_url=running.url) as client:
        yield Page(running, client, keys)


@pytest.fixture(scope="module")
def shared(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with page_of(root, tmp_path_factory.mktemp("keys") / "keys") as opened:
        yield opened


@pytest.fixture
def page(shared: Page) -> Page:
    """The gateway as it was at its start: nobody is logged in, the mayor's v2 is live, nothing was asked."""
    shared.keys.write_text(KEYS, "utf-8")
    shared.client.cookies.clear()
    shared.served.fleet.live["mayor"], shared.served.fleet.previous["mayor"] = 2, 1
    shared.served.gateway.metrics._seen.clear()
    shared.served.gateway.sessions._wrong.clear()
    return shared


def logged_in(page: Page) -> None:
    answer = page.send("/login", ELSEWHERE, key=ADMIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_this_machine_sees_roles_versions_evaluations_and_numbers(page: Page) -> None:
    page.client.post("/v1/chat/completions", headers={"authorization": f"Bearer {CHAT}"}, json={
        "model": "mayor", "messages": [{"role": "user", "content": "say it now"}],
    })  # fmt: skip
    page.client.post("/v1/chat/completions", json={"model": "mayor"})
    page.served.fleet.deaths = 2
    text = page.get().text
    assert "engine restarted 2 times" in text
    for part in (
        "v2 live",
        "v1 before",
        "not evaluated",
        "passed",
        "adapter",
        "100 %",
        ">1 in flight<"[:1],
        "401 refused",
    ):
        assert part in text
    assert re.search(r'data-name="requests"><span>1\b', text)
    assert re.search(r'data-name="tokens in / out">11 / 3<', text)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        (ELSEWHERE, 303),
        ({"via": "1.1 proxy"}, 303),
        ({"host": "evil.example"}, 303),
        ({"sec-fetch-site": "cross-site"}, 303),
        (ELSEWHERE | {"authorization": f"Bearer {ADMIN}"}, 200),
        (ELSEWHERE | {"authorization": f"Bearer {CHAT}"}, 303),
        ({"authorization": "Bearer wrong"}, 303),
        (ELSEWHERE | {"cookie": f"{COOKIE}=guessed"}, 303),
    ],
)
def test_only_admins_see_the_page(page: Page, headers: dict[str, str], status: int) -> None:
    answer = page.get("/", **headers)
    assert answer.status_code == status
    assert ("mayor" in answer.text) == (status == 200)


def test_a_browser_from_elsewhere_logs_in_with_an_admin_key(page: Page) -> None:
    for wrong in (CHAT, "", "sk-forge-wrong"):
        answer = page.send("/login", ELSEWHERE, key=wrong)
        assert answer.status_code == 403 and "no admin key" in answer.text and not page.client.cookies
    logged_in(page)
    cookie = page.client.cookies.get(COOKIE)
    assert cookie and ADMIN not in cookie
    assert "Log out ops" in page.get("/", **ELSEWHERE).text
    assert page.get("/login", **ELSEWHERE).headers["location"] == "/"
    page.send("/logout", ELSEWHERE, token=page.token(**ELSEWHERE))
    page.client.cookies.set(COOKIE, cookie)
    assert page.get("/", **ELSEWHERE).status_code == 303


def test_the_cookie_is_for_this_site_alone_and_for_https_where_there_is_https(page: Page) -> None:
    plain = page.send("/login", ELSEWHERE, key=ADMIN).headers["set-cookie"].lower()
    secure = page.send("/login", ELSEWHERE | {"x-forwarded-proto": "https"}, key=ADMIN).headers["set-cookie"].lower()
    for part in ("httponly", "samesite=strict", "path=/", "max-age=28800"):
        assert part in plain and part in secure
    assert "secure" not in plain and "secure" in secure


def test_a_revoked_key_ends_its_sessions(page: Page) -> None:
    logged_in(page)
    page.keys.write_text(f"{CHAT} name=ci\n", "utf-8")
    assert page.get("/", **ELSEWHERE).status_code == 303


def test_wrong_keys_are_slowed_down_and_the_right_one_waits_too(page: Page) -> None:
    for _ in range(sessions.ATTEMPTS):
        assert page.send("/login", ELSEWHERE, key="wrong").status_code == 403
    assert page.send("/login", ELSEWHERE, key=ADMIN).status_code == 429


def test_promote_and_rollback_say_what_they_did(page: Page) -> None:
    answer = page.send("/promote", token=page.token(), role="mayor", version="1", why="better")
    assert answer.status_code == 303
    told = page.get(answer.headers["location"]).text
    assert "mayor@v1 is live" in told and "It took 0.25 s, before it was v2." in told
    assert page.served.fleet.live["mayor"] == 1
    answer = page.send("/rollback", token=page.token(), role="mayor", why="")
    assert "mayor@v2 is live" in page.get(answer.headers["location"]).text
    assert page.served.fleet.live["mayor"] == 2
    assert 'forge_swaps_total{kind="rollback",role="mayor"} 1.0' in page.get("/metrics").text


def test_a_refused_promotion_shows_its_reasons_and_can_be_overruled(page: Page) -> None:
    answer = page.send("/promote", token=page.token(), role="mayor", version="3", why="")
    told = page.get(answer.headers["location"]).text
    assert 'role="alert"' in told and "mayor@v3 is not live" in told and "a loss of 12 points" in told
    assert page.served.fleet.live["mayor"] == 2
    page.send("/promote", token=page.token(), role="mayor", version="3", why="tried by hand", force="yes")
    assert page.served.fleet.live["mayor"] == 3


def test_what_the_page_says_names_no_folder_of_this_machine(page: Page) -> None:
    answer = page.send("/promote", token=page.token(), role="mayor", version="9", why="")
    told = page.get(answer.headers["location"]).text
    assert "mayor.gguf" in told and SECRET_PATH not in told


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({}, {}),
        ({}, {"token": "0" * 64}),
        ({"origin": "http://evil.example"}, {"token": "right"}),
        ({"sec-fetch-site": "same-site"}, {"token": "right"}),
        (ELSEWHERE, {"token": "right"}),
    ],
)
@pytest.mark.parametrize("path", ["/promote", "/rollback"])
def test_a_form_that_is_not_ours_changes_nothing(
    page: Page, path: str, headers: dict[str, str], fields: dict[str, str]
) -> None:
    given = {**fields, **({"token": page.token()} if fields.get("token") == "right" else {})}
    answer = page.send(path, headers, role="mayor", version="1", **given)
    assert answer.status_code == 403 and "Nothing was changed" in answer.text
    assert page.served.fleet.live["mayor"] == 2


@pytest.mark.parametrize("version", ["", "x", "-1", "1.5", "٣", "9" * 30])
def test_a_form_without_a_version_changes_nothing(page: Page, version: str) -> None:
    answer = page.send("/promote", token=page.token(), role="mayor", version=version)
    assert "named no version" in page.get(answer.headers["location"]).text
    assert page.served.fleet.live["mayor"] == 2


def test_bodies_that_are_no_forms_are_refused(page: Page) -> None:
    for content in (b"\xff\xfe", b"a" * 100_000, b"&" * 10_000, b"a=1" + b"&a=1" * 50, b""):
        assert page.client.post("/promote", content=content).status_code == 403
        assert page.client.post("/login", content=content).status_code in (403, 429)


def test_nothing_that_anybody_wrote_runs_and_nothing_comes_from_elsewhere(page: Page) -> None:
    answer = page.get()
    assert HOSTILE not in answer.text and "&lt;script&gt;" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "script-src" not in policy
    assert "frame-ancestors 'none'" in policy and "form-action 'self'" in policy
    assert (answer.headers["cache-control"], answer.headers["x-frame-options"]) == ("no-store", "DENY")
    assert "<script" not in answer.text and not re.search(r"""(src|href)=["']?(https?:)?//""", answer.text)


def test_a_registry_that_cannot_be_read_is_one_sentence(root: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "registry.db").write_bytes(b"no database " * 100)
    with page_of(broken, tmp_path / "keys") as page:
        answer = page.get()
        assert answer.status_code == 503 and "Traceback" not in answer.text and str(tmp_path) not in answer.text


def test_an_empty_registry_says_what_to_do(tmp_path: Path) -> None:
    with page_of(tmp_path / "empty", tmp_path / "keys") as page:
        assert "python -m deploy.registry register" in page.get().text


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def some_sessions(clock: Clock) -> Sessions:
    keys = KeyRing(None, f"{ADMIN} name=ops admin")
    return Sessions(Door(keys), keys, clock)


def scope(cookie: str = "") -> dict[str, Any]:
    headers = [(b"host", b"gateway.example"), (b"cookie", f"a=b; {COOKIE}={cookie}".encode())]
    return {"headers": headers, "client": ("203.0.113.9", 1), "scheme": "http"}


def test_a_session_ends_by_itself() -> None:
    clock = Clock()
    open_sessions = some_sessions(clock)
    name = open_sessions.log_in(ADMIN, "203.0.113.9")
    clock.now = sessions.LASTS - 1
    visitor = open_sessions.visitor(scope(name))
    assert visitor and (visitor.caller.name, visitor.caller.admin) == ("ops", True)
    clock.now = sessions.LASTS
    assert open_sessions.visitor(scope(name)) is None


def test_each_session_has_a_token_of_its_own() -> None:
    open_sessions = some_sessions(Clock())
    one, other = (open_sessions.visitor(scope(open_sessions.log_in(ADMIN, "a"))) for _ in range(2))
    assert one and other and one.token != other.token
    assert open_sessions.is_from_page(one, one.token) and not open_sessions.is_from_page(one, other.token)
    assert ADMIN not in repr(open_sessions._open) and fingerprint(ADMIN.encode()).hex() not in repr(one)


@given(st.lists(st.tuples(st.sampled_from("abcdefghijklmnopqrst"), st.floats(0, 30)), max_size=200))
def test_no_address_gets_more_than_its_attempts_in_a_minute(attempts: list[tuple[str, float]]) -> None:
    clock = Clock()
    open_sessions = some_sessions(clock)
    looked_at: list[tuple[str, float]] = []
    for address, pause in attempts:
        clock.now += pause
        try:
            assert open_sessions.log_in("wrong", address) == ""
        except TooMany:
            continue
        looked_at.append((address, clock.now))
    for address, at in looked_at:
        recent = [other for other, when in looked_at if at - 60 < when <= at]
        assert recent.count(address) <= sessions.ATTEMPTS and len(recent) <= sessions.ATTEMPTS_OF_ALL


def test_old_sessions_make_room() -> None:
    clock = Clock()
    open_sessions = some_sessions(clock)
    names = [open_sessions.log_in(ADMIN, "a") for _ in range(sessions._MOST + 5)]
    assert open_sessions.visitor(scope(names[0])) is None and open_sessions.visitor(scope(names[-1]))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (950, "950"), (12_345, "12.3 k"), (456_789, "457 k"), (1_234_567, "1.2 M"), (5_000_000_000, "5.0 G")],
)
def test_large_numbers_are_short(value: int, shown: str) -> None:
    assert status_view.short(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0 s"), (59.9, "60 s"), (61, "1 min"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")],
)
def test_durations_are_short(value: float, shown: str) -> None:
    assert status_view.duration(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(None, "–"), (0.0421, "42 ms"), (0.9999, "1.0 s"), (12.34, "12.3 s")])
def test_times_are_short(value: float | None, shown: str) -> None:
    assert status_view.seconds(value) == shown


def test_a_smoke_evaluation_is_not_shown_as_passed(root: Path) -> None:
    with Registry.open(root) as registry:
        version = registry.version("mayor", 1)
    assert version.evaluation
    smoke = replace(version, evaluation=replace(version.evaluation, smoke=True))
    for one, outcome, kind in ((version, "passed", "good"), (smoke, "smoke only", "open")):
        row = status_view.VersionView(one, False, False, False, 0, status_view.Numbers())
        assert (row.outcome, row.kind) == (outcome, kind)
