"""The general text that the tiny base learns from: echo conversations over the town's own words.

A role adapter must later copy a bead's id into a command. A small model learns to copy only when it has
seen many values in many places, so every value here is cut from the rows and its digits are drawn anew.
What to do in a role is never shown: no conversation answers a human text with the reply that the rows give
to it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

# The tags stand alone on their lines; the same words in an argument do not.
TAGGED: Final = re.compile(r"<tool_(call|result)>\n.*?\n</tool_\1>", re.DOTALL)


@dataclass(frozen=True)
class TownText:
    """What the rows say: whole texts for the tokenizer, human sentences and single words for the exercises."""

    texts: tuple[str, ...]
    sentences: tuple[str, ...]
    words: tuple[str, ...]

    # Words of letters, each as often as a reply copied it from the text before it: rigs, names, modules.
    copied: tuple[str, ...]

    @cached_property
    def plain_words(self) -> tuple[str, ...]:
        """The words of letters alone, each as often as the human sentences say it."""
        return tuple(word for sentence in self.sentences for word in letters_only(sentence))


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
    pairs = [pair for pair in pairwise(turns) if (pair[0]["from"], pair[1]["from"]) == ("human", "gpt")]
    copied = [word for asked, told in pairs for word in copied_words(asked["value"], told["value"])]
    return TownText(tuple(texts), tuple(sorted(sentences)), tuple(sorted(words)), tuple(copied))


def copied_words(asked: str, told: str) -> list[str]:
    """The words of letters that stand in a text and again in the tool calls that answer it."""
    if "<tool_call>" not in told or "<tool_result>" in asked:
        return []
    known = set(letters_only(asked))
    return [word for word in letters_only(spoken(told)) if word in known]


def letters_only(text: str) -> list[str]:
    words = (word.strip(".,:;?!\"'") for word in re.split(r"[\s/]", text))
    return [word for word in words if word.isalpha() and len(word) > 1]


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
