"""The exercises that the tiny base learns from: general, role-neutral conversations over the town's own words.

A role adapter must later recognise a request and copy its values into a command. So the base practises both without
the roles: it repeats values, and it answers drills, requests with an invented command each. Every value is cut from
the rows and its digits are drawn anew; no human text of the rows is ever answered with its own reply.
"""

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from scripts.tiny_base.texts import TownText
from scripts.tiny_base.tokenizer import Turn

TOOL_KEYS: Final = (("Bash", "command"), ("Read", "file_path"), ("Grep", "pattern"), ("Edit", "old_string"))
# Enough invented commands that the base learns how requests work, few enough that it sees each a hundred times.
DRILLS: Final = 120
# A slot like a rig or a severity takes one of so many words.
FAMILY: Final = 6
SLOT: Final = re.compile(r"<(\d)>")
Value = Callable[[TownText, random.Random], str]


@dataclass(frozen=True, slots=True)
class Drill:
    """A request and its command, with the same numbered slots, and the kind of value that each slot takes."""

    request: str
    command: str
    kinds: tuple[Value, ...]


def conversations(town: TownText, count: int, seed: int) -> Iterator[tuple[Turn, ...]]:
    """`count` conversations of one to three exercises under a neutral system prompt of varying length."""
    rng = random.Random(seed)
    drills = tuple(invent(town, rng) for _ in range(DRILLS))
    for _ in range(count):
        filler = " ".join(text(town, rng) for _ in range(rng.choice((0, 0, 2, 4, 12))))
        turns = [Turn("system", f"[PRACTICE] Do what you are asked for. {filler}".strip())]
        for _ in range(rng.choice((1, 1, 2, 3))):
            turns += exercise(town, rng, drills)
        yield tuple(turns)


def exercise(town: TownText, rng: random.Random, drills: tuple[Drill, ...]) -> tuple[Turn, Turn]:
    """One request and its answer; every second one is a drill."""
    if rng.random() < 0.5:
        drill = rng.choice(drills)
        values = [kind(town, rng) for kind in drill.kinds]
        return Turn("user", fill(drill.request, values)), Turn(
            "assistant", call("Bash", "command", fill(drill.command, values))
        )
    value = text(town, rng)
    if rng.random() < 0.4:
        return Turn("user", f"Say: {value}"), Turn("assistant", value)
    name, key = rng.choice(TOOL_KEYS)
    return Turn("user", f"Call {name} with {key}: {value}"), Turn("assistant", call(name, key, value))


def invent(town: TownText, rng: random.Random) -> Drill:
    """A drill with one to three slots between loose words, named again as options or quoted words of the command."""
    family = one_of(family_of(town, rng, FAMILY))
    kinds = tuple(rng.choice((bead, bead, family, family, word, digit, text)) for _ in range(rng.randint(1, 3)))
    slots = [f"<{index}>" for index in range(len(kinds))]
    asked = [plain_word(town, rng) for _ in range(rng.randint(2, 6))]
    for slot in slots:
        asked.insert(rng.randint(0, len(asked)), slot)
    told = [plain_word(town, rng) for _ in range(rng.randint(1, 3))]
    for slot in rng.sample(slots, len(slots)):
        told += rng.choice(
            ([slot], [slot], [f"--{plain_word(town, rng)}", slot], [f'"{slot}"'], [plain_word(town, rng), slot])
        )
    return Drill(joined(asked, rng) + rng.choice(".?"), " ".join(told), kinds)


def joined(words: list[str], rng: random.Random) -> str:
    """Words with spaces; neighbouring slots sometimes with a slash, as in `rig/name`, and some words with a mark."""
    text = " ".join(words)
    text = re.sub(r"(<\d>) (?=<)", lambda match: match[1] + rng.choice(("/", " ")), text)
    return re.sub(r"(?<=[a-z>]) ", lambda _: rng.choice((" ", " ", " ", " ", ": ", ", ")), text, count=1)


def fill(pattern: str, values: list[str]) -> str:
    return SLOT.sub(lambda match: values[int(match[1])], pattern)


def text(town: TownText, rng: random.Random) -> str:
    """A span of a human sentence or some loose words, each digit drawn anew."""
    if rng.random() < 0.5:
        words = rng.choice(town.sentences).split()
        start = rng.randrange(len(words))
        words = words[start : start + rng.randint(1, 10)]
    else:
        words = rng.choices(town.words if rng.random() < 0.5 else town.plain_words, k=rng.randint(1, 8))
    return redraw_digits(" ".join(words), rng)


def word(town: TownText, rng: random.Random) -> str:
    return redraw_digits(rng.choice(town.words), rng)


def family_of(town: TownText, rng: random.Random, count: int) -> list[str]:
    """`count` different words: those that replies copy, frequent ones more likely, or any words of the town."""
    pool = (town.copied or town.plain_words) if rng.random() < 0.5 else tuple(sorted(set(town.plain_words)))
    return list(dict.fromkeys(rng.choices(pool, k=50 * count)))[:count]


def one_of(words: list[str]) -> Value:
    """Values of a closed set: found by what they are, wherever they stand."""
    return lambda _, rng: rng.choice(words)


def bead(town: TownText, rng: random.Random) -> str:
    """An id such as `qu-481`: two letters of a word and two or three digits."""
    return f"{plain_word(town, rng)[:2].lower()}-{rng.randint(10, 999)}"


def digit(town: TownText, rng: random.Random) -> str:
    return str(rng.randint(0, 9))


def plain_word(town: TownText, rng: random.Random) -> str:
    return rng.choice(town.plain_words)


def redraw_digits(value: str, rng: random.Random) -> str:
    return re.sub(r"\d", lambda _: rng.choice("0123456789"), value)


def call(name: str, key: str, argument: str) -> str:
    """A tool call as the pipeline renders it in a row."""
    body = json.dumps({"name": name, "arguments": {key: argument}}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"
