"""Trainers that go on with an adapter on preferences, which configs/combine.py names in `trainer_cls`.

For DPO and KTO Axolotl 0.19 hands the bare model to the trainer and never loads `lora_model_dir`, so that a recipe with
it silently trains a new adapter against the base. TRL does the right thing if it is given the loaded adapter: it keeps
a frozen copy beside it, named `ref`, and that is the reference.
"""

from functools import partial
from typing import Any

from axolotl.core.trainers import AxolotlKTOTrainer
from axolotl.core.trainers.dpo.trainer import AxolotlDPOTrainer
from axolotl.integrations.base import PluginManager
from peft import PeftModel

START = "default"
REFERENCE = "ref"


class Dpo(AxolotlDPOTrainer):  # type: ignore[misc]
    def __init__(self, model: Any, *arguments: Any, peft_config: Any = None, **named: Any) -> None:
        super().__init__(loaded(model), *arguments, **named)
        freeze(self.model)


class Kto(AxolotlKTOTrainer):  # type: ignore[misc]
    def __init__(self, model: Any, *arguments: Any, peft_config: Any = None, **named: Any) -> None:
        super().__init__(loaded(model), *arguments, **named)
        freeze(self.model)


def loaded(model: Any) -> Any:
    """The model with the adapter that the recipe starts from."""
    return PeftModel.from_pretrained(model, PluginManager.get_instance().cfg.lora_model_dir, is_trainable=True)


def freeze(model: Any) -> None:
    """Make the reference what training starts from to the last bit, and keep it out of what is saved.

    TRL rounds the weights in training to 16 bit on a quantized base, and not the copy. And transformers, which finds a
    second adapter in a checkpoint, resumes with that one and forgets the first.
    """
    weights = dict(model.named_parameters())
    for name, weight in weights.items():
        if f".{REFERENCE}." in name:
            weight.data = weights[name.replace(f".{REFERENCE}.", f".{START}.")].data.clone()
            weight.requires_grad_(False)
    model.save_pretrained = partial(model.save_pretrained, selected_adapters=[START])
