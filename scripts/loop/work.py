"""What a step of a round has in its hands: the plan, the round's folder and state, and a way to run commands."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from scripts.loop.commands import Place, Words, evaluate, versions
from scripts.loop.errors import Failed
from scripts.loop.plan import Plan
from scripts.loop.process import last_text, run
from scripts.loop.state import Command, Round


@dataclass
class Work:
    """A step under way. What it says and runs is collected for the state."""

    plan: Plan
    place: Place
    state: Round
    said: list[str] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)

    @property
    def facts(self) -> dict[str, Any]:
        """What later steps need to know."""
        return self.state.facts

    def say(self, sentence: str) -> None:
        """A sentence for the page."""
        self.said.append(sentence)

    def run(self, words: Words, log: str, good: Sequence[int] = (0,)) -> int:
        """Runs a command; its exit code. Raises `Failed` for one that is not good."""
        # A round never talks to the Hub's telemetry, and one thread is what small models are fastest with.
        done = run(words, self.place.folder, f"logs/{log}.log", {"AXOLOTL_DO_NOT_TRACK": "1"})
        self.commands.append(done)
        if done.code not in good:
            name = " ".join(words[1:3]) if words[1] == "-m" else words[0]
            told = last_text(self.place.folder / done.log)
            raise Failed(f"{name} ended with exit code {done.code}: {told} The log is {self.place.folder / done.log}.")
        return done.code

    def answer(self, words: Words, log: str) -> Any:
        """Runs a command that prints one JSON value; the value. Raises `Failed`."""
        before = (self.place.folder / f"logs/{log}.log").stat().st_size if self._has(log) else 0
        self.run(words, log)
        with (self.place.folder / f"logs/{log}.log").open("rb") as stream:
            stream.seek(before)
            _, _, told = stream.read().decode("utf-8", "replace").partition("\n")
        for start in re.finditer(r"^[{\[]", told, re.MULTILINE):  # a warning may stand before it
            with suppress(ValueError):
                return json.JSONDecoder().raw_decode(told[start.start() :])[0]
        raise Failed(f"{' '.join(words[1:4])} printed no JSON. See {self.place.folder / 'logs' / log}.log.")

    def evaluate(self, model: str, who: str) -> None:
        """Asks a model, if this round has not yet: `base`, or the folder of an adapter."""
        results = self.place.results(who)
        if not results.is_file():
            results.parent.mkdir(parents=True, exist_ok=True)
            self.run(evaluate(self.plan, self.place, model, who), f"evaluate-{who}")

    def _has(self, log: str) -> bool:
        return (self.place.folder / f"logs/{log}.log").is_file()

    def registered(self) -> tuple[int | None, dict[int, dict[str, Any]]]:
        """The live version of the role, and all its versions by number."""
        found = self.answer(versions(self.plan), "registry")
        live = next((role["live"] for role in found["roles"] if role["role"] == self.plan.role), None)
        return live, {one["number"]: one for one in found["versions"]}
