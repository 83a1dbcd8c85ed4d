"""base.yml, a role's file and overrides become one recipe."""

import importlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.combine import combine, differences, merge, override_names, role_names, run_name, without_evaluation
from configs.files import BASE_FILE, CONFIGS, Output
from configs.strict_yaml import ConfigError, load_mapping

VALUES = st.integers() | st.lists(st.integers(), max_size=3)
TREES = st.dictionaries(
    st.sampled_from("abcd"), st.recursive(VALUES, lambda t: st.dictionaries(st.sampled_from("xyz"), t, max_size=3))
)
PATCHES = st.dictionaries(
    st.sampled_from("abcd"),
    st.recursive(VALUES | st.none(), lambda t: st.dictionaries(st.sampled_from("xyz"), t, max_size=3)),
)


def holds_null(node: Any) -> bool:
    return node is None or (isinstance(node, dict) and any(map(holds_null, node.values())))


@given(under=TREES, over=PATCHES)
def test_merging_twice_changes_nothing_more(under: dict[str, Any], over: dict[str, Any]) -> None:
    once = merge(under, over)
    assert merge(once, over) == once


@given(under=TREES, over=PATCHES)
def test_no_null_survives_a_merge(under: dict[str, Any], over: dict[str, Any]) -> None:
    assert not holds_null(merge(under, over))


@given(under=TREES)
def test_an_empty_override_changes_nothing(under: dict[str, Any]) -> None:
    assert merge(under, {}) == under


@given(under=TREES, over=TREES)
def test_what_the_override_says_holds(under: dict[str, Any], over: dict[str, Any]) -> None:
    merged = merge(under, over)
    assert all(merged[key] == value for key, value in over.items() if not isinstance(value, dict))


def test_lists_replace_and_mappings_join() -> None:
    under = {"list": [1, 2], "map": {"a": 1, "b": 2}, "gone": 1}
    assert merge(under, {"list": [3], "map": {"b": None, "c": 3}, "gone": None}) == {
        "list": [3],
        "map": {"a": 1, "c": 3},
    }


def test_a_mapping_over_a_list_of_mappings_changes_each_of_them() -> None:
    under = {"datasets": [{"path": "a", "roles": {"user": ["human"], "tool": ["tool"]}}, {"path": "b"}]}
    assert merge(under, {"datasets": {"roles": {"user": ["user"]}}}) == {
        "datasets": [
            {"path": "a", "roles": {"user": ["user"], "tool": ["tool"]}},
            {"path": "b", "roles": {"user": ["user"]}},
        ]
    }


def test_native_rows_are_read_from_the_same_files() -> None:
    xml, native = combine("mayor"), combine("mayor", ["native"])
    for key in ("datasets", "test_datasets"):
        [before], [after] = xml[key], native[key]
        assert (before["field_messages"], after["field_messages"]) == ("conversations", "messages")
        assert {name for name in before if before[name] != after[name]} == {
            "field_messages",
            "message_property_mappings",
            "roles",
        }


def test_there_is_a_recipe_for_each_of_the_eight_roles() -> None:
    assert role_names() == ("boot", "crew", "deacon", "dog", "mayor", "polecat", "refinery", "witness")
    assert {"llama31", "native", "smoke"} <= set(override_names())


@pytest.mark.parametrize("role", role_names())
def test_a_role_trains_on_its_own_rows_into_its_own_folder(role: str) -> None:
    config = combine(role, output=Output(Path("here")))
    assert [block["path"] for block in config["datasets"]] == [f"here/datasets/{role}_train.jsonl"]
    assert [block["path"] for block in config["test_datasets"]] == [f"here/datasets/{role}_val.jsonl"]
    assert config["output_dir"] == f"here/checkpoints/{role}"
    assert config["wandb_name"] == role


@pytest.mark.parametrize("role", role_names())
def test_a_role_file_says_only_what_differs_and_why(role: str) -> None:
    base = load_mapping(BASE_FILE)
    file = BASE_FILE.parent / "roles" / f"{role}.yml"
    own = load_mapping(file)
    lines = file.read_text(encoding="utf-8").splitlines()
    unexplained = [
        line
        for above, line in pairwise(lines)
        if not line.startswith("#") and not above.startswith("#") and not line.startswith("lora_alpha")
    ]
    assert not unexplained
    assert all(base.get(key) != value for key, value in own.items())


