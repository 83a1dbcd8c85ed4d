"""Which system prompt a conversation carries: a stable share of them the full one, if the role has one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from data.config import ConfigError, DataConfig, PromptsConfig, RoleConfig, WindowConfig, load_config
from data.prompts import check_prompts, choose_prompt, redact_prompts
from data.tokens import load_counter
from tests.small_build import build, rows
from tests.transcripts import Script

BOTH = RoleConfig("compact", full="full")
MINIMAL = 'base_model: m\nsources: []\nroles:\n  unknown: {system: a}\n  mayor: {system: b, full_file: "mayor.md"}\n'


def config_in(folder: Path, text: str) -> Path:
    (folder / "data.yml").write_text(text, "utf-8")
    return folder / "data.yml"


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_only_ever_turns_compact_into_full(conversation: str, one: float, other: float) -> None:
    less, more = sorted((one, other))
    before = choose_prompt(BOTH, PromptsConfig(less, 1 - less), conversation)
    after = choose_prompt(BOTH, PromptsConfig(more, 1 - more), conversation)
    assert (before, after) != ("full", "compact")


@given(st.text(), st.floats(0, 1))
def test_a_role_without_a_full_prompt_has_its_compact_one(conversation: str, share: float) -> None:
    assert choose_prompt(RoleConfig("compact"), PromptsConfig(share, 1 - share), conversation) == "compact"


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.3, 250, 350), (1.0, 1000, 1000)])
def test_the_share_is_as_declared(share: float, least: int, most: int) -> None:
    chosen = [choose_prompt(BOTH, PromptsConfig(share, 1 - share), f"s{n}") for n in range(1000)]
    assert least <= chosen.count("full") <= most


def test_the_full_prompt_is_read_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "mayor.md").write_text("You are the Mayor.\n", "utf-8")
    config = load_config(config_in(tmp_path, MINIMAL + "prompts: {full: 0.3, compact: 0.7}\n"))
    assert config.roles["mayor"].full == "You are the Mayor.\n"
    assert config.roles["unknown"].full == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (MINIMAL, "roles.mayor.full_file: mayor.md cannot be read (No such file or directory)"),
        (MINIMAL + "prompts: {full: 0.3}\n", "prompts.full + prompts.compact must be 1"),
        (MINIMAL + "prompts: {full: -0.5, compact: 1.5}\n", "prompts.full + prompts.compact must be 1"),
        (MINIMAL.replace("full_file: ", "full: x, full_file: "), "full and full_file both give the full prompt"),
        (
            MINIMAL.replace(', full_file: "mayor.md"', "") + "prompts: {full: 0.3, compact: 0.7}\n",
            "no role has a full prompt",
        ),
    ],
)
def test_a_wrong_share_or_file_stops_before_any_work(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(config_in(tmp_path, text))
    assert problem in str(caught.value)


def test_a_full_prompt_must_leave_half_of_a_window() -> None:
    roles = {"mayor": RoleConfig("short", full="Watch the town. " * 100), "crew": RoleConfig("short")}
    config = DataConfig("Qwen/Qwen2.5-7B-Instruct", (), roles, windows=WindowConfig(max_tokens=512))
    counter = load_counter(config.base_model)
    shared = replace(config, prompts=PromptsConfig(0.5, 0.5))
    (problem,) = check_prompts(shared, counter)
    assert problem.startswith("roles.mayor: the full prompt has 400 tokens, but may have 256")
    assert check_prompts(replace(shared, windows=WindowConfig(max_tokens=1024)), counter) == []
    assert check_prompts(config, counter) == []  # none of them is used


def test_an_empty_full_prompt_is_a_problem() -> None:
    roles = {"mayor": RoleConfig("short", full_file="mayor.md", full=" \n")}
    config = DataConfig("Qwen/Qwen2.5-7B-Instruct", (), roles, prompts=PromptsConfig(0.5, 0.5))
    assert check_prompts(config, load_counter(config.base_model)) == [
        "roles.mayor.full_file: mayor.md is empty. Write the prompt into it."
    ]


def test_a_full_prompt_is_redacted_before_it_stands_in_rows() -> None:
    roles = redact_prompts({"mayor": BOTH, "crew": RoleConfig("compact")}, str.upper)
    assert roles == {"mayor": RoleConfig("compact", full="FULL"), "crew": RoleConfig("compact")}


def test_rows_carry_the_full_prompt_without_the_names_in_it(tmp_path: Path) -> None:
    script = Script()
    script.human("What is on the hook?")
    script.says("Nothing is on the hook, so I wait for the next message.", "m1")
    script.save(tmp_path / "projects")
    (tmp_path / "full.md").write_text("You are an agent. Your folder is /home/zelda/gt and nobody else's.", "utf-8")
    roles = {"unknown": {"system": "You are an agent.", "full_file": "full.md"}}
    assert build(tmp_path, roles=roles, prompts={"full": 1.0, "compact": 0.0}) == 0
    (row,) = rows(tmp_path)
    prompt = row["conversations"][0]["value"]
    assert prompt.startswith("You are an agent. Your folder is /home/user-")
    assert "zelda" not in prompt
