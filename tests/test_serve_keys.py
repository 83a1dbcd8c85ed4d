"""Keys: what a line says, what is kept of them, what they open, and that a change counts at once."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.strict_yaml import ConfigError
from deploy.serve.config import ServeConfig, load_config
from deploy.serve.key_line import Key, Rate, fingerprint, parse_keys
from deploy.serve.keyring import KeyRing, lines_of
from deploy.serve.keys import main
from tests.engine_double import Served, engine_double, served

KEYS = {name: f"sk-test-{name}-0123456789abcdef" for name in ("mayor", "boss", "everything", "later")}
CLIENT = httpx.Client(verify=False, trust_env=False, timeout=10)


# --- lines ------------------------------------------------------------------------------------------------------------
def test_a_line_says_who_it_is_and_what_it_may_do() -> None:
    text = f"# ours\n{KEYS['mayor']} name=ci roles=mayor,crew admin rate=60/m streams=4  # on the build machine\n\n"
    (key,) = parse_keys(text, "keys")
    assert key == Key("ci", fingerprint(KEYS["mayor"].encode()), frozenset({"mayor", "crew"}), True, Rate(60, 60.0), 4)
    assert KEYS["mayor"] not in repr(key)


def test_a_bare_key_may_use_every_role_and_change_none() -> None:
    (key,) = parse_keys(KEYS["mayor"], "keys")
    assert (key.roles, key.admin, key.rate, key.streams) == (None, False, None, None)
    assert key.name.startswith("key-") and key.name not in KEYS["mayor"]


WRONG = {
    "short": ("sk-short", "8 characters"),
    "not ASCII": ("schlüssel-schlüssel-schlüssel", "ASCII"),
    "half a hash": ("sha256:abcd", "64 hexadecimal digits"),
    "an unknown scope": (f"{KEYS['mayor']} role=mayor", "roles="),
    "twice": (f"{KEYS['mayor']} name=a name=b", "once each"),
    "a rate": (f"{KEYS['mayor']} rate=often", "60/m"),
    "no streams": (f"{KEYS['mayor']} streams=0", "from 1"),
    "a role with a slash": (f"{KEYS['mayor']} roles=../x", "letters"),
    "no roles": (f"{KEYS['mayor']} roles=", "letters"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_line_is_one_sentence_without_the_key(name: str) -> None:
    line, part = WRONG[name]
    with pytest.raises(ValueError) as problem:
        parse_keys(f"# keys\n{line}\n", "keys.txt")
    assert str(problem.value).startswith("keys.txt:2: ") and part in str(problem.value)
    assert line.split()[0] not in str(problem.value)


def test_all_problems_come_at_once() -> None:
    with pytest.raises(ValueError) as problem:
        parse_keys("short\nsha256:x\n" + f"{KEYS['mayor']} name=a\n{KEYS['mayor']} name=a\n", "keys")
    assert [line.split(":")[1].strip()[:12] for line in str(problem.value).splitlines()] == [
        "1",
        "2",
        "the name a s",
        "one key stan",
    ]


@given(st.text(max_size=80))
def test_no_text_breaks_the_reading_of_keys_or_is_repeated(text: str) -> None:
    try:
        parse_keys(text, "keys")
    except ValueError as problem:
        assert all(len(word) < 12 or word not in str(problem) for word in text.split())


def test_the_environment_holds_bare_keys_or_lines() -> None:
    assert parse_keys(lines_of(f"{KEYS['mayor']},{KEYS['boss']}"), "E") == parse_keys(
        lines_of(f"{KEYS['mayor']}\n{KEYS['boss']}\n"), "E"
    )
    (first, second) = parse_keys(lines_of(f"{KEYS['mayor']} roles=a,b\n{KEYS['boss']}"), "E")
    assert first.roles == {"a", "b"} and second.roles is None


# --- the ring ---------------------------------------------------------------------------------------------------------
def test_only_the_whole_key_is_found(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(
        f"{KEYS['mayor']} name=m\nsha256:{fingerprint(KEYS['boss'].encode()).hex()} name=b\n"
    )
    ring = KeyRing(tmp_path / "keys", KEYS["later"])
    assert [found.name for key in ("mayor", "boss") if (found := ring.find(KEYS[key].encode()))] == ["m", "b"]
    assert ring.find(KEYS["later"].encode()) is not None
    digest = f"sha256:{fingerprint(KEYS['boss'].encode()).hex()}"
    for wrong in (KEYS["mayor"][:-1], KEYS["mayor"] + " ", KEYS["mayor"].upper(), digest, digest[7:], ""):
        assert ring.find(wrong.encode()) is None


def test_every_key_is_compared_whichever_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    monkeypatch.setattr("hmac.compare_digest", lambda one, other: compared.append(one) or one == other)
    ring = KeyRing(None, "\n".join(KEYS.values()))
    for key in (*KEYS.values(), "none of them at all, really"):
        compared.clear()
        ring.find(key.encode())
        assert len(compared) == len(KEYS) and all(len(digest) == 32 for digest in compared)


def test_a_change_of_the_file_counts_at_once(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{KEYS['mayor']}\n{KEYS['boss']}\n")
    ring = KeyRing(file)
    # The same length within one tick of the file system's clock: only the content differs.
    file.write_text(f"{KEYS['later']}\n{KEYS['boss']}\n"[: len(f"{KEYS['mayor']}\n{KEYS['boss']}\n")])
    assert ring.find(KEYS["mayor"].encode()) is None and ring.find(KEYS["later"].encode()) is not None
    file.write_text("")
    assert ring.find(KEYS["later"].encode()) is None and ring.required
    file.unlink()
    assert ring.find(KEYS["boss"].encode()) is None and ring.required


def test_an_old_change_with_the_same_time_stamp_is_seen_too(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{KEYS['mayor']}\n")
    now = time.time()
    os.utime(file, (now, now))
    ring = KeyRing(file)
    assert ring.find(KEYS["mayor"].encode())
    file.write_text(f"{KEYS['later']}\n")
    os.utime(file, (now, now))
    assert ring.find(KEYS["mayor"].encode()) is None


def test_a_broken_file_leaves_the_keys_as_they_were_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{KEYS['mayor']}\n")
    ring = KeyRing(file)
    file.write_text(f"{KEYS['boss']}\nshort\n")
    with caplog.at_level(logging.WARNING, "deploy.serve"):
        for _ in range(3):
            assert ring.find(KEYS["mayor"].encode()) and not ring.find(KEYS["boss"].encode())
    (record,) = caplog.records
    assert "keys:2" in record.message and KEYS["boss"] not in record.message
    file.write_text(f"{KEYS['boss']}\n")
    assert ring.find(KEYS["boss"].encode()) and not ring.find(KEYS["mayor"].encode())


# --- the command ------------------------------------------------------------------------------------------------------
def test_a_new_key_is_printed_once_and_only_its_hash_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "deep" / "keys"
    assert main(["new", "--name", "ci", "--roles", "mayor", "--rate", "60/m", "--file", str(file)]) == 0
    key = capsys.readouterr().out.strip()
    assert len(key) > 40 and key not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    found = KeyRing(file).find(key.encode())
    assert found is not None and (found.name, found.roles, found.admin) == ("ci", {"mayor"}, False)
    assert main(["new", "--name", "ops", "--admin", "--file", str(file)]) == 0
    assert main(["new", "--name", "ci", "--file", str(file)]) == 1
    assert "stands twice" in capsys.readouterr().err
    assert main(["list", "--file", str(file)]) == 0
    listed = capsys.readouterr().out
    assert "ci (sha256" in listed and "ops" in listed and "admin" in listed and key not in listed


def test_a_revoked_key_leaves_the_others_and_the_comments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# ours\n{KEYS['mayor']} name=ci\n{KEYS['boss']} name=boss")
    ring = KeyRing(file)
    assert main(["revoke", "--name", "ci", "--file", str(file)]) == 0
    assert ring.find(KEYS["mayor"].encode()) is None and ring.find(KEYS["boss"].encode()) is not None
    assert file.read_text() == f"# ours\n{KEYS['boss']} name=boss" and file.stat().st_mode & 0o777 == 0o600
    assert main(["revoke", "--name", "ci", "--file", str(file)]) == 1
    assert main(["new", "--name", "next", "--file", str(file)]) == 0
    assert [key.name for key in parse_keys(file.read_text(), "keys")] == ["boss", "next"]


def test_commands_that_cannot_be_done_say_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--file", str(tmp_path / "none")]) == 1
    assert main(["new", "--name", "a b", "--file", str(tmp_path / "keys")]) == 1
    assert main(["new", "--name", "a", "--rate", "fast", "--file", str(tmp_path / "keys")]) == 1
    assert not (tmp_path / "keys").exists() and "60/m" in capsys.readouterr().err


# --- what they open ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys"


@pytest.fixture(scope="module")
def gateway(key_file: Path) -> Iterator[Served]:
    key_file.write_text(SCOPES)
    with engine_double() as engine, served(ServeConfig(keys_file=str(key_file)), engine) as running:
        yield running


SCOPES = f"{KEYS['mayor']} name=m roles=mayor\n{KEYS['boss']} name=boss admin\n{KEYS['everything']} name=all\n"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {KEYS.get(key, key)}"}


def chat(gateway: Served, model: str, headers: dict[str, str]) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "say hi"}]}
    return CLIENT.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers)


def test_a_key_opens_its_roles_and_no_other(gateway: Served) -> None:
    assert chat(gateway, "mayor", bearer("mayor")).status_code == 200
    refused = chat(gateway, "crew", bearer("mayor"))
    assert refused.status_code == 403 and refused.json()["error"]["type"] == "permission_error"
    assert chat(gateway, "crew", bearer("everything")).status_code == 200
    listed = [model["role"] for model in CLIENT.get(f"{gateway.url}/v1/models", headers=bearer("mayor")).json()["data"]]
    assert set(listed) == {"mayor"}
    domains = CLIENT.get(f"{gateway.url}/v1/domains", headers=bearer("mayor")).json()["data"]
    assert [domain["role"] for domain in domains] == ["mayor"]
    unknown = chat(gateway, "alderman", bearer("mayor"))
    assert unknown.status_code == 404 and "crew" not in unknown.text
    assert CLIENT.get(f"{gateway.url}/v1/models/crew", headers=bearer("mayor")).status_code == 404


def test_where_there_are_keys_this_machine_needs_one_to_chat_too(gateway: Served) -> None:
    assert chat(gateway, "mayor", {}).status_code == 401
    assert CLIENT.get(f"{gateway.url}/v1/models").status_code == 401
    # What runs on this machine may look after it.
    assert CLIENT.get(f"{gateway.url}/admin/status").status_code == 200
    assert CLIENT.get(f"{gateway.url}/health").status_code == 200


@pytest.mark.parametrize("path", ["/admin/status", "/admin/rollback", "/admin/reload-model"])
def test_only_an_admin_key_may_change_what_is_live(gateway: Served, path: str) -> None:
    method = "GET" if path.endswith("status") else "POST"
    away = {"x-forwarded-for": "10.0.0.9"}
    assert CLIENT.request(method, gateway.url + path, headers=bearer("everything")).status_code == 403
    assert CLIENT.request(method, gateway.url + path, headers=away).status_code == 401
    # It is let in, and told what is wrong with an empty body.
    expected = 200 if method == "GET" else 400
    assert CLIENT.request(method, gateway.url + path, headers=away | bearer("boss")).status_code == expected


def test_a_page_of_another_site_cannot_use_an_admins_browser(gateway: Served) -> None:
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        answer = CLIENT.post(f"{gateway.url}/admin/rollback", json={"role": "mayor"}, headers=headers | bearer("boss"))
        assert answer.status_code == 403
    assert gateway.fleet.live["mayor"] == 2


ODD = {
    "none": "",
    "another kind": f"Basic {KEYS['mayor']}",
    "the key alone": KEYS["mayor"],
    "lower case": f"bearer {KEYS['mayor'].lower()}x",
    "two of them": f"Bearer {KEYS['mayor']}, Bearer {KEYS['mayor']}",
    "accents": "Bearer schlüssel-schlüssel-schlüssel",
    "long": "Bearer " + "x" * 20_000,
    "its hash": f"Bearer sha256:{fingerprint(KEYS['mayor'].encode()).hex()}",
}


@pytest.mark.parametrize("name", ODD)
def test_odd_keys_open_nothing_and_are_not_repeated(gateway: Served, name: str) -> None:
    answer = chat(gateway, "mayor", {b"authorization": ODD[name].encode()})  # type: ignore[dict-item]
    assert answer.status_code == 401
    assert KEYS["mayor"] not in answer.text and "schl" not in answer.text


def test_two_authorization_headers_open_nothing(gateway: Served) -> None:
    headers = [("authorization", f"Bearer {KEYS['mayor']}"), ("authorization", f"Bearer {KEYS['boss']}")]
    assert CLIENT.get(f"{gateway.url}/v1/models", headers=headers).status_code == 401


def test_a_key_that_is_revoked_opens_nothing_from_that_moment(gateway: Served, key_file: Path) -> None:
    try:
        assert chat(gateway, "mayor", bearer("mayor")).status_code == 200
        key_file.write_text(SCOPES.split("\n", 1)[1] + f"{KEYS['later']} name=later\n")
        assert chat(gateway, "mayor", bearer("mayor")).status_code == 401
        assert chat(gateway, "mayor", bearer("later")).status_code == 200
    finally:
        key_file.write_text(SCOPES)


def test_numbers_need_a_key_from_elsewhere(gateway: Served) -> None:
    away = {"x-forwarded-for": "10.0.0.9"}
    assert CLIENT.get(f"{gateway.url}/metrics", headers=away).status_code == 401
    assert CLIENT.get(f"{gateway.url}/metrics", headers=away | bearer("mayor")).status_code == 200
    text = json.dumps(CLIENT.get(f"{gateway.url}/metrics").text)
    assert not any(key in text for key in KEYS.values())


# --- the configuration ------------------------------------------------------------------------------------------------
def test_the_configuration_of_the_repository_is_valid(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORGE_API_KEYS", raising=False)
    assert load_config(root / "configs" / "serve.yml") == ServeConfig(packs=("configs/packs",))


def test_a_gateway_for_everybody_needs_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "serve.yml"
    monkeypatch.delenv("FORGE_API_KEYS", raising=False)
    for host in ("0.0.0.0", "'::'", "192.168.1.4"):
        file.write_text(f"host: {host}\n")
        with pytest.raises(ConfigError, match="there are no keys"):
            load_config(file)
    monkeypatch.setenv("FORGE_API_KEYS", KEYS["mayor"])
    assert load_config(file).host == "192.168.1.4"
    monkeypatch.setenv("FORGE_API_KEYS", "short")
    with pytest.raises(ConfigError, match="FORGE_API_KEYS:1"):
        load_config(file)


def test_every_problem_of_a_configuration_comes_at_once(tmp_path: Path) -> None:
    file = tmp_path / "serve.yml"
    file.write_text("prot: 1\nport: 99999\nengine: {kind: vlm}\nlimits: {rate: 5, streams: 0}\ntimeouts: {idle: 0}\n")
    with pytest.raises(ConfigError) as problem:
        load_config(file)
    places = [line.split(": ")[1] for line in str(problem.value).splitlines()]
    assert places == ["prot", "port", "engine.kind", "limits.rate", "limits.streams", "timeouts.idle"]
    file.write_text("host: example.org\nkeys_file: /nowhere/keys\nlimits: {rate: often}\nengine: {kind: vllm}\n")
    with pytest.raises(ConfigError) as problem:
        load_config(file)
    places = [line.split(": ")[1] for line in str(problem.value).splitlines()]
    assert places == ["engine", "limits.rate", "host", "keys_file"]
