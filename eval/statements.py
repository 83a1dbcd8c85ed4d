"""Does a sentence state something? Word groups against normalised words, with a guard for negation.

A pattern is written in word groups: `offer*|proposal` (a word or its beginning, alternatives), `not ~ binding`
(`~` is a gap of up to four words). A statement is a list of alternatives, each a list of patterns that must all
stand in the one sentence. This finds words, not truth: see `python -m eval.rubric --attack` for what it lets through.
"""

import functools
import re
from collections.abc import Iterable, Sequence

Alternatives = tuple[tuple[str, ...], ...]
"""Any one of the inner groups of patterns is enough; all patterns of that group are needed."""

Span = tuple[int, int]

# What is left of punctuation: a comma, and the stronger signs that always end a clause.
BREAKS = frozenset({",", ";"})
GAP = r"(?: \S+){0,4} "
# One group of words: letters, digits, a decimal point, and the three signs of the notation.
PATTERN = re.compile(r"[^\W_]+(?:\.\d+)?\*?(?:(?: ?\| ?| ~ | )[^\W_]+(?:\.\d+)?\*?)*")
CONTRACTIONS = (
    (re.compile(r"\bcannot\b"), "can not"),
    (re.compile(r"\bcan't\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\bshan't\b"), "shall not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\b(it|that|there|what)'s\b"), r"\1 is"),
    (re.compile(r"'s\b|s'(?=\s)"), "s"),
)
SIGNS = (
    (re.compile(r"(?<=\d),(?=\d{3}\b)"), ""),
    (re.compile(r"[$€£]\s?(?=\d)"), ""),
    (re.compile(r"%"), " percent "),
    (re.compile(r"°\s?c\b"), " degrees celsius "),
    (re.compile(r"[=≈]"), " equals "),
    (re.compile(r"[×·]|(?<=[\d)\s])\*(?=[\d(\s])"), " times "),
    (re.compile(r"(?<=[\d)])\s?[/÷]\s?(?=[\d(])|\s[/÷]\s"), " divided by "),
    (re.compile(r"(?<=[\d)\s])\+(?=[\d(\s])"), " plus "),
    (re.compile(r"(?<=\s)[-–—](?=\s)|[:()]"), ";"),
    (re.compile(r"(?<=\w)[-‐‑](?=\w)"), " "),
)
TOKEN = re.compile(r"\d+\.\d+|[^\W_]+|[,;]")
NEGATORS = frozenset(
    {"not", "never", "no", "none", "neither", "nor", "nobody", "nothing", "hardly", "rarely", "seldom"}
)
# "not only", "no later than", "whether or not" deny nothing.
HARMLESS_AFTER = frozenset({"only", "just", "merely", "later", "matter", "doubt", "more", "less", "least"})
# A negation reaches to the end of its clause: these words begin another one, some only after a comma.
CLAUSE_WORDS = frozenset({";", "but", "whereas", "while", "although", "though", "because", "so", "unless", "rather"})
AFTER_COMMA = CLAUSE_WORDS | {
    *("and", "or", "it", "this", "they", "he", "she", "we", "you", "there", "which", "who", "as", "since", "for"),
    *("when", "if"),
}
DENIAL = re.compile(
    r"\b(?:(?:untrue|incorrect|wrong|false|mistaken|mistake|not true|not the case) (?:that|to)|myth|misconception)\b"
)
# "Many pupils think that ...": what follows is told, not claimed.
BELIEF = re.compile(
    r"\b(?:people|pupils|students|learners|patients|beginners|many|some|most|they) (?:\w+ )?"
    r"(?:think|believe|assume|say|claim|imagine)\b"
)


@functools.lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """Lower-case words, commas and semicolons, a space apart; contractions, signs and numbers in one spelling."""
    text = text.lower().replace("’", "'").replace("`", "")
    for pattern, put in (*CONTRACTIONS, *SIGNS):
        text = pattern.sub(put, text)
    return " ".join(TOKEN.findall(text))


@functools.cache
def compiled(pattern: str) -> tuple[re.Pattern[str], ...]:
    """The choices of a pattern as regular expressions. Raises ValueError where it is not in the notation."""
    if not PATTERN.fullmatch(pattern):
        raise ValueError(f"pattern {pattern!r} is not in word groups: words, `|`, `*` at a word's end, `~` for a gap")
    return tuple(re.compile(rf"(?<!\S){_choice(choice)}(?!\S)") for choice in pattern.lower().split("|"))


def _choice(choice: str) -> str:
    return GAP.join(" ".join(map(_word, part.split())) for part in choice.split(" ~ "))


def _word(word: str) -> str:
    return re.escape(word.removesuffix("*")) + (r"\w*" if word.endswith("*") else "")


def states(sentence: str, says: Alternatives) -> bool:
    """Whether the normalised `sentence` states one of the alternatives, and does not deny it."""
    return any((found := _spans(sentence, patterns)) and not _denied(sentence, found) for patterns in says)


def mentions(text: str, says: Alternatives) -> bool:
    """Whether the patterns of one alternative all stand in the normalised `text`, denied or not."""
    return any(_spans(text, patterns) for patterns in says)


def denies(sentence: str, says: Alternatives) -> bool:
    """Whether the normalised `sentence` has the words of one of the alternatives, but only with a negation."""
    return mentions(sentence, says) and not states(sentence, says)


def reports_a_belief(sentence: str) -> bool:
    """Whether the normalised `sentence` tells what others think."""
    return BELIEF.search(sentence) is not None


def _spans(sentence: str, patterns: Iterable[str]) -> list[list[Span]]:
    """Where each pattern matches; empty where one of them does not."""
    found = [[m.span() for choice in compiled(pattern) for m in choice.finditer(sentence)] for pattern in patterns]
    return found if all(found) else []


def _denied(sentence: str, found: Sequence[Sequence[Span]]) -> bool:
    """Whether a negator that no pattern asked for stands before a pattern, in the same clause."""
    spans = [span for group in found for span in group]
    if (denial := DENIAL.search(sentence)) and denial.start() < min(start for start, _ in spans):
        return True
    return any(
        any(all(position < start < end for start, _ in group) for group in found)
        for position, end in _negators(sentence)
        if not any(start <= position < after for start, after in spans)
    )


def _negators(sentence: str) -> list[Span]:
    """Position of each negator, and of the end of its clause."""
    words = [(match.group(), match.start()) for match in re.finditer(r"\S+", sentence)]
    texts = [word for word, _ in words]
    found = []
    for index, (word, position) in enumerate(words):
        if word in NEGATORS and not _harmless(texts, index):
            ends = (start for later, (_, start) in enumerate(words) if later > index and _begins_clause(texts, later))
            found.append((position, next(ends, len(sentence))))
    return found


def _begins_clause(words: Sequence[str], index: int) -> bool:
    return words[index] in CLAUSE_WORDS or (words[index - 1] == "," and words[index] in AFTER_COMMA)


def _harmless(words: Sequence[str], index: int) -> bool:
    after = words[index + 1] if index + 1 < len(words) else ""
    return after in HARMLESS_AFTER or (index > 0 and words[index - 1] == "or")
