"""configs/data.yml: every problem at once, each with the key and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.config import ConfigError, load_config

MINIMAL = """
base_model: Qwen/Qwen2.5-7B-Instruct
sources: [{kind: sessions, path: "{sessions}"}]
roles: {unknown: {system: You help.}}
"""


def problems(tmp_path: Path, text: str) -> str:
    path = tmp_path / "data.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    return str(error.value)


def test_the_repository_config_loads(root: Path) -> None:
    config = load_config(root / "configs" / "data.yml")
    assert {"mayor", "deacon", "boot", "dog", "witness", "refinery", "polecat", "crew", "unknown"} <= set(config.roles)
    assert all(role.system.startswith("[") for role in config.roles.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MINIMAL + "wimdows: {pairs: 4}", "wimdows is not a key. Did you mean windows?"),
        (MINIMAL + "windows: {pair: 4}", "windows.pair is not a key. Did you mean pairs?"),
        (MINIMAL + "seed: 1\nseed: 2", "'seed' stands twice"),
        (MINIMAL + "seed: many", "Expected `int`"),
        (MINIMAL + "split: {val: 0.7, test: 0.6}", "split.val + split.test must be"),
        (MINIMAL + "windows: {overlap: 1.5}", "windows.overlap must be"),
        (MINIMAL + "windows: {pairs: 0}", "windows.pairs must be"),
        (MINIMAL + "normalize: {boilerplate: {x: '('}}", "normalize.boilerplate.x: '(' is not a regular expression"),
        (MINIMAL + "tagger: {rules: [{cwd: x, role: chef}]}", "tagger.rules[0].role: chef is not one of the roles"),
        (MINIMAL.replace("unknown", "mayor"), "roles.unknown is missing"),
        (MINIMAL.replace("kind: sessions", "kind: cessions"), "Invalid enum value 'cessions'"),
        ("a: [", "is not valid YAML"),
        ("- a", "the file: Expected `object`, got `array`"),
        (MINIMAL + "windows: 8", "windows: Expected `object`"),
        (MINIMAL.replace("roles", "rules"), "roles is missing"),
    ],
)
def test_a_wrong_config_is_a_sentence(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in problems(tmp_path, text)


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, MINIMAL + "sead: 1\nwindows: {pair: 1, overlap: half}\nsplit: {val: x}\nroles2: {}")
    assert len(found.splitlines()) == 5


def test_a_missing_config_says_how_to_give_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config"):
        load_config(tmp_path / "none.yml")
