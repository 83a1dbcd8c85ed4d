"""Builds an ONNX model with onnxruntime-genai's own builder, in a process of its own.

Transformers before 5 does not read the `rope_parameters` that transformers 5 writes, and rotates by 10,000 instead: the
model that comes out says other things, and no error tells it. So the version is checked before, and the rotation after.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from deploy.adapter import Refusal
from deploy.exports import Kind
from deploy.gguf_check import rope_theta
from deploy.source_model import refuse_without_training_libraries

PRECISIONS: Final = {Kind.ONNX_FP32: "fp32", Kind.ONNX_INT8: "int8"}
MODEL: Final = "model.onnx"
# Module and package, as pip names it; the builder imports onnx_ir and does not require it.
LIBRARIES: Final = {
    "onnxruntime_genai": "onnxruntime-genai",
    "onnxruntime": "onnxruntime",
    "onnx": "onnx",
    "onnx_ir": "onnx-ir",
}
# The table holds float32 cosines; the angle found in them is right to about six digits.
THETA_TOLERANCE: Final = 1e-3


def refuse_without_builder() -> None:
    """Raises `Refusal` where a library is missing, or transformers is older than 5."""
    missing = [package for module, package in LIBRARIES.items() if find_spec(module) is None]
    if missing:
        raise Refusal(f"{', '.join(missing)} not installed here. Run: pip install 'lora-forge[onnx]'.")
    refuse_without_training_libraries()
    found = version("transformers")
    if int(found.split(".")[0]) < 5:
        raise Refusal(
            f"transformers {found} does not read rope_parameters, so it would export another model than was trained. "
            "Run: pip install -r requirements-gpu.txt."
        )


def versions() -> dict[str, str]:
    """What made the model, by package."""
    found = {}
    for package in (*LIBRARIES.values(), "transformers", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def build(model: Path, out: Path, kind: Kind) -> None:
    """The model in the folder `model` (transformers) as an ONNX model in the folder `out`. Raises `Refusal`."""
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-m", "", "-i", str(model.resolve())]
    command += ["-o", str(out.resolve()), "-p", PRECISIONS[kind], "-e", "cpu", "-c", str(out.resolve() / "cache")]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    if done.returncode or not (out / MODEL).is_file():
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").split("\n")[-1]
        raise Refusal(f"onnxruntime-genai cannot build {model} ({said.strip()}).")


def check_rotation(folder: Path, config: Mapping[str, Any]) -> float | None:
    """The base of the rotation in an ONNX model; None where config.json has none. Raises `Refusal` if they differ."""
    wanted = rope_theta(config)
    if wanted is None:
        return None
    found = theta_in(folder)
    if found is None or abs(found - wanted) > THETA_TOLERANCE * wanted:
        is_now = "has no rotation table" if found is None else f"rotates by {found:g}"
        raise Refusal(
            f"the new model {is_now}, and config.json says rope_theta {wanted:g}; it was removed. "
            "Export it with the transformers that wrote config.json."
        )
    return found


def theta_in(folder: Path) -> float | None:
    """The base of the rotation, from the model's own tables of cosines and sines; None where it has none.

    At position 1 column i holds the angle s * theta^(-2i/d), d twice the number of columns, s a scale that columns 0
    and 1 share.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(folder / MODEL), load_external_data=False).graph
    tables = {
        tensor.name: numpy_helper.to_array(tensor, str(folder))
        for tensor in graph.initializer
        if tensor.name in ("cos_cache", "sin_cache")
    }
    if len(tables) != 2:
        return None
    cosines, sines = tables["cos_cache"], tables["sin_cache"]
    first, second = (math.atan2(sines[1, column], cosines[1, column]) for column in (0, 1))
    return float((second / first) ** -cosines.shape[1])
