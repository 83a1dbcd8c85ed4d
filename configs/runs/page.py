"""The page of a run: what configs/runs/reading.py read, as text and curves in the template."""

import hashlib
import math
import statistics
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from configs.resolve import brief
from configs.runs.charts import Chart, chart
from configs.runs.history import Step, peak_memory, rates, steps_of
from configs.runs.listing import duration
from configs.runs.machine import GIB
from configs.runs.overfit import best_of, stretch
from configs.runs.preflight_machine import size
from configs.runs.reading import WEIGHTS, Told

HERE = Path(__file__).parent


class Verdict(NamedTuple):
    """The box at the top: `name` is good, bad or open."""

    name: str
    title: str
    says: str


def build_page(told: Told, folder: Path) -> str:
    """The page as text; `folder` is the run's own, with its checkpoints or the adapter alone."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = "{:,}".format
    style = (HERE / "report.css").read_text("utf-8")
    steps = steps_of(told.history)
    return environment.get_template("report.html.jinja").render(
        run=told.run,
        verdict=verdict(told),
        facts=list(facts(told)),
        loss=loss_chart(told),
        other=list(other_charts(steps)),
        evals=list(eval_rows(told, folder)),
        differences=[[key, *map(short, values)] for key, *values in told.record.get("differences", ())],
        data=told.record["data"],
        manifest=told.record.get("manifest"),
        config=told.record["config"],
        style=Markup(style),
        policy=f"default-src 'none'; style-src '{digest(style)}'; base-uri 'none'",
    )


def short(value: Any) -> str:
    """A value as YAML; of datasets their files alone."""
    if isinstance(value, list) and value and all(isinstance(block, dict) and "path" in block for block in value):
        return ", ".join(str(block["path"]) for block in value)
    return brief(value)


def digest(text: str) -> str:
    """The name of an embedded text in the page's content security policy, so that nothing else counts."""
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def verdict(told: Told) -> Verdict:
    """Over-fitting before all else; then how the run ended."""
    state, best = told.run.state, told.best_checkpoint
    if (found := told.overfit) is not None:
        return Verdict("bad", "Over-fitting", f"{str(found).removeprefix('Over-fitting: ').capitalize()} {best}")
    if state.startswith("failed"):
        return Verdict("bad", state.capitalize(), best)
    if state in ("running", "starting", "waiting", "interrupted"):
        return Verdict("open", state.capitalize(), f"No sign of over-fitting so far. {best}")
    if not told.evals:
        return Verdict("open", state.capitalize(), f"{best} Without validation rows nobody sees over-fitting.")
    return Verdict("good", "No sign of over-fitting", best)


def facts(told: Told) -> Iterator[tuple[str, str]]:
    """What a reader asks first, a name and a value each; unknown ones are left out."""
    record, settings = told.record, told.settings
    yield "base model", str(record["base_model"])
    yield "training loss", told.run.loss
    yield "best eval loss", told.run.best or "nothing was evaluated"
    yield "machine", machine_name(record.get("machine"))
    yield "worked", duration(told.run.seconds) or "not known"
    times = record.get("times") or {}
    if times.get("resumed"):
        yield "resumed", f"{times['resumed']} times, {times['lost_steps']} steps done again"
    if record.get("tokens_per_second"):
        yield "tokens a second", f"{record['tokens_per_second']:,.0f}, padding included"
    if memory := record.get("peak_memory") or peak_memory(told.history):
        yield "peak memory", size(memory)
    yield "seed", str(record.get("seed"))
    yield "adapter", f"{settings.get('adapter')}, rank {settings.get('lora_r')}, alpha {settings.get('lora_alpha')}"
    if commit := record.get("commit"):
        yield "recipe's commit", commit["sha"][:12] + (", changed since" if commit["changed"] else "")
    versions = {name: version for name, version in (record.get("versions") or {}).items() if version}
    if versions:
        yield "software", ", ".join(f"{name} {versions[name]}" for name in ("axolotl", "torch") if name in versions)


def machine_name(machine: dict[str, Any] | None) -> str:
    if machine is None:
        return "not known"
    gpus = [f"{gpu['name']}, {size(gpu['memory'])}" for gpu in machine["gpus"]]
    if not gpus:
        return f"CPU, {machine['cpus']} cores"
    return gpus[0] if len(gpus) == 1 else f"{len(gpus)} x {gpus[0]}"


def loss_chart(told: Told) -> Chart:
    best = best_of(told.evals)
    says = (
        "training (blue) and evaluation (orange, the lowest ringed), nats a token" if best else "training, nats a token"
    )
    marked = best[0] if best else None
    return chart("Loss", says, told.train, three_digits, marked=told.evals, best=marked, noisy=True)


def other_charts(steps: tuple[Step, ...]) -> Iterator[Chart]:
    """What else was measured, where it was."""
    norms = [(step.step, step.grad_norm) for step in steps if step.grad_norm is not None]
    learning = [(step.step, step.learning_rate) for step in steps if step.learning_rate is not None]
    memory = [(step.step, step.memory / GIB) for step in steps if step.memory is not None]
    if learning:
        yield chart("Learning rate", "", learning, scientific)
    if any(math.isfinite(norm) for _, norm in norms):
        yield chart("Gradient norm", "before clipping", norms, three_digits, noisy=True)
    if speed := rates(steps):
        yield chart("Tokens a second", "padding included; no evaluations or saves", speed, "{:,.0f}".format, noisy=True)
    if memory:
        yield chart("Memory", "peak in GiB", memory, three_digits)


def three_digits(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def scientific(value: float) -> str:
    return f"{value:.1e}" if value else "0"


def eval_rows(told: Told, folder: Path) -> Iterator[dict[str, Any]]:
    """A row for each evaluation: the training loss of the steps before it, and whether its checkpoint is there."""
    best, before = best_of(told.evals), 0
    for step, loss in told.evals:
        losses = stretch(told.train, before, step)
        kept = (folder / f"checkpoint-{step}" / WEIGHTS).is_file()
        yield {
            "step": step,
            "loss": loss,
            "train": f"{statistics.fmean(losses):.4f}" if losses else "",
            "checkpoint": f"checkpoint-{step}" if kept else "",
            "best": best is not None and step == best[0],
        }
        before = step
