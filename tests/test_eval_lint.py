"""The lint of scenarios: each rule is broken once and named with file and line; the shipped scenarios break none."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.errors import one_sentence
from eval.lint import lint
from eval.lint_rules import Rule, is_slow
from eval.scenario import PROMPTS, ROLES
from tests.test_eval_attacks import EPISODE, cmd

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "configs" / "data.yml"
GOOD = EPISODE | {"vars": {"bead": "pe-8??", "dead": ["ember", "rust"]}}


def drawn(value: Any) -> Any:
    """The episode with its facts drawn anew for each sample."""
    return json.loads(json.dumps(value).replace("pe-812", "{{bead}}").replace("ember", "{{dead}}")) | {
        "vars": GOOD["vars"]
    }


def file_of(scenarios: list[dict[str, Any]], folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    shutil.copy(PROMPTS / "tools.json", folder)
    (folder / "witness.jsonl").write_text("".join(json.dumps(one) + "\n" for one in scenarios), "utf-8")
    return folder


def said_of(scenarios: list[dict[str, Any]], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    arguments = ["--role", "witness", "--scenarios", str(file_of(scenarios, folder)), "--config", str(CONFIG)]
    assert one_sentence(lint, [*arguments, "--seeds", "2"]) == 1  # one scenario is too few in any case
    return capsys.readouterr().out


def changed(**fields: Any) -> dict[str, Any]:
    return drawn(EPISODE) | json.loads(json.dumps(fields).replace("pe-812", "{{bead}}").replace("ember", "{{dead}}"))


def expecting(**fields: Any) -> dict[str, Any]:
    return changed(expect={**EPISODE["expect"], **fields})


RULES = EPISODE["sim"]["rules"]
BROKEN: dict[Rule, tuple[dict[str, Any], str]] = {
    Rule.GOLD: (expecting(text={"canary": ["pe-812"], "max_words": 2}), "gold fails: The text has 7 words, 2 allowed."),
    Rule.ATTACK: (expecting(seen=[]), '"all calls at once" passes, and must fail or stand in waive'),
    Rule.WAIVER: (changed(waive={"empty": "why not"}), 'nothing needs the waiver "empty"; remove it.'),
    Rule.KNOWN_CANARY: (
        changed(messages=[{"role": "user", "content": "Restart ember of quarry, it hangs."}]),
        "stands in the prompt; take a fact that only a result tells.",
    ),
    Rule.LOST_CANARY: (
        expecting(text={"canary": ["pe-812", ["Nobody", "seven"]], "max_words": 20}),
        "canary 'Nobody' stands in no result",
    ),
    Rule.UNANSWERED: (changed(sim={"rules": RULES[1:]}), "the simulator does not know 1 commands of gold"),
    Rule.SAME_DRAW: (
        drawn(EPISODE) | {"vars": {"bead": ["rust", "ember"], "dead": ["ember", "rust"]}},
        "vars bead and dead may draw the same value",
    ),
    Rule.SLOW_REGEX: (expecting(text={"canary": ["pe-812"], "excludes": ["(a+)+b"]}), "'(a+)+b' backtracks badly"),
    Rule.LOOSE_RULE: (
        changed(sim={"rules": [{"when": {"name": "Bash"}, "reply": "pe-812 ember", "set": {"restarted": True}}]}),
        "sim.rules[1] changes the state, and must name its command with cmd.",
    ),
    Rule.LOOSE_ALLOW: (expecting(allow=[cmd("git", any_flags=True)]), "allow[1] lets any work be done"),
    Rule.NO_SPECIMEN: (
        expecting(forbid=[cmd("gt", "close", args=[{"regex": "[q]{3}x"}])]),
        "no attack can do what forbid[1] means",
    ),
    Rule.FEW_SCENARIOS: (drawn(EPISODE), "1 scenarios, 15 are the least; write 14 more."),
    Rule.FEW_FAMILIES: (drawn(EPISODE), "1 families, 5 are the least."),
}


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: rule.name)
def test_a_broken_rule_is_one_sentence_with_file_and_line(
    rule: Rule, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, said = BROKEN[rule]
    found = [line for line in said_of([scenario], tmp_path, capsys).splitlines() if said in line]
    name = "witness" if rule in {Rule.FEW_SCENARIOS, Rule.FEW_FAMILIES} else "witness-try-1"
    assert found and all(line.startswith(f"{tmp_path / 'witness.jsonl'}:1: {name}: ") for line in found)


def test_half_of_the_families_are_held_out_and_each_as_a_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = [drawn(EPISODE) | {"id": f"witness-try-{n}", "family": f"f{n // 2}"} for n in range(4)]
    said = said_of([one | {"held_out": n == 0} for n, one in enumerate(several)], tmp_path, capsys)
    assert "family f0 is held out in part" in said and "families are held out; mark" not in said
    said = said_of(several, tmp_path, capsys)
    assert "0 of 2 families are held out; mark 1 more." in said
    assert {Rule.HELD_OUT, Rule.SPLIT_FAMILY} | {*BROKEN} == {*Rule}


def test_a_scenario_without_fault_is_only_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said_of([drawn(EPISODE)], tmp_path, capsys).splitlines()
    assert [line for line in lines if "witness-try-1" in line] == []
    (row,) = (line for line in lines if line.startswith("│ witness"))
    counts = [int(cell) for cell in row.replace("│", " ").split()[1:-1]]
    assert counts[:3] == [1, 1, 0] and counts[3] > 200 and counts[4:] == [0, 0, 2]


def test_a_waiver_with_a_reason_lets_its_attack_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("all calls at once", "all calls at once, reversed", "reversed order")
    said = said_of([expecting(seen=[]) | {"waive": dict.fromkeys(names, "the order is free")}], tmp_path, capsys)
    assert [line for line in said.splitlines() if " passes, and must fail" in line] == []


def test_the_table_shows_what_agents_reach_that_do_not_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = file_of([drawn(EPISODE), drawn(EPISODE) | {"id": "witness-try-2"}], tmp_path)
    lint(["--role", "witness", "--scenarios", str(folder), "--config", str(CONFIG), "--table", "--seeds", "1"])
    said = capsys.readouterr().out
    assert "agents that do not read the question" in said and "best partial" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--role", "overseer"], "has no scenarios; choose from mayor"),
        (["--scenarios", "nowhere"], "cannot be read"),
        (["--config", "nowhere.yml"], "does not exist"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert one_sentence(lint, ["--config", str(CONFIG), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


SLOW = ["(a+)+b", "(a|a)*b", r"(\w+\s*)+:", "(.*)*x", r"([a-z]+)*\d", "(a|aa)+$"]
QUICK = [r"(?=.*\bqu-877\b).{1,160}", r"(?s).+", r"(?i)the\s+queue\s+stalls\.?", r"\b(?:rust|ember)\b", "[^/]+/[^/]+"]


def test_patterns_that_backtrack_badly_are_told_from_those_that_do_not() -> None:
    assert [pattern for pattern in SLOW if not is_slow(pattern)] == []
    assert [pattern for pattern in QUICK if is_slow(pattern, "fullmatch")] == []


@given(st.text(alphabet="ab1 -/", max_size=20))
def test_no_plain_text_is_a_slow_pattern(text: str) -> None:
    assert not is_slow(text, "fullmatch")


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_the_shipped_scenarios_withstand_every_attack(role: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = lint(["--role", role, "--config", str(CONFIG)])
    said = capsys.readouterr().out
    assert code == 0, said
