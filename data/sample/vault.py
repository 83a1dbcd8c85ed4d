"""Write a sample vault: `python -m data.sample.vault --out DIR [--notes N] [--seed S]`.

DIR is the folder of an Obsidian vault of somebody who does not exist: daily notes, tagged notes, meetings, reference
notes, weekly reviews, a template, an attachment, and some notes that are broken in the ways in which notes are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

from data.sample.disk import replace_folder
from data.sample.vault_notes import KINDS, odd_files

NOTES = 300
FEWEST_NOTES = 20
SEED = 42
MARK = ".obsidian/app.json"
"""Every vault of ours has this file with this content; a folder without it is not ours to replace."""


def build_vault(notes: int = NOTES, seed: int = SEED) -> dict[str, bytes]:
    """The files of a vault by their paths; the same numbers give the same bytes."""
    files = dict(odd_files())
    total = sum(share for _, share in KINDS)
    for make, share in KINDS:
        rng = Random(f"{seed} {make.__name__}")
        for number in range(notes * share // total):
            path, text = make(rng, number)
            files[path] = text.encode()
    return files


def why_not(target: Path) -> str:
    """Why a folder cannot take a vault, as a sentence, or ''."""
    if target.exists() and not target.is_dir():
        return f"{target} is a file. Give a folder to --out."
    ours = (target / MARK).is_file() and (target / "Odd/Circle one.md").is_file()
    if target.is_dir() and any(target.iterdir()) and not ours:
        return f"{target} is not empty and holds no sample vault. Give another folder to --out."
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data.sample.vault", description="Write a sample Obsidian vault.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the vault; an older sample is replaced")
    parser.add_argument("--notes", type=int, default=NOTES, help=f"about so many, at least {FEWEST_NOTES}")
    parser.add_argument("--seed", type=int, default=SEED, help="the same seed gives the same bytes")
    chosen = parser.parse_args(arguments)
    if chosen.notes < FEWEST_NOTES:
        parser.error(f"--notes {chosen.notes} is too few to show every kind of note: give {FEWEST_NOTES} or more")
    files = build_vault(chosen.notes, chosen.seed)
    problem = why_not(chosen.out)
    try:
        if not problem:
            replace_folder(chosen.out, files)
    except OSError as error:
        problem = f"cannot write to {chosen.out}: {error.strerror}. Give a folder that you may write to."
    if problem:
        print(f"data.sample.vault: {problem}", file=sys.stderr)
        return 1
    notes, size = sum(path.endswith(".md") for path in files), sum(map(len, files.values())) / 1e6
    print(f"wrote a sample vault of {notes} notes ({size:.1f} MB, seed {chosen.seed}) to {chosen.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
