"""Whose names these are: learned from home folders and commits, replaced wherever they occur.

A name from the session's own folder, from a home path with something in it, or from a commit is certain and
is replaced as a word everywhere. A name that is also a word ("mark", "dip"), or that stands only in something
like a home path (`/home/settings` is a web route), is replaced in paths, branches and addresses only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import msgspec

from data.files import open_regular
from data.transform import redact_judge as judge
from data.transform.redact_find import OWN, Finding
from data.transform.redact_marks import PSEUDONYM, outside_marks, places, pseudonym, put, touches_a_word

_HOME = re.compile(r"(?:/Users/|/home/|[A-Za-z]:[\\/]{1,4}Users[\\/]{1,4})([A-Za-z0-9_][A-Za-z0-9._-]*)")
_CWD = re.compile(rb'"cwd":\s?("(?:[^"\\]|\\.)*")')
_OPENING = 1 << 16  # the working folder stands in the first records
_CHILD = re.compile(rb"[\\/]{1,4}[^\s\\/]")
_HOME_CHILD = re.compile(
    rb"/(?:\.[a-z]|(?:Desktop|Documents|Downloads|Library|bin|code|dev|git|go|gt|projects?|repos?|src|wks|work(?:space)?s?)(?![\w-]))"
)
_BEFORE_HOME = re.compile(rb"(?:^|[^A-Za-z0-9._/-]|/(?:var|usr|export|mnt|data|host|c))/\Z")

_ROUTE = re.compile(rb"['\"`]/home/\Z")  # a path that ends there in quotes is a web route more often than a home
_BEFORE_NAME = re.compile(
    rb"(?:/Users/|/home/|[A-Za-z]:[\\/]{1,4}Users[\\/]{1,4}|-(?:Users|home)-|[-d][rwxsStT-]{9}[@+.]? +[0-9]+ "
    rb"|(?:Author|Commit|Committer|Tagger|-[Bb]y):[ \t]+)\Z"
)
_BEFORE_BRANCH = re.compile(rb"(?:^|[^A-Za-z0-9._/-]|origin/|heads/)\Z")
_AFTER_NAME = re.compile(rb"(?![A-Za-z0-9])")
_AFTER_BRANCH = re.compile(rb"(?=[/@][A-Za-z0-9])")
_REACH = 32  # bytes before a name that tell


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Accounts that belong to no person, what documentation writes in their place, and the agents' own roles.
SYSTEM = _words(
    "actions admin administrator agent airflow alpine all anthropic app appuser appveyor azureuser bitnami bot build"
    " builder centos ci circleci claude cloud coder codespace computeruse containeradministrator data daemon db debian"
    " default demo deploy deployer dev developer docker ec2-user example fedora foo bar baz git github gitlab-runner"
    " gitpod guest hadoop home host jenkins jovyan linuxbrew local me mysql name nginx nix nobody node nonroot oem opc"
    " opam postgres public redacted redis root rstudio runner runneradmin sandbox scratch secret server service shared"
    " site someone someuser staff steam system temp test tester testuser tmp tools travis ubuntu user username users"
    " vagrant vscode vsts web worker workspace www www-data you youruser yourname your-username your-name"
    " mayor deacon boot dog witness refinery polecat crew"
)
# Names that are also words of prose or code.
_ALSO_WORDS = _words(
    "angel april art august bill buck chase chip christian cliff dale dash dawn dean drew eden faith flint frank gene"
    " grace grant guy harmony heath holly hope hunter iris ivy jack jade jasmine jean joy june just king lane lily mark"
    " mason matt max may miles mike nick norm olive page parker pat paris pearl penny pierce prince ray reed rich rob"
    " robin rocky rod rose ruby rust sandy scout sky star stone summer sunny terry victor violet wade ward will winter"
    " wolf woody main master head branch origin feature fix release core data code repo cli api web hub lab box"
)


class Names(msgspec.Struct, frozen=True):
    """Marks by name in lower case, and the names that count in home paths, before a branch's slash, or everywhere."""

    marks: dict[bytes, bytes] = {}
    in_homes: frozenset[bytes] = frozenset()
    in_branches: frozenset[bytes] = frozenset()
    everywhere: frozenset[bytes] = frozenset()

    def replace(self, text: bytes) -> tuple[bytes, int]:
        """The text without the names, and how many places changed."""
        lowered = text.lower()
        found: dict[int, bytes] = {}
        for name in self.marks:
            for at in places(lowered, name):
                if len(name) > len(found.get(at, b"")) and self._counts(text, name, at):
                    found[at] = name
        return put(text, outside_marks(text, found), self.marks)

    def _counts(self, text: bytes, name: bytes, at: int) -> bool:
        """Whether a name means its bearer in this place."""
        end = at + len(name)
        if name in self.everywhere and not touches_a_word(text, at, end):
            return True
        before = text[max(at - _REACH, 0) : at]
        if name in self.in_homes and _AFTER_NAME.match(text, end) and _BEFORE_NAME.search(before):
            return True
        return name in self.in_branches and bool(_AFTER_BRANCH.match(text, end) and _BEFORE_BRANCH.search(before))


