"""The town's task table against the agreed phrasings and calls, which stand here a second time on purpose."""

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.sample.book import BOOK, draw_scene
from data.sample.tasks import fill
from data.sample.words import HIGHEST_ID, LOWEST_ID, draw_values

SLOTS = {
    "id": r"(?P<id>(?:pe|ha|la|or|qu)-\d{2,3})",
    "rig": r"(?P<rig>petals|harbor|lantern|orchard|quarry)",
    "name": r"(?P<name>rust|chrome|nitro|ember|flint|sable|topaz|willow)",
    "sev": r"(?P<sev>low|medium|high|critical)",
    "p": r"(?P<p>[0-4])",
    "n": r"(?P<n>\d+)",
    "plugin": r"(?P<plugin>compact|backup|reaper|rebuild)",
    "sha": r"(?P<sha>[0-9a-f]{7})",
    "problem": r"(?P<problem>[a-z ]+)",
    "path": r"(?P<path>[a-z/]+\.(?:py|md))",
    "old": r"(?P<old>[a-z_]+)",
    "new": r"(?P<new>[a-z_]+)",
    "symbol": r"(?P<symbol>[a-z_]+)",
    "module": r"(?P<module>[a-z]+)",
}
BRANCH = "polecat/{name}/{id}"
READ = (
    ("Read {path} first.", "Look at {path}.", "What does {path} say?"),
    ("Read", {"file_path": "{path}"}),
)


def bash(line: str) -> tuple[str, dict[str, str]]:
    return "Bash", {"command": line}


AGREED = {
    ("mayor", "dispatch"): (
        ("Bead {id} is ready. Give it to {rig}.", "Please dispatch {id} to {rig}.",
         "{rig} has a free polecat. Sling {id} there."),
        bash("gt sling {id} {rig}"),
    ),
    ("mayor", "file"): (
        ("File a bug for {rig}: {problem}. Priority {p}.", "{problem} in {rig}. Open a bead, priority {p}.",
         "Record this as a priority {p} bug of {rig}: {problem}."),
        bash('bd create "{problem}" --rig {rig} -t bug -p {p}'),
    ),
    ("mayor", "convoy"): (
        ("How does convoy {id} stand?", "Status of convoy {id}?", "Is convoy {id} done yet?"),
        bash("gt convoy status {id}"),
    ),
    ("mayor", "escalate"): (
        ("{rig}/{name} is blocked on {id}, severity {sev}. Escalate it.",
         "Escalate {id}: {rig}/{name} cannot go on. Severity {sev}.",
         "{sev} escalation for {id}, raised by {rig}/{name}."),
        bash('gt escalate -s {sev} "{rig}/{name} is blocked on {id}"'),
    ),
    ("deacon", "heartbeat"): (
        ("Patrol cycle {n} begins.", "Cycle {n}: beat.", "Start patrol cycle {n}."),
        bash('gt deacon heartbeat "cycle {n}"'),
    ),
    ("deacon", "nudge"): (
        ("The witness of {rig} has been silent for {n} minutes.", "No word from {rig}/witness in {n} minutes.",
         "{rig}/witness does not answer, {n} minutes now."),
        bash('gt nudge {rig}/witness "health check after {n} minutes"'),
    ),
    ("deacon", "restart"): (
        ("The session of {rig}/refinery is dead.", "{rig}/refinery: session not running.",
         "tmux lost the {rig} refinery session."),
        bash("gt session restart {rig}/refinery"),
    ),
    ("deacon", "dog"): (
        ("Plugin {plugin} is due and dog {name} is idle.", "Dog {name} is free, {plugin} waits.",
         "Send dog {name} to run {plugin}."),
        bash("gt dog dispatch {name} --plugin {plugin}"),
    ),
    ("witness", "status"): (
        ("Polecat {name} of {rig} has been idle for {n} minutes.", "{rig}/{name} shows no output for {n} minutes.",
         "Check on polecat {name} in {rig}."),
        bash("gt polecat status {rig}/{name}"),
    ),
    ("witness", "nuke"): (
        ("POLECAT_DONE {name} in {rig}: branch merged, tree clean.", "{rig}/{name} is finished, merged and clean.",
         "Merged: {name} of {rig}, nothing unpushed."),
        bash("gt polecat nuke {rig}/{name}"),
    ),
    ("witness", "recover"): (
        ("{rig}/{name} stopped with unpushed work on {id}.", "Polecat {name} in {rig} died, {id} is not pushed.",
         "Unpushed commits of {rig}/{name} for {id}."),
        bash('gt mail send mayor/ -s "RECOVERY_NEEDED {rig}/{name}" -m "unpushed work on {id}"'),
    ),
    ("witness", "queue"): (
        ("Patrol: look at the merge queue of {rig}.", "What waits for merging in {rig}?", "Merge queue check, {rig}."),
        bash("gt mq list {rig}"),
    ),
    ("refinery", "checkout"): (
        (f"Next in the queue: {BRANCH}.", f"MERGE_READY {BRANCH}.", f"Take branch {BRANCH}."),
        bash(f"git checkout {BRANCH}"),
    ),
    ("refinery", "merge"): (
        (f"Tests of {BRANCH} pass on top of main.", f"{BRANCH} is rebased and green.", f"Green: {BRANCH}."),
        bash(f"git merge --ff-only {BRANCH}"),
    ),
    ("refinery", "conflict"): (
        (f"Rebase of {BRANCH} onto main stopped with a conflict. Rig {{rig}}.", f"Conflict in {BRANCH}. Rig {{rig}}.",
         f"{BRANCH} does not rebase. Rig {{rig}}."),
        bash('gt mail send {rig}/witness -s "MERGE_FAILED {id}" -m "conflict on polecat/{name}/{id}"'),
    ),
    ("refinery", "close"): (
        ("{id} is on main as {sha}.", "Pushed {sha} for {id}.", "Main now holds {id} at {sha}."),
        bash('bd close {id} --reason "merged as {sha}"'),
    ),
    ("polecat", "show"): (
        ("Your hook holds {id}.", "Assigned: {id}.", "You have {id} on your hook. Begin."),
        bash("bd show {id}"),
    ),
    ("polecat", "claim"): (
        ("{id} is clear. Start on it.", "Take {id} now.", "Begin work on {id}."),
        bash("bd update {id} --status in_progress"),
    ),
    ("polecat", "edit"): (
        ("In {path}, replace {old} by {new}.", "{path}: change {old} to {new}.", "Rename {old} to {new} in {path}."),
        ("Edit", {"file_path": "{path}", "old_string": "{old}", "new_string": "{new}"}),
    ),
    ("polecat", "read"): READ,
    ("polecat", "done"): (
        ("{id} is committed and pushed.", "All checks pass and {id} is pushed.",
         "Work on {id} is complete, branch pushed."),
        bash("gt done --issue {id}"),
    ),
    ("crew", "grep"): (
        ("Where is {symbol} defined?", "Find {symbol} in the code.", "Who uses {symbol}?"),
        ("Grep", {"pattern": "{symbol}", "path": "src"}),
    ),
    ("crew", "test"): (
        ("Run the tests of {module}.", "Does {module} still pass?", "Check {module} with pytest."),
        bash("pytest tests/test_{module}.py -q"),
    ),
    ("crew", "branch"): (
        ("Start a branch for {id}: {module}.", "New branch {module} for {id}, please.",
         "Branch off for {id} ({module})."),
        bash("git switch -c {module}-{id}"),
    ),
    ("crew", "read"): READ,
    ("dog", "plugin"): (("Run plugin {plugin}.",), bash("gt plugin run {plugin}")),
    ("dog", "close"): (("Close {id}, the work is done.",), bash('bd close {id} --reason "done"')),
    ("boot", "triage"): (("Run `gt boot triage` now.",), bash("gt boot triage")),
}  # fmt: skip
SPEECH = {
    "mayor": "Nothing to do. I wait for the next mail.",
    "crew": "You are welcome. Nothing is left open.",
}
TASKS = [task for role, tasks in BOOK.items() if role != "developer" for task in tasks]


