"""Writes what the walkthrough begins with: `python -m scripts.packs_smoke --root DIR --base DIR`.

A Q&A file, the tasks that ask for what it says and for more, and three configurations: configs/packs/companion.yml with
the tiny base, configs/loop.yml for rounds of this size, and configs/serve.yml on a free port.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from configs.combine import merge
from configs.files import CONFIGS, write_text
from configs.strict_yaml import load_mapping
from deploy.serve.engine_process import free_port
from scripts.packs_smoke.files import write_lines
from scripts.packs_smoke.world import KINDS, UNKNOWN_AT_FIRST, facts, qna, task
from scripts.smoke_data import WINDOWS

PACK: Final = CONFIGS / "packs" / "companion.yml"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.packs_smoke", description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder of the walkthrough")
    parser.add_argument("--base", type=Path, required=True, help="folder of the tiny base")
    options = parser.parse_args(arguments)
    root, port = options.root.absolute(), free_port()
    known = facts([kind for kind in KINDS if kind not in UNKNOWN_AT_FIRST])
    write_lines(root / "qna.jsonl", qna(known))
    write_lines(root / "tasks" / "companion.jsonl", map(task, facts()))
    for name, source, changes in (
        ("companion", PACK, pack_changes(root, options.base)),
        ("loop", CONFIGS / "loop.yml", loop_changes(port)),
        ("serve", CONFIGS / "serve.yml", {"root": str(root), "port": port, "packs": [str(root / "companion.yml")]}),
    ):
        changed = merge(load_mapping(source), changes)
        write_text(root / f"{name}.yml", yaml.safe_dump(changed, sort_keys=False, allow_unicode=True))
    print(f"wrote {len(known)} facts to learn, {len(facts())} to be asked for, and the pack {root.name}/companion.yml")
    return 0


def pack_changes(root: Path, base: Path) -> dict[str, Any]:
    """The companion's pack for a tiny base: this vault and this file, and answers of a few words."""
    return {
        "base_model": str(base),
        "sources": [
            {"kind": "vault", "path": "{sessions}", "role": "companion"},
            {"kind": "qna", "path": str(root / "qna.jsonl"), "role": "companion"},
        ],
        "windows": WINDOWS,
        "quality": {"min_answer_chars": 20},
        "curation": {"decisions": str(root / "curation.db")},
        "forgotten": str(root / "forgotten.txt"),
        "overlap": {"prompts": str(root / "tasks")},
        "eval": {"tasks": str(root / "tasks" / "companion.jsonl")},
    }


def loop_changes(port: int) -> dict[str, Any]:
    """The loop for a pack of this size: questions that differ in one word are different questions here."""
    return {
        "examples": {"families": len(UNKNOWN_AT_FIRST) - 1, "each": 12},
        "shares": {"generated": 0.7},
        "curation": {"min_answer": 10, "likeness": 0.99},
        "evaluation": {"max_new_tokens": 2048},
        "gate": {"margin": 0.0, "live": 0.0},
        "export": {"kind": "gguf-q4_k_m", "pre_tokenizer": "qwen2"},
        "gateway": f"http://127.0.0.1:{port}",
    }


if __name__ == "__main__":
    sys.exit(main())
