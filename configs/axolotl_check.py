"""What Axolotl itself says to a recipe, and what it makes of the rows, without a GPU and without training.

`python -m configs.axolotl_check CONFIG --report FILE` validates a resolved recipe as on a card of the RTX 40 series,
prepares its rows where the training will look for them, and writes what came out as JSON. configs/validate.py starts it
in a process of its own: Axolotl talks a lot and leaves switches behind.
"""

import argparse
import importlib.metadata
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from configs.files import write_text
from configs.prepared import Prepared, of_preferences, of_replies
from configs.strict_yaml import load_mapping

# The card that a recipe is checked for, whatever is here: 8.9 is the compute capability of the RTX 40 series and L40S.
CARD: Final = {"bf16": True, "fp8": False, "tf32": True, "compute_capability": "sm_89"}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m configs.axolotl_check", description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="a file that configs.resolve wrote")
    parser.add_argument("--report", type=Path, required=True, help="where to write what came out, as JSON")
    options = parser.parse_args(arguments)
    os.environ |= {"AXOLOTL_DO_NOT_TRACK": "1", "AXOLOTL_IS_PREPROCESS": "1"}
    config = load_mapping(options.config)
    report: dict[str, Any] = {"problems": refusals(config)}
    if not report["problems"]:
        try:
            report |= {split: asdict(found) for split, found in prepare(config).items()}
        except Exception as error:
            report["problems"] = [reason(error, str(config["base_model"]))]
    write_text(options.report, json.dumps(report))
    return 0


def validated(config: Mapping[str, Any]) -> Any:
    """The recipe after Axolotl's own validation. Raises what Axolotl raises."""
    from axolotl.utils.config import prepare_plugins, validate_config
    from axolotl.utils.dict import DictDefault

    cfg = DictDefault(dict(config))
    # Without them the keys of plugins would be dropped.
    prepare_plugins(cfg)
    several = any(config.get(key) for key in ("deepspeed", "fsdp_config", "use_ray"))
    torch = importlib.metadata.version("torch").partition("+")[0]
    return validate_config(
        cfg, capabilities={**CARD, "n_gpu": 2 if several else 1}, env_capabilities={"torch_version": torch}
    )


def refusals(config: Mapping[str, Any]) -> list[str]:
    """Why Axolotl would not start with this recipe, one sentence each."""
    from pydantic import ValidationError

    try:
        validated(config)
    except ValidationError as error:
        return [f"Axolotl: {where(found)}{message(found)}" for found in error.errors()]
    except (DeprecationWarning, ValueError, ImportError) as error:
        return [f"Axolotl: {error}"]
    return []


def where(found: Mapping[str, Any]) -> str:
    place = ".".join(map(str, found["loc"]))
    return f"`{place}`: " if place else ""


def message(found: Mapping[str, Any]) -> str:
    return str(found["msg"]).removeprefix("Value error, ")


def prepare(config: Mapping[str, Any]) -> dict[str, Prepared]:
    """Axolotl's prepared rows by split, as `axolotl preprocess` writes them for the training.

    Not the command itself: it draws a random row to show, and stops where there is only one.
    """
    from axolotl.common.datasets import load_datasets, load_preference_datasets
    from axolotl.loaders import load_tokenizer
    from axolotl.utils.config import normalize_cfg_datasets, normalize_config
    from axolotl.utils.trainer import disable_datasets_caching

    cfg = validated(config)
    cfg.is_preprocess = True
    normalize_config(cfg)
    normalize_cfg_datasets(cfg)
    with disable_datasets_caching():
        loaded = (load_preference_datasets if cfg.rl else load_datasets)(cfg=cfg)
    tokenizer = load_tokenizer(cfg)
    read = of_preferences if cfg.rl else of_replies
    splits = {"train": loaded.train_dataset, "val": loaded.eval_dataset}
    ends = end_tokens(tokenizer, cfg.eot_tokens or ())
    return {split: read(rows, tokenizer, ends) for split, rows in splits.items() if rows is not None}


def end_tokens(tokenizer: Any, named: Any) -> set[int]:
    """The ids that end a reply: the tokenizer's own end and those of `eot_tokens`."""
    return {tokenizer.eos_token_id, *(tokenizer.convert_tokens_to_ids(token) for token in named)}


def reason(error: BaseException, base: str) -> str:
    """What Axolotl raised, as one sentence with the fix where it is known."""
    kinds = {type(link).__name__ for link in chain(error)}
    text = " ".join(str(error).split())
    if "GatedRepoError" in kinds or "gated repo" in text:
        return f"{base} is given to accounts only. Accept its licence on the hub and set HF_TOKEN."
    if kinds & {"LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectError"} or "couldn't connect" in text:
        return (
            f"{base} is not on this machine, and the hub cannot be reached. Where there is a network, run "
            f'`hf download {base} --exclude "*.safetensors"`: its tokenizer is enough for this check.'
        )
    if kinds & {"RepositoryNotFoundError", "HFValidationError"}:
        return f"{base}: neither a model's folder nor a model on the hub. Correct base_model."
    return f"Axolotl cannot prepare the rows: {type(error).__name__}: {text}"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


if __name__ == "__main__":
    sys.exit(main())
