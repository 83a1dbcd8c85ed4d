"""Where examples come from: the stronger model, or what the miners found.

Both give candidates; `curate` decides.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from heapq import nlargest
from pathlib import Path
from typing import Any

from configs.strict_yaml import load_mapping
from scripts.loop.generate import Example, Fault, collect, parse, request
from scripts.loop.kinds import Pair, nearness, of_kind, pairs_of, terms_of, tools_in
from scripts.loop.material import log_folders
from scripts.loop.plan import Plan, mined_file
from scripts.loop.results import questions_of
from scripts.loop.seen import Evaluation
from scripts.loop.strong import Down, ask

OUR_MODEL = re.compile(r"[a-z][a-z0-9_-]*@v?\d+")


def ask_strong(plan: Plan, families: Sequence[str]) -> tuple[list[Example], Counter[Fault], str]:
    """Examples of these kinds, what was wrong with others, and why the model stopped answering, if it did."""
    strong, wanted = plan.settings.strong, plan.settings.examples.each
    found: list[Example] = []
    faults: Counter[Fault] = Counter()
    rows = plan.datasets / f"{plan.role}_train.jsonl"
    tools = tools_in(pairs_of(rows))
    evaluation, own = Evaluation(plan), is_own(plan)
    for family in families:
        shown = rows_of_kind(plan, rows, family, evaluation)
        read = partial(parse, family=family, by=strong.endpoint.partition("#")[2], tools=tools, own=own)
        question = partial(request, plan.system, family, shown, tools)
        try:
            some, wrong = collect(lambda count, q=question: ask(strong, q(count)), wanted, strong.at_once, read)  # type: ignore[misc]
        except Down as down:
            return found, faults, str(down)
        found += some
        faults += wrong
    return found, faults, ""


def rows_of_kind(plan: Plan, rows: Path, family: str, evaluation: Evaluation) -> list[Pair]:
    """Training rows of a kind; one that evaluation asks too is not shown."""
    safe = (
        pair
        for pair in pairs_of(rows)
        if not evaluation.shares_words(pair.question, pair.answer) and not evaluation.asks(pair.question)
    )
    return of_kind(safe, terms_of(family, questions_of(plan)))


def is_own(plan: Plan) -> bool:
    """Whether the endpoint is one of our own adapters: a version by name, or whatever our gateway serves."""
    url, _, model = plan.settings.strong.endpoint.partition("#")
    gateway = plan.settings.gateway
    return bool(OUR_MODEL.fullmatch(model)) or bool(gateway and url.startswith(f"{gateway.rstrip('/')}/"))


def from_miners(plan: Plan, families: Sequence[str]) -> list[Example]:
    """The mined examples nearest to each family, as many as a family may have; none is taken twice."""
    file = mined_file(plan)
    if not file.is_file() or file.resolve() in sources_of(load_mapping(plan.config), "qna"):
        return []  # a source of the role's own config is in every build
    questions, taken = questions_of(plan), set[str]()
    found: list[Example] = []
    for family in families:
        terms = terms_of(family, questions)
        scored = ((nearness(f"{one.input} {one.output}", terms), one.input, one) for one in _mined(file, family))
        fresh = (item for item in scored if item[0] > 0 and item[1] not in taken)
        best = nlargest(plan.settings.examples.each, fresh, key=lambda item: item[:2])
        taken.update(name for _, name, _ in best)
        found += [one for *_, one in best]
    return found


def _mined(file: Path, family: str) -> Iterator[Example]:
    for record in _records(file):
        asked, answer = record.get("input"), record.get("output")
        if isinstance(asked, str) and isinstance(answer, str) and asked.strip() and answer.strip():
            yield Example(asked.strip(), answer.strip(), family, "mined")


def copy_logs(plan: Plan, target: Path, config: dict[str, Any]) -> int:
    """Captures and comparisons of the role in one file, so that a round keeps what it learned; how many lines.

    What the config reads as a source of its own is not copied.
    """
    own = sources_of(config, "pairs")
    count = 0
    with target.open("w", encoding="utf-8") as out:
        for folder in log_folders(plan).values():
            if folder.resolve() in own:
                continue
            for file in sorted(folder.rglob("*.jsonl")):
                for record in _records(file):
                    if record.get("role", plan.role) == plan.role:
                        out.write(json.dumps(record, ensure_ascii=False) + "\n")
                        count += 1
    return count


def sources_of(config: Mapping[str, Any], kind: str) -> set[Path]:
    """The paths of a config's own sources of a kind."""
    return {
        Path(source["path"]).expanduser().resolve()
        for source in config.get("sources") or ()
        if source.get("kind") == kind
    }


def _records(file: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of lines; what is none is left to whoever wrote it."""
    with file.open("rb") as lines:
        for line in lines:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                yield record
