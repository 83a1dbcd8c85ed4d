"""What a Bash command line would run: the simple commands in it, as words, by tree-sitter-bash.

`echo "gt hook"`, comments, heredoc bodies and strings are not commands. A command that may not run (`true || x`, an
`if` body, a function body) or whose output only feeds another word (`$(x)`) is found, but not `certain`.
eval.hidden looks for what may run in spite of that.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eval import programs
from eval.syntax import nodes, parse, text_of, word_of

if TYPE_CHECKING:
    from tree_sitter import Node

LOOPS = frozenset({"while_statement", "for_statement", "c_style_for_statement"})
CONDITIONAL = LOOPS | {
    *("if_statement", "case_statement", "function_definition", "command_substitution", "process_substitution"),
}
NO_FILE = re.compile(r"\d*(?:>\||&?>>?&?|>&)\s*(?:/dev/(?:null|stderr|stdout|tty)|\d|-)")
STANDARD_ERROR = re.compile(r"\s*2>")


@dataclass(frozen=True)
class Place:
    """Where in a script a command stands.

    `certain` is false where the shell may skip it or only captures its output; `writes`: its output goes to a file;
    `muted`: nobody sees its output; `piped`: its input is another command's output; `looped`: it may run often;
    `chained`: behind `&&`, so that it runs only where what stands before it does not fail.
    """

    certain: bool = True
    writes: bool = False
    muted: bool = False
    piped: bool = False
    looped: bool = False
    chained: bool = False


@dataclass(frozen=True)
class Command(Place):
    """One simple command: its words after quoting is resolved, the program first."""

    words: tuple[str, ...] = ("",)

    @functools.cached_property
    def program(self) -> str:
        return programs.program(self.words)

    @functools.cached_property
    def acts(self) -> bool:
        """Whether it counts as an action: not merely looking at or filtering text."""
        return self.writes or not programs.only_looks(self.words)


@functools.lru_cache(maxsize=16384)
def commands(script: str) -> tuple[Command, ...]:
    """The simple commands of `script` in order, inner ones of `bash -c '...'` and of wrappers included.

    A script with a syntax error yields what could be read, none of it certain.
    """
    root = parse(script)
    found = list(_walk(root, Place(certain=not root.has_error)))
    return tuple(_without_shadowed(found, root))


def _walk(node: "Node", place: Place, last: Place | None = None) -> Iterator[Command]:
    """The commands below a node; `last` is the place of its last command where a redirection is about that one."""
    match node.type:
        case "command":
            yield from _command(node, last or place)
        case "list":
            yield from _list(node, place, last or place)
        case "pipeline":
            yield from _pipeline(node, place, last or place)
        case "redirected_statement":
            yield from _redirected(node, last or place)
        case _:
            yield from _children(node, last or place)


def _children(node: "Node", place: Place) -> Iterator[Command]:
    inside = replace(place, certain=place.certain and node.type not in CONDITIONAL)
    inside = replace(inside, looped=place.looped or node.type in LOOPS)
    # The condition of an `if` or `while` runs once at least.
    now = place if node.type in {"if_statement", "while_statement"} else inside
    for child in node.children:
        if child.type in {"then", "do_group"}:
            now = inside
        found = list(_walk(child, now))
        yield from found
        if child.type == "||" or _ends(child, found):
            now = inside = replace(now, certain=False)


def _ends(node: "Node", found: Sequence[Command]) -> bool:
    """Whether what follows in the same sequence never runs, or is only read."""
    if node.type == "command" and (name := node.child_by_field_name("name")) and word_of(name) == "exec":
        return len(node.children) > 1
    return any(c.certain and (c.program in {"exit", "return"} or _only_reads(c.words)) for c in found)


def _only_reads(words: Sequence[str]) -> bool:
    return words[0] == "set" and ("noexec" in words or any(re.fullmatch(r"-\w*n\w*", word) for word in words))


def _list(node: "Node", place: Place, last: Place) -> Iterator[Command]:
    """`a && b`: b runs unless a is known to fail; `a || b`: b is never certain."""
    left, operator, right = node.children[0], node.children[1].type, node.children[-1]
    before = list(_walk(left, place))
    yield from before
    stops = _ends(left, before) or any(c.program in {"false", "test", "["} for c in before) or _holds_test(left)
    skippable = operator == "||" or (operator == "&&" and (stops or b"||" in (left.text or b"")))
    behind = replace(last, certain=last.certain and not skippable, chained=last.chained or operator == "&&")
    yield from _walk(right, behind)


def _holds_test(node: "Node") -> bool:
    """Whether `[[ ]]` or `!` is in it: then nobody knows how it ends."""
    return node.type in {"test_command", "negated_command"} or any(map(_holds_test, node.children))


def _pipeline(node: "Node", place: Place, last: Place) -> Iterator[Command]:
    """The commands of `a | b`; where it stands behind a heredoc, it begins with the bar."""
    piped = place.piped
    for child in node.children:
        now = last if child == node.children[-1] else place
        yield from _walk(child, replace(now, piped=piped))
        piped = piped or child.type in {"|", "|&"}


def _redirected(node: "Node", place: Place) -> Iterator[Command]:
    """The body, the output of whose last command is redirected, and what follows a heredoc on its line."""
    redirects = [child for child in node.children if child.type.endswith("_redirect")]
    to = _redirect(place, [inner for child in redirects for inner in nodes(child, "file_redirect")])
    for child in node.children:
        if child in redirects:
            yield from _children(child, place)
        else:
            yield from _walk(child, place, to)


def _redirect(place: Place, redirects: Sequence["Node"]) -> Place:
    texts = [text_of(redirect) for redirect in redirects if ">" in text_of(redirect)]
    writes = any(not NO_FILE.match(text) for text in texts)
    muted = any(not STANDARD_ERROR.match(text) and not re.search(r">&\s*\d", text) for text in texts)
    return replace(place, writes=place.writes or writes, muted=place.muted or muted)


def _command(node: "Node", place: Place) -> Iterator[Command]:
    words: list[str] = []
    for child in node.children:
        if child.type == "variable_assignment":
            continue
        yield from _walk_inner(child, place)
        if not child.type.endswith("_redirect"):
            words.append(word_of(child))
    place = _redirect(place, [child for child in node.children if child.type == "file_redirect"])
    if words:
        yield from _unwrap(Command(**vars(place), words=tuple(words)))


def _walk_inner(node: "Node", place: Place) -> Iterator[Command]:
    """Commands inside the words of a command: `$(...)` and `<(...)`, never certain."""
    if node.type in {"command_substitution", "process_substitution"}:
        yield from _children(node, replace(place, certain=False))
        return
    for child in node.children:
        yield from _walk_inner(child, place)


def _unwrap(command: Command) -> Iterator[Command]:
    """The command itself, or what its wrapper or shell runs."""
    if command.program in programs.SHELLS and (script := programs.shell_script(command.words)) is not None:
        for inner in commands(script):
            yield _inside(command, inner)
        return
    words = programs.wrapped(command.words)
    if words is None:
        yield command
    else:
        yield from _unwrap(replace(command, words=words))


def _inside(outer: Command, inner: Command) -> Command:
    return Command(
        certain=inner.certain and outer.certain,
        writes=inner.writes or outer.writes,
        muted=inner.muted or outer.muted,
        piped=inner.piped or outer.piped,
        looped=inner.looped or outer.looped,
        chained=inner.chained or outer.chained,
        words=inner.words,
    )


def _without_shadowed(found: list[Command], root: "Node") -> Iterator[Command]:
    """A program that the script itself defines as a function or an alias is no longer that program."""
    functions = nodes(root, "function_definition")
    defined = {text_of(name) for node in functions if (name := node.child_by_field_name("name"))}
    aliases = [word for command in found if command.program == "alias" for word in command.words[1:]]
    defined |= {word.split("=")[0] for word in aliases}
    for command in found:
        yield replace(command, certain=False) if command.program in defined else command
