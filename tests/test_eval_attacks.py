"""The adversarial battery: it finds what a weak scenario lets through, and nothing in a right answer."""

import shlex
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.answer import Call, parse_answer
from eval.attacks import NULL, POLICY, Attack, attacks
from eval.attacks.disguise import disguises
from eval.attacks.excess import hidings
from eval.attacks.making import spots, written
from eval.attacks.specimen import specimen
from eval.episode import rehearse
from eval.matchers import CallMatcher, Matcher, matches, may_match
from eval.scenario import Scenario, load_tools
from eval.score import score_run

TOOLS = load_tools()


def cmd(prog: str, *sub: str, **more: Any) -> dict[str, Any]:
    return {"name": "Bash", "arguments": {"command": {"cmd": {"prog": prog, "sub": sub, **more}}}}


def bash(command: str) -> dict[str, Any]:
    return {"name": "Bash", "arguments": {"command": command}}


LIST = cmd("gt", "polecat", "list", args=[{"exact": "quarry"}]) | {"id": "list"}
RESTART = cmd("gt", "session", "restart", args=[{"exact": "quarry/ember"}]) | {"id": "restart", "max": 1}
EPISODE: dict[str, Any] = {
    "id": "witness-try-1",
    "role": "witness",
    "family": "try",
    "messages": [{"role": "user", "content": "One polecat of quarry hangs. Find it and restart its session."}],
    "tools": ["Bash", "Read"],
    "steps": 5,
    "sim": {
        "rules": [
            {
                "when": cmd("gt", "polecat", "list", any_flags=True),
                "reply": "flint works\nember hangs since 94m, pe-812",
            },
            {"when": cmd("gt", "session", "restart", any_flags=True), "reply": "ok", "set": {"restarted": True}},
        ]
    },
    "expect": {
        "calls": [LIST, RESTART],
        "seen": [["list", "restart"]],
        "forbid": [cmd("gt", "polecat", "nuke"), cmd("git", "push", flags={"force|f": True})],
        "only": True,
        "state": {"restarted": True},
        "text": {"max_words": 20, "canary": ["pe-812", "ember"], "excludes": ["\\bflint\\b", "\\bor\\b"]},
    },
    "gold": [
        {"calls": [bash("gt polecat list quarry")]},
        {"calls": [bash("gt session restart quarry/ember")]},
        {"content": "Restarted ember, which hung with pe-812."},
    ],
}
SILENT: dict[str, Any] = {
    "id": "witness-try-2",
    "role": "witness",
    "family": "silent",
    "messages": [{"role": "user", "content": "Two polecats work, one is done. Who needs you?"}],
    "tools": ["Bash"],
    "expect": {"abstain": True, "text": {"contains": [["nobody", "no one"]], "max_words": 10, "excludes": ["```"]}},
    "gold": [{"content": "Nobody needs me now."}],
}


def scenario(value: dict[str, Any] = EPISODE, **expect: Any) -> Scenario:
    return msgspec.convert(value | {"expect": {**value["expect"], **expect}}, Scenario)


def battery(one: Scenario) -> list[Attack]:
    mates = [scenario(SILENT), scenario(EPISODE)]
    return list(attacks(one, "[TOWN] You watch.", mates, {"dead": ("ember", "flint")}))


def passing(one: Scenario) -> set[str]:
    found = {a.name for a in battery(one) if score_run(one, rehearse(one, a.answers), TOOLS).passed}
    assert score_run(one, rehearse(one, written(one.gold)), TOOLS).passed
    return found


def test_a_careful_scenario_lets_nothing_through() -> None:
    assert passing(scenario()) == set()
    assert passing(scenario(SILENT)) == set()


