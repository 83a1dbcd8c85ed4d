"""Rounds on thresholds, in a process of their own: looks every minute whether one is due, and makes one at a time.

What it needs to go on lies in output/loop/auto: `lock` (who runs), `state.json` (failures), `stop` (somebody wants it
to end), `auto.log`. It promotes as `iterate` does: by the gate, never without.
"""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from configs.files import write_text
from scripts.loop import material
from scripts.loop.errors import BadInput, Stopped
from scripts.loop.lock import Busy, held
from scripts.loop.plan import Asked, Plan, make_plan
from scripts.loop.round import Code, begin, close, go
from scripts.loop.settings import Settings, load_settings
from scripts.loop.state import Round, now, rounds
from scripts.loop.thresholds import pause, why_due, why_not

LOOK = 0.2  # seconds between two looks at the stop file


class Trouble(msgspec.Struct):
    """How often the round of a role failed in a row, and when it is tried again."""

    failures: int = 0
    retry_at: str = ""


class Memory(msgspec.Struct):
    """What auto knows beside the rounds themselves."""

    trouble: dict[str, Trouble] = {}
    checked_at: str = ""
    waits: dict[str, str] = {}


def place(root: Path) -> Path:
    """The folder of auto."""
    return root / "loop" / "auto"


def read_memory(root: Path) -> Memory:
    """What is remembered; nothing where there is no memory, or one that a full disk cut."""
    try:
        return msgspec.json.decode((place(root) / "state.json").read_bytes(), type=Memory)
    except (OSError, msgspec.DecodeError):
        return Memory()


class Auto:
    """The process: `run` ends when somebody wants it to. Raises `Busy` where another one runs."""

    def __init__(self, asked: Sequence[Asked], loop: Path) -> None:
        self.asked, self.loop, self.root = asked, loop, asked[0].root
        self.memory = read_memory(self.root)

    def run(self) -> None:
        folder = place(self.root)
        signal.signal(signal.SIGTERM, _stop)
        with held(folder / "lock", "auto"):
            (folder / "stop").unlink(missing_ok=True)
            _say(f"auto begins, for {', '.join(one.role for one in self.asked)}")
            try:
                while self.wanted():
                    self._check_all()
                    self._wait(self._settings().auto.check_seconds)
            except Stopped:
                _say("auto was ended in the middle of a step; the round goes on another time")
                return
            _say("auto ends, as it was asked to")

    def wanted(self) -> bool:
        """Whether nobody has asked it to end."""
        return not (place(self.root) / "stop").exists()

    def _check_all(self) -> None:
        for asked in self.asked:
            if self.wanted():
                self._check(asked)
        self.memory.checked_at = now()
        self._remember()

    def _check(self, asked: Asked) -> None:
        """Makes a round of a role if one is due. What goes wrong is logged, and tried again later."""
        trouble = self.memory.trouble.setdefault(asked.role, Trouble())
        try:
            plan = make_plan(asked, self._settings())
            why = self._why(plan, trouble)
            if why is None:
                return
            _say(f"{asked.role}: {why}")
            self.memory.waits[asked.role] = f"a round runs: {why}"
            self._remember()
            with held(self.root / "loop" / "lock", f"a round of {asked.role}"):
                code = self._round(plan)
        except Busy as busy:
            self.memory.waits[asked.role] = str(busy)
        except BadInput as problem:
            self._failed(asked.role, trouble, str(problem))
        except Exception:
            self._failed(asked.role, trouble, traceback.format_exc())
        else:
            if code == Code.FAILED:
                self._failed(asked.role, trouble, "the round failed")
                self._give_up(plan, trouble)
            elif code != Code.STOPPED:
                self.memory.trouble[asked.role] = Trouble()
        self._remember()

    def _why(self, plan: Plan, trouble: Trouble) -> str | None:
        """Why a round is due; notes what it waits for otherwise."""
        at = datetime.now(UTC)
        if trouble.retry_at and at < datetime.fromisoformat(trouble.retry_at):
            self.memory.waits[plan.role] = f"{trouble.failures} failures in a row; again at {trouble.retry_at}"
            return None
        last, new = newest(plan)
        why = why_due(last, new, plan.settings.auto, at, bool(plan.settings.strong.endpoint))
        if why is None:
            self.memory.waits[plan.role] = f"waits for {why_not(last, new, plan.settings.auto, at)}"
        return why

    def _round(self, plan: Plan) -> Code:
        last, _ = newest(plan)
        if last is not None and not last.outcome and last.asked != plan.asked.words():
            close(plan, last, "Auto was started with other options.")
        return go(plan, begin(plan), self.wanted)

    def _failed(self, role: str, trouble: Trouble, why: str) -> None:
        trouble.failures += 1
        wait = pause(trouble.failures, self._check_seconds())
        trouble.retry_at = (datetime.now(UTC) + timedelta(seconds=wait)).isoformat(timespec="seconds")
        self.memory.waits[role] = f"failed {trouble.failures} times in a row; again at {trouble.retry_at}"
        _say(f"{role}: {why}\n{role}: {self.memory.waits[role]}")

    def _give_up(self, plan: Plan, trouble: Trouble) -> None:
        last, _ = newest(plan)
        if trouble.failures >= plan.settings.auto.give_up_after and last is not None and not last.outcome:
            close(plan, last, f"It failed {trouble.failures} times.")
            _say(f"{plan.role}: round {last.name} was given up")
            self.memory.trouble[plan.role] = Trouble()

    def _settings(self) -> Settings:
        return load_settings(self.loop)

    def _check_seconds(self) -> float:
        try:
            return self._settings().auto.check_seconds
        except BadInput:
            return 60.0

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self.wanted() and time.monotonic() < until:
            time.sleep(LOOK)

    def _remember(self) -> None:
        write_text(place(self.root) / "state.json", msgspec.json.encode(self.memory).decode())


def newest(plan: Plan) -> tuple[Round | None, dict[str, int]]:
    """The newest round of a role, and what has come in since the newest one that ended."""
    known = rounds(plan.root, plan.role)
    done = [state for state in known if state.outcome]
    before = done[-1].seen if done else material.before_first(plan)
    return (known[-1] if known else None), material.new_since(before, material.totals(plan))


def _stop(*_: Any) -> None:
    raise Stopped


def _say(sentence: str) -> None:
    print(f"{now()} {sentence}", flush=True)
