"""Writes the model card of an adapter: front matter that the Hub accepts, and what a person should know before use.

`render_card(...)` takes what `deploy.adapter` and `deploy.evidence` read and returns the text of README.md. Data
appears as counts only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.adapter import Adapter
from deploy.evidence import Evaluation, Manifest, Rate, Training

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

# mayor_train.jsonl, and mayor.dpo.train.jsonl for preferences.
ROW_FILE = re.compile(r"(?P<role>[a-z][a-z0-9_-]*)(?:_|\.(?:dpo|kto)\.)(?P<split>train|val|test)\.jsonl")
BENCH = "lora-forge role scenarios"


@dataclass(frozen=True)
class Licence:
    """The licence of a base model: the Hub's identifier, or `other` with a name and a link."""

    identifier: str
    name: str | None = None
    link: str | None = None


# First match wins. Sizes differ in licence: Qwen2.5-3B and -72B are not Apache-2.0 (their model cards on the Hub).
LICENCES = (
    (
        r"Qwen/Qwen2\.5-3B",
        Licence("other", "qwen-research", "https://huggingface.co/Qwen/Qwen2.5-3B/blob/main/LICENSE"),
    ),
    (r"Qwen/Qwen2\.5-72B", Licence("other", "qwen", "https://huggingface.co/Qwen/Qwen2.5-72B/blob/main/LICENSE")),
    (r"Qwen/Qwen2\.5-(0\.5B|1\.5B|7B|14B|32B)", Licence("apache-2.0")),
    (r"meta-llama/(Meta-)?Llama-3\.1-", Licence("llama3.1")),
)


def render_card(
    adapter: Adapter,
    repo: str,
    training: Training | None,
    evaluations: Sequence[Evaluation] = (),
    manifest: Manifest | None = None,
) -> str:
    """README.md for `repo` (ORG/NAME); `evaluations` hold the base's run, if any, before the adapter's."""
    role = trained_role(training)
    name = repo.split("/")[1]
    front = front_matter(adapter, name, role, evaluations)
    return f"---\n{front}\n---\n\n{body(adapter, name, role, training, evaluations, manifest)}"


def front_matter(adapter: Adapter, name: str, role: str | None, evaluations: Sequence[Evaluation]) -> str:
    """The card's YAML. No `datasets`: only ids of the Hub belong there, and our data is not on it."""
    from huggingface_hub import ModelCardData

    licence = licence_of(adapter.base_model)
    results = model_index(evaluations)
    data = ModelCardData(
        base_model=adapter.base_model,
        base_model_relation="adapter",
        library_name="peft",
        license=licence.identifier if licence else None,
        license_name=licence.name if licence else None,
        license_link=licence.link if licence else None,
        pipeline_tag="text-generation",
        tags=["lora", "axolotl", "gastown", *([f"role:{role}"] if role else [])],
        model_name=name if results else None,
        eval_results=results or None,
    )
    return str(data.to_yaml()).strip()


def model_index(evaluations: Sequence[Evaluation]) -> list[EvalResult]:
    """The adapter's rates (not the base's) as the Hub's model-index wants them, in percent."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="text-generation",
            dataset_type="role-bench",
            dataset_name=BENCH,
            dataset_config=role,
            metric_type="accuracy",
            metric_name=f"passed of {rate.scenarios:.0f} [95 % {100 * rate.low:.1f} to {100 * rate.high:.1f}]",
            metric_value=round(100 * rate.passed, 1),
        )
        for run in evaluations
        if not run.is_base
        for role, rate in run.summary.items()
    ]


def body(
    adapter: Adapter,
    name: str,
    role: str | None,
    training: Training | None,
    evaluations: Sequence[Evaluation],
    manifest: Manifest | None,
) -> str:
    """The card below its front matter."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["rate"] = percent
    return environment.get_template("card.md.j2").render(
        name=name,
        base=adapter.base_model,
        role=role,
        config={key: adapter.config.get(key, "unknown") for key in ("r", "lora_alpha", "lora_dropout")},
        targets=target_modules(adapter),
        evaluations=evaluations,
        manifest=manifest,
        licence_text=licence_text(adapter.base_model),
        **(training_facts(training) if training else {"training": None}),
    )


SETTINGS = (
    "learning_rate",
    "lr_scheduler",
    "sequence_len",
    "sample_packing",
    "micro_batch_size",
    "gradient_accumulation_steps",
    "seed",
)


def training_facts(training: Training) -> dict[str, Any]:
    """What the template says about a recorded run."""
    settings = training.settings
    method = "QLoRA, base in 4 bit" if settings.get("load_in_4bit") else str(settings.get("adapter", "lora"))
    return {
        "training": training,
        "method": f"{method}, {settings.get('optimizer', 'default optimizer')}",
        "settings": {key: settings.get(key, "default") for key in SETTINGS},
        "best_eval": min(training.outcome.eval_losses, key=lambda pair: pair[1], default=None),
        "software": ", ".join(f"{package} {version}" for package, version in training.versions.items() if version),
    }


def trained_role(training: Training | None) -> str | None:
    """The role whose rows were trained, None for all roles together or an unknown run."""
    files = training.data if training else ()
    roles = {match["role"] for rows in files if (match := ROW_FILE.fullmatch(rows.name))}
    return roles.pop() if len(roles) == 1 and roles != {"gastown"} else None


def target_modules(adapter: Adapter) -> str:
    """The adapted layers, sorted, because PEFT writes them in random order."""
    modules = adapter.config.get("target_modules")
    return ", ".join(sorted(modules)) if isinstance(modules, list) else str(modules)


def licence_of(base_model: str) -> Licence | None:
    """The licence of a base that we know, else None."""
    return next((licence for pattern, licence in LICENCES if re.match(pattern, base_model)), None)


def licence_text(base_model: str) -> str:
    """The sentence about the licence of the base."""
    licence = licence_of(base_model)
    link = f"[{base_model}](https://huggingface.co/{base_model})"
    if licence is None:
        return f"The licence of the base model {link} applies; this rig does not know it, so read it there."
    name = licence.name or licence.identifier
    terms = f"[{name}]({licence.link})" if licence.link else name
    return f"The base model {link} is under {terms}, which applies to its use with this adapter."


def percent(rate: Rate) -> str:
    """`60 % [31, 83]`."""
    return f"{100 * rate.passed:.0f} % [{100 * rate.low:.0f}, {100 * rate.high:.0f}]"