def matcher(phrasing: str) -> re.Pattern[str]:
    """The phrasing as a pattern with a named group for each slot."""
    pattern = re.escape(phrasing).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(re.sub(r"\{(\w+)\}", lambda slot: SLOTS[slot.group(1)], pattern))


def read_prompt(role: str, prompt: str) -> list[tuple[str, tuple[str, dict[str, str]]]]:
    """Every intent of the role that the prompt can be read as, with the call that was agreed for it."""
    found = []
    for (owner, intent), (phrasings, (tool, arguments)) in AGREED.items():
        for phrasing in phrasings if owner == role else ():
            if match := matcher(phrasing).fullmatch(prompt):
                call = {key: text.format_map(match.groupdict()) for key, text in arguments.items()}
                found.append((intent, (tool, call)))
    return found


@pytest.mark.parametrize("task", TASKS, ids=lambda task: f"{task.role}-{task.intent}")
@given(seed=st.integers(0, 2**32))
def test_a_prompt_can_be_read_in_one_way_and_leads_to_the_agreed_call(task, seed):
    rng = Random(seed)
    scene = draw_scene(rng, task, None, None)
    if task.tool is None:
        assert read_prompt(task.role, scene.prompt) == []
    elif task.role not in ("dog", "boot") or scene.prompt == task.phrasings[0].format_map(scene.values):
        assert read_prompt(task.role, scene.prompt) == [(task.intent, (scene.tool, dict(scene.arguments)))]


@given(seed=st.integers(0, 2**32))
def test_ids_and_cycles_stay_out_of_the_scenarios_range(seed):
    values = draw_values(Random(seed))
    numbers = [int(values[key].split("-")[-1]) for key in ("id", "fresh_id", "cycle")]
    assert all(LOWEST_ID == 10 <= number <= HIGHEST_ID == 799 for number in numbers)


def test_every_agreed_intent_is_in_the_book_with_its_phrasings():
    for (role, intent), (phrasings, _) in AGREED.items():
        task = next(task for task in BOOK[role] if task.intent == intent)
        known = tuple(phrasing.replace("{cycle}", "{n}") for phrasing in task.phrasings)
        assert known[: len(phrasings)] == phrasings


@pytest.mark.parametrize("role", ["mayor", "deacon", "witness", "refinery", "polecat", "crew"])
def test_a_plan_role_has_its_agreed_intents_and_at_most_one_without_a_call(role):
    spoken = [task for task in BOOK[role] if task.tool is None]
    called = {task.intent for task in BOOK[role] if task.tool}
    assert called == {intent for owner, intent in AGREED if owner == role}
    assert [task.closing for task in spoken] == ([] if role == "polecat" else [SPEECH.get(role, SPEECH["mayor"])])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: f"{task.role}-{task.intent}")
def test_a_scene_leaves_no_slot_open(task):
    values = draw_values(Random(1))
    for phrasing in range(3):
        scene = fill(task, phrasing, values)
        texts = [scene.prompt, scene.closing, scene.output, *scene.arguments.values()]
        assert not any(re.search(r"[{}]", text) for text in texts)


def test_a_sling_prints_what_was_slung():
    task = next(task for task in BOOK["mayor"] if task.intent == "dispatch")
    scene = draw_scene(Random(3), task, "petals", None)
    assert scene.values["id"] in scene.output and "petals" in scene.output
    assert scene.closing == f"Done: {scene.values['id']} is with petals."
