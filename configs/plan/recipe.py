"""What the arithmetic needs to know of a resolved recipe, with Axolotl's defaults where a key is not set."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from configs.plan.shapes import LINEAR
from configs.strict_yaml import ConfigError

Sharding = Literal["none", "zero3", "fsdp2"]

# Bytes of optimizer state for one trained parameter: two moments of 32 bit; of 8 bit with a 32-bit scale for each
# block of 256 (Dettmers et al. 2022, arXiv:2110.02861, 2); lion keeps one moment. What is not listed is taken for an
# AdamW.
OPTIMIZER_BYTES: Final = {
    "adamw_bnb_8bit": 2 + 8 / 256,
    "adamw_8bit": 2 + 8 / 256,
    "paged_adamw_8bit": 2 + 8 / 256,
    "adamw_torch_8bit": 2 + 8 / 256,
    "lion_32bit": 4.0,
    "lion_8bit": 1 + 4 / 256,
    "paged_lion_8bit": 1 + 4 / 256,
    "sgd": 0.0,
    "adafactor": 0.1,
}
ADAMW_BYTES: Final = 8.0
# Methods that learn from a better and a worse reply; kto judges one.
PAIRS: Final = ("dpo", "ipo", "orpo", "simpo")
# Axolotl 0.19, utils/schemas/enums.py: with these a micro-batch is one long pack, with the others several short ones.
ONE_LONG_PACK: Final = ("flash", "flex_attention", "xformers", "sage", "kernels-community/")


@dataclass(frozen=True, slots=True)
class Recipe:
    """`bits` of the frozen weights; `float_bytes` of what is computed with; `epochs` or else `max_steps`; `fused`:
    the modules under Axolotl's LoRA kernels (qkv, o, mlp); `eval_batch` and `eval_every` are 0 where nothing is
    evaluated.
    """

    base_model: str
    bits: int
    rank: int
    targets: tuple[str, ...]
    dropout: bool
    fused: frozenset[str]
    fused_norm: bool
    fused_loss: bool
    float_bytes: int
    optimizer: str
    checkpointing: bool
    offloading: bool
    eager: bool
    sequence_len: int
    micro_batch: int
    accumulation: int
    epochs: float
    max_steps: int | None
    packing: bool
    one_long_pack: bool
    per_pack: int
    padded: bool
    eval_batch: int
    eval_every: float
    sharding: Sharding
    workers: int
    rl: str

    @property
    def batch_tokens(self) -> int:
        """Tokens of one micro-batch on one card, when it is full."""
        return self.micro_batch * self.sequence_len

    @property
    def replies(self) -> int:
        """Sequences in the model for each row: both replies of a pair."""
        return 2 if self.rl in PAIRS else 1

    def evaluations(self, steps: int) -> int:
        """How often the validation rows are gone through in a run of so many steps."""
        if not self.eval_every:
            return 0
        return 1 + (round(1 / self.eval_every) if self.eval_every < 1 else int(steps // self.eval_every))

    @property
    def optimizer_bytes(self) -> float:
        return OPTIMIZER_BYTES.get(self.optimizer, ADAMW_BYTES)


def read_recipe(config: Mapping[str, Any]) -> Recipe:
    """The recipe in a resolved config. Raises `ConfigError` for what the plan does not cover."""
    if problems := out_of_reach(config):
        raise ConfigError(problems)
    attention = str(config.get("attn_implementation") or "sdpa")
    eval_every = eval_every_of(config)
    micro_batch = int(config.get("micro_batch_size") or 1)
    return Recipe(
        base_model=str(config["base_model"]),
        bits=bits_of(config),
        rank=int(config["lora_r"]),
        targets=targets_of(config),
        dropout=bool(config.get("lora_dropout")),
        fused=frozenset(name for name in ("qkv", "o", "mlp") if config.get(f"lora_{name}_kernel")),
        fused_norm=bool(config.get("liger_rms_norm")),
        fused_loss=bool(config.get("liger_fused_linear_cross_entropy") or config.get("cut_cross_entropy")),
        float_bytes=2 if config.get("bf16") or config.get("fp16") else 4,
        optimizer=str(config.get("optimizer") or "adamw_torch_fused"),
        checkpointing=bool(config.get("gradient_checkpointing")),
        offloading=bool(config.get("activation_offloading")),
        eager=attention == "eager",
        sequence_len=int(config["sequence_len"]),
        micro_batch=micro_batch,
        accumulation=int(config.get("gradient_accumulation_steps") or 1),
        epochs=float(config.get("num_epochs") or 1),
        max_steps=int(config["max_steps"]) if config.get("max_steps") else None,
        packing=bool(config.get("sample_packing")) and not config.get("rl"),
        one_long_pack=attention.startswith(ONE_LONG_PACK) and not config.get("multipack_real_batches"),
        per_pack=int(config.get("sample_packing_bin_size") or 200),
        padded=bool(config.get("pad_to_sequence_len")),
        eval_batch=int(config.get("eval_batch_size") or micro_batch) if eval_every else 0,
        eval_every=eval_every,
        sharding=sharding_of(config),
        workers=int(config.get("ray_num_workers") or 1) if config.get("use_ray") else 1,
        rl=str(config.get("rl") or ""),
    )


def out_of_reach(config: Mapping[str, Any]) -> list[str]:
    """What a recipe has that the arithmetic knows nothing of."""
    problems = []
    if config.get("adapter") not in ("lora", "qlora"):
        problems.append(f"adapter: {config.get('adapter')}: the plan covers `lora` and `qlora`.")
    if config.get("rl") not in (None, "kto", *PAIRS):
        problems.append(
            f"rl: {config['rl']}: the plan covers ordinary training, kto, and pairs of replies such as dpo."
        )
    if unknown := [name for name in config.get("lora_target_modules") or () if name not in LINEAR]:
        problems.append(f"lora_target_modules: {', '.join(unknown)}: the plan knows {', '.join(LINEAR)}.")
    if config.get("lora_modules_to_save"):
        problems.append("lora_modules_to_save: the plan does not cover fully trained modules. Remove it for the plan.")
    return problems


def bits_of(config: Mapping[str, Any]) -> int:
    if config.get("load_in_4bit"):
        return 4
    if config.get("load_in_8bit"):
        return 8
    return 16 if config.get("bf16") or config.get("fp16") else 32


def targets_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    named = set(config.get("lora_target_modules") or ())
    return LINEAR if config.get("lora_target_linear") else tuple(name for name in LINEAR if name in named)


def eval_every_of(config: Mapping[str, Any]) -> float:
    """What lies between two evaluations, as Axolotl's eval_steps: steps, or below 1 a fraction of the run.

    Axolotl 0.19, core/builders/base.py and utils/config: without any of these keys nothing is evaluated (0), else also
    before the first step; a strategy without steps evaluates once an epoch, or only then (`no`).
    """
    epochs = float(config.get("num_epochs") or 1)
    if not config.get("test_datasets"):
        return 0.0
    if config.get("evals_per_epoch"):
        return math.nextafter(1 / (float(config["evals_per_epoch"]) * epochs), 0)
    if config.get("eval_steps"):
        return float(config["eval_steps"])
    return {None: 0.0, "no": math.inf}.get(config.get("eval_strategy"), math.nextafter(1 / epochs, 0))


def sharding_of(config: Mapping[str, Any]) -> Sharding:
    if config.get("fsdp_config") or config.get("fsdp"):
        return "fsdp2"
    return "zero3" if is_zero3(config.get("deepspeed")) else "none"


def is_zero3(deepspeed: Any) -> bool:
    """Whether a DeepSpeed configuration, given as a mapping or as the path of its file, shards the weights."""
    if isinstance(deepspeed, str) and Path(deepspeed).is_file():
        deepspeed = json.loads(Path(deepspeed).read_text(encoding="utf-8"))
    if isinstance(deepspeed, Mapping):
        return bool((deepspeed.get("zero_optimization") or {}).get("stage") == 3)
    return "zero3" in str(deepspeed)
