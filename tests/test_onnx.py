"""A version becomes an ONNX model that answers as transformers does, or it becomes none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy import onnx_build
from deploy.adapter import Refusal
from deploy.exports import Kind
from deploy.merge import Difference
from deploy.onnx import main
from deploy.onnx_check import why_refused
from deploy.registry import Export, Registry
from tests.eval_models import make_base
from tests.registry_town import Town, make_town

KINDS = ("onnx-fp32", "onnx-int8")


def beside(agreement: float, largest: float) -> Difference:
    return Difference(
        texts=6, tokens=100, max_logit_difference=largest, argmax_agreement=agreement, precision="float32"
    )


@pytest.mark.parametrize(
    ("kind", "agreement", "largest", "equal", "said"),
    [
        (Kind.ONNX_FP32, 1.0, 9e-4, 6, []),
        (Kind.ONNX_FP32, 0.99, 9e-4, 6, ["likeliest"]),
        (Kind.ONNX_FP32, 1.0, 1e-3, 6, ["logits"]),
        (Kind.ONNX_FP32, 1.0, float("nan"), 6, ["logits"]),
        (Kind.ONNX_FP32, 1.0, 9e-4, 5, ["5 of 6 greedy"]),
        (Kind.ONNX_FP32, 0.5, 3.0, 0, ["likeliest", "logits", "greedy"]),
        (Kind.ONNX_INT8, 0.95, 0.7, 2, []),
        (Kind.ONNX_INT8, 0.94, 0.7, 6, ["likeliest"]),
    ],
)
def test_a_kind_passes_its_own_gate(kind: Kind, agreement: float, largest: float, equal: int, said: list[str]) -> None:
    wrong = why_refused(kind, beside(agreement, largest), equal, 6)
    assert len(wrong) == len(said)
    assert all(word in phrase for word, phrase in zip(said, wrong, strict=True))


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A registry with mayor@v1, whose weights are invented; a model is given with --model."""
    made = make_town(tmp_path / "output", ["mayor"])
    made.registered()
    return made


def export(town: Town, *words: str, kind: str = "onnx-fp32") -> int:
    return main(["mayor", "v1", "--root", str(town.root), "--kind", kind, *words])


def test_without_the_builder_nothing_starts(
    town: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onnx_build, "find_spec", lambda name: None if name == "onnxruntime_genai" else object())
    assert export(town) == 1
    assert capsys.readouterr().err == (
        "error: onnxruntime-genai not installed here. Run: pip install 'lora-forge[onnx]'.\n"
    )
    assert not (town.root / "exports").exists()


def test_a_transformers_that_does_not_read_rope_parameters_is_refused(
    town: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onnx_build, "find_spec", lambda name: object())
    monkeypatch.setattr(onnx_build, "refuse_without_training_libraries", lambda: None)
    monkeypatch.setattr(onnx_build, "version", lambda package: "4.57.6")
    assert export(town) == 1
    assert "transformers 4.57.6 does not read rope_parameters" in capsys.readouterr().err
    assert not (town.root / "exports").exists()


