from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.validate import report
from data.validate.report import build_report, segments
from tests.dataset_rows import CALL, RESULT, make_row, turn, write_build

VOID = {"meta", "link", "img", "br", "hr", "input"}
ADDRESSES = {"src", "href", "srcset", "action", "data", "poster", "xlink:href"}


class Page(HTMLParser):
    """A page as its tags, its texts by class, and the addresses that it would load. Fails on a tag left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.texts: dict[str, list[str]] = {}
        self.addresses: list[str] = []
        self.trained: list[str] = []
        self._open: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        found = {name: value or "" for name, value in attrs}
        self.addresses += [value for name, value in found.items() if name in ADDRESSES]
        if tag not in VOID:
            self._open.append((tag, found.get("class", "")))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            tag, name = self._open[-1]
            self.texts.setdefault(name or tag, []).append(data)
            if any(outer == "turn trained" for _, outer in self._open) and tag == "span":
                self.trained.append(data)


@given(
    st.lists(
        st.sampled_from([CALL, RESULT, "[... 12 tokens left out ...]", "<tool_call>\n", "</tool_result>", "text\n"])
        | st.text(max_size=10)
    ).map("".join)
)
def test_the_parts_of_a_message_are_the_message(value: str) -> None:
    assert "".join(text for _, text in segments(value)) == value


def test_calls_results_and_left_out_text_are_told_apart() -> None:
    result = "<tool_result>\na\n[... 12 tokens left out ...]\nb\n</tool_result>"
    assert list(segments(f"Look.\n{CALL}\n{CALL}")) == [
        ("text", "Look.\n"),
        ("call", CALL),
        ("text", "\n"),
        ("call", CALL),
    ]
    assert list(segments(result)) == [
        ("result", "<tool_result>\na\n"),
        ("elided", "[... 12 tokens left out ...]"),
        ("result", "\nb\n</tool_result>"),
    ]


@pytest.fixture
def build(tmp_path: Path) -> Path:
    hostile = make_row("hostile", role="crew")
    hostile["conversations"][1] = turn("human", "<script>alert(1)</script> & <img src=x onerror=y>")
    mayors = [make_row(f"m{n}", tokens=300 * n + 100) for n in range(5)]
    return write_build(
        tmp_path / "town", {"train": [*mayors, hostile], "val": [make_row("v", role="dog")]}, sample=True
    )


def test_the_page_is_whole_and_loads_nothing(build: Path) -> None:
    text = build_report(build)
    page = Page(text)
    assert page.addresses == []
    assert page.tags["script"] == page.tags["img"] == page.tags["link"] == 0
    assert "url(" not in text
    assert "@import" not in text
    assert "{{" not in text


def test_the_page_shows_numbers_drops_and_rows(build: Path) -> None:
    page = Page(build_report(build))
    headings = page.texts["h2"]
    assert {"Splits", "Roles", "Length", "Quality", "Not trained, and why", "What was read", "Rows"} <= set(headings)
    assert page.tags["svg"] == len([h for h in headings if h not in ("What was read", "What was changed", "Rows")])
    assert {"7", "3"} <= set(page.texts["b"])
    assert {"too short", "synthetic", "mayor", "0.7 to 0.8", "to 512"} <= set(page.texts["label"])
    assert page.tags["details"] == 7
    assert any("sample town" in text for text in page.texts["badge"])


def test_what_a_row_says_is_text_and_never_markup(build: Path) -> None:
    page = Page(build_report(build))
    assert "<script>alert(1)</script> & <img src=x onerror=y>" in page.texts["text"]


def test_trained_text_stands_apart_from_context(build: Path) -> None:
    page = Page(build_report(build))
    assert set(page.trained) == {"The hook is empty, so I wait."}
    assert CALL in page.texts["call"]
    assert RESULT in page.texts["result"]


def test_rows_are_taken_from_all_roles_in_turn(build: Path) -> None:
    page = Page(build_report(build, rows=4))
    assert [text for text in page.texts["b"] if text in ("mayor", "crew", "dog")] == ["crew", "dog", "mayor", "mayor"]


def test_a_build_without_rows_still_has_a_page(tmp_path: Path) -> None:
    page = Page(build_report(write_build(tmp_path / "town", {"train": []})))
    assert "Rows" not in page.texts["h2"]
    assert "Not trained, and why" in page.texts["h2"]


def test_the_command_writes_the_page_and_nothing_else(build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = build.parent / "pages" / "town.html"
    assert report.main([str(build), "--out", str(out), "--rows", "2"]) == 0
    assert capsys.readouterr().out == f"wrote {out}: open it in a browser\n"
    assert [path.name for path in out.parent.iterdir()] == ["town.html"]
    assert Page(out.read_text("utf-8")).tags["details"] == 2


def test_an_unfinished_build_is_one_sentence_and_leaves_no_page(
    build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (build / "manifest.json").unlink()
    assert report.main([str(build)]) == 1
    assert "the build did not finish" in capsys.readouterr().err
    assert not (build / "report.html").exists()


def test_a_place_that_cannot_be_written_is_one_sentence(build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (build.parent / "file").write_text("")
    assert report.main([str(build), "--out", str(build.parent / "file" / "page.html")]) == 1
    assert "Give another file with --out." in capsys.readouterr().err
