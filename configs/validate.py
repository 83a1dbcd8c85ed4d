"""Check every recipe without a GPU, torch or rows: `python -m configs.validate`.

All combinations of base, role and override are put together and held against the rules; a problem names its
file and line. What only Axolotl can say is asked in a test with Axolotl installed.
"""

import sys
from collections.abc import Iterator

from configs.combine import ALL_ROLES, combine, layer_files, override_names, role_names
from configs.rules import problems_of
from configs.strict_yaml import ConfigError


def main() -> int:
    checked = list(combinations())
    problems = {problem for role, overrides in checked for problem in check(role, overrides)}
    if problems:
        print(*sorted(problems), sep="\n", file=sys.stderr)
        return 1
    print(
        f"{len(checked)} recipes are valid for Axolotl 0.19: all roles together and each of "
        f"{len(role_names())}, alone and with {', '.join(override_names())}"
    )
    return 0


def combinations() -> Iterator[tuple[str, tuple[str, ...]]]:
    """All roles together, then each role, alone and under each override."""
    for role in (ALL_ROLES, *role_names()):
        yield role, ()
        for override in override_names():
            yield role, (override,)


def check(role: str, overrides: tuple[str, ...]) -> list[str]:
    """The problems of one combination."""
    try:
        return problems_of(combine(role, overrides), layer_files(role, overrides))
    except ConfigError as error:
        return list(error.problems)


if __name__ == "__main__":
    sys.exit(main())
