"""One side of a comparison: which OpenAI-compatible endpoint it is, what it answers, and how it fails.

The key of the local side comes from FORGE_KEY, that of the stronger one from OPENAI_API_KEY; neither gets the other's.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from eval.errors import BadInput
from eval.printable import one_line
from eval.targets import resolve_target

if TYPE_CHECKING:
    pass

TIMEOUT_SECONDS = 300.0

Messages = Sequence[Mapping[str, str]]


class Side(StrEnum):
    """Which of the two models."""

    LOCAL = "local"
    STRONG = "strong"

    @property
    def words(self) -> str:
        return "the local model" if self is Side.LOCAL else "the stronger model"

    @property
    def key(self) -> str:
        """The variable of the environment that holds its key."""
        return "FORGE_KEY" if self is Side.LOCAL else "OPENAI_API_KEY"


@dataclass(frozen=True)
class Endpoint:
    """Where a side answers; `url` ends in /v1."""

    side: Side
    url: str
    model: str
    key: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The side with its model and address, for sentences."""
        return f"{self.side.words} ({one_line(self.model, 60)} at {self.url})"


@dataclass(frozen=True)
class Answer:
    """What a side said, and what it cost. `served` is the version of our gateway that said it, empty elsewhere.

    Tokens are None where the server does not count them; `first_seconds` where it answers in one piece.
    """

    text: str
    seconds: float
    reasoning: str = ""
    finish: str = ""
    first_seconds: float | None = None
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    served: str = ""


class Failed(Exception):
    """A side that gave no whole answer; the message is one sentence. `lasting`: asking again changes nothing."""

    def __init__(self, sentence: str, lasting: bool = False) -> None:
        super().__init__(sentence)
        self.lasting = lasting


def endpoint_of(side: Side, address: str) -> Endpoint:
    """The endpoint that URL#MODEL names, with the key of the environment. Raises BadInput."""
    if not address.startswith(("http://", "https://")):
        raise BadInput(f"{one_line(address)} is no endpoint; give --{side} http://HOST/v1#MODEL.")
    if urlsplit(address).username is not None:
        raise BadInput(f"the address of --{side} holds a name or password; put the key into {side.key} instead.")
    server = resolve_target(address, None, "").server
    assert server is not None
    key = os.environ.get(side.key, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise BadInput(f"{side.key} holds characters that no key has; set it again.")
    return Endpoint(side, server.url, server.name, key)


def upper(name: str) -> str:
    """The name at the beginning of a sentence."""
    return name[0].upper() + name[1:]
