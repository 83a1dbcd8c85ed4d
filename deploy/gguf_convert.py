"""Runs llama.cpp's own converters and quantiser, from the cache of `make engine`, each as a process of its own."""

from __future__ import annotations

import importlib
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Final

from deploy.adapter import Refusal
from deploy.engine import find_converters, find_quantize
from deploy.gguf_tokens import SPLITS

UNKNOWN: Final = "BPE pre-tokenizer was not recognized"
WRAPPER: Final = "import sys; from deploy.gguf_convert import run_converter; run_converter(sys.argv[1:])"


def convert_model(model: Path, out: Path, name: str, pre_tokenizer: str | None) -> None:
    """A folder of transformers as GGUF in f16; `name` is what the file says of itself. Raises `Refusal`."""
    arguments = [str(model), "--outtype", "f16", "--outfile", str(out), "--model-name", name]
    fault = _convert("convert_hf_to_gguf.py", arguments, pre_tokenizer)
    if fault is not None and UNKNOWN in fault:
        raise Refusal(
            f"llama.cpp does not know how the vocabulary in {model} cuts texts, and a guess would make a model that "
            "reads other tokens. Where you know that it cuts as a common one does, name that one, and it is checked: "
            f"--pre-tokenizer {'|'.join(SPLITS)}."
        )
    if fault is not None:
        raise Refusal(f"llama.cpp cannot convert {model}: {fault}.")


def convert_adapter(adapter: Path, base: Path, out: Path) -> None:
    """A LoRA of PEFT as GGUF in f32, which keeps every bit of it; `base` holds the config.json. Raises `Refusal`."""
    arguments = [str(adapter), "--base", str(base), "--outtype", "f32", "--outfile", str(out)]
    fault = _convert("convert_lora_to_gguf.py", arguments, None)
    if fault is not None:
        raise Refusal(f"llama.cpp cannot convert {adapter}: {fault}. Merge it instead: --kind gguf-q4_k_m.")


def quantise(model: Path, out: Path) -> None:
    """A GGUF in f16 as Q4_K_M. Raises `Refusal`."""
    tool = find_quantize()
    if tool is None:
        raise Refusal("llama-quantize is not here. Run: make engine.")
    command = [str(tool), str(model), str(out), "Q4_K_M"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise Refusal(f"llama-quantize cannot quantise {model}: {(done.stderr or done.stdout).strip()[-300:]}")


def _convert(script: str, arguments: list[str], pre_tokenizer: str | None) -> str | None:
    """None when it worked, else what the converter said last."""
    folder = find_converters()
    if folder is None:
        raise Refusal("llama.cpp's converters are not here. Run: make engine.")
    command = [sys.executable, "-c", WRAPPER, pre_tokenizer or "", str(folder / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=_environment())
    if done.returncode == 0:
        return None
    lines = (done.stderr.strip() or "it said nothing").split("\n")
    errors = [line.split(":", 2)[-1] for line in lines if line.startswith("ERROR:")]
    return (errors or lines)[-1].strip().rstrip(".")


def _environment() -> dict[str, str]:
    """With this project on the path of the process, wherever it was started."""
    project = str(Path(__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (project, os.environ.get("PYTHONPATH"))))}


def run_converter(words: list[str]) -> None:
    """Runs a converter in this process: the words are a pre-tokenizer or an empty one, the script, its arguments.

    The pre-tokenizer is used only where the converter itself does not know the vocabulary.
    """
    named, script, *_ = words
    folder = Path(script).parent
    sys.path[:0] = [str(folder / "gguf-py"), str(folder)]
    model_class = importlib.import_module("conversion.base").TextModel

    known = model_class.get_vocab_base_pre

    def pre_tokenizer(model: object, tokenizer: object) -> str:
        try:
            return str(known(model, tokenizer))
        except NotImplementedError:
            if not named:
                raise
            return named

    model_class.get_vocab_base_pre = pre_tokenizer
    sys.argv = words[1:]
    runpy.run_path(script, run_name="__main__")