def test_the_base_is_the_recipe_of_the_plan() -> None:
    base = load_mapping(BASE_FILE)
    wanted = {
        "base_model": "Qwen/Qwen2.5-7B-Instruct",
        "adapter": "qlora",
        "load_in_4bit": True,
        "lora_r": 64,
        "lora_alpha": 128,
        "lora_dropout": 0.05,
        "sequence_len": 4096,
        "sample_packing": True,
        "learning_rate": 2.0e-4,
        "num_epochs": 3,
        "micro_batch_size": 2,
        "bf16": "auto",
    }
    assert {key: base[key] for key in wanted} == wanted
    assert set(base["lora_target_modules"]) == {f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")}


def test_later_overrides_win(tmp_path: Path) -> None:
    for name, rank in (("one", 8), ("two", 4)):
        (tmp_path / f"{name}.yml").write_text(f"lora_r: {rank}\n", encoding="utf-8")
    assert combine("mayor", [str(tmp_path / "one.yml"), str(tmp_path / "two.yml")])["lora_r"] == 4


def test_all_unknown_names_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        combine("major", ["smok"])
    role, override = error.value.problems
    assert role == (
        "There is no role `major`. The roles are boot, crew, deacon, dog, mayor, polecat, refinery, witness; "
        "gastown is all of them. The packs are coding, companion, education, finance, healthcare, legal, or the path "
        "of a pack's .yml file."
    )
    assert override.startswith("There is no override `smok`.")


def test_a_recipe_without_evaluation_mentions_none() -> None:
    assert not [key for key in without_evaluation(combine("boot")) if "eval" in key or "early" in key or "best" in key]


def test_differences_name_added_changed_and_removed_keys() -> None:
    assert differences({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4, "d": 5}) == [
        ("b", 2, 4),
        ("c", 3, None),
        ("d", None, 5),
    ]


def test_all_roles_together_are_the_base_recipe_itself() -> None:
    assert combine("gastown") == load_mapping(BASE_FILE)
    assert combine("gastown", ["smoke"])["max_steps"] == load_mapping(CONFIGS / "smoke.yml")["max_steps"]


@pytest.mark.parametrize("method", ["dpo", "kto"])
@pytest.mark.parametrize("role", [*role_names(), "gastown"])
def test_a_run_on_preferences_has_a_name_and_a_folder_of_its_own(role: str, method: str) -> None:
    config = combine(role, ["smoke", method], Output(Path("here")))
    assert run_name(role, ["smoke", method]) == f"{role}-{method}"
    assert config["output_dir"] == f"here/checkpoints/{role}-{method}"
    assert [block["path"] for block in config["datasets"]] == [f"here/datasets/{role}.{method}.train.jsonl"]
    assert [block["path"] for block in config["test_datasets"]] == [f"here/datasets/{role}.{method}.val.jsonl"]


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_the_blocks_of_preferences_hold_what_axolotl_reads_of_them_and_nothing_else(method: str) -> None:
    known = {"path", "split", "type", "field_messages"}
    config = combine("mayor", [method])
    assert all(set(block) <= known for block in config["datasets"] + config["test_datasets"])


@pytest.mark.parametrize("order", [("smoke", "dpo"), ("dpo", "smoke"), ("smoke", "kto"), ("kto", "smoke")])
def test_preferences_train_on_a_cpu_whichever_override_comes_first(order: tuple[str, str]) -> None:
    config = combine("mayor", order)
    on_a_gpu = ("lora_mlp_kernel", "load_in_4bit", "bf16", "liger_rope", "liger_fused_linear_cross_entropy")
    assert not any(config.get(key) for key in (*on_a_gpu, "sample_packing"))
    assert config["plugins"] == ["configs.plugin.ForgePlugin"]


def test_an_ordinary_run_has_the_name_of_its_role() -> None:
    assert run_name("mayor", ["smoke"]) == "mayor"
    assert run_name("mayor", ["dpo"], "mayor-long") == "mayor-long"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_a_run_that_goes_on_names_the_adapter_and_what_loads_it(method: str) -> None:
    pytest.importorskip("axolotl")
    config = combine("mayor", [method, "sft"], Output(Path("here")))
    assert config["lora_model_dir"] == "here/adapters/mayor"
    module, _, name = config["trainer_cls"].rpartition(".")
    assert hasattr(importlib.import_module(module), name)


def test_without_preferences_axolotl_loads_the_adapter_itself() -> None:
    config = combine("mayor", ["sft"], Output(Path("here")))
    assert config["lora_model_dir"] == "here/adapters/mayor" and "trainer_cls" not in config


def test_a_named_run_trains_the_rows_of_its_role_into_its_own_folder() -> None:
    config = combine("mayor", [], Output(Path("here")), "mayor-long")
    assert config["output_dir"] == "here/checkpoints/mayor-long"
    assert config["wandb_name"] == "mayor-long"
    assert [block["path"] for block in config["datasets"]] == ["here/datasets/mayor_train.jsonl"]


@pytest.mark.parametrize("name", ["../mayor", "a b", ".hidden", "a/b"])
def test_a_run_name_that_is_no_name_of_a_folder_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is no name for a run"):
        run_name("mayor", [], name)


@pytest.mark.parametrize("name", ["crew", "gastown"])
def test_no_run_takes_the_name_of_another_role(name: str) -> None:
    with pytest.raises(ConfigError, match=f"A run named {name} is the one of that role"):
        run_name("mayor", [], name)


def test_a_run_on_preferences_never_replaces_the_adapter_of_its_role() -> None:
    with pytest.raises(ConfigError, match="Choose another name, such as mayor-dpo-long"):
        run_name("mayor", ["dpo"], "mayor")
