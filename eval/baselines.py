"""What needs no model: three trivial agents and the nearest training turn, the floors of tool_use_accuracy.

`floors(asked, trained)` answers every question as `always` (the most common call), `repeat` (the previous calls again),
`bigram` (what most often follows the previous action) and `nearest` (what was done where the last message was most
alike). A model that does not beat the best of them has learned nothing about the role.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from eval.answer import Answer, Call, parse_answer
from eval.effective import canonical, heads
from eval.heldout import Question, as_text
from eval.render import call_text

Floor = Literal["always", "repeat", "bigram", "nearest"]
FLOORS: tuple[Floor, ...] = get_args(Floor)
MEANING: Mapping[Floor, str] = {
    "always": "the most common call",
    "repeat": "the previous calls again",
    "bigram": "what most often follows the previous action",
    "nearest": "what was done after the most similar message",
}
NO_CALL = "Nothing to do."
# The end of a message says what is wanted. 5,000 turns of 600 characters take some 25 ms a question to search.
COMPARED, SEARCHED = 600, 5000

Deed = tuple[Hashable, ...]
"""What a turn does, free text apart; empty where it only speaks."""


@dataclass(frozen=True)
class Turn:
    """A turn for counting: what was done before and in it, both as actions, and the last message before it."""

    session: str
    before: Deed | None
    deed: Deed
    recorded: str
    message: str

    @classmethod
    def of(cls, question: Question) -> "Turn":
        """The turn of a question; `before` is None where nothing was said before."""
        previous = _previous(question)
        done = None if previous is None else _deed(previous)
        message = as_text(question.prompt.messages[-1]) if question.prompt.messages else ""
        return cls(question.session, done, _deed(parse_answer(question.recorded)), question.recorded, message)


def floors(asked: Sequence[Question], trained: Sequence[Question]) -> dict[Floor, list[str]]:
    """The answers of each trivial agent, in the order of the questions.

    A turn never serves as a neighbour of its own session, so that the questions may stand in for training turns.
    """
    known = [Turn.of(question) for question in trained]
    turns = [Turn.of(question) for question in asked]
    constant = always(known)
    return {
        "always": [constant] * len(asked),
        "repeat": [repeat(question) for question in asked],
        "bigram": bigram(turns, known),
        "nearest": nearest(turns, known),
    }


def always(known: Iterable[Turn]) -> str:
    """The call that occurs most often up to free text, the first of those where several do."""
    seen: dict[Hashable, list[Call]] = {}
    for turn in known:
        for call in parse_answer(turn.recorded).calls:
            seen.setdefault(canonical(call), []).append(call)
    return call_text(max(seen.values(), key=len)[0]) if seen else NO_CALL


def repeat(question: Question) -> str:
    """The calls of the previous reply once more; words where it made none."""
    previous = _previous(question)
    return _calls(previous.calls) if previous else NO_CALL


def bigram(turns: Sequence[Turn], known: Sequence[Turn]) -> list[str]:
    """What most often followed the previous action, said as it was most often said; unseen ones: the most common."""
    follows: dict[Deed | None, Counter[Deed]] = {}
    said: dict[Deed, Counter[str]] = {}
    for turn in known:
        follows.setdefault(turn.before, Counter())[turn.deed] += 1
        said.setdefault(turn.deed, Counter())[_calls(parse_answer(turn.recorded).calls)] += 1
    overall = Counter(turn.deed for turn in known)
    if not overall:
        return [NO_CALL] * len(turns)
    likeliest = {before: counts.most_common(1)[0][0] for before, counts in follows.items()}
    common = overall.most_common(1)[0][0]
    return [said[likeliest.get(turn.before, common)].most_common(1)[0][0] for turn in turns]


def nearest(turns: Sequence[Turn], known: Sequence[Turn]) -> list[str]:
    """What was done where the end of the last message was most alike; of very many turns, evenly taken ones."""
    from rapidfuzz import process
    from rapidfuzz.distance import Indel

    step = -(-len(known) // SEARCHED) or 1
    searched = known[::step]
    ends = {place: turn.message[-COMPARED:] for place, turn in enumerate(searched)}
    answers = []
    for turn in turns:
        others = {place: end for place, end in ends.items() if searched[place].session != turn.session}
        found = process.extractOne(turn.message[-COMPARED:], others, scorer=Indel.normalized_similarity)
        answers.append(_calls(parse_answer(searched[found[2]].recorded).calls) if found else NO_CALL)
    return answers


def _previous(question: Question) -> Answer | None:
    replies = (message for message in reversed(question.prompt.messages) if message["role"] == "assistant")
    reply = next(replies, None)
    return None if reply is None else parse_answer(as_text(reply))


def _deed(answer: Answer) -> Deed:
    return tuple(head for call in answer.calls for head in heads(call))


def _calls(calls: Sequence[Call]) -> str:
    return "\n".join(map(call_text, calls)) or NO_CALL
