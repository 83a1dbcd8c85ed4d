"""The book of all tasks, and the draw of a scene from it."""

from collections.abc import Mapping
from random import Random
from typing import Final

from data.sample.tasks import Scene, Task, fill
from data.sample.tasks_rig import REFINERY, WITNESS
from data.sample.tasks_town import BOOT, DEACON, DOG, MAYOR
from data.sample.tasks_work import CREW, POLECAT
from data.sample.words import draw_values

BOOK: Final[Mapping[str, tuple[Task, ...]]] = {
    "mayor": MAYOR,
    "deacon": DEACON,
    "boot": BOOT,
    "dog": DOG,
    "witness": WITNESS,
    "refinery": REFINERY,
    "polecat": POLECAT,
    "crew": CREW,
    "developer": CREW,
}


def draw_scene(rng: Random, task: Task, rig: str | None, name: str | None) -> Scene:
    """One scene of `task` in a drawn phrasing with drawn values."""
    return fill(task, rng.randrange(len(task.phrasings)), draw_values(rng, rig, name))


def draw_task(rng: Random, role: str, *, with_call: bool = False) -> Task:
    """One task of the role; tasks without a call come up half as often as the others."""
    tasks = [task for task in BOOK[role] if task.tool or not with_call]
    weights = [2 if task.tool else 1 for task in tasks]
    return rng.choices(tasks, weights)[0]
