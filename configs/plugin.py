"""The Axolotl plugin of base.yml: prepared data named by content, seeded LoRA weights, a record of what happened.

Axolotl's cache of prepared data does not look at the rows, so an edited file trains the old ones. Its `seed` does not
reach the random half of a new adapter, so two equal runs differ from their first step. And it exits 0 without a word
on how training ended; the state and the history that this writes are what configs/runs judges and draws.
"""

import os
import re
import resource
import time
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from axolotl.integrations.base import BasePlugin
from transformers import TrainerCallback, set_seed

from configs.rows import prepared_name, read_rows
from configs.runs.history import append, begin, chosen
from configs.runs.machine import GIB, process_mark, this_machine
from configs.runs.record import note_start

PREPARED = "output/prepared/base"
# configs/resolve.py has named the folder already.
NAMED_BY_CONTENT = re.compile(r"[0-9a-f]{16}")


class ForgePlugin(BasePlugin):  # type: ignore[misc]
    """Named in `plugins:` as `configs.plugin.ForgePlugin`; found because the project is installed in editable form."""

    recipe = ""

    def register(self, cfg: Any) -> None:
        """Change the recipe before Axolotl validates it, and keep it as it was given."""
        prepared = Path(cfg.get("dataset_prepared_path") or PREPARED)
        if not NAMED_BY_CONTENT.fullmatch(prepared.name):
            cfg["dataset_prepared_path"] = str(prepared.parent / name_of_rows(cfg))
        if cfg.get("use_trackio"):
            cfg["trackio_run_name"] = cfg.get("trackio_run_name") or Path(cfg["output_dir"]).name
            mend_trackio(cfg.get("trackio_project_name") or "lora-forge")
        given = {key: value for key, value in plain(cfg).items() if key != "axolotl_config_path"}
        self.recipe = yaml.safe_dump(given, sort_keys=False)

    def pre_lora_load(self, cfg: Any, model: Any) -> None:
        set_seed(cfg.seed)

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        return [History(Path(cfg.output_dir), self.recipe), NoExtraStep(trainer)]


def mend_trackio(project: str) -> None:
    """Let transformers 5.16 open the trackio 0.19 that Axolotl pins.

    It passes a `bucket_id` which that version does not know, and its own project in place of the recipe's.
    """
    import trackio

    opened = trackio.init

    def init(**named: Any) -> Any:
        named.pop("bucket_id", None)
        return opened(**named | {"project": project})

    trackio.init = init  # type: ignore[assignment]


def plain(value: Any) -> Any:
    """Axolotl's dictionaries as those of Python, which YAML can write; a worker of Ray gets enums in them too."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def name_of_rows(cfg: Any) -> str:
    """The name of the prepared data of a recipe that was not resolved; a missing file is left for Axolotl to name."""
    blocks = [*(cfg.get("datasets") or ()), *(cfg.get("test_datasets") or ())]
    paths = (Path(block["path"]) for block in blocks)
    return prepared_name(cfg, [read_rows(path) for path in paths if path.is_file()])


class History(TrainerCallback):  # type: ignore[misc]
    """Writes history.jsonl while training goes on, and `trainer_state.json` at the root of the output folder when the
    loop ends, for whatever reason. Only the first process of several writes.
    """

    def __init__(self, folder: Path, recipe: str) -> None:
        self.folder = folder
        self.recipe = recipe
        self.seconds = 0.0
        self.since: float | None = None
        self.memory = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step:
            # Evaluated before, when the checkpoint was saved. Once more, without a better loss, would count against the
            # patience of early stopping, and the run would end before one that nobody disturbed.
            args.eval_on_start = False
        if state.is_world_process_zero:
            # A run that configs/runs/start.py did not prepare, such as one of a sweep, is noted here.
            note_start(self.folder, self.recipe)
            machine = this_machine().as_json()
            mark = process_mark(os.getpid())
            begin(self.folder, state.global_step, max_steps=state.max_steps, process=mark, machine=machine)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.since = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # Axolotl sets the GPU's peak back with every log line, which follows.
        self.memory = max(self.memory, peak_memory())
        if not control.should_log:
            self.pause()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """A line for each training step and each evaluation; here the GPU has finished what it was given."""
        logs = logs or {}
        kind = "step" if "loss" in logs else "eval" if "eval_loss" in logs else None
        if kind is None or not state.is_world_process_zero:
            return
        values = chosen(logs)
        if kind == "step":
            self.pause()
            values["seconds"], self.seconds = round(self.seconds, 4), 0.0
        # Axolotl's number for an evaluation, which has no step to end.
        reserved = int(float(logs.get("memory/device_reserved (GiB)") or 0) * GIB)
        if memory := max(self.memory, reserved):
            values["memory"], self.memory = memory, 0
        append(self.folder, kind, state.global_step, **values)

    def pause(self) -> None:
        """Add the time of the step under way, if there is one."""
        if self.since is not None:
            self.seconds += time.monotonic() - self.since
        self.since = None

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            append(self.folder, "save", state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            state.save_to_json(str(self.folder / "trainer_state.json"))
            append(self.folder, "end", state.global_step)


class NoExtraStep(TrainerCallback):  # type: ignore[misc]
    """Keeps a finished run as it is when it is started again.

    The trainer of transformers 5.16 looks whether it has reached `max_steps` after a step only, so that it would train
    one more each time.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step >= state.max_steps:
            self.trainer._run_epoch = lambda **_: None


def peak_memory() -> int:
    """Bytes that this process took at most: on its GPU since the last log line, on a CPU since it started."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_reserved())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
