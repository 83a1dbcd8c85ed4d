"""The loss of recorded replies: the tokens that Axolotl trains and its sum, one reading per row, base from one load."""

import importlib.util
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from eval.answer import parse_answer
from eval.heldout import Row, read_rows
from eval.loss import NoLoss, Part, Reader, TurnLoss, measure_losses
from eval.models import Settings, open_model
from eval.segments import split_reply
from eval.targets import resolve_target
from tests.eval_models import make_adapter, make_base
from tests.test_eval_next_action import as_native, bash, call_text, row, write_rows

HAS_LM_EVAL = importlib.util.find_spec("lm_eval") is not None
needs_lm_eval = pytest.mark.skipif(not HAS_LM_EVAL, reason="needs requirements-gpu.txt")


class Letters:
    """A tokenizer of one token per character but for the end mark `$`; its template writes `role>\\ncontent$\\n`."""

    is_fast = True

    def __call__(self, text: str, **_: Any) -> dict[str, Any]:
        return {"input_ids": list(map(ord, text)), "offset_mapping": [(i, i + 1) for i in range(len(text))]}

    def apply_chat_template(self, messages: Sequence[Any], add_generation_prompt: bool, **_: Any) -> str:
        shown = "".join(f"{message['role']}>\n{message['content']}$\n" for message in messages)
        return shown + ("assistant>\n" if add_generation_prompt else "")


class Forgetful(Letters):
    """A template that writes a reply in another way once another message follows."""

    def apply_chat_template(self, messages: Sequence[Any], add_generation_prompt: bool, **_: Any) -> str:
        last = len(messages) - 1
        shown = "".join(f"{m['role']}>{'' if i < last else ' '}\n{m['content']}$\n" for i, m in enumerate(messages))
        return shown + ("assistant> \n" if add_generation_prompt else "")


def rows_of(folder: Path, *rows: dict[str, Any]) -> list[Row]:
    return read_rows(write_rows(folder / "rows.jsonl", *rows))[0]


def reader(limit: int = 10_000) -> Reader:
    return Reader(Letters(), frozenset({ord("$")}), limit)


def read(tokens: Sequence[int], places: Sequence[int]) -> str:
    return "".join(chr(tokens[place]) for place in places)


def test_a_reply_is_its_text_and_the_mark_that_ends_it_and_no_newline(tmp_path: Path) -> None:
    (given_row,) = rows_of(tmp_path, row("s", "Go.", "One é.", "On.", "Two."))
    (found,) = reader().passes(given_row)
    assert not isinstance(found, str)
    assert [read(found.ids, trained.places) for trained in found.trained] == ["One é.$", "Two.$"]
    assert [trained.bytes for trained in found.trained] == [len("One é.".encode()), 4]
    assert [trained.key for trained in found.trained] == ["s-0#2", "s-0#4"]
    assert [trained.segments[-1] for trained in found.trained] == ["end", "end"]


TEXTS = st.text('ab {}\n:"', min_size=0, max_size=12).map(str.strip)
CALLS = st.lists(st.tuples(st.sampled_from(["Bash", "Read"]), st.text("ab {}\"'", max_size=9)), max_size=3)


@given(TEXTS, CALLS)
def test_every_character_of_a_reply_has_its_segment(said: str, calls: list[tuple[str, str]]) -> None:
    text = "\n".join([*([said] if said else []), *(call_text(name, command=value) for name, value in calls)])
    parts = split_reply(text, said, parse_answer(text).calls)
    of = {kind: "".join(c for c, part in zip(text, parts, strict=True) if part == kind) for kind in set(parts)}
    assert of.get("name", "") == "".join(name for name, _ in calls)
    assert of.get("arguments", "") == "".join(json.dumps({"command": value}, ensure_ascii=False) for _, value in calls)
    assert of.get("text", "").replace("\n", "") == said.replace("\n", "")
    assert of.get("form", "").count("<tool_call>") == len(calls)


def test_a_template_with_tags_of_its_own_has_segments_too() -> None:
    text = 'Look.[TOOL_CALLS][{"name": "Bash", "arguments": {"command": "ls"}, "id": "1"}]'
    parts = split_reply(text, "Look.", parse_answer(bash("ls")).calls)
    shown = {kind: "".join(c for c, part in zip(text, parts, strict=True) if part == kind) for kind in set(parts)}
    assert shown["text"] == "Look." and shown["name"] == "Bash" and shown["arguments"] == '{"command": "ls"}'
    assert split_reply("Look.<weird>", "Look.", parse_answer(bash("ls")).calls)[-1] == "form"


def test_a_long_row_is_read_reply_by_reply_with_its_oldest_exchanges_dropped(tmp_path: Path) -> None:
    (given_row,) = rows_of(tmp_path, row("s", "a" * 100, "one", "b" * 200, "two", "c" * 900, "three"))
    found = list(reader(300).passes(given_row))
    assert found[2] == "s-0#6"
    first, second = found[:2]
    assert not isinstance(first, str) and not isinstance(second, str)
    assert [read(p.ids, p.trained[0].places) for p in (first, second)] == ["one$", "two$"]
    assert [p.trained[0].dropped for p in (first, second)] == [0, 2]
    assert all("You are the mayor." in read(p.ids, range(len(p.ids))) for p in (first, second))


