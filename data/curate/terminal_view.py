"""What the terminal shows of an example: lines that rich has drawn, so that a long one can be scrolled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from data.curate.values import Example
from data.curate.views import SIGNS, Shown, shown

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.segment import Segment
    from rich.text import Text

EDGES = {"system": "dim", "human": "blue", "gpt": "green"}
COLOURS = {"undecided": "white", "approved": "green", "rejected": "red", "edited": "yellow", "trimmed": "magenta"}
HELP = """\
a approve   r reject   e edit in $EDITOR   t trim   u undo the decision here, or else your last one
j k next, previous   n first undecided   o unfold calls and results   space b or arrows scroll
d the nearest duplicate   / search   f filters   q leave; every decision is stored at once"""


def lines_of(console: Console, example: Example, unfolded: bool) -> list[list[Segment]]:
    """The conversation as lines of the console's width."""
    from rich.console import Group

    parts = [_turn(turn, unfolded) for turn in shown(example)]
    return console.render_lines(Group(*parts), pad=False)


def _turn(turn: Shown, unfolded: bool) -> RenderableType:
    from rich.panel import Panel
    from rich.text import Text

    body = Text("\n").join(_body(turn, unfolded))
    marks = [f"{turn.number} {turn.who}"]
    marks += ["trained"] if turn.train and not turn.gone else []
    marks += ["edited"] if turn.original is not None else []
    marks += ["trimmed away"] if turn.gone else []
    style = "dim" if turn.gone else EDGES[turn.speaker]
    return Panel(body, title=Text(" · ".join(marks)), title_align="left", border_style=style)


def _body(turn: Shown, unfolded: bool) -> Iterator[Text]:
    """Texts stand there as they are: no markup in them counts, and no control character reaches the terminal."""
    from rich.text import Text

    for summary, whole in turn.results:
        yield Text.assemble(("result  ", "bold dim"), (_plain(whole if unfolded else summary), "dim"))
    if turn.text:
        yield Text(_plain(turn.text), style="strike dim" if turn.gone else "")
    for name, summary, whole in turn.calls:
        yield Text.assemble(
            ("call  ", "bold dim"), (f"{name} ", "bold"), (_plain(whole if unfolded else summary), "dim")
        )


def _plain(text: str) -> str:
    return "".join(c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def heading(example: Example, place: int, total: int, counts: dict[str, int]) -> list[str]:
    """The lines above the conversation, as rich's markup; what comes from data is escaped."""
    from rich.markup import escape

    entry = example.entry
    done = counts["examples"] - counts["undecided"]
    state = f"[{COLOURS[entry.state]}]{SIGNS[entry.state]} {entry.state}[/]"
    if example.current:
        why = f": {example.current.why}" if example.current.why else ""
        state += escape(f" by {example.current.author}{why}")
    where = f"[bold]{escape(entry.role)}[/] {place:,} of {total:,}"
    size = f"{entry.tokens:,} tokens, quality {entry.quality:.2f}"
    return [
        f"{where}   {state}   [dim]{done:,} of {counts['examples']:,} decided[/]",
        f"[dim]{escape(entry.id)}  {entry.split}  {entry.source}  {size}[/]",
    ]
