"""Write the complete Axolotl recipe of a role or a pack: base.yml, its file and overrides, with paths to its
rows.

`python -m configs.resolve mayor [--with smoke] [--run NAME] [--root output] [--out FILE]` writes
output/configs/mayor.yml and prints what the role changes. Axolotl takes one file and knows no inheritance;
this is it. A run on preferences has a name of its own, mayor-dpo, and so replaces no adapter but its own;
`--name` prints the name and stops.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from configs.combine import (
    ALL_ROLES,
    START,
    Config,
    combine,
    differences,
    layer_files,
    method_of,
    role_names,
    run_name,
    without_evaluation,
)
from configs.files import BASE_FILE, Output, shown, write_text
from configs.options import add_recipe
from configs.pack.layer import pack_file, pack_names, role_name
from configs.rows import COLUMNS, RowFile, estimated_steps, prepared_name, read_rows
from configs.rules import problems_of
from configs.strict_yaml import ConfigError, load_mapping


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    output = Output(options.root)
    try:
        run = run_name(options.role, options.overrides, options.run)
        if options.name:
            print(run)
            return 0
        config, rows = resolve(options.role, options.overrides, output, run)
        out = options.out or output.config(run)
        write_text(out, header(options.role, options.overrides) + yaml.safe_dump(config, sort_keys=False))
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"resolve: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 1
    print_changes(config)
    print_size(config, rows)
    print(f"wrote {out}")
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m configs.resolve", description=__doc__.splitlines()[0])
    add_recipe(parser)
    parser.add_argument("--run", default="", metavar="NAME",
                        help="the run's name (default: ROLE, on preferences ROLE-dpo or ROLE-kto)")  # fmt: skip
    parser.add_argument("--name", action="store_true", help="print the run's name and stop")
    parser.add_argument("--root", type=Path, default=Path("output"), help="the output folder (default: output)")
    parser.add_argument("--out", type=Path, help="default: ROOT/configs/RUN.yml")
    return parser


def resolve(role: str, overrides: list[str], output: Output, run: str = "") -> tuple[Config, RowFile]:
    """The complete recipe and its training rows. Raises `ConfigError` with everything that is wrong."""
    config = combine(role, overrides, output, run)
    problems = [*problems_of(config, layer_files(role, overrides)), *problems_of_start(config, output)]
    train_file, val_file = (output.rows(role_name(role), split, method_of(config)) for split in ("train", "val"))
    if not train_file.is_file():
        raise ConfigError([*problems, missing_rows(role, output, method_of(config))])
    files = [read_role_rows(train_file, config, problems)]
    if val_file.is_file():
        files.append(read_role_rows(val_file, config, problems))
    else:
        config = without_evaluation(config)
    if problems:
        raise ConfigError(problems)
    return {**config, "dataset_prepared_path": str(output.prepared / prepared_name(config, files))}, files[0]


def problems_of_start(config: Mapping[str, Any], output: Output) -> Iterator[str]:
    """Why training cannot start from the adapter that the recipe names, if it names one."""
    if START not in config:
        return
    folder = Path(config[START])
    try:
        adapter = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        yield (
            f"{folder}: no adapter there to start from. Train it first (`scripts/train.sh {folder.name}`), "
            "or leave out `--with sft`."
        )
        return
    if folder == output.adapter(Path(config["output_dir"]).name):
        yield (
            f"{folder}: the run would replace the adapter that it starts from. "
            f"Give it a name of its own: --run {folder.name}-more."
        )
    for key, name in (("lora_r", "r"), ("lora_alpha", "lora_alpha")):
        if adapter.get(name) != config.get(key):
            yield (
                f"{folder}: its {name} is {adapter.get(name)}, the recipe's {key} is {config.get(key)}, which would "
                "not count. Give the recipe the adapter's, or train the adapter again."
            )


def missing_rows(role: str, output: Output, rl: str = "") -> str:
    """Why there is nothing to train on, and what to do about it."""
    pack = pack_file(role)
    if not (output.datasets / "manifest.json").is_file():
        build = (
            f"python -m data.pipeline all --config {shown(pack)} --sessions DIR --out {output.datasets}" if pack else ""
        )
        return f"{output.datasets}: no finished dataset. Run `{build or 'make all'}` first."
    others = [name for name in (*role_names(), *pack_names(), ALL_ROLES) if output.rows(name, "train", rl).is_file()]
    if rl:
        return (
            f"{output.datasets}: no preferences of the role {role_name(role)} for `rl: {rl}`. "
            f"Roles with some: {', '.join(others) or 'none'}."
        )
    name = role_name(role)
    return f"{output.datasets}: no sessions of the role {name}, so no rows. Roles with rows: {', '.join(others)}."


def read_role_rows(file: Path, config: Mapping[str, Any], problems: list[str]) -> RowFile:
    """The file's counts; adds a problem when Axolotl would stop at one of its rows."""
    try:
        rows = read_rows(file)
    except ValueError as error:
        raise ConfigError([*problems, str(error)]) from None
    expected = {str(block.get("field_messages")) for block in config["datasets"]}
    if rows.messages in COLUMNS and expected != {rows.messages}:
        problems.append(
            f"{file}: its messages are in `{rows.messages}`, the recipe reads `{'`, `'.join(sorted(expected))}`. "
            f"Train such rows {COLUMNS[rows.messages]}."
        )
    limit = config["sequence_len"]
    if rows.longest > limit:
        problems.append(
            f"{file}: its longest row has {rows.longest} tokens, sequence_len is {limit}. "
            "Raise sequence_len, or build the rows with a smaller max_tokens in configs/data.yml."
        )
    return rows


def header(role: str, overrides: list[str]) -> str:
    own = pack_file(role) or Path("roles", f"{role}.yml")
    parts = " + ".join(("base.yml", *([] if role == ALL_ROLES else [str(shown(own))]), *overrides))
    return f"# {parts}, written by `python -m configs.resolve`: change those files, not this one.\n"


def print_changes(config: Mapping[str, Any]) -> None:
    """One line for each key that differs from base.yml."""
    for key, before, after in differences(load_mapping(shown(BASE_FILE)), config):
        if key in ("datasets", "test_datasets") and before and after:
            before, after = ([block["path"] for block in side] for side in (before, after))
        print(f"  {key}: {brief(before)} -> {brief(after)}")


def print_size(config: Mapping[str, Any], rows: RowFile) -> None:
    steps = estimated_steps(config, rows)
    print(f"{rows.rows:,} rows, {rows.tokens:,} tokens ({rows.trained_tokens:,} trained), about {steps:,} steps")
    if not steps:
        print("That may not fill one step: add sessions, or lower gradient_accumulation_steps.", file=sys.stderr)


def brief(value: Any) -> str:
    """A value as one short piece of YAML; `none` for a key that is not there."""
    if value is None:
        return "none"
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...")
    return text if len(text) <= 80 else text[:77] + "..."


if __name__ == "__main__":
    sys.exit(main())
