"""Sessions in which next to nothing happens: idle patrols, waits, a handoff without work.

Half of what real witnesses and refineries say is like this. The commands and what they print are Gas Town's. These
sessions come on top of the others and draw for themselves, so that the others stay as they are.
"""

from collections.abc import Callable
from typing import Final

from data.sample.dialogue import answer, call_tool, conclude, draw
from data.sample.opening import PATROL, prime_text
from data.sample.results import shell_detail
from data.sample.transcript import Transcript
from data.sample.words import RIGS

ROUNDS: Final = 4
BANNER: Final = "═" * 44
UNSIGNED: Final = (
    "WARNING: This binary was built with 'go build' directly.\n"
    "         Use 'make build' to create a properly signed binary.\n"
)


def run(t: Transcript, line: str, output: str, text: str = "") -> None:
    """One step: a shell command, after words where some are given, and what it printed."""
    reply = t.open_reply()
    if text:
        t.write_blocks(reply, {"type": "text", "text": text})
    t.result(t.call(reply, "Bash", {"command": line}), output, shell_detail(output), is_error=False)


def begin(t: Transcript, sender: str, topic: str, order: str) -> None:
    """The beacon that starts the session."""
    when = t.clock.strftime("%Y-%m-%dT%H:%M")
    t.say(f"[GAS TOWN] {t.actor.recipient} <- {sender} • {when} • {topic}\n\n{order}")


def look_around(t: Transcript, number: int) -> None:
    """One round of a patrol that finds nothing: mail, queue, polecats, and the wisp of the round."""
    rig = t.actor.rig or t.rng.choice(tuple(RIGS))
    wisp = f"{RIGS[rig]}-wisp-{t.rng.getrandbits(20):05x}"
    run(t, f"bd update {wisp} --status in_progress", f"{UNSIGNED}Updated issue: {wisp}")
    empty = f"Inbox: {t.actor.address} (0 messages, 0 unread)\n\n  (no messages)"
    run(t, "gt mail inbox 2>&1 | head -20", empty, f"{BANNER}\n  PATROL ROUND {number}\n{BANNER}")
    run(t, f"gt mq list {rig}", f"Merge queue for '{rig}':\n\n  (empty)")
    run(t, f"gt polecat list {rig}", "No polecats found.")
    run(t, f'bd close {wisp} --reason "nothing to do"', f"Closed {wisp}: inbox-check")


def wait_for_signal(t: Transcript, number: int) -> None:
    """The wait at the end of a round, which runs out."""
    bead = f"gt-{t.actor.role}"
    waited = f"Awaiting signal (timeout: 30s, idle: {number})...\nTimeout after 30s (idle cycle: {number + 1})"
    run(t, f"gt mol step await-signal --agent-bead {bead} --backoff-base 30s", waited)


def patrol_without_news(t: Transcript) -> None:
    """Rounds of a patrol in one turn. In one of them there is something to do."""
    begin(t, "deacon", "patrol", PATROL)
    run(t, "gt prime --hook 2>&1 | tail -20", prime_text(t))
    wait_for_signal(t, 0)
    busy = t.rng.randrange(1, ROUNDS)
    for number in range(1, ROUNDS + 1):
        look_around(t, number)
        if number == busy:
            scene = draw(t)
            answer(t, call_tool(t, scene), scene)
        wait_for_signal(t, number)
    conclude(t, "The patrol is over: every round is done.")


def only_waits(t: Transcript) -> None:
    """A session that is asked whether it is there, and sleeps."""
    for _ in range(2):
        t.say("[from deacon] Are you there?")
        run(t, "sleep 60", "")
        conclude(t, "I am here and wait.")


def only_a_handoff(t: Transcript) -> None:
    """A session that finds an empty hook and hands over at once."""
    begin(t, "self", "handoff", "Check your hook and mail.")
    run(t, "gt hook", "Nothing on hook - no work slung")
    run(t, 'gt handoff -s "Quiet shift" -m "The hook was empty."', f"Handing off {t.actor.address}")
    conclude(t, "I handed over.")


QUIET: Final[tuple[tuple[Callable[[Transcript], None], str], ...]] = (
    (patrol_without_news, "witness"),
    (patrol_without_news, "refinery"),
    (patrol_without_news, "deacon"),
    (only_waits, "witness"),
    (only_a_handoff, "refinery"),
    (only_a_handoff, "mayor"),
)
