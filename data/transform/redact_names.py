"""Whose names these are: learned from home folders and commits, replaced wherever they occur.

A name from the session's own folder, from a home path with something in it, or from a commit is certain and
is replaced as a word everywhere. A name that is also a word ("mark", "dip"), or that stands only in something
like a home path (`/home/settings` is a web route), is replaced in paths, branches and addresses only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from data.transform import redact_judge as judge
from data.transform.redact_find import OWN, Finding
from data.transform.redact_marks import PSEUDONYM, pseudonym, swap

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
    """Marks by name as it may be written: replaced in home paths, before a branch's slash, or everywhere."""

    in_homes: dict[bytes, bytes] = {}
    in_branches: dict[bytes, bytes] = {}
    everywhere: dict[bytes, bytes] = {}

    def replace(self, text: bytes) -> tuple[bytes, int]:
        """The text without the names, and how many places changed."""
        text, homes = _swap_after(text, _BEFORE_NAME, self.in_homes, b"(?![A-Za-z0-9])")
        text, branches = _swap_after(text, _BEFORE_BRANCH, self.in_branches, b"(?=[/@][A-Za-z0-9])")
        text, words = swap(text, self.everywhere, words=True)
        return text, homes + branches + words


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
            with path.open("rb") as file:
                found = _CWD.search(file.read(_OPENING))
            people.update(names_in_path(json.loads(found[1])) if found else ())
        except (OSError, ValueError):
            continue
    return frozenset(people)


def learn(text: bytes, findings: Iterable[Finding], known: Iterable[str], always: Iterable[str]) -> Names:
    """Everybody whom a conversation names. `known` are user names from outside, `always` names of the config."""
    certain = {name.lower() for name in known if _is_person(name)}
    possible: set[str] = set()
    for finding in findings:
        name = text[finding.start : finding.end].rstrip(b".-").decode("utf-8", "replace")
        if finding.encoded or not _is_person(name):
            continue
        level = _how_sure(text, finding)
        (certain if level == 2 else possible if level == 1 else set()).add(name.lower())
    named = {name.lower() for name in always}
    words = {name for name in certain if len(name) < 4 or name in _ALSO_WORDS} - named
    marks = {name: pseudonym("user", name.encode()) for name in certain | possible}
    marks |= {name: pseudonym("name", name.encode()) for name in named}
    return Names(
        in_homes=_spelled(marks, marks if possible - certain or words else ()),  # all of them: the longest wins
        in_branches=_spelled(marks, words),
        everywhere=_spelled(marks, (certain - words) | named),
    )


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


def _spelled(marks: Mapping[str, bytes], names: Iterable[str]) -> dict[bytes, bytes]:
    """Each name as it may be written: lower, Capitalised, UPPER, and as in an encoded folder."""
    spelled = {}
    for name in sorted(names):
        for form in (name, name.title(), name.capitalize(), name.upper()):
            spelled[form.encode("utf-8", "replace")] = marks[name]
            spelled[re.sub(r"[^A-Za-z0-9]", "-", form).encode("utf-8", "replace")] = marks[name]
    return spelled


def _swap_after(
    text: bytes, before: re.Pattern[bytes], marks: Mapping[bytes, bytes], after: bytes
) -> tuple[bytes, int]:
    """Replace the names that stand behind `before`. Searching for names first is ten times as fast."""
    present = [name for name in marks if name in text]
    if not present:
        return text, 0
    longest_first = sorted(present, key=lambda name: (-len(name), name))
    pattern = re.compile(b"(?:" + b"|".join(map(re.escape, longest_first)) + b")" + after)
    count = 0

    def replacement(match: re.Match[bytes]) -> bytes:
        nonlocal count
        if not before.search(text[max(match.start() - _REACH, 0) : match.start()]):
            return match[0]
        count += 1
        return marks[match[0]]

    return pattern.sub(replacement, text), count
