"""Reads a shell command line into its simple commands, exactly or not at all.

Substitutions, redirections into files, here-documents and loops are not read: what such a line does cannot be told from
its words.
"""

from __future__ import annotations

import re

_LONGEST = 1000  # characters; what is longer is a script
_TOKEN = re.compile(
    r"[ \t]*(?:"
    r"(?P<end>&&|\|\||[;|\n])"
    r"|(?P<quiet>2>&1|(?:[12]|&)?>[ ]?/dev/null)(?![^\s;|&])"
    r"|(?P<comment>\#[^\n]*)"
    r"|(?P<word>(?:[^\s\"'\\;&|<>()`$\#]|(?<=\S)\#|\"[^\"\\`$]*\"|'[^']*')+)"
    r")[ \t]*"
)
_NOT_WORDS = re.compile(r"[\"'\\;&|<>()`$#\n]")
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
# A line with one of them where a command begins is a loop or a condition.
_KEYWORDS = frozenset(("if", "then", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "{", "!"))


def simple_commands(line: str) -> tuple[str, ...] | None:
    """The simple commands of a line, each as its words with a space between, without quotes and assignments.

    None where the line is long or holds anything but words, quotes, `;`, `&&`, `||`, pipes, comments and silenced
    output.
    """
    if len(line) > _LONGEST:
        return None
    found = _read(line) if _NOT_WORDS.search(line) else [line.split()]
    if found is None:
        return None
    commands = tuple(filter(None, map(_command, found)))
    return None if any(command.split(" ", 1)[0] in _KEYWORDS for command in commands) else commands


def _read(line: str) -> list[list[str]] | None:
    """The words of each command, quoted as they stand."""
    commands: list[list[str]] = [[]]
    at = 0
    while at < len(line):
        token = _TOKEN.match(line, at)
        if not token:
            return None
        if token["end"]:
            commands.append([])
        elif token["word"]:
            commands[-1].append(token["word"])
        at = token.end()
    return commands


def _command(words: list[str]) -> str:
    """The words after the assignments, unquoted."""
    first = next((at for at, word in enumerate(words) if not _ASSIGNMENT.match(word)), len(words))
    text = " ".join(words[first:])
    return _QUOTED.sub(r"\1\2", text) if '"' in text or "'" in text else text
