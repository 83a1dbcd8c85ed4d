"""Token counts equal those of other implementations of the same tokenizer, template included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.tokens import QWEN_CONTROL, TokenCounter, TokenizerNotFound, load_counter, packaged_vocabulary

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200)
# Qwen2's pre-tokenizer, as its tokenizer.json has it.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    return load_counter("Qwen/Qwen2.5-7B-Instruct")


@pytest.fixture(scope="module")
def reference():  # type: ignore[no-untyped-def]
    """tiktoken over the same vocabulary: slower, and by other authors."""
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe

    ranks = load_tiktoken_bpe(str(packaged_vocabulary()))
    return tiktoken.Encoding("qwen", pat_str=SPLIT, mergeable_ranks=ranks, special_tokens=QWEN_CONTROL)


@given(texts=st.lists(TEXT, max_size=8))
@settings(deadline=None)
def test_counts_equal_the_reference(counter: TokenCounter, reference, texts: list[str]) -> None:  # type: ignore[no-untyped-def]
    import unicodedata

    expected = [len(reference.encode_ordinary(unicodedata.normalize("NFC", text))) for text in texts]
    assert counter.counts(texts) == expected


STRIPPED = TEXT.map(str.strip).filter(lambda text: "<|" not in text)


@given(system=STRIPPED, exchanges=st.lists(st.tuples(STRIPPED, STRIPPED), min_size=1, max_size=4))
@settings(deadline=None)
def test_a_row_costs_its_contents_and_frames(  # type: ignore[no-untyped-def]
    counter: TokenCounter, reference, system: str, exchanges: list[tuple[str, str]]
) -> None:
    import unicodedata

    turns = "".join(f"<|im_start|>user\n{u}<|im_end|>\n<|im_start|>assistant\n{a}<|im_end|>\n" for u, a in exchanges)
    rendered = unicodedata.normalize("NFC", f"<|im_start|>system\n{system}<|im_end|>\n{turns}")
    contents = sum(counter.counts([system, *(text for pair in exchanges for text in pair)]))
    total = counter.frame.opening + len(exchanges) * counter.frame.exchange + contents
    assert total == len(reference.encode(rendered, allowed_special="all"))


@given(text=TEXT.map(lambda t: t * 30), budget=st.integers(20, 200))
@settings(deadline=None)
def test_a_cut_text_fits_its_budget_and_a_short_one_is_untouched(counter: TokenCounter, text: str, budget: int) -> None:
    [cut] = counter.cut_middle([text], [budget])
    if counter.count(text) <= budget:
        assert cut == text
    else:
        assert counter.count(cut) <= budget + 4  # joining the halves to the marker can cost a few
        assert "characters left out" in cut


def test_the_tag_of_a_call_is_one_token_for_the_family_that_has_it() -> None:
    text = '<tool_call>\n{"name": "Bash"}\n</tool_call>'
    newer, older = (load_counter(f"Qwen/{name}-7B-Instruct") for name in ("Qwen2.5", "Qwen2"))
    body = newer.count('\n{"name": "Bash"}\n')
    assert newer.count(text) == body + 2 < older.count(text)


def test_a_folder_without_a_tokenizer_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(TokenizerNotFound, match="Save its tokenizer there"):
        load_counter(str(tmp_path))


def test_an_unknown_base_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(TokenizerNotFound, match=r"set base_model in configs/data.yml to that folder"):
        load_counter("someone/else")


def tiny_tokenizer(folder: Path, template: str) -> None:
    """A byte-level tokenizer with Qwen2's pre-tokenizer, trained on a few words."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["system user assistant the cat sat on the mat"] * 4, trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in QWEN_CONTROL])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template, "eos_token": "<|im_end|>"}))


CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


@pytest.mark.slow
@given(texts=st.lists(STRIPPED, min_size=3, max_size=3))
@settings(deadline=None, max_examples=30)
def test_a_tokenizer_folder_counts_like_the_tokenizers_library(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    from tokenizers import Tokenizer

    folder = tmp_path_factory.getbasetemp() / "tiny-tokenizer"
    if not folder.exists():
        folder.mkdir()
        tiny_tokenizer(folder, CHATML)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    counter = load_counter(str(folder))
    assert counter.counts(texts) == [len(tokenizer.encode(text).ids) for text in texts]
    system, user, reply = texts
    turns = [("system", system), ("user", user), ("assistant", reply)]
    rendered = "".join(f"<|im_start|>{who}\n{text}<|im_end|>\n" for who, text in turns)
    total = counter.frame.opening + counter.frame.exchange + sum(counter.counts(texts))
    assert total == len(tokenizer.encode(rendered).ids)


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{% if m.role != 'system' %}{{ m.content }}{% endif %}{% endfor %}",
        "{% for m in messages %}{{ loop.index }}:{{ m.content }}\n{% endfor %}",
    ],
)
def test_a_template_that_cannot_be_counted_is_refused(tmp_path: Path, template: str) -> None:
    tiny_tokenizer(tmp_path, template)
    with pytest.raises(TokenizerNotFound, match="cannot be counted"):
        load_counter(str(tmp_path))
