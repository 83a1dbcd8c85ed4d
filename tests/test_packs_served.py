"""What a pack says about serving holds: names and sampling in the gateway, tags and parameters in Ollama."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from configs.strict_yaml import ConfigError
from deploy.ollama import main
from deploy.pack import Serving, read_pack, read_packs
from deploy.serve.__main__ import serve
from deploy.serve.config import ServeConfig, load_config
from deploy.serve.fleet import EngineFleet
from deploy.serve.names import names
from tests.engine_double import Served, engine_double, served
from tests.gguf_town import ServedTown, served_town
from tests.ollama_double import open_ollama
from tests.registry_town import make_town
from tests.test_serve_fleet import Pretended, promote

CLIENT = httpx.Client(verify=False, trust_env=False, timeout=10)
SERVING = {"temperature": 0.8, "top_p": 0.95, "num_ctx": 2048}
roles = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
prefixes = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,12}", fullmatch=True)


def write(folder: Path, name: str = "mayor", **changed: Any) -> Path:
    """A pack, as far as deploy reads one."""
    folder.mkdir(exist_ok=True)
    keys = {"model_prefix": f"forge-{name}", "serving": SERVING, "sources": [], "roles": {}} | changed
    file = folder / f"{name}.yml"
    file.write_text(yaml.safe_dump({key: value for key, value in keys.items() if value is not None}))
    return file


@given(roles, prefixes, prefixes, st.lists(st.integers(1, 99), unique=True, max_size=3))
def test_a_role_is_called_by_its_packs_name_in_place_of_the_towns(
    role: str, prefix: str, own: str, served: list[int]
) -> None:
    known = list(names(role, 7, served, prefix, {role: own}))
    assert len(dict(known)) == len(known)  # no name stands twice in a list of models
    assert dict(known) == {
        **dict.fromkeys((role, own, f"{own}:latest"), (role, 7)),
        **{name: (role, n) for n in served for name in (f"{role}@v{n}", f"{role}@{n}", f"{own}:v{n}")},
    }
    others = dict(names(role, 7, served, prefix, {f"{role}x": own}))
    assert f"{prefix}-{role}:latest" in others


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"model_prefix": None}, "mayor.yml: model_prefix: expected `str`, got `null`."),
        ({"model_prefix": "The Mayor"}, "mayor.yml: model_prefix: expected `str` matching regex"),
        ({"serving": {"temperature": 3}}, "mayor.yml: serving.temperature: expected `float` <= 2.0."),
        ({"serving": {"top_p": 0}}, "mayor.yml: serving.top_p: expected `float` > 0.0."),
        ({"serving": {"num_ctx": 4.5}}, "mayor.yml: serving.num_ctx: expected `int | null`, got `float`."),
        ({"serving": {"temprature": 1}}, "mayor.yml: serving: object contains unknown field `temprature`."),
    ],
)
def test_a_pack_that_cannot_be_served_is_a_sentence(tmp_path: Path, changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_pack(write(tmp_path, **changed))
    (problem,) = error.value.problems
    assert sentence in problem


def test_two_packs_of_one_name_and_a_missing_file_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, "legal", model_prefix="forge")
    write(tmp_path, "medical", model_prefix="forge")
    with pytest.raises(ConfigError) as error:
        read_packs([str(tmp_path), str(tmp_path / "none.yml")])
    assert list(error.value.problems) == [
        f"{tmp_path}/none.yml: no such file.",
        "model_prefix: forge would mean legal and medical. Give one of the packs another one.",
    ]


def test_the_packs_of_the_repository_are_served_as_they_say(root: Path) -> None:
    packs = read_packs([str(root / "configs" / "packs")])
    assert packs["companion"].model_prefix == "companion"
    assert packs["legal"].serving == Serving(temperature=0.3, top_p=0.9, num_ctx=4096)
    assert len(packs) == 6


def test_the_gateways_configuration_names_what_is_wrong_with_a_pack(tmp_path: Path) -> None:
    write(tmp_path, serving={"top_p": 2})
    file = tmp_path / "serve.yaml"
    file.write_text(f"packs: [{tmp_path}]\nport: 0\n")
    with pytest.raises(ConfigError) as error:
        load_config(file)
    assert len(error.value.problems) == 1  # types first
    file.write_text(f"packs: [{tmp_path}]\n")
    with pytest.raises(ConfigError, match=r"packs: .*mayor\.yml: serving\.top_p"):
        load_config(file)


def test_a_pack_that_wants_longer_chats_than_the_engine_takes_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[tuple[Any, ...]] = []
    monkeypatch.setattr("deploy.serve.fleet.open_fleet", lambda *words: opened.append(words))
    monkeypatch.setattr("deploy.serve.__main__.run", lambda *_: 0)
    write(tmp_path, serving={"num_ctx": 8192})
    write(tmp_path, "crew", serving={"num_ctx": 4096})
    (tmp_path / "serve.yaml").write_text(f"packs: [{tmp_path}]\n")
    assert serve(tmp_path / "serve.yaml") == 0
    assert capsys.readouterr().err == ("note: the pack mayor wants chats of 8192 tokens; engine.context allows 4096.\n")
    assert opened[0][-1] == {"crew": "forge-crew", "mayor": "forge-mayor"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway whose mayor is a pack, and whose crew is none."""
    write(folder := tmp_path_factory.mktemp("packs"))
    with engine_double() as engine, served(ServeConfig(packs=(str(folder),)), engine) as running:
        yield running


