"""The general text that the tiny base learns from: echo conversations over the town's own words.

A role adapter must later copy a bead's id into a command. A small model learns to copy only when it has
seen many values in many places, so every value here is cut from the rows and its digits are drawn anew.
What to do in a role is never shown: no conversation answers a human text with the reply that the rows give
to it.
"""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scripts.tiny_base.tokenizer import Turn

TAGGED: Final = re.compile(r"<tool_(?:call|result)>.*?</tool_(?:call|result)>", re.DOTALL)
TOOL_KEYS: Final = (("Bash", "command"), ("Read", "file_path"), ("Grep", "pattern"), ("Edit", "old_string"))


@dataclass(frozen=True, slots=True)
class TownText:
    """What the rows say: whole texts for the tokenizer, human sentences and single words for the echoes."""

    texts: tuple[str, ...]
    sentences: tuple[str, ...]
    words: tuple[str, ...]


def read_town(datasets: Path) -> TownText:
    """Read `gastown_train.jsonl` of a dataset folder. Raises `ValueError` when there is nothing in it."""
    file = datasets / "gastown_train.jsonl"
    if not file.is_file():
        raise ValueError(f"{file}: no such file. Run `python -m data.pipeline all --out {datasets}` first.")
    with file.open(encoding="utf-8") as lines:
        turns = [turn for line in lines for turn in json.loads(line)["conversations"]]
    said = [turn for turn in turns if turn["from"] != "system"]
    sentences = {text for turn in said if turn["from"] == "human" if (text := TAGGED.sub("", turn["value"]).strip())}
    if not sentences:
        raise ValueError(f"{file}: no row holds a human text, so there is nothing to learn from.")
    words = {word for turn in said for word in spoken(turn["value"]).split()}
    texts = dict.fromkeys(turn["value"] for turn in turns)
    return TownText(tuple(texts), tuple(sorted(sentences)), tuple(sorted(words)))


def spoken(value: str) -> str:
    """A turn's text with the arguments of its tool calls instead of their JSON."""
    return TAGGED.sub(lambda match: " ".join(call_strings(match.group())), value)


def call_strings(tagged: str) -> Iterator[str]:
    """The string arguments of one tagged tool call; nothing for a result or for what is no JSON."""
    try:
        arguments: dict[str, Any] = json.loads(tagged.split("\n", 1)[1].rsplit("\n", 1)[0])["arguments"]
    except (ValueError, IndexError, KeyError, TypeError):
        return
    yield from (value for value in arguments.values() if isinstance(value, str))


def echo_conversations(town: TownText, count: int, seed: int) -> Iterator[tuple[Turn, ...]]:
    """`count` conversations of one to four echo pairs under a neutral system prompt of varying length."""
    rng = random.Random(seed)
    for _ in range(count):
        filler = " ".join(value(town, rng) for _ in range(rng.choice((0, 0, 2, 4, 16))))
        turns = [Turn("system", f"[ECHO] You repeat what you are asked for. {filler}".strip())]
        for _ in range(rng.choice((1, 1, 2, 3))):
            asked, answer = rng.choice(FORMS)(town, rng)
            turns += [Turn("user", asked), Turn("assistant", answer)]
        yield tuple(turns)


def value(town: TownText, rng: random.Random) -> str:
    """A short string of the town: a span of a human sentence or loose words, each digit drawn anew."""
    if rng.random() < 0.5:
        words: Sequence[str] = rng.choice(town.sentences).split()
        start = rng.randrange(len(words))
        words = words[start : start + rng.randint(1, 6)]
    else:
        words = rng.choices(town.words, k=rng.randint(1, 3))
    return redraw_digits(" ".join(words), rng)


def redraw_digits(text: str, rng: random.Random) -> str:
    return re.sub(r"\d", lambda _: rng.choice("0123456789"), text)


def call(name: str, key: str, argument: str) -> str:
    """A tool call as the pipeline renders it in a row."""
    body = json.dumps({"name": name, "arguments": {key: argument}}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def say(town: TownText, rng: random.Random) -> tuple[str, str]:
    text = value(town, rng)
    return f"Say: {text}", text


def call_with(town: TownText, rng: random.Random) -> tuple[str, str]:
    text, (name, key) = value(town, rng), rng.choice(TOOL_KEYS)
    return f"Call {name} with {key}: {text}", call(name, key, text)


def pick(town: TownText, rng: random.Random) -> tuple[str, str]:
    """Find values by their names: what a command needs from the middle of a sentence."""
    named = {name: value(town, rng) for name in rng.sample(("first", "second", "third", "fourth"), 3)}
    wanted = rng.sample(tuple(named), rng.randint(1, 2))
    listing = "; ".join(f"{name} is {text}" for name, text in named.items())
    return f"{listing}. Say {' and '.join(wanted)}.", " ".join(named[name] for name in wanted)


def fill(town: TownText, rng: random.Random) -> tuple[str, str]:
    """Put two values into a pattern of loose words: the shape of every command in the town."""
    first, second = value(town, rng), value(town, rng)
    words = [redraw_digits(word, rng) for word in rng.choices(town.words, k=rng.randint(1, 4))]
    for slot in ("{a}", '"{b}"' if rng.random() < 0.5 else "{b}"):
        words.insert(rng.randint(1, len(words)), slot)
    pattern = " ".join(words)
    asked = f"With a = {first} and b = {second}, call Bash: {pattern}"
    return asked, call("Bash", "command", pattern.replace("{a}", first).replace("{b}", second))


FORMS: Final = (say, call_with, call_with, pick, fill, fill)
