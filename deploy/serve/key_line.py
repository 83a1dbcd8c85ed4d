"""What a line of the key file says, and which rates there are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

# Random keys have 128 bits and more in 22 characters of base64; a shorter one could be guessed from its hash.
LEAST_CHARACTERS = 20
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RATE = re.compile(r"([1-9]\d{0,8})/([smh])")
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Rate:
    """`count` requests in any `seconds`, all of them at once if they were saved up."""

    count: int
    seconds: float

    @staticmethod
    def parse(text: str) -> Rate:
        """`60/m`; raises ValueError with the fix."""
        found = RATE.fullmatch(text)
        if found is None:
            raise ValueError(f"a rate is a number by s, m or h, such as 5/s, 60/m or 1000/h, not {text[:20]!r}")
        return Rate(int(found[1]), SECONDS[found[2]])

    def __str__(self) -> str:
        return f"{self.count}/{next(unit for unit, seconds in SECONDS.items() if seconds == self.seconds)}"


@dataclass(frozen=True)
class Key:
    """A key, without the key: whoever reads this cannot use it."""

    name: str
    digest: bytes = field(repr=False)
    """SHA-256 of the key"""
    roles: frozenset[str] | None = None
    """None: all of them"""
    admin: bool = False
    rate: Rate | None = None
    """None: the default of the configuration, here and for streams"""
    streams: int | None = None


def fingerprint(key: bytes) -> bytes:
    """What is kept of a key. A fast hash is enough: keys are random, so there is no dictionary to try."""
    return hashlib.sha256(key).digest()


def parse_keys(text: str, where: str) -> tuple[Key, ...]:
    """All keys of a text, a line each; `#` begins a comment. Raises ValueError with every problem, never with a key."""
    keys: list[Key] = []
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        try:
            keys += [parse_line(words)] if words else []
        except ValueError as problem:
            problems.append(f"{where}:{number}: {problem}.")
    problems += doubled(
        [key.name for key in keys], f"{where}: the name {{}} stands twice. Names are told apart in metrics."
    )
    problems += doubled(
        [key.digest.hex() for key in keys], f"{where}: one key stands twice (sha256 {{:.8}}). Keep one of them."
    )
    if problems:
        raise ValueError("\n".join(problems))
    return tuple(keys)


def doubled(values: list[str], sentence: str) -> Iterator[str]:
    return (sentence.format(value) for value in sorted({value for value in values if values.count(value) > 1}))


def parse_line(words: list[str]) -> Key:
    """The key of one line; raises ValueError with a sentence that does not hold the key."""
    digest = parse_digest(words[0])
    admin, given = False, dict[str, str]()
    for word in words[1:]:
        name, has_value, value = word.partition("=")
        if word == "admin":
            admin = True
        elif not has_value or name not in ("name", "roles", "rate", "streams") or name in given:
            raise ValueError("after the key come, once each, name=, roles=, rate=, streams= and admin")
        given[name] = value
    name = given.get("name", f"key-{digest.hex()[:8]}")
    roles = frozenset(given["roles"].split(",")) if "roles" in given else None
    for each in (name, *(roles or ())):
        if NAME.fullmatch(each) is None:
            raise ValueError("names and roles are letters, digits, `.`, `_` and `-`, roles with commas between them")
    if re.fullmatch(r"[1-9]\d{0,8}", given.get("streams", "1")) is None:
        raise ValueError("streams= is a whole number from 1")
    rate = Rate.parse(given["rate"]) if "rate" in given else None
    return Key(name, digest, roles, admin, rate, int(given["streams"]) if "streams" in given else None)


def parse_digest(word: str) -> bytes:
    """The hash of a key that is given as such or as `sha256:HEX`."""
    if word.startswith("sha256:"):
        if re.fullmatch(r"sha256:[0-9a-fA-F]{64}", word) is None:
            raise ValueError("sha256: is followed by 64 hexadecimal digits")
        return bytes.fromhex(word.removeprefix("sha256:"))
    if not word.isascii() or not word.isprintable():
        raise ValueError("a key consists of printable ASCII characters, as it travels in a header")
    if len(word) < LEAST_CHARACTERS:
        raise ValueError(
            f"the key has {len(word)} characters; under {LEAST_CHARACTERS} it can be guessed from its hash. "
            "Make one: python -m deploy.serve.keys new"
        )
    return fingerprint(word.encode())
