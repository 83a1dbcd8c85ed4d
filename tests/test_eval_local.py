"""Models on this machine, through lm-eval's hf class: a random tiny Qwen2 and LoRA adapters made for it."""

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from eval.compare import compare
from eval.errors import BadInput, one_sentence
from eval.models import Model, Prompt, Reply, Sampling, Settings, open_model
from eval.results import RoleBench, read_results
from eval.role_bench import role_bench
from eval.targets import resolve_target
from tests.eval_models import make_adapter, make_base
from tests.test_eval_role_bench import CONFIG

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


def ask(*texts: str) -> list[Prompt]:
    return [Prompt((SYSTEM, {"role": "user", "content": text})) for text in texts]


def greedy(model: Model, questions: list[Prompt]) -> list[Reply]:
    """The replies without the time they took."""
    return [replace(reply, seconds=0.0) for reply in model.reply(questions, Sampling())]


def test_answers_do_not_depend_on_the_batch_and_special_tokens_are_kept(models: Path) -> None:
    questions = ask("Go.", "A much longer question about the merge queue of petals.", "x")
    together = greedy(load(models, "base", max_new_tokens=24, batch_size=3), questions)
    alone = load(models, "base", max_new_tokens=24, batch_size=1)
    assert together == greedy(alone, questions)
    assert together == [greedy(alone, [question])[0] for question in questions]


def test_samples_differ_by_seed_and_the_same_seed_gives_the_same(models: Path) -> None:
    model = load(models, "base", max_new_tokens=24)
    texts = [[r.text for r in model.reply(ask("Go.", "Stay."), Sampling(1.0, seed))] for seed in (1, 2, 1)]
    assert texts[0] == texts[2] != texts[1]
    assert model.reply(ask("Go."), Sampling())[0].text not in (texts[0][0], texts[1][0])


def test_replies_count_their_tokens_and_their_time(models: Path) -> None:
    model = load(models, "base", max_new_tokens=24)
    question = ask("Go.")[0]
    (reply,) = model.reply([question], Sampling())
    assert (model.room(question) or 0) == 2048 - 24 - (reply.prompt_tokens or 0)
    assert reply.new_tokens == 24 if reply.truncated else 0 < (reply.new_tokens or 0) <= 24
    assert 0 < reply.seconds < 60


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
    (reply,) = open_model(target, Settings(max_new_tokens=3)).reply(ask("Go."), Sampling())
    assert reply.text == "[TOOL_CALLS]" * 3 and reply.truncated
    with torch.no_grad():
        model.lm_head.weight[ids[1], 0] = 9.0
    model.save_pretrained(tmp_path / "base")
    (reply,) = open_model(target, Settings(max_new_tokens=3)).reply(ask("Go."), Sampling())
    assert reply.text == "" and not reply.truncated


def test_an_adapter_changes_the_answers_and_its_change_is_recorded(models: Path) -> None:
    adapter, base = load(models, "adapter", max_new_tokens=16), load(models, "base", max_new_tokens=16)
    assert adapter.facts["adapter"]["max_logit_change"] > 0
    assert len(adapter.facts["adapter"]["sha256"]) == 64
    assert base.facts["adapter"] is None
    assert adapter.facts["template_sha256"] == base.facts["template_sha256"]
    assert greedy(adapter, ask("Go.")) != greedy(base, ask("Go."))


def test_an_adapter_switched_off_is_its_base(models: Path) -> None:
    adapter, base = load(models, "adapter", max_new_tokens=16), load(models, "base", max_new_tokens=16)
    assert adapter.base is not None and base.base is None
    assert greedy(adapter.base, ask("Go.", "Stay.")) == greedy(base, ask("Go.", "Stay."))
    assert adapter.base.facts == base.facts
    assert greedy(adapter, ask("Go.")) != greedy(adapter.base, ask("Go."))


TOOL = {"type": "function", "function": {"name": "Bash", "description": "Run it.", "parameters": {"type": "object"}}}


