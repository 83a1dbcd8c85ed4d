"""What Axolotl made of the rows: how many, how long, which tokens are in the loss, and one of them to look at."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

IGNORED: Final = -100  # the label of a token that is not trained
# A piece of text, and whether its tokens are in the loss.
Piece = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The prepared rows of one split. `shapes` has (tokens, trained tokens) of each; empty for preferences, whose rows
    are texts until they train. `endless` counts trained replies without an end mark. `sample` is the shortest row that
    trains something, in pieces.
    """

    rows: int
    shapes: list[tuple[int, int]]
    endless: int
    sample: list[Piece]


def of_replies(rows: Any, tokenizer: Any, ends: Collection[int]) -> Prepared:
    """Rows with `input_ids` and `labels`."""
    shapes: list[tuple[int, int]] = []
    last: Counter[int] = Counter()
    for ids, labels in pairs(rows):
        trained = labels != IGNORED
        shapes.append((len(ids), int(trained.sum())))
        # A reply's last token: trained, and the one after it is not.
        last.update(ids[trained & ~shifted(trained)].tolist())
    endless = sum(count for token, count in last.items() if token not in ends)
    worth = [(tokens, place) for place, (tokens, trained) in enumerate(shapes) if trained]
    return Prepared(len(shapes), shapes, endless, pieces(rows[min(worth)[1]], tokenizer.decode) if worth else [])


def pairs(rows: Any) -> Iterator[tuple[Any, Any]]:
    import numpy

    for row in rows.select_columns(["input_ids", "labels"]):
        yield numpy.asarray(row["input_ids"]), numpy.asarray(row["labels"])


def shifted(trained: Any) -> Any:
    """For each token whether the next one is trained."""
    import numpy

    return numpy.append(trained[1:], False)


def pieces(row: Mapping[str, Sequence[int]], decode: Callable[..., str]) -> list[Piece]:
    """A row decoded in runs of tokens that are, or are not, in the loss."""
    runs: list[tuple[list[int], bool]] = []
    for token, label in zip(row["input_ids"], row["labels"], strict=True):
        is_trained = label != IGNORED
        if not runs or runs[-1][1] != is_trained:
            runs.append(([], is_trained))
        runs[-1][0].append(token)
    return [(decode(run, skip_special_tokens=False), is_trained) for run, is_trained in runs]


def of_preferences(rows: Any, tokenizer: Any, ends: Collection[int]) -> Prepared:
    """Rows of texts: a prompt, and what is preferred and what is not, or a completion with its label."""
    first = rows[0] if len(rows) else {}
    sides = [(key, key != "rejected") for key in ("chosen", "completion", "rejected") if key in first]
    sample = [(f"{first['prompt']}", False)] if "prompt" in first else []
    for key, wanted in sides:
        title = f"{'good' if first['label'] else 'bad'} {key}" if "label" in first else key
        sample += [(f"\n[{title}]\n", False), (str(first[key]), wanted and first.get("label", True))]
    return Prepared(len(rows), [], 0, sample)
