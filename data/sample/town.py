"""The whole town as files in memory: who lives in it, which session shows which oddity, and the index of them.

`build_town(sessions, seed)` is a pure function of its arguments; `data.sample.disk` writes what it returns.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

import msgspec

from data.sample import odd_agents, odd_calls, odd_context, odd_files, odd_humans, odd_outcomes, odd_results, odd_turns
from data.sample.beads import write_beads, write_events
from data.sample.dialogue import perform_some
from data.sample.observers import observer_session
from data.sample.oddity import Act, Files, Oddity, Rewrite
from data.sample.opening import open_session
from data.sample.people import DEVELOPER, hire
from data.sample.quiet import QUIET
from data.sample.transcript import Transcript, encode_rows

SESSIONS: Final = 150
SEED: Final = 10
ODDITIES: Final[tuple[Oddity, ...]] = (
    *odd_calls.ACTS,
    *odd_results.ACTS,
    *odd_context.ACTS,
    *odd_turns.ACTS,
    *odd_humans.ACTS,
    *odd_outcomes.ACTS,
    *odd_agents.ACTS,
    *odd_files.REWRITES,
)
SHARES: Final[Mapping[str, int]] = {
    "mayor": 22,
    "deacon": 22,
    "witness": 22,
    "refinery": 22,
    "polecat": 22,
    "crew": 22,
    "boot": 7,
    "dog": 7,
    DEVELOPER: 4,
}
"""How the sessions are shared out; boot and dog have little to say."""
FEWEST_SESSIONS: Final = len(ODDITIES) + len(SHARES)
FIRST_DAY: Final = datetime(2026, 1, 5, 7, tzinfo=UTC)
DAYS: Final = 42
VERSIONS: Final = ("2.0.64", "2.0.76", "2.1.7", "2.1.14", "2.1.29", "2.1.33", "2.1.37", "2.1.41")
MODELS: Final = ("claude-opus-4-5-20251101", "claude-opus-4-6")
WORKED_ON: Final = re.compile(rb"(?:bd (?:close|show|update)|--issue) ((?:pe|ha|la|or|qu)-\d{2,3})\b")


class Entry(msgspec.Struct, frozen=True):
    """A line of the index: which session shows an oddity, where, and what a correct reader does with it."""

    session: str
    role: str
    file: str
    also: tuple[str, ...]
    """Further files that belong to it, such as the session's own file beside a copy."""
    reader_must: str


@dataclass(frozen=True)
class Town:
    """All files by path under the output folder, and the index of the oddities."""

    files: Mapping[str, bytes]
    oddities: Mapping[str, Entry]
    sessions: int
    beads: int


def plan_sessions(sessions: int) -> list[tuple[str, Oddity | None]]:
    """A role for each session and the oddity that it shows; plain sessions even the roles out."""
    planned: list[tuple[str, Oddity | None]] = [(oddity.role, oddity) for oddity in ODDITIES]
    count = Counter(role for role, _ in planned)
    while len(planned) < sessions:
        role = min(SHARES, key=lambda name: count[name] / SHARES[name])
        count[role] += 1
        planned.append((role, None))
    return planned


def begin(rng: Random, role: str) -> Transcript:
    """An empty transcript of an agent of this role, on a drawn day."""
    part = rng.random()
    start = FIRST_DAY + timedelta(days=part * DAYS)
    return Transcript(rng, hire(rng, role), start, VERSIONS[int(part * len(VERSIONS))], MODELS[part > 0.7])


def play_session(t: Transcript, oddity: Oddity | None) -> Files:
    """Play a session and return its files, the one to look at first."""
    open_session(t)
    match oddity:
        case Act(play=play, last=last):
            perform_some(t, 2, 4)
            play(t)
            if not last:
                perform_some(t, 2, 4)
        case Rewrite(write=write):
            perform_some(t, 8, 9)
            return write(t)
        case None:
            perform_some(t, 5, 10)
    side = {f"{t.project}/{path}": content for path, content in t.side_files.items()}
    return {t.path: encode_rows(t.rows), **side}


def index_files(t: Transcript, files: Files, must: str) -> Entry:
    """The index entry of a session with these files."""
    first, *others = files
    return Entry(t.session, t.actor.role, first, tuple(others), must)


def play_town(sessions: int, seed: int, files: dict[str, bytes]) -> Iterator[tuple[str, Entry]]:
    """Play every session into `files`; yield a name and an index entry for each oddity."""
    count: Counter[str] = Counter()
    for role, oddity in plan_sessions(sessions):
        count[role] += 1
        t = begin(Random(f"{seed}/{role}/{count[role]}"), role)
        written = play_session(t, oddity)
        files.update(written)
        if oddity:
            yield oddity.name, index_files(t, written, oddity.reader_must)
        elif role == DEVELOPER and count[role] == 1:
            must = "Give it no role of the town; its folder is outside of it."
            yield "developer_without_a_town", index_files(t, written, must)


def add_observers(seed: int, files: dict[str, bytes]) -> Entry:
    """Two observer sessions; the entry is of the first."""
    entries = []
    for number in (1, 2):
        t = observer_session(Random(f"{seed}/observer/{number}"), FIRST_DAY + timedelta(days=number))
        files[t.path] = encode_rows(t.rows)
        entries.append(Entry(t.session, "observer", t.path, (), "Keep it out of every role; read the observations."))
    return entries[0]


def add_quiet_sessions(seed: int, files: dict[str, bytes]) -> Iterator[tuple[str, Entry]]:
    """The sessions in which next to nothing happens; yield a name and an index entry for each."""
    must = "Learn nothing from what found nothing; keep what was done about something."
    for play, role in QUIET:
        t = begin(Random(f"{seed}/{play.__name__}/{role}"), role)
        play(t)
        files[t.path] = encode_rows(t.rows)
        yield f"{role}_{play.__name__}", Entry(t.session, role, t.path, (), must)


def build_town(sessions: int = SESSIONS, seed: int = SEED) -> Town:
    """The town of that many played sessions; forks, duplicates, copies, quiet sessions and observers come on top.

    Raises ValueError when there are fewer sessions than oddities to show.
    """
    if sessions < FEWEST_SESSIONS:
        raise ValueError(f"a town needs at least {FEWEST_SESSIONS} sessions to show every oddity")
    files: dict[str, bytes] = {}
    oddities = dict(play_town(sessions, seed, files))
    oddities |= add_quiet_sessions(seed, files)
    oddities["observer_session"] = add_observers(seed, files)
    mentioned = {match.decode() for text in files.values() for match in WORKED_ON.findall(text)}
    beads = write_beads(Random(f"{seed}/beads"), sorted(mentioned))
    files["beads/issues.jsonl"] = beads
    files["beads/events.jsonl"] = write_events(beads)
    must = "Read the issues as a source of their own; a session finds its bead by the id in its text."
    oddities["beads_file"] = Entry("", "", "beads/issues.jsonl", (), must)
    files["oddities.json"] = msgspec.json.format(msgspec.json.encode(oddities)) + b"\n"
    return Town(files, oddities, sessions, beads.count(b"\n"))
