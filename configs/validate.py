"""Check recipes before they cost anything: `python -m configs.validate [ROLE...] [--with OVERRIDE] [--root output]`.

Needs no GPU and no torch. Without a role every combination of base, role and override is put together and held against
the rules, and the rows of every role that has some; a problem names its file and line. With `--deep` Axolotl, where it
is installed, validates the recipe as well, prepares the rows and shows one with its trained tokens marked.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

from configs.combine import ALL_ROLES, combine, layer_files, method_of, override_names, role_names, run_name
from configs.files import Output
from configs.options import add_overrides
from configs.pack.layer import pack_names, role_name
from configs.preview import view
from configs.resolve import resolve
from configs.rows import read_rows
from configs.rules import notes_on, problems_of
from configs.runs.preflight import is_path
from configs.strict_yaml import ConfigError

# The overrides that train on preferences, whose rows have their name.
PREFERENCES = ("dpo", "kto")
# Overrides that are made to stand together, beside each of them alone.
TOGETHER = (
    ("smoke", "native"),
    ("smoke", "dpo"),
    ("smoke", "kto"),
    ("dpo", "sft"),
    ("kto", "sft"),
    ("llama31", "native"),
    ("llama31", "zero3"),
    ("qwen3b", "native"),
    ("qwen3b", "long"),
    ("qwen3b", "epochs"),
    ("qwen3b", "zero3"),
    ("qwen3b", "fsdp2"),
    ("qwen1.5b", "native"),
    ("ray", "zero3"),
    ("ray", "fsdp2"),
)


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.deep and not options.roles:
        print("validate: --deep needs a role, such as `--deep mayor`.", file=sys.stderr)
        return 2
    output = Output(options.root)
    try:
        if options.roles or options.overrides:
            validate_roles(options.roles or [ALL_ROLES, *role_names()], options.overrides, output, options.deep)
        else:
            validate_all(output)
    except ConfigError as error:
        print(*dict.fromkeys(error.problems), sep="\n", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m configs.validate", description=__doc__.splitlines()[0])
    parser.add_argument("roles", nargs="*", metavar="ROLE",
                        help=f"{', '.join(role_names())}, {ALL_ROLES}, or a pack: {', '.join(pack_names())} or the "
                        "path of one (default: every combination)")  # fmt: skip
    add_overrides(parser)
    parser.add_argument("--root", type=Path, default=Path("output"), help="the output folder (default: output)")
    parser.add_argument("--deep", action="store_true",
                        help="also ask Axolotl, prepare the rows and show one, trained tokens marked")  # fmt: skip
    return parser


def validate_all(output: Output) -> None:
    """Every combination in the repository, and the rows that are there. Raises `ConfigError` with every problem."""
    checked = list(combinations())
    problems = [problem for role, overrides in checked for problem in check(role, overrides)]
    rows = list(rows_of_all(output, problems))
    if problems:
        raise ConfigError(sorted(set(problems)))
    together = ", ".join("+".join(overrides) for overrides in TOGETHER)
    print(
        f"{len(checked)} recipes are valid for Axolotl 0.19: all roles together and each of "
        f"{len(role_names())}, alone and with {', '.join(override_names())}, {together}; "
        f"{len(pack_names())} packs, alone and with each override"
    )
    print(*rows, sep="\n")


def combinations() -> Iterator[tuple[str, tuple[str, ...]]]:
    """All roles together, then each role: alone, under each override, and under those that are made for each other.
    Then each pack: alone and under each override.
    """
    for role in (ALL_ROLES, *role_names()):
        yield role, ()
        for override in override_names():
            yield role, (override,)
        for overrides in TOGETHER:
            yield role, overrides
    for pack in pack_names():
        yield pack, ()
        for override in override_names():
            yield pack, (override,)


def check(role: str, overrides: tuple[str, ...]) -> list[str]:
    """The problems of one combination."""
    try:
        return problems_of(combine(role, overrides), layer_files(role, overrides))
    except ConfigError as error:
        return list(error.problems)


def rows_of_all(output: Output, problems: list[str]) -> Iterator[str]:
    """A line for each kind of rows that a role has; adds what is wrong with them to `problems`."""
    if not is_built(output):
        yield f"{output.datasets}: no finished dataset, so no rows were checked. `make all` makes one."
        return
    for role, rl in itertools.product((ALL_ROLES, *role_names()), ("", *PREFERENCES)):
        file = output.rows(role, "train", rl)
        if not file.is_file():
            continue
        try:
            native = read_rows(file).messages == "messages"
            yield rows_line(role, [rl] if rl else ["native"] if native else [], output)
        except (ConfigError, ValueError) as error:
            problems += getattr(error, "problems", None) or [str(error)]


def is_built(output: Output) -> bool:
    return (output.datasets / "manifest.json").is_file()


def rows_line(role: str, overrides: list[str], output: Output) -> str:
    """How many rows a recipe trains and evaluates, and how long they are. Raises `ConfigError`."""
    config, rows = resolve(role, overrides, output)
    evaluated = len(config.get("test_datasets", ()))
    without = "" if evaluated else ", without evaluation (no validation rows, or the recipe leaves it out)"
    return (
        f"{run_name(role, overrides)}: {rows.rows:,} rows, {rows.trained_tokens:,} of {rows.tokens:,} tokens trained, "
        f"the longest {rows.longest:,} of {config['sequence_len']:,}{without}"
    )


def validate_roles(roles: list[str], overrides: list[str], output: Output, deep: bool) -> None:
    """These recipes with what they need on this machine. Raises `ConfigError` with every problem."""
    problems: list[str] = []
    for role in roles:
        if found := check(role, tuple(overrides)):
            problems += found
            continue
        problems += missing_model(role, overrides)
        try:
            validate_role(role, overrides, output, deep and not problems)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


def missing_model(role: str, overrides: list[str]) -> list[str]:
    base = str(combine(role, overrides)["base_model"])
    if not is_path(base) or (Path(base) / "config.json").is_file():
        return []
    return [f"{base}: no model there. `make smoke` makes the tiny base; or name another base_model."]


def validate_role(role: str, overrides: list[str], output: Output, deep: bool) -> None:
    for note in notes_on(combine(role, overrides), layer_files(role, overrides)):
        print(f"note: {note}", file=sys.stderr)
    if not is_built(output) and not deep:
        print(f"{role}: the recipe is valid. {output.datasets} is not built, so no rows were checked.")
        return
    print(rows_line(role, overrides, output), flush=True)
    if deep:
        config, _ = resolve(role, overrides, output)
        files = {split: output.rows(role_name(role), split, method_of(config)) for split in ("train", "val")}
        for line in view(config, files, output, sys.stdout.isatty()):
            print(line)


if __name__ == "__main__":
    sys.exit(main())
