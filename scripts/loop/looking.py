"""The first half of a round: where the role is weak, examples of that kind, and which of them are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from configs.files import write_text
from scripts.loop import commands
from scripts.loop.curate import as_lines, curate
from scripts.loop.errors import Ended
from scripts.loop.gather import ask_strong, from_miners, is_own
from scripts.loop.generate import Example, Fault
from scripts.loop.material import new_since, told
from scripts.loop.plan import mined_file
from scripts.loop.results import families, family_of, held_out, questions_of, read, weakest
from scripts.loop.sources import before
from scripts.loop.work import Work

NOTHING = "There is nothing to learn from"
CANDIDATES = "candidates.json"


def look(work: Work) -> None:
    """Finds the weakest families in the newest evaluation of what is live, or of the base."""
    live, known = work.registered()
    work.facts.update(live=live, stored=_stored(live, known))
    who = "base" if live is None else "live"
    kept = work.facts["stored"].get("base" if live is None else "adapter")
    if not kept:
        work.evaluate("base" if live is None else known[live]["folder"], who)
    run = read(Path(kept) if kept else work.place.results(who))
    whose = "the base" if live is None else f"the live version v{live}"
    hidden = held_out(run, work.plan)
    asked = {family_of(one) for one in questions_of(work.plan)}
    found = [one for one in families(run, work.plan.role) if one.name in asked - hidden]
    weak = weakest(found, hidden, work.plan.settings.examples.families)
    work.facts["families"] = [vars(one) for one in found]
    work.facts["weak"] = [one.name for one in weak]
    if weak:
        names = ", ".join(f"{one.name} ({100 * one.score:.0f} % of {one.items})" for one in weak)
        work.say(f"The weakest families of {whose}: {names}. {len(hidden)} held-out ones were not looked at.")
    else:
        work.say(f"No family of {whose} is weak, of those that are not held out.")


def _stored(live: int | None, known: Mapping[int, Mapping[str, Any]]) -> dict[str, str]:
    """The results that the registry keeps: of base and live version, or of the base alone where nothing is live."""
    judged = [
        one["evaluation"] for number, one in sorted(known.items()) if live in (None, number) and one["evaluation"]
    ]
    names = {"base": "base_results"} if live is None else {"base": "base_results", "adapter": "adapter_results"}
    files = {name: judged[-1][key] for name, key in names.items()} if judged else {}
    return files if all(Path(file).is_file() for file in files.values()) else {}


def examples(work: Work) -> None:
    """Gets examples of the weak kinds: from the stronger model, or else from the miners."""
    plan, weak = work.plan, work.facts["weak"]
    found: list[Example] = []
    faults: Counter[Fault] = Counter()
    if plan.settings.strong.endpoint and weak:
        found, faults, down = ask_strong(plan, weak)
        whose = " It is one of our own adapters, so few of its answers may be learned." if is_own(plan) else ""
        work.say(f"{plan.settings.strong.endpoint} gave {len(found)} examples{_reasons(faults)}.{whose}")
        if down:
            work.say(f"The stronger model stopped: {down}")
    elif weak:
        work.say("No stronger model is configured.")
    if not found and weak:
        if plan.settings.miners.repositories:
            work.run(commands.mine(plan, mined_file(plan)), "mine")
        found = from_miners(plan, weak)
        work.say(f"The miners have {len(found)} examples of these kinds.")
    work.facts["faults"] = {str(fault): count for fault, count in faults.items()}
    write_text(work.place.folder / CANDIDATES, msgspec.json.encode(found).decode())
    if not found:
        _need_material(work, "no example came in" if weak else "no family is weak")


def curate_examples(work: Work) -> None:
    """Keeps what the rules let pass."""
    found = msgspec.json.decode((work.place.folder / CANDIDATES).read_bytes(), type=list[Example])
    kept, refused = curate(found, work.plan, *before(work.plan)) if found else ([], Counter())
    plain, chats = as_lines(kept, work.place.folder.name)
    write_text(work.place.examples, plain)
    write_text(work.place.chats, chats)
    by_family = Counter(example.family for example in kept)
    work.facts.update(kept=len(kept), kept_by_family=dict(by_family))
    work.facts["refused"] = {str(reason): count for reason, count in refused.items()}
    work.say(f"{len(kept)} of {len(found)} examples are kept{_reasons(refused)}.")
    if not kept:
        _need_material(work, "no example passed the rules")


def _need_material(work: Work, why: str) -> None:
    """Ends the round where nothing else is new either."""
    new = new_since(work.facts["before"], work.state.seen)
    if not new:
        sentence = f"{NOTHING}: {why}, and nothing new was captured, mined, decided or recorded."
        raise Ended("nothing", [*work.said, sentence])
    work.say(f"New since the round before: {told(new)}.")


def _reasons(counted: Counter[Any]) -> str:
    parts = ", ".join(f"{count} {reason}" for reason, count in sorted(counted.items()))
    return f" (left out: {parts})" if parts else ""
