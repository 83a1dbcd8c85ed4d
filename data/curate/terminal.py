"""Curation in a terminal, with the keys of the page: also over ssh, and inside tmux."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from data.curate import finding
from data.curate.change import Change, Refused, ends_of
from data.curate.keyboard import check_terminal, read_key, single_keys
from data.curate.similar import similar
from data.curate.store import Store
from data.curate.terminal_input import in_editor, read_filters
from data.curate.terminal_view import HELP, heading, lines_of
from data.curate.values import Act, Conflict, Entry, Example, Filters

if TYPE_CHECKING:
    from rich.console import Console

SCROLLS = {" ": 20, "pagedown": 20, "b": -20, "pageup": -20, "down": 1, "up": -1}  # lines


def run_terminal(store: Store, author: str) -> int:
    """Show examples and take decisions until `q`. Raises ConfigError where there is no terminal."""
    check_terminal()
    from rich.console import Console

    Session(store, author, Console(highlight=False)).run()
    return 0


def _first(store: Store) -> Example:
    """Raises Refused where there is no example at all."""
    entry = finding.undecided(store.database, Filters()) or finding.after(store.database, Filters())
    if entry is None:
        raise Refused("There is no example to decide about. Read a dataset with --rows.")
    return store.example(entry.key)


class Session:
    """One person at one terminal: which example they read, how far, and what narrows the list."""

    def __init__(self, store: Store, author: str, console: Console) -> None:
        self.store = store
        self.author = author
        self.console = console
        self.filters = Filters()
        self.shown = _first(store)
        self.top = 0
        self.unfolded = False
        self.said = "Press ? for the keys."
        self.done: list[str] = []  # the examples decided about here, for undo

    def run(self) -> None:
        with self.console.screen(hide_cursor=True), single_keys():
            while True:
                self._draw()
                pressed = read_key()
                if pressed in ("q", ""):
                    return
                self._press(pressed)

    def _press(self, pressed: str) -> None:
        acts: dict[str, Callable[[], None]] = {
            "a": lambda: self._decide("approve"),
            "r": lambda: self._decide("reject", why=self._ask("Why (Enter for nothing): ")),
            "e": self._edit,
            "t": self._trim,
            "u": self._undo,
            "j": lambda: self._go(finding.after(self.store.database, self.filters, self.shown.entry.place)),
            "k": lambda: self._go(finding.before(self.store.database, self.filters, self.shown.entry.place)),
            "n": lambda: self._go(finding.undecided(self.store.database, self.filters)),
            "o": self._fold,
            "d": self._nearest,
            "/": lambda: self._narrow(replace(self.filters, search=self._ask("Search (Enter for all): "))),
            "f": lambda: self._narrow(read_filters(self._ask("Filters, such as role=mayor decision=undecided: "))),
            "?": lambda: self._say(HELP),
        }
        self.said = ""
        self.top += SCROLLS.get(pressed, 0)
        if pressed in acts:
            try:
                acts[pressed]()
            except (Refused, Conflict) as problem:
                self._say(str(problem))

    def _draw(self) -> None:
        """The example as it is now, cut to the window: what a decision is about is what stands there."""
        from rich.segment import Segment, Segments

        self.shown = self.store.example(self.shown.entry.key)
        place, counts = self.shown.entry.place, finding.progress(self.store.database)
        total = finding.count(self.store.database, self.filters)
        head = heading(self.shown, finding.rank(self.store.database, self.filters, place) + 1, total, counts)
        lines = lines_of(self.console, self.shown, self.unfolded)
        room = max(self.console.height - len(head) - self.said.count("\n") - 3, 3)
        self.top = max(min(self.top, len(lines) - room), 0)
        self.console.clear()
        for line in head:
            self.console.print(line, no_wrap=True, overflow="ellipsis")
        part = lines[self.top : self.top + room]
        self.console.print(Segments([piece for line in part for piece in (*line, Segment.line())]), end="")
        more = f"{len(lines) - self.top - room} more lines below" if self.top + room < len(lines) else ""
        self.console.print(f"[dim]a approve  r reject  e edit  t trim  u undo  j k  ? keys  q leave   {more}[/]")
        self.console.print(self.said, markup=False, end="", overflow="ellipsis")

    def _say(self, sentence: str) -> None:
        self.said = sentence

    def _ask(self, question: str) -> str:
        """A line of text, written with the terminal's own editing."""
        self.console.print(f"\n{question}", markup=False, end="")
        self.console.show_cursor(True)
        try:
            with single_keys(False):
                return input().strip()
        except EOFError:
            return ""
        finally:
            self.console.show_cursor(False)

    def _go(self, entry: Entry | None) -> None:
        if entry is None:
            self._say("There is none.")
        else:
            self.shown, self.top = self.store.example(entry.key), 0

    def _decide(self, action: Act, change: Change | None = None, why: str = "") -> None:
        """Store it, and go on as the page does: to the next undecided example, or see what became of this one."""
        entry = self.shown.entry
        self.store.decide(entry.key, action, change, author=self.author, why=why, saw=entry.decision)
        self.done.append(entry.key)
        self._say(f"It is {self.store.example(entry.key).entry.state}. u undoes it.")
        if action in ("approve", "reject"):
            following = finding.undecided(self.store.database, self.filters, entry.place)
            if following:
                self._go(following)
            else:
                self.said += " Everything here is decided."

    def _undo(self) -> None:
        """Take back the decision about this example, or else the last one."""
        entry = self.shown.entry
        if not entry.decision:
            key = self.done[-1] if self.done else finding.last_of(self.store.database, self.author)
            if not key:
                raise Refused("There is no decision of yours to undo.")
            entry = self.store.example(key).entry
        self.store.undo(entry.key, author=self.author, saw=entry.decision)
        self.done = [one for one in self.done if one != entry.key]
        self._go(entry)
        self._say("Undone.")

    def _edit(self) -> None:
        """The text of one message, in the editor of the environment."""
        example = self.shown
        number = self._number(
            "Edit which message", [n for n, turn in enumerate(example.turns) if turn.speaker != "system"]
        )
        if number is not None:
            before = example.change.texts.get(number, example.turns[number].text)
            with single_keys(False):
                after = in_editor(before)
            self._decide("edit", Change({number: after}))

    def _trim(self) -> None:
        ends = ends_of(self.shown.turns)
        if len(ends) < 2:
            raise Refused("Only one reply is trained, so there is nothing to trim.")
        number = self._number("Keep up to which message", ends)
        if number is not None:
            self._decide("trim", Change(last=number))

    def _number(self, question: str, among: list[int]) -> int | None:
        answer = self._ask(f"{question} ({', '.join(map(str, among))}; Enter for none)? ")
        if not answer:
            return None
        if not answer.isdecimal() or int(answer) not in among:
            raise Refused(f"{answer} is none of {', '.join(map(str, among))}.")
        return int(answer)

    def _fold(self) -> None:
        self.unfolded = not self.unfolded

    def _nearest(self) -> None:
        example = self.shown
        found = similar(self.store, example.entry, example.turns)
        if not found:
            raise Refused("Nothing is like it.")
        alike, entry = found[0]
        self._go(entry)
        self._say(f"{alike:.0%} like the one before; d goes on to the nearest of this one.")

    def _narrow(self, filters: Filters) -> None:
        database = self.store.database
        found = finding.undecided(database, filters) or finding.after(database, filters)
        if found is None:
            raise Refused("No example fits. The list is as it was.")
        self.filters = filters
        self._go(found)
