"""Small scenarios and answers for tests of the evaluation: one rule each, invented."""

from typing import Any

import msgspec

from eval.answer import Call
from eval.episode import rehearse
from eval.render import call_text
from eval.scenario import Scenario, load_tools
from eval.score import score_run
from eval.verdict import Score

TOOLS = load_tools()


def scenario(expect: dict[str, Any], **more: Any) -> Scenario:
    """A scenario of the mayor with these expectations; its gold is no right run."""
    line = {
        "id": "mayor-x",
        "role": "mayor",
        "family": "x",
        "messages": [{"role": "user", "content": "What about pe-900 today?"}],
        "tools": ["Bash", "Read"],
        "expect": expect,
        "gold": [{"content": "unused"}],
    }
    return msgspec.convert(line | more, Scenario)


def bash(*lines: str) -> str:
    """One answer with a Bash call for each line."""
    return "\n".join(call_text(Call("Bash", {"command": line})) for line in lines)


def cmd(line: str, **more: Any) -> dict[str, Any]:
    """A matcher of a call that runs exactly this program with these leading words."""
    prog, *sub = line.split()
    return {"name": "Bash", "arguments": {"command": {"cmd": {"prog": prog, "sub": sub, "any_flags": True}}}, **more}


def rule(line: str, reply: str, **more: Any) -> dict[str, Any]:
    """A rule of the simulator for a command."""
    return {"when": cmd(line), "reply": reply, **more}


def score(item: Scenario, *answers: str) -> Score:
    """The judgement of a run with these answers."""
    return score_run(item, rehearse(item, answers), TOOLS)


def failed(result: Score) -> list[str]:
    """The names of the checks that do not hold."""
    return [check.name for check in result.checks if not check.ok]
