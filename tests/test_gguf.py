"""A version is merged by Axolotl, converted by llama.cpp's converters, and tried in the real llama-server.

The model is a small Qwen2 made on the spot, with dimensions that hold whole blocks of Q4_K and a vocabulary of its own.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.adapter import Refusal
from deploy.exports import Kind, export_path, present
from deploy.gguf import main as gguf
from deploy.gguf_files import refuse_difference
from deploy.gguf_run import served, token_faults, try_file
from deploy.gguf_tokens import NASTY
from deploy.merge import main as merge
from deploy.registry import Export, Registry
from deploy.source_model import FIXED, load
from scripts.tiny_base.tokenizer import train_tokenizer

pytestmark = pytest.mark.slow
ROLE = "mayor"
# The nasty texts among them, so that the vocabulary has tokens that another rule of cutting would never find.
TEXTS = [*(message["content"] for chat in FIXED for message in chat), *NASTY]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, llama_server: Path) -> Path:
    """An output tree with a base, two versions of a mayor (the second as QLoRA), and two of his rows."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("axolotl")
    root = tmp_path_factory.mktemp("town")
    make_base(root / "base", vocabulary_of=TEXTS)
    for seed in (1, 2):
        torch.manual_seed(seed)
        make_adapter(root / "base", root / "adapters" / f"{ROLE}-{seed}")
    rows = root / "datasets" / f"{ROLE}_val.jsonl"
    rows.parent.mkdir()
    turns = [("system", "You are the Mayor."), ("human", "Bead pe-7 is ready."), ("gpt", "Slinging pe-7 to petals.")]
    row = {"conversations": [{"from": who, "value": value, "train": who == "gpt"} for who, value in turns]}
    rows.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with Registry.open(root) as registry:
        for seed in (1, 2):
            registry.register(root / "adapters" / f"{ROLE}-{seed}", role=ROLE)
    return root


def make_base(folder: Path, vocabulary_of: list[str]) -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM, set_seed

    tokenizer = train_tokenizer(vocabulary_of, folder)
    set_seed(7)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        rope_parameters={"rope_type": "default", "rope_theta": 1.0e6},
        tie_word_embeddings=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    model = Qwen2ForCausalLM(config)
    teach(model, tokenizer, "The base says: {}", rate=2.0e-3)
    model.save_pretrained(folder)


def make_adapter(base: Path, folder: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    modules = ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"]
    wanted = LoraConfig(r=8, lora_alpha=16, target_modules=modules, task_type="CAUSAL_LM")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    model = get_peft_model(model, wanted)
    teach(model, tokenizer, "Slinging it: {}", rate=4.0e-3)
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(folder)


def teach(model: Any, tokenizer: Any, answer: str, rate: float) -> None:
    """Some steps on the fixed prompts: what four bits leave of a model that learned nothing is only noise."""
    import torch

    model.train()
    learned = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=rate)
    for _ in range(30):
        for chat in FIXED:
            turns = [*chat, {"role": "assistant", "content": answer.format(chat[1]["content"])}]
            text = tokenizer.apply_chat_template(turns, tokenize=False)
            ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
            model(input_ids=ids, labels=ids).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.eval()


def exports(town: Path, number: int = 1) -> dict[str, Export]:
    with Registry.open(town) as registry:
        return dict(registry.exports(ROLE, number))


@pytest.fixture(scope="module")
def merged(town: Path) -> Export:
    assert merge([ROLE, "v1", "--root", str(town)]) == 0
    return exports(town)[Kind.MERGED]


@pytest.fixture(scope="module")
def quantised(town: Path, merged: Export) -> Export:
    assert gguf([ROLE, "1", "--root", str(town), "--pre-tokenizer", "qwen2"]) == 0
    return exports(town)[Kind.GGUF_Q4_K_M]


@pytest.fixture(scope="module")
def lora(town: Path) -> Export:
    assert gguf([ROLE, "1", "--root", str(town), "--kind", "gguf-lora", "--pre-tokenizer", "qwen2"]) == 0
    return exports(town)[Kind.GGUF_LORA]


def test_a_plain_lora_says_the_same_merged(merged: Export) -> None:
    assert (merged.path / "model.safetensors").is_file() and (merged.path / "chat_template.jinja").is_file()
    assert merged.report["base_in_4_bits"] is False
    assert merged.report["argmax_agreement"] == 1.0 and merged.report["max_logit_difference"] < 1e-3
    assert merged.report["texts_are"] == "validation rows of the role"


def test_a_merged_model_is_not_merged_again(town: Path, merged: Export, capsys: pytest.CaptureFixture[str]) -> None:
    before = (merged.path / "model.safetensors").stat().st_mtime_ns
    assert merge([ROLE, "1", "--root", str(town)]) == 0
    assert (merged.path / "model.safetensors").stat().st_mtime_ns == before
    assert "the likeliest token is the same for 100.0%" in capsys.readouterr().out


