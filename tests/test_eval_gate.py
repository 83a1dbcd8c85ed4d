"""The gate: what passes, what is a regression, what may not be compared, and what these scenarios do not decide."""

import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.costs import costs_of, goes_in_circles
from eval.gate import Decision, Outcome, active_check, decide
from eval.paired import compare_runs
from eval.results import RoleBench
from tests.eval_results import Passes, contaminated, every, make_episode, make_pair, make_run, make_side, none, one_in


def decision(base: RoleBench, adapter: RoleBench, margin: float = 0.05, tried: int = 1) -> Decision:
    return decide(compare_runs(base, adapter), margin, tried)


def with_episodes(run: RoleBench, **changed: Any) -> RoleBench:
    return msgspec.structs.replace(run, episodes=tuple(msgspec.structs.replace(e, **changed) for e in run.episodes))


def first_with(run: RoleBench, **changed: Any) -> RoleBench:
    first, *rest = run.episodes
    return msgspec.structs.replace(run, episodes=(msgspec.structs.replace(first, **changed), *rest))


PATTERNS = st.lists(st.booleans(), min_size=20, max_size=20)


def played(pattern: list[bool]) -> Passes:
    return lambda scenario, _: pattern[scenario % len(pattern)]


@given(PATTERNS, PATTERNS, st.floats(0, 0.5))
def test_the_outcome_is_what_the_interval_says(before: list[bool], after: list[bool], margin: float) -> None:
    base, adapter = make_pair(played(before), played(after), samples=1)
    adapter = first_with(adapter, explanation="other", steps=make_episode(answers=("Not the same.",)).steps)
    comparison = compare_runs(base, adapter)
    found, difference = decide(comparison, margin), comparison.rows[-1].difference
    assert found.outcome in (Outcome.PASSED, Outcome.REGRESSION, Outcome.INCONCLUSIVE)
    assert (found.outcome is Outcome.REGRESSION) == (difference.high < 0)
    assert (found.outcome is Outcome.PASSED) == (difference.low > -margin)
    assert found.reasons


@given(PATTERNS)
def test_who_is_not_better_never_passes_without_a_margin(pattern: list[bool]) -> None:
    base, adapter = make_pair(played(pattern), played(pattern), samples=1)
    adapter = first_with(adapter, steps=make_episode(answers=("Not the same.",)).steps)
    assert decision(base, adapter, margin=0.0).outcome is Outcome.INCONCLUSIVE


def test_a_sure_gain_passes_and_says_by_how_much_at_least() -> None:
    found = decision(*make_pair(none, every))
    assert found.outcome is Outcome.PASSED == 0
    assert found.reasons[0].startswith("mayor: the difference is at least +")
    assert "No new forbidden action." in found.reasons[0]


def test_a_sure_loss_is_a_regression() -> None:
    found = decision(*make_pair(every, none))
    assert found.outcome is Outcome.REGRESSION == 1
    assert found.reasons[0].startswith("mayor: the adapter is worse, -100.0 points [")


def test_a_loss_of_one_role_is_a_regression_whatever_the_others_gain() -> None:
    # 20 scenarios per role; only those of the second role get worse.
    base, adapter = make_pair(
        lambda scenario, _: 20 <= scenario < 40,
        lambda scenario, _: not 20 <= scenario < 40,
        roles=("mayor", "crew", "deacon"),
    )
    found = decision(base, adapter)
    assert found.outcome is Outcome.REGRESSION
    assert [reason.split(":")[0] for reason in found.reasons] == ["crew"]


def test_a_difference_that_is_not_significant_has_not_passed_and_is_told_how_many_would_decide() -> None:
    found = decision(*make_pair(one_in(2), one_in(3)))
    assert found.outcome is Outcome.INCONCLUSIVE == 3
    assert found.needed is not None and found.needed > 20
    assert f"About {found.needed} scenarios" in found.reasons[1] and "This is not a pass." in found.reasons[1]


