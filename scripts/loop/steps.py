"""The steps of a round in their order, and the second half of them: build, train, register, evaluate, judge, promote.

Each takes the work in hand and may be done again: a round that was killed begins with the step that it was in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.loop import commands
from scripts.loop.curate import count_lines
from scripts.loop.errors import Ended, Failed
from scripts.loop.gateway import reload
from scripts.loop.looking import curate_examples, examples, look
from scripts.loop.results import overall, read, same_question
from scripts.loop.sources import write_config
from scripts.loop.work import Work


def build(work: Work) -> None:
    """Builds the datasets with the examples."""
    logs = write_config(work.plan, work.place)
    work.run(commands.build(work.plan, work.place), "build")
    rows = work.place.datasets / f"{work.plan.role}_train.jsonl"
    before, after = count_lines(work.plan.datasets / rows.name), count_lines(rows)
    if not after:
        raise Failed(f"the build made no rows of {work.plan.role}. See {work.place.folder / 'logs/build.log'}.")
    work.facts.update(rows_before=before, rows=after)
    more = f", {logs} lines of captures and comparisons among the sources" if logs else ""
    work.say(f"{after} rows train; before there were {before}{more}.")


def train(work: Work) -> None:
    """Trains the adapter of the round. One that is whole was trained before the round was killed."""
    if not (work.place.adapter / "run.json").is_file():
        work.run(commands.train(work.plan, work.place), "train")
    outcome = json.loads((work.place.adapter / "run.json").read_text("utf-8")).get("outcome") or {}
    work.facts["training"] = {key: outcome.get(key) for key in ("steps", "first_loss", "last_loss")}
    work.say(
        f"{outcome.get('steps')} steps; the loss went from {outcome['first_loss']:.3f} to {outcome['last_loss']:.3f}."
    )


def register(work: Work) -> None:
    """Makes the adapter a version, which stays whatever the gate says."""
    version = work.answer(commands.register(work.plan, work.place), "register")
    work.facts.update(version=version["number"], name=version["name"], folder=version["folder"])
    work.say(f"The adapter is {version['name']}.")


def evaluate(work: Work) -> None:
    """Asks the new version, and base and live one where their results were made under other conditions."""
    work.evaluate(work.facts["folder"], "adapter")
    adapter, stored, live = read(work.place.results("adapter")), work.facts.get("stored") or {}, work.facts["live"]
    used = {"adapter": str(work.place.results("adapter"))}
    for who, kept, model in (("base", "base", "base"), ("live", "adapter", _folder(work, live))):
        if who == "live" and live is None:
            continue
        own = work.place.results(who)
        if own.is_file() or not (kept in stored and same_question(read(Path(stored[kept])), adapter)):
            work.evaluate(model, who)
            used[who] = str(own)
        else:
            used[who] = stored[kept]
    work.facts["results"] = used
    work.facts["rates"] = {who: overall(read(Path(path)), work.plan.role) for who, path in used.items()}
    work.say(f"Compared: {', '.join(sorted(used))}.")


def _folder(work: Work, live: int | None) -> str:
    return str(work.plan.root / "adapters" / work.plan.role / f"v{live}")


def judge(work: Work) -> None:
    """Asks the gate: beside the base, as the registry demands it, and beside what is live."""
    used, version = work.facts["results"], work.facts["version"]
    base = Path(used["base"])
    judged = work.answer(commands.judge(work.plan, work.place, version, base), "judge")["evaluation"]
    work.facts["gate"] = {key: judged[key] for key in ("passed", "outcome", "reasons")}
    work.say(f"Beside the base the gate says: {judged['outcome']}. {' '.join(judged['reasons'])}")
    against = [] if judged["passed"] else [f"Beside the base: {reason}" for reason in judged["reasons"]]
    if "live" in used and work.facts["live"] != version:
        code = work.run(commands.against_live(work.plan, work.place, Path(used["live"])), "judge-live", (0, 1, 2, 3))
        found = _comparison(work, code)
        work.facts["against_live"] = found
        work.say(f"Beside v{work.facts['live']}, which is live: {found['outcome']}. {' '.join(found['reasons'])}")
        against += [] if code == 0 else [f"Beside v{work.facts['live']}: {reason}" for reason in found["reasons"]]
    if against:
        raise Ended("refused", against)


def _comparison(work: Work, code: int) -> dict[str, Any]:
    """What the comparison with the live version said; one that cannot be made is no pass."""
    try:
        found = json.loads((work.place.folder / "against-live.json").read_text("utf-8"))
        return {"outcome": found["outcome"], "reasons": list(found["reasons"])}
    except (OSError, ValueError, KeyError):
        log = work.place.folder / "logs/judge-live.log"
        return {"outcome": "not comparable", "reasons": [f"The comparison ended with exit code {code}; see {log}."]}


def promote(work: Work) -> None:
    """The version goes live, by the registry's own gate; as a file for the engine first, where that is configured."""
    version = work.facts["version"]
    if work.plan.settings.export.kind:
        work.run(commands.export(work.plan, version), "export")
    if work.run(commands.promote(work.plan, work.place, version), "promote", (0, 1)):
        log = (work.place.folder / "logs/promote.log").read_text("utf-8", "replace")
        said = [line.removeprefix("error: ") for line in log.splitlines() if line.startswith("error: ")]
        raise Ended("refused", said or ["The registry refused the promotion."])
    work.say(f"{work.facts['name']} is live.")


def reload_gateway(work: Work) -> None:
    """Tells a running gateway; none that runs is no failure."""
    work.say(reload(work.plan.settings.gateway, work.plan.role, work.facts["version"]))


STEPS: dict[str, Callable[[Work], None]] = {
    "look": look,
    "examples": examples,
    "curate": curate_examples,
    "build": build,
    "train": train,
    "register": register,
    "evaluate": evaluate,
    "judge": judge,
    "promote": promote,
    "reload": reload_gateway,
}
