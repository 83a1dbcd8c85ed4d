"""deploy.texts finds every text in a binary model file, and says so where the file is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.adapter import Refusal
from deploy.texts import texts_in
from tests.model_files import gguf, safetensors

words = st.text(max_size=12)
values = words | st.integers(-9, 9) | st.lists(words, max_size=4) | st.lists(st.integers(-9, 9), min_size=1, max_size=4)
pairs = st.dictionaries(st.text(min_size=1, max_size=12), values, max_size=5)
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@in_one_folder
@given(pairs)
def test_every_text_of_a_gguf_file_is_found_under_its_key(tmp_path: Path, metadata: dict[str, str]) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(metadata, b"\0" * 64))
    found = {text.label.removesuffix(" of model.gguf"): text.content for text in texts_in(path)}
    assert set(found) == set(metadata)
    for key, value in metadata.items():
        texts = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]
        assert found[key] == "\n".join([key, *texts])


@in_one_folder
@given(pairs.filter(bool), st.integers(1, 20))
def test_a_gguf_file_that_is_cut_in_its_header_is_refused(tmp_path: Path, metadata: dict[str, str], cut: int) -> None:
    path = tmp_path / "model.gguf"
    content = gguf(metadata)
    path.write_bytes(content[: max(0, len(content) - cut)])
    with pytest.raises(Refusal, match="not a whole GGUF file"):
        list(texts_in(path))


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"GGUF" + b"\xff" * 60, b"GGML" + b"\0" * 60])
def test_what_is_no_gguf_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(Refusal, match="not a whole GGUF file"):
        list(texts_in(path))


def test_only_word_pieces_are_read_as_a_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf({"general.name": "x", "tokenizer.ggml.tokens": ["/usr"], "tokenizer.chat_template": "y"}))
    assert [text.vocabulary for text in texts_in(path)] == [False, True, False]


def test_the_metadata_of_safetensors_and_the_bytes_of_a_sentencepiece_model_are_texts(tmp_path: Path) -> None:
    weights, pieces = tmp_path / "model.safetensors", tmp_path / "tokenizer.model"
    weights.write_bytes(safetensors(1, {"made_by": "somebody"}))
    pieces.write_bytes(b"\x0a\x05/home/somebody/x\xff")
    assert [text.content for text in texts_in(weights)] == ["somebody"]
    assert ["/home/somebody/x" in text.content and text.vocabulary for text in texts_in(pieces)] == [True]
    with pytest.raises(Refusal, match="not published"):
        list(texts_in(tmp_path / "optimizer.pt"))
