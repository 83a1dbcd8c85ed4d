"""Tasks of the roles that serve the whole town: mayor, deacon, boot and dog."""

from data.sample.tasks import IDLE, Task, command, words_only

MAYOR: tuple[Task, ...] = (
    command(
        "mayor",
        "dispatch",
        (
            "Bead {id} is ready. Give it to {rig}.",
            "Please dispatch {id} to {rig}.",
            "{rig} has a free polecat. Sling {id} there.",
        ),
        "gt sling {id} {rig}",
        "Slinging {id} to {rig}\n  {title}\nPolecat {name} took it\nHook set: {rig}/polecats/{name}",
        "Done: {id} is with {rig}.",
    ),
    command(
        "mayor",
        "file",
        (
            "File a bug for {rig}: {problem}. Priority {p}.",
            "{problem} in {rig}. Open a bead, priority {p}.",
            "Record this as a priority {p} bug of {rig}: {problem}.",
        ),
        'bd create "{problem}" --rig {rig} -t bug -p {p}',
        "Created {fresh_id}: {problem}\nType: bug   Priority: P{p}   Status: open",
        "Filed as {fresh_id}, priority {p}.",
    ),
    command(
        "mayor",
        "convoy",
        ("How does convoy {id} stand?", "Status of convoy {id}?", "Is convoy {id} done yet?"),
        "gt convoy status {id}",
        "Convoy {id}: {title}\n  3 of 4 beads closed\n  open: {fresh_id} ({rig}/polecats/{name})",
        "Convoy {id}: 3 of 4 closed, {fresh_id} is open.",
    ),
    command(
        "mayor",
        "escalate",
        (
            "{rig}/{name} is blocked on {id}, severity {sev}. Escalate it.",
            "Escalate {id}: {rig}/{name} cannot go on. Severity {sev}.",
            "{sev} escalation for {id}, raised by {rig}/{name}.",
        ),
        'gt escalate -s {sev} "{rig}/{name} is blocked on {id}"',
        "Escalation {fresh_id} opened\n  severity: {sev}\n  sent to: overseer",
        "Escalated {id} with severity {sev}.",
    ),
    words_only(
        "mayor",
        "quiet",
        (
            "Inbox empty, no convoy open, nothing to decide.",
            "No mail, no open convoy, no decision waiting.",
            "All quiet in town: the inbox is empty and every convoy is closed.",
        ),
        IDLE,
    ),
)
DEACON: tuple[Task, ...] = (
    command(
        "deacon",
        "heartbeat",
        ("Patrol cycle {cycle} begins.", "Cycle {cycle}: beat.", "Start patrol cycle {cycle}."),
        'gt deacon heartbeat "cycle {cycle}"',
        "Heartbeat written: cycle {cycle}",
        "Cycle {cycle} has its heartbeat.",
    ),
    command(
        "deacon",
        "nudge",
        (
            "The witness of {rig} has been silent for {n} minutes.",
            "No word from {rig}/witness in {n} minutes.",
            "{rig}/witness does not answer, {n} minutes now.",
        ),
        'gt nudge {rig}/witness "health check after {n} minutes"',
        "Nudged {rig}/witness ({prefix}-witness)",
        "The witness of {rig} is nudged.",
    ),
    command(
        "deacon",
        "restart",
        (
            "The session of {rig}/refinery is dead.",
            "{rig}/refinery: session not running.",
            "tmux lost the {rig} refinery session.",
        ),
        "gt session restart {rig}/refinery",
        "Stopping {prefix}-refinery: not running\nStarted {prefix}-refinery",
        "The refinery of {rig} runs again.",
    ),
    command(
        "deacon",
        "dog",
        (
            "Plugin {plugin} is due and dog {name} is idle.",
            "Dog {name} is free, {plugin} waits.",
            "Send dog {name} to run {plugin}.",
        ),
        "gt dog dispatch {name} --plugin {plugin}",
        "Dog {name} works on {plugin} (hq-dog-{name})",
        "Dog {name} runs {plugin}.",
    ),
    words_only(
        "deacon",
        "quiet",
        (
            "Every agent answers, no plugin is due.",
            "Nothing stuck, nothing due in this cycle.",
            "All sessions are alive and the inbox is empty.",
        ),
        IDLE,
    ),
)
BOOT: tuple[Task, ...] = (
    command(
        "boot",
        "triage",
        ("Run `gt boot triage` now.", "Is the deacon alive? Triage.", "Wake up and triage the deacon."),
        "gt boot triage",
        "Deacon: alive, last heartbeat {n}s ago\nAction: NOTHING",
        "Triage complete: the deacon is alive, nothing to do.",
    ),
)
DOG: tuple[Task, ...] = (
    command(
        "dog",
        "plugin",
        ("Run plugin {plugin}.", "Plugin {plugin} is yours.", "Your task: plugin {plugin}."),
        "gt plugin run {plugin}",
        "Plugin {plugin}: {count} items handled, 0 errors",
        "Plugin {plugin} is done: {count} items.",
    ),
    command(
        "dog",
        "close",
        (
            "Close {id}, the work is done.",
            "{id} is finished. Close it.",
            "The work of {id} is done, close it.",
        ),
        'bd close {id} --reason "done"',
        "Closed {id}: {title}",
        "{id} is closed.",
    ),
)
