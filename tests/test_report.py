from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.tokens import load_counter
from data.transform.chat_formatter import Metadata, NativeRow
from data.transform.chat_formatter import Row as WrittenRow
from data.transform.chunker import LEFT_OUT, NO_START
from data.validate import report
from data.validate.report import build_report
from data.validate.report_messages import calls_in, is_cut, messages_of, parts_of
from data.validate.report_rows import embed, pick_rows
from tests.dataset_rows import CALL, RESULT, Row, balanced_build, make_row, turn, write_build

VOID = {"meta", "link", "img", "br", "hr", "input"}
ADDRESSES = {"src", "href", "srcset", "action", "data", "poster", "xlink:href"}
CUT = "[... 12 characters left out ...]"
ALL = 10**9  # characters; more than any build here


class Page(HTMLParser):
    """A page as its tags, its texts by tag, and the addresses in it. Fails on a tag left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.texts: dict[str, list[str]] = {}
        self.addresses: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        self.addresses += [value or "" for name, value in attrs if name in ADDRESSES]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and data.strip():
            self.texts.setdefault(self._open[-1], []).append(data)

    @property
    def rows(self) -> list[dict[str, object]]:
        """What the browser of rows gets."""
        found: list[dict[str, object]] = json.loads(self.texts["script"][0])
        return found


texts = st.lists(
    st.sampled_from([CALL, RESULT, CUT, LEFT_OUT, NO_START, "<tool_call>\n", "</tool_result>", "text\n"])
    | st.text(max_size=10)
).map("".join)


@given(st.sampled_from(["system", "user", "assistant", "tool"]), texts)
def test_the_parts_of_a_message_are_the_message(speaker: str, value: str) -> None:
    parts = list(parts_of(speaker, value))  # type: ignore[arg-type]
    assert "".join(text for _, text in parts) == value
    assert is_cut(speaker, value) == any(kind == "elided" for kind, _ in parts)  # type: ignore[arg-type]


@given(st.lists(texts, min_size=1, max_size=4))
def test_embedded_rows_say_what_the_rows_say_and_cannot_end_a_script(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    row = make_row("</script><!--<script>\u2028")
    row["conversations"][1:4] = [turn("human", value) for value in values]
    shown = pick_rows(write_build(tmp_path_factory.mktemp("build"), {"train": [row]}), ALL)
    text = embed(shown)
    assert json.loads(text) == json.loads(msgspec.json.encode(shown))
    assert not set(text) & {"<", "\u2028", "\u2029"}


def test_calls_results_and_left_out_text_are_told_apart() -> None:
    assert list(parts_of("assistant", f"Look.\n{CALL}\n{CALL}")) == [
        ("text", "Look.\n"),
        ("call", CALL),
        ("text", "\n"),
        ("call", CALL),
    ]
    assert list(parts_of("user", f"<tool_result>\na\n{CUT}\nb\n</tool_result>")) == [
        ("result", "<tool_result>\na\n"),
        ("elided", CUT),
        ("result", "\nb\n</tool_result>"),
    ]


def test_the_marks_of_left_out_text_are_those_that_are_written() -> None:
    [cut] = load_counter("Qwen/Qwen2.5-7B-Instruct").cut_middle(["one two three " * 400], [64])
    for text in (cut, f"Go on.\n\n{LEFT_OUT}", NO_START):
        assert is_cut("user", text)
    assert not is_cut("user", "Nothing [...] is left out here.")


def test_a_model_that_quotes_a_mark_is_not_cut() -> None:
    assert list(parts_of("assistant", f"It says {CUT}.")) == [("text", f"It says {CUT}.")]


def test_both_forms_of_a_row_have_the_same_messages() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "Bash", "arguments": {"command": "gt hook"}}}
    native = [
        {"role": "system", "content": "[GAS TOWN ROLE: mayor] You are the mayor.", "train": False},
        {"role": "user", "content": "Check your hook.", "train": False},
        {"role": "assistant", "content": "Looking at the hook.", "tool_calls": [call], "train": False},
        {"role": "tool", "content": "Nothing on hook", "tool_call_id": "1", "train": False},
        {"role": "user", "content": "And now?", "train": False},
        {"role": "assistant", "content": "The hook is empty, so I wait.", "train": True},
    ]
    of_xml = list(messages_of(msgspec.convert(make_row(), WrittenRow)))
    about = msgspec.convert(make_row()["metadata"], Metadata)
    of_native = list(messages_of(NativeRow(json.dumps(native), "[]", about)))
    assert of_native[2:4] == [("assistant", f"Looking at the hook.\n{CALL}", False), ("tool", RESULT, False)]
    assert [of_native[at] for at in (0, 1, 2, 5)] == [of_xml[at] for at in (0, 1, 2, 4)]
    assert calls_in(of_native[2][1]) == ["Bash"]


def town_of(tmp_path: Path, count: int) -> Path:
    """A build with rows of two roles in two splits."""
    kinds = [("train", "mayor"), ("train", "crew"), ("val", "mayor")]
    made: dict[str, list[Row]] = {"train": [], "val": []}
    for split, role in kinds:
        made[split] += [make_row(f"{role}-{split}-{n}", role=role) for n in range(count)]
    return write_build(tmp_path / "town", made)


def test_few_rows_are_shown_in_the_order_of_the_build(tmp_path: Path) -> None:
    ids = [row.id for row in pick_rows(town_of(tmp_path, 4), ALL)]
    assert ids == [f"{kind}-{n}" for kind in ("mayor-train", "crew-train", "mayor-val") for n in range(4)]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_of_many_rows_a_bounded_sample_takes_every_role_and_split_in_turn(tmp_path: Path, share: float) -> None:
    folder = town_of(tmp_path, 30)
    size = sum(len(text) for row in pick_rows(folder, ALL) for message in row.messages for _, text in message.parts)
    budget = int(size * share)
    rows = pick_rows(folder, budget)
    assert sum(len(text) for row in rows for message in row.messages for _, text in message.parts) <= budget
    counts = Counter((row.role, row.split) for row in rows)
    assert len(counts) == 3 and max(counts.values()) - min(counts.values()) <= 1
    assert len(rows) == int(90 * share)
    assert rows == pick_rows(folder, budget)


@pytest.fixture
def build(tmp_path: Path) -> Path:
    hostile = make_row("hostile", role="crew", session_id="<img src=x onerror=y>", source="</script>")
    hostile["conversations"][1] = turn("human", "</script><img src=x onerror=y> <!-- \u2028")
    hostile["conversations"][4] = turn("gpt", CALL.replace("Bash", "<script>"), train=True)
    mayors = [make_row(f"m{n}", tokens=300 * n + 100) for n in range(5)]
    return write_build(
        tmp_path / "town", {"train": [*mayors, hostile], "val": [make_row("v", role="dog")]}, sample=True
    )


def test_the_page_is_whole_and_loads_nothing(build: Path) -> None:
    text = build_report(build)
    page = Page(text)
    assert all(address.startswith("#") for address in page.addresses)
    assert page.tags["img"] == page.tags["link"] == page.tags["iframe"] == 0
    assert page.tags["script"] == 2
    assert "url(" not in text and "@import" not in text and "{{" not in text and "://" not in text
    assert not [name for name, _ in page.attributes if name == "style" or name.startswith("on")]


def test_only_the_scripts_and_styles_of_the_page_may_run(build: Path) -> None:
    policy = next(value for _, value in Page(build_report(build)).attributes if value.startswith("default-src"))
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/=]+'; script-src 'sha256-[\w+/=]+'; base-uri 'none'", policy
    )


def test_the_page_shows_numbers_and_drops(build: Path) -> None:
    page = Page(build_report(build))
    headings = {"Splits", "Roles", "Length", "Quality", "What the score knows", "Tools", "Not trained, and why"}
    assert headings | {"What was read", "Redactions", "Largest sessions", "Rows"} == set(page.texts["h2"])
    assert {"7", "3"} <= set(page.texts["b"])
    labels = set(page.texts["th"])
    assert {"too short", "synthetic", "mayor", "<script>", "secret", "not closed", "results"} <= labels
    assert {"0.7 to 0.8: 7 rows", "1 to 256: 3 rows"} <= set(page.texts["title"])
    assert {"4 (100.0 %)", "7 (70.0 %)", "100.0 % of rows, 1.00 on average"} <= set(page.texts["td"])
    assert any("sample town" in text for text in page.texts["p"])


def test_what_the_data_says_is_text_and_never_markup(build: Path) -> None:
    page = Page(build_report(build))
    assert "<img src=x onerror=y>" in page.texts["a"]
    row = next(row for row in page.rows if row["id"] == "hostile")
    assert row["messages"][1] == ["user", False, [["text", "</script><img src=x onerror=y> <!-- \u2028"]]]  # type: ignore[index]
    assert row["tools"] == ["<script>", "Bash"]


def test_balance_is_shown_before_and_after(tmp_path: Path) -> None:
    page = Page(build_report(balanced_build(tmp_path / "town")))
    assert "Balance" in page.texts["h2"]
    at = page.texts["td"].index("3")
    assert page.texts["td"][at : at + 4] == ["3", "1", "2", "60"]


def test_a_page_with_a_sample_says_so(build: Path) -> None:
    page = Page(build_report(build, megabytes=0.001))
    assert 0 < len(page.rows) < 7
    assert any(text.startswith(f"{len(page.rows)} of 7 rows: a fixed sample") for text in page.texts["p"])
    assert any(text.startswith("All 7 rows") for text in Page(build_report(build)).texts["p"])


def test_a_build_without_rows_still_has_a_page(tmp_path: Path) -> None:
    page = Page(build_report(write_build(tmp_path / "town", {"train": []})))
    assert "Rows" not in page.texts["h2"]
    assert "script" not in page.tags
    assert "Not trained, and why" in page.texts["h2"]


def test_the_command_writes_the_page_and_nothing_else(build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = build.parent / "pages" / "town.html"
    assert report.main([str(build), "--out", str(out), "--megabytes", "0.001"]) == 0
    assert capsys.readouterr().out == f"wrote {out}: open it in a browser\n"
    assert [path.name for path in out.parent.iterdir()] == ["town.html"]
    assert len(Page(out.read_text("utf-8")).rows) < 7


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
    (build.parent / "folder").mkdir()
    assert report.main([str(build), "--out", str(build.parent / "folder")]) == 1
    assert not list(build.parent.glob("*.html"))
