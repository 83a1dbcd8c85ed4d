"""Finds secrets and personal data in one pass of the scanner over many texts, and says what to replace.

The patterns are the scanner's own 488 rules and `redact_rules.yml`; redact_judge.py has the last word on every
match. `find` costs about 10 ms a megabyte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from data.transform import redact_judge as judge
from data.transform.redact_marks import SECRET_MARK, email_mark, ip_mark, pseudonym, secret_mark

if TYPE_CHECKING:
    from kingfisher_sdk import Scanner

RULES = Path(__file__).with_name("redact_rules.yml")
OWN = "lora-forge."
SEPARATOR = b"\n\x02\x02\n"  # between texts: no rule of ours matches across it

# A key may be whole, or cut at its end or its beginning, with line numbers and escaped newlines in it. The
# possessive quantifiers keep the search linear.
_GAP = rb"(?:\s|\\[nr]|[0-9]++\xe2\x86\x92)"
_LINES = rb"(?:" + _GAP + rb"*+[A-Za-z0-9+/=]{24,}+)++(?:" + _GAP + rb"++[A-Za-z0-9+/]++={1,2})?+"
_EDGE = rb" [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_WHOLE_KEYS = (
    re.compile(rb"-----BEGIN" + _EDGE + rb"((?:(?!-----)[^\x02]){24,20000})-----END" + _EDGE),
    re.compile(rb"-----BEGIN" + _EDGE + rb"(" + _LINES + rb")"),
)
_KEY_END = re.compile(rb"-----END" + _EDGE)
_BEFORE_KEY_END = re.compile(rb"(?<![A-Za-z0-9+/=])" + _LINES + _GAP + rb"*+\Z")
_LONGEST_KEY = 8_000  # bytes; a 4096-bit RSA key has 3,200
_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/=]{24,}")

# Matched from their rarest character on; a scanner rule for these costs twenty times as much.
_NAME = rb"([A-Za-z0-9_][A-Za-z0-9._-]{0,63})"
_HOMES = (
    ("home", re.compile(rb"/(?:Users|home)/" + _NAME)),
    ("home", re.compile(rb":[\\/]{1,4}Users[\\/]{1,4}" + _NAME)),
    ("encoded", re.compile(rb"-(?:Users|home)-([A-Za-z0-9]{1,64})")),
)
_AT_DOMAIN = re.compile(rb"@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")
_LOCAL_PART = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9._%+-]{0,63}\Z")


class Finding(msgspec.Struct, frozen=True, order=True):
    """A match, offsets in bytes. `rule` is the scanner's id; `encoded` says it was found inside base64."""

    start: int
    end: int
    rule: str
    encoded: bool = False


class Edit(msgspec.Struct, frozen=True):
    """Bytes to replace, by what."""

    start: int
    end: int
    kind: str
    mark: bytes
    secret: bool = False


@cache
def scanner() -> Scanner:
    """The compiled rules of this process: 0.4 s from the scanner's own cache, about 4 s the first time."""
    from kingfisher_sdk import Rules, Scanner

    return Scanner(Rules([RULES]))


def find(text: bytes) -> list[Finding]:
    """Everything the rules match, in order of place. Home folders are apart: they only teach names."""
    found = []
    for match in scanner().scan(text):
        place = match.location
        found.append(Finding(place["start_offset"], place["end_offset"], match.rule_id, match.is_base64_encoded))
    return sorted({*found, *_addresses(text)})


def edits(text: bytes, findings: list[Finding]) -> list[Edit]:
    """What to replace, in order of place and without overlaps. A secret wins over personal data inside it."""
    secrets = [edit for finding in findings if (edit := _secret(text, finding))]
    secrets.extend(_private_keys(text))
    people = [edit for finding in findings if (edit := _person(text, finding))]
    pieces = [piece for edit in secrets for piece in _within_one_text(text, edit)]
    return _disjoint(text, sorted([*pieces, *people], key=lambda edit: (edit.start, -edit.end, edit.mark)))


def apply(text: bytes, changes: list[Edit]) -> bytes:
    """The text with the edits made."""
    parts, done = [], 0
    for edit in changes:
        parts += [text[done : edit.start], edit.mark]
        done = edit.end
    return b"".join([*parts, text[done:]])


def homes(text: bytes) -> Iterator[Finding]:
    """The names in home folders, there are thousands in a session."""
    for rule, pattern in _HOMES:
        for match in pattern.finditer(text):
            yield Finding(match.start(1), match.end(1), OWN + rule)


