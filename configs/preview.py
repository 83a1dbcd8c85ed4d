"""A role's rows as Axolotl will train them: checked by Axolotl, counted against what they say of themselves, and one of
them printed with its trained tokens marked. Used by `python -m configs.validate --deep ROLE`.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import yaml

from configs.files import Output
from configs.prepared import Piece, Prepared
from configs.strict_yaml import ConfigError

LOG: Final = "validate.log"
QUIET: Final = {
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "AXOLOTL_DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
GREEN, DIM, RESET = "\x1b[1;32m", "\x1b[2m", "\x1b[0m"


def inspect(config: Mapping[str, Any], output: Output) -> dict[str, Prepared]:
    """Axolotl's own view of a resolved recipe, by split. Raises `ConfigError` with all that Axolotl objects to."""
    if find_spec("axolotl") is None:
        raise ConfigError(["Axolotl is not installed in this environment. Run `pip install -r requirements-gpu.txt`."])
    log = output.prepared / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        recipe, report = Path(folder, "recipe.yml"), Path(folder, "report.json")
        recipe.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
        command = [sys.executable, "-m", "configs.axolotl_check", str(recipe), "--report", str(report)]
        with log.open("w", encoding="utf-8") as said:
            code = subprocess.run(
                command, stdout=said, stderr=subprocess.STDOUT, env=os.environ | QUIET, check=False
            ).returncode
        if code or not report.is_file():
            raise ConfigError([f"Axolotl ended with exit code {code}. What it said is in {log}."])
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    if problems := found.pop("problems"):
        raise ConfigError([f"{problem.removesuffix('.')}. What Axolotl said is in {log}." for problem in problems])
    return {split: Prepared(**values) for split, values in found.items()}


def compared(file: Path, prepared: Prepared, config: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """(what to say, what is wrong) of prepared rows beside the file that they come from."""
    if config.get("rl"):
        return [f"{prepared.rows:,} preferences"], []
    promised = promises(file)
    said = [f"{prepared.rows:,} of {len(promised):,} rows{why_fewer(promised, prepared, config)}"]
    wrong: list[str] = []
    real, own = sum(t for _, t in prepared.shapes), sum(t for _, t in promised)
    said.append(f"{sum(t for t, _ in prepared.shapes):,} tokens, {real:,} of them trained (the rows say {own:,})")
    if odd := (Counter(map(tuple, prepared.shapes)) - Counter(promised)).total():
        counted_by, base = tokenizer_of(file.parent), str(config["base_model"])
        sentence = f"{odd:,} rows have other counts than they say: {why_other(counted_by, base)}"
        (wrong if counted_by == base else said).append(sentence)
    if prepared.endless:
        wrong.append(
            f"{prepared.endless:,} trained replies do not end with an end mark, so the model would not learn to stop. "
            "Name the mark in `eot_tokens`, and keep `excess_length_strategy: raise`."
        )
    return said, wrong


def promises(file: Path) -> list[tuple[int, int]]:
    """(tokens, trained tokens) of each row by its own metadata."""
    with file.open(encoding="utf-8") as lines:
        metadata = [json.loads(line)["metadata"] for line in lines]
    return [(int(row["tokens"]), int(row["trained_tokens"])) for row in metadata]


def why_fewer(promised: list[tuple[int, int]], prepared: Prepared, config: Mapping[str, Any]) -> str:
    """Which rows Axolotl left out: those that train nothing, under packing, and those that are too long."""
    left = len(promised) - prepared.rows
    if not left:
        return ""
    empty = sum(trained == 0 for _, trained in promised) if config.get("sample_packing") else 0
    long = sum(tokens > config["sequence_len"] for tokens, _ in promised)
    reasons = [f"{empty} train nothing" if empty else "", f"{long} are longer than sequence_len" if long else ""]
    return f"; {left} left out ({', '.join(filter(None, reasons)) or 'by other tokens than the rows say'})"


def why_other(counted_by: str | None, base: str) -> str:
    if counted_by is None:
        return "nothing says which tokenizer counted them."
    if counted_by != base:
        return f"they were counted with the tokenizer of {counted_by}, and the recipe trains {base}."
    return "the mask is not the one that the pipeline promised. Run `make all` again, and report it if it stays."


def tokenizer_of(datasets: Path) -> str | None:
    """The base model with whose tokenizer the pipeline counted."""
    try:
        base = json.loads((datasets / "manifest.json").read_text(encoding="utf-8")).get("base_model")
    except (OSError, ValueError):
        return None
    return str(base) if base else None


def shown_sample(pieces: Iterable[Piece], colour: bool) -> str:
    """A row as text: trained tokens green and the rest dim, or trained tokens between bars."""
    return "".join(marked(text, trained, colour) for text, trained in pieces)


def marked(text: str, trained: bool, colour: bool) -> str:
    if colour:
        return f"{GREEN if trained else DIM}{text}{RESET}"
    return f"|{text}|" if trained else text


def view(config: Mapping[str, Any], files: Mapping[str, Path], output: Output, colour: bool) -> Iterator[str]:
    """What there is to say about a resolved recipe, line by line. Raises `ConfigError` with what is wrong."""
    found = inspect(config, output)
    problems: list[str] = []
    for split, prepared in found.items():
        said, wrong = compared(files[split], prepared, config)
        problems += [f"{files[split]}: {sentence}" for sentence in wrong]
        yield f"  {split}: {'; '.join(said)}"
    yield f"  prepared in {config['dataset_prepared_path']}"
    which = (
        "One of them, what is learned" if config.get("rl") else "The shortest row that trains something, trained tokens"
    )
    yield f"{which} {'in green' if colour else '|between bars|'}:\n{shown_sample(found['train'].sample, colour)}"
    if problems:
        raise ConfigError(problems)
