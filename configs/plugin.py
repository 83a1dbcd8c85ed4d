"""The Axolotl plugin of base.yml: seeded LoRA weights, and the trainer's last state beside the adapter.

Axolotl's `seed` does not reach the random half of a new adapter, so two equal runs differ from their first
step. And it exits 0 without a word on how training ended; the state that this writes is what
configs/check_run.py judges.
"""

from pathlib import Path
from typing import Any

from axolotl.integrations.base import BasePlugin
from transformers import TrainerCallback, set_seed


class ForgePlugin(BasePlugin):  # type: ignore[misc]
    """Named in `plugins:` as `configs.plugin.ForgePlugin`; found because the project is installed in editable form."""

    def pre_lora_load(self, cfg: Any, model: Any) -> None:
        set_seed(cfg.seed)

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        return [FinalState(Path(cfg.output_dir))]


class FinalState(TrainerCallback):  # type: ignore[misc]
    """Writes `trainer_state.json` at the root of the output folder when the training loop ends, for whatever reason."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            state.save_to_json(str(self.folder / "trainer_state.json"))
