"""Which matches of the second scan count: its patterns see characters, the judges here see what they mean.

A judge gets a match and the value in it. They are as strict as the redactor's or stricter, since what the redactor
rightly leaves alone must not stop a build. Measured on 60 MB of code and documents after redaction: no finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from string import ascii_uppercase, digits
from typing import TypeAlias

from data.transform.redact_judge import is_code

Judge: TypeAlias = Callable[[re.Match[str], str], bool]

_KEY_BODY = re.compile(r"(?=[^\n]{0,60}[0-9])(?=[^\n]{0,60}[a-z])(?=[^\n]{0,60}[A-Z])[A-Za-z0-9+/=]{32}")
_KEY_WITHIN = 400  # characters from a header to the first line of its key; PuTTY writes five lines between
_PIECES = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[_./-]+")
_WORD = re.compile(r"\w+")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_SERIES = (2 * (digits + ascii_uppercase), 2 * (ascii_uppercase + digits), 2 * digits, 2 * (digits + "ABCDEF"))
_VALUE = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9+=_.!@#$%^&*~?-]{8,500}")
# What ends like this says where a secret is or how long, not what it is.
_ABOUT = ("name", "names", "id", "ids", "env", "file", "path", "url", "uri", "type", "ref", "version", "field")


def always(match: re.Match[str], value: str) -> bool:
    return True


def _is_no_name(match: re.Match[str], value: str) -> bool:
    return not is_name(value)


def _is_mixed(match: re.Match[str], value: str) -> bool:
    """Digits and both cases, as hardly any name has."""
    return all(re.search(kind, value) for kind in ("[0-9]", "[A-Z]", "[a-z]")) and not is_name(value)


def is_name(value: str, least: int = 2) -> bool:
    """A name in code, such as `TestServer_AcceptsLateResults`: words of three letters or more, on average.

    Humps and separators divide words, at `least` so often. Random letters change their case or kind every second one;
    where they do not, they are capitals, which are no word among small letters.
    """
    pieces = _PIECES.findall(value)
    longest = 80 if value.isupper() else 2
    words = [min(len(piece), longest if piece.isupper() else 80) for piece in pieces if piece.isalpha()]
    divided = sum(not piece.isalnum() or piece[0].isupper() for piece in pieces[1:])
    return "".join(pieces) == value and divided >= least and sum(words) >= 3 * len(words)


def _is_password_in_url(match: re.Match[str], value: str) -> bool:
    """Documentation writes `user:password@host`; what has a digit or both cases is no such word."""
    return len(value) >= 3 and bool(re.search("[0-9]", value) or not (value.isupper() or value.islower()))


def _is_token(match: re.Match[str], value: str) -> bool:
    from detect_secrets.plugins.jwt import JwtTokenDetector

    return JwtTokenDetector.is_formally_valid(value)


def _has_key(match: re.Match[str], value: str) -> bool:
    """Code, and what is left after redaction, has the header alone."""
    body, _, _ = match.string[match.end() : match.end() + _KEY_WITHIN].partition("-----END")
    return bool(_KEY_BODY.search(body))


def _ends_here(match: re.Match[str], value: str) -> bool:
    """A time and a commit hash (`1700000000:9c1f...`) begin like a token and go on."""
    return not re.match(r"[\w-]", match.string[match.end() :][:1])


def is_assigned_secret(match: re.Match[str], value: str) -> bool:
    """A value of digits and letters that is no name, no path, no pattern and no expression."""
    key = _WORD.match(match[0])
    if (key and key[0].lower().endswith(_ABOUT)) or not _VALUE.fullmatch(value):
        return False  # a value of letters alone is a type, a name or a word in nearly all code
    doubts = (value.startswith("$"), is_name(value, least=1), _UUID.search(value), _is_series(value))
    return not (any(doubts) or is_code(value.encode("utf-8", "replace")))


def _is_series(value: str) -> bool:
    """`abcdefgh12345678`, as the scanner's own heuristic sees it: a piece of the alphabet or of the digits."""
    return any(value.upper() in series for series in _SERIES)


JUDGES: dict[str, Judge] = {
    "Artifactory Credentials": _is_mixed,
    "Basic Auth Credentials": _is_password_in_url,
    "Cloudant Credentials": _is_no_name,
    "Discord Bot Token": _is_mixed,
    "IBM Cloud IAM Key": _is_mixed,
    "JSON Web Token": _is_token,
    "Private Key": _has_key,
    "Telegram Bot Token": _ends_here,
}
