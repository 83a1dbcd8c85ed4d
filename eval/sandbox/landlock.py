"""Landlock with a filter of system calls and limits: no program, no privilege, works in most containers.

What it cannot do: hide that a file exists, or bound how many blocks a file that was deleted while open takes until
its process ends (files are small and few, see `launch.LIMITS`).
"""

from pathlib import Path

from eval.sandbox.launch import Launch

FIX = "use a kernel of 5.13 or later with landlock in its list of security modules (lsm=)"


def launch(place: Path) -> Launch:
    """The driver runs as it is; each of its children confines itself to what Python needs and to `place`."""
    return Launch((), str(place), landlock=True)
