"""Which call of a run serves which requirement."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.answer import Call
from eval.assign import assign, before, seen_before
from eval.expect import Wanted
from eval.matchers import Cmd, Matcher


def wanted(value: Matcher, least: int = 1) -> Wanted:
    return Wanted("Bash", {"command": value}, min=least)


def gt(*sub: str) -> Matcher:
    return Matcher(cmd=Cmd("gt", sub, any_flags=True))


def bash(*scripts: str) -> list[tuple[int, Call]]:
    return [(step, Call("Bash", {"command": script})) for step, script in enumerate(scripts)]


def served(wants: Sequence[Wanted], calls: Sequence[tuple[int, Call]]) -> list[int]:
    taken = assign(wants, calls)
    return [len(taken[index]) for index in range(len(wants))]


ANY = Matcher(regex=".*")
LETTERS = st.sampled_from(["a", "b", "c"])


@given(st.lists(st.sets(LETTERS, min_size=1), max_size=5), st.lists(LETTERS, max_size=6))
def test_as_many_requirements_are_served_as_can_be(wants: list[set[str]], letters: list[str]) -> None:
    several = [wanted(Matcher(any_of=tuple(Matcher(exact=letter) for letter in sorted(want)))) for want in wants]
    got = served(several, bash(*letters))
    assert sum(count > 0 for count in got) == most(wants, letters)
    assert sum(got) == sum(any(letter in want for want in wants) for letter in letters)


def most(wants: list[set[str]], letters: list[str]) -> int:
    """The largest number of requirements that different calls can serve, by trying everything."""
    if not wants:
        return 0
    chosen = [1 + most(wants[1:], letters[:n] + letters[n + 1 :]) for n, x in enumerate(letters) if x in wants[0]]
    return max([most(wants[1:], letters), *chosen])


def test_a_broad_matcher_leaves_the_narrow_one_its_only_call() -> None:
    assert served([wanted(ANY), wanted(Matcher(exact="b"))], bash("b", "a")) == [1, 1]


def test_two_commands_of_one_call_serve_two_requirements() -> None:
    both = [wanted(gt("mail", "inbox")), wanted(gt("hook"))]
    assert served(both, bash("gt mail inbox && gt hook")) == [1, 1]
    assert served(both, bash("gt hook")) == [0, 1]
    either = Matcher(any_of=(gt("hook"), gt("prime")))
    assert served([wanted(either, least=2)], bash("gt hook; gt prime")) == [2]


@pytest.mark.parametrize("script", ["true || gt hook", "echo gt hook", "if x; then gt hook; fi", "gt hook --help"])
def test_what_may_not_run_serves_nothing(script: str) -> None:
    assert served([wanted(gt("hook"))], bash(script)) == [0]


def test_every_further_call_counts_for_the_requirement_that_it_fits() -> None:
    assert served([wanted(gt("nudge"))], bash("gt nudge a; gt nudge b", "gt nudge c")) == [3]


def test_order_is_that_of_the_first_calls() -> None:
    wants = [wanted(gt("look")), wanted(gt("act"))]
    for scripts, in_order, seen in [
        (("gt look", "gt act"), True, True),
        (("gt look && gt act",), True, False),
        (("gt act", "gt look"), False, False),
        (("gt act", "gt look", "gt act"), False, False),
        (("gt look", "gt act", "gt look"), True, True),
        (("gt act",), False, False),
    ]:
        taken = assign(wants, bash(*scripts))
        assert (before(taken[0], taken[1]), seen_before(taken[0], taken[1])) == (in_order, seen), scripts
