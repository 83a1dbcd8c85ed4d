"""The words of the sample town: its rigs, names, problems and files, and the draw of one set of values.

Ids and cycle numbers stay in 10-799. The evaluation scenarios use 800-999, so that no scenario is in the town.
"""

from collections.abc import Mapping
from itertools import product
from random import Random
from typing import Final


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


RIGS: Final[Mapping[str, str]] = {
    "petals": "pe",
    "harbor": "ha",
    "lantern": "la",
    "orchard": "or",
    "quarry": "qu",
}
NAMES: Final = ("rust", "chrome", "nitro", "ember", "flint", "sable", "topaz", "willow")
SEVERITIES: Final = ("low", "medium", "high", "critical")
PLUGINS: Final = ("compact", "backup", "reaper", "rebuild")
MODULES: Final = words(
    "parser queue mailer ledger router cache config export search locks reader writer forms pages clock names retry "
    "seed report tokens users groups images videos music badges alerts orders stock prices taxes returns labels "
    "routes drivers trucks docks cranes tides charts"
)
PATHS: Final = (
    *(f"{folder}/{module}.py" for folder, module in product(("src", "src/core", "lib", "tools"), MODULES)),
    *(f"docs/{module}.md" for module in MODULES[::4]),
)
VERBS: Final = words("drain load seal send flush parse close read lock split open merge find write start stop")
NOUNS: Final = words("rows slots mail batch queue page clock token limit route line user cache index table name")
SYMBOLS: Final = tuple(
    f"{verb}_{noun}" for (i, verb), (j, noun) in product(enumerate(VERBS), enumerate(NOUNS)) if (i + j) % 2 == 0
)
"""Every second combination of a verb and a noun; the others are left for questions that the town never asks."""
SUBJECTS: Final = words(
    "login export cache search queue report page table lock clock router parser form worker log mailer"
)
TROUBLES: Final = (
    "fails",
    "stalls",
    "breaks",
    "never stops",
    "runs twice",
    "is empty",
    "is read twice",
    "leaks memory",
    "skips the last row",
    "loses its comment",
    "shows the wrong year",
    "ignores capital letters",
    "drops the query",
    "jumps",
)
TIMES: Final = (
    "",
    " after a timeout",
    " after a crash",
    " at midnight",
    " in winter",
    " without a filter",
    " with long names",
    " when two users write",
)
PROBLEMS: Final = tuple(
    f"the {subject} {trouble}{time}" for subject, trouble, time in product(SUBJECTS, TROUBLES, TIMES)
)
LOWEST_ID: Final = 10
HIGHEST_ID: Final = 799


def bead_id(rng: Random, rig: str) -> str:
    """A bead id of the rig, such as `pe-42`."""
    return f"{RIGS[rig]}-{rng.randint(LOWEST_ID, HIGHEST_ID)}"


def bead_title(bead: str) -> str:
    """The problem that a bead is about: the same bead has the same title in every session."""
    prefix, number = bead.split("-")
    return PROBLEMS[(int(number) * 467 + ord(prefix[0])) % len(PROBLEMS)]


def draw_values(rng: Random, rig: str | None = None, name: str | None = None) -> dict[str, str]:
    """One value for every slot of the task templates; `rig` and `name` fix the ones of the place."""
    rig = rig or rng.choice(tuple(RIGS))
    bead = bead_id(rng, rig)
    old, new = rng.sample(SYMBOLS, 2)
    return {
        "rig": rig,
        "prefix": RIGS[rig],
        "name": name or rng.choice(NAMES),
        "id": bead,
        "fresh_id": bead_id(rng, rig),
        "title": bead_title(bead),
        "problem": rng.choice(PROBLEMS),
        "p": str(rng.randint(0, 4)),
        "sev": rng.choice(SEVERITIES),
        "n": str(rng.randint(LOWEST_ID, HIGHEST_ID)),
        "cycle": str(rng.randint(LOWEST_ID, HIGHEST_ID)),
        "plugin": rng.choice(PLUGINS),
        "sha": f"{rng.getrandbits(28):07x}",
        "path": rng.choice(PATHS),
        "old": old,
        "new": new,
        "symbol": rng.choice(SYMBOLS),
        "module": rng.choice(MODULES),
        "line": str(rng.randint(3, 180)),
        "count": str(rng.randint(2, 48)),
    }
