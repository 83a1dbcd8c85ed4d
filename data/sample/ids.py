"""Identifiers as Claude Code and the API write them, drawn from a seeded generator."""

import base64
import string
import uuid
from random import Random

LETTERS = string.ascii_letters + string.digits


def draw_uuid(rng: Random) -> str:
    """A random uuid of version 4, as text."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def draw_token(rng: Random, prefix: str) -> str:
    """An API id such as `toolu_01` and 22 letters and digits."""
    return prefix + "".join(rng.choices(LETTERS, k=22))


def draw_signature(rng: Random) -> str:
    """The signature of a thinking block: base64 of 90 to 240 random bytes."""
    return base64.b64encode(rng.randbytes(rng.randint(30, 80) * 3)).decode("ascii")


def draw_agent_id(rng: Random) -> str:
    """The short id of a subagent."""
    return f"a{rng.getrandbits(24):06x}"
