"""Registered versions on their way to the Hub and back, with the real client against a Hub on 127.0.0.1."""

from __future__ import annotations

import json
import os
import random
import signal
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from deploy import pull_hf, upload_hf
from deploy.evidence import adapter_digest
from deploy.exports import Kind
from deploy.registry import Registry, Version
from deploy.release import ADAPTER, GGUF, KINDS
from tests.hub_double import HubDouble, Repository, open_hub, use_hub
from tests.model_files import Value, gguf, merged_model, safetensors
from tests.registry_town import BASE_MODEL, Town, make_town

ROOT = Path(__file__).parent.parent
TOKEN = "hf_" + "".join(random.Random(5).choices(string.ascii_letters, k=34))
REPO = "my-town/mayor"
ADAPTER_FILES = {
    "README.md",
    "SHA256SUMS",
    ".eval_results/role-bench.yaml",
    "adapter_config.json",
    "adapter_model.safetensors",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
}


class Said(NamedTuple):
    code: int
    out: str
    error: str


Run = Callable[..., Said]


@pytest.fixture
def hub() -> Iterator[HubDouble]:
    with open_hub(**{TOKEN: {"my-town"}}) as running:
        yield running


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return make_town(tmp_path / "output", roles=("mayor",))


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A town whose first mayor is live and there in every format; nobody changes it."""
    made = make_town(tmp_path_factory.mktemp("released") / "output", roles=("mayor",))
    made.released()
    for kind in ("merged", *GGUF):
        export(made, kind)
    return made


@pytest.fixture
def on_hub(hub: HubDouble, one_scanner: None, monkeypatch: pytest.MonkeyPatch) -> None:
    use_hub(hub, monkeypatch)
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.fixture
def push(on_hub: None, town: Town, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(what: str, *arguments: str, repo: str = REPO, root: Path = town.root) -> Said:
        code = upload_hf.main([what, "--repo", repo, "--root", str(root), *arguments])
        said = capsys.readouterr()
        assert TOKEN not in said.out + said.err
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def pull(on_hub: None, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(out: Path, revision: str = "main", repo: str = REPO) -> Said:
        code = pull_hf.main([repo, "--revision", revision, "--out", str(out)])
        return Said(code, *capsys.readouterr())

    return run


def files_of(hub: HubDouble, revision: str = "main", repo: str = REPO) -> dict[str, bytes]:
    there = hub.repositories[repo]
    return there.history[there.commit_of(revision)]


def export(town: Town, kind: str, content: dict[str, Value] | None = None, version: int = 1) -> Path:
    """A version in another format, as the registry knows it: a whole file, invented weights."""
    folder = town.root / "exports" / "mayor" / f"v{version}"
    if kind == "merged":
        path = merged_model(folder / kind, seed=version)
    else:
        path = folder / f"{kind}.gguf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gguf(content or {"general.name": f"Mayor {kind}"}, bytes([version]) * 4096))
    report = {
        "merged": {"argmax_agreement": 0.987, "max_logit_difference": 0.137, "tokens": 1234, "base_in_4_bits": True}
    }.get(kind, {"equal_tokens": 108, "tokens": 111, "prompts": 6})
    with Registry.open(town.root) as registry:
        registry.add_export("mayor", version, kind, path, None, report)
    return path


def refused(said: Said, *words: str) -> str:
    assert said.code == 1 and said.out == ""
    assert said.error.startswith("error: ") and said.error.count("\n") == 1, said.error
    assert all(word in said.error for word in words), said.error
    return said.error


def front_matter(card: bytes) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(card.decode().split("---\n")[1])
    return found


# --- what goes up ------------------------------------------------------------------------------------------------


def test_a_version_goes_up_under_its_tag_with_what_the_registry_knows_of_it(
    hub: HubDouble, released: Town, push: Run
) -> None:
    said = push("mayor@v1", root=released.root)
    assert (said.code, said.error) == (0, "") and "tag v1" in said.out
    files, there = files_of(hub, "v1"), hub.repositories[REPO]
    assert there.private and set(files) == ADAPTER_FILES and there.tags == {"v1": there.commits[-1]}
    card = files["README.md"].decode()
    assert "Version 1, registered" in card and 'PeftModel.from_pretrained(base, "my-town/mayor", revision="v1")' in card
    assert "The adapter learned from 3 sessions." in card
    assert "| mayor | 0 %" in card and "] from its base. It passed the gate of its registry." in card
    assert front_matter(files["README.md"])["model-index"][0]["results"][0]["dataset"]["config"] == "mayor"
    (entry,) = yaml.safe_load(files[".eval_results/role-bench.yaml"])
    assert entry["dataset"] == {"id": "my-town/role-bench", "task_id": "mayor"} and entry["value"] == 100.0
    assert "95 % interval" in entry["notes"] and "the base alone 0.0" in entry["notes"] and entry["date"]


def test_an_adapter_of_a_base_on_the_hub_keeps_its_digest(hub: HubDouble, released: Town, push: Run) -> None:
    push("mayor@1", root=released.root)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert files_of(hub)[name] == (released.root / "adapters" / "mayor" / "v1" / name).read_bytes()


def test_a_version_without_an_evaluation_says_so_and_has_no_scores(hub: HubDouble, town: Town, push: Run) -> None:
    town.registered()
    assert push("mayor@v1").code == 0
    files = files_of(hub)
    assert "Do not assume that it is better" in files["README.md"].decode()
    assert ".eval_results/role-bench.yaml" not in files and "model-index" not in front_matter(files["README.md"])


def test_a_merged_model_goes_up_as_shards_with_their_index_and_a_card_of_its_own(
    hub: HubDouble, released: Town, push: Run
) -> None:
    folder = released.root / "exports" / "mayor" / "v1" / "merged"
    assert push("mayor@v1", "--kind", "merged", root=released.root).code == 0
    files = files_of(hub)
    shards = {f"model-0000{number}-of-00002.safetensors" for number in (1, 2)}
    texts = {"config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer.json"}
    assert set(files) == {"README.md", "SHA256SUMS"} | shards | texts
    assert all(files[name] == (folder / name).read_bytes() for name in shards)
    assert json.loads(files["config.json"])["_name_or_path"] == BASE_MODEL
    front, card = front_matter(files["README.md"]), files["README.md"].decode()
    assert (front["base_model_relation"], front["library_name"]) == ("finetune", "transformers")
    assert "Measured with the\nadapter on its base, not with these files" in card
    assert "over 1,234 tokens the likeliest one is the same for 98.7%, and logits differ by at most 0.14." in card
    assert "model-index" not in front and "PeftModel" not in card


def test_several_kinds_of_gguf_share_a_repository(hub: HubDouble, released: Town, push: Run) -> None:
    paths = {kind: released.root / "exports" / "mayor" / "v1" / f"{kind}.gguf" for kind in GGUF}
    repo = "my-town/mayor-GGUF"
    kinds = [word for kind in GGUF for word in ("--kind", kind)]
    assert push("mayor@v1", *kinds, repo=repo, root=released.root).code == 0
    files = files_of(hub, repo=repo)
    names = {"gguf-f16": "mayor-F16.gguf", "gguf-q4_k_m": "mayor-Q4_K_M.gguf", "gguf-lora": "mayor-LoRA.gguf"}
    assert set(files) == {"README.md", "SHA256SUMS", "chat_template.jinja", *names.values()}
    assert all(files[name] == paths[kind].read_bytes() for kind, name in names.items())
    front, card = front_matter(files["README.md"]), files["README.md"].decode()
    assert (front["base_model_relation"], front["library_name"]) == ("quantized", "gguf")
    assert "llama-server --model mayor-GGUF/mayor-Q4_K_M.gguf" in card
    assert "--lora mayor-GGUF/mayor-LoRA.gguf --jinja --chat-template-file mayor-GGUF/chat_template.jinja" in card
    assert "`mayor-Q4_K_M.gguf` beside what it was made from: 108 of 111 tokens of 6 greedy answers" in card


def test_an_adapter_as_gguf_alone_is_an_adapter_to_the_hub(hub: HubDouble, released: Town, push: Run) -> None:
    assert push("mayor@v1", "--kind", "gguf-lora", root=released.root).code == 0
    card = files_of(hub)["README.md"]
    assert front_matter(card)["base_model_relation"] == "adapter" and b"--lora mayor/mayor-LoRA.gguf" in card


def test_a_model_made_from_llama_is_named_for_it_and_carries_its_notice(hub: HubDouble, town: Town, push: Run) -> None:
    adapter = town.train()
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "meta-llama/Llama-3.1-8B-Instruct"
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with Registry.open(town.root) as registry:
        registry.register(adapter)
    refused(push("mayor@v1"), "begin with Llama", "--repo my-town/Llama-mayor")
    assert hub.requests == []
    assert push("mayor@v1", repo="my-town/Llama-mayor").code == 0
    files = files_of(hub, repo="my-town/Llama-mayor")
    assert b"Llama 3.1 is licensed under the Llama 3.1 Community License" in files["NOTICE"]
    assert b"Built with Llama." in files["README.md"] and front_matter(files["README.md"])["license"] == "llama3.1"


def test_the_kinds_that_go_up_are_kinds_that_are_made() -> None:
    assert set(KINDS) - {ADAPTER} <= set(Kind)


# --- what does not ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("general.name", "/home/somebody/merged", "a local path"),
        ("general.base_model.0.repo_url", "file:///data/base", "a local path"),
        ("tokenizer.chat_template", f"key {TOKEN}", "a token"),
        ("tokenizer.ggml.tokens", ["a", "/home/somebody/work"], "a local path"),
        ("general.tags", ["lora", "ghp_" + "".join(random.Random(2).choices(string.ascii_letters, k=36))], "a secret"),
    ],
)
def test_a_gguf_file_with_something_private_in_its_metadata_stops_the_push(
    hub: HubDouble, town: Town, push: Run, key: str, value: str | list[str], found: str
) -> None:
    town.registered()
    export(town, "gguf-f16", {key: value})
    refused(push("mayor@v1", "--kind", "gguf-f16"), f"{key} of gguf-f16.gguf, line ", f": {found}", "nothing was sent")
    assert hub.requests == []


def test_the_metadata_of_weights_is_read_as_well(hub: HubDouble, town: Town, push: Run) -> None:
    adapter = town.train()
    (adapter / "adapter_model.safetensors").write_bytes(safetensors(1, {"from": "/home/somebody/run"}))
    with Registry.open(town.root) as registry:
        registry.register(adapter)
    refused(push("mayor@v1"), "metadata of adapter_model.safetensors, line 1: a local path")
    assert hub.requests == []


def test_what_is_no_longer_as_registered_or_exported_stays_here(hub: HubDouble, town: Town, push: Run) -> None:
    version = town.registered()
    refused(push("mayor@v1", "--kind", "gguf-f16"), "never exported as gguf-f16", "python -m deploy.gguf mayor v1")
    refused(push("mayor@v1", "--kind", "merged"), "never exported as merged", "python -m deploy.merge mayor v1")
    path = export(town, "gguf-f16")
    path.write_bytes(path.read_bytes() + b"x")
    refused(push("mayor@v1", "--kind", "gguf-f16"), "is not as it was exported")
    (version.folder / "chat_template.jinja").chmod(0o644)
    (version.folder / "chat_template.jinja").write_text("other", encoding="utf-8")
    refused(push("mayor@v1"), "chat_template.jinja was changed")
    assert hub.requests == []


def test_a_merged_model_with_a_missing_or_cut_shard_stays_here(hub: HubDouble, town: Town, push: Run) -> None:
    town.registered()
    folder = export(town, "merged")
    shard = folder / "model-00002-of-00002.safetensors"
    for damage, words in ((shard.read_bytes()[:-1], "is incomplete"), (None, f"missing: {shard.name}")):
        shard.unlink()
        if damage is not None:
            shard.write_bytes(damage)
        with Registry.open(town.root) as registry:
            registry.add_export("mayor", 1, "merged", folder, None, {})
        refused(push("mayor@v1", "--kind", "merged"), words)
    assert hub.requests == []


def test_wishes_that_contradict_each_other_are_refused(hub: HubDouble, town: Town, push: Run) -> None:
    version = town.registered()
    refused(push("mayor@v7"), "mayor has no version 7 (there: v1)")
    refused(push("mayor@v1", "--eval", "results.json"), "are for folders")
    refused(push("mayor@v1", "--kind", "adapter", "--kind", "gguf-f16"), "do not share a repository")
    refused(push(str(version.folder), "--kind", "merged"), "only a registered version has other formats")
    refused(push("mayor@v1", "--tag", "a b"), "is not a name for a tag")
    assert hub.requests == []


# --- versions and tags --------------------------------------------------------------------------------------------


def test_a_new_version_replaces_the_old_files_and_the_old_tag_keeps_them(hub: HubDouble, town: Town, push: Run) -> None:
    for number in (1, 2):
        town.registered(seed=number)
        export(town, "gguf-q4_k_m", version=number)
    export(town, "gguf-f16")
    assert push("mayor@v1", "--kind", "gguf-q4_k_m", "--kind", "gguf-f16").code == 0
    there = hub.repositories[REPO]
    there.commit({**there.files, "notes.md": b"of somebody else"})
    assert push("mayor@v2", "--kind", "gguf-q4_k_m").code == 0
    assert set(files_of(hub, "v2")) == {"README.md", "SHA256SUMS", "mayor-Q4_K_M.gguf", "notes.md"}
    assert set(files_of(hub, "v1")) == {"README.md", "SHA256SUMS", "mayor-Q4_K_M.gguf", "mayor-F16.gguf"}
    assert files_of(hub, "v1")["mayor-Q4_K_M.gguf"] != files_of(hub, "v2")["mayor-Q4_K_M.gguf"]


def test_a_version_that_is_there_is_not_sent_again_even_if_a_later_one_is_newest(
    hub: HubDouble, town: Town, push: Run
) -> None:
    for number in (1, 2):
        town.registered(seed=number)
        assert push(f"mayor@v{number}").code == 0
    before = list(hub.repositories[REPO].commits)
    hub.requests.clear()
    assert "already holds exactly these" in push("mayor@v1").out
    assert hub.repositories[REPO].commits == before
    assert {request.split()[0] for request in hub.requests} <= {"GET", "HEAD"}


def test_a_tag_that_means_other_files_is_refused_before_a_byte_goes_up(hub: HubDouble, town: Town, push: Run) -> None:
    town.registered()
    theirs = {"model.safetensors": b"theirs"}
    there = hub.repositories[REPO] = Repository(private=True)
    there.tags["v1"] = there.commit(theirs)
    refused(push("mayor@v1"), "the tag v1 of my-town/mayor already means other files", "--tag")
    assert hub.objects == {} and there.files == theirs and len(there.tags) == 1
    assert push("mayor@v1", "--tag", "mayor-v1").code == 0
    assert there.tags["mayor-v1"] == there.commits[-1] and there.tags["v1"] != there.commits[-1]


def test_a_push_that_ended_before_its_tag_sets_the_tag_when_it_runs_again(
    hub: HubDouble, town: Town, push: Run
) -> None:
    town.registered()
    push("mayor@v1")
    there = hub.repositories[REPO]
    there.tags.clear()
    assert push("mayor@v1").code == 0
    assert there.tags == {"v1": there.commits[-1]} and len(there.commits) == 2


# --- when the line breaks -----------------------------------------------------------------------------------------


def in_a_process(town: Town, *arguments: str) -> list[str]:
    return [sys.executable, *arguments, "--repo", REPO, "--root", str(town.root)]


def settings(hub: HubDouble, tmp_path: Path) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    hf = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    return known | hf


@pytest.mark.slow
def test_a_push_that_was_killed_goes_on_and_does_not_send_again_what_is_there(
    hub: HubDouble, town: Town, push: Run, tmp_path: Path
) -> None:
    town.registered()
    folder = export(town, "merged")
    first, second = (
        sha256((folder / f"model-0000{number}-of-00002.safetensors").read_bytes()).hexdigest() for number in (1, 2)
    )
    hub.held = {second}
    command = in_a_process(town, "-m", "deploy.upload_hf", "mayor@v1", "--kind", "merged")
    with subprocess.Popen(command, cwd=ROOT, env=settings(hub, tmp_path), stderr=subprocess.PIPE) as running:
        assert hub.reached.wait(60)
        wait_for(lambda: first in hub.objects)
        running.send_signal(signal.SIGKILL)
    assert second not in hub.objects and hub.repositories[REPO].files == {}
    hub.held = set()
    hub.requests.clear()
    assert push("mayor@v1", "--kind", "merged").code == 0
    assert [request for request in hub.requests if request.startswith("PUT")] == [f"PUT /lfs/{second}"]
    assert {first, second} <= {sha256(data).hexdigest() for data in files_of(hub, "v1").values()}


def wait_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_broken_line_is_one_sentence_and_the_same_command_goes_on(hub: HubDouble, town: Town, push: Run) -> None:
    town.registered()
    hub.broken = 1
    refused(push("mayor@v1"), "does not answer", "run this again")
    assert hub.repositories[REPO].files == {} and hub.repositories[REPO].tags == {}
    assert push("mayor@v1").code == 0
    assert "adapter_model.safetensors" in files_of(hub, "v1")


def test_a_commit_of_somebody_else_meanwhile_is_not_overwritten(
    hub: HubDouble, town: Town, push: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deploy import hub as ours

    town.registered()
    there = hub.repositories[REPO] = Repository(private=True)
    look = ours.sums_at

    def and_then_somebody_pushes(*arguments: Any) -> dict[str, str]:
        found = look(*arguments)
        there.commit({"theirs.md": b"theirs"})
        return found

    monkeypatch.setattr(ours, "sums_at", and_then_somebody_pushes)
    refused(push("mayor@v1"), "somebody else changed my-town/mayor meanwhile")
    assert there.files == {"theirs.md": b"theirs"} and there.tags == {}


@pytest.mark.slow
def test_a_large_file_goes_up_without_being_held_in_memory(hub: HubDouble, town: Town, tmp_path: Path) -> None:
    """The process with all its libraries has 160 MB at its largest, whatever the file."""
    town.registered()
    size = 250_000_000
    path = export(town, "gguf-f16")
    with path.open("r+b") as stream:
        stream.truncate(size)
    with Registry.open(town.root) as registry:
        registry.add_export("mayor", 1, "gguf-f16", path, None, {})
    # The kernel's own peak of this program: that of getrusage begins with the size of whoever started it.
    code = "import pathlib, re, sys; from deploy.upload_hf import main; code = main(); "
    code += "status = pathlib.Path('/proc/self/status').read_text(); "
    code += "print(int(re.search(r'VmHWM:\\s*(\\d+)', status)[1]) * 1024); sys.exit(code)"
    command = in_a_process(town, "-c", code, "mayor@v1", "--kind", "gguf-f16")
    done = subprocess.run(command, cwd=ROOT, env=settings(hub, tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(files_of(hub)["mayor-F16.gguf"]) == size
    assert int(done.stdout.split()[-1]) < size - 30_000_000


# --- and back -----------------------------------------------------------------------------------------------------


def test_a_pulled_version_has_equal_digests_and_is_the_version_that_was_registered(
    hub: HubDouble, town: Town, push: Run, pull: Run, tmp_path: Path
) -> None:
    version: Version = town.registered()
    push("mayor@v1")
    out = tmp_path / "fetched" / "mayor"
    said = pull(out, "v1")
    assert said.code == 0 and "all digests are equal" in said.out
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert found == files_of(hub, "v1") and list(out.parent.iterdir()) == [out]
    assert adapter_digest(out) == version.sha256
    with Registry.open(town.root) as registry:
        assert registry.register(out, "mayor").name == "mayor@v1"
    checked = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=out, check=False)
    assert checked.returncode == 0


def test_a_second_pull_does_nothing_and_another_folder_is_never_overwritten(
    hub: HubDouble, town: Town, push: Run, pull: Run, tmp_path: Path
) -> None:
    town.registered()
    push("mayor@v1")
    assert pull(tmp_path / "mayor", "v1").code == 0
    hub.requests.clear()
    assert pull(tmp_path / "mayor", "v1").code == 0
    assert not [request for request in hub.requests if "adapter_model" in request]
    (tmp_path / "mayor" / "tokenizer.json").write_text("mine", encoding="utf-8")
    refused(pull(tmp_path / "mayor", "v1"), "exists and holds something else (tokenizer.json)")
    assert (tmp_path / "mayor" / "tokenizer.json").read_text(encoding="utf-8") == "mine"


def test_what_does_not_arrive_as_sent_gets_no_name_and_only_that_is_fetched_again(
    hub: HubDouble, town: Town, push: Run, pull: Run, tmp_path: Path
) -> None:
    town.registered()
    push("mayor@v1")
    there = hub.repositories[REPO]
    kept = there.history[there.tags["v1"]]
    whole = dict(kept)
    kept["chat_template.jinja"] = b"changed on the way"
    refused(pull(tmp_path / "mayor", "v1"), "chat_template.jinja did not arrive as sent")
    assert not (tmp_path / "mayor").exists()
    kept.update(whole)
    hub.requests.clear()
    assert pull(tmp_path / "mayor", "v1").code == 0
    assert not [request for request in hub.requests if request.startswith("GET") and "adapter_model" in request]


@pytest.mark.parametrize(
    "line", [f"{'0' * 64}  ../.ssh/authorized_keys", f"{'0' * 64}  /etc/passwd", f"{'0' * 64}  a/b", "no digest"]
)
def test_names_that_lead_elsewhere_are_refused(hub: HubDouble, pull: Run, tmp_path: Path, line: str) -> None:
    there = hub.repositories[REPO] = Repository(private=True)
    there.commit({"SHA256SUMS": line.encode()})
    refused(pull(tmp_path / "mayor"), "lines that deploy.upload_hf does not write")
    assert not list(tmp_path.glob("*mayor*"))


def test_a_pull_over_a_broken_line_is_one_sentence_and_goes_on(
    hub: HubDouble, town: Town, push: Run, pull: Run, tmp_path: Path
) -> None:
    town.registered()
    push("mayor@v1")
    hub.unreachable = "adapter_model.safetensors"
    refused(pull(tmp_path / "mayor", "v1"), "does not answer", "run this again")
    assert not (tmp_path / "mayor").exists()
    hub.unreachable = ""
    hub.requests.clear()
    assert pull(tmp_path / "mayor", "v1").code == 0
    assert not [request for request in hub.requests if request.startswith("GET") and "adapter_config" in request]


def test_a_line_that_breaks_at_the_digests_is_not_taken_for_a_repository_without_any(
    hub: HubDouble, town: Town, push: Run, pull: Run, tmp_path: Path
) -> None:
    town.registered()
    push("mayor@v1")
    hub.unreachable = "SHA256SUMS"
    refused(push("mayor@v1"), "does not answer")
    refused(pull(tmp_path / "mayor", "v1"), "does not answer")


def test_a_pull_says_what_is_missing(hub: HubDouble, town: Town, push: Run, pull: Run, tmp_path: Path) -> None:
    refused(pull(tmp_path / "mayor"), "was not found")
    hub.repositories[REPO] = Repository(private=True)
    refused(pull(tmp_path / "mayor"), "has no SHA256SUMS")
    refused(pull(tmp_path / "mayor", "v9"), "has no such revision")
    refused(pull(tmp_path / "mayor", repo="mayor"), "is not a repository name")
    assert not (tmp_path / "mayor").exists()