def test_a_folder_without_a_model_and_an_unknown_version_are_refused(
    town: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("deploy.onnx.refuse_without_builder", lambda: None)
    assert export(town, "--model", str(tmp_path)) == 1
    assert "no config.json" in capsys.readouterr().err
    assert main(["mayor", "7", "--root", str(town.root)]) == 1
    assert "mayor has no version 7" in capsys.readouterr().err


def test_what_the_builder_cannot_build_is_one_sentence(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    builder = tmp_path / "python"
    builder.write_text(
        "#!/bin/sh\necho Traceback >&2\necho 'NotImplementedError: Mamba is not supported.' >&2\nexit 1\n"
    )
    builder.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(builder))
    with pytest.raises(Refusal, match=r"^onnxruntime-genai cannot build .*model \(NotImplementedError: Mamba is not"):
        onnx_build.build(tmp_path / "model", tmp_path / "out", Kind.ONNX_FP32)


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2, in the place of a merged version, that rotates by another base than the usual one."""
    for library in ("torch", "onnxruntime_genai", "onnx_ir"):
        pytest.importorskip(library, reason="the ONNX libraries are not here: pip install 'lora-forge[onnx]'")
    folder = make_base(tmp_path_factory.mktemp("merged") / "model", hidden_size=64)
    config = json.loads((folder / "config.json").read_text())
    config["rope_parameters"]["rope_theta"] = 1e6
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def exported(merged: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """mayor@v1 in both kinds, from the merged model that the registry knows."""
    town = make_town(tmp_path_factory.mktemp("exported") / "output", ["mayor"])
    town.registered()
    with Registry.open(town.root) as registry:
        registry.add_export("mayor", 1, "merged", merged, None, {})
    rows = [
        {"conversations": [{"from": "human", "value": f"Bead pe-{n}."}, {"from": "gpt", "value": "gt sling"}]}
        for n in (1, 2)
    ]
    (town.root / "datasets" / "mayor_val.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [export(town, kind=kind) for kind in KINDS] == [0, 0]
    with Registry.open(town.root) as registry:
        yield SimpleNamespace(town=town, exports=registry.exports("mayor", 1))


def report_of(made: Export) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((made.path / "export-report.json").read_text())
    return told


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_both_kinds_pass_their_gate_and_tell_the_numbers(exported: SimpleNamespace, kind: str) -> None:
    told = report_of(exported.exports[kind])
    assert told == exported.exports[kind].report
    assert told["version"] == "mayor@v1" and told["kind"] == kind
    assert told["rope_theta"] == pytest.approx(1e6, rel=1e-3)
    assert told["agreement"]["argmax_agreement"] >= (1.0 if kind == "onnx-fp32" else 0.95)
    assert told["agreement"]["texts_are"] == "validation rows of the role"
    assert told["versions"]["transformers"].startswith("5.") and "unknown" not in told["versions"].values()
    assert {"model.onnx", "model.onnx.data", "genai_config.json", "tokenizer.json"} <= set(told["files"])
    assert (
        told["bytes"] + (exported.exports[kind].path / "export-report.json").stat().st_size
        == exported.exports[kind].size
    )


@pytest.mark.slow
def test_float32_answers_and_counts_exactly_as_transformers(exported: SimpleNamespace) -> None:
    agreement = report_of(exported.exports["onnx-fp32"])["agreement"]
    assert agreement["max_logit_difference"] < 1e-3 and agreement["tokens"] > 20
    assert agreement["equal_answers"] == agreement["answers"] == 6


@pytest.mark.slow
def test_int8_is_smaller_and_not_the_same(exported: SimpleNamespace) -> None:
    full, small = (report_of(exported.exports[kind]) for kind in KINDS)
    assert small["agreement"]["max_logit_difference"] > full["agreement"]["max_logit_difference"]
    assert small["bytes"] < full["bytes"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_report_has_the_hash_of_every_file(exported: SimpleNamespace, kind: str) -> None:
    folder = exported.exports[kind].path
    there = {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    del there["export-report.json"]
    assert report_of(exported.exports[kind])["files"] == there


@pytest.mark.slow
def test_what_is_there_is_not_made_again(
    exported: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("deploy.onnx.build", lambda *words: pytest.fail("it was built again"))
    assert export(exported.town, kind="onnx-int8") == 0
    assert "mayor@v1 as onnx-int8" in capsys.readouterr().out


@pytest.mark.slow
def test_another_rotation_than_that_of_the_config_is_seen(exported: SimpleNamespace) -> None:
    folder = exported.exports["onnx-fp32"].path
    assert onnx_build.check_rotation(folder, {"rope_parameters": {"rope_theta": 1e6}}) == pytest.approx(1e6, rel=1e-3)
    with pytest.raises(Refusal, match=r"rope_theta 10000;"):
        onnx_build.check_rotation(folder, {"rope_theta": 10000.0})


@pytest.mark.slow
def test_a_model_that_says_something_else_gets_no_name(
    exported: SimpleNamespace,
    merged: Path,
    town: Town,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The builder delivers a good model, but of other weights than the source has."""
    other = make_base(town.root / "other", hidden_size=64, seed=5)
    shutil.copyfile(merged / "config.json", other / "config.json")
    good = exported.exports["onnx-fp32"].path
    monkeypatch.setattr("deploy.onnx.build", lambda source, place, kind: shutil.copytree(good, place))
    assert export(town, "--model", str(other)) == 1
    assert "likeliest tokens are equal, not 100%" in capsys.readouterr().err
    assert list((town.root / "exports" / "mayor" / "v1").iterdir()) == []
    with Registry.open(town.root) as registry:
        assert registry.exports("mayor", 1) == {}
