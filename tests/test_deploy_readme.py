"""The runbook in deploy/README.md says only what exists: commands, options, targets, settings, addresses, files."""

from __future__ import annotations

import argparse
import functools
import importlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

from deploy.serve.config import load_config
from deploy.serve.openapi import document

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "deploy" / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
SHELL = [line for kind, block in BLOCKS if kind == "sh" for line in block.replace("\\\n", " ").splitlines()]
# Code in the text and in its tables; a pair of backticks stands on one line.
INLINE = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", PAGE, flags=re.DOTALL | re.MULTILINE))
# Options of vLLM, llama.cpp and curl, whose manuals they are from.
OF_OTHERS = {"--lora-scaled", "--lora-modules", "--max-loras"}


def commands() -> Iterator[tuple[str, ...]]:
    """The words behind `python -m`, with the comment at the end of a line taken away."""
    for text in [*SHELL, *INLINE]:
        if match := re.match(r"python -m (.+)", text):
            yield tuple(shlex.split(match[1], comments=True))


class Asked(Exception):
    """What stops a command when it has made its parser."""


@functools.cache
def parser_of(module: str) -> argparse.ArgumentParser:
    """The parser that `python -m MODULE` reads its words with."""
    package = importlib.import_module(module)
    inside = importlib.import_module(f"{module}.__main__") if hasattr(package, "__path__") else package
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(argparse.ArgumentParser, "parse_args", lambda parser, *_: raise_(Asked(parser)))
        with pytest.raises(Asked) as stopped:
            inside.main([])
    made: argparse.ArgumentParser = stopped.value.args[0]
    return made


def raise_(error: Exception) -> None:
    raise error


OURS = sorted({words for words in commands() if not words[0].startswith("petals.")})


@pytest.mark.parametrize("words", OURS, ids=" ".join)
def test_every_command_of_the_runbook_is_understood(words: tuple[str, ...]) -> None:
    parser_of(words[0]).parse_args(words[1:])


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {name for inner in action.choices.values() for name in options_of(inner)}
    return found


def test_every_option_that_the_text_names_belongs_to_one_of_its_commands() -> None:
    known = {name for words in OURS for name in options_of(parser_of(words[0]))} | OF_OTHERS
    fragments = [text for text in INLINE if re.match(r"-{1,2}[a-z]", text)]
    assert fragments
    assert {word for text in fragments for word in text.split() if word.startswith("--")} <= known


TARGETS = sorted(set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)", "\n".join([*SHELL, *INLINE]))))


@pytest.mark.parametrize("target", TARGETS)
def test_every_make_target_of_the_runbook_exists(target: str) -> None:
    command = ["make", "--dry-run", target, "ROLE=mayor", "VERSION=v1", "REPO=you/name"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_settings_of_the_gateway_are_settings(tmp_path: Path) -> None:
    settings = [block for kind, block in BLOCKS if kind == "yaml"]
    assert settings
    for number, block in enumerate(settings):
        file = tmp_path / f"{number}.yml"
        file.write_text(block, encoding="utf-8")
        load_config(file)


def test_the_addresses_are_those_of_the_gateway() -> None:
    rows = [row.split("|")[1] for row in PAGE.splitlines() if re.match(r"\| `/", row)]
    told = {address for row in rows for address in re.findall(r"`(/[^`]*)`", row)}
    # The status page is for people, not for programs.
    assert told and told - {"/"} <= set(document()["paths"])


def test_the_service_runs_the_gateway() -> None:
    (block,) = [block for kind, block in BLOCKS if kind == "ini"]
    unit = ConfigParser()
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(block)
    python, *words = unit["Service"]["ExecStart"].split()
    assert python.endswith("/.venv/bin/python") and words[:2] == ["-m", "deploy.serve"]
    parser_of(words[1]).parse_args(words[2:])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here: apt-get install systemd")
def test_systemd_finds_nothing_wrong_with_the_service(tmp_path: Path) -> None:
    (block,) = [block for kind, block in BLOCKS if kind == "ini"]
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n", encoding="utf-8")
    python.chmod(0o755)
    unit = tmp_path / "lora-forge.service"
    unit.write_text(block.replace("/opt/lora-forge", str(tmp_path)).replace("User=forge", "User=root"), "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", sorted({text for text in INLINE if re.match(r"(configs|docs|scripts|deploy)/", text)}))
def test_every_file_that_the_runbook_names_exists(path: str) -> None:
    assert (ROOT / path.split()[0]).exists()
