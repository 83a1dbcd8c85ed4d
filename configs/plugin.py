"""The Axolotl plugin of base.yml: prepared data named by content, seeded LoRA weights, the trainer's last state.

Axolotl's cache of prepared data does not look at the rows, so an edited file trains the old ones. Its `seed` does not
reach the random half of a new adapter, so two equal runs differ from their first step. And it exits 0 without a word
on how training ended; the state that this writes is what configs/runs/check.py judges.
"""

import re
from pathlib import Path
from typing import Any

from axolotl.integrations.base import BasePlugin
from transformers import TrainerCallback, set_seed

from configs.rows import prepared_name, read_rows

PREPARED = "output/prepared/base"
# configs/resolve.py has named the folder already.
NAMED_BY_CONTENT = re.compile(r"[0-9a-f]{16}")


class ForgePlugin(BasePlugin):  # type: ignore[misc]
    """Named in `plugins:` as `configs.plugin.ForgePlugin`; found because the project is installed in editable form."""

    def register(self, cfg: Any) -> None:
        prepared = Path(cfg.get("dataset_prepared_path") or PREPARED)
        if not NAMED_BY_CONTENT.fullmatch(prepared.name):
            cfg["dataset_prepared_path"] = str(prepared.parent / name_of_rows(cfg))

    def pre_lora_load(self, cfg: Any, model: Any) -> None:
        set_seed(cfg.seed)

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        return [FinalState(Path(cfg.output_dir))]


def name_of_rows(cfg: Any) -> str:
    """The name of the prepared data of a recipe that was not resolved; a missing file is left for Axolotl to name."""
    blocks = [*(cfg.get("datasets") or ()), *(cfg.get("test_datasets") or ())]
    paths = (Path(block["path"]) for block in blocks)
    return prepared_name(cfg, [read_rows(path) for path in paths if path.is_file()])


class FinalState(TrainerCallback):  # type: ignore[misc]
    """Writes `trainer_state.json` at the root of the output folder when the training loop ends, for whatever reason."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            state.save_to_json(str(self.folder / "trainer_state.json"))
