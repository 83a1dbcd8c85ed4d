"""A comparison in the terminal: both answers side by side, as they come and when they are whole.

What a model wrote is only ever text: no markup, no colours of its own, no cursor moves.
"""

from collections.abc import Mapping

from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from eval.people.both import Asked, Outcome
from eval.people.endpoint import Answer, Endpoint, Failed, Side
from eval.printable import one_line, printable

SIDE_BY_SIDE = 100  # columns from which on two answers fit beside each other
COLOURS = {Side.LOCAL: "green", Side.STRONG: "blue"}


class Watch:
    """Both answers while they come; does nothing where no terminal looks."""

    def __init__(self, console: Console, local: Endpoint, strong: Endpoint) -> None:
        self._console = console
        self._endpoints = {Side.LOCAL: local, Side.STRONG: strong}
        self._texts = {Side.LOCAL: "", Side.STRONG: ""}
        self._ended: dict[Side, Outcome] = {}
        self._live = Live(console=console, get_renderable=self._show, refresh_per_second=6, transient=True)

    def __enter__(self) -> "Watch":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def text(self, side: Side, text: str) -> None:
        self._texts[side] += text

    def end(self, side: Side, outcome: Outcome) -> None:
        self._ended[side] = outcome

    def _show(self) -> RenderableType:
        rows = max(4, self._console.height // (1 if _beside(self._console) else 2) - 4)
        width = self._console.width // (2 if _beside(self._console) else 1)
        panels = {}
        for side, endpoint in self._endpoints.items():
            # The end of what has come: a terminal shows nothing of what lies below its last line.
            tail = "\n".join(printable(self._texts[side][-rows * width :]).splitlines()[-rows // 2 :])
            told = footer(self._ended[side]) if side in self._ended else "…"
            panels[side] = _panel(endpoint, Text(tail), told)
        return _arranged(self._console, panels)


def show(console: Console, prompt: str, local: Endpoint, strong: Endpoint, asked: Asked) -> None:
    """Print both whole answers, or what became of them."""
    console.print(Text(f"\n{one_line(prompt, 400)}", style="bold"))
    panels = {
        endpoint.side: _panel(endpoint, body(asked.of(endpoint.side)), footer(asked.of(endpoint.side)))
        for endpoint in (local, strong)
    }
    console.print(_arranged(console, panels))


def body(outcome: Outcome) -> Text:
    if isinstance(outcome, Failed):
        return Text("no whole answer", style="red")
    return Text(printable(outcome.text.strip()))


def footer(outcome: Outcome) -> str:
    """What an answer cost, in words."""
    if isinstance(outcome, Failed):
        return "failed"
    first = "" if outcome.first_seconds is None else f", first word {outcome.first_seconds:.1f} s"
    cut = " · cut off at its limit" if outcome.finish == "length" else ""
    return f"{outcome.seconds:.1f} s{first} · {tokens(outcome)}{cut}"


def tokens(answer: Answer) -> str:
    if answer.new_tokens is None:
        return "tokens not counted"
    asked = "" if answer.prompt_tokens is None else f"{answer.prompt_tokens:,} → "
    return f"{asked}{answer.new_tokens:,} tokens"


def _panel(endpoint: Endpoint, inside: Text, told: str) -> Panel:
    colour = COLOURS[endpoint.side]
    title = Text(f"{endpoint.side.words}: {one_line(endpoint.model, 40)}", style=f"bold {colour}")
    return Panel(inside, title=title, subtitle=Text(told), box=ROUNDED, border_style=colour, title_align="left")


def _arranged(console: Console, panels: Mapping[Side, Panel]) -> RenderableType:
    if not _beside(console):
        return Group(*panels.values())
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    grid.add_row(*panels.values())
    return grid


def _beside(console: Console) -> bool:
    return console.width >= SIDE_BY_SIDE
