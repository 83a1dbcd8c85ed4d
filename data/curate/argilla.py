"""Examples as records of Argilla 2.x, and its responses as decisions: JSON lines of what `Record.to_dict` gives.

Fields: `conversation` (a chat). Questions: `decision` (a label), `change` (text: the JSON of texts and last) and `why`
(text). What a record does not say in Argilla's words stands in its metadata. docs/curation.md has the settings.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from data.curate.apply import Report, lines_of
from data.curate.change import Change, Refused, change_from, settle
from data.curate.similar import whole
from data.curate.store import Store
from data.curate.values import Act, Conflict, Example, state_of
from data.validate.rows import DatasetError

ROLES = {"system": "system", "human": "user", "gpt": "assistant"}
DECISIONS: dict[str, Act] = {"approve": "approve", "reject": "reject", "edit": "edit", "trim": "trim"}
# Argilla knows people by UUIDs of its own; the same name always gets the same one here.
PEOPLE = uuid.uuid5(uuid.NAMESPACE_URL, "lora-forge/curator")


def export(store: Store, path: Path) -> Report:
    """Write all examples, the decided ones with their responses. Raises OSError, and the file is as before then."""
    keys = [row["key"] for row in store.database.execute("SELECT key FROM examples ORDER BY place").fetchall()]
    done: Counter[str] = Counter()
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".being-written-{path.name}")
    try:
        with hidden.open("w", encoding="utf-8") as file:
            for record in (record_of(store.example(key)) for key in keys):
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                done.update(["record", "with a decision"] if record["responses"] else ["record"])
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)
    return Report(str(path), dict(done))


def record_of(example: Example) -> dict[str, Any]:
    """The record of an example, with the keys that `rg.Record.from_dict` reads."""
    entry, current = example.entry, example.current
    answers: dict[str, str] = {}
    if current:
        # An edit that led back to the original approves it.
        answers["decision"] = "approve" if state_of(current) == "approved" else current.action
        if current.change:
            answers["change"] = json.dumps(msgspec.to_builtins(current.change, str_keys=True), ensure_ascii=False)
        if current.why:
            answers["why"] = current.why
    author = str(uuid.uuid5(PEOPLE, current.author)) if current else ""
    chat = [{"role": ROLES[turn.speaker], "content": whole(turn)} for turn in example.turns]
    about = {"role": entry.role, "split": entry.split, "source": entry.source, "row": entry.id}
    numbers = {"tokens": entry.tokens, "trained_tokens": entry.trained, "quality": entry.quality}
    people = {"author": current.author, "decided_at": current.decided_at} if current else {}
    return {
        "id": entry.key,
        "fields": {"conversation": chat},
        "metadata": about | numbers | people,
        "suggestions": {},
        "responses": {name: [{"value": value, "user_id": author}] for name, value in answers.items()},
        "vectors": {},
        "status": "completed" if current else "pending",
        "_server_id": None,
    }


def import_file(store: Store, path: Path, author: str) -> Report:
    """Take the responses of records, JSON lines or the JSON list of `to_json`. Raises DatasetError, OSError."""
    done: Counter[str] = Counter()
    problems = []
    for where, record in _records(path):
        try:
            done[_take(store, record, author)] += 1
        except Refused as problem:
            problems.append(f"{where}: {problem}")
    return Report(str(path), dict(done), tuple(problems))


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    first = next((line for _, line in lines_of(path)), b"")
    try:
        if first.lstrip().startswith(b"["):
            yield from ((f"{path}, record {n}", record) for n, record in enumerate(json.loads(path.read_bytes()), 1))
            return
        for number, line in lines_of(path):
            yield f"{path}:{number}", json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not JSON ({error}). Export it from Argilla again.") from None


def _take(store: Store, record: Any, author: str) -> str:
    """Take what a record was answered, and say what it was. Raises Refused."""
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        raise Refused("It is no record with an id. Export it from Argilla again.")
    responses = record.get("responses") or {}
    action = _one(responses, "decision")
    if not action:
        return "without a response"
    if action not in DECISIONS:
        raise Refused(f"{action!r} is no decision. Known: approve, reject, edit, trim.")
    example = store.example(record["id"])
    change, why = settle(example.turns, _change(_one(responses, "change"))), _one(responses, "why")
    if action in ("edit", "trim") and not change:
        raise Refused(f"The {action} says no change. Answer the question change, or choose another decision.")
    current = example.current
    if current and (current.action, current.change, current.why) == (action, change, why):
        return "unchanged"
    try:
        store.decide(example.entry.key, DECISIONS[action], change, author=_who(record, author), why=why, whole=True)
    except Conflict as conflict:
        raise Refused(str(conflict)) from None
    return str(action)


def _who(record: dict[str, Any], author: str) -> str:
    """Who answered: by name where the record was exported with it, else by Argilla's id of them."""
    user = next((str(one.get("user_id")) for one in record["responses"]["decision"] if isinstance(one, dict)), "")
    known = (record.get("metadata") or {}).get("author")
    if isinstance(known, str) and user in ("", str(uuid.uuid5(PEOPLE, known))):
        return known
    return f"argilla/{user}" if user not in ("", "None") else author


def _change(text: str) -> Change:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        raise Refused('The change is no JSON. Write {"texts": {"1": "..."}} or {"last": 4}.') from None
    return change_from(value if isinstance(value, dict) else {})


def _one(responses: Any, question: str) -> str:
    """The answer to a question. Raises Refused where people answered it differently."""
    answers = responses.get(question) if isinstance(responses, dict) else None
    values = {str(one["value"]) for one in answers or () if isinstance(one, dict) and one.get("value") is not None}
    if len(values) > 1:
        raise Refused(f"{question} was answered differently by several people. Settle it in Argilla first.")
    return next(iter(values), "")
