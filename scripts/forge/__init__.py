"""`forge`: one command over the rooms. Each of its commands runs a room's own command, or a script, and ends with
its exit code; `forge --help` lists them, docs/commands.md tells what each of them runs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> int:
    """The command line; the folder where the user stands is left for that of the checkout."""
    from scripts.forge.home import CODE, find_home, go_over

    stands = Path.cwd()
    home = find_home(stands, os.environ)
    if home != CODE:
        go_over(home, sys.argv[1:])
    from scripts.forge.app import run

    return run(sys.argv[1:], stands)
