"""One complete recipe from base.yml, the file of a role or pack, and overrides: later files win, `null` removes, lists
replace. A mapping over a list of mappings, such as `datasets`, changes each of them.
"""

import re
from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, Final

from configs.files import BASE_FILE, CONFIGS, ROLES, Output, shown
from configs.pack.layer import SUFFIXES, load_layer, pack_file, pack_names, role_name
from configs.strict_yaml import ConfigError

Config = dict[str, Any]

# base.yml alone, on the rows of all roles together.
ALL_ROLES: Final = "gastown"

# A run's name is that of a file and of folders.
RUN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

# The adapter that training starts from, and what loads it on preferences.
START: Final = "lora_model_dir"
CONTINUED: Final = {"dpo": "configs.continued.Dpo", "kto": "configs.continued.Kto"}

# What trains with validation rows only. A role without any trains without these.
EVALUATION_KEYS = (
    "test_datasets",
    "eval_strategy",
    "eval_steps",
    "evals_per_epoch",
    "eval_batch_size",
    "eval_sample_packing",
    "load_best_model_at_end",
    "metric_for_best_model",
    "greater_is_better",
    "early_stopping_patience",
)


def role_names() -> tuple[str, ...]:
    return tuple(sorted(file.stem for file in ROLES.glob("*.yml")))


def override_names() -> tuple[str, ...]:
    """The overrides that ship with the recipes: every file beside base.yml but those of other rooms."""
    others = ("base", "data", "serve", "loop")
    return tuple(sorted(file.stem for file in CONFIGS.glob("*.yml") if file.stem not in others))


def combine(role: str, overrides: Iterable[str] = (), output: Output | None = None, run: str = "") -> Config:
    """The recipe of `role`, of a pack (a name or a path), or of `gastown` for all roles, with `overrides` (names or
    paths) on top.

    `run` names what it trains; without one, `run_name` does. Raises `ConfigError` with every problem.
    """
    output = output or Output()
    base, *rest = load_all(layer_files(role, overrides))
    rl = method_of(reduce(merge, rest, base))
    config = reduce(merge, rest, merge(base, role_keys(role_name(role), rl, name_of(role, rl, run), base, output)))
    return {**config, **start_keys(config, output.adapter(role_name(role)))} if START in config else config


def run_name(role: str, overrides: Iterable[str] = (), run: str = "") -> str:
    """The name of a run, which its config, checkpoints and adapter carry: the role's own, with the method behind it
    where the recipe trains on preferences, or `run`. Raises `ConfigError`.
    """
    return name_of(role, method_of(reduce(merge, load_all(layer_files(role, overrides)))), run)


def method_of(config: Mapping[str, Any]) -> str:
    """What learns from preferences, such as `dpo`; empty for ordinary training."""
    return str(config.get("rl") or "")


def name_of(role: str, rl: str, run: str) -> str:
    own = f"{role_name(role)}-{rl}" if rl else role_name(role)
    if run and not RUN_NAME.fullmatch(run):
        raise ConfigError([f"`{run}` is no name for a run. Use letters, digits, `.`, `_` and `-`, such as {own}-long."])
    if run != own and run in (ALL_ROLES, *role_names(), *pack_names()):
        raise ConfigError([f"A run named {run} is the one of that role. Choose another name, such as {own}-long."])
    return run or own


def layer_files(role: str, overrides: Iterable[str] = ()) -> tuple[Path, ...]:
    """The files of a recipe, the later ones stronger. Raises `ConfigError` for names that there are not."""
    problems: list[str] = []
    files = [BASE_FILE]
    of_role = [] if role == ALL_ROLES else [(role_file, role)]
    for find, name in (*of_role, *((override_file, name) for name in overrides)):
        try:
            files.append(find(name))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return tuple(files)


def load_all(files: Iterable[Path]) -> list[Config]:
    """Load every file, so that one run names all that is wrong in them."""
    layers: list[Config] = []
    problems: list[str] = []
    for file in files:
        try:
            layers.append(load_layer(shown(file)))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return layers


def role_file(role: str) -> Path:
    if file := pack_file(role):
        return file
    if role not in role_names():
        raise ConfigError(
            [
                f"There is no role `{role}`. The roles are {', '.join(role_names())}; {ALL_ROLES} is all of them. "
                f"The packs are {', '.join(pack_names())}, or the path of a pack's .yml file."
            ]
        )
    return ROLES / f"{role}.yml"


def override_file(name: str) -> Path:
    """`smoke` means configs/smoke.yml; whatever ends in .yml or .yaml is a path of its own."""
    if name.endswith(SUFFIXES):
        return Path(name)
    if name not in override_names():
        raise ConfigError(
            [f"There is no override `{name}`. Use {', '.join(override_names())} or the path of a .yml file."]
        )
    return CONFIGS / f"{name}.yml"


def role_keys(role: str, rl: str, run: str, base: Mapping[str, Any], output: Output) -> Config:
    """What follows from the names of role, method and run alone: the rows, the output folder, the name in W&B."""
    return {
        "datasets": [{**block, "path": str(output.rows(role, "train", rl))} for block in base["datasets"]],
        "test_datasets": [{**block, "path": str(output.rows(role, "val", rl))} for block in base["test_datasets"]],
        "output_dir": str(output.checkpoints(run)),
        "wandb_name": run,
    }


def start_keys(config: Mapping[str, Any], adapter: Path) -> Config:
    """Where a recipe starts that goes on with an adapter; on preferences it takes a trainer of ours to load it."""
    keys = {START: str(config[START]).replace("{adapter}", str(adapter))}
    rl = method_of(config)
    return keys | ({"trainer_cls": CONTINUED[rl]} if rl in CONTINUED else {})


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> Config:
    """Deep merge of two mappings: `over` wins, its `null` deletes the key, its lists replace whole lists.

    A mapping over a list of mappings is merged into each of them: an override need not know the paths of the rows.
    """
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(below, list) and _all_mappings(below):
            merged[key] = [merge(block, value) for block in below]
        elif isinstance(value, Mapping):
            merged[key] = merge(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def _all_mappings(blocks: list[Any]) -> bool:
    return bool(blocks) and all(isinstance(block, Mapping) for block in blocks)


def without_evaluation(config: Mapping[str, Any]) -> Config:
    return {key: value for key, value in config.items() if key not in EVALUATION_KEYS}


def differences(base: Mapping[str, Any], config: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(key, value in base, value in config) for every top-level key that differs; None where a side has none."""
    keys = dict.fromkeys((*base, *config))
    return [(key, base.get(key), config.get(key)) for key in keys if base.get(key) != config.get(key)]
