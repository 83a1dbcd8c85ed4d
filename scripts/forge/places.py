"""Where the files of a role or of a pack lie, and the names that the shell completes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from scripts.forge.home import CODE, given
from scripts.forge.rooms import Problem

PACKS: Final = Path("configs/packs")


@dataclass(frozen=True, slots=True)
class Session:
    """What belongs to one call: where the user stands, the output tree, and the words behind `--`."""

    stands: Path
    root: Path = Path("output")
    further: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A role's files. `root` is its output tree, `top` that of registry and gateway, `pack` its file, if it is one."""

    role: str
    root: Path
    top: Path
    pack: Path | None = None

    @property
    def recipe(self) -> str:
        """How the recipes name it: a pack that lies elsewhere by its file."""
        return str(self.pack) if self.pack and self.pack.parent != PACKS else self.role

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    @property
    def manifest(self) -> Path:
        return self.datasets / "manifest.json"

    @property
    def adapter(self) -> Path:
        return self.root / "adapters" / self.role

    @property
    def evals(self) -> Path:
        return self.root / "evals" / self.role

    @property
    def config(self) -> list[str]:
        """The option that names a pack's file to the rooms that read one; those have the other default themselves."""
        return ["--config", str(self.pack)] if self.pack else []


def session() -> Session:
    """That of the command that runs."""
    import click

    found = click.get_current_context().find_root().obj
    assert isinstance(found, Session)
    return found


def place(role: str) -> Place:
    """Where `role` lies; a pack, by its name or its file, has a tree of its own below the one of all."""
    top = session().root
    file = given(Path(role), session().stands) if role.endswith((".yml", ".yaml")) else PACKS / f"{role}.yml"
    if role and (CODE / file).is_file():
        return Place(file.stem, top / "packs" / file.stem, top, file)
    return Place(role, top, top)


def known(role: str) -> Place:
    """`place`, for a role that has to be one. Raises `Problem`."""
    found = place(role)
    if found.pack or role in (*roles(), "gastown"):
        return found
    if role.endswith((".yml", ".yaml")):
        raise Problem(f"{path(role)}: there is no such pack. Check the path; forge domain lists those of the name.", 2)
    raise Problem(f"there is no role or pack `{role}`. There are {', '.join((*roles(), *packs()))}.", 2)


def path(text: Path | str) -> str:
    """A path that the user gave, as the rooms take it."""
    return str(given(Path(text), session().stands))


def model(text: str) -> str:
    """A model as eval takes it: `base`, an address, or a path from where the user stands."""
    return text if text == "base" or "://" in text else path(text)


def further() -> list[str]:
    """The words behind `--`; what is a file or folder where the user stands, or begins with a dot, is a path."""
    stands = session().stands
    return [path(word) if is_path(word, stands) else word for word in session().further]


def is_path(word: str, stands: Path) -> bool:
    return word.startswith(("./", "../")) or ("/" in word and "://" not in word and (stands / word).exists())


def roles() -> list[str]:
    return sorted(file.stem for file in (CODE / "configs/roles").glob("*.yml"))


def packs() -> list[str]:
    return sorted(file.stem for file in (CODE / "configs/packs").glob("*.yml"))


def complete_role(incomplete: str) -> list[str]:
    return [name for name in (*roles(), *packs()) if name.startswith(incomplete)]


def complete_pack(incomplete: str) -> list[str]:
    return [name for name in packs() if name.startswith(incomplete)]


def complete_override(incomplete: str) -> list[str]:
    from configs.combine import override_names

    return [name for name in override_names() if name.startswith(incomplete)]


def complete_version(context: typer.Context, incomplete: str) -> list[str]:
    """Versions of the role on the same line, the newest first."""
    root = CODE / (context.find_root().params.get("root") or "output")
    folders = (root / "adapters" / str(context.params.get("role"))).glob("v*")
    numbers = sorted((int(m[1]) for f in folders if (m := re.fullmatch(r"v(\d+)", f.name))), reverse=True)
    return [f"v{number}" for number in numbers if f"v{number}".startswith(incomplete)]