def names_in_path(path: str) -> frozenset[str]:
    """The people whose home folders a path names; for a pipeline that knows all its folders beforehand."""
    return frozenset(name for match in _HOME.finditer(path) if _is_person(name := match[1].rstrip(".-")))


def people_of(transcripts: Iterable[Path]) -> frozenset[str]:
    """Everybody in whose home folder one of the transcripts was recorded. What cannot be read is left to its reader.

    A pipeline gives them to every conversation, since people name each other: in branches, above all.
    """
    people: set[str] = set()
    for path in transcripts:
        try:
            with open_regular(path) as file:
                found = _CWD.search(file.read(_OPENING))
            people.update(names_in_path(json.loads(found[1])) if found else ())
        except (OSError, ValueError):
            continue
    return frozenset(people)


def learn(text: bytes, findings: Iterable[Finding], known: Iterable[str], always: Iterable[str]) -> Names:
    """Everybody whom a conversation names. `known` are user names from outside, `always` names of the config."""
    certain = {name.lower() for name in known if _is_person(name)}
    possible: set[str] = set()
    met: set[str] = set()
    for finding in findings:
        name = _name_at(text[finding.start : finding.end])
        if not name or finding.encoded:
            continue
        met.add(name)
        if name not in certain:
            level = _how_sure(text, finding)
            (certain if level == 2 else possible if level == 1 else set()).add(name)
    named = {name.lower() for name in always}
    if absent := (certain - met) | named:
        lowered = text.lower()
        gone = {name for name in absent if not _stands_in(lowered, name)}
        certain, named = certain - gone, named - gone
    words = {name for name in certain if len(name) < 4 or name in _ALSO_WORDS} - named
    marks = {name: pseudonym("user", name.encode()) for name in certain | possible}
    marks |= {name: pseudonym("name", name.encode()) for name in named}
    return Names(
        marks={key: mark for name, mark in marks.items() for key in _keys(name)},
        in_homes=_all_keys(marks if possible - certain or words else ()),  # all of them: the longest wins
        in_branches=_all_keys(words),
        everywhere=_all_keys((certain - words) | named),
    )


@lru_cache(maxsize=1024)
def _name_at(raw: bytes) -> str:
    """A found name in lower case; empty where it is nobody's. The same few are found thousands of times."""
    name = raw.rstrip(b".-").decode("utf-8", "replace")
    return name.lower() if _is_person(name) else ""


def _stands_in(lowered: bytes, name: str) -> bool:
    """Whether a name occurs at all, as it is or as in an encoded folder; most colleagues do not in most sessions."""
    raw = name.encode("utf-8", "replace")
    if not raw.isascii():  # bytes know no other capitals
        return True
    return raw in lowered or (not raw.isalnum() and _encoded(raw) in lowered)


def _is_person(name: str) -> bool:
    return (
        len(name) > 1
        and not name.isdigit()
        and not name.endswith("[bot]")
        and name.lower() not in SYSTEM
        and not PSEUDONYM.search(name.encode("utf-8", "replace"))
    )


def _how_sure(text: bytes, finding: Finding) -> int:
    """2: a person's name; 1: perhaps, so only in context; 0: no name at all."""
    before, after = text[max(finding.start - 24, 0) : finding.start], text[finding.end : finding.end + 80]
    match finding.rule.removeprefix(OWN):
        case "home" if b"Users" in before:
            return 2 if _CHILD.match(after) else 1
        case "home" if _HOME_CHILD.match(after):
            return 2
        case "home" if _BEFORE_HOME.search(before.removesuffix(b"home/")):
            return 0 if _ROUTE.search(before) and not after.startswith(b"/") else 1
        case "encoded":
            return 1
        case "account":
            return 2
        case "author":
            address = re.match(rb" <([^<>\s]+)>?", after)
            return 0 if address and judge.is_nobodys_address(address[1]) else 2
    return 0


def _all_keys(names: Iterable[str]) -> frozenset[bytes]:
    return frozenset(key for name in names for key in _keys(name))


def _keys(name: str) -> set[bytes]:
    """What to look for in a text whose ASCII letters are lower: the name, and as it stands in an encoded folder."""
    forms = {form.encode("utf-8", "replace").lower() for form in (name, name.title(), name.upper())}
    return forms | {_encoded(form) for form in forms if form.isascii()}


def _encoded(name: bytes) -> bytes:
    """A name as it stands in the name of a project folder."""
    return re.sub(rb"[^A-Za-z0-9]", b"-", name)