def test_an_unknown_vocabulary_stops_and_leaves_nothing(
    town: Path, merged: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gguf([ROLE, "1", "--root", str(town), "--kind", "gguf-f16"]) == 1
    said = capsys.readouterr().err
    assert "llama.cpp does not know how the vocabulary in" in said and "--pre-tokenizer qwen2|llama-bpe|gpt-2" in said
    assert gguf([ROLE, "1", "--root", str(town), "--kind", "gguf-f16", "--pre-tokenizer", "llama-bpe"]) == 1
    assert "Say --pre-tokenizer qwen2." in capsys.readouterr().err
    assert [path.name for path in merged.path.parent.iterdir()] == ["merged"]


def test_a_model_in_16_bits_answers_as_its_source(town: Path, quantised: Export) -> None:
    """It is made on the way to Q4_K_M."""
    full = exports(town)[Kind.GGUF_F16].report
    assert full["equal_tokens"] + full["near_ties"] == full["tokens"] > 50 and full["prompts"] == 6
    assert full["metadata"] == {"general.architecture": "qwen2", "general.file_type": 1, "tokenizer.ggml.pre": "qwen2"}
    assert set(full["tensors"]) == {"F16", "F32"}


def test_q4_k_m_has_k_quants_where_rows_allow_it_and_answers_nearly_as_its_source(quantised: Export) -> None:
    told = quantised.report
    assert set(told["tensors"]) == {"F32", "Q4_K", "Q6_K"} and told["tensors"]["Q4_K"] >= 5
    assert told["share"] >= 0.8 and told["metadata"]["general.file_type"] == 15
    assert quantised.path.stat().st_size == quantised.size


def test_a_lora_on_its_base_answers_as_peft(town: Path, lora: Export) -> None:
    assert lora.base is not None and lora.base.parent == town / "exports" / "base"
    told = lora.report
    assert told["equal_tokens"] + told["near_ties"] == told["tokens"] > 50
    assert told["metadata"]["adapter.lora.alpha"] == 16.0 and told["tensors"] == {"F32": 20}


def test_a_lora_that_is_not_applied_would_be_seen(town: Path, lora: Export) -> None:
    """The comparison can fail: the base alone answers otherwise than the adapter on it."""
    source = load(town / "base", town / "adapters" / ROLE / "v1")
    answers = [source.answer(chat) for chat in FIXED[:2]]
    assert lora.base is not None
    told = try_file(lora.base, None, source, answers)
    assert told.share < 0.8
    with pytest.raises(Refusal, match="answers otherwise than its source"):
        refuse_difference(told, "F16")


@pytest.fixture
def without_the_regex(town: Path, lora: Export, tmp_path: Path) -> Iterator[Any]:
    """A server whose file names another pre-tokenizer than its vocabulary has."""
    assert lora.base is not None
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(renamed(lora.base))
    with served(wrong, None, 256) as client:
        yield client


def renamed(file: Path) -> bytes:
    """The file with gpt-2 as tokenizer.ggml.pre, which is as long a word as qwen2."""
    whole = file.read_bytes()
    at = whole.index(b"tokenizer.ggml.pre") + len(b"tokenizer.ggml.pre")
    at = whole.index(b"qwen2", at)
    return whole[:at] + b"gpt-2" + whole[at + 5 :]


def test_a_file_with_a_wrong_pre_tokenizer_would_be_seen(town: Path, without_the_regex: Any) -> None:
    faults = list(token_faults(without_the_regex, load(town / "base")))
    assert any("return" in fault for fault in faults)


def test_a_file_that_no_engine_loads_is_refused(tmp_path: Path, llama_server: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF nonsense" * 100)
    with pytest.raises(Refusal, match=r"llama-server does not load .*broken\.gguf \("), served(broken, None, 256):
        pass


def test_an_export_that_was_deleted_is_made_again(town: Path, quantised: Export) -> None:
    with Registry.open(town) as registry:
        version = registry.version(ROLE, 1)
        assert present(registry, version, Kind.GGUF_Q4_K_M) is not None
        kept = quantised.path.rename(quantised.path.with_suffix(".kept"))
        assert present(registry, version, Kind.GGUF_Q4_K_M) is None
        kept.rename(quantised.path)
        assert present(registry, version, Kind.GGUF_Q4_K_M) is not None


def test_a_qlora_is_merged_onto_the_base_in_4_bits_and_that_is_measured(
    town: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Registry.open(town) as registry:
        version = registry.version(ROLE, 2)
    version.folder.chmod(0o755)
    (version.folder / "config.yml").write_text(f"base_model: {town / 'base'}\nadapter: qlora\nload_in_4bit: true\n")
    assert merge([ROLE, "2", "--root", str(town)]) == 0
    said = capsys.readouterr().out
    assert "merged onto that base, rounded to NF4 and back: another model than the adapter on the full base" in said
    told = exports(town, 2)[Kind.MERGED].report
    assert told["base_in_4_bits"] is True and told["max_logit_difference"] > 0.01


def test_an_adapter_with_whole_weights_cannot_be_a_gguf_lora(
    town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(town / "adapters" / f"{ROLE}-1", folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "modules_to_save": ["embed_tokens"]}))
    with Registry.open(tmp_path / "other") as registry:
        registry.register(folder, role=ROLE)
    assert gguf([ROLE, "1", "--root", str(tmp_path / "other"), "--kind", "gguf-lora"]) == 1
    said = capsys.readouterr().err
    assert "mayor@v1 cannot be a GGUF LoRA (modules_to_save: ['embed_tokens']). Merge it: --kind gguf-q4_k_m." in said
    assert not export_path(tmp_path / "other", version_of(tmp_path / "other"), Kind.GGUF_LORA).exists()


def version_of(root: Path) -> Any:
    with Registry.open(root) as registry:
        return registry.version(ROLE, 1)
