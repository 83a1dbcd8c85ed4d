"""What must not leave this machine: local paths, names of people and machines, tokens.

`publishable_json` takes known paths out of the files that PEFT and transformers write; `Guard.fault` says what is
still private in a text, so that nothing with a fault is ever sent.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Keys under which PEFT and transformers keep the path or id that a model was loaded from.
ORIGIN_KEYS = ("base_model_name_or_path", "tokenizer_name_or_path", "name_or_path", "_name_or_path")
# Keys that say something about the machine or its caches and nothing about the adapter.
MACHINE_KEYS = ("local_files_only", "is_local", "cache_dir")

# A vocabulary holds millions of word pieces such as "/usr" or "alex": there, only long and certain finds count.
VOCABULARIES = ("tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json")

# Two parts at least, not within a URL, a word, a tag or a relative path.
ANY_PATH = re.compile(r"(?<![\w/.:<~\\-])~?/(?:[\w.+@ -]*[\w.+@-]/)+[\w.+@-]+|\b[A-Za-z]:\\\\?\w+\\|\bfile://")
HOME_PATH = re.compile(r"/(?:home|Users|root|workspace)/[\w.-]{2,}/|\\Users\\\\?\w{2,}\\")
# Accounts that every machine has: their names say nothing about a person.
COMMON_NAMES = {"root", "user", "ubuntu", "debian", "admin", "runner", "docker", "localhost", "nobody"}


def publishable_json(text: str, base_model: str) -> str:
    """A JSON file's text with origins replaced by the base model's Hub id and machine settings removed.

    A text without any stays as it is, to the byte. Raises ValueError where it is not JSON.
    """
    value = json.loads(text)
    cleaned = _clean(value, base_model)
    return text if cleaned == value else json.dumps(cleaned, indent=2, ensure_ascii=False) + "\n"


def _clean(value: Any, base_model: str) -> Any:
    if isinstance(value, list):
        return [_clean(item, base_model) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base_model if key in ORIGIN_KEYS and isinstance(item, str) else _clean(item, base_model)
        for key, item in value.items()
        if key not in MACHINE_KEYS
    }


class Guard:
    """Looks for private things in texts. Holds the compiled secret rules and this machine's own names."""

    def __init__(self, tokens: Sequence[str] = (), public: Sequence[str] = ()) -> None:
        """`tokens` are looked for as they are; `public` are ids (repository, base) that may hold a user's name."""
        from kingfisher_sdk import Scanner

        self._scanner = Scanner()
        self._tokens = [token for token in tokens if token]
        self._public = sorted(public, key=len, reverse=True)
        self._names = tuple(_names())
        self._folders = tuple({str(path) for path in (Path.home(), Path.cwd()) if len(path.parts) > 2})

    def fault(self, text: str, vocabulary: bool = False) -> str | None:
        """The first private thing in the text, as `line 3: a local path`, or None. Never quotes a secret."""
        for public in self._public:
            text = text.replace(public, "id")
        found = next(self._vocabulary_faults(text) if vocabulary else self._faults(text), None)
        if found is None:
            return None
        position, what = found
        return f"line {text.count(chr(10), 0, position) + 1}: {what}"

    def _vocabulary_faults(self, text: str) -> Iterator[tuple[int, str]]:
        yield from self._certain_faults(text)
        yield from ((m.start(), f"a local path ({m.group()})") for m in HOME_PATH.finditer(text))

    def _certain_faults(self, text: str) -> Iterator[tuple[int, str]]:
        yield from ((text.find(token), "a token") for token in self._tokens if token in text)
        yield from ((text.find(folder), f"a local path ({folder})") for folder in self._folders if folder in text)

    def _faults(self, text: str) -> Iterator[tuple[int, str]]:
        yield from self._certain_faults(text)
        for finding in self._scanner.scan(text):
            yield max(text.find(finding.secret), 0), f"a secret ({finding.rule_name})"
        yield from ((m.start(), f"a local path ({m.group()})") for m in ANY_PATH.finditer(text))
        for what, pattern in self._names:
            yield from ((m.start(), what) for m in pattern.finditer(text))


def _names() -> Iterator[tuple[str, re.Pattern[str]]]:
    """This machine's name anywhere as a word; the user's name where it stands for an account, not for a word."""
    host = socket.gethostname().split(".")[0]
    if len(host) > 3 and host.lower() not in COMMON_NAMES:
        yield f"the name of this machine ({host})", re.compile(rf"(?<![\w-]){re.escape(host)}(?![\w-])")
    user = os.environ.get("SUDO_USER") or getpass.getuser()
    if user.lower() not in COMMON_NAMES:
        name = re.escape(user)
        yield f"a user name ({user})", re.compile(rf'[/\\@]{name}\b|\b{name}@|"{name}"')
