"""Brings a version to a running Ollama as a tag of its own, and points :latest to a tag.

`python -m deploy.ollama mayor 3 --latest` writes `output/exports/mayor/v3/Modelfile`, uploads the GGUF file of the
merged model, and makes `gastown-mayor:v3` and `:latest` of it. `--rollback` only points :latest to a tag that is there:
`python -m deploy.ollama mayor 2 --rollback`. With `--pack configs/packs/legal.yml` the name and the parameters are the
pack's: `forge-legal:v3`. Ollama gets whole models alone: its newest version takes no adapters, and its own reader of
safetensors misses where transformers 5 keeps the rotation.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from configs.strict_yaml import ConfigError
from deploy.adapter import Refusal
from deploy.exports import Kind, present, unfinished
from deploy.merge import version_number
from deploy.ollama_api import Ollama, checked
from deploy.ollama_modelfile import Described, describe, modelfile
from deploy.pack import Pack, Serving, read_pack
from deploy.registry import Registry
from deploy.registry.folders import file_sha256

HOST: Final = "http://127.0.0.1:11434"
KINDS: Final = [str(Kind.GGUF_Q4_K_M), str(Kind.GGUF_F16)]
# Without a template that it knows, Ollama hands prompts on as they are: the model would see no roles.
NO_TEMPLATE: Final = "{{ .Prompt }}"
# Few surprises where commands are run.
TEMPERATURE: Final = 0.2


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: 0 when Ollama has it, else 1 with one sentence."""
    options = parser().parse_args(argv)
    try:
        checked(options.host)
        pack = pack_of(options)
        name = pack.model_prefix if pack else f"{options.prefix}-{options.role}"
        if options.rollback:
            with Ollama.open(options.host) as ollama:
                print(point_latest(ollama, name, options.version))
        else:
            bring(options, name, pack.serving if pack else Serving())
    except (Refusal, ConfigError) as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m deploy.ollama", description=(__doc__ or "").split("\n")[0])
    result.add_argument("role", help="role of the version, such as mayor")
    result.add_argument("version", type=version_number, help="its number, such as 3 or v3")
    result.add_argument("--root", type=Path, default=Path("output"), metavar="DIR", help="output tree (output)")
    result.add_argument("--host", default=HOST, metavar="URL", help=f"where Ollama is ({HOST})")
    result.add_argument("--prefix", default="gastown", help="names are PREFIX-ROLE:vN (gastown)")
    result.add_argument("--pack", type=Path, metavar="FILE", help="the pack of the role: its names and its parameters")
    result.add_argument("--kind", choices=KINDS, default=KINDS[0], help=f"which file ({KINDS[0]})")
    result.add_argument("--temperature", type=float, metavar="T", help=f"(the pack's, else {TEMPERATURE})")
    result.add_argument("--stop", action="append", metavar="TEXT", help="what ends an answer (those of the base)")
    result.add_argument("--dry-run", action="store_true", help="print the Modelfile and change nothing")
    latest = result.add_mutually_exclusive_group()
    latest.add_argument("--latest", action="store_true", help="point :latest to it as well")
    latest.add_argument("--rollback", action="store_true", help="only point :latest to the tag, which has to be there")
    return result


def pack_of(options: argparse.Namespace) -> Pack | None:
    """The pack that --pack names. Raises `Refusal`, `ConfigError`."""
    if options.pack is None:
        return None
    if options.pack.stem != options.role:
        raise Refusal(f"{options.pack} is the pack of {options.pack.stem}, not of {options.role}. Give the other file.")
    return read_pack(options.pack)


def bring(options: argparse.Namespace, name: str, serving: Serving) -> None:
    """Makes the tag of a version where it is not there yet, and says so. Raises `Refusal`."""
    described, live = described_version(options, serving)
    folder = options.root / "exports" / options.role / f"v{options.version}"
    text = modelfile(described, folder)
    if options.dry_run:
        print(f"{text}\nWould make {name}:v{options.version} of it at {options.host}.")
        return
    with unfinished(folder / "Modelfile") as place:
        place.write_text(text, encoding="utf-8")
    with Ollama.open(options.host) as ollama:
        print(make(ollama, f"{name}:v{options.version}", described))
        if options.latest:
            print(point_latest(ollama, name, options.version))
            if live != options.version:
                known = f"v{live}" if live else "no version"
                print(f"note: in the registry {known} of {options.role} is live.", file=sys.stderr)


