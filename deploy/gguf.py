"""Exports a version as GGUF for llama.cpp and Ollama, by llama.cpp's own converters, and verifies it before it counts.

`python -m deploy.gguf mayor 3` makes the merged model in Q4_K_M; `--kind gguf-f16` in 16 bits, `--kind gguf-lora` the
adapter alone with its base beside it. A file is recorded only if its metadata and tensor types are right, llama-server
loads it, reads texts as the same tokens, and answers as the source does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from deploy.adapter import Refusal
from deploy.exports import Kind
from deploy.gguf_files import F16, Q4_K_M, Job, export_of, told_size
from deploy.gguf_tokens import SPLITS
from deploy.merge import add_version_options
from deploy.registry import Export, Registry, Version

KINDS = [kind for kind in Kind if kind.startswith("gguf")]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: 0 when the file is there and recorded, else 1 with one sentence."""
    options = parser().parse_args(argv)
    try:
        with Registry.open(options.root) as registry:
            version = registry.version(options.role, options.version)
            base_type = Q4_K_M if options.base_type == "q4_k_m" else F16
            job = Job(registry, options.root, version, options.base, options.pre_tokenizer, base_type)
            export = export_of(job, Kind(options.kind))
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    print(told(version, export))
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m deploy.gguf", description=(__doc__ or "").split("\n")[0])
    add_version_options(result)
    result.add_argument("--kind", choices=KINDS, default=str(Kind.GGUF_Q4_K_M), help="what to make (gguf-q4_k_m)")
    result.add_argument(
        "--pre-tokenizer",
        choices=sorted(SPLITS),
        help="how the vocabulary cuts texts, where llama.cpp does not know it; checked against tokenizer.json",
    )
    result.add_argument(
        "--base-type", choices=["f16", "q4_k_m"], default="f16", help="type of the base beside a gguf-lora (f16)"
    )
    return result


def told(version: Version, export: Export) -> str:
    """What was made, and how it answers beside its source."""
    report = export.report
    types = ", ".join(f"{count} {name}" for name, count in report["tensors"].items())
    beside = f", with {export.base}" if export.base else ""
    return (
        f"{version.name} as {export.kind}: {export.path} ({told_size(export)}; {types}){beside}\n"
        f"{report['equal_tokens']} of {report['tokens']} tokens of {report['prompts']} answers are those of the source "
        f"({report['equal_answers']} answers entirely), which ran in {report['precision']}."
    )


if __name__ == "__main__":
    sys.exit(main())
