"""Merges a version's adapter into its base model with Axolotl, and measures what the merge changed.

`python -m deploy.merge mayor 3` writes `output/exports/mayor/v3/merged` and records it in the registry. A QLoRA
adapter is merged onto its base as it was in training, rounded to 4 bits: that is another model than the adapter on the
full base, and the report says how different.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import yaml

from deploy.adapter import TOKENIZER, Refusal
from deploy.exports import Kind, base_folder, export_path, present, recipe_of, unfinished
from deploy.registry import Export, Registry, Version
from deploy.source_model import FIXED, PROMPTS, load, read_chats, refuse_without_training_libraries

# What the merge reads of a recipe; the rest is about training, and may name cards and files that are not here.
MERGED_KEYS: Final = (
    "adapter", "load_in_4bit", "load_in_8bit", "bnb_config_kwargs", "lora_r", "lora_alpha", "lora_dropout",
    "lora_target_modules", "lora_target_linear", "lora_modules_to_save", "peft_use_dora", "peft_use_rslora",
    "chat_template", "trust_remote_code",
)  # fmt: skip
# Axolotl validates these and does not use them here.
UNUSED: Final = {
    "datasets": [{"path": "unused.jsonl", "type": "chat_template"}],
    "micro_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "learning_rate": 1.0e-4,
    "bf16": False,
}
TOKENS_OF_A_TEXT: Final = 256
# Rounding of merged 16-bit weights moves near ties only; a merge that lost the adapter is far below.
LEAST_AGREEMENT: Final = 0.95


@dataclass(frozen=True)
class Difference:
    """Two models over the same texts: the largest difference of a logit, the share of tokens with equal argmax."""

    texts: int
    tokens: int
    max_logit_difference: float
    argmax_agreement: float
    precision: str


class Predicts(Protocol):
    """A model in whatever format, for `difference_of`."""

    def logits(self, tokens: Sequence[int]) -> Any: ...


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: 0 when the merged model is there, else 1 with one sentence."""
    options = parser().parse_args(argv)
    try:
        with Registry.open(options.root) as registry:
            version = registry.version(options.role, options.version)
            export = merged_model(registry, options.root, version, options.base)
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    print(f"{version.name} merged: {export.path} ({export.size / 1e6:,.1f} MB)")
    print(told(version, export.report))
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m deploy.merge", description=(__doc__ or "").split("\n")[0])
    add_version_options(result)
    return result


def add_version_options(result: argparse.ArgumentParser) -> None:
    """Which version, where, and where its base model lies."""
    result.add_argument("role", help="role of the version, such as mayor")
    result.add_argument("version", type=version_number, help="its number, such as 3 or v3")
    result.add_argument("--root", type=Path, default=Path("output"), metavar="DIR", help="output tree (output)")
    result.add_argument("--base", type=Path, metavar="DIR", help="the base model, if it is not where training had it")


def version_number(text: str) -> int:
    """3 of `3` or `v3`."""
    return int(text.removeprefix("v"))


def merged_model(registry: Registry, root: Path, version: Version, base: Path | None = None) -> Export:
    """The merged model of a version, made, measured and recorded where it is not there yet. Raises `Refusal`."""
    if (export := present(registry, version, Kind.MERGED)) is not None:
        return export
    refuse_without_training_libraries()
    started, folder = time.monotonic(), base_folder(version, base)
    path = export_path(root, version, Kind.MERGED)
    recipe = merge_recipe(version, folder)
    with unfinished(path) as place:
        axolotl_merge(recipe, version.folder, place)
        for name in TOKENIZER:
            if (version.folder / name).is_file():
                shutil.copyfile(version.folder / name, place / name)
        report = measure(root, version, folder, place, recipe)
    report["seconds"] = round(time.monotonic() - started, 1)
    return registry.add_export(version.role, version.number, Kind.MERGED, path, None, report)


def merge_recipe(version: Version, base: Path) -> dict[str, Any]:
    """What Axolotl needs to merge, from the version's own recipe where the registry has one."""
    known = recipe_of(version)
    kept = {key: known[key] for key in MERGED_KEYS if known.get(key) is not None}
    return {"adapter": "lora", **kept, **UNUSED, "base_model": str(base.resolve())}


