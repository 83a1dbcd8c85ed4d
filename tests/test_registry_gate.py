"""The gate before a promotion: every reason against a version at once, and what a person may overrule."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.adapter import Refusal
from deploy.registry import Evaluation, Registry
from deploy.registry.forgotten import forgotten_in
from deploy.registry.gate import about_evaluation
from tests.eval_results import FACTS, every, none, one_in
from tests.registry_town import BASE_MODEL, SESSIONS, Town, make_town


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A version that passed. Nobody changes it: tests copy it."""
    town = make_town(tmp_path_factory.mktemp("passed") / "output")
    town.evaluated("mayor")
    return town


@pytest.fixture
def town(passed: Town, tmp_path: Path) -> Town:
    return Town(shutil.copytree(passed.root, tmp_path / "output"))


def reasons(town: Town, number: int = 1) -> list[str]:
    """Why a promotion is refused."""
    with Registry.open(town.root) as registry, pytest.raises(Refusal) as refusal:
        registry.promote("mayor", number, by="test")
    return str(refusal.value).splitlines()


def newest(town: Town) -> Evaluation:
    with Registry.open(town.root) as registry:
        evaluation = registry.versions("mayor")[-1].evaluation
    assert evaluation is not None
    return evaluation


def evaluate(town: Town, base: Path, adapter: Path, margin: float | None = None, number: int = 1) -> Evaluation:
    with Registry.open(town.root) as registry:
        return registry.attach_evaluation("mayor", number, base, adapter, margin)


def test_what_passed_is_promoted_and_its_rates_are_told_with_their_intervals(town: Town) -> None:
    found = newest(town)
    assert (found.passed, found.outcome, found.about, found.margin) == (True, "passed", "mayor", 0.05)
    assert found.base and found.adapter and found.difference
    assert (found.base.value, found.adapter.value, found.difference.value) == (0.0, 1.0, 1.0)
    for rate in (found.base, found.adapter, found.difference):
        assert rate.low <= rate.value <= rate.high and (rate.scenarios, rate.families) == (20, 10)
    with Registry.open(town.root) as registry:
        done = registry.promote("mayor", 1, by="test", force=True, why="not needed")
        assert (done.number, done.before, done.forced, done.overruled) == (1, None, False, ())
        assert registry.promote("mayor", 1, by="again") == done


def test_without_an_evaluation_it_is_refused_with_the_command_that_makes_one(town: Town) -> None:
    assert town.registered(seed=2).number == 2
    (reason,) = reasons(town, 2)
    assert "mayor@v2 was never evaluated" in reason
    assert "python -m deploy.registry evaluate mayor v2 BASE ADAPTER" in reason


def test_all_reasons_come_at_once(town: Town) -> None:
    (town.root / "adapters/mayor/v1/tokenizer.json").chmod(0o644)
    (town.root / "adapters/mayor/v1/tokenizer.json").write_text("{}")
    newest(town).base_results.unlink()
    town.forget(SESSIONS["mayor"][0], SESSIONS["crew"][0])
    files, results, sessions = reasons(town)
    assert "is not as it was registered (tokenizer.json was changed)" in files
    assert "were changed or removed since they were judged" in results
    assert f"learned from 1 forgotten session ({SESSIONS['mayor'][0]})" in sessions


def test_results_that_were_changed_after_the_judgement_count_no_more(town: Town) -> None:
    kept = newest(town).adapter_results
    kept.chmod(0o644)
    kept.write_bytes(kept.read_bytes() + b"\n")
    (reason,) = reasons(town)
    assert str(kept) in reason
    evaluate(town, town.results(None, none), town.results(town.root / "adapters/mayor"))
    with Registry.open(town.root) as registry:
        assert registry.promote("mayor", 1, by="test").number == 1


def test_results_of_another_adapter_or_no_base_are_refused_and_not_kept(town: Town) -> None:
    before = newest(town)
    base, own = town.results(None, none), town.results(town.root / "adapters/mayor/v1")
    other = town.results(town.train("mayor", 2))
    with pytest.raises(Refusal, match=r"is not about mayor@v1 .+ --model .+/adapters/mayor/v1 --role mayor"):
        evaluate(town, base, other)
    with pytest.raises(Refusal, match="no run of the base model alone"):
        evaluate(town, own, own)
    with pytest.raises(Refusal, match="is no result of role_bench"):
        evaluate(town, base, town.manifest)
    with pytest.raises(Refusal, match="cannot be read"):
        evaluate(town, base, town.root / "nowhere.json")
    assert newest(town) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "adapter", "outcome", "said"),
    [
        (every, none, "regression", "the adapter is worse"),
        (one_in(2), one_in(3), "inconclusive", "neither excludes a loss"),
        (every, every, "not comparable", "All raw answers of both runs are identical"),
    ],
    ids=["regression", "inconclusive", "not comparable"],
)
def test_below_the_gate_it_is_refused_with_what_the_gate_said(
    town: Town, base: object, adapter: object, outcome: str, said: str
) -> None:
    results = town.results(None, base), town.results(town.root / "adapters/mayor", adapter)  # type: ignore[arg-type]
    found = evaluate(town, *results)
    assert (found.passed, found.outcome) == (False, outcome)
    (reason,) = reasons(town)
    assert outcome in reason and said in reason


