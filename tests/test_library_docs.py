"""docs/library.md does what it says, line by line."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from data.extract.jsonl import LineReason
from data.extract.qna import Reason as UseReason
from data.extract.qna_csv import CsvReason
from data.extract.qna_lines import Reason
from tests.conftest import ROOT
from tests.git_town import Town

DOCS = (ROOT / "docs" / "library.md").read_text("utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the configurations, a repository, and what the commands of the page write."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    Town(tmp_path / "repository").commit("Count the rows only once", {"rows.py": "rows = 1\n"})
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_commands_work_and_the_calls_return_what_the_page_says(folder: Path) -> None:
    commands = [line for block in re.findall(r"```sh\n(.*?)```", DOCS, re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 3
    for command in commands:
        words = [sys.executable, *shlex.split(command)[1:]]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert len((folder / "output/mined/coding.jsonl").read_bytes().splitlines()) == 1
    examples = doctest.DocTestParser().get_doctest(DOCS, {}, "library.md", "docs/library.md", 0)
    said: list[str] = []
    result = doctest.DocTestRunner().run(examples, out=said.append)
    assert result.failed == 0, "".join(said)
    assert result.attempted == DOCS.count("\n>>> ")


def test_the_page_names_every_reason_of_a_line() -> None:
    for reason in (*Reason, *LineReason, *CsvReason, *UseReason):
        assert f"`{reason.value}`" in DOCS or reason is LineReason.UNREADABLE_FILE