def asked(gateway: Served, model: str, **more: Any) -> dict[str, Any]:
    """What the engine was asked for a request."""
    request = {"model": model, "messages": [{"role": "user", "content": "say yes"}], **more}
    assert CLIENT.post(f"{gateway.url}/v1/chat/completions", json=request).status_code == 200
    seen: dict[str, Any] = gateway.engine.requests[-1]
    return {key: value for key, value in seen.items() if key in ("temperature", "top_p")}


@pytest.mark.parametrize(
    ("model", "more", "sampling"),
    [
        ("mayor", {}, {"temperature": 0.8, "top_p": 0.95}),
        ("mayor", {"temperature": 0}, {"temperature": 0, "top_p": 0.95}),
        ("mayor", {"temperature": 1.5, "top_p": 0.1}, {"temperature": 1.5, "top_p": 0.1}),
        ("mayor", {"temperature": None}, {"temperature": 0.8, "top_p": 0.95}),
        ("crew", {}, {}),
    ],
)
def test_a_request_that_says_no_sampling_gets_its_packs(
    gateway: Served, model: str, more: dict[str, Any], sampling: dict[str, Any]
) -> None:
    assert asked(gateway, model, **more) == sampling


def test_the_list_of_models_has_the_packs_name(gateway: Served) -> None:
    listed = {model["id"]: model["role"] for model in CLIENT.get(f"{gateway.url}/v1/models").json()["data"]}
    assert listed["forge-mayor:latest"] == "mayor" and listed["gastown-crew:latest"] == "crew"
    assert not any(name.startswith("gastown-mayor") for name in listed)
    assert CLIENT.get(f"{gateway.url}/v1/models/forge-mayor:latest").json()["version"] == 2


def test_the_fleet_answers_to_the_packs_name(tmp_path: Path) -> None:
    town = make_town(tmp_path, ["mayor"])
    town.registered(seed=1)
    promote(town, 1)

    async def run() -> tuple[str, int]:
        fleet = EngineFleet(Pretended(), town.root, "gastown", packs={"mayor": "chief"})
        await fleet.start()
        try:
            with fleet.lease("chief:latest") as lease:
                return lease.role, lease.version
        finally:
            await fleet.stop()

    assert asyncio.run(asyncio.wait_for(run(), 60)) == ("mayor", 1)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> ServedTown:
    return served_town(tmp_path_factory.mktemp("town") / "output")


def test_ollama_gets_the_packs_name_and_parameters(
    town: ServedTown, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = write(tmp_path)
    with open_ollama(tmp_path / "ollama") as ollama:
        words = ["mayor", "1", "--root", str(town.root), "--host", ollama.host, "--pack", str(pack)]
        assert main([*words, "--latest"]) == 0
        assert set(ollama.models) == {"forge-mayor:v1", "forge-mayor:latest"}
        assert ollama.models["forge-mayor:v1"]["parameters"] == {
            "num_ctx": 2048,
            "temperature": 0.8,
            "top_p": 0.95,
            "stop": ["<|im_end|>", "<|endoftext|>"],
        }
        modelfile = town.root / "exports" / "mayor" / "v1" / "Modelfile"
        assert "PARAMETER num_ctx 2048\nPARAMETER top_p 0.95\nPARAMETER temperature 0.8\n" in modelfile.read_text()
        assert main([*words, "--temperature", "0"]) == 0
        assert ollama.models["forge-mayor:v1"]["parameters"]["temperature"] == 0
        capsys.readouterr()
        assert main([*words[:-1], str(write(tmp_path, "crew"))]) == 1
        assert capsys.readouterr().err == (
            f"error: {tmp_path}/crew.yml is the pack of crew, not of mayor. Give the other file.\n"
        )
