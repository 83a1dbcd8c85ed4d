"""Lets the evaluation judge a version: results of the base model beside its own, compared by a command.

`eval.compare` reads results of role_bench, `eval.rubric_compare` those of the rubric. `judge(...)` compares copies of
the results, which the registry keeps under the name of their hash.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from deploy.adapter import Refusal
from deploy.registry.folders import file_sha256
from deploy.registry.values import Measure, Rate, Version
from deploy.results import RESULTS as DECODER
from deploy.results import Evaluation, RoleBench, score_command

REPOSITORY = Path(__file__).resolve().parent.parent.parent
RESULTS = "results.json"  # as role_bench names it
COMPARE: dict[Measure, str] = {"role_bench": "eval.compare", "rubric": "eval.rubric_compare"}
KEPT = Path("evals", "registry")  # below the root
NOT_COMPARABLE = 2


class Side(msgspec.Struct, frozen=True):
    """A rate as eval.compare writes it."""

    value: float
    low: float
    high: float
    scenarios: int
    families: int

    def rate(self) -> Rate:
        """The same as the registry tells it."""
        return Rate(self.value, self.low, self.high, self.scenarios, self.families)


class Row(msgspec.Struct, frozen=True):
    """One row of the comparison: a role, or `all`."""

    role: str
    base: Side
    adapter: Side
    difference: Side


class Report(msgspec.Struct, frozen=True):
    """What `eval.compare --json` or `eval.rubric_compare --json` says; the last row is the one that decides."""

    outcome: str
    reasons: tuple[str, ...]
    margin: float | None = None
    rows: tuple[Row, ...] = ()
    measure: Measure = "role_bench"
    kind: Literal["comparison"] = "comparison"


@dataclass(frozen=True)
class Judged:
    """The gate's answer: exit code and report of the comparison, and what it compared.

    `smoke`: whether one of the runs is too small for a claim; `base_revision`: the commit of the base that they loaded.
    """

    code: int
    report: Report
    base: Path
    adapter: Path
    smoke: bool
    base_revision: str | None


def judge(root: Path, version: Version, base: Path, adapter: Path, margin: float | None = None) -> Judged:
    """Compares results of the base with those of a version. Raises `Refusal` where they are about something else."""
    base, adapter = results_file(base), results_file(adapter)
    (before, before_bytes), (after, after_bytes) = read_results(base), read_results(adapter)
    measure = measure_of(after)
    if measure_of(before) != measure:
        raise Refusal(f"{base} is of {measure_of(before)} and {adapter} of {measure}. Give two results of one kind.")
    if not before.is_base:
        raise Refusal(
            f"{base} is no run of the base model alone, loaded here. Make one: python -m eval.{measure} --model base."
        )
    if after.adapter_digest != version.sha256:
        options = ("--role", version.role) if measure == "role_bench" else ()
        raise Refusal(
            f"{adapter} is not about {version.name} (it scored {after.model}). Score this one: "
            f"{score_command(after, version.folder, adapter, *options)}."
        )
    base, adapter = keep(before_bytes, root / KEPT), keep(after_bytes, root / KEPT)
    code, report = compare(base, adapter, margin, measure)
    revision = after.facts.get("base_revision")
    return Judged(code, report, base, adapter, before.smoke or after.smoke, revision and str(revision))


def results_file(path: Path) -> Path:
    """The file in the folder of a run, or the file itself."""
    return path / RESULTS if path.is_dir() else path


def read_results(path: Path) -> tuple[Evaluation, bytes]:
    """Results of role_bench or of the rubric, and the bytes that say so. Raises `Refusal`."""
    try:
        content = path.read_bytes()
        return DECODER.decode(content), content
    except OSError as problem:
        made = "python -m eval.role_bench, or eval.rubric"
        raise Refusal(f"{path} cannot be read ({problem.strerror}). Run it: {made}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise Refusal(f"{path} is no result of role_bench or of the rubric ({problem}). Run it again.") from None


def measure_of(run: Evaluation) -> Measure:
    """What was run."""
    return "role_bench" if isinstance(run, RoleBench) else "rubric"


def keep(content: bytes, folder: Path) -> Path:
    """A file that is named for its hash, so that it is made once and can be checked."""
    kept = folder / f"{hashlib.sha256(content).hexdigest()}.json"
    if not kept.is_file() or file_sha256(kept) != kept.stem:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{kept.name}.{os.getpid()}"
        unfinished.write_bytes(content)
        unfinished.chmod(0o444)
        unfinished.replace(kept)
    return kept


def compare(base: Path, adapter: Path, margin: float | None, measure: Measure) -> tuple[int, Report]:
    """Exit code and report of the command that compares. Raises `Refusal` where it broke."""
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        file = Path(folder, "comparison.json")
        paths = [str(path.resolve()) for path in (base, adapter)]
        command = [sys.executable, "-m", COMPARE[measure], *paths, "--json", str(file)]
        command += [] if margin is None else ["--margin", str(margin)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        said = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        if file.is_file():
            return done.returncode, msgspec.json.decode(file.read_bytes(), type=Report)
    if done.returncode == NOT_COMPARABLE and said[0].startswith("error: "):
        return NOT_COMPARABLE, Report("not comparable", (said[0].removeprefix("error: "),), margin, (), measure)
    name = COMPARE[measure]
    raise Refusal(f"{name} broke off with exit code {done.returncode} ({said[0]}). Run it by hand to see why.")
