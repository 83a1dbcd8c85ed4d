"""Answers made of words alone: nothing, refusals, echoes, lists of keywords, claims.

Out of reach: a text that says the right facts and negates them (`pe-812 is not done`) is the same to every check here.
"""

import json
from collections.abc import Iterator, Mapping

from eval.attacks.making import Attack, last_words, written
from eval.scenario import Scenario, User
from eval.text_rules import spellings
from eval.variables import Choices

NULL = ("empty", "whitespace", "refusal", "nothing to do")
"""The agents that do nothing; their score is the floor of a table."""
REFUSAL = "I am sorry, I cannot help with that."
SPEECH = "All is well in the town and every rig does what it should. "


def from_prompt(scenario: Scenario, system: str, choices: Mapping[str, Choices]) -> Iterator[Attack]:
    """Answers without any call."""
    yield from (Attack(name, (raw,)) for name, raw in _texts(scenario, system))
    if any(said.calls for said in scenario.gold):
        yield Attack("claims it is done", (last_words(scenario),))
        yield Attack("claims it is done, step by step", tuple(said.content or "Done." for said in scenario.gold))
    if guess := _every_alternative(scenario, choices):
        yield Attack("every alternative", (*written(scenario.gold)[:-1], guess))
    if scenario.expect.json_output is not None:
        yield from (Attack(name, (*written(scenario.gold)[:-1], raw)) for name, raw in _wrong_json(scenario))


def _texts(scenario: Scenario, system: str) -> Iterator[tuple[str, str]]:
    calls = [call for said in scenario.gold for call in said.calls]
    commands = "\n".join(str(value) for call in calls for value in call.arguments.values())
    said = " ".join(said.content for said in scenario.gold)
    asked = [message.content for message in scenario.messages if isinstance(message, User)]
    yield "empty", ""
    yield "whitespace", " \n\t"
    yield "refusal", REFUSAL
    yield "nothing to do", "No" if scenario.expect.abstain else "Nothing to do. I wait for the next mail."
    yield "echo of the user", asked[-1]
    yield "echo of every user message", "\n\n".join(asked)
    yield "echo of the system prompt", system
    yield "keywords in prose", f"I would run {commands} gt sling bd create git merge and say: {said or 'done'}"
    yield "keywords in a code block", f"```bash\ngt hook\n{commands}\nbd close\n```\n{said}"
    yield "a long speech", f"{last_words(scenario)} {SPEECH * 30}"


def _every_alternative(scenario: Scenario, choices: Mapping[str, Choices]) -> str | None:
    """The last words with every value of a list in place of the drawn one: an agent that did not look."""
    rules = scenario.expect.text
    facts = [spelling for fact in (*rules.canary, *rules.contains) for spelling in spellings(fact)] if rules else []
    lists = [options for options in choices.values() if not isinstance(options, str)]
    guessed = [options for options in lists if {*options} & {*facts}]
    text = last_words(scenario)
    for options in guessed:
        drawn = next(option for option in options if option in facts)
        text = text.replace(drawn, " or ".join([drawn, *(option for option in options if option != drawn)]), 1)
    return text if guessed and text != last_words(scenario) else None


def _wrong_json(scenario: Scenario) -> Iterator[tuple[str, str]]:
    schema = scenario.expect.json_output or {}
    yield "empty JSON", "{}"
    yield "the schema as JSON", json.dumps(schema)
    yield "keyword JSON", json.dumps({key: last_words(scenario) for key in schema.get("properties", {"answer": ""})})
    try:
        value = json.loads(last_words(scenario).strip().removeprefix("```json").strip("`\n "))
    except ValueError:
        return
    for key in value if isinstance(value, dict) else ():
        if not (isinstance(value[key], str) and " " in value[key].strip()):
            yield f"JSON with another {key}", json.dumps(value | {key: _other(value[key])})


def _other(value: object) -> object:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 7919
        case str():
            return "elsewhere"
        case list():
            return [] if value else ["elsewhere"]
        case _:
            return {"elsewhere": 1}