def test_a_template_that_ignores_the_offered_tools_is_refused(models: Path, tmp_path: Path) -> None:
    question = Prompt(ask("Go.")[0].messages, (TOOL,))
    with pytest.raises(BadInput, match="the chat template ignores tools"):
        load(models, "base").reply([question], Sampling())
    shutil.copytree(models / "base", tmp_path / "base")
    template = tmp_path / "base" / "chat_template.jinja"
    template.write_text("{% for t in tools or [] %}{{ t | tojson }}{% endfor %}" + template.read_text())
    model = open_model(resolve_target("base", str(tmp_path / "base"), "unused"), Settings(max_new_tokens=4))
    (with_tools,), (without,) = model.reply([question], Sampling()), model.reply(ask("Go."), Sampling())
    assert (with_tools.prompt_tokens or 0) > (without.prompt_tokens or 0) + 20


def test_an_adapter_that_changes_nothing_is_refused(models: Path) -> None:
    with pytest.raises(BadInput, match="changes nothing: the logits of 3 prompts are the base's"):
        load(models, "idle")


def test_an_adapter_of_another_size_is_refused_whatever_it_calls_its_base(models: Path) -> None:
    with pytest.raises(BadInput, match="read 48 values, the base has a hidden size of 32"):
        load(models, "wrong")


def test_a_prompt_that_does_not_fit_is_an_error_not_a_cut(models: Path) -> None:
    model = load(models, "base", max_new_tokens=100)
    with pytest.raises(BadInput, match="exceed the context of 2048 tokens by"):
        model.reply(ask("short", "long " * 2000), Sampling())
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
        open_model(resolve_target("base", str(tmp_path / "base"), "unused"), Settings()).reply(ask("Go."), Sampling())


def test_a_base_that_is_nowhere_is_refused(models: Path) -> None:
    with pytest.raises(BadInput, match="cannot be loaded"):
        open_model(resolve_target("base", "no-such/model", "unused"), Settings())


def command(folder: Path, models: Path, model: str, out: str, *options: str) -> list[str]:
    (folder / "data.yml").write_text(CONFIG)
    base = ["--base-model", str(models / "base"), "--max-new-tokens", "8", "--rows", str(folder / "rows")]
    return ["--model", model, *base, "--config", str(folder / "data.yml"), "--out", str(folder / out), *options]


@pytest.mark.parametrize("form", ["xml", "native"])
def test_base_and_adapter_are_scored_and_compared_from_the_command_line(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    folder = with_room(models, tmp_path, form)
    options = ("--smoke", "--tool-format", form)
    adapter = str(folder / "adapter")
    assert one_sentence(role_bench, command(tmp_path, folder, "base", "first", *options)) == 0
    assert one_sentence(role_bench, command(tmp_path, folder, adapter, "second", *options)) == 0
    run = read_results(tmp_path / "second")
    assert len(run.episodes) == 12
    assert {"lm_eval", "torch", "transformers", "peft", "python"} <= run.versions.keys()
    assert run.facts["adapter"]["max_logit_change"] > 0
    again = command(tmp_path, folder, adapter, "again", *options)
    assert one_sentence(role_bench, again) == 0
    assert without_times(read_results(tmp_path / "again")) == without_times(run)
    assert one_sentence(compare, [str(tmp_path / "first"), str(tmp_path / "second")]) == 2
    assert "smoke" in capsys.readouterr().out


def with_room(models: Path, folder: Path, form: str) -> Path:
    """The models with a longer context, and for the native form with a template that shows tools."""
    shutil.copytree(models, folder / "models")
    config = folder / "models/base/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"max_position_embeddings": 16384}))
    tokenizer = folder / "models/base/tokenizer_config.json"
    tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text()) | {"model_max_length": 16384}))
    adapter = folder / "models/adapter/adapter_config.json"
    named = json.loads(adapter.read_text()) | {"base_model_name_or_path": str(folder / "models/base")}
    adapter.write_text(json.dumps(named))
    if form == "native":
        template = folder / "models/base/chat_template.jinja"
        template.write_text("{% for t in tools or [] %}{{ t | tojson }}{% endfor %}" + template.read_text())
    return folder / "models"


def without_times(run: RoleBench) -> RoleBench:
    episodes = [
        msgspec.structs.replace(e, steps=tuple(msgspec.structs.replace(step, seconds=0.0) for step in e.steps))
        for e in run.episodes
    ]
    return msgspec.structs.replace(run, episodes=tuple(episodes))
