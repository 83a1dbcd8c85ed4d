"""The user's own secrets: a file of literals, and the values of env files that the config names."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from data.config import ConfigError, RedactConfig
from data.transform.redact_judge import is_placeholder, is_strong
from data.transform.redact_marks import secret_mark

MIN_LITERAL = 4  # shorter values stand in too many ordinary words
_SECRET_KEY = ("KEY", "TOKEN", "SECRET", "PASS", "PWD", "AUTH", "CRED", "DSN", "PRIVATE")


def load_literals(config: RedactConfig) -> dict[bytes, bytes]:
    """Marks by secret, in every form in which it may stand: raw, in JSON, in a URL, in base64.

    Raises ConfigError, one sentence for each file that cannot be read.
    """
    problems: list[str] = []
    values: set[str] = set()
    if config.literals:
        lines = _lines(config.literals, "redact.literals", problems)
        values.update(line for line in lines if len(line) >= MIN_LITERAL)
    for index, path in enumerate(config.env_files):
        values.update(_env_values(_lines(path, f"redact.env_files[{index}]", problems)))
    if problems:
        raise ConfigError("\n".join(problems))
    return {form: secret_mark("literal", value.encode()) for value in sorted(values) for form in _forms(value)}


def _lines(path: str, key: str, problems: list[str]) -> list[str]:
    try:
        return [line.strip() for line in Path(path).expanduser().read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        problems.append(f"{key}: {path} cannot be read ({reason}). Correct the path, or remove the key.")
        return []


def _env_values(lines: list[str]) -> Iterator[str]:
    """Values under a key that sounds secret, and any that look it: `NODE_ENV=production` is not one."""
    for line in lines:
        key, equals, value = line.removeprefix("export ").partition("=")
        value = value.strip().strip("\"'")
        if not equals or line.startswith("#") or len(value) < MIN_LITERAL or is_placeholder(value.encode()):
            continue
        if any(word in key.upper() for word in _SECRET_KEY) or is_strong(value.encode()):
            yield value


def _forms(value: str) -> set[bytes]:
    raw = value.encode()
    escaped = json.dumps(value, ensure_ascii=False)[1:-1].encode()
    return {raw, escaped, quote(value, safe="").encode(), b64encode(raw).rstrip(b"=")}
