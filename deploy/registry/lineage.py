"""From an adapter back to the sessions that it learned from: run.json, the dataset's manifest, origins.jsonl.

`lineage_of(folder, root, manifest)` reads them. Where the dataset is gone or was built again, nobody can tell any more,
and a note says so.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from deploy.adapter import Refusal
from deploy.card import ROW_FILE
from deploy.evidence import Manifest
from deploy.registry.folders import RUN_FILE, VERSION_FILE, file_sha256, numbers
from deploy.registry.training import Run, read_run

ALL_ROLES = "gastown"  # the rows of all roles together
ORIGINS = "origins.jsonl"
CHOICES = "choices.jsonl"  # the same of rows of preferences
# Beside a version. Packed, so that who searches texts for a session is not sent to a file that must not change.
LINEAGE = "lineage.json.gz"
START = "lora_model_dir"  # in a recipe: the adapter that training went on from


class _Origin(msgspec.Struct):
    session: str
    file: str = ""


class _Place(msgspec.Struct):
    file: str = ""


class _Trace(msgspec.Struct):
    """One line of origins.jsonl or choices.jsonl."""

    role: str
    origin: _Origin
    split: str = "train"
    method: str = ""
    trained: tuple[_Place, ...] = ()
    replies: tuple[_Place, ...] = ()


@dataclass
class Lineage:
    """`sessions` with how many rows of each, the `transcripts` that those rows show, `notes` on what is not known."""

    manifest_sha256: str | None = None
    sessions: dict[str, int] = field(default_factory=dict)
    transcripts: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def add(self, session: str, rows: int = 1) -> None:
        """Count rows of a session."""
        self.sessions[session] = self.sessions.get(session, 0) + rows


def lineage_of(folder: Path, root: Path, manifest: Path | None = None) -> Lineage:
    """The sessions behind the adapter in `folder`, those of the adapter that it went on from among them.

    The folder of a version tells itself what was known when it was registered. Raises `Refusal` for a damaged file.
    """
    if manifest is None and (folder / LINEAGE).is_file():
        return load(folder / LINEAGE)
    run, found = read_run(folder), Lineage()
    if run is None:
        found.notes.append(f"it has no {RUN_FILE}, so nobody knows what it was trained on")
        return found
    found.manifest_sha256 = run.manifest.sha256 if run.manifest else None
    _add_rows(found, run, root, manifest)
    if start := run.settings.get(START):
        _add_start(found, Path(str(start)), run, root)
    return found


def _add_rows(found: Lineage, run: Run, root: Path, manifest: Path | None) -> None:
    files = {rows.name: rows.sha256 for rows in run.data}
    dataset = next((path for path in _places(run, root, manifest) if _is_build_of(path, files)), None)
    if dataset is None or not files:
        found.notes.append("the dataset that it was trained on is no longer here, so its sessions are not known")
        return
    found.manifest_sha256 = found.manifest_sha256 or hashlib.sha256(dataset.read_bytes()).hexdigest()
    for trace in _traces(dataset.parent, files):
        found.add(trace.origin.session)
        found.transcripts |= {trace.origin.file, *(place.file for place in (*trace.trained, *trace.replies))} - {""}


def _places(run: Run, root: Path, manifest: Path | None) -> Iterator[Path]:
    """Where the manifest may be: as given, as the run names it, and as this root holds it.

    Its hashes decide which of them it is.
    """
    if manifest is not None:
        yield manifest / "manifest.json" if manifest.is_dir() else manifest
    if run.manifest is not None:
        yield Path(run.manifest.path)
    yield root / "datasets" / "manifest.json"


def _is_build_of(manifest: Path, files: Mapping[str, str]) -> bool:
    """Whether this manifest describes these rows, and the origins beside it are those of the same build."""
    try:
        told = msgspec.json.decode(manifest.read_bytes(), type=Manifest).files
        same = all(name in told and told[name].sha256 == digest for name, digest in files.items())
        origins = [name for name in (ORIGINS, CHOICES) if name in told]
        return same and ORIGINS in origins and all(file_sha256(manifest.parent / n) == told[n].sha256 for n in origins)
    except (OSError, msgspec.DecodeError):
        return False


def _traces(dataset: Path, files: Mapping[str, str]) -> Iterator[_Trace]:
    """The lines about the rows of these files."""
    decoder = msgspec.json.Decoder(_Trace)
    wanted = {(role, method, split) for name in files for role, method, split in _parts(name)}
    for origins in (dataset / ORIGINS, dataset / CHOICES):
        for number, line in enumerate(origins.read_bytes().splitlines() if origins.is_file() else (), 1):
            try:
                trace = decoder.decode(line)
            except msgspec.DecodeError as problem:
                raise Refusal(f"{origins}:{number} is damaged ({problem}). Build the dataset again.") from None
            if {(role, trace.method, trace.split) for role in (trace.role, ALL_ROLES)} & wanted:
                yield trace


def _parts(name: str) -> Iterator[tuple[str, str, str]]:
    """Role, method and split of a file of rows: mayor.dpo.train.jsonl, or mayor_train.jsonl with no method."""
    if match := ROW_FILE.fullmatch(name):
        yield match["role"], next((method for method in ("dpo", "kto") if f".{method}." in name), ""), match["split"]


def _add_start(found: Lineage, start: Path, run: Run, root: Path) -> None:
    """What the adapter before it learned is still in the weights."""
    folder = _as_it_was(start, root / "adapters" / start.name, run.started_at)
    if folder is None:
        found.notes.append(f"it went on from {start.name}, which is no longer here as it was then")
        return
    before = lineage_of(folder, root)
    for session, rows in before.sessions.items():
        found.add(session, rows)
    found.transcripts |= before.transcripts
    found.notes += [f"it went on from {start.name}: {note}" for note in before.notes]


def _as_it_was(start: Path, here: Path, started_at: str) -> Path | None:
    """The newest state of an adapter, in place or as a version, that was finished before another training began."""
    found: list[tuple[str, Path]] = []
    for folder in dict.fromkeys((start, here)):
        versions = (path for path in numbers(folder).values() if (path / VERSION_FILE).is_file())
        for path in (folder, *versions):
            run = read_run(path)
            if run is not None and run.finished_at < started_at:
                found.append((run.finished_at, path))
    return max(found, default=("", None), key=lambda pair: pair[0])[1]


def dump(lineage: Lineage) -> bytes:
    """The lineage as the file beside a version; the same bytes for the same lineage."""
    return gzip.compress(msgspec.json.encode(lineage, order="sorted"), mtime=0)


def load(path: Path) -> Lineage:
    """The lineage beside a version. Raises `Refusal`."""
    try:
        return msgspec.json.decode(gzip.decompress(path.read_bytes()), type=Lineage)
    except (OSError, EOFError, msgspec.DecodeError) as problem:
        raise Refusal(f"{path} cannot be read ({problem}). Register the adapter again.") from None
