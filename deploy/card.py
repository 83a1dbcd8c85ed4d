"""Writes the model card: front matter that the Hub accepts, and what a person should know before use.

`render_card(release, repo, tag)` takes what `deploy.release` gathered and returns the text of README.md. Data appears
as counts only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.evidence import Training
from deploy.licences import licence_of, licence_text
from deploy.release import ADAPTER, GGUF, LORA, MERGED, TEMPLATE, Release
from deploy.results import Marks, Rate, RoleBench, Rubric
from deploy.scores import model_index

# mayor_train.jsonl, and mayor.dpo.train.jsonl for preferences.
ROW_FILE = re.compile(r"(?P<role>[a-z][a-z0-9_-]*)(?:_|\.(?:dpo|kto)\.)(?P<split>train|val|test)\.jsonl")
# What the Hub calls the relation to the base, and the library that loads it. A LoRA that was merged into its base is a
# fine-tuned model there; `merge` is for several models made into one.
RELATION = {ADAPTER: "adapter", MERGED: "finetune", LORA: "adapter"}
LIBRARY = {ADAPTER: "peft", MERGED: "transformers"}


def render_card(release: Release, repo: str, tag: str | None = None) -> str:
    """README.md for `repo` (ORG/NAME), whose files will be under `tag`."""
    return f"---\n{front_matter(release, repo)}\n---\n\n{body(release, repo, tag)}"


def front_matter(release: Release, repo: str) -> str:
    """The card's YAML. No `datasets`: only ids of the Hub belong there, and our data is not on it."""
    from huggingface_hub import ModelCardData

    licence = licence_of(release.base_model)
    role = role_of(release)
    results = model_index(release)
    data = ModelCardData(
        base_model=release.base_model,
        base_model_relation=relation(release),
        library_name=LIBRARY.get(release.kinds[0], "gguf"),
        license=licence.identifier if licence else None,
        license_name=licence.name if licence else None,
        license_link=licence.link if licence else None,
        pipeline_tag="text-generation",
        tags=["lora", "axolotl", *([] if is_pack(release) else ["gastown"]), *([f"role:{role}"] if role else [])],
        model_name=repo.split("/")[1] if results else None,
        eval_results=results or None,
    )
    return str(data.to_yaml()).strip()


def relation(release: Release) -> str:
    """The Hub's word for what these files are to their base."""
    return RELATION.get(release.kinds[0], "quantized") if len(release.kinds) == 1 else "quantized"


def body(release: Release, repo: str, tag: str | None) -> str:
    """The card below its front matter."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters |= {"rate": percent, "points": points}
    return environment.get_template("card.md.j2").render(
        release=release,
        repo=repo,
        name=repo.split("/")[1],
        tag=tag,
        base=release.base_model,
        role=role_of(release),
        is_adapter=release.kinds == (ADAPTER,),
        is_merged=release.kinds == (MERGED,),
        lora_file=gguf_file(release, LORA),
        template=TEMPLATE if TEMPLATE in release.files else None,
        model_file=gguf_file(release, "gguf-q4_k_m") or gguf_file(release, "gguf-f16"),
        agreements=list(agreements(release)),
        config={key: release.config.get(key, "unknown") for key in ("r", "lora_alpha", "lora_dropout")},
        targets=target_modules(release.config),
        benches=[run for run in release.evaluations if isinstance(run, RoleBench)],
        rubrics=[run for run in release.evaluations if isinstance(run, Rubric)],
        is_pack=is_pack(release),
        gate=release.version.evaluation if release.version and release.evaluations else None,
        dataset=release.dataset,
        licence_text=licence_text(release.base_model),
        **(training_facts(release.training) if release.training else {"training": None}),
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


def role_of(release: Release) -> str | None:
    """The role that the registry knows, or whose rows were trained; None for all roles together or an unknown run."""
    if release.version:
        return release.version.role
    files = release.training.data if release.training else ()
    roles = {match["role"] for rows in files if (match := ROW_FILE.fullmatch(rows.name))}
    return roles.pop() if len(roles) == 1 and roles != {"gastown"} else None


def is_pack(release: Release) -> bool:
    """Whether it answers in a domain: it was marked by the rubric, and never played an agent's scenarios."""
    kinds = set(map(type, release.evaluations))
    return Rubric in kinds and RoleBench not in kinds


def gguf_file(release: Release, kind: str) -> str | None:
    """The name in the repository of one kind of GGUF."""
    return next((name for name in release.files if name.endswith(f"-{GGUF[kind]}.gguf")), None)


def agreements(release: Release) -> Iterator[str]:
    """How alike these files and what they were made from answered, where the export measured it."""
    for kind, export in release.exports.items():
        report = export.report
        if {"argmax_agreement", "max_logit_difference", "tokens"} <= set(report):
            yield (
                f"The merged model beside the adapter on its base: over {report['tokens']:,} tokens the likeliest one "
                f"is the same for {report['argmax_agreement']:.1%}, and logits differ by at most "
                f"{report['max_logit_difference']:.2g}."
            )
        elif {"equal_tokens", "tokens", "prompts"} <= set(report):
            yield (
                f"`{gguf_file(release, kind)}` beside what it was made from: {report['equal_tokens']:,} of "
                f"{report['tokens']:,} tokens of {report['prompts']} greedy answers are the same."
            )


def target_modules(config: Mapping[str, Any]) -> str:
    """The adapted layers, sorted, because PEFT writes them in random order."""
    modules = config.get("target_modules")
    return ", ".join(sorted(modules)) if isinstance(modules, list) else str(modules)


def percent(rate: Rate | Marks) -> str:
    """`60 % [31, 83]`, or `60 % (too few families)`."""
    interval = f"[{100 * rate.low:.0f}, {100 * rate.high:.0f}]" if rate.enough else "(too few families)"
    return f"{100 * rate.value:.0f} % {interval}"


def points(difference: Any) -> str:
    """`+85.7 points [+41.7, +96.9]` of a difference in -1..1."""
    return f"{100 * difference.value:+.1f} points [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
