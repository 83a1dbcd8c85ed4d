"""What stands in the place of a secret or a person: the same value always gets the same mark.

A mark is the first two bytes of a keyed hash. The key is public (it only separates these hashes from all
others), so somebody who can guess a short secret can confirm the guess to one in 65,536; nobody can read the
secret from the mark. In return any number of workers, and any later build, write the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b

_KEY = b"lora-forge redaction, version 1"

SECRET_MARK = re.compile(rb"\[SECRET:[a-z0-9.-]+:[0-9a-f]{4}\]")
PSEUDONYM = re.compile(rb"(?:user|host|name)-[0-9a-f]{4}(?![A-Za-z0-9])")

_WORD = re.compile(rb"[A-Za-z0-9]")


def secret_mark(kind: str, value: bytes) -> bytes:
    """`[SECRET:github-pat:1f3a]`. The brackets keep it out of every secret's own shape."""
    return b"[SECRET:%s:%s]" % (kind.encode(), _hash(value).hex().encode())


def pseudonym(prefix: str, name: bytes) -> bytes:
    """`user-1a2b`: valid in paths, branch names and host names; upper and lower case are one person."""
    return b"%s-%s" % (prefix.encode(), _hash(name.lower()).hex().encode())


def email_mark(address: bytes) -> bytes:
    """An address at example.com, which nobody owns."""
    return pseudonym("user", address) + b"@example.com"


def ip_mark(address: bytes) -> bytes:
    """An address in 198.18.0.0/16, which is reserved for benchmarks and routed nowhere."""
    high, low = _hash(address)
    return b"198.18.%d.%d" % (high, low)


def swap(text: bytes, marks: Mapping[bytes, bytes]) -> tuple[bytes, int]:
    """The text with every key replaced by its mark, and how often; marks already there stay whole."""
    found: dict[int, bytes] = {}
    for value in marks:
        for at in places(text, value):
            if len(value) > len(found.get(at, b"")):
                found[at] = value
    return put(text, outside_marks(text, found), marks)


def outside_marks(text: bytes, found: dict[int, bytes]) -> dict[int, bytes]:
    """What was found, without what stands in a mark."""
    if found and b"[SECRET:" in text:
        for mark in SECRET_MARK.finditer(text):
            for at in range(*mark.span()):
                found.pop(at, None)
    return found


def places(text: bytes, value: bytes) -> Iterator[int]:
    """Where a value stands, without overlaps. A plain search is faster than any pattern of several values."""
    at = text.find(value)
    while at >= 0:
        yield at
        at = text.find(value, at + len(value))


def put(text: bytes, found: Mapping[int, bytes], marks: Mapping[bytes, bytes]) -> tuple[bytes, int]:
    """The text with the mark of each found value in its place, and how many; of two that overlap the first counts."""
    parts, done, count = [], 0, 0
    for at in sorted(found):
        if at >= done:
            parts += [text[done:at], marks[found[at]]]
            done = at + len(found[at])
            count += 1
    return (b"".join([*parts, text[done:]]), count) if count else (text, 0)


def touches_a_word(text: bytes, start: int, end: int) -> bool:
    """Whether a letter or digit is next to a part of a text."""
    return bool(_WORD.match(text, end) or (start and _WORD.match(text, start - 1)))


def _hash(value: bytes) -> bytes:
    return blake2b(value, key=_KEY, digest_size=2).digest()
