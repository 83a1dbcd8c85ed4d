"""The words of the sample vault: an invented person's people, projects and habits, and sentences about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

PEOPLE: Final = ("Mara", "Jonas", "Priya", "Tomás", "Aiko", "Ben", "Leila", "Oskar", "Nadia", "Felix", "Ines", "Ravi")
SUBJECTS: Final = (
    "the garden plan", "the choir", "the bakery course", "the workshop roof", "the reading group", "the night shifts",
    "the budget for the house", "the school board", "the bike repair stand", "the move to the coast",
    "the podcast", "the allotment", "the evening classes", "the new apprentice", "the family calendar",
    "the translation job", "the old sailing boat", "the tax return", "the studio rent", "the Tuesday meeting",
    "the community kitchen", "the marathon training", "the photo archive", "the piano lessons", "the volunteer rota",
)  # fmt: skip
PLACES: Final = (
    "on the train", "in the kitchen", "by the canal", "at the workshop", "on the balcony", "in the waiting room",
    "after the rehearsal", "on a long walk", "over breakfast", "at the library", "in the car park", "at the market",
)  # fmt: skip
FEELINGS: Final = (
    "tired",
    "calm",
    "restless",
    "grateful",
    "torn",
    "proud",
    "uneasy",
    "hopeful",
    "relieved",
    "impatient",
)
CAUSES: Final = (
    "nobody had written down who does what", "I answered before I had listened", "we had no date to work towards",
    "the first version was too large", "I said yes out of politeness", "we only talked about money at the end",
    "I had slept too little to think straight", "each of us imagined something else", "I kept the bad news to myself",
    "the small steps were never celebrated", "I wanted it perfect before anybody saw it", "we skipped the quiet people",
    "I planned the week without any slack", "the numbers were in three places", "I took the silence for agreement",
)  # fmt: skip
CHANGES: Final = (
    "ask one more question before I offer a solution", "put the hard talk first on the agenda",
    "leave one evening a week empty", "show the rough draft after two days", "write the decision down the same day",
    "call instead of sending a third message", "agree on what we will not do", "sleep on every large purchase",
    "let somebody else run the meeting", "stop while there is still something left to do tomorrow",
    "keep one list and throw the other two away", "say no within a day instead of after a week",
)  # fmt: skip
SIGNS: Final = (
    "the tone in the room changed", "two people stayed behind to help", "I noticed it only on the way home",
    "my notes from last spring say the same", "the argument went in circles", "it took ten minutes instead of a month",
    "everybody remembered it differently", "nobody asked for the slides", "the phone stayed in the bag all evening",
    "I caught myself rehearsing an answer", "the list was shorter than I feared", "it cost less than the worrying",
)  # fmt: skip

SAYINGS: Final[Mapping[str, Sequence[str]]] = {
    "decision": (
        "I will go ahead with {subject}, and {person} takes the part that I have put off.",
        "Ultimately decided to pause {subject} until {cause_no} is solved, because {cause}.",
        "Two options for {subject} were left, and I took the slower one: {cause}, and I do not want that again.",
        "Waiting with {subject} costs little and being wrong costs a year, so I wait until {person} is back.",
        "I told {person} {place} that I step back from {subject}; it felt {feeling} for a day and right ever since.",
    ),
    "learning": (
        "What went wrong with {subject} was plain afterwards: {cause}.",
        "{person} showed me {place} how to start smaller, and {sign}.",
        "Next time I want to {change}, above all with {subject}.",
        "The lesson is old and I needed it again: {cause}, and then {sign}.",
        "With {subject} it helped to {change}; after that {sign}.",
    ),
    "insight": (
        "I realize that {subject} was never about the work, it was about being asked.",
        "The more I try to control {subject}, the less {person} brings to it, and {sign}.",
        "It struck me {place} that I feel {feeling} whenever {subject} comes up, and that {cause}.",
        "What I call patience with {subject} is often fear of the answer.",
        "{person} and I want the same from {subject}, we only name it differently; {sign}.",
    ),
    "analysis": (
        "On one hand {subject} gives the week a shape, on the other it eats the only free evening.",
        "There are three reasons why {subject} stalls: {cause}, {cause_too}, and nobody is in charge.",
        "If I compare this month with the last one, {sign}, although we spent less time on {subject}.",
        "The numbers for {subject} look fine, but {person} is right that {cause}.",
    ),
    "reflection": (
        "I think {subject} has become easier since we agreed to {change}.",
        "Looking back on {subject}, {sign}, and that is more than I had hoped for.",
        "I feel {feeling} about {subject} today, mostly because {cause}.",
        "I wonder whether {person} would take over {subject} if I asked {place}.",
        "What if we let {subject} rest for a season and used the time to {change}?",
        "It was quiet {place}, and for once I did not plan {subject} in my head.",
    ),
}  # fmt: skip
PLAIN: Final = (
    "{person} sent the papers for {subject}.", "Bought screws, lamp oil and two bags of soil.",
    "Called about {subject}, they call back on Monday.", "Rain all day, the cellar stayed dry.",
    "Agenda: {subject}, dates, keys.", "{person} has the spare key until Friday.",
    "Room {n} is booked, bring the long cable.", "Paid invoice {n} for {subject}.",
    "Train at {n} past, platform four.", "Soup recipe from {person}: lentils, lemon, a lot of cumin.",
)  # fmt: skip


def say(rng: Random, kind: str, subject: str, sentences: int) -> str:
    """Some different sentences of a kind about one subject."""
    several = rng.sample(SAYINGS[kind], min(sentences, len(SAYINGS[kind])))
    return " ".join(_filled(rng, sentence, subject) for sentence in several)


def plain(rng: Random) -> str:
    """A sentence that is no reflection."""
    return _filled(rng, rng.choice(PLAIN), rng.choice(SUBJECTS))


def _filled(rng: Random, sentence: str, subject: str) -> str:
    cause, other = rng.sample(CAUSES, 2)
    text = sentence.format(
        subject=subject,
        person=rng.choice(PEOPLE),
        place=rng.choice(PLACES),
        feeling=rng.choice(FEELINGS),
        cause=cause,
        cause_too=other,
        cause_no="the question of who pays",
        change=rng.choice(CHANGES),
        sign=rng.choice(SIGNS),
        n=rng.randint(10, 59),
    )
    return text[0].upper() + text[1:]