@pytest.mark.slow
def test_the_newest_evaluation_counts_and_its_margin_is_kept(town: Town) -> None:
    base, adapter = town.results(None, one_in(2)), town.results(town.root / "adapters/mayor", one_in(3))
    assert evaluate(town, base, adapter).outcome == "inconclusive"
    found = evaluate(town, base, adapter, margin=0.9)
    assert (found.passed, found.margin) == (True, 0.9)


@pytest.mark.slow
def test_runs_that_eval_compare_does_not_take_are_not_comparable(town: Town) -> None:
    other = {"facts": {**FACTS, "base_model": "another/base", "adapter": None}}
    found = evaluate(town, town.results(None, none, **other), town.results(town.root / "adapters/mayor"))
    assert (found.outcome, found.base, found.difference) == ("not comparable", None, None)
    assert "stand on different base models" in found.reasons[0] and BASE_MODEL in found.reasons[0]


def test_a_smoke_run_and_the_scenarios_of_another_role_prove_nothing(town: Town) -> None:
    with Registry.open(town.root) as registry:
        version = registry.version("mayor", 1)
    good = newest(town)
    assert list(about_evaluation(version, "again")) == []
    (smoke,) = about_evaluation(replace(version, evaluation=replace(good, smoke=True)), "again")
    assert "only a smoke evaluation" in smoke and smoke.endswith("then: again.")
    (other,) = about_evaluation(replace(version, evaluation=replace(good, roles=("crew",))), "again")
    assert "was only scored as crew" in other
    assert not list(about_evaluation(replace(version, evaluation=replace(good, roles=("crew", "mayor", "all"))), ""))
    assert not list(about_evaluation(replace(version, role="gastown", evaluation=good), "again"))


def test_a_smoke_run_is_judged_and_refused(town: Town) -> None:
    results = town.results(None, none, smoke=True), town.results(town.root / "adapters/mayor", smoke=True)
    assert evaluate(town, *results).smoke
    assert [reason for reason in reasons(town) if "only a smoke evaluation" in reason]


def test_overruling_needs_a_reason_and_the_history_has_both(town: Town) -> None:
    town.forget(SESSIONS["mayor"][2])
    with Registry.open(town.root) as registry:
        for why in ("", "  "):
            with pytest.raises(Refusal, match="--why TEXT"):
                registry.promote("mayor", 1, by="test", force=True, why=why)
        registry.promote("mayor", 1, by="test", force=True, why="asked for by the owner")
        (done,) = registry.history("mayor")
    assert (done.forced, done.why, done.by) == (True, "asked for by the owner", "test")
    assert [SESSIONS["mayor"][2] in reason for reason in done.overruled] == [True]


def test_what_has_no_weights_is_never_live(town: Town) -> None:
    (town.root / "adapters/mayor/v1/adapter_model.safetensors").unlink()
    with Registry.open(town.root) as registry:
        with pytest.raises(Refusal, match=r"has no adapter_model\.safetensors"):
            registry.promote("mayor", 1, by="test", force=True, why="now")
        assert registry.roles()[0].live is None


def test_the_forgotten_list_is_read_as_the_pipeline_reads_it(tmp_path: Path) -> None:
    listed = tmp_path / "forgotten.txt"
    assert forgotten_in(tmp_path, ["a"], ["x/b.jsonl"]) == set()
    listed.write_text("\ufeff# a\n\n  b  \r\nc\n", "utf-8")
    assert forgotten_in(tmp_path, ["a", "b", "d"], []) == {"b"}
    assert forgotten_in(tmp_path, [], ["x/c.jsonl", "b/subagents/agent-1.jsonl"]) == {"b", "c"}
    listed.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Refusal, match="cannot be read"):
        forgotten_in(tmp_path, ["a"], [])


names = st.text(st.sampled_from("ab.-"), min_size=1, max_size=5).filter(lambda name: name.strip(".") != "")


@given(st.lists(names, max_size=4), st.lists(st.lists(names, min_size=1, max_size=3), max_size=4))
def test_a_transcript_counts_for_a_session_as_in_the_pipeline(listed: list[str], paths: list[list[str]]) -> None:
    from data.origins import is_file_of
    from deploy.registry.forgotten import names_in

    for file in ("/".join(parts) for parts in paths):
        assert {name for name in listed if name in names_in(file)} == {
            name for name in listed if is_file_of(file, name)
        }


def test_the_results_are_kept_once_under_their_hash(town: Town) -> None:
    first = newest(town)
    again = evaluate(town, first.base_results, first.adapter_results)
    assert (again.base_results, again.adapter_results) == (first.base_results, first.adapter_results)
    assert len(list(first.base_results.parent.iterdir())) == 2
    assert json.loads(again.adapter_results.read_text())["kind"] == "role_bench"
