"""The votes as tables in the terminal."""

from rich.console import Console
from rich.markup import escape

from eval.people.judge_words import SCORE_COLUMNS, cost_rows, headline, notes, score_rows
from eval.people.tally import Tally
from eval.printable import one_line
from eval.report import make_table


def print_tally(tally: Tally, console: Console) -> None:
    """The headline, the win rate by kind, the costs, and how to read them."""
    local, strong = (escape(one_line(name, 50)) for name in (tally.match.local, tally.match.strong))
    scores = make_table(f"{local} (local) against {strong}", *(escape(name) for name in SCORE_COLUMNS))
    for row in score_rows(tally):
        scores.add_row(*map(escape, row))
    console.print(scores)
    costs = make_table("What it cost", "", "local", "stronger")
    for row in cost_rows(tally):
        costs.add_row(*row)
    console.print(costs)
    console.print(headline(tally), style="bold", markup=False)
    for note in notes(tally):
        console.print(note, markup=False)
