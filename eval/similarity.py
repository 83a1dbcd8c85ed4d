"""How close an answer is to the gold answer, above what another task's gold answer reaches anyway.

Prose by chrF++ (sacrebleu), code by the leaves of its syntax tree (tree-sitter) with own names numbered, so that
renaming and comments change nothing. Neither sees a negation: it is worth 20 points and no more.
"""

import builtins
import functools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

BUILTINS = frozenset(dir(builtins))


def prose_similarity(answer: str, gold: str) -> float:
    """chrF++ of `answer` against `gold`, in 0..1."""
    return float(_chrf().sentence_score(answer, [gold]).score) / 100


def code_similarity(answer: str, gold: str) -> float:
    """Similarity of two Python texts by their syntax leaves, in 0..1; names and comments do not count."""
    from rapidfuzz.distance import Indel

    return float(Indel.normalized_similarity(leaves(answer), leaves(gold)))


def prose_floor(gold: str, others: Iterable[str]) -> float | None:
    """What the best other gold answer of the domain reaches; None where there is no other."""
    return max((prose_similarity(other, gold) for other in others), default=None)


def code_floor(gold: str, others: Iterable[str]) -> float | None:
    """What the best other gold code of the domain reaches; None where there is no other."""
    return max((code_similarity(other, gold) for other in others), default=None)


def above_floor(similarity: float, floor: float) -> float:
    """`similarity` rescaled so that the floor is 0 and equality is 1. A floor of 1 leaves nothing above it."""
    return 0.0 if floor >= 1 else min(1.0, max(0.0, (similarity - floor) / (1 - floor)))


@functools.lru_cache(maxsize=512)
def leaves(code: str) -> tuple[str, ...]:
    """The words and signs of Python code in order, own names as numbers by first occurrence, without comments."""
    numbers: dict[str, str] = {}
    found = []
    for node in _leaves(_parser().parse(code.encode()).root_node):
        text = (node.text or b"").decode(errors="replace")
        own = node.type == "identifier" and text not in BUILTINS and not _is_attribute(node)
        found.append(numbers.setdefault(text, f"name {len(numbers)}") if own else text)
    return tuple(found)


def _leaves(root: "Node") -> Iterator["Node"]:
    """From left to right, without recursion: a long sum is a deep tree."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type != "comment":
            waiting.extend(reversed(node.children))
            if not node.children:
                yield node


def _is_attribute(node: "Node") -> bool:
    parent = node.parent
    return parent is not None and parent.type == "attribute" and parent.child_by_field_name("attribute") == node


@functools.cache
def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(word_order=2)


@functools.cache
def _parser() -> "Parser":
    import tree_sitter
    import tree_sitter_python

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_python.language()))
