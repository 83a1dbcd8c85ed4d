"""An output folder for tests of the registry and of what stands on it: datasets, adapters as a training leaves them
(whole files, invented weights), and results of role_bench about exactly these adapters.

`make_town(tmp_path)` builds the datasets; `town.released("mayor", 1)` is a registered, evaluated, promoted version.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from deploy.evidence import adapter_digest
from deploy.registry import Registry, Version
from eval.results import RoleBench
from tests.eval_results import ADAPTER, FACTS, Passes, every, make_run, make_side, none, save
from tests.traced_dataset import trace, write_dataset

BASE_MODEL = "Qwen/Qwen2.5-7B-Instruct"
REVISION = "a09a35458c702b33eeacc393d103063234e8bc28"
ROLES = ("crew", "mayor", "refinery")
# Each role has rows of two sessions in train and one in val.
SESSIONS = {
    role: tuple(f"{number}e551011-0000-4000-8000-0000000000{place}{number}" for number in (1, 2, 3))
    for place, role in enumerate(ROLES)
}


@dataclass(frozen=True)
class Town:
    """What `make_town` built; `root` is the output folder."""

    root: Path

    @property
    def manifest(self) -> Path:
        """The dataset's manifest.json."""
        return self.root / "datasets" / "manifest.json"

    def train(self, role: str = "mayor", seed: int = 1, run: str = "", **record: Any) -> Path:
        """A finished training in root/adapters/<run>, in place of the one before; other seeds, other weights."""
        return write_adapter(self.root / "adapters" / (run or role), self.record(role, **record), seed)

    def record(self, role: str, method: str = "", start: str = "", **other: Any) -> dict[str, Any]:
        """run.json of a training on the rows of a role, or on preferences by a method, or on from another adapter."""
        names = [f"{role}.{method}.{split}.jsonl" if method else f"{role}_{split}.jsonl" for split in ("train", "val")]
        files = [self.root / "datasets" / name for name in names]
        known = {
            "base_model": BASE_MODEL,
            "config": f"base_model: {BASE_MODEL}\nadapter: qlora\nload_in_4bit: true\nrevision_of_model: {REVISION}\n"
            + (f"lora_model_dir: {start}\n" if start else ""),
            "data": [rows_of(file) for file in files if file.is_file()],
            "manifest": {"path": str(self.manifest), "sha256": sha256(self.manifest.read_bytes()).hexdigest()},
            "versions": {"axolotl": "0.19.0"},
            "started_at": "2026-11-01T10:00:00+00:00",
            "finished_at": "2026-11-01T11:00:00+00:00",
            "outcome": {"steps": 20, "max_steps": 20, "epochs": 1.0, "first_loss": 2.5, "last_loss": 0.5},
        }
        return {**known, **other}

    def results(self, adapter: Path | None, passes: Passes = every, role: str = "mayor", **other: Any) -> Path:
        """Results of role_bench, of the base alone or of the adapter in a folder: root/evals/<role>/..."""
        facts: dict[str, Any] = {**FACTS, "base_model": BASE_MODEL, "base_revision": REVISION, "adapter": None}
        if adapter is not None:
            facts["adapter"] = {**ADAPTER, "path": str(adapter), "sha256": adapter_digest(adapter)}
        run: RoleBench = make_run(make_side(passes, roles=(role,)), adapter is not None, **{"facts": facts, **other})
        name = f"adapter-{adapter_digest(adapter)[:12]}" if adapter is not None else "base"
        folder = self.root / "evals" / role / name
        folder.mkdir(parents=True, exist_ok=True)
        return save(run, folder / "results.json")

    def registered(self, role: str = "mayor", seed: int = 1) -> Version:
        """A version without an evaluation."""
        with Registry.open(self.root) as registry:
            return registry.register(self.train(role, seed), role)

    def evaluated(self, role: str = "mayor", seed: int = 1, passes: Passes = every) -> Version:
        """A version with an evaluation that it passed, against a base that fails everything."""
        version = self.registered(role, seed)
        results = self.results(None, none, role), self.results(version.folder, passes, role)
        with Registry.open(self.root) as registry:
            registry.attach_evaluation(role, version.number, *results)
            return registry.version(role, version.number)

    def released(self, role: str = "mayor", seed: int = 1) -> Version:
        """A version that is live."""
        version = self.evaluated(role, seed)
        with Registry.open(self.root) as registry:
            registry.promote(role, version.number, by="test")
        return version

    def forget(self, *sessions: str) -> None:
        """Put sessions on the list of forgotten ones."""
        with (self.root / "forgotten.txt").open("a", encoding="utf-8") as listed:
            listed.writelines(f"{session}\n" for session in sessions)


def make_town(root: Path, roles: Iterable[str] = ROLES) -> Town:
    """An output folder with a dataset of these roles."""
    traces = [
        trace(f"{session}:0.0#0", split, role)
        for role in roles
        for session, split in zip(SESSIONS[role], ("train", "train", "val"), strict=True)
    ]
    write_dataset(root / "datasets", traces)
    return Town(root)


def write_adapter(folder: Path, record: dict[str, Any] | None, seed: int = 1) -> Path:
    """The files of an adapter in a folder; version folders in it stay."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"base_model_name_or_path": BASE_MODEL, "peft_type": "LORA", "r": 8, "lora_alpha": 16}
    write_json(folder / "adapter_config.json", config)
    (folder / "adapter_model.safetensors").write_bytes(safetensors(seed))
    write_json(folder / "tokenizer.json", {"model": {"vocab": {"a": 0}}})
    write_json(folder / "tokenizer_config.json", {"eos_token": "<|im_end|>"})
    (folder / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    if record is not None:
        write_json(folder / "run.json", record)
    return folder


def rows_of(file: Path) -> dict[str, Any]:
    """How run.json names a file of rows."""
    content = file.read_bytes()
    counts = {"rows": content.count(b"\n"), "tokens": 900, "trained_tokens": 300, "longest": 90}
    return {"path": str(file), **counts, "sha256": sha256(content).hexdigest()}


def safetensors(seed: int) -> bytes:
    """A whole safetensors file with one tensor of noise."""
    data = random.Random(seed).randbytes(4096)
    header = json.dumps({"a": {"dtype": "F32", "shape": [1024], "data_offsets": [0, 4096]}}).encode()
    return struct.pack("<Q", len(header)) + header + data


def write_json(path: Path, value: Any) -> Path:
    """A JSON file."""
    path.write_text(json.dumps(value), encoding="utf-8")
    return path