def axolotl_merge(recipe: Mapping[str, Any], adapter: Path, out: Path) -> None:
    """Runs `axolotl merge-lora` and puts the merged model at `out`. Raises `Refusal` with the end of what it said."""
    with tempfile.TemporaryDirectory(prefix=".merge-", dir=out.parent) as folder:
        config = Path(folder) / "merge.yml"
        config.write_text(yaml.safe_dump({**recipe, "output_dir": folder}), encoding="utf-8")
        command = [sys.executable, "-m", "axolotl.cli.main", "merge-lora", str(config)]
        done = subprocess.run(
            [*command, f"--lora-model-dir={adapter.resolve()}"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "AXOLOTL_DO_NOT_TRACK": "1"},
        )
        merged = Path(folder) / "merged"
        if done.returncode or not (merged / "config.json").is_file():
            said = (done.stderr.strip() or done.stdout.strip()).split("\n")[-1]
            raise Refusal(f"axolotl merge-lora failed ({said}). Look at its output: {' '.join(command[1:4])} ...")
        merged.replace(out)


def measure(root: Path, version: Version, base: Path, merged: Path, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The report of a merge. Raises `Refusal` where a plain LoRA says something else merged than on its base."""
    rows = root / "datasets" / f"{version.role}_val.jsonl"
    chats = read_chats(rows, PROMPTS) or list(FIXED)
    difference = compare(base, version.folder, merged, chats)
    rounded = recipe["adapter"] == "qlora" or bool(recipe.get("load_in_4bit"))
    if not rounded and difference.argmax_agreement < LEAST_AGREEMENT:
        raise Refusal(
            f"the merged model differs from {version.name} on its base: {difference.argmax_agreement:.0%} of the "
            f"tokens are equal, and a plain LoRA keeps {LEAST_AGREEMENT:.0%}. Is this the base model of the training?"
        )
    of = "validation rows of the role" if rows.is_file() else "fixed texts"
    return {"base_in_4_bits": rounded, "texts_are": of, **asdict(difference)}


def compare(base: Path, adapter: Path, merged: Path, chats: Sequence[Any]) -> Difference:
    """The adapter on its base beside the merged model, token by token over the same texts; one in memory at a time."""
    source = load(base, adapter)
    texts = [source.encode(source.render(chat, prompt=False))[:TOKENS_OF_A_TEXT] for chat in chats]
    wanted = [source.logits(tokens) for tokens in texts]
    precision = source.precision
    del source
    return difference_of(load(merged), texts, wanted, precision)


def difference_of(model: Predicts, texts: Sequence[Sequence[int]], wanted: Sequence[Any], precision: str) -> Difference:
    """What a model's logits are beside the wanted ones."""
    largest, equal = 0.0, 0
    for tokens, expected in zip(texts, wanted, strict=True):
        found = model.logits(tokens)
        largest = max(largest, float((found - expected).abs().max()))
        equal += int((found.argmax(-1) == expected.argmax(-1)).sum())
    count = sum(map(len, texts))
    return Difference(len(texts), count, largest, equal / count, precision)


def told(version: Version, report: Mapping[str, Any]) -> str:
    """What a report means, in one or two sentences."""
    numbers = (
        f"beside the adapter on its base, over {report['tokens']:,} tokens of {report['texts_are']}: logits differ by "
        f"{report['max_logit_difference']:.2g} at most, and the likeliest token is the same for "
        f"{report['argmax_agreement']:.1%}"
    )
    if not report["base_in_4_bits"]:
        return f"{numbers[0].upper()}{numbers[1:]}."
    return (
        f"{version.name} was trained on a base in 4 bits, and is merged onto that base, rounded to NF4 and back: "
        f"another model than the adapter on the full base. {numbers[0].upper()}{numbers[1:]}. "
        "Evaluate the one that you serve."
    )


if __name__ == "__main__":
    sys.exit(main())
