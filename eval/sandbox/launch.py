"""How a sandbox's driver is started, and what limits its children get: what the three sandboxes have in common."""

import math
from dataclasses import dataclass

MEGABYTE = 1 << 20
MAX_MEMORY_BYTES = 512 * MEGABYTE
MAX_FILE_BYTES = 4 * MEGABYTE
MAX_FOLDER_BYTES = 16 * MEGABYTE
MAX_REPLY_BYTES = MEGABYTE
MAX_OPEN_FILES = 32


class Unusable(Exception):
    """Why a sandbox cannot be used here, as half a sentence."""


@dataclass(frozen=True)
class Launch:
    """The words before `python`, and what the driver has to do for itself.

    `folder` is where an answer may write, as seen from inside; `root` where the driver makes its private root;
    `landlock` whether its children confine themselves.
    """

    prefix: tuple[str, ...]
    folder: str
    root: str = ""
    landlock: bool = False
    # Where the folder of `inside` is seen from inside; "" is where it really is.
    driver: str = ""


def limits(seconds: float) -> dict[str, int]:
    """Limits of one child, by the names of the module `resource`. Processes are forbidden, threads share its memory."""
    return {
        "RLIMIT_AS": MAX_MEMORY_BYTES,
        "RLIMIT_CPU": math.ceil(seconds),
        "RLIMIT_FSIZE": MAX_FILE_BYTES,
        "RLIMIT_NOFILE": MAX_OPEN_FILES,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
    }
