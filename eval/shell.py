"""What a Bash command line would run: the simple commands in it, as words, by tree-sitter-bash.

`echo "gt hook"`, comments, heredoc bodies and strings are not commands. A command that may not run (`true ||
x`, an `if` body, a function body) or whose output only feeds another word (`$(x)`) is found, but not
`certain`.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

# Wrapper programs run the command that follows them; the value lists their flags that take a value.
WRAPPERS = {
    "timeout": "ks",
    "env": "u",
    "sudo": "ug",
    "nohup": "",
    "time": "",
    "command": "",
    "exec": "",
    "nice": "n",
}
SHELLS = frozenset({"bash", "sh", "zsh", "dash"})
INTERPRETERS = SHELLS | {
    "python",
    "python3",
    "perl",
    "ruby",
    "node",
    "xargs",
    "eval",
    "ssh",
    "source",
    "awk",
    "find",
}
# Words that only look or only filter: they never count against a limit of actions.
HARMLESS = frozenset({"cd", "echo", "printf", "true", "head", "tail", "wc", "sort", "grep", "cat", "pwd", "jq"})
NOOP_FLAGS = frozenset({"--help", "-h", "--version", "--dry-run"})
CONDITIONAL = frozenset(
    {
        "if_statement",
        "while_statement",
        "for_statement",
        "c_style_for_statement",
        "case_statement",
        "function_definition",
        "command_substitution",
        "process_substitution",
    }
)
SYSTEM_PATH = re.compile(r"/(?:usr/)?(?:local/)?s?bin/")
SHELL_SCRIPT_FLAG = re.compile(r"-[leuxi]*c")
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
DURATION = re.compile(r"\d+(?:\.\d+)?[smhd]?")
# tree-sitter-bash 0.25.1 reads past a table on characters beyond ASCII and may crash the process (its issue 337, open
# in 2026): they are parsed as their code between two control characters, which are word characters to Bash.
NOT_PLAIN = re.compile(r"[^\x03-\x7f]")
CODED = re.compile("\x01([0-9a-f]+)\x02")
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
ESCAPED_IN_QUOTES = re.compile(r'\\([\\"$`])')


@dataclass(frozen=True)
class Command:
    """One simple command: its words after quoting is resolved, the program first.

    `certain` is false where the shell may skip it or only captures its output; `writes` says that its output
    goes to a file.
    """

    words: tuple[str, ...]
    certain: bool = True
    writes: bool = False

    @property
    def program(self) -> str:
        return SYSTEM_PATH.sub("", self.words[0])

    @property
    def acts(self) -> bool:
        """Whether it counts as an action: not merely looking at or filtering text."""
        return self.writes or self.program not in HARMLESS

    @property
    def does_nothing(self) -> bool:
        """Whether a flag such as --help keeps it from doing its work."""
        return not NOOP_FLAGS.isdisjoint(self.words[1:])


@functools.cache
def _parser() -> "Parser":
    import tree_sitter
    import tree_sitter_bash

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


@functools.lru_cache(maxsize=4096)
def commands(script: str) -> tuple[Command, ...]:
    """The simple commands of `script` in order, inner ones of `bash -c '...'` and of wrappers included.

    A script with a syntax error yields what could be read, none of it certain.
    """
    coded = NOT_PLAIN.sub(lambda found: f"\x01{ord(found[0]):x}\x02", script)
    root = _parser().parse(coded.encode("ascii")).root_node
    found = list(_walk(root, certain=not root.has_error))
    return tuple(_without_shadowed(found, root))


def runs_hidden_code(script: str) -> bool:
    """Whether another interpreter gets text to run, so that the parsed commands are not all that happens."""
    return any(command.program in INTERPRETERS for command in commands(script))


def _walk(node: "Node", *, certain: bool, writes: bool = False) -> Iterator[Command]:
    if node.type == "command":
        yield from _command(node, certain=certain, writes=writes)
    elif node.type == "list":
        yield from _list(node, certain=certain)
    elif node.type == "redirected_statement":
        writes = any(_writes_file(child) for child in node.children if child.type == "file_redirect")
        for child in node.children:
            yield from _walk(child, certain=certain, writes=writes)
    else:
        certain = certain and node.type not in CONDITIONAL
        for child in node.children:
            found = list(_walk(child, certain=certain, writes=writes))
            yield from found
            # What follows an `exit` of the same sequence never runs.
            certain = certain and not any(c.certain and c.program in {"exit", "return"} for c in found)


def _list(node: "Node", *, certain: bool) -> Iterator[Command]:
    """`a && b`: b runs unless a is known to fail; `a || b`: b is never certain."""
    left, operator, right = node.children[0], node.children[1].type, node.children[-1]
    before = list(_walk(left, certain=certain))
    yield from before
    stops = any(c.program in {"false", "exit", "return", "test", "["} for c in before) or _holds_test(left)
    skippable = operator == "||" or (operator == "&&" and (stops or b"||" in (left.text or b"")))
    yield from _walk(right, certain=certain and not skippable)


def _holds_test(node: "Node") -> bool:
    """Whether `[[ ]]` or `!` is in it: then nobody knows how it ends."""
    return node.type in {"test_command", "negated_command"} or any(map(_holds_test, node.children))


def _writes_file(redirect: "Node") -> bool:
    text = _text(redirect)
    return ">" in text and not re.search(r">&?\s*(?:/dev/(?:null|stderr|stdout)|\d|-)", text)


def _command(node: "Node", *, certain: bool, writes: bool) -> Iterator[Command]:
    words: list[str] = []
    for child in node.children:
        if child.type == "variable_assignment":
            continue
        yield from _walk_inner(child)
        if not child.type.endswith("_redirect"):
            words.append(_word(child))
        elif child.type == "file_redirect":
            writes = writes or _writes_file(child)
    if words:
        yield from _unwrap(Command(tuple(words), certain=certain, writes=writes))


def _walk_inner(node: "Node") -> Iterator[Command]:
    """Commands inside the words of a command: `$(...)` and `<(...)`, never certain."""
    for child in node.children:
        yield from _walk_inner(child)
    if node.type in {"command_substitution", "process_substitution"}:
        yield from _walk(node, certain=False)


def _text(node: "Node") -> str:
    """What the node covers in the script."""
    return CODED.sub(lambda found: chr(int(found[1], 16)), (node.text or b"").decode("ascii"))


def _word(node: "Node") -> str:
    """The text that the shell passes on; expansions stay as they are written."""
    text = _text(node)
    match node.type:
        case "raw_string":
            return text[1:-1]
        case "string":
            return ESCAPED_IN_QUOTES.sub(r"\1", text[1:-1])
        case "ansi_c_string":
            return text[2:-1].replace(r"\n", "\n").replace(r"\t", "\t").replace(r"\'", "'")
        case "concatenation" | "command_name":
            return "".join(_word(child) for child in node.children)
        case "word":
            return ESCAPED.sub(r"\1", text)
        case _:
            return text


def _unwrap(command: Command) -> Iterator[Command]:
    """The command itself, or what its wrapper or shell runs."""
    if command.program in SHELLS and len(command.words) > 2 and SHELL_SCRIPT_FLAG.fullmatch(command.words[1]):
        for inner in commands(command.words[2]):
            yield replace(inner, certain=inner.certain and command.certain)
        return
    inside = _wrapped(command)
    if inside is None:
        yield command
    else:
        yield from _unwrap(replace(command, words=inside))


def _wrapped(command: Command) -> tuple[str, ...] | None:
    """The words behind a wrapper, or None where it wraps nothing (`command -v gt`, `timeout --help gt`)."""
    if (value_flags := WRAPPERS.get(command.program)) is None:
        return None
    words = command.words[1:]
    while words and (words[0].startswith("-") or ASSIGNMENT.match(words[0])):
        if words[0] in NOOP_FLAGS or (command.program == "command" and words[0] != "--"):
            return None
        takes_value = len(words[0]) == 2 and words[0][1] in value_flags
        words = words[2:] if takes_value else words[1:]
    if command.program == "timeout" and words and DURATION.fullmatch(words[0]):
        words = words[1:]
    return words or None


def _without_shadowed(found: list[Command], root: "Node") -> Iterator[Command]:
    """A program that the script itself defines as a function is no longer that program."""
    defined = {
        _text(name)
        for node in root.children
        if node.type == "function_definition" and (name := node.child_by_field_name("name"))
    }
    for command in found:
        yield replace(command, certain=False) if command.program in defined else command
