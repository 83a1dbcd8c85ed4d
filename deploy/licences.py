"""What the licences of the known base models ask of a model that was made from them: its name, a notice, a line.

From the texts of the licences: Llama 3.1 Community License 1.b (name, notice, "Built with Llama", a copy of the
agreement), Qwen RESEARCH LICENSE 3 and 4.b (the same but for the name), Apache-2.0 4 (a copy of the licence).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.adapter import Refusal

NOTICE = "NOTICE"


@dataclass(frozen=True)
class Licence:
    """The licence of a base model: the Hub's identifier, or `other` with a name and a link."""

    identifier: str
    name: str | None = None
    link: str | None = None
    prefix: str = ""
    """how the name of a derived model has to begin"""
    built_with: str = ""
    """the line that has to stand where people see it"""
    notice: str = ""
    """the text of the NOTICE file that goes with every copy"""


# First match wins. Sizes differ in licence: Qwen2.5-3B and -72B are not Apache-2.0 (their model cards on the Hub).
LICENCES = (
    (
        r"Qwen/Qwen2\.5-3B",
        Licence(
            "other",
            "qwen-research",
            "https://huggingface.co/Qwen/Qwen2.5-3B/blob/main/LICENSE",
            built_with="Built with Qwen",
            notice="Qwen is licensed under the Qwen RESEARCH LICENSE AGREEMENT, Copyright (c) Alibaba Cloud. "
            "All Rights Reserved.",
        ),
    ),
    (r"Qwen/Qwen2\.5-72B", Licence("other", "qwen", "https://huggingface.co/Qwen/Qwen2.5-72B/blob/main/LICENSE")),
    (r"Qwen/Qwen2\.5-(0\.5B|1\.5B|7B|14B|32B)", Licence("apache-2.0")),
    (
        r"meta-llama/(Meta-)?Llama-3\.1-",
        Licence(
            "llama3.1",
            prefix="Llama",
            built_with="Built with Llama",
            notice="Llama 3.1 is licensed under the Llama 3.1 Community License, Copyright © Meta Platforms, Inc. "
            "All Rights Reserved.",
        ),
    ),
)


def licence_of(base_model: str) -> Licence | None:
    """The licence of a base that we know, else None."""
    return next((licence for pattern, licence in LICENCES if re.match(pattern, base_model)), None)


def check_name(repo: str, base_model: str) -> None:
    """Raises `Refusal` where the base's licence wants another name for what was made from it."""
    organization, name = repo.split("/")
    prefix = licence.prefix if (licence := licence_of(base_model)) else ""
    if not name.startswith(prefix):
        raise Refusal(
            f"the licence of {base_model} wants the name of a model made from it to begin with {prefix}. "
            f"Choose such a name: --repo {organization}/{prefix}-{name}."
        )


def notices(base_model: str) -> dict[str, str]:
    """The files that the licence wants beside every copy, by name."""
    licence = licence_of(base_model)
    return {NOTICE: licence.notice + "\n"} if licence and licence.notice else {}


def licence_text(base_model: str) -> str:
    """The paragraph of a card about the licence of the base."""
    licence = licence_of(base_model)
    link = f"[{base_model}](https://huggingface.co/{base_model})"
    if licence is None:
        return f"The licence of the base model {link} applies; this rig does not know it, so read it there."
    name = licence.name or licence.identifier
    terms = f"[{name}]({licence.link})" if licence.link else name
    built_with = f"{licence.built_with}.\n\n" if licence.built_with else ""
    return (
        f"{built_with}The base model {link} is under {terms}, which applies to its use with this one. "
        f"Whoever passes this on adds a copy of that licence: `hf download {base_model} LICENSE`."
    )
