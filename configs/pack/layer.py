"""A pack as a layer of a recipe: what configs/packs/<name>.yml says to Axolotl.

A pack is a whole data.yml with sections for the other rooms. Its `training` holds Axolotl's keys on top of base.yml,
and the model that counted its rows is the one that is trained. A path of a .yml file means a pack too, named as the
file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from configs.files import PACKS
from configs.strict_yaml import ConfigError, line_of, load_mapping

SECTION: Final = "training"
BASE: Final = "base_model"
SUFFIXES: Final = (".yml", ".yaml")


def pack_names() -> tuple[str, ...]:
    """The packs that ship with the recipes."""
    return tuple(sorted(file.stem for file in PACKS.glob("*.yml")))


def pack_file(role: str) -> Path | None:
    """The file of a pack, by its name or by its path; None for a role that is no pack."""
    if role.endswith(SUFFIXES):
        return Path(role)
    return PACKS / f"{role}.yml" if role in pack_names() else None


def role_name(role: str) -> str:
    """The role that a word of the command line means: a pack that is given as a path has its file's name."""
    return Path(role).stem if role.endswith(SUFFIXES) else role


def is_pack(raw: Mapping[str, Any]) -> bool:
    """Whether a file is a pack, and not keys of Axolotl, which knows neither of the two."""
    return "sources" in raw and "roles" in raw


def load_layer(file: Path) -> dict[str, Any]:
    """The keys of Axolotl in a file of a recipe, which may be a pack. Raises `ConfigError`."""
    raw = load_mapping(file)
    if not is_pack(raw):
        return raw
    section = raw.get(SECTION) or {}
    if not isinstance(section, dict):
        raise ConfigError([f"{file}: {SECTION} holds a {type(section).__name__}, not Axolotl's keys."])
    return {key: raw[key] for key in (BASE,) if key in raw} | section


def line_in_layer(file: Path, keys: tuple[str | int, ...]) -> int | None:
    """The line on which a file of a recipe sets a value; None where it does not."""
    raw = load_mapping(file)
    if not is_pack(raw):
        return line_of(file, keys)
    if keys and keys[0] in (raw.get(SECTION) or {}):
        return line_of(file, (SECTION, *keys))
    return line_of(file, keys) if keys and keys[0] == BASE else None
