"""The notes of the sample vault, one function for each kind; most of them hold no reflection, as in real vaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from random import Random
from typing import Final

from data.sample.vault_words import PEOPLE, SUBJECTS, plain, say

FIRST_DAY: Final = date(2021, 1, 1)
TAGS: Final = ("decision", "learning", "insight", "analysis", "reflection")
NESTED: Final[Mapping[str, str]] = {
    "decision": "decision/home",
    "learning": "learning/work",
    "reflection": "reflection/year",
}

Made = tuple[str, str]
"""A path in the vault, and the text of the note there."""


def daily(rng: Random, number: int) -> Made:
    """A daily note as a template lays it out; every third evening says something."""
    day = FIRST_DAY + timedelta(days=number)
    before, after = day - timedelta(days=1), day + timedelta(days=1)
    head = (
        f"---\ntags: [daily]\ncreated: {day}\n---\n<< [[{before}]] | [[{after}]] >>\n\nmood:: {rng.randint(3, 9)}\n\n"
        "| habit | done |\n|---|---|\n"
        f"| run | {rng.choice('✅❌')} |\n| read | {rng.choice('✅❌')} |\n\n"
        "How did I take care of myself today?\n\n"
    )
    tasks = "".join(f"- [{rng.choice(' x')}] {plain(rng)}\n" for _ in range(rng.randint(2, 5)))
    log = "".join(f"- {plain(rng)}\n" for _ in range(rng.randint(1, 4)))
    evening = ""
    if rng.random() < 1 / 3:
        evening = say(rng, "reflection", rng.choice(SUBJECTS), rng.randint(2, 4)) + "\n"
    text = f"{head}## Tasks\n{tasks}\n## Log\n{log}\n## Evening reflection\n{evening}"
    return f"Daily/{day.year}/{day}.md", text


def tagged(rng: Random, number: int) -> Made:
    """A note about one subject with a tag that says what it is, in one of the places where tags stand."""
    kind, subject, day = rng.choice(TAGS), rng.choice(SUBJECTS), _day(rng)
    tag = NESTED.get(kind, kind) if rng.random() < 0.4 else kind
    title = f"{subject.removeprefix('the ').capitalize()} {number}"
    body = "\n\n".join(say(rng, kind, subject, rng.randint(2, 3)) for _ in range(rng.randint(1, 2)))
    person = rng.choice(PEOPLE)
    quoted = body.replace("\n\n", "\n> ")
    text = rng.choice(
        (
            f"---\ndate: {day}\ntags:\n  - {tag}\n  - home\n---\n# {title}\n{body}\n\nSee also [[{person}]]\n",
            f"---\ntags: {tag}, home\ndate: {day:%d %B %Y}\n---\n{body}\n",
            f"#{tag}\n\n{body} I said so to [[People/{person}|{person}]], too.\n",
            f"# {title}\n{plain(rng)}\n\n## What I take from it #{tag}\n{body}\n\n## Links\n- [[{person}#Work]]\n",
            f"{plain(rng)}\n\n## {title}\n> [!quote] In short\n> {quoted}\n\n#{tag}\n",
        )
    )
    return f"Notes/{title}.md", text


def thought(rng: Random, number: int) -> Made:
    """An untagged note with one thoughtful paragraph among others."""
    day = _day(rng)
    parts = [plain(rng), say(rng, "reflection", rng.choice(SUBJECTS), 2), plain(rng)]
    return f"Inbox/{day:%B} {day.day}, {day.year} - {number}.md", "\n\n".join(parts) + "\n"


def meeting(rng: Random, number: int) -> Made:
    """A protocol: nobody reflects."""
    lines = "".join(f"- {plain(rng)}\n" for _ in range(rng.randint(10, 50)))
    day = _day(rng)
    return f"Meetings/{day:%Y%m%d} {rng.choice(PEOPLE)} {number}.md", f"---\ntype: meeting\n---\n## Agenda\n{lines}"


def reference(rng: Random, number: int) -> Made:
    """A reference note with code, a query and a comment, none of which anybody said."""
    query = '```dataview\nLIST FROM #insight\nWHERE contains(text, "I think")\n```\n'
    code = f"```python\n#reflection\nvalue = {number}  # I wonder what this prints\n```\n"
    lines = "\n\n".join(plain(rng) for _ in range(rng.randint(10, 60)))
    comment = "%% I feel this comment is nobody's business %%\n"
    return f"Reference/How to {number}.md", f"# How to {number}\n{lines}\n\n{code}\n{query}\n{comment}"


def week(rng: Random, number: int) -> Made:
    """A weekly review, which shows the evenings of two days."""
    day = FIRST_DAY + timedelta(days=7 * number)
    shown = "\n".join(f"![[{day + timedelta(days=offset)}#Evening reflection]]" for offset in (1, 4))
    said = say(rng, "learning", rng.choice(SUBJECTS), 2)
    year, number_of_week, _ = day.isocalendar()
    return f"Weekly/{year}-W{number_of_week:02}.md", f"# Review\n## Lessons of the week\n{said}\n\n{shown}\n"


KINDS: Final[tuple[tuple[Callable[[Random, int], Made], int], ...]] = (
    (daily, 30), (meeting, 22), (reference, 20), (tagged, 12), (thought, 10), (week, 6),
)  # fmt: skip


ODD: Final[Mapping[str, str]] = {
    "Templates/Daily": "# {{date}}\n#reflection\nI think about <% tp.date.now() %> and what the day was for me.\n",
    "Odd/Broken front matter": "---\ntags: [reflection\n---\n## Reflections\n"
    "I realize that a missing bracket should not cost me what I wrote below it.\n",
    "Odd/Windows": "\ufeff---\r\ntags: insight\r\n---\r\n"
    "The notes from the old laptop read just as well as those from the new one.\r\n",
    "Odd/C# and [brackets] ^ up": "#learning\n\n"
    "A name may hold what links cannot, and the note is still worth its dozen words.\n",
    "Odd/Circle one": "#insight\n\nEach of the two shows the other, and yet reading them comes to an end.\n\n"
    "![[Circle two]]\n",
    "Odd/Circle two": "Around it goes.\n\n![[Circle one]]\n",
    "Odd/Empty": "",
}


def odd_files() -> Iterator[tuple[str, bytes]]:
    """What every vault has beside its notes, and notes that are broken in some way."""
    yield ".obsidian/app.json", b"{}\n"
    yield "Attachments/picture.png", b"\x89PNG\r\n\x1a\n" + bytes(64)
    yield (
        "Odd/Half a letter.md",
        b"#insight\n\nWith half of a letter \xe2\x82 in it a sentence says less than it should, I think.\n",
    )
    yield from ((f"{name}.md", text.encode()) for name, text in ODD.items())


def _day(rng: Random) -> date:
    return FIRST_DAY + timedelta(days=rng.randrange(1800))
