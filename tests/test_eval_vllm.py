"""Models in vLLM, as far as they can be tested without a GPU: behind lm-eval's own class stands a double of vllm."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.errors import BadInput
from eval.models import Model, Prompt, Reply, Sampling, Settings, open_model
from eval.targets import resolve_target
from tests import vllm_double
from tests.conftest import ROOT
from tests.eval_models import make_adapter, make_base

HAS_LM_EVAL = importlib.util.find_spec("lm_eval") is not None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAS_LM_EVAL, reason="needs requirements-gpu.txt")]
SYSTEM = {"role": "system", "content": "[GAS TOWN ROLE: mayor] You work."}
QUESTIONS = [
    Prompt((SYSTEM, {"role": "user", "content": text}))
    for text in ("Go.", "A much longer question about the merge queue of petals.", "x")
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    base, other = make_base(folder / "base"), make_base(folder / "other", hidden_size=48)
    make_adapter(base, folder / "adapter")
    make_adapter(base, folder / "idle", active=False)
    make_adapter(other, folder / "wrong", named=str(base))
    return folder


@pytest.fixture(scope="module", autouse=True)
def double() -> Iterator[None]:
    """One double for all tests here: lm-eval's class is imported once, and keeps it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        vllm_double.install(monkeypatch)
        yield
    for name in ("lm_eval.models.vllm_causallms", "eval.vllm_model"):
        sys.modules.pop(name, None)


def load(models: Path, name: str, backend: Any = "vllm", **settings: int) -> Model:
    label = "base" if name == "base" else str(models / name)
    target = resolve_target(label, str(models / "base"), "unused")
    return open_model(target, Settings(**{"max_new_tokens": 24, **settings}), backend)


def timeless(replies: list[Reply]) -> list[Reply]:
    return [replace(reply, seconds=0.0) for reply in replies]


@pytest.mark.parametrize("name", ["base", "adapter"])
def test_greedy_answers_and_costs_are_those_of_the_other_backend(models: Path, name: str) -> None:
    ours, other = load(models, name), load(models, name, "hf")
    answers = timeless(ours.reply(QUESTIONS, Sampling()))
    assert answers == timeless(other.reply(QUESTIONS, Sampling()))
    assert [ours.room(question) for question in QUESTIONS] == [other.room(question) for question in QUESTIONS]
    assert ours.facts["template_sha256"] == other.facts["template_sha256"]


def test_the_base_is_asked_from_the_same_load(models: Path) -> None:
    adapted = load(models, "adapter")
    assert adapted.base is not None
    alone = timeless(load(models, "base").reply(QUESTIONS, Sampling()))
    assert timeless(adapted.base.reply(QUESTIONS, Sampling())) == alone
    assert timeless(adapted.reply(QUESTIONS, Sampling())) != alone
    assert adapted.base.facts["adapter"] is None and load(models, "base").base is None


