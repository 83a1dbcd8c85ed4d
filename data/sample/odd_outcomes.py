"""Oddities of how work goes: attempts that fail and are repaired, words that correct, tests that turn green."""

from data.sample.dialogue import ask, conclude, draw
from data.sample.oddity import Act
from data.sample.results import edit_result, read_result, shell_detail
from data.sample.tasks import Scene, fill
from data.sample.tasks_work import POLECAT, reading
from data.sample.transcript import Call, Transcript
from data.sample.words import draw_values

EDIT = next(task for task in POLECAT if task.intent == "edit")
NOT_READ = "<tool_use_error>File has not been read yet. Read it first before writing to it.</tool_use_error>"
UNKNOWN = 'Exit code 1\nError: unknown command "hok" for "gt"'
RED = "Exit code 1\n..F.....\nFAILED tests/test_{module}.py::test_order - assert 1 == 2\n1 failed, 7 passed in 0.41s"
GREEN = "........                                                                 [100%]\n8 passed in 0.38s"


def run_command(t: Transcript, line: str, output: str, *, failed: bool = False) -> Call:
    """A shell call and what it printed."""
    call = t.call(t.open_reply(), "Bash", {"command": line})
    t.result(call, output, f"Error: {output}" if failed else shell_detail(output), is_error=failed)
    return call


def try_edit(t: Transcript, scene: Scene, *, read: bool) -> None:
    """The edit of the scene; without a read before it the tool refuses."""
    call = t.call(t.open_reply(), "Edit", scene.arguments)
    content, detail = edit_result(scene)
    if read:
        t.result(call, content, detail)
    else:
        t.result(call, NOT_READ, f"Error: {NOT_READ}", is_error=True)


def failed_edit_repaired(t: Transcript) -> None:
    """An edit without a read is refused; the agent reads the file and edits again."""
    values = draw_values(t.rng, t.actor.rig, t.actor.name)
    scene, look = fill(EDIT, 0, values), fill(reading("polecat"), 0, values)
    ask(t, scene.prompt)
    try_edit(t, scene, read=False)
    t.result(t.call(t.open_reply(), "Read", look.arguments), *read_result(look))
    try_edit(t, scene, read=True)
    conclude(t, scene.closing)


def mistyped_command_repaired(t: Transcript) -> None:
    """A command that does not exist, and the one that was meant."""
    ask(t, "What hangs on your hook?")
    run_command(t, "gt hok", UNKNOWN, failed=True)
    run_command(t, "gt hook", "Nothing on hook")
    conclude(t, "My hook is empty.")


def corrected_by_user(t: Transcript) -> None:
    """The agent does something else than was meant, and hears so."""
    scene = draw(t)
    ask(t, "Tidy up the queue.")
    conclude(t, "I renamed the cache.")
    ask(t, "No, not that. I meant the queue.")
    conclude(t, f"The queue is tidy now, the cache has its name again. Next: {scene.closing}")


def tests_turned_green_and_landed(t: Transcript) -> None:
    """Tests fail, a change makes them pass, and the work is committed, pushed and proposed."""
    values = draw_values(t.rng, t.actor.rig, t.actor.name)
    scene, module = fill(EDIT, 0, values), values["module"]
    ask(t, f"Make the tests of {module} pass and open a pull request.")
    run_command(t, f"pytest tests/test_{module}.py -q", RED.format(module=module), failed=True)
    try_edit(t, scene, read=True)
    run_command(t, f"pytest tests/test_{module}.py -q 2>&1 | tail -3", GREEN)
    committed = f"[{module} {values['sha']}] Order of {module}\n 1 file changed, 1 insertion(+), 1 deletion(-)"
    run_command(t, f'git commit -am "Order of {module}"', committed)
    run_command(t, f"git push -u origin {module}", f" * [new branch]      {module} -> {module}")
    run_command(t, "gh pr create --fill", "https://example.com/town/pull/42")
    conclude(t, f"The tests of {module} pass, the pull request is open.")


REPAIR = "Keep the failed attempt as context and train the repair."
ACTS: tuple[Act, ...] = (
    Act(failed_edit_repaired, "polecat", REPAIR),
    Act(mistyped_command_repaired, "deacon", REPAIR),
    Act(corrected_by_user, "crew", "Keep the corrected reply as context; it is no good answer."),
    Act(tests_turned_green_and_landed, "crew", "Know that tests were repaired and that the work landed."),
)
