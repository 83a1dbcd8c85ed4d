"""The tables of the documentation are what the code computes, and the plan stays as near to published figures."""

from pathlib import Path

import pytest

from configs.plan import accuracy, hardware
from configs.plan.accuracy import GOALS, PUBLISHED, compared
from configs.plan.tabulate import with_table
from configs.strict_yaml import load_mapping

SOURCES = load_mapping(PUBLISHED)["sources"]


@pytest.mark.parametrize("page", [accuracy, hardware])
def test_the_page_holds_the_table_that_the_command_prints(page: object, root: Path) -> None:
    text = (root / page.REPORT).read_text(encoding="utf-8")
    command = page.__name__
    assert with_table(text, command, "\n".join(page.report())) == text, f"run `python -m {command} --write`"


def test_without_its_marks_a_page_is_left_alone() -> None:
    with pytest.raises(ValueError, match="no lines"):
        with_table("A page.", "configs.plan.accuracy", "| a |")


@pytest.mark.parametrize("name", ["ibm-liger", "ibm-plain", "torchtune"])
def test_the_tensors_of_one_card_come_within_the_goal(name: str) -> None:
    rows = [row for row in compared(SOURCES[name]) if "cards" not in row.name]
    errors = [error for row in rows if (error := row.error("tensors")) is not None]
    assert errors and all(abs(error) <= GOALS["tensors"] for error in errors)


def test_most_times_come_within_the_goal() -> None:
    errors = [row.error("speed") for source in SOURCES.values() for row in compared(source)]
    known = [abs(error) for error in errors if error is not None]
    assert sum(error <= GOALS["speed"] for error in known) >= 0.85 * len(known)


def test_every_source_says_where_it_is_and_why_it_may_differ() -> None:
    for source in SOURCES.values():
        assert source["url"].startswith("https://") and source["explains"] and source["rows"]


def test_every_published_figure_stands_beside_a_predicted_one() -> None:
    for source in SOURCES.values():
        for row, published in zip(compared(source), source["rows"], strict=True):
            figures = [published.get(key) for key in ("gib", "card_gib", "tokens_per_second")]
            assert [row.published[what] for what in GOALS] == figures
            assert any(figures) and all(predicted > 0 for predicted in row.predicted.values())


def test_the_commands_print_without_writing(capsys: pytest.CaptureFixture[str]) -> None:
    assert hardware.main([]) == 0
    assert "| base (Qwen2.5-7B) |" in capsys.readouterr().out
