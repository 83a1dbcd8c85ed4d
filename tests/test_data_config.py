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


def rule(**changes: str) -> str:
    """A configuration with one rule for turns."""
    keys = {"roles": "[unknown]", "of": "[look]", "needs": "[look]"} | changes
    inside = ", ".join(f"{key}: {value}" for key, value in keys.items())
    return MINIMAL + f"boilerplate: {{commands: {{look: {{ls: ''}}}}, rules: {{x: {{{inside}}}}}}}"


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
        (MINIMAL + "outcome: {corected: false}", "outcome.corected is not a key. Did you mean corrected?"),
        (MINIMAL + "outcome: {repair_within: 0}", "outcome.repair_within must be at least 1"),
        (MINIMAL + "quality: {min_score: 2}", "quality.min_score must be in 0..1, not 2"),
        (MINIMAL + "quality: {weights: {results: 0.9}}", "together 1, not results 0.9 + people 0.25"),
        (MINIMAL + "quality: {weights: {results: -0.1, people: 0.65}}", "quality.weights must each be in 0..1"),
        (MINIMAL + "quality: {weights: {tests: .nan}}", "quality.weights must each be in 0..1"),
        (
            MINIMAL + "normalize: {notices: {x: {has: y, then: '('}}}",
            "normalize.notices.x.then: '(?:()' is not a",
        ),
        (
            MINIMAL + "normalize: {notices: {x: {has: y, then: '(?i)z'}}}",
            "normalize.notices.x.then: '(?:(?i)z)' is",
        ),
        (MINIMAL + "normalize: {notices: {x: {has: ' '}}}", "normalize.notices.x.has is empty"),
        (MINIMAL + "normalize: {notices: {x: {then: y}}}", "normalize.notices.x.has is missing"),
        (MINIMAL + "normalize: {banner_length: 1}", "normalize.banner_length is 1"),
        (MINIMAL + "boilerplate: {signs: '('}", "boilerplate.signs: '(' is not a regular expression"),
        (MINIMAL + "boilerplate: {waits: '['}", "boilerplate.waits: '[' is not a regular expression"),
        (MINIMAL + "boilerplate: {commands: {look: {'(': ''}}}", "boilerplate.commands.look: '(' is not a regular"),
        (
            MINIMAL + "boilerplate: {commands: {look: {ls: '('}}}",
            "boilerplate.commands.look['ls']: '(' is not a regular",
        ),
        (rule(roles="[chef]"), "boilerplate.rules.x.roles: chef is not one of the roles"),
        (rule(of="[cook]"), "boilerplate.rules.x: cook is not one of boilerplate.commands (look)"),
        (rule(needs="[]"), "boilerplate.rules.x.needs must name at least one of the groups"),
        (rule(keep="2"), "boilerplate.rules.x.keep must be in 0..1, not 2"),
        (rule(scope="day"), "Invalid enum value 'day'"),
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
