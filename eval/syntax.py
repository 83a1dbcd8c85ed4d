"""The syntax tree of a Bash script by tree-sitter-bash, and what its nodes say."""

import functools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

# tree-sitter-bash 0.25.1 reads past a table on characters beyond ASCII and may crash the process (its issue 337, open
# in 2026): they are parsed as their code between two control characters, which are word characters to Bash.
NOT_PLAIN = re.compile(r"[^\x03-\x7f]")
CODED = re.compile("\x01([0-9a-f]+)\x02")
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
ESCAPED_IN_QUOTES = re.compile(r'\\([\\"$`])')
ANSI_C = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|[0-7]{1,3}|.)", re.DOTALL)
ANSI_C_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}


@functools.cache
def _parser() -> "Parser":
    import tree_sitter
    import tree_sitter_bash

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


def parse(script: str) -> "Node":
    """The root of the syntax tree; `text_of` reads its nodes."""
    coded = NOT_PLAIN.sub(lambda found: f"\x01{ord(found[0]):x}\x02", script)
    return _parser().parse(coded.encode("ascii")).root_node


def nodes(node: "Node", kind: str) -> Iterator["Node"]:
    """The nodes of one type, outer ones first."""
    if node.type == kind:
        yield node
    for child in node.children:
        yield from nodes(child, kind)


def text_of(node: "Node") -> str:
    """What the node covers in the script."""
    return CODED.sub(lambda found: chr(int(found[1], 16)), (node.text or b"").decode("ascii"))


def word_of(node: "Node") -> str:
    """The text that the shell passes on; expansions stay as they are written."""
    text = text_of(node)
    match node.type:
        case "raw_string":
            return text[1:-1]
        case "string":
            return ESCAPED_IN_QUOTES.sub(r"\1", text[1:-1])
        case "ansi_c_string":
            return ANSI_C.sub(_ansi_c, text[2:-1])
        case "concatenation" | "command_name":
            return "".join(word_of(child) for child in node.children)
        case "word":
            return ESCAPED.sub(r"\1", text)
        case _:
            return text


def _ansi_c(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] in "xu" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8) % 256)
    return ANSI_C_LETTERS.get(code, code)
