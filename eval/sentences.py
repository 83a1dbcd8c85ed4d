"""An answer as sentences: which of them are real, and in which sections they stand.

A real sentence has seven words or more, the small words of English where they belong, is no question, says nothing that
an earlier one said, and is not taken from the task. `read_prose(answer, known)` returns a Passage.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eval.statements import BREAKS, normalise

MIN_WORDS, MIN_WORDS_OF_QUESTION = 7, 4
# Two of five words in the gold answers are small ones, one of six in the barest sentence; keyword lists have none.
MIN_SMALL_SHARE, MIN_SMALL_WORDS = 0.15, 2
MAX_BREAK_SHARE = 0.6
# rapidfuzz ratios, 0..100: the same sentence but for a word, and a part of the task.
SAME, TAKEN = 95, 90
# So many equal words at the start, or just these small words in this order, are a frame for other keywords.
FRAME_WORDS = 5
SMALL = """a an the
of to in on at by for from with without into over under between through during before after against about as than
and or but if so because that which who whose when where while since until unless whether
is are was were be been being am has have had do does did can could may might must shall should will would
it its this these those they their them you your he she his her we our i my what
not no never then there here only also both each any all some more most such other how why"""
# No English noun phrase goes on like this, shuffled words do. Left out: "a will", "an in-house team", "the following".
NOT_AFTER_ARTICLE = """a an the
of from with than and or but if because that which is are was were has have does did could should would"""
ARTICLES = frozenset({"a", "an", "the"})
SMALL_WORDS, NEVER_AFTER_ARTICLE = frozenset(SMALL.split()), frozenset(NOT_AFTER_ARTICLE.split())

THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
END_OF_TURN = re.compile(r"<\|(?:im_end|im_start|endoftext|eot_id)\|>|</s>")
FENCE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
ITEM = re.compile(r"^\s*(?:[-*+•]|\(?\d{1,2}[.)]|[a-z]\))\s+")
# "**Timing.** Give it early": a heading that runs into its text.
RUN_IN = re.compile(r"^\*\*[^*]{1,60}(?:[.?!]\*\*|\*\*[.?!])\s+")
HEADING = re.compile(r"^\s*(?:#{1,6}\s|\*\*[^*]+\*\*:?\s*$)|^[^.!?]{1,60}:\s*$")
ABBREVIATION = re.compile(r"\b(e\.g|i\.e|vs|dr|mr|mrs|ms|prof|approx)\.(?=\s)", re.IGNORECASE)
END = re.compile(r"""(?<=[.!?])["')\]*_]*\s+(?=["'(\[*_]*[A-Z0-9$€£])""")


@dataclass(frozen=True)
class Sentence:
    """One sentence of an answer, normalised (see eval.statements); `section` counts from 0.

    `asks`: it would be real if it were no question.
    """

    text: str
    section: int
    real: bool
    asks: bool = False

    @property
    def words(self) -> int:
        return sum(token not in BREAKS for token in self.text.split())


@dataclass(frozen=True)
class Passage:
    """An answer, sentence by sentence; `fragments` counts its lines and sentences, and headings without a text."""

    said: tuple[Sentence, ...]
    empty_headings: int = 0

    @property
    def real(self) -> tuple[Sentence, ...]:
        return tuple(sentence for sentence in self.said if sentence.real)

    @property
    def questions(self) -> tuple[Sentence, ...]:
        """What the reader is asked, in questions that have the form of an English sentence, and are new."""
        return tuple(sentence for sentence in self.said if sentence.asks)

    @property
    def words(self) -> int:
        return sum(sentence.words for sentence in self.real)

    @property
    def fragments(self) -> int:
        return len(self.said) + self.empty_headings

    @property
    def sections(self) -> frozenset[int]:
        """The sections that hold a real sentence."""
        return frozenset(sentence.section for sentence in self.real)


def visible(answer: str) -> str:
    """What the reader of an answer sees: no thoughts, nothing after the end of the turn."""
    return END_OF_TURN.split(THOUGHT.sub("", answer), maxsplit=1)[0].strip()


@functools.lru_cache(maxsize=256)
def read_prose(answer: str, known: tuple[str, ...] = ()) -> Passage:
    """The sentences of a visible answer, without code blocks; what is in the `known` texts is not its own."""
    sources = [normalise(text) for text in known]
    said: list[Sentence] = []
    empty = 0
    under_heading = False
    for section, line, is_heading in _units(FENCE.sub("\n\n", answer)):
        if is_heading:
            empty += under_heading
            under_heading = True
            continue
        for original in END.split(ABBREVIATION.sub(_without_dots, line)):
            if text := normalise(original).strip(" ,;"):
                is_question = original.rstrip(" \"')*_").endswith("?")
                formed = is_real(text, sources, said, MIN_WORDS_OF_QUESTION if is_question else MIN_WORDS)
                real = formed and not is_question
                said.append(Sentence(text, section, real, formed and is_question))
                under_heading = under_heading and not real
    return Passage(tuple(said), empty + under_heading)


def is_real(text: str, sources: Sequence[str], earlier: Sequence[Sentence], least: int = MIN_WORDS) -> bool:
    """Whether a normalised text has the form of an English sentence of so many words, and is new."""
    words = [token for token in text.split() if token not in BREAKS]
    small = _small(text)
    return (
        len(words) >= least
        and len(small) >= MIN_SMALL_SHARE * len(words)
        and len(set(small)) >= MIN_SMALL_WORDS
        and len(text.split()) - len(words) <= MAX_BREAK_SHARE * len(words)
        and not _is_shuffled(words)
        and not any(_is_taken(text, source) for source in sources)
        and not any(_repeats(text, sentence.text) for sentence in earlier)
    )


def _units(text: str) -> Iterator[tuple[int, str, bool]]:
    """Section, text, and whether it is a heading, of each paragraph and each item of a list."""
    section = 0
    paragraph: list[str] = []
    for line in [*text.splitlines(), ""]:
        heading = bool(HEADING.match(line))
        item = ITEM.match(line)
        if paragraph and (heading or item or not line.strip()):
            yield section, " ".join(paragraph), False
            paragraph = []
        if heading or not line.strip():
            section += 1
        if heading:
            yield section, line, True
        elif line.strip():
            text = line[item.end() :] if item else line.strip()
            paragraph.append(text if paragraph else RUN_IN.sub("", text))


def _without_dots(abbreviation: re.Match[str]) -> str:
    return abbreviation[1].replace(".", "")


def _is_shuffled(words: Sequence[str]) -> bool:
    """Whether an article stands where no article can: before a small word, or at the end."""
    after = zip(words, [*words[1:], "the"], strict=True)
    return any(word in ARTICLES and follower in NEVER_AFTER_ARTICLE for word, follower in after)


def _small(text: str) -> list[str]:
    return [word for word in text.split() if word in SMALL_WORDS]


def _is_taken(text: str, source: str) -> bool:
    from rapidfuzz import fuzz

    return len(text) <= len(source) and fuzz.partial_ratio(text, source, score_cutoff=TAKEN) >= TAKEN


def _repeats(text: str, earlier: str) -> bool:
    """Whether it is the same sentence again, or the same frame with other keywords put in."""
    from rapidfuzz import fuzz

    frame = _small(text)
    return (
        fuzz.ratio(text, earlier, score_cutoff=SAME) >= SAME
        or text.split()[:FRAME_WORDS] == earlier.split()[:FRAME_WORDS]
        or (len(frame) >= FRAME_WORDS and frame == _small(earlier))
    )
