"""docs/commands.md: what it names exists, and every command is in it with its own help."""

from __future__ import annotations

import re
import subprocess

import pytest

from configs.plan.tabulate import with_table
from scripts.forge import app, documented
from scripts.forge.rooms import command_of
from tests.conftest import ROOT
from tests.test_forge import Call, calls, standing

__all__ = ["calls", "standing"]

TEXT = (ROOT / "docs/commands.md").read_text("utf-8")
WRITTEN = TEXT.partition("## Every command")[0]
COMMANDS = {words for words, _ in documented.commands()}


def test_the_reference_is_what_the_commands_say() -> None:
    table = "\n".join(documented.reference())
    assert with_table(TEXT, "scripts.forge.documented", table) == TEXT, "python -m scripts.forge.documented --write"


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_every_command_says_what_it_does_and_what_it_runs(words: str) -> None:
    assert re.search(rf"### `{words}[ `].*\n\n[A-Z].*[.]\n", TEXT)
    rows = [line for line in WRITTEN.splitlines() if line.startswith("|") and f"`{words}`" in line]
    assert rows, f"{words} is in no row of the table of make, forge, and what both run"


def test_every_parameter_has_a_help() -> None:
    assert re.findall(r"^- `[^`]+`: *(?:None)?$", TEXT, re.MULTILINE) == []


NAMED = sorted(set(re.findall(r"`(forge [^`]+)`", WRITTEN)))


@pytest.mark.parametrize("line", NAMED)
def test_a_command_line_of_the_text_is_taken(line: str, calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, or, where it names the command alone, as a command that there is."""
    bare = line.split(" --")[0]
    if line in COMMANDS or "..." in line or bare in ("forge", "forge remote"):
        return
    for name in ("setting_up.init", "setting_up.status"):
        monkeypatch.setattr(f"scripts.forge.{name}", lambda *_, **__: 0)
    monkeypatch.setattr("scripts.forge.gateway.ask_reload", lambda *_: 0)
    monkeypatch.setattr("scripts.forge.training.card_here", lambda: "rtx4090")
    assert app.run([word.strip('"') for word in line.split()[1:]], ROOT) == 0


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z-]+)[ `]", WRITTEN))))
def test_every_make_target_exists(target: str) -> None:
    words = ["ROLE=mayor", "VERSION=v1", "REPO=you/name", "GPU=rtx4090", "SWEEP=a.yml", "TASKS=a", "MODEL_ARGS=b"]
    done = subprocess.run(["make", "--dry-run", target, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_make_target_is_told() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert set(phony.split()) - set(re.findall(r"`make ([a-z-]+)[ `]", WRITTEN)) == set()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:configs|docs|infra|scripts)/[\w./-]+)`", WRITTEN))))
def test_every_path_exists(path: str) -> None:
    assert (ROOT / path.replace("NAME", "legal")).exists()


@pytest.mark.parametrize(
    "module", sorted(set(re.findall(r"`((?:data|configs|eval|deploy|scripts)\.[a-z_.]+)[` ]", WRITTEN)))
)
def test_every_module_is_a_command(module: str) -> None:
    assert callable(command_of(module))
