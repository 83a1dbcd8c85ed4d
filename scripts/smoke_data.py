"""The pipeline's configuration for the walkthrough: `python -m scripts.smoke_data [--base DIR] --out FILE`.

It is configs/data.yml with what the tiny base can read: calls as tagged text, and compact system prompts. With --base,
the tiny base counts the tokens, and the windows fit its recipe (smoke.yml). Everything else stays that of a real run.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from configs.combine import merge
from configs.files import CONFIGS, shown, write_text
from configs.strict_yaml import ConfigError, load_mapping

# Sizes in tokens of the tiny base. One request with what follows fits into a window of two pairs, and no window repeats
# an earlier one: so small a model reads one thing at a time. Longer texts and results are cut as in a real run.
WINDOWS: Final = {
    "pairs": 2,
    "overlap": 0.0,
    "max_tokens": 512,
    "result_tokens": 96,
    "step_tokens": 320,
    "human_tokens": 160,
    "opening_tokens": 64,
}


# What a user may have chosen otherwise in configs/data.yml.
READABLE: Final = {"tool_format": "xml", "prompts": {"full": 0.0, "compact": 1.0}}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.smoke_data", description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, help="folder of the tiny base; without it, the real one counts")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        data = load_mapping(shown(CONFIGS / "data.yml"))
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return 1
    changed = walkthrough(data, options.base)
    write_text(options.out, yaml.safe_dump(changed, sort_keys=False, allow_unicode=True))
    print(f"wrote {options.out}: windows of {changed['windows']['max_tokens']} tokens of {changed['base_model']}")
    return 0


def walkthrough(data: dict[str, Any], base: Path | None) -> dict[str, Any]:
    """The configuration `data` for rows that a tiny base can learn from, counted by `base` where there is one."""
    roles = {name: {"full": None, "full_file": None} for name in data["roles"]}
    changed = merge(data, READABLE | {"roles": roles})
    return merge(changed, {"base_model": str(base), "windows": WINDOWS}) if base else changed


if __name__ == "__main__":
    sys.exit(main())
