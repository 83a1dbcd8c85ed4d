"""Who lives in the sample town: an agent's role, place, working folder and address.

The folders are the ones of Gas Town's layouts, the new and the old one, under the town root of the overseer.
"""

import re
from dataclasses import dataclass
from random import Random
from typing import Final

from data.sample.words import NAMES, RIGS

HOME: Final = "/home/overseer"
TOWN: Final = f"{HOME}/gt"
ROLES: Final = ("mayor", "deacon", "boot", "dog", "witness", "refinery", "polecat", "crew")
DEVELOPER: Final = "developer"
DEVELOPER_FOLDER: Final = "/home/dana/src/notes-app"


@dataclass(frozen=True)
class Actor:
    """An agent at its place. `folder` is the absolute working folder, `address` the name in mails."""

    role: str
    folder: str
    address: str
    recipient: str
    """The address as a beacon writes it."""
    branch: str = "main"
    rig: str | None = None
    name: str | None = None


def hire(rng: Random, role: str) -> Actor:
    """An agent of `role` at a drawn rig, under a drawn name where the role has one."""
    rig, name = rng.choice(tuple(RIGS)), rng.choice(NAMES)
    match role:
        case "mayor":
            folder = rng.choice((f"{TOWN}/mayor", f"{TOWN}/mayor", f"{TOWN}/{rig}/mayor/rig"))
            return Actor(role, folder, "mayor", "mayor")
        case "deacon":
            return Actor(role, f"{TOWN}/deacon", "deacon", "deacon")
        case "boot":
            return Actor(role, f"{TOWN}/deacon/dogs/boot", "deacon-boot", "boot")
        case "dog":
            return Actor(role, f"{TOWN}/deacon/dogs/{name}", f"deacon/dogs/{name}", f"dog {name}", name=name)
        case "developer":
            return Actor(role, DEVELOPER_FOLDER, "dana", "dana", branch="dana/tidy-up")
    return hire_for_rig(rng, role, rig, name)


def hire_for_rig(rng: Random, role: str, rig: str, name: str) -> Actor:
    """An agent of a role that belongs to one rig; its folder is of the new or of the old layout."""
    place = f"{TOWN}/{rig}"
    keeper = rng.choice((f"{role} (rig: {rig})", f"{rig}/{role}", role))
    worker = rng.choice((f"{role} {name} (rig: {rig})", f"{rig}/{role}/{name}"))
    match role:
        case "witness":
            folder = rng.choice((f"{place}/witness", f"{place}/witness/rig"))
            return Actor(role, folder, f"{rig}/witness", keeper, rig=rig)
        case "refinery":
            return Actor(role, f"{place}/refinery/rig", f"{rig}/refinery", keeper, rig=rig)
        case "polecat":
            folder = rng.choice((f"{place}/polecats/{name}/{rig}", f"{place}/polecats/{name}"))
            branch = f"polecat/{name}/{RIGS[rig]}-{rng.randint(10, 799)}"
            return Actor(role, folder, f"{rig}/polecats/{name}", worker, branch, rig, name)
        case "crew":
            return Actor(role, f"{place}/crew/{name}", f"{rig}/crew/{name}", worker, rig=rig, name=name)
    raise ValueError(f"no such role in the town: {role}")


def project_folder(folder: str) -> str:
    """The name that Claude Code gives the folder of a project: every other character than a-z, 0-9 is a dash."""
    return re.sub(r"[^A-Za-z0-9]", "-", folder)
