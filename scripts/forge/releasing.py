"""Release and serve: `forge register`, `gate`, `promote`, `rollback`, `versions`, `lineage`, `merge`, `export`, `push`,
`serve`, `reload`.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scripts.forge import places
from scripts.forge.rooms import Problem, folder_or_problem, room
from scripts.forge.words import DryRun, Json, Panel, Role, Version, Why, option


class Kind(StrEnum):
    """What `forge export` makes; the short names are the usual one of their kind."""

    GGUF = "gguf"
    GGUF_Q4 = "gguf-q4_k_m"
    GGUF_F16 = "gguf-f16"
    GGUF_LORA = "gguf-lora"
    ONNX = "onnx"
    ONNX_INT8 = "onnx-int8"
    ONNX_FP32 = "onnx-fp32"
    OLLAMA = "ollama"


def add_to(app: typer.Typer) -> None:
    for command in (register, gate, promote, rollback, versions, lineage, merge, export, push, serve, reload):
        app.command(rich_help_panel=Panel.RELEASE)(command)


def registry(*words: str) -> int:
    """The registry is one for roles and packs."""
    return room("deploy.registry", ["--root", str(places.session().root), *words, *places.further()])


def register(
    role: Role,
    adapter: Annotated[
        Path | None, typer.Option(metavar="DIR", help="its folder (default: the one that `forge train` made)")
    ] = None,
) -> int:
    """The adapter becomes a version that never changes, with its run, its data and its hashes."""
    at = places.known(role)
    folder = Path(places.path(adapter)) if adapter else at.adapter
    folder_or_problem(folder, f"Train it first: forge train {role}.")
    manifest = ["--manifest", str(at.manifest)] if at.manifest.is_file() else []
    return registry("register", str(folder), "--role", at.role, *manifest)


def gate(role: Role, version: Version) -> int:
    """Let the gate judge a version by the results of `forge eval`."""
    at = places.known(role)
    results = [at.evals / (f"{side}.json" if at.pack else side) for side in ("base", "adapter")]
    for result in results:
        folder_or_problem(result, f"Evaluate first: forge eval {role}.")
    return registry("evaluate", at.role, version, *map(str, results))


def promote(
    role: Role,
    version: Version,
    force: Annotated[bool, typer.Option("--force", help="against the gate; needs --why")] = False,
    why: Why = "",
) -> int:
    """Make a version live, if nothing speaks against it."""
    return registry("promote", role, version, *option("--force", force), *option("--why", why))


def rollback(role: Role, why: Why = "") -> int:
    """Back to the version that was live before."""
    return registry("rollback", role, *option("--why", why))


def versions(
    role: Annotated[str, typer.Argument(help="only of this role", autocompletion=places.complete_role)] = "",
    json_: Json = False,
) -> int:
    """All versions: which are live, and how they scored."""
    return registry(*option("--json", json_), "list", *filter(None, [role]))


def lineage(
    role: Annotated[str, typer.Argument(help="a role", autocompletion=places.complete_role)] = "",
    version: Annotated[str, typer.Argument(help="such as v3", autocompletion=places.complete_version)] = "",
    session: Annotated[str, typer.Option(metavar="ID", help="the versions that learned from this session")] = "",
    json_: Json = False,
) -> int:
    """From a version to its sessions, or from a session to versions."""
    words = [*filter(None, [role, version]), *option("--session", session)]
    return registry(*option("--json", json_), "lineage", *words)


def merge(role: Role, version: Version) -> int:
    """A version merged into its base: one model, and what the merge changed."""
    return room("deploy.merge", [role, version, "--root", str(places.session().root), *places.further()])


def export(
    role: Role,
    version: Version,
    kind: Annotated[Kind, typer.Argument(help="what to make")] = Kind.GGUF,
    host: Annotated[str, typer.Option(metavar="URL", help="where Ollama is")] = "",
    dry_run: DryRun = False,
) -> int:
    """A version for other engines: GGUF, ONNX, or a tag in a running Ollama; verified before it counts."""
    module, words = exported(kind)
    if module != "deploy.ollama" and (host or dry_run):
        raise Problem("--host and --dry-run are for the kind ollama. Leave them out.", 2)
    words += [*option("--host", host), *option("--dry-run", dry_run)]
    words += option("--pack", places.place(role).pack) if module == "deploy.ollama" else []
    return room(module, [role, version, "--root", str(places.session().root), *words, *places.further()])


def exported(kind: Kind) -> tuple[str, list[str]]:
    """The room's module for a kind, and what to tell it; a short name is the room's own default."""
    family = kind.partition("-")[0]
    if kind is Kind.OLLAMA:
        return "deploy.ollama", ["--latest"]
    return f"deploy.{family}", [] if family == kind else ["--kind", kind.value]


def push(
    role: Role,
    version: Version,
    repo: Annotated[str, typer.Option(metavar="ORG/NAME", help="repository on the Hub; made private")],
    kind: Annotated[str, typer.Option(help="adapter, merged, gguf-f16, gguf-q4_k_m or gguf-lora")] = "",
    dry_run: DryRun = False,
) -> int:
    """A version to a private repository of the Hub, with a model card."""
    words = [f"{role}@{version}", "--repo", repo, "--root", str(places.session().root)]
    return room("deploy.upload_hf", [*words, *option("--kind", kind), *option("--dry-run", dry_run), *places.further()])


Config = Annotated[Path, typer.Option(metavar="FILE", help="of the gateway")]
OWN_CONFIG = Path("configs/serve.yml")


def serve(config: Config = OWN_CONFIG) -> int:
    """Every live version at one OpenAI-compatible address."""
    file = str(config) if config == OWN_CONFIG else places.path(config)
    return room("deploy.serve", ["--config", file, *places.further()])


def reload(
    role: Role,
    version: Version,
    url: Annotated[str, typer.Option(metavar="URL", help="of the gateway (default: that of --config)")] = "",
    config: Config = OWN_CONFIG,
    force: Annotated[bool, typer.Option("--force", help="against the gate; needs --why")] = False,
    why: Why = "",
    json_: Json = False,
) -> int:
    """Tell the running gateway to make a version live, losing no request. The key: FORGE_KEY."""
    from scripts.forge.gateway import address_of, ask_reload

    file = config if config == OWN_CONFIG else Path(places.path(config))
    return ask_reload(url or address_of(file), role, version, force, why, json_)
