"""The pipeline's configuration for the walkthrough: `python -m scripts.smoke_data --base DIR --out FILE`.

It is configs/data.yml with the tiny base as the model that counts tokens and windows that fit its recipe (smoke.yml):
roles, sources and every other limit stay those of a real run.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.smoke_data", description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True, help="folder of the tiny base")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        data = load_mapping(shown(CONFIGS / "data.yml"))
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return 1
    changed = merge(data, {"base_model": str(options.base), "tool_format": "xml", "windows": WINDOWS})
    write_text(options.out, yaml.safe_dump(changed, sort_keys=False, allow_unicode=True))
    print(f"wrote {options.out}: windows of {WINDOWS['max_tokens']} tokens of {options.base}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
