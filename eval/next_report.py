"""The tables of tool_use_accuracy: model and base beside the best floor, the floors, the losses, the mistakes.

Standard errors and intervals are by session. Under eight sessions there is no interval: the spread between so few is
itself a guess.
"""

from collections import Counter

from rich.console import Console

from eval.answer import parse_answer
from eval.baselines import FLOORS
from eval.baselines import MEANING as FLOOR_MEANING
from eval.next_action import HEADLINE, MEANING, METRICS, Metric, Mistake
from eval.next_results import LossNumber, Number, Summary, ToolUse
from eval.report import make_table
from eval.statistics import MIN_CLUSTERS

LOSS_NAMES = {"end": "end of turn", "all": "all trained tokens", "bits_per_byte": "bits per byte"}


def print_run(run: ToolUse, console: Console) -> None:
    """Everything that a person needs to judge the run; the rest is in the file."""
    measured = [metric for metric in METRICS if metric in run.summary or metric in (run.base or {})]
    ordered = sorted(measured, key=lambda metric: metric not in HEADLINE)
    _print_rates(run, ordered, console)
    _print_floors(run, ordered, console)
    _print_loss(run, console)
    _print_mistakes(run, console)
    _print_notes(run, console)


def share(number: Number | None, sign: bool = False) -> str:
    """`60 % ±4.1 [52, 68]`, without the interval where there are too few sessions; `-` for nothing."""
    if number is None:
        return "-"
    text = f"{100 * number.value:{'+' if sign else ''}.0f} %"
    if number.error is not None:
        text += f" ±{100 * number.error:.1f}"
    low, high = (f"{100 * bound:{'+' if sign else ''}.0f}" for bound in (number.low, number.high))
    return rf"{text} \[{low}, {high}]" if number.enough else text


def _print_rates(run: ToolUse, ordered: list[Metric], console: Console) -> None:
    sides = ["model", "base", "difference"] if run.base is not None else ["model"]
    table = make_table(f"tool_use_accuracy: {run.model}", "metric", *sides, "best floor", "turns")
    for metric in ordered:
        ours = run.summary.get(metric)
        cells = [share(ours)]
        if run.base is not None:
            cells += [share(run.base.get(metric)), share((run.difference or {}).get(metric), sign=True)]
        table.add_row(_name(metric), *cells, _best_floor(run, metric), str(ours.turns if ours else 0))
    console.print(table)


def _best_floor(run: ToolUse, metric: Metric) -> str:
    reached = {name: summary[metric].value for name, summary in run.floors.items() if metric in summary}
    best = max(reached, key=lambda name: reached[name], default=None)
    return "-" if best is None else f"{100 * reached[best]:.1f} % {best}"


def _print_floors(run: ToolUse, ordered: list[Metric], console: Console) -> None:
    table = make_table("Floors, without any model", "metric", *FLOORS, "meaning of the metric")
    for metric in ordered:
        table.add_row(_name(metric), *(_floor(run.floors[name], metric) for name in FLOORS), MEANING[metric])
    console.print(table)
    console.print("; ".join(f"{name}: {FLOOR_MEANING[name]}" for name in FLOORS) + ".")


def _floor(summary: Summary, metric: Metric) -> str:
    return f"{100 * summary[metric].value:.1f} %" if metric in summary else "-"


def _print_loss(run: ToolUse, console: Console) -> None:
    if run.loss is None:
        console.print(f"Loss: n/a, {run.no_loss}.")
        return
    sides = ["model", "base", "difference"] if run.base is not None else ["model"]
    table = make_table("Loss of what was really answered, nats per token", "segment", *sides, "tokens")
    for name, number in run.loss.items():
        cells = [f"{number.model:.3f}"]
        if run.base is not None:
            cells += ["-" if number.base is None else f"{number.base:.3f}", _gain(number)]
        units = f"{number.units:,}{' bytes' if name == 'bits_per_byte' else ''}"
        table.add_row(LOSS_NAMES.get(name, name), *cells, units)
    console.print(table)


def _gain(number: LossNumber) -> str:
    if (gain := number.difference) is None:
        return "-"
    text = f"{gain.value:+.3f}" if gain.error is None else f"{gain.value:+.3f} ±{gain.error:.3f}"
    return rf"{text} \[{gain.low:+.3f}, {gain.high:+.3f}]" if gain.enough else text


def _print_mistakes(run: ToolUse, console: Console) -> None:
    ours = Counter(mistake for turn in run.turns for mistake in turn.model.mistakes)
    theirs = Counter(mistake for turn in run.turns if turn.base for mistake in turn.base.mistakes)
    table = make_table("Turns with a mistake", "mistake", "model", *(["base"] if run.base is not None else []))
    for mistake in Mistake:
        if ours[mistake] or theirs[mistake]:
            cells = [str(ours[mistake]), *([str(theirs[mistake])] if run.base is not None else [])]
            table.add_row(mistake, *cells)
    if table.row_count:
        console.print(table)


def _print_notes(run: ToolUse, console: Console) -> None:
    for note in notes(run):
        console.print(note, markup=False)


def notes(run: ToolUse) -> list[str]:
    """What must be known to read the tables, a sentence or two each."""
    sessions = len({turn.session for turn in run.turns})
    found = [_about_tool_names(run), _about_training(run)]
    if sessions < MIN_CLUSTERS:
        found.append(
            f"Too few sessions: {sessions}. There is no interval under {MIN_CLUSTERS}, and a claim needs about 30."
        )
    if cut := sum(turn.model.truncated for turn in run.turns):
        found.append(f"{cut} of {len(run.turns)} answers hit the token limit; see --max-new-tokens.")
    if run.shortened or run.too_long:
        found.append(f"{run.shortened} contexts lost their oldest exchanges, {run.too_long} did not fit at all.")
    if run.loss is not None and (unread := [turn for turn in run.turns if turn.model.loss is None]):
        found.append(f"The loss leaves out {len(unread)} replies that do not fit the model's window with any context.")
    if run.base is None and run.facts.get("adapter"):
        found.append("The base was not asked: its backend cannot leave the adapter out; run again with --model base.")
    return [note for note in found if note]


def _about_tool_names(run: ToolUse) -> str:
    names = Counter(call.name for turn in run.turns for call in parse_answer(turn.recorded).calls)
    if not names:
        return ""
    name, most = names.most_common(1)[0]
    return (
        f"tool_name_acc proves nothing alone: {100 * most / names.total():.0f} % of the recorded calls are {name}, "
        "whatever it runs. Read effective_tool_acc and ast_match against the floors."
    )


def _about_training(run: ToolUse) -> str:
    training = run.training
    if training.own:
        return f"The floors learned from {training.path} itself, for want of training rows: give them with --train."
    learned = f"The floors learned from {training.turns:,} turns of {training.path}."
    shared = f" {training.shared} sessions stand in both files: this split leaks." if training.shared else ""
    return learned + shared


def _name(metric: Metric) -> str:
    return f"{metric} *" if metric in HEADLINE else metric