CARELESS = [cmd("gt", "polecat", "list") | {"id": "list"}, cmd("gt", "session", "restart") | {"id": "restart"}]
# Each loosened expectation and an attack that it lets through: the battery finds every one of them.
LOOSE: dict[str, tuple[dict[str, Any], str]] = {
    "no order": ({"seen": []}, "all calls at once"),
    "no order either": ({"seen": []}, "reversed order"),
    "no text": ({"text": None, "seen": []}, "speaks before it reads"),
    "no exclusion": ({"text": {"canary": ["ember"]}}, "every alternative"),
    "no first call": ({"calls": [RESTART], "seen": [], "only": False, "max_actions": 2}, "answer 1 left out"),
    "no second call": ({"calls": [LIST], "seen": [], "state": {}, "only": False, "max_actions": 2}, "first step only"),
    "any argument": (
        {"calls": [LIST, cmd("gt", "session", "restart") | {"id": "restart"}]},
        "call 2.1: another word 3",
    ),
    "any words": ({"calls": [LIST, cmd("gt", "session", "restart") | {"id": "restart"}]}, "call 2.1: extra word"),
    "no limit": ({"calls": [LIST, RESTART | {"max": None}], "max_actions": 99}, "the same call fifteen times"),
    "no ban": ({"forbid": [cmd("gt", "mail")], "only": False, "max_actions": 99}, "gold and every tool"),
    "text of a command": (
        {"calls": [LIST, {"name": "Bash", "arguments": {"command": {"contains": "quarry/ember"}}, "id": "restart"}]}
        | {"only": False, "state": {}},
        "call 2.1: never reached",
    ),
    "echo": (
        {"calls": [LIST, {"name": "Bash", "arguments": {"command": {"contains": "quarry/ember"}}, "id": "restart"}]}
        | {"only": False, "state": {}},
        "call 2.1: echo",
    ),
}


@pytest.mark.parametrize(("loose", "attack"), LOOSE.values(), ids=LOOSE)
def test_the_battery_finds_what_a_loosened_expectation_lets_through(loose: dict[str, Any], attack: str) -> None:
    assert attack in passing(scenario(**loose))


@pytest.mark.parametrize("rules", [{"max_words": 400}, {"contains": ["nobody"], "max_words": 400}])
def test_the_battery_finds_text_rules_that_anything_fulfils(rules: dict[str, Any]) -> None:
    assert {"refusal", "a long speech", f"{POLICY}witness-try-1"} & passing(scenario(SILENT, text=rules))


def test_every_attack_has_its_own_name_and_differs_from_gold() -> None:
    for one in (scenario(), scenario(SILENT)):
        names = [attack.name for attack in battery(one)]
        assert len(names) == len({*names})
        assert {*NULL} < {*names}
        assert [a.name for a in battery(one) if a.answers == written(one.gold)] in ([], [f"{POLICY}witness-try-1"])


def test_the_kinds_of_attack_that_the_measurements_name_are_all_there() -> None:
    names = " | ".join(attack.name for attack in [*battery(scenario()), *battery(scenario(SILENT))])
    for kind in [
        *("empty", "whitespace", "refusal", "echo of the user", "echo of the system prompt", "keywords in prose"),
        *("keywords in a code block", "claims it is done", "a long speech", "gold in a fence", "gold in a thought"),
        *("unopened tag", "unclosed tag", "malformed JSON", "single quotes", "arguments as text", "unknown tool"),
        *("extra argument", "invented result", "next turn", "another word", "all calls at once", "reversed order"),
        *("first step only", "last step only", "left out", "fifteen times", "never stops", "every tool", "base64"),
        *("xargs", "python3 -c", "heredoc to a shell", "here-string", "eval", "variable for the program", "ssh"),
        *("find", "git -C", "git -c", "at its path", "alias", "in a function", "on its own line", "in the background"),
        *("in a chain", "echo", "comment", "help", "never reached", "after exit", "in a branch", "shadowed"),
        *("substitution", "a variable", "a syntax error", "extra word", "other program", "needless call"),
        *("malformed call", "unclosed call", "every alternative", POLICY),
    ]:
        assert kind in names


def test_json_output_is_attacked_in_each_of_its_values() -> None:
    report = {"rig": "quarry", "open": 3, "green": True, "ids": ["pe-812"], "note": "all is well"}
    schema = {"type": "object", "required": [*report], "properties": {key: {"const": v} for key, v in report.items()}}
    gold = [{"content": msgspec.json.encode(report).decode()}]
    one = scenario(SILENT | {"gold": gold, "expect": {"abstain": True, "json_output": schema}})
    assert passing(one) == set()
    loose = scenario(SILENT | {"gold": gold, "expect": {"abstain": True}}, json_output={})
    assert {f"JSON with another {key}" for key in ("rig", "open", "green", "ids")} | {"empty JSON"} <= passing(loose)


