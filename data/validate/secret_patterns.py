"""The patterns of detect-secrets, for the second look for secrets.

Loading its plugins takes 0.3 s to 2 s, because each of them brings an HTTP client to ask a vendor whether a secret is
alive. Only the patterns are used, so they are remembered in the user's cache folder, by the scanner's version.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from data.files import write_atomically

SCANNER = "detect-secrets"
KEYWORD = "Secret Keyword"
# Entropy alone is no sign in code (14,192 findings in 2 MB of rows: commit hashes, names); addresses are no secrets,
# and version numbers look like them.
LEFT_OUT = ("Base64 High Entropy String", "Hex High Entropy String", "Public IP (ipv4)", KEYWORD)
_PREFIX_GROUPS = ("GitHub Token", "GitLab Token")  # their first group is `ghp`, not the token


class Source(msgspec.Struct, frozen=True):
    """One pattern as the scanner has it. `group` is its group with the value, `by_line` that it may not see across
    lines."""

    kind: str
    pattern: str
    flags: int
    group: int
    by_line: bool = False

    def compile(self) -> re.Pattern[str]:
        return re.compile(self.pattern, self.flags)


def sources() -> tuple[Source, ...]:
    """The scanner's patterns, by kind: remembered ones, else its own."""
    remembered = _cache_folder() / f"{SCANNER}-{version(SCANNER)}.json"
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(remembered.read_bytes(), type=tuple[Source, ...])
    loaded = tuple(load_sources())
    with suppress(OSError):
        write_atomically(remembered, msgspec.json.encode(loaded))
    return loaded


def load_sources() -> Iterator[Source]:
    """The patterns from the scanner itself."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.plugins.keyword import QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP

    plugins: dict[str, Any] = get_mapping_from_secret_type_to_class()
    for kind, plugin in sorted(plugins.items()):
        if kind not in LEFT_OUT:
            for regex in plugin.denylist:
                group = 1 if regex.groups and kind not in _PREFIX_GROUPS else 0
                yield Source(kind, regex.pattern, regex.flags, group)
    for regex, group in QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP.items():
        yield Source(KEYWORD, regex.pattern, regex.flags, group, by_line=True)


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lora-forge"
