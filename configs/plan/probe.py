"""The Axolotl plugin of configs/plan/measure.py: what each step took, in seconds and bytes of the card."""

import json
import time
from pathlib import Path
from typing import Any

import torch
from axolotl.integrations.base import BasePlugin
from transformers import TrainerCallback

from configs.files import write_text
from configs.plan.measure import RECORDS


class ProbePlugin(BasePlugin):  # type: ignore[misc]
    """Writes `probe.json` into the output folder when training ends."""

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        return [Probe(Path(cfg.output_dir))]


class Probe(TrainerCallback):  # type: ignore[misc]
    """A record for each step and evaluation: seconds since the last one, peaks of tensors and of the whole card."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: list[dict[str, Any]] = []
        self.since = time.monotonic()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.add("step")
        self.start()

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.add("evaluation")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        write_text(self.folder / RECORDS, json.dumps(self.records))

    def start(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        self.since = time.monotonic()

    def add(self, what: str) -> None:
        record: dict[str, Any] = {"what": what}
        if torch.cuda.is_available():
            torch.cuda.synchronize()
            free, total = torch.cuda.mem_get_info()
            record |= {"tensors": torch.cuda.max_memory_allocated(), "card": total - free}
        self.records.append({**record, "seconds": time.monotonic() - self.since})