def test_special_tokens_are_kept(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    known = vllm_double.LLM._answer
    monkeypatch.setattr(vllm_double.LLM, "_answer", lambda *a: (seen.append(a[3]), known(*a))[1])
    load(models, "base").reply(QUESTIONS, Sampling())
    assert seen and not any(params.skip_special_tokens or params.spaces_between_special_tokens for params in seen)
    assert {(params.max_tokens, params.temperature, params.repetition_penalty) for params in seen} == {(24, 0.0, 1.0)}


def test_samples_follow_their_seed_and_temperature(models: Path) -> None:
    model = load(models, "base")
    first, again, other = (timeless(model.reply(QUESTIONS, Sampling(temperature=1.0, seed=seed))) for seed in (1, 1, 2))
    assert first == again != other


def test_an_answer_at_the_token_limit_is_marked(models: Path) -> None:
    replies = load(models, "base", max_new_tokens=3).reply(QUESTIONS, Sampling())
    assert [(r.truncated, r.new_tokens) for r in replies] == [(True, 3)] * 3
    assert all(reply.prompt_tokens and reply.seconds > 0 for reply in replies)


def test_the_adapter_reaches_the_engine_with_a_rank_that_it_takes(models: Path, tmp_path: Path) -> None:
    vllm_double.LLM.made.clear()
    model = load(models, "adapter", batch_size=5)
    assert vllm_double.LLM.made == [{"enable_lora": True, "max_lora_rank": 8, "max_num_seqs": 5}]
    assert model.facts["adapter"]["max_logit_change"] > 0 and model.facts["backend"] == "vllm"
    config = json.loads((models / "adapter" / "adapter_config.json").read_text())
    for rank, pattern, expected in ((9, {}, 16), (4, {"q_proj": 200}, 256)):
        (tmp_path / "adapter_config.json").write_text(json.dumps(config | {"r": rank, "rank_pattern": pattern}))
        assert lora_options(tmp_path)["max_lora_rank"] == expected


def lora_options(folder: Path) -> dict[str, Any]:
    from eval.targets import Adapter
    from eval.vllm_model import _lora_options

    return _lora_options(Adapter(folder, "base", "0"))


def test_a_rank_beyond_what_the_engine_takes_is_named(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"r": 1024}')
    with pytest.raises(BadInput, match="has rank 1024, vllm takes 512 at most; leave out --backend vllm"):
        lora_options(tmp_path)


def test_an_engine_that_answers_as_the_base_is_refused(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_double.LLM, "ignores_adapters", True)
    with pytest.raises(BadInput, match="adapter changes nothing"):
        load(models, "adapter")


def test_noise_of_the_engine_is_no_adapter(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two passes over the same words differ by .01 a token, and the adapter by nothing more."""
    known, counter = vllm_double.LLM._answer, iter(range(10**6))

    def noisy(self: Any, model: Any, prompt: Any, params: Any) -> Any:
        found = known(self, model, prompt, params)
        drift = 0.01 * (next(counter) // 3 % 2)
        for place in (found.prompt_logprobs or [])[1:]:
            place.update({token: value + drift for token, value in place.items()})
        return found

    monkeypatch.setattr(vllm_double.LLM, "_answer", noisy)
    with pytest.raises(BadInput, match="idle changes nothing"):
        load(models, "idle")
    assert load(models, "adapter").facts["adapter"]["max_logit_change"] > 0.02


REFUSED = {
    "idle": "idle changes nothing",
    "wrong": "wrong does not fit .*/base: its layers read 48 values, the base has a hidden size of 32",
}


@pytest.mark.parametrize(("name", "said"), REFUSED.items())
def test_an_adapter_that_does_nothing_or_is_of_another_base_is_refused(models: Path, name: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        load(models, name)


def test_a_prompt_that_does_not_fit_is_refused_not_cut(models: Path) -> None:
    with pytest.raises(BadInput, match="exceed the context of 2048 tokens by"):
        load(models, "base").reply([Prompt((SYSTEM, {"role": "user", "content": "long " * 2000}))], Sampling())


def test_an_engine_that_no_longer_takes_an_option_of_lm_eval_is_named(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strict(self: Any, **options: Any) -> None:
        raise TypeError("LLM.__init__() got an unexpected keyword argument 'swap_space'")

    monkeypatch.setattr(vllm_double.LLM, "__init__", strict)
    with pytest.raises(BadInput, match=r"'swap_space'\); install lm_eval 0\.4\.13"):
        load(models, "base")


def test_a_model_that_the_engine_cannot_load_is_named(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Any, **options: Any) -> None:
        raise ValueError("Free memory on device is less than desired GPU memory utilization. Decrease it.")

    monkeypatch.setattr(vllm_double.LLM, "__init__", full)
    with pytest.raises(BadInput, match=r"cannot be loaded in vllm \(Free memory on device is less"):
        load(models, "base")


def test_without_vllm_the_sentence_says_what_to_install(models: Path) -> None:
    check = (
        "from eval.models import Settings, open_model\n"
        "from eval.targets import Target\n"
        "from eval.errors import BadInput\n"
        "try:\n"
        "    open_model(Target('base', 'x'), Settings(), 'vllm')\n"
        "except BadInput as problem:\n"
        "    print(problem)\n"
    )
    if importlib.util.find_spec("vllm.engine") is not None:
        pytest.skip("vllm is installed")
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "vllm cannot be used (No module named 'vllm'); install vllm and ray" in done.stdout
