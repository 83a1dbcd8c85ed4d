"""Recipes are checked before they cost anything: every combination, and the rows that are there."""

import json
from pathlib import Path
from typing import Any

import pytest

from configs.axolotl_check import end_tokens
from configs.combine import ALL_ROLES, combine, layer_files, override_names, role_names
from configs.files import Output
from configs.pack.layer import pack_names
from configs.prepared import IGNORED, Prepared, of_preferences, pieces
from configs.preview import compared, shown_sample
from configs.rules import notes_on
from configs.validate import TOGETHER, check, combinations, main
from tests.test_configs_resolve import write_rows

Said = pytest.CaptureFixture[str]
OVERRIDES = [(), *((name,) for name in override_names()), *TOGETHER]


@pytest.mark.parametrize("overrides", OVERRIDES)
def test_every_recipe_is_valid(overrides: tuple[str, ...]) -> None:
    assert [problem for role in (ALL_ROLES, *role_names(), *pack_names()) for problem in check(role, overrides)] == []


def test_the_command_counts_what_it_checked(tmp_path: Path, capsys: Said) -> None:
    assert main(["--root", str(tmp_path)]) == 0
    recipes, rows = capsys.readouterr().out.splitlines()
    total = 9 * len(OVERRIDES) + len(pack_names()) * (1 + len(override_names()))
    assert len(list(combinations())) == total
    assert recipes.startswith(f"{total} recipes are valid for Axolotl 0.19")
    assert recipes.endswith(f"; {len(pack_names())} packs, alone and with each override")
    assert rows == f"{tmp_path}/datasets: no finished dataset, so no rows were checked. `make all` makes one."


