"""Numbers in sentences."""

from __future__ import annotations


def counted(count: int, word: str) -> str:
    """`1 row`, `1,200 rows`"""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