def test_what_cannot_be_measured_says_why(tmp_path: Path) -> None:
    (given_row,) = rows_of(tmp_path, row("s", "Go.", "One.", "On.", "Two."))
    with pytest.raises(NoLoss, match="in another way when others follow"):
        list(Reader(Forgetful(), frozenset({ord("$")}), 999).passes(given_row))
    with pytest.raises(NoLoss, match="no token that ends an answer"):
        list(Reader(Letters(), frozenset(), 999).passes(given_row))
    slow = Letters()
    slow.is_fast = False
    with pytest.raises(NoLoss, match="does not say where its tokens stand"):
        Reader(slow, frozenset(), 999)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """base and adapter; the template is that of the real base, which shows tools."""
    folder = tmp_path_factory.mktemp("models")
    make_base(folder / "base")
    (folder / "base" / "chat_template.jinja").write_text((root / "data" / "qwen2_5.jinja").read_text())
    make_adapter(folder / "base", folder / "adapter")
    return folder


def load(models: Path, name: str) -> Any:
    label = "base" if name == "base" else str(models / name)
    return open_model(resolve_target(label, str(models / "base"), "unused"), Settings())


TOWN = (
    row(
        "one",
        "Go.\n",
        f"Looking é 😀.\n{bash('gt hook', description='a {b}')}",
        "<tool_result>\nNone\n</tool_result>",
        "Done.",
    ),
    row("two", "x", "Not this.", "y", bash("gt mail inbox"), trained=[False, False, False, True]),
    row("three", "long " * 60, "a\n\nb", "  code", "```\n  code\n```"),
)


def summed(losses: dict[str, TurnLoss]) -> Part:
    parts = [part for loss in losses.values() for part in loss.segments.values()]
    return Part(sum(part.tokens for part in parts), math.fsum(part.nats for part in parts))


@pytest.mark.slow
@needs_lm_eval
def test_the_base_within_an_adapter_is_the_base_alone(models: Path, tmp_path: Path) -> None:
    rows = rows_of(tmp_path, *TOWN)
    together, alone = measure_losses(load(models, "adapter"), rows), measure_losses(load(models, "base"), rows)
    assert together.base == alone.model and not alone.base
    assert together.model != together.base
    again = measure_losses(load(models, "adapter"), rows[::-1])
    assert again.model == together.model


@pytest.mark.slow
@needs_lm_eval
def test_one_reading_of_a_row_gives_what_each_reply_alone_gives(models: Path, tmp_path: Path) -> None:
    rows = rows_of(tmp_path, *TOWN)
    model = load(models, "base")
    whole = measure_losses(model, rows).model
    for given_row in rows:
        for place in given_row.trained:
            alone = replace(given_row, messages=given_row.messages[: place + 1], trained=(place,))
            (loss,) = measure_losses(model, [alone]).model.values()
            assert loss.segments.keys() == whole[given_row.key(place)].segments.keys()
            for kind, part in loss.segments.items():
                other = whole[given_row.key(place)].segments[kind]
                assert part.tokens == other.tokens and part.nats == pytest.approx(other.nats, rel=1e-5)


def axolotl_rows(root: Path, base: Path, form: str, rows: Path) -> Iterator[dict[str, list[int]]]:
    """The rows as Axolotl tokenizes and masks them under the recipe's own dataset settings."""
    from axolotl.prompt_strategies.chat_template import load
    from axolotl.utils.dict import DictDefault
    from transformers import AutoTokenizer

    recipe = yaml.safe_load((root / "configs" / "base.yml").read_text())
    settings = recipe["datasets"][0]
    if form == "native":
        settings |= yaml.safe_load((root / "configs" / "native.yml").read_text())["datasets"]
    config = DictDefault({"chat_template": recipe["chat_template"], "sequence_len": 4096, "train_on_inputs": False})
    strategy = load(AutoTokenizer.from_pretrained(base), config, DictDefault(settings))
    for line in rows.read_text("utf-8").splitlines():
        yield strategy.tokenize_prompt(json.loads(line))


@pytest.mark.slow
@needs_lm_eval
@pytest.mark.parametrize("form", ["xml", "native"])
def test_the_sum_is_the_loss_that_axolotl_trains_on(root: Path, models: Path, tmp_path: Path, form: str) -> None:
    pytest.importorskip("axolotl")
    import torch
    from transformers import AutoModelForCausalLM

    base = models / "base"
    path = write_rows(tmp_path / "rows.jsonl", *(TOWN if form == "xml" else map(as_native, TOWN)))
    network = AutoModelForCausalLM.from_pretrained(base)
    ours = open_model(resolve_target("base", str(base), "unused"), Settings())
    rows, _ = read_rows(path)
    for given_row, masked in zip(rows, axolotl_rows(root, base, form, path), strict=True):
        found = summed(measure_losses(ours, [given_row]).model)
        with torch.no_grad():
            ids, labels = torch.tensor([masked["input_ids"]]), torch.tensor([masked["labels"]])
            mean = float(network(input_ids=ids, labels=labels).loss)
        trained = sum(label != -100 for label in masked["labels"])
        assert found.tokens == trained > 0
        assert found.nats == pytest.approx(mean * trained, rel=1e-5)
