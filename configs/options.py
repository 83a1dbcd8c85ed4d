"""The options that name a recipe, alike in every command that takes one."""

import argparse

from configs.combine import ALL_ROLES, override_names, role_names
from configs.pack.layer import pack_names


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """ROLE and --with OVERRIDE, as `options.role` and `options.overrides`."""
    packs = f"a pack ({', '.join(pack_names())}, or the path of one)"
    parser.add_argument("role", help=f"{', '.join(role_names())}, {ALL_ROLES} for all of them, or {packs}")
    add_overrides(parser)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    known = ", ".join(override_names())
    parser.add_argument("--with", dest="overrides", action="append", default=[], metavar="OVERRIDE",
                        help=f"{known}, or the path of a .yml file; may be repeated, later ones win")  # fmt: skip
