"""Builds llama.cpp from one source distribution of PyPI: fetch, check the hash, unpack, compile, put in place.

What is half built stays beside the cache, so that a build that was stopped goes on where it was. One process builds
at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from deploy.adapter import Refusal
from deploy.engine import Sdist

PROGRAMS: Final = ("llama-server", "llama-quantize")
CONVERTERS: Final = ("convert_hf_to_gguf.py", "convert_lora_to_gguf.py", "conversion", "gguf-py")
# Static, without the parts that want the network or the very processor it was built on, so that a cache can be shared.
FLAGS: Final = (
    "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", "-DGGML_NATIVE=OFF", "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_APP=OFF", "-DLLAMA_BUILD_UI=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
)  # fmt: skip
# Archive, sources and what the compiler leaves take 390 MB.
DISK_BYTES: Final = 600_000_000
STEP: Final = re.compile(r"\[\s*(\d+)(?:/(\d+)|%)\]")
SECONDS_BETWEEN_LINES: Final = 20.0


class Parts(StrEnum):
    """What the cache holds."""

    BINARIES = "llama-server and llama-quantize"
    CONVERTERS = "llama.cpp's converters"


def plan(sdist: Sdist, folder: Path, wanted: Set[str]) -> str:
    """What a build would do, and what is missing for it."""
    steps = [f"fetch {sdist.package} {sdist.version} from PyPI and check that its sha256 is {sdist.sha256[:12]}..."]
    if Parts.BINARIES in wanted:
        steps.append(f"cmake {' '.join(FLAGS)}, then build {' and '.join(PROGRAMS)}")
    missing = what_is_missing(folder, wanted)
    fault = f"\nmissing: {'; '.join(missing)}" if missing else ""
    return "\n".join(["would " + "; ".join(steps), f"would put {' and '.join(sorted(wanted))} into {folder}"]) + fault


def what_is_missing(folder: Path, wanted: Set[str]) -> list[str]:
    """What this machine lacks, each with how to get it."""
    found = []
    if Parts.BINARIES in wanted:
        if shutil.which("cmake") is None:
            found.append("cmake (pip install cmake works everywhere)")
        if shutil.which("ninja") is None and shutil.which("make") is None:
            found.append("ninja (pip install ninja works everywhere)")
        if shutil.which(os.environ.get("CXX", "c++")) is None and shutil.which("g++") is None:
            found.append("a C++ compiler (apt install g++, or Xcode's command line tools)")
    near = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    free = shutil.disk_usage(near).free
    if free < DISK_BYTES:
        found.append(f"{(DISK_BYTES - free) / 1e6:,.0f} MB more free disk in {near} (set XDG_CACHE_HOME to another)")
    return found


def install(sdist: Sdist, folder: Path, wanted: Set[str], jobs: int, missing: Callable[[], Set[str]]) -> None:
    """Puts the wanted parts into `folder`; `missing` tells what still is when another process was waited for.

    Raises `Refusal` before anything is fetched where the machine lacks something, and after that with what went wrong.
    """
    if lacking := what_is_missing(folder, wanted):
        raise Refusal(f"this machine cannot make {' and '.join(sorted(wanted))} without: {'; '.join(lacking)}.")
    work = folder.with_name(f".{folder.name}.build")
    with only_one(folder.with_name(f".{folder.name}.lock")):
        wanted = wanted & missing()
        if wanted:
            sources = unpacked(sdist, work)
            if Parts.CONVERTERS in wanted:
                put([sources / name for name in CONVERTERS], folder / "converters")
            if Parts.BINARIES in wanted:
                put(compiled(sources, work / "build", jobs), folder / "bin")
            shutil.rmtree(work)


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Waits until no other process builds; one that dies lets go."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process builds the engine; waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def unpacked(sdist: Sdist, work: Path) -> Path:
    """The folder of llama.cpp in the unpacked archive. Raises `Refusal` where it cannot be fetched or is another."""
    done = work / "sources" / f"{sdist.package.replace('-', '_')}-{sdist.version}" / "vendor" / "llama.cpp"
    if done.is_dir():
        return done
    archive = fetched(sdist, work)
    say(f"unpacking {archive.name}")
    place = work / "unpacking"
    shutil.rmtree(place, ignore_errors=True)
    with tarfile.open(archive) as files:
        files.extractall(place, filter="data")
    shutil.rmtree(work / "sources", ignore_errors=True)
    place.rename(work / "sources")
    archive.unlink()
    if not done.is_dir():
        raise Refusal(f"{archive.name} holds no llama.cpp.")
    return done


def fetched(sdist: Sdist, work: Path) -> Path:
    """The archive from the package index that pip is set to, with the hash that is pinned."""
    say(f"fetching {sdist.package} {sdist.version}")
    folder = work / "fetched"
    folder.mkdir(parents=True, exist_ok=True)
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{sdist.package}=={sdist.version} --hash=sha256:{sdist.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", sdist.package, "--require-hashes", "--requirement", str(pinned), "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    found = sorted(folder.glob("*.tar.gz"))
    if done.returncode or not found:
        raise Refusal(f"pip cannot fetch {sdist.package} {sdist.version}: {_last_error(done.stderr)}")
    with found[0].open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != sdist.sha256:
            found[0].unlink()
            raise Refusal(f"{found[0].name} is not the file that is pinned. Nothing was built from it.")
    return found[0]


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1]


def compiled(sources: Path, build: Path, jobs: int) -> list[Path]:
    """The programs, built and tried. Raises `Refusal` with the end of the log."""
    build.mkdir(parents=True, exist_ok=True)
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    log = build / "build.log"
    run(["cmake", "-S", str(sources), "-B", str(build), *generator, *FLAGS], log)
    run(["cmake", "--build", str(build), "--parallel", str(jobs), "--target", *PROGRAMS], log)
    programs = [build / "bin" / name for name in PROGRAMS]
    run([str(programs[0]), "--version"], log)
    return programs


def run(command: Sequence[str], log: Path) -> None:
    """Runs a command into the log and says now and then how far it is. Raises `Refusal` where it fails."""
    said = 0.0
    with log.open("a", encoding="utf-8") as out, _both_outputs(command) as child:
        for line in child.stdout or ():
            out.write(line)
            if (step := STEP.match(line)) and time.monotonic() - said > SECONDS_BETWEEN_LINES:
                said = time.monotonic()
                say(f"compiling: {step[1]} of {step[2]} steps" if step[2] else f"compiling: {step[1]} %")
    if child.returncode:
        last = "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:])
        raise Refusal(f"{Path(command[0]).name} failed; the whole log is {log}. Its end:\n{last}")


def _both_outputs(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")


def put(files: Sequence[Path], folder: Path) -> None:
    """Copies files and folders into a new `folder`, whole or not at all."""
    place = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for file in files:
        copy = shutil.copytree if file.is_dir() else shutil.copy2
        copy(file, place / file.name)
    shutil.rmtree(folder, ignore_errors=True)
    place.rename(folder)


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"engine: {text}", file=sys.stderr, flush=True)
