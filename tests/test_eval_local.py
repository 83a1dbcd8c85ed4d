"""Models on this machine, through lm-eval's hf class: a random tiny Qwen2 and LoRA adapters made for it."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from eval.errors import BadInput, one_sentence
from eval.models import Model, Settings, open_model
from eval.results import read_results
from eval.role_bench import role_bench
from eval.targets import resolve_target
from eval.tool_use_accuracy import tool_use_accuracy
from tests.eval_models import make_adapter, make_base
from tests.test_eval_commands import CONFIG
from tests.test_eval_next_action import bash, row, write_rows

HAS_LM_EVAL = importlib.util.find_spec("lm_eval") is not None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAS_LM_EVAL, reason="needs requirements-gpu.txt")]
SYSTEM = {"role": "system", "content": "[GAS TOWN ROLE: mayor] You work."}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """base, other (another hidden size), adapter, idle (changes nothing), wrong (of other, named as of base)."""
    folder = tmp_path_factory.mktemp("models")
    base, other = make_base(folder / "base"), make_base(folder / "other", hidden_size=48)
    make_adapter(base, folder / "adapter")
    make_adapter(base, folder / "idle", active=False)
    make_adapter(other, folder / "wrong", named=str(base))
    return folder


def load(models: Path, name: str, **settings: int) -> Model:
    label = "base" if name == "base" else str(models / name)
    return open_model(resolve_target(label, str(models / "base"), "unused"), Settings(**settings))


def ask(*texts: str) -> list[list[dict[str, str]]]:
    return [[SYSTEM, {"role": "user", "content": text}] for text in texts]


def test_answers_do_not_depend_on_the_batch_and_special_tokens_are_kept(models: Path) -> None:
    questions = ask("Go.", "A much longer question about the merge queue of petals.", "x")
    together = load(models, "base", max_new_tokens=24, batch_size=3).reply(questions)
    alone = load(models, "base", max_new_tokens=24, batch_size=1)
    assert together == alone.reply(questions)
    assert together == [alone.reply([question])[0] for question in questions]


def test_a_model_that_writes_special_tokens_shows_them_and_stops_at_its_end(models: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    shutil.copytree(models / "base", tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    ids = [tokenizer.convert_tokens_to_ids(token) for token in ("[TOOL_CALLS]", "<|endoftext|>")]
    with torch.no_grad():
        # A constant embedding and a chosen output row make the next token the same whatever came before.
        model.model.norm.weight.fill_(1.0)
        model.model.embed_tokens.weight.fill_(0.0)
        model.model.embed_tokens.weight[:, 0] = 1.0
        model.lm_head.weight.fill_(0.0)
        model.lm_head.weight[ids[0], 0] = 5.0
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.fill_(0.0)
            layer.mlp.down_proj.weight.fill_(0.0)
    model.save_pretrained(tmp_path / "base")
    target = resolve_target("base", str(tmp_path / "base"), "unused")
    (reply,) = open_model(target, Settings(max_new_tokens=3)).reply(ask("Go."))
    assert reply.text == "[TOOL_CALLS]" * 3 and reply.truncated
    with torch.no_grad():
        model.lm_head.weight[ids[1], 0] = 9.0
    model.save_pretrained(tmp_path / "base")
    (reply,) = open_model(target, Settings(max_new_tokens=3)).reply(ask("Go."))
    assert reply.text == "" and not reply.truncated


def test_an_adapter_changes_the_answers_and_its_change_is_recorded(models: Path) -> None:
    adapter, base = load(models, "adapter", max_new_tokens=16), load(models, "base", max_new_tokens=16)
    assert adapter.facts["adapter"]["max_logit_change"] > 0
    assert len(adapter.facts["adapter"]["sha256"]) == 64
    assert base.facts["adapter"] is None
    assert adapter.facts["template_sha256"] == base.facts["template_sha256"]
    assert adapter.reply(ask("Go.")) != base.reply(ask("Go."))


def test_an_adapter_that_changes_nothing_is_refused(models: Path) -> None:
    with pytest.raises(BadInput, match="changes nothing: the logits of 3 prompts are the base's"):
        load(models, "idle")


def test_an_adapter_of_another_size_is_refused_whatever_it_calls_its_base(models: Path) -> None:
    with pytest.raises(BadInput, match="read 48 values, the base has a hidden size of 32"):
        load(models, "wrong")


def test_a_prompt_that_does_not_fit_is_an_error_not_a_cut(models: Path) -> None:
    model = load(models, "base", max_new_tokens=100)
    with pytest.raises(BadInput, match="exceed the context of 2048 tokens by"):
        model.reply(ask("short", "long " * 2000))
    assert (model.room(ask("short")[0]) or 0) > 0 > (model.room(ask("long " * 2000)[0]) or 0)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for m in messages %}{% if m['role'] != 'system' %}{{ m['content'] }}{% endif %}{% endfor %}", "drops"),
        ("{{ raise_exception('no system role') }}", "cannot show the conversation"),
        (None, "has no chat template"),
    ],
)
def test_a_template_that_hides_the_system_prompt_is_refused(
    models: Path, tmp_path: Path, template: str | None, said: str
) -> None:
    shutil.copytree(models / "base", tmp_path / "base")
    (tmp_path / "base" / "chat_template.jinja").unlink()
    if template is not None:
        (tmp_path / "base" / "chat_template.jinja").write_text(template)
    with pytest.raises(BadInput, match=said):
        open_model(resolve_target("base", str(tmp_path / "base"), "unused"), Settings()).reply(ask("Go."))


def test_a_base_that_is_nowhere_is_refused(models: Path) -> None:
    with pytest.raises(BadInput, match="cannot be loaded"):
        open_model(resolve_target("base", "no-such/model", "unused"), Settings())


def command(folder: Path, models: Path, model: str, out: str, *options: str) -> list[str]:
    (folder / "data.yml").write_text(CONFIG)
    base = ["--base-model", str(models / "base"), "--max-new-tokens", "8"]
    return ["--model", model, *base, "--config", str(folder / "data.yml"), "--out", str(folder / out), *options]


def test_base_and_adapter_are_scored_and_compared_from_the_command_line(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter, earlier = str(models / "adapter"), str(tmp_path / "base.json")
    assert one_sentence(role_bench, command(tmp_path, models, "base", "base.json")) == 0
    assert one_sentence(role_bench, command(tmp_path, models, adapter, "adapter.json", "--compare", earlier)) == 0
    assert "same scenarios" in capsys.readouterr().out
    run = read_results(tmp_path / "adapter.json")
    assert len(run.results) == 60
    assert {"lm_eval", "torch", "transformers", "peft", "python"} <= run.versions.keys()
    again = command(tmp_path, models, adapter, "again.json")
    assert one_sentence(role_bench, again) == 0
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "adapter.json").read_bytes()


def test_tool_use_accuracy_runs_and_drops_old_turns_that_do_not_fit(models: Path, tmp_path: Path) -> None:
    rows = row("s", "long " * 2000, bash("gt hook"), "Again.", bash("gt mail inbox"))
    data = write_rows(tmp_path / "t.jsonl", rows)
    assert one_sentence(tool_use_accuracy, command(tmp_path, models, "base", "o.json", "--data", str(data))) == 0
    run: dict[str, Any] = json.loads((tmp_path / "o.json").read_text())
    assert (run["shortened"], run["too_long"], len(run["turns"])) == (1, 1, 1)
