"""What a Bash command line may run in disguise: text for other interpreters, variables, encoded text.

It looks harder than eval.shell and promises less: forbidden commands are looked for here, required ones never. Text
that is encoded in another way than base64 or hex, or made by a program, stays out of reach.
"""

import base64
import binascii
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from eval import programs
from eval.shell import commands
from eval.syntax import nodes, parse, text_of, word_of

if TYPE_CHECKING:
    from tree_sitter import Node

DEPTH = 4
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?[-=+]([^{}]*))?[^{}]*\})")
ECHOED = re.compile(r"\$\(\s*(?:echo|printf)\s+([^()]*)\)|`\s*(?:echo|printf)\s+([^`]*)`")
BRACES = re.compile(r"(?<!\$)\{([^{}\s]*,[^{}\s]*)\}")
ENCODED = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")
HEXADECIMAL = re.compile(r"(?:\\x)?[0-9a-fA-F]{2}(?:(?:\\x)?[0-9a-fA-F]{2}){5,}")
PRINTABLE = re.compile(r"[\t\n\r\x20-\x7e]+")
TOKEN = re.compile(r"[^\s'\"`,;()\[\]{}|&<>]+")

Words = tuple[str, ...]


def runs_hidden_code(script: str) -> bool:
    """Whether another interpreter gets text to run, so that the parsed commands are not all that happens."""
    return any(programs.runs_text(command.words) for command in commands(script))


@functools.lru_cache(maxsize=8192)
def reachable(script: str, depth: int = DEPTH) -> tuple[Words, ...]:
    """The words of every command that may run, in whatever branch, function, variable or text it stands."""
    found = [command.words for command in commands(script)]
    if depth and (expanded := _expand(script)) != script:
        found += reachable(expanded, depth - 1)
    if depth:
        found += (words for text in texts(script) for words in reachable(text, depth - 1))
    return tuple(dict.fromkeys(found))


@functools.lru_cache(maxsize=8192)
def texts(script: str) -> tuple[str, ...]:
    """The texts that an interpreter in `script` may get to run; none where there is no interpreter."""
    if not runs_hidden_code(script):
        return ()
    plain = tuple(dict.fromkeys(text for text in _texts(script) if text and text != script))
    return (*plain, *(decoded for text in plain for decoded in _decoded(text)))


def tokens(text: str) -> tuple[Words, ...]:
    """The words of a text in any language, line by line, without its quotes and brackets."""
    return tuple(tuple(TOKEN.findall(line)) for line in text.splitlines())


def _texts(script: str) -> Iterator[str]:
    given: list[str] = []
    for command in commands(script):
        words = command.words[1:]
        if programs.runs_text(command.words) or programs.only_looks(command.words):
            given = [*words, *given] if programs.runs_text(command.words) else [*given, *words]
            yield " ".join(words)
            yield from (word for word in words if re.search(r"\s", word))
        values = [word.partition("=")[2] for word in words if "=" in word]
        yield from (value.lstrip("!") for value in values)
        if command.program == "git":
            yield from (f"git {value}" for value in values)
    # `echo WORD | xargs COMMAND` runs COMMAND WORD.
    yield " ".join(given)
    root = parse(script)
    yield from (text_of(node) for node in nodes(root, "heredoc_body"))
    for node in nodes(root, "herestring_redirect"):
        yield from (word_of(child) for child in node.children[1:])
    yield from (" ".join(values) for values in _variables(root).values())


def _decoded(text: str) -> Iterator[str]:
    """What stands in the text as base64 or as hexadecimal bytes, where that is text again."""
    codes: list[tuple[str, Callable[[str], bytes]]]
    codes = [(found.group(), base64.b64decode) for found in ENCODED.finditer(text)]
    codes += [(found.group().replace("\\x", ""), bytes.fromhex) for found in HEXADECIMAL.finditer(text)]
    for code, decode in codes:
        try:
            plain = decode(code).decode("ascii")
        except (ValueError, binascii.Error):
            continue
        if PRINTABLE.fullmatch(plain):
            yield plain


def _expand(script: str) -> str:
    """The script with its own variables, echoed words and braces written out; a loop's variable is all its words."""
    values = _variables(parse(script)) if "$" in script else {}
    script = ECHOED.sub(lambda found: found[1] or found[2] or "", script)
    script = BRACES.sub(lambda found: found[1].replace(",", " "), script)
    return VARIABLE.sub(lambda found: _value(found, values), script)


def _value(found: re.Match[str], values: Mapping[str, list[str]]) -> str:
    name = found[1] or found[2]
    return " ".join(values[name]) if name in values else found[3] or found.group()


def _variables(root: "Node") -> dict[str, list[str]]:
    """The values that the script itself gives to each of its variables."""
    values: dict[str, list[str]] = {}
    for node in nodes(root, "variable_assignment"):
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name and value:
            values.setdefault(text_of(name), []).append(word_of(value))
    for node in nodes(root, "for_statement"):
        if name := node.child_by_field_name("variable"):
            words = [word_of(child) for child in node.children_by_field_name("value")]
            values.setdefault(text_of(name), []).extend(words)
    return values
