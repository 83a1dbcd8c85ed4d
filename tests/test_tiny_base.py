"""The tiny base: exercises without roles, a tokenizer of Qwen2's kind, and a model that others can load."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scripts.tiny_base.__main__ import main
from scripts.tiny_base.practice import SLOT, call, conversations, fill, invent, redraw_digits
from scripts.tiny_base.texts import copied_words, read_town, spoken
from scripts.tiny_base.tokenizer import Turn

HUMANS = ("Bead pe-42 is ready. Give it to petals.", "Read src/parser.py first.", "How does convoy ha-17 stand?")
CALL = '<tool_call>\n{"name": "Bash", "arguments": {"command": "gt sling pe-42 petals"}}\n</tool_call>'


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    """A dataset folder with one row a human text."""
    folder = tmp_path / "datasets"
    folder.mkdir()
    rows = [
        {"conversations": [
            {"from": "system", "value": "[GAS TOWN ROLE: mayor] You are the Mayor.", "train": False},
            {"from": "human", "value": human, "train": False},
            {"from": "gpt", "value": CALL, "train": True},
            {"from": "human", "value": "<tool_result>\nok\n</tool_result>", "train": False},
            {"from": "gpt", "value": "Done: pe-42 is with petals.", "train": True},
        ]}
        for human in HUMANS
    ]  # fmt: skip
    (folder / "gastown_train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def test_sentences_are_the_humans_own_words(datasets: Path) -> None:
    town = read_town(datasets)
    assert set(town.sentences) == set(HUMANS)
    assert {"sling", "pe-42", "petals."} <= set(town.words)


def test_words_that_a_call_takes_from_its_request_are_known_and_no_others(datasets: Path) -> None:
    asked = "Bead pe-42 is ready. Give it to petals."
    assert copied_words(asked, CALL) == ["petals"]
    assert copied_words(asked, "It is ready.") == []
    assert copied_words("<tool_result>\npetals\n</tool_result>", CALL) == []
    assert set(read_town(datasets).copied) == {"petals"}


def test_no_exercise_shows_a_role_or_answers_a_human_text(datasets: Path) -> None:
    town = read_town(datasets)
    for turns in conversations(town, 300, seed=1):
        assert turns[0].role == "system"
        assert "GAS TOWN ROLE" not in turns[0].content
        assert not {turn.content for turn in turns if turn.role == "user"} & set(HUMANS)
        assert CALL not in {turn.content for turn in turns}


def test_the_same_seed_gives_the_same_exercises(datasets: Path) -> None:
    town = read_town(datasets)
    assert list(conversations(town, 20, seed=3)) == list(conversations(town, 20, seed=3))
    assert list(conversations(town, 20, seed=3)) != list(conversations(town, 20, seed=4))


@given(seed=st.integers(0, 10_000))
def test_a_drill_asks_and_tells_the_same_slots(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("data")
    row = {"conversations": [{"from": "human", "value": " ".join(HUMANS)}, {"from": "gpt", "value": CALL}]}
    (folder / "gastown_train.jsonl").write_text(json.dumps(row), encoding="utf-8")
    drill = invent(read_town(folder), random.Random(seed))
    wanted = [str(index) for index in range(len(drill.kinds))]
    assert sorted(SLOT.findall(drill.request)) == sorted(SLOT.findall(drill.command)) == wanted


@given(text=st.text(max_size=40), seed=st.integers())
def test_new_digits_stand_where_digits_stood(text: str, seed: int) -> None:
    new = redraw_digits(text, random.Random(seed))
    assert len(new) == len(text)
    assert [a for a in text if not a.isdigit()] == [b for a, b in zip(text, new, strict=True) if not a.isdigit()]


@given(argument=st.text(max_size=40))
@example(argument="</tool_call>")
@example(argument="<tool_call>\n</tool_call>")
def test_a_call_is_read_back_as_the_words_in_it(argument: str) -> None:
    tagged = call("Bash", "command", argument)
    assert json.loads(tagged.split("\n")[1]) == {"name": "Bash", "arguments": {"command": argument}}
    assert spoken(tagged) == argument


def test_slots_are_filled_by_number() -> None:
    assert fill("a <1> b <0> <1>", ["x", "y"]) == "a y b x y"


def test_without_rows_the_missing_step_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "base")]) == 1
    assert "gastown_train.jsonl: no such file. Run `python -m data.pipeline all" in capsys.readouterr().err
    assert not (tmp_path / "base").exists()


@pytest.mark.slow
def test_the_base_is_small_complete_and_the_same_each_time(datasets: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    for name in ("one", "two"):
        assert main(["--data", str(datasets), "--out", str(tmp_path / name), "--steps", "2"]) == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "one")
    assert 100_000 < model.num_parameters() < 2_000_000
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "one")
    assert tokenizer.decode(tokenizer("pe-421: Größe 😀\n")["input_ids"]) == "pe-421: Größe 😀\n"
    assert tokenizer.tokenize("pe-421")[-3:] == ["4", "2", "1"]


@pytest.mark.slow
def test_a_conversation_is_encoded_as_the_chat_template_writes_it(datasets: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from scripts.tiny_base.tokenizer import encode_turns, train_tokenizer

    tokenizer = train_tokenizer(read_town(datasets).texts, tmp_path / "tokenizer")
    turns = [Turn("system", "[PRACTICE] Do it."), Turn("user", "Say: pe-42"), Turn("assistant", "pe-42")]
    ids, labels = encode_turns(tokenizer, turns)
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    assert tokenizer.decode(ids) == tokenizer.apply_chat_template(messages, tokenize=False)
    assert tokenizer.decode([label for label in labels if label != -100]) == "pe-42<|im_end|>"


@pytest.mark.slow
def test_attention_copies_before_any_training(datasets: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import torch

    from scripts.tiny_base.model import build_model
    from scripts.tiny_base.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(read_town(datasets).texts, tmp_path / "tokenizer")
    model = build_model(tokenizer, seed=1).eval()
    model.config._attn_implementation = "eager"
    ids = torch.randperm(len(tokenizer), generator=torch.Generator().manual_seed(0))[:60]
    repeated = torch.cat([ids, ids])[None]
    with torch.no_grad():
        first, second = model(repeated, output_attentions=True).attentions
    here = torch.arange(60, 119)
    for head, back in enumerate((1, 2)):
        assert first[0, head, here, here - back].mean() > 0.9
    # Evenly spread attention would give each of the 119 places less than 0.01.
    assert second[0, 0, here, here - 59].mean() > 0.1


@pytest.mark.slow
def test_the_loss_of_the_labelled_tokens_is_the_one_that_the_model_gives(datasets: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from scripts.tiny_base.model import build_model, learned_loss, padded
    from scripts.tiny_base.tokenizer import encode_turns, train_tokenizer

    town = read_town(datasets)
    tokenizer = train_tokenizer(town.texts, tmp_path / "tokenizer")
    model = build_model(tokenizer, seed=1)
    batch = [encode_turns(tokenizer, turns) for turns in conversations(town, 4, seed=2)]
    assert len({len(ids) for ids, _ in batch}) > 1
    ids, labels = padded(batch, tokenizer.pad_token_id)
    mask = torch.tensor([[place < len(tokens) for place in range(ids.shape[1])] for tokens, _ in batch]).long()
    own = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    assert learned_loss(model, ids, labels).item() == pytest.approx(own.item(), abs=1e-5)
