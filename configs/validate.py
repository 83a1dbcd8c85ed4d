"""Check every recipe without a GPU, torch or rows: `python -m configs.validate`.

All combinations of base, role and override are put together and held against the rules; a problem names its
file and line. What only Axolotl can say is asked in a test with Axolotl installed.
"""

import sys
from collections.abc import Iterator

from configs.combine import combine, layer_files, override_names, role_names
from configs.files import BASE_FILE, shown
from configs.rules import problems_of
from configs.strict_yaml import ConfigError, load_mapping


def main() -> int:
    checked = list(combinations())
    problems = {problem for role, overrides in checked for problem in check(role, overrides)}
    if problems:
        print(*sorted(problems), sep="\n", file=sys.stderr)
        return 1
    print(
        f"{len(checked)} recipes are valid for Axolotl 0.19: base.yml, {len(role_names())} roles, "
        f"each role with {' and with '.join(override_names())}"
    )
    return 0


def combinations() -> Iterator[tuple[str | None, tuple[str, ...]]]:
    """base.yml alone (no role), then each role alone and under each override."""
    yield None, ()
    for role in role_names():
        yield role, ()
        for override in override_names():
            yield role, (override,)


def check(role: str | None, overrides: tuple[str, ...]) -> list[str]:
    """The problems of one combination."""
    try:
        if role is None:
            return problems_of(load_mapping(shown(BASE_FILE)), [BASE_FILE])
        return problems_of(combine(role, overrides), layer_files(role, overrides))
    except ConfigError as error:
        return list(error.problems)


if __name__ == "__main__":
    sys.exit(main())
