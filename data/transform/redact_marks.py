"""What stands in the place of a secret or a person: the same value always gets the same mark.

A mark is the first two bytes of a keyed hash. The key is public (it only separates these hashes from all
others), so somebody who can guess a short secret can confirm the guess to one in 65,536; nobody can read the
secret from the mark. In return any number of workers, and any later build, write the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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


def swap(text: bytes, marks: Mapping[bytes, bytes], *, words: bool) -> tuple[bytes, int]:
    """The text with every key replaced by its mark, and how often; marks already there stay whole.

    With `words`, a key counts only where no letter or digit is next to it.
    """
    present = [value for value in marks if value in text]
    if not present:
        return text, 0
    longest_first = sorted(present, key=lambda value: (-len(value), value))
    end = rb"(?![A-Za-z0-9])" if words else b""
    skip = SECRET_MARK.pattern + b"|" if b"[SECRET:" in text else b""  # a single name alone searches at memory speed
    pattern = re.compile(skip + b"(?:" + b"|".join(map(re.escape, longest_first)) + b")" + end)
    count = 0

    def replacement(match: re.Match[bytes]) -> bytes:
        nonlocal count
        mark = marks.get(match[0])
        if mark is None or (words and _WORD.match(text, match.start() - 1) and match.start()):
            return match[0]
        count += 1
        return mark

    return pattern.sub(replacement, text), count


def _hash(value: bytes) -> bytes:
    return blake2b(value, key=_KEY, digest_size=2).digest()
