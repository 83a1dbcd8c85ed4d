"""The options that every command which runs a model shares."""

import argparse
from pathlib import Path
from typing import get_args

from eval.config import DEFAULT
from eval.models import Backend, Settings

DEFAULTS = Settings()


def model_options(command: str, description: str | None, out: str = "results file") -> argparse.ArgumentParser:
    """A parser with --model, --base-model, --config, --backend, --max-new-tokens, --batch-size and --out."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {command}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="base, an adapter folder, or http://HOST/v1#NAME")
    parser.add_argument("--base-model", help="base model; default: the adapter's own, or that of the config")
    parser.add_argument("--config", type=Path, default=DEFAULT, help=f"default {DEFAULT}")
    parser.add_argument("--max-new-tokens", type=positive, default=DEFAULTS.max_new_tokens)
    parser.add_argument("--batch-size", type=positive, default=DEFAULTS.batch_size)
    parser.add_argument("--backend", choices=get_args(Backend), default="hf", help="what runs a local model")
    parser.add_argument("--out", type=Path, required=True, help=out)
    return parser


def positive(text: str) -> int:
    """A count of 1 or more on a command line."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value
