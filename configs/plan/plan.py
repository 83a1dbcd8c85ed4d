"""One plan: a recipe on a card, with everything that the tables show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from configs.combine import Config, combine, layer_files, method_of
from configs.files import Output
from configs.pack.layer import role_name
from configs.plan.memory import GIB, Memory, memory
from configs.plan.recipe import Recipe, read_recipe
from configs.plan.shapes import Shape
from configs.plan.speed import Duration, duration
from configs.plan.tables import Gpu, find_shape
from configs.plan.workload import Workload, read_lengths, workload
from configs.resolve import resolve
from configs.rules import problems_of
from configs.strict_yaml import ConfigError


class Verdict(StrEnum):
    """Whether a run fits into the memory of its card."""

    FITS = "fits"
    TIGHT = "fits barely"
    TOO_LARGE = "does not fit"


@dataclass(frozen=True, slots=True)
class Rows:
    """Tokens of the training rows and of the validation rows (empty without any), and the trained tokens."""

    training: Sequence[int]
    validation: Sequence[int]
    trained_tokens: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe needs on `gpus` cards of one kind."""

    recipe: Recipe
    shape: Shape
    gpu: Gpu
    gpus: int
    work: Workload
    memory: Memory
    duration: Duration

    @property
    def needs(self) -> float:
        """GiB on one card."""
        return self.memory.peak.total / GIB

    @property
    def verdict(self) -> Verdict:
        if self.needs <= self.gpu.memory_gib:
            return Verdict.FITS
        return Verdict.TIGHT if self.memory.without_slack / GIB <= self.gpu.memory_gib else Verdict.TOO_LARGE

    @property
    def cost(self) -> float:
        """US dollars for all cards."""
        return self.duration.hours * self.gpu.price * self.gpus


def make_plan(config: Mapping[str, Any], rows: Rows, gpu: Gpu, gpus: int, models: Mapping[str, Shape]) -> Plan:
    """The plan of a resolved recipe. Raises `ConfigError` for what it does not cover.

    A row that is longer than sequence_len counts as cut there: so it would be after a build with that limit.
    """
    recipe = read_recipe(config)
    shape = find_shape(recipe.base_model, models)
    lengths = [min(length, recipe.sequence_len) for length in rows.training]
    validation = [min(length, recipe.sequence_len) for length in rows.validation]
    work = workload(recipe, lengths, rows.trained_tokens, gpus)
    used = memory(shape, recipe, gpus, work.longest, max(validation, default=work.longest))
    return Plan(recipe, shape, gpu, gpus, work, used, duration(shape, recipe, work, gpu, gpus, validation))


def resolved_config(role: str, overrides: Sequence[str], output: Output, file: Path | None) -> Config:
    """The recipe of a role over its own rows, or over the rows of any file. Raises `ConfigError`."""
    if file is None:
        return resolve(role, list(overrides), output)[0]
    config = combine(role, overrides, output)
    if problems := problems_of(config, layer_files(role, overrides)):
        raise ConfigError(problems)
    return config


def read_rows_of(config: Mapping[str, Any], role: str, output: Output, file: Path | None) -> Rows:
    """The lengths of the rows that a recipe trains on. Raises `ConfigError` when a file has none."""
    train = file or output.rows(role_name(role), "train", method_of(config))
    try:
        training, trained = read_lengths(train)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError([f"{train}: not rows of the pipeline ({error!r}). Run `make all` again."]) from None
    if not training:
        raise ConfigError([f"{train}: no rows in it."])
    val = output.rows(role_name(role), "val", method_of(config))
    evaluated = config.get("test_datasets") and not file and val.is_file()
    return Rows(training, read_lengths(val)[0] if evaluated else [], trained)