def described_version(options: argparse.Namespace, serving: Serving) -> tuple[Described, int | None]:
    """What the tag holds, and which version is live in the registry. Raises `Refusal` where the file is not there."""
    with Registry.open(options.root) as registry:
        version = registry.version(options.role, options.version)
        export = present(registry, version, Kind(options.kind))
        live = next((role.live for role in registry.roles() if role.role == options.role), None)
    if export is None:
        kind = f" --kind {options.kind}" if options.kind != KINDS[0] else ""
        raise Refusal(
            f"{version.name} has no {options.kind}. "
            f"Make it: python -m deploy.gguf {version.role} {version.number}{kind}."
        )
    if file_sha256(export.path) != export.sha256:
        raise Refusal(f"{export.path} is not the file that was verified. Delete it, and export it again.")
    said = (options.temperature, serving.temperature, TEMPERATURE)
    temperature = next(value for value in said if value is not None)
    return describe(version, export.path, export.sha256, temperature, options.stop, serving), live


def make(ollama: Ollama, tag: str, described: Described) -> str:
    """Makes a tag, unless it holds just that already. Raises `Refusal` where it holds other weights."""
    shown = ollama.show(tag)
    if shown is not None and described.sha256 not in blobs_of(shown):
        raise Refusal(
            f"{tag} is there with other weights, and a version does not change. Look at it (ollama show {tag}), "
            f"and remove it if it is wrong: ollama rm {tag}."
        )
    if shown is not None and is_described(shown, described):
        return f"{tag} is there already."
    sent = ollama.upload(described.model, described.digest)
    ollama.create(
        tag,
        {
            "files": {described.model.name: described.digest},
            "parameters": dict(described.parameters),
            "license": described.licence,
        },
    )
    check_made(ollama, tag, described, is_new=shown is None)
    return f"{tag} made of {described.model}{'' if sent else ', which was there'}."


def check_made(ollama: Ollama, tag: str, described: Described, is_new: bool) -> None:
    """Raises `Refusal` where the tag is not what was asked for, or its chats would be told wrongly; a new one goes."""
    shown: Mapping[str, Any] = ollama.show(tag) or {}
    template = str(shown.get("template", ""))
    if not (described.opening in template if described.opening else template.strip() not in ("", NO_TEMPLATE)):
        wrong = "this Ollama does not use the file's chat template. Update it (ollama.com/download)."
    elif not is_described(shown, described):
        wrong = "it does not hold what was sent. Try again."
    else:
        return
    if is_new:
        ollama.delete(tag)
    raise Refusal(f"{tag} was made and {'removed again' if is_new else 'is not to be used'}: {wrong}")


def is_described(shown: Mapping[str, Any], described: Described) -> bool:
    """Whether a model that Ollama shows has these weights, parameters and licence."""
    return (
        described.sha256 in blobs_of(shown)
        and parameters_of(shown) == sorted((name, comparable(value)) for name, value in described.lines())
        and str(shown.get("license", "")).strip() == described.licence
    )


def blobs_of(shown: Mapping[str, Any]) -> list[str]:
    """The digests of the files that a shown Modelfile begins with."""
    return re.findall(r"^FROM .*\bsha256[-:]([0-9a-f]{64})\s*$", str(shown.get("modelfile", "")), re.MULTILINE)


def parameters_of(shown: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The shown parameters one by one, sorted."""
    words = (line.split(maxsplit=1) for line in str(shown.get("parameters", "")).split("\n"))
    return sorted((pair[0], comparable(pair[1])) for pair in words if len(pair) == 2)


def comparable(written: str) -> str:
    """A value as Go or JSON writes it, in one form for both: 1 is 1.0."""
    try:
        value = json.loads(written)
    except ValueError:
        return written
    return repr(float(value)) if isinstance(value, int | float) else str(value)


def point_latest(ollama: Ollama, name: str, number: int) -> str:
    """Points :latest to the tag of a version. Raises `Refusal` where that is not there."""
    tags = ollama.tags()
    tag, latest = f"{name}:v{number}", f"{name}:latest"
    if tag not in tags:
        there = ", ".join(sorted(known for known in tags if known.startswith(f"{name}:"))) or "none"
        raise Refusal(f"Ollama has no {tag} (there: {there}). Bring it: python -m deploy.ollama.")
    if tags.get(latest) == tags[tag]:
        return f"{latest} is {tag} already."
    ollama.copy(tag, latest)
    if ollama.tags().get(latest) != tags[tag]:
        raise Refusal(f"{latest} is not {tag}, although Ollama copied it. Somebody else moved it: try again.")
    return f"{latest} is {tag} now."


if __name__ == "__main__":
    sys.exit(main())
