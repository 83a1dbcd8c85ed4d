"""The gate before a promotion: `eval.compare` on the base's results and a version's own, and every reason against it.

`judge(...)` runs the comparison as a command of its own, on copies of the results that the registry keeps by their
hash; `reasons_against(...)` lists all that speaks against a version, each with its fix.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

import msgspec

from deploy import evidence
from deploy.adapter import Refusal
from deploy.registry.folders import faults, file_sha256
from deploy.registry.values import Evaluation, Rate, Version

REPOSITORY = Path(__file__).resolve().parent.parent.parent
RESULTS = "results.json"  # as role_bench names it
KEPT = Path("evals", "registry")  # below the root
NOT_COMPARABLE = 2
FORGOTTEN = "forgotten.txt"  # below the root; `python -m data.pipeline forget` writes it


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
    """What `eval.compare --json` says; the last row is the one that decides."""

    outcome: str
    reasons: tuple[str, ...]
    margin: float | None = None
    rows: tuple[Row, ...] = ()
    kind: Literal["comparison"] = "comparison"


@dataclass(frozen=True)
class Judged:
    """The gate's answer: exit code and report of eval.compare, and what it compared.

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
    before, after = read_results(base), read_results(adapter)
    if not before.is_base:
        raise Refusal(
            f"{base} is no run of the base model alone, loaded here. Make one: python -m eval.role_bench --model base."
        )
    if after.adapter_digest != version.sha256:
        raise Refusal(
            f"{adapter} is not about {version.name} (it scored {after.model}). Score this one: "
            f"python -m eval.role_bench --model {version.folder} --role {version.role} --out {adapter.parent}."
        )
    base, adapter = keep(base, root / KEPT), keep(adapter, root / KEPT)
    code, report = compare(base, adapter, margin)
    revision = after.facts.get("base_revision")
    return Judged(code, report, base, adapter, before.smoke or after.smoke, revision and str(revision))


def results_file(path: Path) -> Path:
    """The file in the folder of a run, or the file itself."""
    return path / RESULTS if path.is_dir() else path


def read_results(path: Path) -> evidence.Evaluation:
    """Results of role_bench. Raises `Refusal`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=evidence.Evaluation)
    except OSError as problem:
        raise Refusal(f"{path} cannot be read ({problem.strerror}). Run it: python -m eval.role_bench.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise Refusal(f"{path} is no result of role_bench ({problem}). Run it again.") from None


def keep(results: Path, folder: Path) -> Path:
    """A copy that is named for its hash, so that it is made once and can be checked."""
    content = results.read_bytes()
    kept = folder / f"{file_sha256(results)}.json"
    if not kept.is_file() or file_sha256(kept) != kept.stem:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{kept.name}.{os.getpid()}"
        unfinished.write_bytes(content)
        unfinished.chmod(0o444)
        unfinished.replace(kept)
    return kept


def compare(base: Path, adapter: Path, margin: float | None) -> tuple[int, Report]:
    """Exit code and report of eval.compare. Raises `Refusal` where it broke."""
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        file = Path(folder, "comparison.json")
        command = [
            sys.executable,
            "-m",
            "eval.compare",
            str(base.resolve()),
            str(adapter.resolve()),
            "--json",
            str(file),
        ]
        command += [] if margin is None else ["--margin", str(margin)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        said = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        if file.is_file():
            return done.returncode, msgspec.json.decode(file.read_bytes(), type=Report)
    if done.returncode == NOT_COMPARABLE and said[0].startswith("error: "):
        return NOT_COMPARABLE, Report("not comparable", (said[0].removeprefix("error: "),), margin)
    raise Refusal(f"eval.compare broke off with exit code {done.returncode} ({said[0]}). Run it by hand to see why.")


def reasons_against(version: Version, sessions: Iterable[str], transcripts: Iterable[str], root: Path) -> Iterator[str]:
    """All that speaks against a promotion, each with its fix."""
    name, again = version.name, f"python -m deploy.registry evaluate {version.role} v{version.number} BASE ADAPTER"
    if wrong := list(faults(version.folder, version.files)):
        yield f"{version.folder} is not as it was registered ({', '.join(wrong)}). Register the adapter again."
    yield from about_evaluation(version.evaluation, name, again)
    yield from (f"Of {name}, {note}. Train it on a dataset that is here." for note in version.notes)
    if gone := sorted(forgotten_in(root, sessions, transcripts)):
        yield (
            f"{name} learned from {len(gone)} forgotten sessions ({', '.join(gone[:3])}{' ...' if gone[3:] else ''}). "
            "Build the datasets again without them, and train it again."
        )


def about_evaluation(evaluation: Evaluation | None, name: str, again: str) -> Iterator[str]:
    """What the newest evaluation says against a version."""
    if evaluation is None:
        yield f"{name} was never evaluated. Score base and adapter with eval.role_bench, then: {again}."
        return
    for results in (evaluation.base_results, evaluation.adapter_results):
        if not results.is_file() or file_sha256(results) != results.stem:
            yield f"The results in {results} were changed or removed since they were judged. Again: {again}."
    if evaluation.smoke:
        yield f"{name} has only a smoke evaluation, too small for a claim. Score it without --smoke, then: {again}."
    if not evaluation.passed:
        yield f"{name} did not pass ({evaluation.outcome}: {' '.join(evaluation.reasons)}) Train or score it again."


def forgotten_in(root: Path, sessions: Iterable[str], transcripts: Iterable[str]) -> set[str]:
    """The forgotten sessions among these, and those whose transcripts are shown."""
    listed = read_forgotten(root / FORGOTTEN)
    if not listed:
        return set()
    return listed & set(sessions).union(*map(names_in, transcripts))


def read_forgotten(path: Path) -> set[str]:
    """The ids in the list, one a line; none without a list. Raises `Refusal` where it cannot be read."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        return set()
    except (OSError, UnicodeDecodeError) as problem:
        raise Refusal(f"{path}: the list of forgotten sessions cannot be read ({problem}). Correct it.") from None
    return {line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")}


def names_in(file: str) -> set[str]:
    """The sessions for which a transcript can be named: every part of its path, whole or up to one of its dots."""
    parts = PurePath(file).parts
    return {*parts, *(part[:place] for part in parts for place, letter in enumerate(part) if letter == ".")}
