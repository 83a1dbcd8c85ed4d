"""The day of a note: from its front matter, else from its name, else from its path.

`day_of(front, path)` gives it as `2024-03-01`, or nothing. The time of the file itself says when it was copied last,
so it is no source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import PurePath
from typing import Any

KEYS = ("date", "created", "day", "date created", "created_at", "creation date")

_YEAR = r"(?P<y>(?:19|20)\d\d)"
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?<!\d){_YEAR}([-_./ ])(?P<m>\d{{1,2}})\2(?P<d>\d{{1,2}})(?!\d)",
        rf"(?<!\d){_YEAR}(?P<m>\d\d)(?P<d>\d\d)(?:\d{{4}}|\d{{6}})?(?!\d)",  # a Zettelkasten's has hours and minutes
        rf"(?<![a-z]){_MONTH}[ _-]+{_DAY},?[ _-]+{_YEAR}(?!\d)",
        rf"(?<!\d){_DAY}[ _-]+{_MONTH},?[ _-]+{_YEAR}(?!\d)",
        rf"(?<!\d){_YEAR}[ _-]+{_MONTH}[ _-]+{_DAY}(?!\d)",
        rf"(?<!\d){_YEAR}-?W(?P<w>\d\d)(?!\d)",
    )
)
_IN_PATH = re.compile(rf"(?:^|/){_YEAR}/(?P<m>\d\d)[^/]*/(?P<d>\d\d)(?:\D[^/]*)?$")


def day_of(front: Mapping[str, Any], path: PurePath) -> str:
    """The day of a note as ISO 8601, or '' where nothing says it. `path` is relative to the vault."""
    lowered = {str(key).lower(): value for key, value in front.items()}
    said = (day_in(str(lowered[key])) for key in KEYS if lowered.get(key))
    in_path = _IN_PATH.search(path.with_suffix("").as_posix())
    return next(filter(None, said), "") or day_in(path.stem) or (_day(in_path) if in_path else "")


def day_in(text: str) -> str:
    """The first day that a text names in one of the usual forms, or ''."""
    if not any(character.isdigit() for character in text):
        return ""
    found = (_day(match) for form in _FORMS for match in form.finditer(text[:200]))
    return next(filter(None, found), "")


def without_day(text: str) -> str:
    """A text without the days in it: what a title says beside them."""
    for form in _FORMS:
        text = form.sub(" ", text)
    return " ".join(text.split()).strip(" -_.,:()")


def spoken(day: str) -> str:
    """A day as people say it: 1 March 2024."""
    when = date.fromisoformat(day)
    return f"{when.day} {when:%B} {when.year}"


def _day(match: re.Match[str]) -> str:
    part = match.groupdict()
    try:
        if "w" in part:
            return date.fromisocalendar(int(part["y"]), int(part["w"]), 1).isoformat()
        month = _MONTHS.index(part["name"][:3].lower()) + 1 if "name" in part else int(part["m"])
        return date(int(part["y"]), month, int(part["d"])).isoformat()
    except ValueError:  # the 31st of June is no day
        return ""
