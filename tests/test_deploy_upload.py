"""deploy.upload_hf as a person runs it, with the real Hub client against a Hub on 127.0.0.1."""

from __future__ import annotations

import hashlib
import json
import os
import random
import string
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.card import ROW_FILE
from deploy.upload_hf import main
from tests.hub_double import HubDouble, Repository, open_hub, use_hub

REPOSITORY = Path(__file__).parent.parent
TOKEN = "hf_" + "".join(random.Random(1).choices(string.ascii_letters, k=34))
CONFIG_YAML = """
base_model: output/smoke/base
adapter: lora
learning_rate: 0.002
lr_scheduler: cosine
sequence_len: 768
micro_batch_size: 16
gradient_accumulation_steps: 1
seed: 42
output_dir: /home/somebody/lora-forge/output/checkpoints/mayor
"""


@pytest.fixture
def hub() -> Iterator[HubDouble]:
    with open_hub(**{TOKEN: {"my-town"}}) as running:
        yield running


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A folder as configs.runs.check leaves it, plus what Axolotl would leave beside it."""
    folder = tmp_path / "mayor"
    folder.mkdir()
    write_json(folder / "adapter_config.json", adapter_config("output/smoke/base"))
    (folder / "adapter_model.safetensors").write_bytes(safetensors(seed=1))
    write_json(folder / "tokenizer.json", {"model": {"vocab": {"/usr": 0, "/home": 1, "alex": 2}}})
    write_json(folder / "tokenizer_config.json", {"name_or_path": "/home/somebody/base", "local_files_only": True})
    (folder / "chat_template.jinja").write_text("{{ '<tool_call>' }}</tool_call>", encoding="utf-8")
    write_json(folder / "run.json", run_record())
    (folder / "README.md").write_text("dataset: /home/somebody/secret.jsonl", encoding="utf-8")
    (folder / "debug.log").write_text("noise", encoding="utf-8")
    (folder / "checkpoint-75").mkdir()
    return folder


def adapter_config(base: str) -> dict[str, Any]:
    modules = ["v_proj", "q_proj"]
    return {"base_model_name_or_path": base, "r": 8, "lora_alpha": 16, "lora_dropout": 0.05, "target_modules": modules}


def run_record() -> dict[str, Any]:
    rows = {"rows": 412, "tokens": 123456, "trained_tokens": 34567, "longest": 700, "sha256": "0" * 64}
    return {
        "config": CONFIG_YAML,
        "data": [{"path": f"output/datasets/mayor_{split}.jsonl", **rows} for split in ("train", "val")],
        "versions": {"axolotl": "0.19.0", "bitsandbytes": None},
        "outcome": {
            "steps": 150,
            "max_steps": 150,
            "epochs": 5.8,
            "early_stopped": False,
            "first_loss": 2.5,
            "last_loss": 0.125,
            "eval_losses": [[75, 0.5], [150, 0.25]],
        },
    }


def data_manifest(digest: str) -> dict[str, Any]:
    files = {f"mayor_{split}.jsonl": {"sha256": digest, "rows": 412, "bytes": 9} for split in ("train", "val", "test")}
    return {"version": 1, "sample": True, "sessions": 1530, "files": files, "inputs": ["/home/somebody/x"]}


def evaluation(adapter: Path | None, passed: float = 0.9) -> dict[str, Any]:
    """A result of eval.role_bench; the digest is written as eval.targets computes it."""
    facts: dict[str, Any] = {"backend": "hf", "adapter": None}
    if adapter is not None:
        parts = [(adapter / name).read_bytes() for name in ("adapter_config.json", "adapter_model.safetensors")]
        digest = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts))
        facts["adapter"] = {"path": str(adapter), "sha256": digest.hexdigest()}
    rate = {"passed": passed, "low": passed - 0.2, "high": min(1.0, passed + 0.05), "scenarios": 10, "families": 5}
    answer = {"id": "m1", "answer": "PRIVATE ANSWER"}
    return {
        "kind": "role_bench",
        "model": "base" if adapter is None else str(adapter),
        "facts": facts,
        "summary": {"mayor": rate},
        "floor": {"mayor": 0.1},
        "smoke": False,
        "episodes": [answer],
    }


def safetensors(seed: int) -> bytes:
    data = random.Random(seed).randbytes(4096)
    header = json.dumps({"a": {"dtype": "F32", "shape": [1024], "data_offsets": [0, 4096]}}).encode()
    return struct.pack("<Q", len(header)) + header + data


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def upload(
    hub: HubDouble, folder: Path, *arguments: str, repo: str = "my-town/mayor-lora", token: str = TOKEN, **env: str
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")} | {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(folder.parent / "hf-home"),
        "HF_HUB_DISABLE_XET": "1",
        **({"HF_TOKEN": token} if token else {}),
        **env,
    }
    command = [sys.executable, "-m", "deploy.upload_hf", str(folder), "--repo", repo, *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60)
    assert TOKEN not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


BASE = ("--base-model", "Qwen/Qwen2.5-7B-Instruct")
Here = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(one_scanner: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """The command within this process, for what is refused before the Hub is asked: a push fails the test."""
    monkeypatch.setattr("deploy.hub.push", lambda *_: pytest.fail("this went to the Hub"))
    for name, value in {"HF_TOKEN": TOKEN, "HF_HUB_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}.items():
        monkeypatch.setenv(name, value)

    def run(folder: Path, *arguments: str, repo: str = "my-town/mayor-lora") -> subprocess.CompletedProcess[str]:
        code = main([str(folder), "--repo", repo, *arguments])
        said = capsys.readouterr()
        assert TOKEN not in said.out + said.err
        return subprocess.CompletedProcess([], code, said.out, said.err)

    return run


def pushed(hub: HubDouble, folder: Path, *arguments: str) -> dict[str, bytes]:
    done = upload(hub, folder, *BASE, *arguments)
    assert done.returncode == 0, done.stderr
    return hub.repositories["my-town/mayor-lora"].files


@pytest.fixture
def pushed_here(hub: HubDouble, one_scanner: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, bytes]]:
    """A push within this process, which is quicker; returns the files that the Hub has then."""
    use_hub(hub, monkeypatch)
    monkeypatch.setenv("HF_TOKEN", TOKEN)

    def run(folder: Path, *arguments: str) -> dict[str, bytes]:
        assert main([str(folder), "--repo", "my-town/mayor-lora", *BASE, *arguments]) == 0
        return hub.repositories["my-town/mayor-lora"].files

    return run


def front_matter(card: bytes) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(card.decode().split("---\n")[1])
    return found


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_push_makes_a_private_repository_with_the_allowed_files_and_nothing_else(
    hub: HubDouble, adapter: Path
) -> None:
    before = {path: path.read_bytes() for path in adapter.rglob("*") if path.is_file()}
    files = pushed(hub, adapter)
    assert hub.repositories["my-town/mayor-lora"].private
    assert sorted(files) == [
        "README.md",
        "SHA256SUMS",
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    for name in ("adapter_model.safetensors", "tokenizer.json", "chat_template.jinja"):
        assert files[name] == (adapter / name).read_bytes()
    assert json.loads(files["adapter_config.json"]) == adapter_config("Qwen/Qwen2.5-7B-Instruct")
    assert json.loads(files["tokenizer_config.json"]) == {"name_or_path": "Qwen/Qwen2.5-7B-Instruct"}
    assert not [name for name, data in files.items() if b"somebody" in data or b"output/" in data]
    assert {path: path.read_bytes() for path in adapter.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_what_the_hub_stores_has_the_digests_that_the_dry_run_showed(hub: HubDouble, adapter: Path) -> None:
    shown = upload(hub, adapter, *BASE, "--dry-run", token="", COLUMNS="200")
    assert shown.returncode == 0, shown.stderr
    assert hub.requests == []
    assert "stays here: README.md, checkpoint-75, debug.log, run.json" in shown.stdout
    for name, data in pushed(hub, adapter).items():
        row = next(line for line in shown.stdout.splitlines() if f" {name} " in line)
        assert hashlib.sha256(data).hexdigest()[:12] in row and f" {len(data):,} " in row


@pytest.mark.slow
def test_a_second_push_changes_nothing_and_a_retrained_adapter_replaces_the_first(
    hub: HubDouble, adapter: Path
) -> None:
    pushed(hub, adapter)
    commits = list(hub.repositories["my-town/mayor-lora"].commits)
    again = upload(hub, adapter, *BASE)
    assert again.returncode == 0 and "already holds exactly these 7 files" in again.stdout
    assert hub.repositories["my-town/mayor-lora"].commits == commits
    (adapter / "adapter_model.safetensors").write_bytes(safetensors(seed=2))
    (adapter / "tokenizer_config.json").unlink()
    repository = hub.repositories["my-town/mayor-lora"]
    repository.commit({**repository.files, "notes.md": b"added on the Hub"})
    files = pushed(hub, adapter)
    assert files["adapter_model.safetensors"] == safetensors(seed=2)
    assert "tokenizer_config.json" not in files and "notes.md" in files


@pytest.mark.slow
def test_the_pushed_repository_comes_back_byte_for_byte_with_the_token_and_not_without(
    hub: HubDouble, adapter: Path, tmp_path: Path
) -> None:
    files = pushed(hub, adapter)
    code = (
        "import sys, huggingface_hub as hub\n"
        "print(hub.snapshot_download('my-town/mayor-lora', token=sys.stdin.read() or False))"
    )
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "other"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
    }
    command = [sys.executable, "-c", code]
    anonymous = subprocess.run(command, env=environment, input="", capture_output=True, text=True)
    assert anonymous.returncode != 0 and "401" in anonymous.stderr
    done = subprocess.run(command, env=environment, input=TOKEN, capture_output=True, text=True, check=True)
    fetched = Path(done.stdout.strip())
    assert {path.name: path.read_bytes() for path in fetched.iterdir()} == files


def test_a_public_repository_is_refused_before_a_byte_goes_up(hub: HubDouble, adapter: Path) -> None:
    hub.repositories["my-town/mayor-lora"] = Repository(private=False)
    assert "is public" in refused(upload(hub, adapter, *BASE))
    assert hub.repositories["my-town/mayor-lora"].files == {} and hub.objects == {}
    assert not [request for request in hub.requests if not request.startswith("GET ")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"token": ""}, "there is no token for the Hub"),
        ({"token": "hf_" + "x" * 34}, "does not accept the token"),
        ({"repo": "other-org/mayor"}, "may not write to other-org"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "does not answer"),
        ({"HF_HUB_OFFLINE": "1"}, "Unset HF_HUB_OFFLINE"),
    ],
)
def test_what_the_hub_or_the_network_refuses_is_one_sentence(
    hub: HubDouble, adapter: Path, arguments: dict[str, str], sentence: str
) -> None:
    assert sentence in refused(upload(hub, adapter, *BASE, **arguments))
    assert hub.repositories == {}


@pytest.mark.parametrize("repo", ["mayor", "my-town/a b"])
def test_what_is_no_name_of_a_repository_is_refused(here: Here, adapter: Path, repo: str) -> None:
    assert "is not a repository name" in refused(here(adapter, *BASE, repo=repo))


def test_folders_that_are_no_whole_adapter_are_refused(here: Here, adapter: Path, tmp_path: Path) -> None:
    assert "does not exist" in refused(here(tmp_path / "nowhere", *BASE))
    assert "is not an adapter folder" in refused(here(tmp_path, *BASE))
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "is incomplete" in refused(here(adapter, *BASE))
    weights.write_bytes(b"<html>not found</html>")
    assert "not a safetensors file" in refused(here(adapter, *BASE))
    (adapter / "adapter_config.json").write_text("{", encoding="utf-8")
    assert "cannot be read as JSON" in refused(here(adapter, *BASE))


def test_the_base_must_be_an_id_of_the_hub_and_the_one_that_was_trained_on(here: Here, adapter: Path) -> None:
    assert "--base-model ORG/NAME" in refused(here(adapter))
    assert "is not a Hub id" in refused(here(adapter, "--base-model", "./tiny"))
    write_json(adapter / "adapter_config.json", adapter_config("meta-llama/Llama-3.1-8B-Instruct"))
    assert "was trained on meta-llama/Llama-3.1-8B-Instruct" in refused(here(adapter, *BASE))
    assert "--repo my-town/Llama-mayor-lora" in refused(here(adapter, "--dry-run"))
    assert here(adapter, "--dry-run", repo="my-town/Llama-mayor-lora").returncode == 0


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("chat_template.jinja", "see /home/somebody/work/notes", "a local path"),
        ("chat_template.jinja", f"key {TOKEN}", "a token"),
        ("chat_template.jinja", "AWS ghp_" + "".join(random.Random(2).choices(string.ascii_letters, k=36)), "a secret"),
        ("chat_template.jinja", '{"extra": "C:\\\\Users\\\\somebody\\\\base"}', "a local path"),
        ("tokenizer.json", '{"vocab": {"/home/somebody/work": 1}}', "a local path"),
    ],
)
def test_a_file_with_something_private_in_it_stops_the_push(
    here: Here, adapter: Path, name: str, text: str, found: str
) -> None:
    (adapter / name).write_text(text, encoding="utf-8")
    sentence = refused(here(adapter, *BASE))
    assert f"{name}, line 1: {found}" in sentence and "nothing was sent" in sentence


@pytest.mark.parametrize(
    "name", ["mayor_train.jsonl", "mayor_val.jsonl", "mayor.dpo.train.jsonl", "mayor.kto.val.jsonl"]
)
def test_a_file_of_rows_or_preferences_names_its_role(name: str) -> None:
    match = ROW_FILE.fullmatch(name)
    assert match and match["role"] == "mayor"


def test_the_card_tells_base_recipe_counts_scores_and_limits_and_no_content(
    pushed_here: Callable[..., dict[str, bytes]], adapter: Path, tmp_path: Path
) -> None:
    mine = write_json(tmp_path / "mayor.json", evaluation(adapter, 0.9))
    base = write_json(tmp_path / "base.json", evaluation(None, 0.1))
    manifest = write_json(tmp_path / "manifest.json", data_manifest("0" * 64))
    arguments = ("--eval", str(mine), "--eval", str(base), "--manifest", str(manifest))
    card = pushed_here(adapter, *arguments)["README.md"]
    front = front_matter(card)
    assert front["base_model"] == "Qwen/Qwen2.5-7B-Instruct" and front["base_model_relation"] == "adapter"
    assert (front["library_name"], front["license"]) == ("peft", "apache-2.0") and "datasets" not in front
    assert "role:mayor" in front["tags"]
    result = front["model-index"][0]["results"][0]
    assert (result["dataset"]["config"], result["metrics"][0]["value"]) == ("mayor", 90.0)
    text = card.decode()
    assert "| mayor | 10 % [-10, 15] | 90 % [70, 95] | 10 % | 10 |" in text
    assert "| mayor_train | 412 | 123,456 | 34,567 |" in text
    assert "8, 16, 0.05" in text and "q_proj, v_proj" in text and "0.250 at step 150" in text
    assert (
        "made of 1,530 sessions" in text
        and "invented sample town" in text
        and "## Limits" in text
        and "## Licence" in text
    )
    assert "PRIVATE ANSWER" not in text and "somebody" not in text


def test_scores_of_another_adapter_never_reach_the_card(here: Here, adapter: Path, tmp_path: Path) -> None:
    stale = write_json(tmp_path / "stale.json", evaluation(adapter))
    (adapter / "adapter_model.safetensors").write_bytes(safetensors(seed=3))
    assert "is not about this adapter" in refused(here(adapter, *BASE, "--eval", str(stale)))
    smoke = write_json(tmp_path / "smoke.json", evaluation(adapter) | {"smoke": True})
    assert "is a smoke run, too small for a card" in refused(here(adapter, *BASE, "--eval", str(smoke)))
    base = write_json(tmp_path / "base.json", evaluation(None))
    assert "scores the base alone" in refused(here(adapter, *BASE, "--eval", str(base)))
    assert "cannot be read" in refused(here(adapter, *BASE, "--eval", str(tmp_path / "none.json")))


def test_the_manifest_of_other_data_never_reaches_the_card(here: Here, adapter: Path, tmp_path: Path) -> None:
    other = write_json(tmp_path / "manifest.json", data_manifest("1" * 64))
    assert "does not describe the mayor_train.jsonl" in refused(here(adapter, *BASE, "--manifest", str(other)))


def test_an_adapter_without_a_record_of_its_run_says_so_on_its_card(
    pushed_here: Callable[..., dict[str, bytes]], adapter: Path
) -> None:
    (adapter / "run.json").unlink()
    text = pushed_here(adapter)["README.md"].decode()
    assert "without a record of its run" in text and "Do not assume that it is better than its base" in text


def test_a_damaged_record_of_the_run_is_refused(here: Here, adapter: Path) -> None:
    (adapter / "run.json").write_text('{"config": 3}', encoding="utf-8")
    assert "run.json is not what it should be" in refused(here(adapter, *BASE))