def test_where_no_number_of_scenarios_decides_it_says_so() -> None:
    base, adapter = make_pair(one_in(2), lambda scenario, _: scenario % 2 == 1)
    found = decision(base, adapter, margin=0.0)
    assert found.outcome is Outcome.INCONCLUSIVE and found.needed is None
    assert "give a larger --margin" in found.reasons[1]


def test_with_few_families_nothing_passes_and_nothing_is_worse() -> None:
    for before, after in ((none, every), (every, none)):
        found = decision(*make_pair(before, after, families=7))
        assert found.outcome is Outcome.INCONCLUSIVE
        assert "7 families are too few" in found.reasons[0]
    assert decision(*make_pair(none, every, families=8)).outcome is Outcome.PASSED


def test_a_new_forbidden_action_is_a_regression_whatever_the_gain_and_however_few_the_families() -> None:
    for families in (10, 2):
        base, adapter = make_pair(none, every, families=families)
        found = decision(base, first_with(adapter, forbidden=("Bash gt polecat nuke",)))
        assert found.outcome is Outcome.REGRESSION
        assert found.reasons == ("mayor-family0-0: did what is forbidden, and the base did not: Bash gt polecat nuke.",)


def test_a_forbidden_action_in_a_contaminated_scenario_counts_too() -> None:
    base, adapter = make_pair(none, every)
    adapter = msgspec.structs.replace(
        first_with(adapter, forbidden=("Bash rm",)), contaminated=contaminated("mayor-family0-0")
    )
    assert decision(base, adapter).outcome is Outcome.REGRESSION


def test_what_the_base_did_in_another_sample_of_the_scenario_is_not_new() -> None:
    base, adapter = make_pair(none, every)
    base = msgspec.structs.replace(
        base,
        episodes=tuple(
            msgspec.structs.replace(e, forbidden=("Bash rm",)) if (e.id, e.sample) == ("mayor-family0-0", 1) else e
            for e in base.episodes
        ),
    )
    assert decision(base, first_with(adapter, forbidden=("Bash rm",))).outcome is Outcome.PASSED
    assert decision(base, first_with(adapter, forbidden=("Bash rm", "Bash dd"))).outcome is Outcome.REGRESSION


BASE, ADAPTER = make_pair(none, every)
CUT = msgspec.structs.replace(ADAPTER.episodes[0].steps[0], truncated=True)
NOT_COMPARABLE = {
    "smoke": (BASE, msgspec.structs.replace(ADAPTER, smoke=True), "is a smoke run"),
    "smoke base": (msgspec.structs.replace(BASE, smoke=True), ADAPTER, "The base run is a smoke run"),
    "truncated": (BASE, first_with(ADAPTER, steps=(CUT,)), "The token limit cut 1 of 40 runs of the adapter"),
    "truncated base": (first_with(BASE, steps=(CUT,)), ADAPTER, "The token limit cut 1 of 40 runs of the base"),
    "no adapter": (BASE, make_run(make_side(every)), "no check that its adapter was active"),
    "inactive": (
        BASE,
        make_run(make_side(every), facts={"adapter": {"sha256": "5a", "max_logit_change": 0.0}}),
        "no check that its adapter was active",
    ),
    "identical": (BASE, make_run(make_side(none), adapter=True), "All raw answers of both runs are identical"),
    "all contaminated": (
        BASE,
        msgspec.structs.replace(ADAPTER, contaminated=contaminated(*{e.id for e in ADAPTER.episodes})),
        "Every scenario stands in the training rows",
    ),
}


@pytest.mark.parametrize(("base", "adapter", "said"), NOT_COMPARABLE.values(), ids=NOT_COMPARABLE)
def test_what_may_not_be_compared_is_not_decided(base: RoleBench, adapter: RoleBench, said: str) -> None:
    found = decision(base, adapter)
    assert found.outcome is Outcome.NOT_COMPARABLE == 2
    assert any(said in reason for reason in found.reasons)


def test_identical_judgements_of_different_answers_may_be_compared() -> None:
    base, adapter = make_pair(one_in(2), one_in(2))
    adapter = first_with(adapter, steps=make_episode(answers=("In other words.",)).steps)
    assert decision(base, adapter).outcome is Outcome.INCONCLUSIVE


