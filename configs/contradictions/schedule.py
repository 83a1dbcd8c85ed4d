"""Rules about time: batches, warm-up, when a run is evaluated, saved and ended, and where its numbers go."""

from collections.abc import Mapping
from typing import Any, Final

from configs.contradictions.rule import Rule, number

EVALUATES: Final = ("eval_steps", "eval_strategy")
WANDB: Final = ("wandb_name", "wandb_entity", "wandb_watch", "wandb_run_id", "wandb_log_model")


def interval(config: Mapping[str, Any], steps: str, per_epoch: str) -> float:
    """Every how many steps, or which fraction of the run; 0 for neither. Axolotl makes a fraction of counts."""
    counts = number(config, per_epoch) * number({"num_epochs": 1, **config}, "num_epochs")
    return number(config, steps) or (1 / counts if counts > 1 else 0)


def keeps_no_best(config: Mapping[str, Any]) -> bool:
    """Without a remainder of exactly 0 Axolotl drops load_best_model_at_end. To a computer 0.3 % 0.1 is 0.1."""
    evaluated = interval(config, "eval_steps", "evals_per_epoch")
    saved = interval(config, "save_steps", "saves_per_epoch")
    wanted = config.get("load_best_model_at_end") or config.get("early_stopping_patience")
    return bool(wanted) and evaluates(config) and not (evaluated and saved and saved % evaluated == 0)


def evaluates(config: Mapping[str, Any]) -> bool:
    return bool(config.get("test_datasets") or config.get("val_set_size"))


def counts_one(config: Mapping[str, Any]) -> bool:
    """Whether a count per epoch comes to one in the whole run, a fraction that Axolotl ignores."""
    epochs = number({"num_epochs": 1, **config}, "num_epochs")
    return any(0 < number(config, key) * epochs <= 1 for key in ("evals_per_epoch", "saves_per_epoch"))


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        ("batch_size", "gradient_accumulation_steps"),
        lambda c: bool(c.get("batch_size") and c.get("gradient_accumulation_steps")),
        "`batch_size` and `gradient_accumulation_steps` say the same twice. Remove batch_size.",
    ),
    Rule(
        ("warmup_steps", "warmup_ratio"),
        lambda c: bool(c.get("warmup_steps") and c.get("warmup_ratio")),
        "`warmup_steps` and `warmup_ratio` exclude each other. Remove one.",
    ),
    Rule(
        EVALUATES,
        lambda c: any(c.get(key) for key in EVALUATES) and c.get("eval_strategy") != "no" and not evaluates(c),
        "there are no rows to evaluate. Add `test_datasets`, or remove eval_steps and eval_strategy.",
    ),
    Rule(
        ("eval_strategy",),
        lambda c: c.get("eval_strategy") == "no" and bool(c.get("test_datasets")),
        "`eval_strategy: no` does not stop the evaluation before the first step. Remove `test_datasets` as well.",
    ),
    Rule(
        ("eval_strategy", "eval_steps"),
        lambda c: bool(c.get("eval_steps")) and c.get("eval_strategy") not in (None, "steps", "no"),
        "`eval_steps` needs `eval_strategy: steps`. Set it, or remove eval_steps.",
    ),
    Rule(
        ("save_strategy", "save_steps"),
        lambda c: bool(c.get("save_steps")) and c.get("save_strategy") not in (None, "steps"),
        "`save_steps` needs `save_strategy: steps`. Set it, or remove save_steps.",
    ),
    Rule(
        ("evals_per_epoch", "eval_steps"),
        lambda c: bool(c.get("evals_per_epoch") and c.get("eval_steps")),
        "`evals_per_epoch` and `eval_steps` exclude each other. Remove one.",
    ),
    Rule(
        ("evals_per_epoch", "eval_strategy"),
        lambda c: bool(c.get("evals_per_epoch")) and c.get("eval_strategy") not in (None, "steps"),
        "`evals_per_epoch` needs `eval_strategy: steps`. Set it, or remove evals_per_epoch.",
    ),
    Rule(
        ("saves_per_epoch", "save_steps"),
        lambda c: bool(c.get("saves_per_epoch") and c.get("save_steps")),
        "`saves_per_epoch` and `save_steps` exclude each other. Remove one.",
    ),
    Rule(
        ("evals_per_epoch", "saves_per_epoch", "num_epochs"),
        counts_one,
        "once in the whole run is a fraction that Axolotl ignores; it would evaluate after every step. Train at least "
        "two epochs, or use eval_steps and save_steps.",
    ),
    Rule(
        ("early_stopping_patience",),
        lambda c: bool(c.get("early_stopping_patience")) and not evaluates(c),
        "`early_stopping_patience` needs `test_datasets`. Add them, or remove it.",
    ),
    Rule(
        ("early_stopping_patience",),
        lambda c: bool(c.get("early_stopping_patience")) and not (c.get("eval_steps") and c.get("save_steps")),
        "`early_stopping_patience` counts by `eval_steps` and `save_steps` alone. Set both (a fraction such as 0.3333 "
        "is one epoch of three), or remove it.",
    ),
    Rule(
        ("eval_steps", "evals_per_epoch", "save_steps", "saves_per_epoch", "eval_strategy"),
        keeps_no_best,
        "`load_best_model_at_end` and early stopping need a `save_steps` that is a multiple of `eval_steps`, or "
        "`saves_per_epoch` and `evals_per_epoch`. To a computer 0.3 is no multiple of 0.1: make them equal.",
    ),
    Rule(
        WANDB,
        lambda c: not c.get("wandb_project") and any(c.get(key) for key in WANDB),
        "without `wandb_project` Axolotl does not log to W&B. Set it, or remove the other wandb keys.",
    ),
    Rule(
        ("wandb_mode",),
        lambda c: c.get("wandb_mode") not in (None, "online", "offline", "disabled"),
        "`wandb_mode` is online, offline or disabled.",
    ),
)
