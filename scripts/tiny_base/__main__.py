"""Command line of the tiny base: `python -m scripts.tiny_base --data DIR --out DIR`."""

import argparse
import logging
import os
import shutil
import sys
import time
from pathlib import Path

from scripts.tiny_base.texts import read_town


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.tiny_base", description="Pre-train a tiny base model.")
    parser.add_argument("--data", type=Path, required=True, help="dataset folder with gastown_train.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="where the model goes; replaced when it exists")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args(arguments)
    try:
        make_base(options.data, options.out, options.steps, options.seed)
    except (ValueError, OSError) as error:
        print(f"tiny base: {error}", file=sys.stderr)
        return 1
    return 0


def make_base(datasets: Path, out: Path, steps: int, seed: int) -> None:
    """Train tokenizer and model into a folder beside `out`, then put it in place in one move."""
    town = read_town(datasets)
    # Threads beyond the first cost more than they give at this size, and change the last digits.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for library in ("bitsandbytes", "torch.utils._pytree", "torchao"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # kernels that no CPU has
    from scripts.tiny_base.model import build_model, pretrain, save
    from scripts.tiny_base.tokenizer import train_tokenizer

    started = time.monotonic()
    unfinished = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        tokenizer = train_tokenizer(town.texts, unfinished)
        model = build_model(tokenizer, seed)
        for step, loss in pretrain(model, tokenizer, town, steps, seed):
            print(
                f"step {step:4d} of {steps}: loss {loss:.3f}, {time.monotonic() - started:.0f} s",
                file=sys.stderr,
            )
        save(model, unfinished)
        shutil.rmtree(out, ignore_errors=True)
        unfinished.replace(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    print(f"{out}: {model.num_parameters():,} parameters, {len(tokenizer)} tokens in the vocabulary")


if __name__ == "__main__":
    sys.exit(main())