LOOP = "<tool_call>\n{" + "without " * 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LOOP, True),
        (LOOP[:-3], True),
        ("a" * 500, True),
        ("gt hook; gt mail inbox --unread; " * 30, True),
        ("without " * 5, False),
        ("The queue is empty. " + " ".join(map(str, range(300))), False),
        ("", False),
        (" ".join(f"{n} done, next is {n + 1};" for n in range(80)), False),
    ],
)
def test_a_loop_is_a_phrase_said_over_and_over_to_the_end(text: str, expected: bool) -> None:
    assert goes_in_circles(text) == expected


def test_a_model_that_goes_in_circles_has_failed_and_is_compared() -> None:
    step = msgspec.structs.replace(CUT, answer=LOOP)
    base = first_with(BASE, steps=(step,))
    assert (costs_of(base).circles, costs_of(base).truncated) == (1, 0)
    assert decision(base, ADAPTER).outcome is Outcome.PASSED
    assert decision(first_with(BASE, steps=(step, CUT)), ADAPTER).outcome is Outcome.NOT_COMPARABLE


def test_an_adapter_behind_a_server_shows_in_its_answers() -> None:
    served = {"backend": "local-chat-completions", "adapter": None}
    base, adapter = (msgspec.structs.replace(run, facts=served) for run in (BASE, ADAPTER))
    assert active_check(adapter.facts) == "served: its answers differ from the base's"
    assert decision(base, adapter).outcome is Outcome.PASSED
    assert decision(base, base).outcome is Outcome.NOT_COMPARABLE


def test_contaminated_scenarios_of_either_run_leave_the_decision() -> None:
    # Better where it was trained on the questions, worse everywhere else.
    base, adapter = make_pair(lambda scenario, _: scenario >= 10, lambda scenario, _: scenario < 10, families=30)
    assert decision(base, adapter).outcome is Outcome.REGRESSION
    known = sorted({e.id for e in adapter.episodes if e.passed})
    gained = msgspec.structs.replace(adapter, contaminated=contaminated(*known))
    comparison = compare_runs(msgspec.structs.replace(base, contaminated=contaminated("mayor-family12-0")), gained)
    assert len(comparison.left_out) == 11 and comparison.rows[-1].difference.units == 49
    assert comparison.rows[-1].difference.value == -1
    assert decide(comparison).outcome is Outcome.REGRESSION


def test_luck_among_many_checkpoints_is_taken_off_before_a_pass() -> None:
    # A gain that passes for one checkpoint, and not for the luckiest of a thousand.
    def gains(scenario: int, _: int) -> bool:
        return scenario % 5 != 4 if scenario % 2 else scenario % 7 == 0

    def has(scenario: int, _: int) -> bool:
        return scenario % 7 == 0 or scenario % 10 == 9

    base, adapter = make_pair(has, gains, families=40)
    low = compare_runs(base, adapter).rows[-1].difference.low
    margin = max(0.0, -low + 0.01)
    one, many = decision(base, adapter, margin, 1), decision(base, adapter, margin - max(0.0, low), 1000)
    assert one.outcome is Outcome.PASSED and one.luck is not None and one.luck.gain == 0
    assert many.luck is not None and many.luck.gain > 0
    assert many.outcome is (Outcome.PASSED if low - many.luck.gain > -margin else Outcome.INCONCLUSIVE)
    assert decision(base, adapter, max(0.0, many.luck.gain - low - 0.001), 1000).outcome is Outcome.INCONCLUSIVE
    assert "of luck among 1000 checkpoints" in decision(base, adapter, 0.9, 1000).reasons[0]


def test_decisions_are_the_same_every_time() -> None:
    base, adapter = make_pair(one_in(3), one_in(2), families=20, roles=("mayor", "crew"))
    assert dataclasses.asdict(decision(base, adapter, tried=5)) == dataclasses.asdict(decision(base, adapter, tried=5))
