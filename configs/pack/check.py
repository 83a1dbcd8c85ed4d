"""Everything that is wrong with packs, at once: `problems_of_packs(files)`.

The keys of Axolotl are held against its schema as those of every recipe are, the data side is asked in its own room
(`python -m data.check_config`), and values.py knows the rest.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from configs.combine import ALL_ROLES, combine, layer_files, role_names
from configs.files import CONFIGS, PACKS, shown
from configs.pack import values
from configs.pack.layer import BASE, SECTION, is_pack
from configs.pack.values import Finding
from configs.rules import problems_of
from configs.strict_yaml import ConfigError, line_of, load_mapping

# What the recipe takes from the pack's name, its root and its own base_model.
DERIVED: Final = {BASE: "base_model", "output_dir": "--root", "wandb_name": "--run"}


def problems_of_packs(files: Sequence[Path]) -> list[str]:
    """One sentence for each problem, with its line and the fix."""
    packs: list[Path] = []
    problems: list[str] = []
    for file in files:
        try:
            if is_pack(load_mapping(shown(file))):
                packs.append(file)
            else:
                problems.append(f"{shown(file)}: no pack: it has no `sources` and `roles`. See docs/packs.md.")
        except ConfigError as error:
            problems += error.problems
    problems += of_data(packs) if packs else ()
    return list(dict.fromkeys([*problems, *(problem for file in packs for problem in of_pack(file))]))


def of_pack(file: Path) -> list[str]:
    """What is wrong with a pack beside its data side."""
    raw = load_mapping(shown(file))
    own = (*findings(file, raw), *of_prefixes(file, raw))
    return [*(f"{place(file, keys)}: {sentence}" for keys, sentence in own), *of_training(file)]


def findings(file: Path, raw: Mapping[str, Any]) -> Iterator[Finding]:
    yield from values.of_names(file.stem, raw, (*role_names(), ALL_ROLES, "unknown"))
    yield from values.of_prefix(raw)
    yield from of_keys(raw)
    yield from values.of_tasks(file, raw)
    yield from values.of_rubric(raw)
    yield from values.of_serving(raw)


def of_keys(raw: Mapping[str, Any]) -> Iterator[Finding]:
    """Keys of the training that are said elsewhere, and rows that would not fit it."""
    section = raw.get(SECTION)
    if not isinstance(section, dict):
        return
    for key, instead in DERIVED.items():
        if key in section:
            yield (SECTION, key), f"training.{key}: a pack says that elsewhere ({instead}). Remove it here."
    windows = raw.get("windows")
    rows = windows.get("max_tokens", 4096) if isinstance(windows, dict) else 4096
    limit = section.get("sequence_len", 4096)
    if isinstance(rows, int) and isinstance(limit, int) and rows > limit:
        yield (
            (SECTION, "sequence_len"),
            f"training.sequence_len is {limit}, and windows.max_tokens allows rows of {rows}. Make the two equal.",
        )


def of_prefixes(file: Path, raw: Mapping[str, Any]) -> Iterator[Finding]:
    """A prefix that another pack of the repository has: both would be served under one name."""
    for other in sorted(PACKS.glob("*.yml")):
        try:
            taken = load_mapping(other).get("model_prefix")
        except ConfigError:
            continue  # reported when that pack is checked
        if taken and taken == raw.get("model_prefix") and other.stem != file.stem:
            yield ("model_prefix",), f"model_prefix {taken} is that of the pack {other.stem} too. Give it another one."


def of_training(file: Path) -> list[str]:
    """What is wrong with the recipe that the pack makes."""
    try:
        return problems_of(combine(str(file)), layer_files(str(file)))
    except ConfigError as error:
        return list(error.problems)


def of_data(files: Sequence[Path]) -> list[str]:
    """What the data side says, of all files in one go."""
    command = [sys.executable, "-m", "data.check_config", *(str(file.resolve()) for file in files)]
    asked = subprocess.run(command, capture_output=True, text=True, cwd=CONFIGS.parent, check=False)
    if asked.returncode not in (0, 2):
        return [f"`python -m data.check_config` failed: {asked.stderr.strip().splitlines()[-1]}"]
    names = {str(file.resolve()): str(shown(file)) for file in files}
    return [with_short_name(line, names) for line in asked.stderr.splitlines()]


def with_short_name(line: str, names: Mapping[str, str]) -> str:
    """A sentence that begins with a whole path, with the path as the other sentences have it."""
    path, colon, rest = line.partition(": ")
    return f"{names.get(path, path)}{colon}{rest}"


def place(file: Path, keys: tuple[str | int, ...]) -> str:
    line = line_of(file, keys)
    return f"{shown(file)}:{line}" if line else str(shown(file))
