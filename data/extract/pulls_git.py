"""Asks git about a repository of somebody else, without running anything that the repository could name.

A repository's configuration can name programs: filters, viewers, signature checks, hooks, transports. Only where the
branch stands is asked in the repository itself; everything else is asked in an empty one of our own, on its objects.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import IO

import msgspec

SHORT = 60  # seconds for a question with a short answer
LONG = 900  # seconds for one that goes over many commits
_OFF = ("core.hooksPath", "core.attributesFile", "core.excludesFile")
_ASK = (
    "rev-parse",
    "--path-format=absolute",
    "--is-shallow-repository",
    "--show-object-format",
    "--git-path",
    "objects",
)


class GitError(Exception):
    """What git said when it could not answer, in one line."""


class Place(msgspec.Struct, frozen=True):
    """A repository: the commit that was asked for, where its objects are, what their ids are, whether it is shallow."""

    tip: str
    objects: str
    format: str
    shallow: bool


def installed() -> bool:
    return shutil.which("git") is not None


def place_of(git_dir: Path, branch: str = "") -> Place:
    """Where a branch of a repository stands; without a name the one that is checked out. Raises GitError."""
    if branch.startswith("-"):
        raise GitError(f"{branch} is no name of a branch")
    said = _run([f"--git-dir={git_dir}", *_ASK])
    shallow, form, objects = said.rstrip("\n").split("\n", 2)
    tip = _run(
        [f"--git-dir={git_dir}", "rev-parse", "--verify", "--quiet", f"{branch or 'HEAD'}^{{commit}}"], "no commit"
    )
    return Place(tip.strip(), objects, form, shallow == "true")


class View:
    """An empty repository on the objects of another one: git sees the history, and no configuration."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.folder = folder
        self._own = {
            "GIT_DIR": str(folder),
            "GIT_OBJECT_DIRECTORY": place.objects,
            "GIT_INDEX_FILE": str(folder / "index"),
        }
        (folder / "refs").mkdir()
        (folder / "HEAD").write_text("ref: refs/heads/none\n")
        sha256 = "[extensions]\n\tobjectFormat = sha256\n" if place.format == "sha256" else ""
        version = 1 if sha256 else 0
        (folder / "config").write_text(f"[core]\n\trepositoryFormatVersion = {version}\n\tbare = true\n{sha256}")

    def run(self, words: Sequence[str]) -> str:
        """A short answer as text. Raises GitError."""
        return _run(words, more=self._own)

    @contextmanager
    def stream(self, words: Sequence[str], given: bytes = b"") -> Iterator[IO[bytes]]:
        """An answer as it comes, to what was given on standard input. Raises GitError, at the end at the latest."""
        with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
            asked.write(given)
            asked.seek(0)
            with subprocess.Popen(
                _line(words), stdin=asked, stdout=subprocess.PIPE, stderr=said, env=_env(self._own)
            ) as git:
                watch = Timer(LONG, git.kill)
                watch.start()
                try:
                    assert git.stdout is not None
                    yield git.stdout
                    code = git.wait()
                except BaseException:
                    git.kill()
                    raise
                finally:
                    watch.cancel()
            if code:
                said.seek(0)
                late = f"git took over {LONG} s" if code == -signal.SIGKILL else f"git ended with {code}"
                raise GitError(_first_line(said.read(2000)) or late)


@contextmanager
def view_of(place: Place) -> Iterator[View]:
    """A view of a repository; nothing of it stays."""
    with tempfile.TemporaryDirectory(prefix="lora-forge-git-") as folder:
        yield View(Path(folder), place)


def _run(words: Sequence[str], problem: str = "", more: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(_line(words), env=_env(more or {}), capture_output=True, timeout=SHORT, check=False)
    except subprocess.TimeoutExpired:
        raise GitError(f"git gave no answer in {SHORT} s") from None
    if done.returncode:
        raise GitError(problem or _first_line(done.stderr) or f"git ended with {done.returncode}")
    return os.fsdecode(done.stdout)


def _line(words: Sequence[str]) -> list[str]:
    settings = [*(f"{key}={os.devnull}" for key in _OFF), "core.fsmonitor=false", "core.quotePath=false"]
    settings += ["log.showSignature=false", "core.commitGraph=true"]
    return ["git", "--no-pager", *(word for setting in settings for word in ("-c", setting)), *words]


def _env(more: dict[str, str]) -> dict[str, str]:
    """The environment without anything that speaks to git, and with what keeps it quiet, offline and English."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") and key != "LANGUAGE"}
    quiet = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1", "LC_ALL": "C"}
    quiet |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1"}
    quiet |= {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
    return kept | quiet | more


def _first_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[0].removeprefix("fatal: ").removeprefix("error: ") if lines else ""
