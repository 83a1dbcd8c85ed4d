"""Exports a version as ONNX for onnxruntime-genai, and verifies it against transformers before it counts.

`python -m deploy.onnx mayor 3` merges the version where that is not done yet, and writes the folder
`output/exports/mayor/v3/onnx-int8`; `--kind onnx-fp32` keeps all bits. A model is recorded only if it rotates by the
base in its config, and its logits and greedy answers are near enough to those of its source; `export-report.json` in
the folder has the numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from deploy.adapter import Refusal, read_object
from deploy.exports import Kind, export_path, present, size_of, unfinished
from deploy.merge import add_version_options, merged_model
from deploy.onnx_build import build, check_rotation, refuse_without_builder, versions
from deploy.onnx_check import GATES, Expected, OnnxModel, compare, expected_of, why_refused
from deploy.registry import Export, Registry, Version
from deploy.registry.folders import file_sha256

REPORT: Final = "export-report.json"
KINDS: Final = [str(kind) for kind in GATES]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: 0 when the model is there and recorded, else 1 with one sentence."""
    options = parser().parse_args(argv)
    try:
        with Registry.open(options.root) as registry:
            version = registry.version(options.role, options.version)
            export = onnx_model(registry, options, version, Kind(options.kind))
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    print(told(version, export))
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m deploy.onnx", description=(__doc__ or "").split("\n")[0])
    add_version_options(result)
    result.add_argument("--kind", choices=KINDS, default=str(Kind.ONNX_INT8), help="what to make (onnx-int8)")
    result.add_argument(
        "--model", type=Path, metavar="DIR", help="the merged model of this version, if it lies elsewhere"
    )
    return result


def onnx_model(registry: Registry, options: argparse.Namespace, version: Version, kind: Kind) -> Export:
    """The export of a version, made where it is not there yet. Raises `Refusal`."""
    if (export := present(registry, version, kind)) is not None:
        return export
    refuse_without_builder()
    source = options.model or merged_model(registry, options.root, version, options.base).path
    if not (source / "config.json").is_file():
        raise Refusal(f"{source} holds no model of transformers (no config.json). Give the merged model: --model DIR.")
    path = export_path(options.root, version, kind)
    expected = expected_of(source, options.root / "datasets" / f"{version.role}_val.jsonl")
    with unfinished(path) as place:
        report = {"version": version.name, "kind": str(kind), **make(source, place, kind, expected)}
        (place / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return registry.add_export(version.role, version.number, kind, path, None, report)


def make(source: Path, place: Path, kind: Kind, expected: Expected) -> dict[str, Any]:
    """Builds a model in the folder `place` and returns the report on it. Raises `Refusal` where it fails its gate."""
    started = time.monotonic()
    build(source, place, kind)
    built = time.monotonic()
    theta = check_rotation(place, read_object(source / "config.json"))
    difference, equal = compare(OnnxModel(place), expected)
    answers = len(expected.answers)
    if faults := why_refused(kind, difference, equal, answers):
        raise Refusal(f"the new model is not what its source is, and was removed: {'; '.join(faults)}.")
    return {
        "source": {"folder": source.name, "files": hashes(source)},
        "files": hashes(place),
        "bytes": size_of(place),
        "seconds": {"build": round(built - started, 1), "verify": round(time.monotonic() - built, 1)},
        "versions": versions(),
        "rope_theta": theta,
        "agreement": {"texts_are": expected.of, **asdict(difference), "answers": answers, "equal_answers": equal},
        "gate": asdict(GATES[kind]),
    }


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file in a folder, by name."""
    return {path.name: file_sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}


def told(version: Version, export: Export) -> str:
    """What was made, and how it is beside its source."""
    agreement: Mapping[str, Any] = export.report["agreement"]
    return (
        f"{version.name} as {export.kind}: {export.path} ({export.size / 1e6:,.1f} MB)\n"
        f"Beside transformers, over {agreement['tokens']:,} tokens of {agreement['texts_are']}: the likeliest token is "
        f"the same for {agreement['argmax_agreement']:.1%}, logits differ by {agreement['max_logit_difference']:.2g} "
        f"at most; {agreement['equal_answers']} of {agreement['answers']} greedy answers are equal."
    )


if __name__ == "__main__":
    sys.exit(main())
