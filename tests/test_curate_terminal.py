"""Curation in a terminal: real keys through a pseudo terminal, and what is stored of them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.curate.change import Change
from data.curate.loading import load
from data.curate.store import Store
from data.curate.terminal_input import read_filters
from data.curate.values import Filters
from tests.curated import dataset, many, window
from tests.small_build import ROOT

PATIENCE = 60  # seconds until something that should come is given up


class Terminal:
    """The command in a terminal of 100 by 40 characters."""

    def __init__(self, folder: Path, editor: str) -> None:
        self.folder = folder
        self.main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        arguments = ["--rows", folder / "rows", "--database", folder / "curation.db", "--author", "ann", "--terminal"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "data.curate", *map(str, arguments)],
            stdin=side, stdout=side, stderr=side, cwd=ROOT,
            env={**os.environ, "TERM": "xterm", "EDITOR": editor, "VISUAL": ""}, start_new_session=True,
        )  # fmt: skip
        os.close(side)
        self.screen = ""

    def until(self, text: str) -> str:
        """Read until a text stands on the screen that was not there when the last key was pressed."""
        end = time.monotonic() + PATIENCE
        while text not in self.screen:
            assert time.monotonic() < end, f"{text!r} never came; the screen says {self.screen[-2000:]!r}"
            if select.select([self.main], [], [], 0.2)[0]:
                piece = os.read(self.main, 1 << 16).decode("utf-8", "replace")
                self.screen += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", piece)
        return self.screen

    def press(self, keys: str, until: str) -> str:
        self.screen = ""
        os.write(self.main, keys.encode())
        return self.until(until)

    def leave(self) -> int:
        os.write(self.main, b"q")
        return self.process.wait(PATIENCE)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    dataset(tmp_path / "rows", [window("one:0.0#0", replies=3), *many(8)])
    opened = Terminal(tmp_path, "sed -i s/river/ocean/")
    yield opened
    if opened.process.poll() is None:
        opened.process.kill()
        opened.process.wait()
    os.close(opened.main)


def test_examples_are_decided_about_with_the_keys_of_the_page(terminal: Terminal) -> None:
    terminal.until("Press ? for the keys.")
    assert "mayor 1 of 9" in terminal.screen and "Please look at the river." in terminal.screen
    terminal.press("e", "Edit which message")
    terminal.press("1\r", "It is edited")
    terminal.press("t", "Keep up to which message (2, 4, 6")
    terminal.press("2\r", "It is edited. u undoes it.")
    assert "trimmed away" in terminal.screen
    terminal.press("n", "mayor 2 of 9")
    terminal.press("a", "It is approved.")
    terminal.press("r", "Why")
    terminal.press("dull\r", "It is rejected.")
    terminal.press("u", "Undone.")
    terminal.press("/", "Search")
    terminal.press("number 6\r", "1 of 1")
    terminal.press("f", "Filters")
    terminal.press("decision=approved\r", "1 of 1")
    terminal.press("f", "Filters")
    terminal.press("colour=red\r", "colour is no filter")
    terminal.press("?", "the nearest duplicate")
    assert terminal.leave() == 0
    with Store(terminal.folder / "curation.db") as store:
        assert store.example("one:0.0#0").change == Change({1: "Please look at the ocean."}, 2)
        assert store.example("s0:0.0#0").entry.state == "approved"
        history = store.history(store.example("s0:0.0#1").entry.key)
        assert [(one.action, one.author, one.why) for one in history] == [
            ("reject", "ann", "dull"),
            ("undo", "ann", ""),
        ]


def test_what_somebody_else_decided_meanwhile_is_told(terminal: Terminal) -> None:
    terminal.until("Press ? for the keys.")
    with Store(terminal.folder / "curation.db") as other:
        other.decide("one:0.0#0", "reject", author="bob", why="dull")
    assert "Meanwhile bob rejected it (dull)" in terminal.press("a", "Meanwhile")


def test_a_killed_terminal_keeps_what_was_decided(terminal: Terminal) -> None:
    terminal.until("Press ? for the keys.")
    terminal.press("a", "It is approved.")
    os.kill(terminal.process.pid, signal.SIGKILL)
    terminal.process.wait(PATIENCE)
    with Store(terminal.folder / "curation.db") as store:
        assert store.example("one:0.0#0").entry.state == "approved"
        assert load(store, terminal.folder / "rows").unchanged


def test_filters_are_written_as_one_reads_them() -> None:
    assert read_filters('role=mayor search="two words"') == Filters(role="mayor", search="two words")
    assert read_filters("") == Filters()
