"""Marks of the rubric as the ground for a release: the comparison, the gate, the registry, and the card."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.adapter import Refusal
from deploy.card import body, front_matter
from deploy.evidence import adapter_digest
from deploy.registry import Registry
from deploy.registry.__main__ import main as registry_command
from deploy.release import from_folder, from_registry
from deploy.scores import result_files
from eval.errors import one_sentence
from eval.gate import Outcome
from eval.graded import graded_difference
from eval.rubric import rubric
from eval.rubric_compare import rubric_compare
from eval.rubric_gate import decide
from eval.rubric_paired import compare_rubrics, marks_difference
from eval.rubric_results import RubricRun, read_rubric
from eval.statistics import MIN_CLUSTERS
from tests.eval_results import ADAPTER, FACTS, every, none
from tests.eval_rubrics import Marks, make_marked, make_rubric, make_rubrics, marked, save_rubric
from tests.registry_town import BASE_MODEL, REVISION, Town, make_town, write_json


def noisy(middle: float, spread: float = 0.02) -> Marks:
    """Marks around a middle that differ from task to task."""
    return lambda number: middle + spread * math.sin(7 * number + 100 * middle)


# The difference and its interval

graded = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 11)), min_size=1, max_size=40)


@given(graded)
def test_the_difference_is_the_mean_and_its_interval_holds_it(tasks: list[tuple[float, float, int]]) -> None:
    before = [make_marked(n, base, family=f"f{family}") for n, (base, _, family) in enumerate(tasks)]
    after = [make_marked(n, ours, family=f"f{family}") for n, (_, ours, family) in enumerate(tasks)]
    found, turned = marks_difference(before, after), marks_difference(after, before)
    assert found.value == pytest.approx(sum(ours - base for base, ours, _ in tasks) / len(tasks))
    assert -1 <= found.low <= found.value + 1e-9 and found.value - 1e-9 <= found.high <= 1
    assert (turned.low, turned.high) == (pytest.approx(-found.high), pytest.approx(-found.low))
    assert found.clusters == len({family for *_, family in tasks}) and found.units == len(tasks)


def test_tasks_of_one_family_say_less_than_tasks_that_stand_alone() -> None:
    totals = [0.2, 0.2, 0.5, 0.5, 0.8, 0.8] * 4
    zero = [make_marked(n, 0.1, family=f"f{n // 2}") for n in range(24)]
    together = [make_marked(n, total, family=f"f{n // 2}") for n, total in enumerate(totals)]
    alone = [msgspec.structs.replace(one, family=None) for one in together]
    by_family = marks_difference(zero, together)
    by_task = marks_difference([msgspec.structs.replace(one, family=None) for one in zero], alone)
    assert (by_family.clusters, by_task.clusters) == (12, 24)
    assert by_family.high - by_family.low > 1.3 * (by_task.high - by_task.low)


@pytest.mark.parametrize("changed", [0, 1, MIN_CLUSTERS - 1])
def test_two_models_that_hardly_differ_anywhere_are_not_the_same_for_sure(changed: int) -> None:
    base = marked(lambda _: 0.0)
    found = marks_difference(base, marked(lambda number: 0.01 * (number % 2 == 0 and number < 2 * changed)))
    assert found.low < -0.1 and found.high > 0.1


@pytest.mark.parametrize(("families", "each"), [(8, 2), (24, 1)])
def test_a_true_loss_as_large_as_the_margin_rarely_passes(families: int, each: int) -> None:
    draw, passed = random.Random(7), 0
    clusters = {f"{family}-{number}": str(family) for family in range(families) for number in range(each)}
    base = dict.fromkeys(clusters, 0.5)
    for _ in range(400):
        means = {str(family): draw.gauss(-0.05, 0.08) for family in range(families)}
        after = {key: 0.5 + means[family] + draw.gauss(0, 0.12) for key, family in clusters.items()}
        passed += graded_difference(base, after, clusters).low > -0.05
    assert passed / 400 < 0.05


# The gate

OUTCOMES: dict[str, tuple[Marks, Marks, dict[str, Any], Outcome, str]] = {
    "better": (noisy(0.2), noisy(0.6), {}, Outcome.PASSED, "the difference of the marks is at least +3"),
    "perhaps a little worse": (noisy(0.50, 0.03), noisy(0.495, 0.03), {}, Outcome.PASSED, "a loss of 5.0 would"),
    "worse": (noisy(0.6), noisy(0.3), {}, Outcome.REGRESSION, "mayor: the adapter is worse, -30"),
    "all over the place": (noisy(0.5), noisy(0.51, 0.4), {}, Outcome.INCONCLUSIVE, "neither excludes a loss of 5.0"),
    "both get nothing": (lambda n: 0.0, lambda n: 0.0, {"answer": "x"}, Outcome.INCONCLUSIVE, "neither excludes"),
    "few families": (noisy(0.2), noisy(0.9), {"families": 7}, Outcome.INCONCLUSIVE, "7 families of tasks are too few"),
    "the same answers": (noisy(0.5), noisy(0.5), {}, Outcome.NOT_COMPARABLE, "All raw answers of both runs"),
}


@pytest.mark.parametrize(("base", "adapter", "size", "outcome", "said"), OUTCOMES.values(), ids=OUTCOMES)
def test_the_gate_says_what_the_marks_allow(
    base: Marks, adapter: Marks, size: dict[str, Any], outcome: Outcome, said: str
) -> None:
    answer = size.pop("answer", None) if "answer" in size else None
    before, after = make_rubrics(base, adapter, **size)
    if answer:
        results = tuple(msgspec.structs.replace(one, answer=f"{answer} {one.id}") for one in after.results)
        after = msgspec.structs.replace(after, results=results)
    decision = decide(compare_rubrics(before, after))
    assert (decision.outcome, said in " ".join(decision.reasons)) == (outcome, True), decision


def test_one_domain_that_surely_lost_is_a_regression_whatever_the_others_gained() -> None:
    base = [*marked(noisy(0.5), domain="legal"), *marked(noisy(0.5), domain="finance")]
    adapter = [*marked(noisy(0.9), domain="legal"), *marked(noisy(0.4), domain="finance")]
    decision = decide(compare_rubrics(make_rubric(base), make_rubric(adapter, adapter=True)))
    assert decision.outcome is Outcome.REGRESSION
    (reason,) = decision.reasons
    assert reason.startswith("finance: the adapter is worse")


def test_the_luck_of_the_best_of_many_is_taken_off() -> None:
    comparison = compare_rubrics(*make_rubrics(noisy(0.50, 0.1), noisy(0.51, 0.1)))
    enough = 0.001 - comparison.rows[-1].difference.low
    one, many = decide(comparison, enough), decide(comparison, enough, tried=50)
    assert one.luck and many.luck and many.luck.gain > one.luck.gain == 0
    assert (one.outcome, many.outcome) == (Outcome.PASSED, Outcome.INCONCLUSIVE)
    assert "of luck among 50 checkpoints" in many.reasons[0]


def test_a_domain_with_too_few_families_makes_no_other_one_less_sure() -> None:
    sides = []
    for middle in (0.2, 0.25):
        results = [*marked(noisy(middle, 0.1), domain="legal"), *marked(noisy(middle), families=3, domain="finance")]
        sides.append(make_rubric(results, middle == 0.25))
    legal, *_ = compare_rubrics(*sides).rows
    assert legal.domain == "legal" and 0 < legal.p == legal.p_holm


LOOP = "and so on and on " * 20
NOT_COMPARABLE = {
    "cut answers": ({"truncated": True}, {}, "The token limit cut 20 of 20 answers of the adapter"),
    "no adapter": ({}, {"facts": FACTS}, "no check that its adapter was active"),
    "an adapter that changes nothing": (
        {}, {"facts": {**FACTS, "adapter": {**ADAPTER, "max_logit_change": 0.0}}}, "no check that its adapter"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("each", "run", "said"), NOT_COMPARABLE.values(), ids=NOT_COMPARABLE)
def test_what_proves_nothing_is_not_comparable(each: dict[str, Any], run: dict[str, Any], said: str) -> None:
    base, adapter = make_rubrics(noisy(0.2), noisy(0.6))
    results = tuple(msgspec.structs.replace(one, **each) for one in adapter.results)
    decision = decide(compare_rubrics(base, msgspec.structs.replace(adapter, results=results, **run)))
    assert decision.outcome is Outcome.NOT_COMPARABLE and said in decision.reasons[0]


def test_an_answer_that_was_cut_out_of_a_loop_is_the_models_own_fault() -> None:
    base, adapter = make_rubrics(noisy(0.2), noisy(0.6))
    loops = tuple(msgspec.structs.replace(one, answer=LOOP, truncated=True) for one in base.results)
    assert decide(compare_rubrics(msgspec.structs.replace(base, results=loops), adapter)).outcome is Outcome.PASSED


# The command


def files(folder: Path, base: RubricRun, adapter: RubricRun) -> list[str]:
    return [str(save_rubric(base, folder / "base.json")), str(save_rubric(adapter, folder / "adapter.json"))]


@pytest.mark.parametrize(("base", "adapter", "size", "outcome", "said"), list(OUTCOMES.values())[:4])
def test_the_exit_code_is_the_decision(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    base: Marks,
    adapter: Marks,
    size: dict[str, Any],
    outcome: Outcome,
    said: str,
) -> None:
    paths, told = files(tmp_path, *make_rubrics(base, adapter)), tmp_path / "new" / "told.json"
    assert one_sentence(rubric_compare, [*paths, "--json", str(told)]) == outcome
    shown = capsys.readouterr().out
    assert f"{outcome.words.upper()} (exit code {int(outcome)})" in shown and said in " ".join(shown.split())
    assert "20 in 10" in shown and "Coverage is not correctness" in shown and "max" not in shown
    report = json.loads(told.read_text())
    assert (report["kind"], report["measure"], report["code"]) == ("comparison", "rubric", int(outcome))
    (row,) = report["rows"]
    assert row["role"] == "mayor" and row["difference"]["families"] == 10 and row["enough"]
    assert row["difference"]["low"] <= row["difference"]["value"] <= row["difference"]["high"]
    assert row["parts"]["correctness"]["base"] == pytest.approx(row["base"]["value"])


def test_held_out_tasks_have_a_row_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = []
    for middle in (0.2, 0.6):
        results = [msgspec.structs.replace(one, held_out=n % 2 == 0) for n, one in enumerate(marked(noisy(middle)))]
        sides.append(make_rubric(results, middle == 0.6))
    assert one_sentence(rubric_compare, files(tmp_path, sides[0], sides[1])) == 0
    shown = capsys.readouterr().out
    assert "held out  10 in 10" in shown and "that no example may be written for" in " ".join(shown.split())


UNEQUAL: dict[str, tuple[dict[str, Any], str]] = {
    "tasks": ({"tasks": {"mayor": "others"}}, "other domains, tasks or system prompts"),
    "weights": ({"weights": {"structure": 1.0}}, "weigh the parts differently"),
    "settings": ({"settings": {"max_new_tokens": 5}}, "differ in settings"),
    "template": ({"facts": {**FACTS, "adapter": ADAPTER, "template_sha256": "u"}}, "differ in template_sha256"),
    "base": ({"facts": {**FACTS, "adapter": ADAPTER, "base_model": "huge"}}, "different base models"),
}


@pytest.mark.parametrize(("change", "said"), UNEQUAL.values(), ids=UNEQUAL)
def test_runs_under_other_conditions_are_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], said: str
) -> None:
    base, adapter = make_rubrics(noisy(0.2), noisy(0.6))
    paths = files(tmp_path, base, msgspec.structs.replace(adapter, **change))
    assert one_sentence(rubric_compare, [*paths, "--json", str(tmp_path / "told.json")]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ") and said in shown.err and shown.err.count("\n") == 1 and not shown.out
    assert not (tmp_path / "told.json").exists()


# The registry


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Town:
    town = make_town(tmp_path_factory.mktemp("rubric") / "output", roles=("mayor",))
    town.registered("mayor")
    return town


def results(town: Town, marks: Marks, adapter: Path | None, **other: Any) -> Path:
    """Results of the rubric about the base, or about the adapter in a folder."""
    facts: dict[str, Any] = {**FACTS, "base_model": BASE_MODEL, "base_revision": REVISION, "adapter": None}
    if adapter is not None:
        facts["adapter"] = {**ADAPTER, "path": str(adapter), "sha256": adapter_digest(adapter)}
    run = make_rubric(marked(marks), adapter is not None, **{"facts": facts, **other})
    return save_rubric(run, town.root / "evals" / "rubric" / ("base.json" if adapter is None else "adapter.json"))


def test_marks_are_judged_kept_and_promoted(registered: Town, capsys: pytest.CaptureFixture[str]) -> None:
    folder = registered.root / "adapters/mayor/v1"
    base, ours = results(registered, noisy(0.2), None), results(registered, noisy(0.6), folder)
    root = ["--root", str(registered.root)]
    assert registry_command([*root, "evaluate", "mayor", "v1", str(base), str(ours)]) == 0
    said = capsys.readouterr().out
    assert "mayor@v1: passed" in said and "of the marks, difference +" in said
    with Registry.open(registered.root) as registry:
        found = registry.version("mayor", 1).evaluation
        assert found and found.passed and found.measure == "rubric" and found.about == "mayor"
        assert found.difference and found.difference.low <= 0.4 <= found.difference.high
        assert registry.promote("mayor", 1, by="test").number == 1
        release = from_registry(registry, "mayor", 1, ("adapter",), "my-town/mayor", None)
    card = body(release, "my-town/mayor", "v1")
    assert "| mayor | 20 % [19, 21] | 60 % [59, 61] | 60 % | 60 % | n/a | n/a | 20 |" in card
    assert "structure 25, correctness 40, similarity 20, completeness 15" in card
    assert "It passed the gate of its registry." in card and "The floor is" not in card
    assert "replaces no professional" in card and "coding agents" not in card and "tool calls" not in card
    assert "gastown" not in front_matter(release, "my-town/mayor")
    (name,) = (scores := result_files(release, "my-town/mayor"))
    assert name == ".eval_results/rubric.yaml" and "of the marks, 95 % interval 58." in scores[name]
    assert "20 tasks in 10 families; the base alone 20." in scores[name]


def test_a_card_has_scenarios_and_marks_side_by_side_and_no_interval_of_few_families(registered: Town) -> None:
    folder = registered.root / "adapters/mayor/v1"
    facts = {**FACTS, "base_model": BASE_MODEL, "adapter": {**ADAPTER, "sha256": adapter_digest(folder)}}
    few = save_rubric(make_rubric(marked(noisy(0.6), families=7), True, facts=facts), registered.root / "few.json")
    bench = registered.results(None, none), registered.results(folder, every)
    release = from_folder(folder, None, (*bench, few), None)
    card = body(release, "my-town/mayor", None)
    assert "| mayor | 0 % [0, 28] | 100 % [72, 100] | 10 % | 20 |" in card
    assert "| mayor | 60 % (too few families) | 60 % |" in card and "The floor is" in card
    assert "Transcripts of coding agents" in card and "- It writes tool calls as text" in card
    scores = result_files(release, "my-town/mayor")
    assert sorted(scores) == [".eval_results/role-bench.yaml", ".eval_results/rubric.yaml"]
    assert "not known: too few families" in scores[".eval_results/rubric.yaml"]
    assert "the base alone 0.0" in scores[".eval_results/role-bench.yaml"]
    assert "the base alone" not in scores[".eval_results/rubric.yaml"]


def test_below_the_gate_a_version_with_marks_is_refused(registered: Town) -> None:
    folder = registered.root / "adapters/mayor/v1"
    with Registry.open(registered.root) as registry:
        found = registry.attach_evaluation(
            "mayor", 1, results(registered, noisy(0.6), None), results(registered, noisy(0.3), folder)
        )
        assert (found.passed, found.outcome) == (False, "regression")
        with pytest.raises(Refusal, match=r"did not pass \(regression: mayor: the adapter is worse"):
            registry.promote("mayor", 1, by="test")
        other = registry.attach_evaluation(
            "mayor", 1, results(registered, noisy(0.2), None), results(registered, noisy(0.6), folder, weights={})
        )
        assert other.outcome == "not comparable" and "weigh the parts differently" in other.reasons[0]


def test_marks_of_another_adapter_or_another_kind_are_refused(registered: Town, tmp_path: Path) -> None:
    folder = registered.root / "adapters/mayor/v1"
    base, ours = results(registered, noisy(0.2), None), results(registered, noisy(0.6), folder)
    stranger = make_rubric(marked(noisy(0.6)), True, facts={**FACTS, "adapter": ADAPTER})
    other = save_rubric(stranger, tmp_path / "other.json")
    bench = registered.results(folder, every)
    with Registry.open(registered.root) as registry:
        for pair, said in (
            ((base, other), r"is not about mayor@v1 .+ python -m eval\.rubric --model .+v1 --out .+other\.json"),
            ((ours, ours), r"no run of the base model alone.+python -m eval\.rubric --model base"),
            ((base, bench), "is of rubric and .+ of role_bench. Give two results of one kind"),
            ((registered.results(None, none), ours), "is of role_bench and .+ of rubric"),
            ((base, registered.manifest), "is no result of role_bench or of the rubric"),
        ):
            with pytest.raises(Refusal, match=said):
                registry.attach_evaluation("mayor", 1, *pair)


def test_a_judgement_on_few_families_has_no_interval(
    registered: Town, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = registered.root / "adapters/mayor/v1"
    facts = {**FACTS, "base_model": BASE_MODEL}
    sides = []
    for middle, adapter in ((0.2, None), (0.6, {**ADAPTER, "sha256": adapter_digest(folder)})):
        run = make_rubric(marked(noisy(middle), families=7), adapter is not None, facts={**facts, "adapter": adapter})
        sides.append(str(save_rubric(run, tmp_path / f"{middle}.json")))
    assert registry_command(["--root", str(registered.root), "evaluate", "mayor", "v1", *sides]) == 0
    said = capsys.readouterr().out
    assert "mayor@v1: inconclusive" in said and "base 20 % too few, adapter 60 % too few of the marks" in said
    assert "7 families of tasks are too few for an interval" in said


def test_marks_of_another_domain_do_not_release_a_role(registered: Town) -> None:
    folder = registered.root / "adapters/mayor/v1"
    facts = {**FACTS, "base_model": BASE_MODEL}
    sides = []
    for middle, adapter in ((0.2, None), (0.6, {**ADAPTER, "sha256": adapter_digest(folder)})):
        run = make_rubric(
            marked(noisy(middle), domain="legal"), adapter is not None, facts={**facts, "adapter": adapter}
        )
        sides.append(save_rubric(run, registered.root / "evals" / f"legal-{middle}.json"))
    with Registry.open(registered.root) as registry:
        assert registry.attach_evaluation("mayor", 1, *sides).passed
        with pytest.raises(Refusal, match=r"was only scored as legal\. Score it on tasks of mayor"):
            registry.promote("mayor", 1, by="test")


@pytest.mark.slow
def test_a_tiny_adapter_and_its_base_go_from_one_load_through_the_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lm_eval")
    from tests.eval_models import make_adapter, make_base

    town = make_town(tmp_path / "output", roles=("mayor",))
    base, out = make_base(tmp_path / "base", seed=2), town.root / "evals"
    adapter = make_adapter(base, town.root / "adapters" / "mayor")
    write_json(adapter / "run.json", town.record("mayor"))
    shared = ["--config", str(own_pack(tmp_path, base)), "--batch-size", "8", "--max-new-tokens"]

    def asked(model: Path | str, tokens: int, *files: str) -> list[RubricRun]:
        outs = [str(out / f"{name}.json") for name in files]
        options = [word for pair in zip(("--out", "--base-out"), outs, strict=False) for word in pair]
        assert one_sentence(rubric, ["--model", str(model), *shared, str(tokens), *options]) == 0
        return [read_rubric(Path(file)) for file in outs]

    ours, theirs = asked(adapter, 200, "adapter", "base")
    assert theirs.facts["adapter"] is None and ours.facts["adapter"]["max_logit_change"] > 0
    assert ours.tasks.keys() == {"mayor"} and ours.systems["mayor"] and len(ours.results) == 9
    (alone,) = asked("base", 200, "alone")
    answers = [[one.answer for one in run.results] for run in (ours, theirs, alone)]
    assert answers[1] == answers[2] != answers[0]
    asked(adapter, 8, "cut-adapter", "cut-base")
    capsys.readouterr()

    def registry(*words: str) -> tuple[int, str]:
        code = registry_command(["--root", str(town.root), *words])
        return code, "".join(capsys.readouterr())

    assert registry("register", str(adapter), "--role", "mayor")[0] == 0
    for base_file, file, said in (
        ("cut-base", "cut-adapter", "not comparable: The token limit cut"),
        ("alone", "adapter", "inconclusive: mayor: the difference lies in"),
    ):
        assert registry("evaluate", "mayor", "v1", f"{out}/{base_file}.json", f"{out}/{file}.json")[0] == 0
        code, refused = registry("promote", "mayor", "v1")
        assert code == 1 and f"did not pass ({said}" in refused
    judged = registry("evaluate", "mayor", "v1", f"{out}/base.json", f"{out}/adapter.json", "--margin", "0.9")
    assert judged[0] == 0 and "mayor@v1: passed" in judged[1]
    assert registry("promote", "mayor", "v1") == (0, "mayor@v1 is live\n")


def own_pack(folder: Path, base: Path) -> Path:
    """A pack whose tasks lie beside it, in a file that is not named for its role."""
    lines = [
        {
            "id": f"mail-{number}",
            "category": "mail",
            "prompt": f"Where does letter {number} go?",
            "requirements": [{"text": "Names the town."}],
            "facts": [{"id": "town", "says": [["town"]]}],
            "gold_answer": f"The letter with the number {number} goes to the town on the hill.",
        }
        for number in range(9)
    ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = {
        "base_model": str(base),
        "roles": {"mayor": {"system": "Be exact."}, "unknown": {"system": "Be kind."}},
        "eval": {"tasks": "questions.jsonl"},
        "rubric": {"weights": {"structure": 1, "correctness": 2, "similarity": 3, "completeness": 4}},
    }
    pack = folder / "own.yml"
    pack.write_text(yaml.safe_dump(config))
    return pack
