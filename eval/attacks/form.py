"""The right answer in a wrong form: an agent's runtime would not run these calls."""

from collections.abc import Iterator

from eval.attacks.making import Attack, bash, behind, last_calling, last_words, written
from eval.scenario import Scenario


def about_form(scenario: Scenario) -> Iterator[Attack]:
    """The gold run whose last calling answer (the last one where none calls) is written wrongly."""
    answers = written(scenario.gold)
    place = last_calling(scenario)
    forms = dict(_forms(answers[place]))
    if scenario.expect.json_output is not None and not scenario.gold[place].calls:
        forms.pop("gold in a fence")  # where JSON is asked for, a fence around it is right
    if scenario.gold[place].calls:
        forms |= dict(_call_forms(answers[place]))
    for name, raw in forms.items():
        yield Attack(name, (*answers[:place], raw, *answers[place + 1 :]))
    yield Attack("all in thoughts", tuple(f"<think>\n{raw}\n</think>\n" for raw in answers))
    if scenario.expect.abstain:
        yield from _needless(scenario)


def _forms(gold: str) -> Iterator[tuple[str, str]]:
    yield "gold in a fence", f"```\n{gold}\n```"
    yield "gold in a thought", f"<think>\n{gold}\n</think>\n"
    yield "gold in an open thought", f"<think>\n{gold}"
    yield "gold in a thought that the template opened", f"{gold}\n</think>\n"
    yield "gold and an invented result", f"{gold}\n<tool_result>\nok\n</tool_result>\nDone."
    yield "gold and the next turn", f"{gold}<|im_end|>\n<|im_start|>user\nThanks"


def _call_forms(gold: str) -> Iterator[tuple[str, str]]:
    yield "untagged call", gold.replace("<tool_call>", "").replace("</tool_call>", "")
    yield "unclosed tag", gold.removesuffix("</tool_call>")
    yield "unopened tag", gold.replace("<tool_call>\n", "", 1)
    yield "malformed JSON", gold.replace("}\n</tool_call>", "\n</tool_call>")
    yield "single quotes", gold.replace('"', "'")
    yield "arguments as text", gold.replace('"arguments": {', '"arguments": "{').replace("}}\n", '}"}\n')
    yield "unknown tool", gold.replace('"name": "', '"name": "My')
    yield "extra argument", gold.replace('"arguments": {', '"arguments": {"force": true, ')
    yield "Python call", gold.replace("<tool_call>\n", "[TOOL_CALLS]").replace("\n</tool_call>", "")


def _needless(scenario: Scenario) -> Iterator[Attack]:
    call = bash("gt status")
    yield Attack("a needless call", behind(scenario, call))
    yield Attack("a needless call, then the right words", (call, last_words(scenario)))
    yield Attack("a malformed call", behind(scenario, call.replace('"arguments"', "arguments")))
    yield Attack("an unclosed call", behind(scenario, call.removesuffix("</tool_call>")))
