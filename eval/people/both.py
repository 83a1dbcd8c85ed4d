"""Asks both sides at the same time, so that neither waits for the other and the clock is the same for both."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eval.people.ask import ask
from eval.people.endpoint import TIMEOUT_SECONDS, Answer, Endpoint, Failed, Messages, Side

Outcome = Answer | Failed


@dataclass(frozen=True)
class Asked:
    """What became of one prompt on both sides."""

    local: Outcome
    strong: Outcome

    def of(self, side: Side) -> Outcome:
        return self.local if side is Side.LOCAL else self.strong

    @property
    def failures(self) -> list[Failed]:
        return [outcome for outcome in (self.local, self.strong) if isinstance(outcome, Failed)]


def ask_both(
    local: Endpoint,
    strong: Endpoint,
    messages: Messages,
    options: Mapping[str, Any] | None = None,
    timeout: float = TIMEOUT_SECONDS,
    on_text: Callable[[Side, str], None] = lambda side, text: None,
    on_end: Callable[[Side, Outcome], None] = lambda side, outcome: None,
) -> Asked:
    """Both outcomes; a side that fails takes nothing from the other. The callbacks come from threads of their own."""
    found: dict[Side, Outcome | BaseException] = {}

    def run(endpoint: Endpoint) -> None:
        side = endpoint.side
        try:
            found[side] = ask(endpoint, messages, options, timeout, lambda text: on_text(side, text))
        except Failed as failure:
            found[side] = failure
        except BaseException as bug:  # a bug of ours is raised where somebody sees it
            found[side] = bug
            return
        on_end(side, found[side])  # type: ignore[arg-type]

    # Daemons: Ctrl-C ends the command, whatever an endpoint still does.
    threads = [threading.Thread(target=run, args=(endpoint,), daemon=True) for endpoint in (local, strong)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Asked(_outcome(found[Side.LOCAL]), _outcome(found[Side.STRONG]))


def _outcome(found: Outcome | BaseException) -> Outcome:
    if isinstance(found, Answer | Failed):
        return found
    raise found