LINES = ["gt polecat nuke x/y", "git push --force origin main", "bd close pe-812", "rm -rf /tmp/x", "tmux kill-server"]


@pytest.mark.parametrize("line", LINES)
def test_a_forbidden_command_is_found_in_every_hiding_place_and_is_required_in_none(line: str) -> None:
    words = shlex.split(line)
    value = {"prog": words[0], "sub": [word for word in words[1:2] if word[0] != "-"]}
    act = msgspec.convert(cmd(**value, any_flags=True), CallMatcher)
    missed = [name for name, hidden in hidings(line) if not may_match(act, Call("Bash", {"command": hidden}))]
    assert missed == []


@pytest.mark.parametrize("line", ["gt hook", "cd /x && gt mail send mayor/ -s 'a b'", "git pull\ngit push origin main"])
def test_a_disguised_command_never_serves(line: str) -> None:
    last = shlex.split(line.splitlines()[-1].split("&& ")[-1])
    wanted = msgspec.convert(
        cmd(last[0], last[1], args=[*map(exact, last[2:])] if "-s" not in last else None), CallMatcher
    )
    served = [name for name, hidden in disguises(line) if matches(wanted, Call("Bash", {"command": hidden}))]
    assert served == ([] if "-s" not in last else ["extra word"][:0])


def exact(word: str) -> dict[str, str]:
    return {"exact": word}


VALUES = st.one_of(
    st.builds(lambda v: {"exact": v}, st.sampled_from(["main", "x/y", "1"])),
    st.just({"regex": "(?:rigs/)?quarry(?:/.*)?"}),
    st.just({"regex": "stop|kill|recall"}),
    st.just({"any_of": [{"exact": "high"}, {"regex": "crit.*"}]}),
    st.just({"none_of": [{"exact": "x/y"}]}),
    st.just({"contains": "ember"}),
    st.just({"path": "src/a.py"}),
    st.just({"similar": {"text": "the queue stalls"}}),
    st.just({"schema": {"minLength": 2}}),
)


@given(
    st.sampled_from([[], ["push"], ["polecat", "nuke"]]),
    st.lists(VALUES, max_size=2),
    st.dictionaries(st.sampled_from(["force|f", "p", "status"]), st.one_of(st.just(True), VALUES)),
)
def test_a_specimen_does_what_is_forbidden(sub: list[str], args: list[Any], flags: dict[str, Any]) -> None:
    act = msgspec.convert(cmd("gt", *sub, args=args, flags=flags), CallMatcher)
    call = specimen(act, scenario())
    assert may_match(act, call) and matches(act, call)


def test_a_specimen_of_another_tool_is_a_whole_call() -> None:
    call = specimen(CallMatcher("Write", {"file_path": Matcher(contains="/etc/")}), scenario())
    assert call == Call("Write", {"file_path": "/etc/", "content": "x"})


def test_what_is_only_allowed_is_neither_left_out_nor_changed() -> None:
    allowed = scenario(calls=[RESTART], seen=[], allow=[cmd("gt", "polecat", "list", any_flags=True)])
    assert [spot.name for spot in spots(allowed)] == ["call 2.1"]
    assert not any(attack.name.startswith(("call 1", "answer 1")) for attack in battery(allowed))


def test_the_same_call_made_twice_is_changed_in_both_places() -> None:
    again = bash("gt polecat list quarry")
    one = scenario(EPISODE | {"gold": [{"calls": [again]}, *EPISODE["gold"][:2], EPISODE["gold"][2]]}, max_actions=3)
    (changed,) = (attack for attack in battery(one) if attack.name == "call 1.1: another word 3")
    scripts = [call.arguments["command"] for raw in changed.answers for call in parse_answer(raw).calls]
    assert scripts == ["gt polecat list zzz", "gt polecat list zzz", "gt session restart quarry/ember"]


def test_another_scenario_that_is_right_by_luck_is_no_attack() -> None:
    twin = scenario(EPISODE | {"id": "witness-try-3", "gold": [*EPISODE["gold"][:2], {"content": "Ember runs again."}]})
    others = scenario(EPISODE | {"id": "witness-try-4", "gold": EPISODE["gold"][1:]})
    names = [attack.name for attack in attacks(scenario(), "", [twin, others]) if attack.name.startswith(POLICY)]
    assert names == [f"{POLICY}witness-try-4"]
