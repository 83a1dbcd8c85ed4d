"""A bar on stderr for work that takes a while, for people alone."""

from __future__ import annotations

import io
import sys

import pytest

from data import progress
from data.progress import watched


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("patience", "shown"), [(-1.0, True), (60.0, False)])
def test_a_bar_appears_when_patience_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], patience: float, shown: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(progress, "PATIENCE", patience)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(watched("abc", [1, 2, 3], "reading")) == ["a", "b", "c"]
    assert ("reading" in terminal.getvalue()) == shown
    assert capsys.readouterr().out == ""


def test_nothing_is_drawn_where_nobody_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    assert list(watched("abc", [1, 2, 3], "reading")) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")
