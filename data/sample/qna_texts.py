"""What the invented questions and answers are made of: texts with slots, by domain, and the words for the slots.

Nothing here is advice, and nothing of it stands in the evaluation's tasks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from data.sample.words import words


class Text(NamedTuple):
    """A question and its answer about a topic."""

    topic: str
    question: str
    answer: str


def phrases(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(text.split(", "))


def prose(text: str) -> str:
    """A text in long lines: only paragraphs and lists keep their breaks."""
    return re.sub(r"(?<!\n)\n(?![\n-])", " ", text)


WORDS: Final[Mapping[str, Sequence[str]]] = {
    "thing": words("crate kettle ladder lantern barrel wagon saddle mirror basket pulley chisel trowel"),
    "field": words("weight height price width depth charge speed volume length stock"),
    "verb": words("collect pick gather select choose fetch"),
    "person": phrases("a baker, a florist, a potter, a weaver, a printer, a beekeeper, a tailor, a cobbler"),
    "place": phrases("a harbour town, a mountain village, an island, a market town, a river port"),
    "paper": phrases("a lease, a loan note, a delivery contract, a storage contract, a repair order"),
    "delay": phrases("two weeks, ten days, a month, three weeks, six days"),
    "ache": phrases("a stiff neck, a sore wrist, a dull ache in the knee, a tired lower back, a tight calf"),
    "cause": phrases("a long drive, a day of gardening, an evening of moving boxes, a week at a new desk"),
    "plant": words("fern moss ivy clover barley heather"),
    "subject": phrases("evaporation, friction, photosynthesis, erosion, buoyancy, magnetism, condensation, inertia"),
    "age": words("seven eight nine ten eleven twelve"),
}

_CODE_PICK = """Go through the list once and keep what is over the limit:

```python
def {verb}_{thing}s(rows, limit={n}):
    \"\"\"The {thing}s whose {field} is over the limit, the largest first.\"\"\"
    chosen = [row for row in rows if row.get("{field}", 0) > limit]
    return sorted(chosen, key=lambda row: row["{field}"], reverse=True)
```

A {thing} without a {field} counts as 0, so it is left out and nothing fails."""

_CODE_MEAN = """Add up and count in one pass, so that any iterable will do:

```python
def mean_{field}(rows):
    total = count = 0
    for row in rows:
        total += row["{field}"]
        count += 1
    return total / count if count else 0.0
```

For an empty input it returns 0.0; say so to whoever calls it for a {thing}."""

_CODE_GROUP = """A dictionary of lists does it, in the order in which the rows came:

```python
def by_{field}(rows, step={n}):
    groups = {{}}
    for row in rows:
        groups.setdefault(row["{field}"] // step * step, []).append(row)
    return groups
```

The key is the lower end of each class, so {field} {n} and {field} {over} stand in the class {n}."""

_LEGAL_LATE = prose("""\
First read what {paper} itself says about being late: many name a period of grace, and some a fixed
sum for each day. Where it says nothing, the usual rule is that the other side has to be told in
writing and given a last date, such as {n} days; only when that has passed can they step back or ask
for damages. A delay of {delay} is not the same as never: whether it is serious depends on what the
parties knew the date was for. In {place} a local rule may differ, so have a lawyer look at the text
before anything is signed or refused.""")

_LEGAL_COPY = prose("""\
Whoever wrote a text mostly owns it, also without a notice. Using {n} lines of it as {person} is
easier to defend when they are quoted, when the source is named and when they serve a point of your
own; copying them to save the price of the work is not. Size matters less than what the lines are
worth to the whole. What counts as fair differs from country to country, so ask a lawyer before the
work is sold in {place}.""")

_HEALTH_ACHE = prose("""\
{Ache} after {cause} is mostly tired muscle, and gets better within {n} days. Keep moving gently,
change your position every half hour, and use warmth for a quarter of an hour at a time. See a
doctor if it grows worse, if it wakes you at night, if there is numbness, weakness or fever, or if
it began with a fall. This is general information and cannot replace somebody who examines you.""")

_HEALTH_SLEEP = prose("""\
Most adults need seven to nine hours. After {n} short nights go to bed a little earlier for some
days, get up at the same time each morning, and keep the last hour free of screens and heavy food.
{Cause} tires the body and may make it easier to fall asleep, but not right before bed. See a doctor
if you snore and wake up tired, if you fall asleep while driving, or if it lasts longer than three
weeks.""")

_LOAN = prose("""\
Simple interest is capital times rate times time. For {person} that is {amount} × {rate} % × {years}
years:

- {amount} × {rate} / 100 = {yearly} a year
- {yearly} × {years} = {interest}

So the interest is {interest}, and {total} is owed at the end. With compound interest it would be
more, because each year's interest would earn some of its own.""")

_MARGIN = prose("""\
The margin is what is left of the price after the cost, as a share of the price. {Person} sells a
{thing} for {price} and pays {cost} for it, so {left} is left of each one: {left} / {price} =
{margin} %. To earn a fixed cost of {fixed} back, they have to sell {fixed} / {left} = {pieces}
pieces, rounded up. A lower price needs more pieces, and not only in proportion.""")

_SCHOOL = prose("""\
Think of {subject} as something that you have seen: some {plant} in a garden, or a {thing} in the
rain. First say what changes, then what stays the same, and only then the word for it. At {age} it
helps to try it: take {n} drops of water, a {thing} and a lamp, write down what you expect, and look
again after {n} minutes. What you expected and what you saw belong side by side in the notebook,
because the difference is where {subject} is learned.""")

_SCHOOL_SUM = prose("""\
Share in steps. {price} {thing}s for {children} children: {children} goes into {price} as often as
{share} times, because {children} × {share} = {shared}, and {rest} stay over. Check it backwards:
{shared} + {rest} = {price}. If none may stay over, somebody has to bring {missing} more {thing}s,
or the {rest} are kept for the next day.""")

TEXTS: Final[Mapping[str, Sequence[Text]]] = {
    "coding": (
        Text("lists", "Write a Python function that will {verb} every {thing} over a {field} of {n}.", _CODE_PICK),
        Text("numbers", "How do I get the mean {field} of the {thing}s, also when there are {n} or none?", _CODE_MEAN),
        Text("grouping", "Group {thing}s into classes of {field}, {n} wide, in Python.", _CODE_GROUP),
    ),
    "legal": (
        Text("delay", "{Person} in {place} is {delay} late under {paper}. What follows after {n} days?", _LEGAL_LATE),
        Text("copies", "May {person} in {place} print {n} lines of somebody else's book about a {thing}?", _LEGAL_COPY),
    ),
    "healthcare": (
        Text("muscles", "I have {ache} after {cause}, since {n} days. What can I do?", _HEALTH_ACHE),
        Text("sleep", "I slept badly for {n} nights, and yesterday was {cause}. What helps?", _HEALTH_SLEEP),
    ),
    "finance": (
        Text("interest", "{Person} borrows {amount} at {rate} %. What is owed after {years} years?", _LOAN),
        Text("margin", "{Person} buys a {thing} for {cost} and sells it for {price}. What is the margin?", _MARGIN),
    ),
    "education": (
        Text("science", "How do you explain {subject} to a child of {age}, with a {thing} and {n} minutes?", _SCHOOL),
        Text("sharing", "How do I show that {price} {thing}s cannot be shared evenly by {children}?", _SCHOOL_SUM),
    ),
}  # fmt: skip
