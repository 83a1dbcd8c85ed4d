"""Both versions of lm-eval that are promised: the one that Axolotl pins, and 0.4.13, with the same files of ours."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from eval.scenario import load_scenarios
from tests.chat_server import chat_server, says
from tests.eval_models import make_adapter, make_base
from tests.lm_versions import NEWER, newer_lm_eval, run_module

HAS_LM_EVAL = importlib.util.find_spec("lm_eval") is not None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAS_LM_EVAL, reason="needs requirements-gpu.txt")]
# What touches lm-eval in each file; what stands behind it is the same for both versions.
TOUCHES = {
    "test_eval_lm_tasks.py": "right_answers",
    "test_eval_local.py": "not command_line",
    "test_eval_served.py": "",
    "test_eval_vllm.py": "not install",
}
TASKS = ("--tasks", "role_bench_mayor", "--include_path", "eval/lm_tasks", "--apply_chat_template", "--log_samples")
PINNED = importlib.metadata.version("lm_eval") if HAS_LM_EVAL else ""


def folder_of(version: str) -> Path | None:
    return None if version == PINNED else newer_lm_eval()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_adapter(make_base(folder / "base"), folder / "adapter")
    return folder


def command_line(version: str, out: Path, *options: object) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the lm_eval command writes: its results, and one line per document."""
    done = run_module("lm_eval", *TASKS, *options, "--output_path", out, folder=folder_of(version))
    assert done.returncode == 0, done.stderr[-2000:]
    (results,), (samples,) = (list(out.rglob(f"{name}_*")) for name in ("results", "samples"))
    lines = [json.loads(line) for line in samples.read_text("utf-8").splitlines()]
    return json.loads(results.read_text("utf-8")), lines


def test_the_other_version_is_the_one_that_is_meant() -> None:
    said = "import importlib.metadata as m, lm_eval; print(m.version('lm_eval'), lm_eval.__file__)"
    assert PINNED != NEWER
    folder = newer_lm_eval()
    (folder / "lm_eval_said.py").write_text(said)
    assert run_module("lm_eval_said", folder=folder).stdout.split()[0] == NEWER


@pytest.mark.parametrize(("file", "chosen"), TOUCHES.items())
def test_our_tests_of_models_and_tasks_hold_on_the_newer_version(file: str, chosen: str) -> None:
    options = ("-n", "0", "-p", "no:cacheprovider", "--no-header", "-k", chosen)
    done = run_module("pytest", *options, f"tests/{file}", folder=newer_lm_eval())
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("version", [PINNED, NEWER])
def test_the_command_runs_a_base_with_an_adapter(version: str, models: Path, tmp_path: Path) -> None:
    arguments = f"pretrained={models / 'base'},peft={models / 'adapter'},dtype=float32"
    options = ("--model", "hf", "--model_args", arguments, "--device", "cpu", "--limit", 3, "--batch_size", 3)
    results, samples = command_line(
        version, tmp_path, *options, "--gen_kwargs", "max_gen_toks=8,repetition_penalty=1.0"
    )
    rates = results["results"]["role_bench_mayor"]
    assert rates["pass,none"] == sum(sample["pass"] for sample in samples) / 3
    first = load_scenarios("mayor").scenarios[0]
    assert json.loads(samples[0]["doc"]["step"]) == {"role": "mayor", "id": first.id, "step": 0}
    prompt = samples[0]["arguments"]["gen_args_0"]["arg_0"]
    assert prompt.startswith("<|im_start|>system\n") and prompt.endswith("<|im_start|>assistant\n")


def test_the_command_asks_a_server_with_the_roles_system_prompt(tmp_path: Path) -> None:
    with chat_server(lambda _: says("Nothing to do here.")) as (address, requests):
        url, _, name = address.partition("#")
        arguments = f"model={name},base_url={url}/chat/completions,num_concurrent=2"
        command_line(PINNED, tmp_path, "--model", "local-chat-completions", "--model_args", arguments, "--limit", 4)
    assert len(requests) == 4
    assert all(request["messages"][0]["role"] == "system" and request["temperature"] == 0 for request in requests)


def test_the_command_refuses_without_a_chat_template(models: Path, tmp_path: Path) -> None:
    options = [option for option in TASKS if option != "--apply_chat_template"]
    arguments = ("--model_args", f"pretrained={models / 'base'}", "--device", "cpu", "--output_path", tmp_path)
    done = run_module("lm_eval", *options, "--model", "hf", *arguments, folder=folder_of(NEWER))
    assert done.returncode != 0
    assert "role_bench asks chat models: add --apply_chat_template." in done.stderr
    assert not list(tmp_path.rglob("results_*"))
