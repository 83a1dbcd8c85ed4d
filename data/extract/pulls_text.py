"""What a change was for: the message of its commit, or its pull request, as somebody would ask for it."""

from __future__ import annotations

import re
from typing import NamedTuple

from data.extract.pulls_find import Pull

_MERGE = re.compile(
    r"Merge (?:pull request #(?P<number>\d+) from|(?:remote-tracking )?branch(?:es)? |tag |commit |[0-9a-f]{7,40}\b"
    r"|PR\b|!\d+)"
)
_NUMBER = re.compile(r"\s*\((?:[\w./-]*[#!])(?P<number>\d+)\)\s*$")
_REQUEST = re.compile(r"See merge request \S*!(?P<number>\d+)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
# Lines for machines and for the record, which say nothing of the task.
_NOISE = re.compile(
    r"(?:[\w-]+-by|cc|change-id|reviewed-on|bug|issues?|refs?|references|fix(?:es|ed)?|clos(?:es|ed?)|resolv(?:es|ed?)"
    r"|part of|related(?: to)?|see(?: also| merge request)?|link|pull request|pr|git-svn-id|piperorigin-revid"
    r"|claude-session)\b:?\s*(?:[\w./-]*[#!]\d+|https?://\S+|\S+@\S+|[\w.-]+ <[^>]*>|[A-Z]+-\d+|[,.]|\band\b|\s)+$"
    r"|(?:signed-off|co-authored|reviewed|acked|tested|reported|suggested|helped|approved|co-developed)-by:.*$"
    r"|change-id: .*$|\(cherry picked from commit .*\)$|git-svn-id: .*$"
    r"|\W*generated with .*$|[-*] \[[ xX]\] .*$|(?:[#!]\d+[,.\s]*)+$",
    re.IGNORECASE,
)
_TEST = re.compile(
    r"(?:^|/)(?:tests?|specs?|__tests__|testing|testdata|e2e)/|(?:^|/)(?:test_[^/]*|conftest\.py|[^/]*[._-](?:test|spec)s?\.\w+)$"
    r"|(?:^|/)[^/]*Tests?\.(?:java|kt|cs|scala|php|swift)$"
)
_BOT = re.compile(r"\[bot\]$|^(?:dependabot|renovate|greenkeeper|pre-commit-ci|snyk|github-actions)\b", re.IGNORECASE)
_REVERTS = re.compile(r"This reverts (?:commit |merge )?(?P<sha>[0-9a-f]{7,64})")


class Message(NamedTuple):
    """A commit message: its task as text without what is only for the record, and the number of its pull request."""

    task: str
    number: int
    merge: bool


def read_message(message: str) -> Message:
    """What a message asks for; nothing where a merge says no more than that it is one."""
    subject, _, body = message.strip().partition("\n")
    merged = _MERGE.match(subject)
    found = merged if merged and merged["number"] else _NUMBER.search(subject) or _REQUEST.search(body)
    number = int(found["number"]) if found else 0
    if merged:
        subject, _, body = body.strip().partition("\n")
    return Message(_task(subject, body), number, bool(merged))


def task_of_pull(pull: Pull) -> str:
    """What a pull request asks for."""
    return _task(pull.title, pull.body or "")


def _task(title: str, body: str) -> str:
    title = _NUMBER.sub("", title.strip())
    lines = [line.rstrip() for line in _COMMENT.sub("", body.replace("\r\n", "\n")).split("\n")]
    kept = "\n".join(line for line in lines if not _NOISE.match(line.strip()))
    told = re.sub(r"\n{3,}", "\n\n", kept).strip()
    if _NOISE.match(title):
        title = ""
    return "\n\n".join(filter(None, (title, told)))


def reverted_by(message: str) -> list[str]:
    """The ids of the commits that a message says it takes back."""
    return [match["sha"] for match in _REVERTS.finditer(message)]


def is_revert(message: str) -> bool:
    return message.startswith('Revert "') or bool(_REVERTS.search(message))


def is_bot(author: str) -> bool:
    return bool(_BOT.search(author.strip()))


def is_test(path: str) -> bool:
    """Whether a file is a test, or stands among them, by the usual names."""
    return bool(_TEST.search(path))