@pytest.fixture
def rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipes themselves are checked by the tests above, and take a second each time."""
    monkeypatch.setattr("configs.validate.combinations", list)


@pytest.mark.usefixtures("rows_alone")
def test_rows_that_are_there_are_checked_in_the_form_that_they_have(tmp_path: Path, capsys: Said) -> None:
    write_rows(tmp_path, "mayor", "train")
    write_rows(tmp_path, "mayor", "val")
    write_rows(tmp_path, "crew", "train", column="messages")
    assert main(["--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "crew: 2 rows, 150 of 300 tokens trained, the longest 200 of 4,096, without evaluation (no validation rows, or "
        "the recipe leaves it out)",
        "mayor: 2 rows, 150 of 300 tokens trained, the longest 200 of 4,096",
    ]


@pytest.mark.usefixtures("rows_alone")
def test_preferences_that_are_there_are_checked_as_the_run_that_trains_them(tmp_path: Path, capsys: Said) -> None:
    write_rows(tmp_path, "mayor", "val")
    about = json.dumps({"tokens": 100, "trained_tokens": 20})
    row = {"messages": [], "chosen": {}, "rejected": {}, "metadata": about}
    Output(tmp_path).rows("mayor", "train", "dpo").write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert main(["--root", str(tmp_path)]) == 0
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert line.startswith("mayor-dpo: 1 rows, 20 of 100 tokens trained, the longest 100 of 2,048, without evaluation")


@pytest.mark.usefixtures("rows_alone")
def test_everything_that_is_wrong_with_rows_and_recipes_comes_at_once(tmp_path: Path, capsys: Said) -> None:
    long = write_rows(tmp_path, "mayor", "train", (100, 5000))
    broken = write_rows(tmp_path, "crew", "val")
    write_rows(tmp_path, "crew", "train")
    broken.write_text("{}\n", encoding="utf-8")
    assert main(["--root", str(tmp_path)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"{broken}:1: not a row of the pipeline. Run `make all` again."
    assert second.startswith(f"{long}: its longest row has 5000 tokens, sequence_len is 4096.")


def test_a_role_is_checked_with_what_it_needs_here(tmp_path: Path, capsys: Said) -> None:
    override = tmp_path / "mine.yml"
    override.write_text(f"base_model: {tmp_path}/base\nattn_implementation: sdpa\n", encoding="utf-8")
    arguments = ["mayor", "boot", "--with", str(override), "--root", str(tmp_path)]
    assert main(arguments) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"note: {override}:2: Axolotl warns that packed rows under sdpa in bf16")
    assert said[2:] == [
        f"{tmp_path}/base: no model there. `make smoke` makes the tiny base; or name another base_model."
    ]
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}", encoding="utf-8")
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith(f"mayor: the recipe is valid. {tmp_path}/datasets is not built")


def test_a_role_without_rows_is_named_once_there_is_a_dataset(tmp_path: Path, capsys: Said) -> None:
    write_rows(tmp_path, "mayor", "train")
    assert main(["boot", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"{tmp_path}/datasets: no sessions of the role boot, so no rows.")


def test_a_wrong_recipe_of_a_role_is_named_with_file_and_line(tmp_path: Path, capsys: Said) -> None:
    override = tmp_path / "mine.yml"
    override.write_text(
        "lora_rr: 64\nfsdp_version: 2\nfsdp_config:\n  cpu_ram_eficient_loading: true\n", encoding="utf-8"
    )
    assert main(["mayor", "--with", str(override), "--root", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"{override}:1: Axolotl knows no key `lora_rr`; did you mean `lora_r`?" in said
    assert f"{override}:4: Axolotl knows no key `cpu_ram_eficient_loading`" in said
    assert "FSDP2 cannot divide the state of an optimizer of bitsandbytes" in said


def test_a_deep_check_wants_a_role(capsys: Said) -> None:
    assert main(["--deep"]) == 2
    assert "--deep needs a role" in capsys.readouterr().err


def test_a_note_stops_nothing_and_no_recipe_ships_with_one(tmp_path: Path, capsys: Said) -> None:
    assert not [name for name in OVERRIDES if notes_on(combine("mayor", name), layer_files("mayor", name))]
    override = tmp_path / "large.yml"
    override.write_text("eval_batch_size: 4\n", encoding="utf-8")
    assert main(["mayor", "--with", str(override), "--root", str(tmp_path)]) == 0
    assert "note: " in capsys.readouterr().err


class Tokenizer:
    """Decodes a token as its letter."""

    eos_token_id = ord("$")

    def convert_tokens_to_ids(self, token: str) -> int:
        return ord(token)

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        return "".join(map(chr, ids))


def test_trained_tokens_are_marked_by_bars_or_by_colour() -> None:
    text = "sys:hi!"
    row = {"input_ids": list(map(ord, text)), "labels": [IGNORED] * 4 + list(map(ord, "hi")) + [IGNORED]}
    parts = pieces(row, Tokenizer().decode)
    assert parts == [("sys:", False), ("hi", True), ("!", False)]
    assert shown_sample(parts, colour=False) == "sys:|hi|!"
    assert shown_sample(parts, colour=True) == "\x1b[2msys:\x1b[0m\x1b[1;32mhi\x1b[0m\x1b[2m!\x1b[0m"


def test_a_reply_may_end_with_the_tokenizers_mark_and_with_those_that_the_recipe_names() -> None:
    assert end_tokens(Tokenizer(), ["%"]) == {ord("$"), ord("%")}


def test_of_preferences_the_better_side_is_marked() -> None:
    pair = of_preferences([{"prompt": "Q", "chosen": "yes", "rejected": "no"}], None, ())
    assert shown_sample(pair.sample, colour=False) == "Q\n[chosen]\n|yes|\n[rejected]\nno"
    judged = of_preferences([{"prompt": "Q", "completion": "no", "label": False}], None, ())
    assert shown_sample(judged.sample, colour=False) == "Q\n[bad completion]\nno"


def rows_with(tmp_path: Path, shapes: list[tuple[int, int]], base: str | None = "the/base") -> Path:
    """A file of rows that say how many tokens they have and train, counted with the tokenizer of `base`."""
    rows = [{"metadata": {"tokens": tokens, "trained_tokens": trained}} for tokens, trained in shapes]
    file = tmp_path / "mayor_train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "manifest.json").write_text(json.dumps({"base_model": base} if base else {}), encoding="utf-8")
    return file


CONFIG: dict[str, Any] = {"base_model": "the/base", "sequence_len": 100, "sample_packing": True}


def test_prepared_rows_that_are_what_they_say_need_no_explanation(tmp_path: Path) -> None:
    file = rows_with(tmp_path, [(10, 4), (20, 5)])
    assert compared(file, Prepared(2, [(20, 5), (10, 4)], 0, []), CONFIG) == (
        ["2 of 2 rows", "30 tokens, 9 of them trained (the rows say 9)"],
        [],
    )


def test_rows_that_left_are_explained_by_their_own_counts(tmp_path: Path) -> None:
    file = rows_with(tmp_path, [(10, 4), (20, 0), (200, 3)])
    said, wrong = compared(file, Prepared(1, [(10, 4)], 0, []), CONFIG)
    assert said[0] == "1 of 3 rows; 2 left out (1 train nothing, 1 are longer than sequence_len)"
    assert not wrong


@pytest.mark.parametrize(
    ("base", "is_wrong", "why"),
    [
        ("the/base", True, "the mask is not the one that the pipeline promised"),
        ("other/base", False, "counted with the tokenizer of other/base, and the recipe trains the/base."),
        (None, False, "nothing says which tokenizer counted them."),
    ],
)
def test_other_counts_are_wrong_only_where_the_same_tokenizer_counted(
    tmp_path: Path, base: str | None, is_wrong: bool, why: str
) -> None:
    file = rows_with(tmp_path, [(10, 4), (20, 5)], base)
    said, wrong = compared(file, Prepared(2, [(10, 4), (20, 6)], 0, []), CONFIG)
    sentence = (wrong if is_wrong else said)[-1]
    assert sentence.startswith("1 rows have other counts than they say") and why in sentence
    assert bool(wrong) == is_wrong


def test_a_reply_without_its_end_mark_is_wrong_in_any_case(tmp_path: Path) -> None:
    _, wrong = compared(rows_with(tmp_path, [(10, 4)]), Prepared(1, [(10, 4)], 1, []), CONFIG)
    assert wrong[0].startswith("1 trained replies do not end with an end mark")
