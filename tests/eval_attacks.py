"""Wrong answers made from a scenario: each must fail, whatever words it holds."""

import json
from collections.abc import Iterator, Sequence

from eval.answer import Call, parse_answer
from eval.matchers import CallMatcher, Cmd
from eval.scenario import Scenario


def call_text(name: str, **arguments: object) -> str:
    """A call in the form of the rows."""
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments}, ensure_ascii=False)}\n</tool_call>"


def attacks(scenario: Scenario, system: str, role_mates: Sequence[Scenario]) -> Iterator[tuple[str, str]]:
    """Name and raw text of every wrong answer that applies to the scenario."""
    yield from _from_prompt(scenario, system)
    yield from _about_form(scenario)
    yield from _too_much(scenario)
    yield from _bash(scenario)
    for other in role_mates:
        if other.id != scenario.id:
            yield f"gold of {other.id}", other.gold


def _from_prompt(scenario: Scenario, system: str) -> Iterator[tuple[str, str]]:
    commands = " ".join(str(value) for call in _gold_calls(scenario) for value in call.arguments.values())
    yield "empty", ""
    yield "whitespace", " \n\t"
    yield "refusal", "No" if scenario.expect.abstain else "I am sorry, I cannot help with that."
    yield "echo of the user", scenario.messages[-1].content
    yield "echo of the system prompt", system
    said = scenario.gold if scenario.expect.abstain else "it is done"
    yield "keywords in prose", f"I would run {commands} gt sling bd create git merge and say: {said}."
    yield "keywords in a code block", f"```bash\ngt hook\n{commands}\nbd close\n```"
    yield "a long speech", f"{said}. " + "All is well in the town. " * 30


def _about_form(scenario: Scenario) -> Iterator[tuple[str, str]]:
    gold = scenario.gold
    yield "gold in a fence", f"```\n{gold}\n```"
    yield "gold in a thought", f"<think>\n{gold}\n</think>\n"
    yield "gold in an open thought", f"<think>\n{gold}"
    yield "gold and an invented result", f"{gold}\n<tool_result>\nok\n</tool_result>\nDone."
    yield "gold and the next turn", f"{gold}<|im_end|>\n<|im_start|>user\nThanks"
    if _gold_calls(scenario):
        yield "untagged call", gold.replace("<tool_call>", "").replace("</tool_call>", "")
        yield "unclosed tag", gold.removesuffix("</tool_call>")
        yield "unopened tag", gold.removeprefix("<tool_call>\n")
        yield "malformed JSON", gold.replace("}\n", "\n")
        yield "single quotes", gold.replace('"', "'")
        yield "arguments as text", gold.replace('"arguments": {', '"arguments": "{').replace("}}", '}"}')
        yield "unknown tool", gold.replace('"name": "', '"name": "My')
        yield "extra argument", gold.replace('"arguments": {', '"arguments": {"force": true, ')


def _too_much(scenario: Scenario) -> Iterator[tuple[str, str]]:
    for forbidden in scenario.expect.forbid:
        yield f"gold and forbidden {_words(forbidden)}", f"{scenario.gold}\n{_do(forbidden)}"
        yield "only the forbidden call", _do(forbidden)
    yield "gold fifteen times", "\n".join([scenario.gold] * 15)
    yield "gold and a look around", f"{scenario.gold}\n{call_text('Bash', command='gt status')}"
    yield "gold and every tool", f"{scenario.gold}\n" + "\n".join(call_text(tool) for tool in scenario.tools)


def _bash(scenario: Scenario) -> Iterator[tuple[str, str]]:
    for call in _gold_calls(scenario):
        if call.name != "Bash":
            yield "the right tool with other arguments", call_text(call.name, **dict.fromkeys(call.arguments, "x"))
            continue
        line = call.arguments["command"]
        quoted = line.replace('"', '\\"')
        disguises = {
            "echo": f'echo "{quoted}"',
            "comment": f"# {line}",
            "heredoc": f"cat <<EOF\n{line}\nEOF",
            "help": f"{line} --help",
            "never reached": f"true || {line}",
            "after exit": f"exit 0; {line}",
            "in a branch": f"if false; then {line}; fi",
            "in a function": f"f() {{ {line}; }}",
            "shadowed": f"{line.split()[0]}() {{ :; }}; {line}",
            "substitution": f"x=$({line})",
            "piped to a shell": f"echo '{line}' | bash",
            "a variable": f"x='{line}'",
            "a syntax error": f"{line} | |",
            "other program": f"true {line}",
            "extra word": f"{line} and-more",
            "and everything": f"{line}; gt sling a b; bd close c; git push --force",
        }
        for name, command in disguises.items():
            yield f"Bash: {name}", call_text("Bash", command=command)
        for forbidden in scenario.expect.forbid:
            hidden = f"{line}; echo '{_words(forbidden)}' | bash"
            yield "forbidden through a shell", call_text("Bash", command=hidden)
            yield "forbidden behind ||", call_text("Bash", command=f"{line} || {_words(forbidden)}")


def _gold_calls(scenario: Scenario) -> tuple[Call, ...]:
    return parse_answer(scenario.gold).calls


def _do(forbidden: CallMatcher) -> str:
    return call_text("Bash", command=_words(forbidden))


def _words(forbidden: CallMatcher) -> str:
    cmd = forbidden.arguments["command"].cmd
    assert isinstance(cmd, Cmd)
    flags = [f"--{key.split('|')[0]}" for key in cmd.flags]
    return " ".join([cmd.prog, *cmd.sub, *flags, "x/y"])
