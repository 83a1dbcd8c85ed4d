"""Tasks of the two roles that keep a rig running: witness and refinery."""

from data.sample.tasks import IDLE, Task, command, words_only

WITNESS: tuple[Task, ...] = (
    command(
        "witness",
        "status",
        (
            "Polecat {name} of {rig} has been idle for {n} minutes.",
            "{rig}/{name} shows no output for {n} minutes.",
            "Check on polecat {name} in {rig}.",
        ),
        "gt polecat status {rig}/{name}",
        "{rig}/{name}\n  session: running ({prefix}-{name})\n  hook: {id}\n  last activity: {n}m ago",
        "{rig}/{name} is alive and works on {id}.",
    ),
    command(
        "witness",
        "nuke",
        (
            "POLECAT_DONE {name} in {rig}: branch merged, tree clean.",
            "{rig}/{name} is finished, merged and clean.",
            "Merged: {name} of {rig}, nothing unpushed.",
        ),
        "gt polecat nuke {rig}/{name}",
        "Nuking {rig}/{name}\n  session stopped\n  worktree removed\n  branch polecat/{name} deleted",
        "{rig}/{name} is gone, its slot is free.",
    ),
    command(
        "witness",
        "recover",
        (
            "{rig}/{name} stopped with unpushed work on {id}.",
            "Polecat {name} in {rig} died, {id} is not pushed.",
            "Unpushed commits of {rig}/{name} for {id}.",
        ),
        'gt mail send mayor/ -s "RECOVERY_NEEDED {rig}/{name}" -m "unpushed work on {id}"',
        "Message sent to mayor/\n  Subject: RECOVERY_NEEDED {rig}/{name}",
        "The mayor knows about {rig}/{name} and {id}.",
    ),
    command(
        "witness",
        "queue",
        (
            "Patrol: look at the merge queue of {rig}.",
            "What waits for merging in {rig}?",
            "Merge queue check, {rig}.",
        ),
        "gt mq list {rig}",
        "ID      BRANCH                STATUS\n{id}  polecat/{name}/{id}  ready",
        "One branch waits in {rig}: {id}.",
    ),
    words_only(
        "witness",
        "quiet",
        (
            "No polecat is running, the queue is empty.",
            "Every polecat works, no mail came.",
            "Patrol found nothing: no mail, no idle polecat.",
        ),
        IDLE,
    ),
)
REFINERY: tuple[Task, ...] = (
    command(
        "refinery",
        "checkout",
        (
            "Next in the queue: polecat/{name}/{id}.",
            "MERGE_READY polecat/{name}/{id}.",
            "Take branch polecat/{name}/{id}.",
        ),
        "git checkout polecat/{name}/{id}",
        "branch 'polecat/{name}/{id}' set up to track 'origin/polecat/{name}/{id}'.\n"
        "Switched to a new branch 'polecat/{name}/{id}'",
        "polecat/{name}/{id} is checked out.",
    ),
    command(
        "refinery",
        "merge",
        (
            "Tests of polecat/{name}/{id} pass on top of main.",
            "polecat/{name}/{id} is rebased and green.",
            "Green: polecat/{name}/{id}.",
        ),
        "git merge --ff-only polecat/{name}/{id}",
        "Updating {sha}..HEAD\nFast-forward\n {path} | {count} +++--\n 1 file changed",
        "{id} is merged into main.",
    ),
    command(
        "refinery",
        "conflict",
        (
            "Rebase of polecat/{name}/{id} onto main stopped with a conflict. Rig {rig}.",
            "Conflict in polecat/{name}/{id}. Rig {rig}.",
            "polecat/{name}/{id} does not rebase. Rig {rig}.",
        ),
        'gt mail send {rig}/witness -s "MERGE_FAILED {id}" -m "conflict on polecat/{name}/{id}"',
        "Message sent to {rig}/witness\n  Subject: MERGE_FAILED {id}",
        "The witness of {rig} knows about the conflict of {id}.",
    ),
    command(
        "refinery",
        "close",
        ("{id} is on main as {sha}.", "Pushed {sha} for {id}.", "Main now holds {id} at {sha}."),
        'bd close {id} --reason "merged as {sha}"',
        "Closed {id}: {title}\nReason: merged as {sha}",
        "{id} is closed, merged as {sha}.",
    ),
    words_only(
        "refinery",
        "quiet",
        (
            "The merge queue is empty.",
            "No branch waits, main is green.",
            "Nothing to merge and no mail.",
        ),
        IDLE,
    ),
)
