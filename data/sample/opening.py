"""How a session begins: hooks, titles of other sessions, GAS TOWN beacons, and `gt prime` with what it prints.

The forms of the beacons and of prime's header are Gas Town's; what prime says about a role is invented here.
"""

from data.sample.dialogue import answer, call_tool, conclude, draw, write_hook
from data.sample.ids import draw_uuid
from data.sample.people import DEVELOPER, TOWN
from data.sample.tasks import Scene, command, fill
from data.sample.transcript import Transcript
from data.sample.words import bead_id, bead_title

CHECK_HOOK = (
    "Check your hook and mail, then act on the hook if present:\n1. `gt hook`\n2. `gt mail inbox`\n"
    "3. If something is hooked → do it now\n4. If nothing hooked → wait for instructions"
)
PATROL = "Run `gt prime --hook` and begin patrol."
ASSIGNED = "Run `gt prime --hook` and begin work on your hook."
DEACON_START = "I am Deacon. Start patrol: run gt deacon heartbeat, then look at every agent."
BEACONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "mayor": (("human", "cold-start", CHECK_HOOK), ("self", "handoff", CHECK_HOOK)),
    "deacon": (("daemon", "patrol", DEACON_START), ("daemon", "lifecycle-restart", CHECK_HOOK)),
    "boot": (("daemon", "triage", "Run `gt boot triage` now."),),
    "dog": (("deacon", "assigned", ASSIGNED),),
    "witness": (("deacon", "patrol", PATROL), ("self", "handoff", CHECK_HOOK)),
    "refinery": (("deacon", "patrol", PATROL), ("self", "handoff", CHECK_HOOK)),
    "polecat": (("witness", "assigned", ASSIGNED),),
    "crew": (("human", "start", CHECK_HOOK), ("human", "refresh", CHECK_HOOK)),
}
PRIME = command("any", "prime", ("", "", ""), "gt prime --hook", "{prime}", "I know my place. Ready.")
HOOK = command("any", "hook", ("", "", ""), "gt hook", "Nothing on hook", "Nothing is hooked. I wait.")
DUTIES = {
    "mayor": "You hand out work, watch convoys and decide what agents cannot decide.",
    "deacon": "You keep the heartbeat, wake silent agents and send the dogs.",
    "boot": "You look after the deacon and nobody else.",
    "dog": "You do the one errand that you were sent for.",
    "witness": "You watch the polecats of your rig and clear away what they leave.",
    "refinery": "You bring finished branches onto main, one after another.",
    "polecat": "You do the bead on your hook and leave.",
    "crew": "You work with the overseer on whatever is asked.",
}


def open_session(t: Transcript) -> None:
    """Everything before the first task: some sessions begin with a beacon, others with the first prompt."""
    if t.rng.random() < 0.3:
        title = f"Notes on {bead_title(bead_id(t.rng, 'petals'))}"
        t.add_bare("summary", summary=title, leafUuid=draw_uuid(t.rng))
    start = draw_uuid(t.rng)
    hook = write_hook(t, None, "SessionStart", "startup", start)
    t.parent = hook["uuid"]
    if t.actor.role != DEVELOPER and t.rng.random() < 0.4:
        follow_beacon(t)


def write_beacon(t: Transcript) -> str:
    """Say the beacon of the session and return what it asks for."""
    sender, topic, order = t.rng.choice(BEACONS[t.actor.role])
    if topic == "assigned":
        topic += f":{bead_id(t.rng, t.actor.rig or 'petals')}"
    when = t.clock.strftime("%Y-%m-%dT%H:%M")
    t.say(f"[GAS TOWN] {t.actor.recipient} <- {sender} • {when} • {topic}\n\n{order}")
    return order


def follow_beacon(t: Transcript) -> None:
    """The beacon and the agent's first step: prime, the hook, or boot's triage."""
    order = write_beacon(t)
    if t.actor.role == "boot":
        first_step(t, draw(t))
    elif order in (PATROL, ASSIGNED):
        first_step(t, fill(PRIME, 0, {"prime": prime_text(t)}))
    else:
        first_step(t, fill(HOOK, 0, {}))


def first_step(t: Transcript, scene: Scene) -> None:
    """The call that a beacon asks for, its result and the closing words."""
    answer(t, call_tool(t, scene), scene)
    conclude(t, scene.closing)


def prime_text(t: Transcript) -> str:
    """What `gt prime` prints for this agent: header, role, place, duties."""
    actor, pid = t.actor, t.rng.randint(1000, 60000)
    return (
        f"[session:{t.session}]\n[source:startup]\n[GAS TOWN] role:{actor.address} pid:{pid} "
        f"session:{t.session}\n\n# {actor.role.capitalize()} Context\n\n**Your role: "
        f"{actor.role.upper()}**\n{DUTIES[actor.role]}\n\nTown root: {TOWN}\nYour place: {actor.folder}\n\n"
        "## Habits\n- If something is on your hook, do it.\n- Mail first, then work.\n"
        "- Hand off before your context is full.\n"
    )
