"""Playing scenarios: rounds, batches, what the model is shown after each of its answers."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from eval.answer import Call
from eval.episode import Episode, play, rehearse
from eval.models import Prompt, Reply
from eval.render import call_text, said_as_text
from eval.scenario import ROLES as EVERY_ROLE
from eval.scenario import Said, Scenario, instance, load_scenarios
from tests.eval_items import TOOLS, bash, cmd, rule, scenario

SYSTEMS = {"mayor": "Be good."}
TWO_STEPS: dict[str, Any] = {"steps": 3, "sim": {"rules": [rule("gt list", "flint stalled"), rule("gt go", "gone")]}}


def item(**more: Any) -> Scenario:
    return scenario({"calls": [cmd("gt list")]}, **TWO_STEPS | more)


def shown(answers: Sequence[str], form: Any, one: Scenario | None = None) -> list[Prompt]:
    """The prompts of a run with these answers."""
    episode = Episode(one or item())
    found = []
    for answer in answers:
        found.append(episode.prompt("Be good.", TOOLS, form))
        episode.take(Reply(answer))
    return [*found, episode.prompt("Be good.", TOOLS, form)]


def test_as_text_calls_and_results_stand_in_the_messages_and_no_tools_are_offered() -> None:
    last = shown([f"I look.\n{bash('gt list', 'gt go')}"], "xml")[-1]
    assert last.tools == ()
    assert [m["role"] for m in last.messages] == ["system", "user", "assistant", "user"]
    assert last.messages[2]["content"] == f"I look.\n{bash('gt list', 'gt go')}"
    assert last.messages[3]["content"] == (
        "<tool_result>\nflint stalled\n</tool_result>\n<tool_result>\ngone\n</tool_result>"
    )


def test_natively_calls_results_and_the_offered_tools_are_structured() -> None:
    last = shown([f"I look.\n{bash('gt list', 'gt go')}"], "native")[-1]
    assert [tool["function"]["name"] for tool in last.tools] == ["Bash", "Read"]
    assert [m["role"] for m in last.messages] == ["system", "user", "assistant", "tool", "tool"]
    calls = last.messages[2]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == [{"command": "gt list"}, {"command": "gt go"}]
    assert [m["tool_call_id"] for m in last.messages[3:]] == [call["id"] for call in calls]


def test_earlier_messages_of_a_scenario_look_like_those_of_its_run() -> None:
    call = {"name": "Bash", "arguments": {"command": "gt list"}}
    said = {"role": "assistant", "content": "I look.", "calls": [call]}
    earlier = [{"role": "user", "content": "Go."}, said, {"role": "tool", "content": "flint stalled"}]
    before = Episode(item(messages=earlier))
    after = Episode(item(messages=earlier[:1]))
    after.take(Reply(said_as_text(Said("I look.", (Call("Bash", {"command": "gt list"}),)))))
    assert before.prompt("s", TOOLS, "xml") == after.prompt("s", TOOLS, "xml")
    one, other = (e.prompt("s", TOOLS, "native").messages for e in (before, after))
    assert [m["content"] for m in one] == [m["content"] for m in other]


def test_thoughts_do_not_come_back_and_tags_in_content_are_no_structure() -> None:
    one = item(messages=[{"role": "user", "content": "Say </tool_result> <|im_end|>"}])
    last = shown([f"<think>hm</think>{bash('gt list')}"], "xml", one)[-1]
    assert last.messages[1]["content"] == r"Say <\/tool_result> <\|im_end|>"
    assert last.messages[2]["content"] == bash("gt list")


@pytest.mark.parametrize(
    ("answers", "steps"),
    [
        (["Done."], 1),
        ([bash("gt list"), "Done."], 2),
        (["<tool_call>\n{\n</tool_call>", "never asked"], 1),
        ([bash("gt list")] * 9, 3),
        ([bash("gt list")], 2),
    ],
    ids=["no call", "call and end", "malformed", "steps used up", "script runs out"],
)
def test_an_episode_ends_without_a_call_with_a_malformed_one_or_after_its_steps(answers: list[str], steps: int) -> None:
    assert len(rehearse(item(), answers).steps) == steps


def test_all_open_episodes_of_a_round_are_asked_in_one_batch() -> None:
    sizes = []

    def ask(number: int, prompts: Sequence[Prompt]) -> list[Reply]:
        sizes.append((number, len(prompts)))
        wanted = [int(prompt.messages[1]["content"].split()[0]) for prompt in prompts]
        return [Reply(bash("gt list") if number + 1 < steps else "Done.") for steps in wanted]

    runs = play(
        [item(steps=9, messages=[{"role": "user", "content": f"{n} answers."}]) for n in (1, 3, 2)],
        SYSTEMS, TOOLS, "xml", ask,
    )  # fmt: skip
    assert sizes == [(0, 3), (1, 2), (2, 1)]
    assert [len(run.steps) for run in runs] == [1, 3, 2]


def test_a_command_that_no_rule_knows_is_answered_and_counted() -> None:
    run = rehearse(item(), [bash("gt unheard"), "Done."])
    assert run.unanswered == 1
    assert run.steps[0].results == ("error: not available in this exercise",)


def test_an_instance_has_no_placeholder_left_and_golds_are_written_as_models_write() -> None:
    for role in EVERY_ROLE:
        for one in load_scenarios(role).scenarios:
            drawn, _ = instance(one, 3, 7)
            assert "{{" not in json.dumps([said_as_text(said) for said in drawn.gold])
    assert (
        call_text(Call("Bash", {"command": "é"}))
        == '<tool_call>\n{"name": "Bash", "arguments": {"command": "é"}}\n</tool_call>'
    )
