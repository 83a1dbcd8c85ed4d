"""The question that a reflection answers: built from what marks it, its heading or title, and its day.

Nothing is drawn: the same reflection has the same question in every build, and many reflections have many questions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from hashlib import blake2b

from data.extract.vault_dates import day_in, spoken, without_day
from data.extract.vault_reflections import JOURNAL

LONGEST_TOPIC = 80  # characters; a longer heading is a sentence of its own


class Kind(StrEnum):
    """What a reflection is."""

    DECISION = "decision"
    LEARNING = "learning"
    INSIGHT = "insight"
    ANALYSIS = "analysis"
    WONDERING = "wondering"
    FEELING = "feeling"
    LOOKING_BACK = "looking back"
    JOURNAL = "journal"
    THOUGHT = "thought"


# What the signs of the configuration begin with; any other tag or phrase is a thought.
_KINDS = (
    (Kind.DECISION, re.compile(r"decision|decid|ultimately decided|i decided|choice")),
    (Kind.LEARNING, re.compile(r"learn|lesson|takeaway|til\b")),
    (Kind.INSIGHT, re.compile(r"insight|reali[sz]|i reali[sz]e")),
    (Kind.ANALYSIS, re.compile(r"analy|on (?:the )?one hand")),
    (Kind.WONDERING, re.compile(r"i wonder|what if|question")),
    (Kind.FEELING, re.compile(r"i feel|i felt|feeling|mood")),
    (Kind.LOOKING_BACK, re.compile(r"looking back|review|retro")),
)

ABOUT: dict[Kind, tuple[str, ...]] = {
    Kind.DECISION: (
        "What did you decide about {topic}, and why?",
        "How did you come to your decision on {topic}?",
        "What was your reasoning when you decided on {topic}?",
        "Which way did you go with {topic}?",
        "Walk me through your decision about {topic}.",
        "What tipped the scales for you on {topic}?",
    ),
    Kind.LEARNING: (
        "What did you learn from {topic}?",
        "What is your takeaway from {topic}?",
        "What has {topic} taught you?",
        "What would you do differently after {topic}?",
        "What did you take with you from {topic}?",
        "If you had to pass on one lesson from {topic}, what would it be?",
    ),
    Kind.INSIGHT: (
        "What did you come to see about {topic}?",
        "What did you realize about {topic}?",
        "What became clear to you about {topic}?",
        "What is your insight on {topic}?",
        "How do you see {topic} now?",
        "What changed in how you think about {topic}?",
    ),
    Kind.ANALYSIS: (
        "How do you weigh up {topic}?",
        "What is your analysis of {topic}?",
        "What speaks for and against {topic}, as you see it?",
        "How would you break down {topic}?",
        "What do you make of {topic} when you look at it closely?",
    ),
    Kind.WONDERING: (
        "What are you wondering about {topic}?",
        "What questions does {topic} raise for you?",
        "What possibilities do you see in {topic}?",
        "What is still open for you about {topic}?",
        "Where does {topic} make you curious?",
    ),
    Kind.FEELING: (
        "How do you feel about {topic}?",
        "What does {topic} stir up in you?",
        "How is {topic} sitting with you?",
        "What are your feelings on {topic}?",
    ),
    Kind.LOOKING_BACK: (
        "Looking back, how do you see {topic}?",
        "How do you look back on {topic}?",
        "With some distance, what do you make of {topic}?",
        "What stands out to you when you look back on {topic}?",
    ),
    Kind.JOURNAL: (
        "What was on your mind about {topic}?",
        "What did you write in your journal about {topic}?",
        "Tell me about {topic} as you saw it that day.",
        "What did you note for yourself about {topic}?",
    ),
    Kind.THOUGHT: (
        "What are your thoughts on {topic}?",
        "What do you think about {topic}?",
        "How do you think about {topic}?",
        "What is your take on {topic}?",
        "Tell me what you think of {topic}.",
        "Where do you stand on {topic}?",
    ),
}

# Where neither a heading nor a title says what it is about.
OPEN: dict[Kind, tuple[str, ...]] = {
    Kind.DECISION: (
        "What decision did you make{when}, and why?",
        "Tell me about a decision of yours{when}.",
        "How did you decide{when}?",
    ),
    Kind.LEARNING: (
        "What did you learn{when}?",
        "What was your takeaway{when}?",
        "Tell me about something you learned{when}.",
    ),
    Kind.INSIGHT: (
        "What did you realize{when}?",
        "What insight did you have{when}?",
        "What became clear to you{when}?",
    ),
    Kind.ANALYSIS: (
        "What were you weighing up{when}?",
        "What did you analyze{when}?",
        "What did you think through{when}?",
    ),
    Kind.WONDERING: (
        "What were you wondering{when}?",
        "What question was on your mind{when}?",
        "What made you curious{when}?",
    ),
    Kind.FEELING: (
        "How did you feel{when}?",
        "What was going on in you{when}?",
        "How were you doing{when}?",
    ),
    Kind.LOOKING_BACK: (
        "What did you see when you looked back{when}?",
        "Looking back{when}, what stood out to you?",
    ),
    Kind.JOURNAL: (
        "What was on your mind{when}?",
        "What did your day give you to think about{when}?",
        "What did you write in your journal{when}?",
    ),
    Kind.THOUGHT: (
        "What were you thinking about{when}?",
        "What occupied your thoughts{when}?",
        "What did you make of things{when}?",
    ),
}

MORE = (
    "Go on.",
    "What else is there to say about it?",
    "And what followed from that?",
    "Tell me more.",
    "How does it continue?",
)


def kind_of(sign: str) -> Kind:
    """What a reflection is, given the tag, the phrase or the word that marks it."""
    lowered = sign.lower()
    return next((kind for kind, pattern in _KINDS if pattern.match(lowered)), Kind.THOUGHT)


def question(sign: str, names: Sequence[str], day: str, key: str) -> str:
    """The question. `names` are the headings and titles above a reflection, the nearest first, of which the first that
    says something is what it is about; `key` varies the question.
    """
    kind = kind_of(sign)
    if sign == JOURNAL:
        kind = next((found for name in names if (found := kind_of(name)) is not Kind.THOUGHT), Kind.JOURNAL)
    if topic := next(filter(None, map(topic_of, names)), ""):
        return _pick(ABOUT[kind], key).format(topic=topic)
    return _pick(OPEN[kind], key).format(when=f" on {spoken(day)}" if day else "")


def more(key: str) -> str:
    """What is asked where a long reflection goes on."""
    return _pick(MORE, key)


# Headings that say where something stands, not what it is about.
_PLACES = re.compile(
    r"(?:the |my |daily |weekly |monthly |evening |morning )*(?:journal|reflections?|daily|log|notes?|thoughts?|evening"
    r"|morning|morning pages|gratitude|lessons?|lessons? learned|decisions?|insights?|learnings?|takeaways?|analysis"
    r"|realizations?|today|summary|untitled|review|retrospective|ideas?|misc|inbox|dump|brain dump|entry|diary"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|week|w|days?|in short)(?: \d+)?"
    r"|(?:what|how|why|where|things?) (?:i|we|am i|did i|do i|was i|went)\b.*"
    r"|(?:\w+ )?(?:lessons?|reflections?|thoughts?|notes?|journal|log|review|learnings|takeaways|insights)"
    r" (?:of|for|from) (?:the|this|my|last) (?:day|week|weekend|month|quarter|year|evening|morning)",
    re.IGNORECASE,
)
_BEFORE_TOPIC = re.compile(
    r"(?:decision|insight|learning|lesson|takeaway|reflection|thought|journal|analysis)s?(?: on| about)?\s*[:–—-]\s+"
    r"|(?:reflection|thought)s? (?:on|about) ",
    re.IGNORECASE,
)


def topic_of(text: str) -> str:
    """What a heading or a title is about, without a day and words such as `Decision:`; '' where it says nothing."""
    text = without_day(text) if day_in(text) else text
    topic = " ".join(text.split())
    topic = topic[match.end() :] if (match := _BEFORE_TOPIC.match(topic)) else topic
    topic = topic.strip(" -_:;,.!?\"'")
    if len(topic) > LONGEST_TOPIC:
        topic = topic[:LONGEST_TOPIC].rpartition(" ")[0].rstrip(" -,;:")
    says_something = sum(map(str.isalpha, topic)) >= 2 and not _PLACES.fullmatch(topic)
    return topic if says_something else ""


def _pick(several: tuple[str, ...], key: str) -> str:
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return several[int.from_bytes(digest, "big") % len(several)]
