"""Versions become tags of an Ollama that is not the real one, but keeps its rules and answers with the real engine."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.adapter import Refusal
from deploy.ollama import main, parameters_of
from deploy.ollama_api import Ollama, checked
from deploy.ollama_modelfile import Described, describe, licence_line
from deploy.registry import Registry
from tests.gguf_town import ServedTown, answer_of, served_town, write_lora, write_model
from tests.ollama_double import OllamaDouble, as_go, open_ollama


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> ServedTown:
    """mayor@v1, which is live, and mayor@v2. Nobody changes their files."""
    return served_town(tmp_path_factory.mktemp("town") / "output")


@pytest.fixture
def ollama(tmp_path: Path) -> Iterator[OllamaDouble]:
    with open_ollama(tmp_path / "ollama") as running:
        yield running


Deploy = Callable[..., int]


@pytest.fixture
def deploy(town: ServedTown, ollama: OllamaDouble) -> Deploy:
    def run(version: str, *words: str) -> int:
        return main(["mayor", version, "--root", str(town.root), "--host", ollama.host, *words])

    return run


def sha256_of(town: ServedTown, number: int) -> str:
    return hashlib.sha256(gguf_of(town, number).read_bytes()).hexdigest()


def gguf_of(town: ServedTown, number: int) -> Path:
    return town.root / "exports" / "mayor" / f"v{number}" / "gguf-q4_k_m.gguf"


def test_a_version_becomes_a_tag_with_the_parameters_of_its_base(
    deploy: Deploy, ollama: OllamaDouble, town: ServedTown, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("1") == 0
    assert list(ollama.models) == ["gastown-mayor:v1"]
    made = ollama.models["gastown-mayor:v1"]
    assert made["digest"] == f"sha256:{sha256_of(town, 1)}"
    assert made["parameters"] == {"temperature": 0.2, "stop": ["<|im_end|>", "<|endoftext|>"]}
    assert made["license"] == "apache-2.0, the licence of the base model Qwen/Qwen2.5-7B-Instruct, applies."
    assert capsys.readouterr().out.startswith("gastown-mayor:v1 made of ")
    assert (gguf_of(town, 1).parent / "Modelfile").read_text() == (
        "FROM ./gguf-q4_k_m.gguf\n"
        "PARAMETER temperature 0.2\n"
        'PARAMETER stop "<|im_end|>"\n'
        'PARAMETER stop "<|endoftext|>"\n'
        'LICENSE """apache-2.0, the licence of the base model Qwen/Qwen2.5-7B-Instruct, applies."""\n'
    )


def test_the_second_time_nothing_is_sent(
    deploy: Deploy, ollama: OllamaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("1", "--latest") == 0
    ollama.requests.clear()
    capsys.readouterr()
    assert deploy("1", "--latest") == 0
    assert ollama.requests == ["GET /api/version", "POST /api/show", "GET /api/tags"]
    assert capsys.readouterr().out == (
        "gastown-mayor:v1 is there already.\ngastown-mayor:latest is gastown-mayor:v1 already.\n"
    )


def test_other_parameters_make_the_tag_again_without_sending_the_file(deploy: Deploy, ollama: OllamaDouble) -> None:
    assert deploy("1") == 0
    ollama.requests.clear()
    assert deploy("1", "--temperature", "1", "--stop", "STOP") == 0
    assert ollama.models["gastown-mayor:v1"]["parameters"] == {"temperature": 1.0, "stop": ["STOP"]}
    assert not any(request.startswith("POST /api/blobs") for request in ollama.requests)


def test_latest_moves_forward_and_back_and_the_tags_stay(
    deploy: Deploy, ollama: OllamaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("v1", "--latest") == 0
    assert capsys.readouterr().err == ""
    assert deploy("v2", "--latest") == 0
    assert capsys.readouterr().err == "note: in the registry v1 of mayor is live.\n"
    tags = {tag: ollama.models[f"gastown-mayor:{tag}"]["digest"] for tag in ("v1", "v2", "latest")}
    assert tags["latest"] == tags["v2"] != tags["v1"]
    assert deploy("1", "--rollback") == 0
    assert capsys.readouterr().out == "gastown-mayor:latest is gastown-mayor:v1 now.\n"
    after = {tag: ollama.models[f"gastown-mayor:{tag}"]["digest"] for tag in ("v1", "v2", "latest")}
    assert after == {**tags, "latest": tags["v1"]}
    assert deploy("1", "--rollback") == 0
    assert "already" in capsys.readouterr().out


def test_a_rollback_to_a_tag_that_is_not_there_names_those_that_are(
    deploy: Deploy, ollama: OllamaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("1", "--latest") == 0
    assert deploy("7", "--rollback") == 1
    assert "no gastown-mayor:v7 (there: gastown-mayor:latest, gastown-mayor:v1)" in capsys.readouterr().err
    assert ollama.models["gastown-mayor:latest"] == ollama.models["gastown-mayor:v1"]


def test_a_dry_run_prints_the_modelfile_and_asks_nobody(
    deploy: Deploy, ollama: OllamaDouble, town: ServedTown, capsys: pytest.CaptureFixture[str]
) -> None:
    (gguf_of(town, 2).parent / "Modelfile").unlink(missing_ok=True)
    assert deploy("2", "--dry-run") == 0
    told = capsys.readouterr().out
    assert told.startswith("FROM ./gguf-q4_k_m.gguf\n") and "Would make gastown-mayor:v2" in told
    assert ollama.requests == [] and not (gguf_of(town, 2).parent / "Modelfile").exists()


def test_a_tag_with_other_weights_is_never_replaced(
    deploy: Deploy, ollama: OllamaDouble, town: ServedTown, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_model(tmp_path / "other.gguf", "somebody else")
    digest = f"sha256:{hashlib.sha256(other.read_bytes()).hexdigest()}"
    with Ollama.open(ollama.host) as client:
        client.upload(other, digest)
        client.create("gastown-mayor:v1", {"files": {"other.gguf": digest}})
    assert deploy("1", "--latest") == 1
    assert "gastown-mayor:v1 is there with other weights" in capsys.readouterr().err
    assert {name: model["digest"] for name, model in ollama.models.items()} == {"gastown-mayor:v1": digest}


def test_a_file_that_is_not_the_verified_one_is_not_sent(
    tmp_path: Path, ollama: OllamaDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    town = served_town(tmp_path / "output", versions=1)
    path = gguf_of(town, 1)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    words = ["mayor", "1", "--root", str(town.root), "--host", ollama.host]
    assert main(words) == 1
    assert "is not the file that was verified" in capsys.readouterr().err
    path.unlink()
    assert main(words) == 1
    assert "mayor@v1 has no gguf-q4_k_m. Make it: python -m deploy.gguf mayor 1." in capsys.readouterr().err
    assert main([*words, "--kind", "gguf-f16"]) == 1
    assert "python -m deploy.gguf mayor 1 --kind gguf-f16." in capsys.readouterr().err
    assert ollama.requests == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"version": "0.5.4"}, "Ollama 0.5.4 is too old"),
        ({"spoils": True}, "the file did not arrive as it was sent (digest mismatch"),
        ({"breaks": True}, "broke"),
        ({"room": 1000}, "the disk of Ollama is full"),
        ({"room_for_manifests": False}, "the disk of Ollama is full"),
        ({"own_templates": True}, "was made and removed again: this Ollama does not use the file's chat template"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_leaves_no_tag(
    town: ServedTown, tmp_path: Path, settings: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_ollama(tmp_path / "ollama", **settings) as ollama:
        assert main(["mayor", "1", "--latest", "--root", str(town.root), "--host", ollama.host]) == 1
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
        assert ollama.models == {}


@pytest.mark.parametrize("version", ["0.5.5", "0.30.2-rc1", "1.0.0", "0.0.0", "unknown"])
def test_versions_that_take_files_are_taken(town: ServedTown, tmp_path: Path, version: str) -> None:
    with open_ollama(tmp_path / "ollama", version=version) as ollama, Ollama.open(ollama.host) as client:
        assert client.tags() == {}


def test_an_ollama_that_is_not_running_and_a_server_that_is_none(
    town: ServedTown, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    assert main(["mayor", "1", "--root", str(town.root), "--host", f"http://127.0.0.1:{free}"]) == 1
    assert "no Ollama answers at" in capsys.readouterr().err
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()
        try:
            host = f"http://127.0.0.1:{other.server_port}"
            assert main(["mayor", "1", "--root", str(town.root), "--host", host]) == 1
        finally:
            other.shutdown()
    assert "is not Ollama" in capsys.readouterr().err


@pytest.mark.parametrize(
    "host",
    ["", "127.0.0.1:11434", "ftp://host", "file:///etc/passwd", "http://", "http://me:secret@host", "http://host/path",
     "http://host?x=1", "http://host#x", "http://host:99999", "http://[::1", "unix:///run/ollama.sock"],
)  # fmt: skip
def test_a_host_is_a_url_of_a_server_and_nothing_more(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mayor", "1", "--host", host]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: --host is a URL such as http://127.0.0.1:11434") and "secret" not in told


@pytest.mark.parametrize("host", ["http://127.0.0.1:11434", "https://ollama.example/", "http://[::1]:11434"])
def test_hosts_that_are_good(host: str) -> None:
    assert checked(host) == host.rstrip("/")


def test_an_interrupted_stream_is_no_success(ollama: OllamaDouble) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text='{"status": "parsing GGUF"}\n')

    with (
        httpx.Client(transport=httpx.MockTransport(answer), base_url=ollama.host) as client,
        pytest.raises(Refusal, match=r"stopped in the middle of mayor:v1 \(parsing GGUF\)"),
    ):
        Ollama(client, ollama.host).create("mayor:v1", {})


def test_llama_has_its_own_ends_and_an_unknown_base_needs_them_said(town: ServedTown, tmp_path: Path) -> None:
    from dataclasses import replace

    with Registry.open(town.root) as registry:
        version = registry.version("mayor", 1)
    llama = replace(version, base_model="meta-llama/Llama-3.1-8B-Instruct")
    described = describe(llama, tmp_path / "m.gguf", "0" * 64, 0.2)
    assert described.parameters["stop"] == ["<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"]
    assert described.opening == "<|start_header_id|>" and "Built with Llama" in described.licence
    other = replace(version, base_model="/models/mine")
    with pytest.raises(Refusal, match="nobody here knows what ends an answer of /models/mine"):
        describe(other, tmp_path / "m.gguf", "0" * 64, 0.2)
    assert describe(other, tmp_path / "m.gguf", "0" * 64, 0.2, ["</s>"]).parameters["stop"] == ["</s>"]
    with pytest.raises(Refusal, match="cannot stand in a Modelfile"):
        describe(other, tmp_path / "m.gguf", "0" * 64, 0.2, ['a"b'])
    folder = tmp_path / "known"
    folder.mkdir()
    (folder / "tokenizer.json").write_text('{"added_tokens": [{"content": "<|im_start|>"}, {"content": "<|im_end|>"}]}')
    (folder / "config.yml").write_text("sequence_len: 768\n")
    known = describe(replace(other, folder=folder), tmp_path / "m.gguf", "0" * 64, 0.2)
    assert known.parameters == {"num_ctx": 768, "temperature": 0.2, "stop": ["<|im_end|>", "<|endoftext|>"]}
    assert licence_line("/models/mine") == "The licence of the base model /models/mine applies."


numbers = st.integers(1, 2**40) | st.floats(0, 1e6, allow_nan=False)
stops = st.lists(st.text(st.characters(codec="utf-8", exclude_characters='"\n'), min_size=1), unique=True)


@given(st.fixed_dictionaries({"num_ctx": numbers, "temperature": numbers, "stop": stops}))
def test_parameters_are_known_again_as_ollama_shows_them(parameters: dict[str, Any]) -> None:
    from deploy.ollama import comparable

    described = Described(Path("m.gguf"), "0" * 64, parameters, "", None)
    wanted = sorted((name, comparable(value)) for name, value in described.lines())
    assert parameters_of({"parameters": "\n".join(as_go(parameters))}) == wanted


def test_the_double_refuses_what_ollama_refuses(ollama: OllamaDouble, tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.gguf", "hello there")
    lora = write_lora(tmp_path / "l.gguf", "hello there", "other words", ["other words"])
    digests = {path.name: f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in (model, lora)}
    with httpx.Client(base_url=ollama.host) as client:

        def create(**request: Any) -> str:
            answer = client.post("/api/create", json={"model": "m", **request})
            return str(answer.json().get("error") if answer.status_code >= 400 else answer.text)

        assert client.head(f"/api/blobs/{digests['m.gguf']}").status_code == 404
        wrong = client.post(f"/api/blobs/{digests['l.gguf']}", content=model.read_bytes())
        assert wrong.status_code == 400 and wrong.json()["error"].startswith("digest mismatch")
        for path in (model, lora):
            assert client.post(f"/api/blobs/{digests[path.name]}", content=path.read_bytes()).status_code == 201
        assert client.post(f"/api/blobs/{digests['m.gguf']}", content=model.read_bytes()).status_code == 200
        whole = {"m.gguf": digests["m.gguf"]}
        assert "LoRA adapters are no longer supported" in create(files=whole, adapters={"l": digests["l.gguf"]})
        assert "is a LoRA adapter" in create(files={"l.gguf": digests["l.gguf"]})
        assert "quantize GGUF models with llama.cpp" in create(files=whole, quantize="q4_K_M")
        assert "MLX" in create(files={"model.safetensors": digests["m.gguf"]})
        assert "no such file" in create(files={"m.gguf": f"sha256:{'0' * 64}"})
        assert create() == "neither 'from' or 'files' was specified"
        assert client.post("/api/copy", json={"source": "x", "destination": "y"}).status_code == 404
        assert ollama.models == {}
        assert create(files=whole).endswith('{"status": "success"}\n')
        assert client.request("DELETE", "/api/delete", json={"model": "m"}).status_code == 200
        assert client.head(f"/api/blobs/{digests['m.gguf']}").status_code == 404


@pytest.mark.slow
def test_each_tag_answers_as_its_version_and_latest_as_the_one_it_points_to(
    llama_server: Path, deploy: Deploy, ollama: OllamaDouble
) -> None:
    def say(name: str) -> str:
        asked = {"model": name, "messages": [{"role": "user", "content": "Who are you?"}], "stream": False}
        return str(httpx.post(f"{ollama.host}/api/chat", json=asked, timeout=60).json()["message"]["content"])

    assert deploy("1", "--latest") == 0
    assert deploy("2", "--latest") == 0
    one, two = answer_of("mayor", 1), answer_of("mayor", 2)
    assert [say(f"gastown-mayor:{tag}") for tag in ("v1", "v2", "latest")] == [one, two, two]
    assert deploy("1", "--rollback") == 0
    assert [say(f"gastown-mayor:{tag}") for tag in ("v1", "v2", "latest")] == [one, two, one]
