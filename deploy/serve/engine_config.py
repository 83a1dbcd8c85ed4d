"""The section `engine` of configs/serve.yml as typed values: which engine answers, and how much it may take.

`kind` chooses: `llama-server` (llama.cpp, GGUF files; a CPU, a Mac or a small GPU) or `vllm` (a GPU, adapters as
they are).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class EngineLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What both engines have. A version that misses its time is refused, and the old one stays live."""

    start_seconds: Seconds = 120.0
    """until an engine that we start answers /health"""
    load_seconds: Seconds = 300.0
    """until a version is loaded"""
    probe_seconds: Seconds = 30.0
    """until a loaded version has said its first words"""
    loads_at_once: Count = 4
    """roles that are loaded at the same time when the gateway starts"""
    options: tuple[str, ...] = ()
    """further words for the command line of an engine that we start, such as --n-gpu-layers 99"""


class LlamaServer(EngineLimits, frozen=True, forbid_unknown_fields=True, tag="llama-server", tag_field="kind"):
    """An unmodified llama-server in router mode, one process of its own for each version."""

    artefact: Literal["gguf-q4_k_m", "gguf-f16", "gguf-lora"] = "gguf-q4_k_m"
    """which export of a version is served; gguf-lora is the adapter on its base"""
    slots: Count = 8
    """requests that one version answers at the same time; the others wait"""
    context: Count = 4096
    """tokens of one request, prompt and answer together; an engine keeps slots x context of them for each version"""
    threads: Annotated[int, msgspec.Meta(ge=0)] = 0
    """threads of one version; 0 leaves it to llama-server"""


class Vllm(EngineLimits, frozen=True, forbid_unknown_fields=True, tag="vllm", tag_field="kind"):
    """vLLM with adapters that are loaded while it runs: one that is up at `url`, or one that we start for `base`.

    At `url` it has to run with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, and to see the same folders as we.
    Its key, if it has one, is taken from VLLM_API_KEY.
    """

    url: str = ""
    base: str = ""
    """Hub id or folder of the base model that all adapters were trained on"""
    command: tuple[str, ...] = ("vllm", "serve")
    context: Count = 4096
    max_loras: Count = 4
    """adapters in one batch; two versions of each role are live at the same time during a change"""
    max_lora_rank: Annotated[int, msgspec.Meta(ge=0)] = 0
    """0 takes the greatest rank among the registered adapters when vLLM starts"""


EngineConfig = LlamaServer | Vllm

# What the gateway itself says on the command line of an engine.
RESERVED = (
    "--host", "--port", "--api-key", "--api-key-file", "--models-preset", "--models-dir", "--models-max",
    "--no-models-autoload", "-m", "--model", "-a", "--alias", "--lora", "--enable-lora", "--max-loras",
    "--max-lora-rank",
)  # fmt: skip


def problems(engine: EngineConfig) -> list[str]:
    """What the types cannot say, one sentence with its fix per problem."""
    ours = sorted({word.split("=")[0] for word in engine.options} & set(RESERVED))
    found = [f"engine.options: {name} is set by the gateway itself. Take it out." for name in ours]
    if isinstance(engine, Vllm) and bool(engine.url) == bool(engine.base):
        found.append("engine: give either url (a vLLM that runs) or base (the model that we start one for).")
    if isinstance(engine, Vllm) and engine.url and not engine.url.startswith(("http://", "https://")):
        found.append(f"engine.url: {engine.url} does not begin with http:// or https://.")
    return found