def _addresses(text: bytes) -> Iterator[Finding]:
    for match in _AT_DOMAIN.finditer(text):
        begin = max(match.start() - 64, 0)
        if local := _LOCAL_PART.search(text[begin : match.start()]):
            yield Finding(begin + local.start(), match.end(), OWN + "email")


def _secret(text: bytes, finding: Finding) -> Edit | None:
    value = text[finding.start : finding.end]
    own = finding.rule.removeprefix(OWN) if finding.rule.startswith(OWN) else ""
    if finding.encoded:
        return _mark(finding.start, value, "encoded")
    if own and own not in judge.SECRETS:
        return None
    value = value.rstrip(b",.;:") if own else value
    if _is_marked(text, finding) or judge.is_placeholder(value):
        return None
    if not own and not _is_secret(finding.rule, value):
        return None
    if own and not judge.SECRETS[own](value, text[max(finding.start - 24, 0) : finding.start], text[finding.end :][:1]):
        return None
    return _mark(finding.start, value, _kind(finding.rule, own))


def _is_secret(rule: str, value: bytes) -> bool:
    """The last word on a built-in rule's match."""
    if judge.is_identifier(value) or not judge.is_for_secrets(rule):
        return False
    return not value.startswith(b"-----BEGIN") or _is_key(value)


def _is_marked(text: bytes, finding: Finding) -> bool:
    """Whether the match holds a mark, or begins inside one (`SECRET:` looks like an assignment)."""
    begin = text.rfind(b"[SECRET:", max(finding.start - 80, 0), finding.start)
    around = SECRET_MARK.match(text, begin) if begin >= 0 else None
    inside = around is not None and around.end() > finding.start
    return inside or bool(SECRET_MARK.search(text, finding.start, finding.end))


def _mark(start: int, value: bytes, kind: str) -> Edit:
    return Edit(start, start + len(value), kind, secret_mark(kind, value), secret=True)


def _kind(rule: str, own: str) -> str:
    """The rule's name, or `credential` where only the context tells: one value has one mark in every context."""
    if own:
        return own if own in judge.BY_SHAPE else "credential"
    if rule.endswith(("credential-uri", "password")):
        return "credential"
    name = rule.partition("/")[2] or rule.partition(".")[2] or rule
    return re.sub(r"[^a-z0-9.-]", "-", name.lower())


def _person(text: bytes, finding: Finding) -> Edit | None:
    """E-mails, addresses and hosts. Names need the whole conversation and are left to redact_names.py."""
    start, end = finding.start, finding.end
    value, before, after = text[start:end], text[max(start - 2, 0) : start], text[end : end + 2]
    match finding.rule.removeprefix(OWN):
        case "email" if judge.is_address(value, after):
            return Edit(start, end, "email", email_mark(value))
        case "ip" if judge.is_public_ip(value, before, after):
            return Edit(start, end, "ip", ip_mark(value))
        case "host" if not finding.encoded:
            return Edit(start, end, "host", pseudonym("host", value))
    return None


def _private_keys(text: bytes) -> Iterator[Edit]:
    if b"PRIVATE KEY" not in text:
        return
    for pattern in _WHOLE_KEYS:
        for match in pattern.finditer(text):
            if _is_key(match[1]):
                yield _mark(match.start(1), match[1], "private-key")
    for end in _KEY_END.finditer(text):
        begin = max(end.start() - _LONGEST_KEY, 0)
        if body := _BEFORE_KEY_END.search(text[begin : end.start()]):
            yield _mark(begin + body.start(), body[0], "private-key")


def _is_key(body: bytes) -> bool:
    """Mostly lines of base64, not code between two headers."""
    return 2 * sum(map(len, _BASE64_RUN.findall(body))) > len(body)


def _within_one_text(text: bytes, edit: Edit) -> Iterator[Edit]:
    """A built-in rule may match across the separator; each text then loses its own part, no more."""
    start = edit.start
    for piece in text[edit.start : edit.end].split(SEPARATOR):
        value = piece.strip()
        if value:
            yield _mark(start + len(piece) - len(piece.lstrip()), value, edit.kind)
        start += len(piece) + len(SEPARATOR)


def _disjoint(text: bytes, ordered: list[Edit]) -> list[Edit]:
    kept: list[Edit] = []
    for edit in ordered:
        if not kept or edit.start >= kept[-1].end:
            kept.append(edit)
        elif edit.secret:
            kept[-1] = _union(text, kept[-1], edit) if kept[-1].secret else edit
    return kept


def _union(text: bytes, first: Edit, second: Edit) -> Edit:
    kind = second.kind if first.kind == "credential" else first.kind
    return _mark(first.start, text[first.start : max(first.end, second.end)], kind)
