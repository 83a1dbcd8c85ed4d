"""How a note of a vault is read: tags, days, links, embeds, what nobody said, and what counts as a reflection."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data.config import VaultConfig
from data.extract.vault_dates import day_in, day_of, spoken, without_day
from data.extract.vault_embeds import INDEX, LONGEST, Embeds
from data.extract.vault_links import Names, embeds_in, linked, target_of
from data.extract.vault_note import MOST_FRONT, parse, read_text
from data.extract.vault_pieces import MOST, turns_of, words_in
from data.extract.vault_questions import ABOUT, OPEN, Kind, kind_of, question, topic_of
from data.extract.vault_reflections import JOURNAL, could_reflect, find
from data.extract.vault_tags import matching, tags_in, tags_of, without_tags
from data.extract.vault_text import line_key, tidy

CONFIG = VaultConfig()
days = st.dates(date(1900, 1, 1), date(2099, 12, 31))
texts = st.text(st.characters(codec="utf-8"), max_size=80)


def plain(text: str) -> str:
    return tidy(text.split("\n"), lambda inner: f"<{inner}>")


def found(text: str, config: VaultConfig = CONFIG) -> list[tuple[str, str]]:
    """What is found in a note: the sign, and the text."""
    note = parse(text)
    return [(one.sign, plain("\n".join(note.lines[one.start : one.end]))) for one in find(note, config)]


FORMS = (
    *("{0:%Y-%m-%d}", "{0:%Y%m%d}", "{0:%Y.%m.%d}", "{0:%Y_%m_%d}", "{0:%Y%m%d}1530", "{0:%Y-%m-%d}T10:00"),
    *("{0:%B} {0.day}, {0.year}", "{0:%b} {0.day}th {0.year}", "{0.day} {0:%B} {0.year}", "{0.year} {0:%B} {0.day}"),
)


@given(days, st.sampled_from(FORMS), st.sampled_from(["", "note ", "a - "]), st.sampled_from(["", " evening", " (2)"]))
def test_a_day_is_understood_in_every_usual_form(day: date, form: str, before: str, after: str) -> None:
    assert day_in(f"{before}{form.format(day)}{after}") == day.isoformat()


@given(texts)
def test_any_text_is_a_day_or_none_and_has_something_beside_it(text: str) -> None:
    day = day_in(text)
    assert not day or spoken(date.fromisoformat(day).isoformat())
    assert len(without_day(text)) <= len(text)


@pytest.mark.parametrize(
    ("front", "path", "day"),
    [
        ({"date": "2024-02-03"}, "2024-03-01.md", "2024-02-03"),
        ({"Created": "2024-02-03T10:15"}, "a.md", "2024-02-03"),
        ({"date": "soon", "created": "3 Feb 2024"}, "a.md", "2024-02-03"),
        ({"date": ["2024-02-03"]}, "a.md", "2024-02-03"),
        ({}, "Daily/2024/03-March/01 Fri.md", "2024-03-01"),
        ({}, "Weekly/2024-W09.md", "2024-02-26"),
        ({}, "Friday, March 1st, 2024.md", "2024-03-01"),
        ({}, "2024-13-01.md", ""),
        ({}, "Room 20240 at 12.md", ""),
        ({}, "2023-02-30.md", ""),
    ],
)
def test_front_matter_says_the_day_before_the_name_does(front: dict[str, object], path: str, day: str) -> None:
    assert day_of(front, PurePosixPath(path)) == day


@pytest.mark.parametrize(
    ("line", "tags"),
    [
        ("#reflection and #work/review-2", ["reflection", "work/review-2"]),
        ("# Reflection", []),
        ("see https://a.io/#reflection or a#b or [x](#reflection)", []),
        ("`#reflection` and `so is #insight here` are code, #1984 a number, #y1984 a tag", ["y1984"]),
        ("(#reflection) stands in brackets, ##reflection is none", []),
        ("#日記 #über/uns", ["日記", "über/uns"]),
    ],
)
def test_tags_are_told_from_headings_addresses_code_and_numbers(line: str, tags: list[str]) -> None:
    assert tags_in(line) == tags


@pytest.mark.parametrize(
    ("front", "tags"),
    [
        ("tags: [a, b/c]", ["a", "b/c"]),
        ("tags: a, '#b', a", ["a", "b"]),
        ("Tags:\n  - '#a'\n  - b\n  - 7", ["a", "b", "7"]),
        ("tag: one two", ["one", "two"]),
        ("tags: {a: b}", []),
        ("tags:", []),
    ],
)
def test_front_matter_may_write_tags_in_every_usual_form(front: str, tags: list[str]) -> None:
    assert tags_of(parse(f"---\n{front}\n---\n").front) == tags


def test_a_nested_tag_counts_as_the_one_above_it_and_case_does_not_count() -> None:
    assert matching(["x", "Reflection/Work"], CONFIG.tags) == "reflection"
    assert matching(["work/reflection", "reflections"], CONFIG.tags) == ""
    assert matching(["work/review/2024"], ["work/Review"]) == "work/Review"


def test_tags_at_the_ends_of_a_line_go_and_those_within_become_words() -> None:
    assert without_tags("- #insight It is #fun to see. #a/b #c") == "- It is fun to see."


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("with [[Anna Berg|Anna]] and [[People/Ben]]", "with Anna and Ben"),
        ("see [[Note#Part one]], [[#Here]] and [[Note#^a1]]", "see Note > Part one, Here and Note"),
        ("| [[a\\|b]] |", "| b |"),
        ('[text](https://a.io/x_(y) "t") ![alt](p.png) ![[p.png|300]]after', "text  after"),
        ("[[unclosed and [ordinary] (text)", "[[unclosed and [ordinary] (text)"),
    ],
)
def test_links_become_their_text_and_pictures_nothing(line: str, text: str) -> None:
    assert linked(line) == text


BOILERPLATE = [
    *(
        "- [ ] buy milk",
        "- [x] done",
        "1. [-] dropped",
        "-",
        "---",
        "* * *",
        "#daily #home",
        "[^1]: a book",
        "> [!note]",
    ),
    *("mood:: 7", "- **sleep**:: 6.5 h", "![pic](a.png)", "- [[Trust]]", "<< [[2024-02-29]] | [[2024-03-02]] >>"),
    *("← [Previous](a.md) · [[Home]] · Next: [[b]] →", "| a | b |\n|---|---|\n| run | x |\n| read | |"),
    *("%% hidden\nlines %%", "<!-- note -->", "{{date}}", "<% tp.date.now() %>", "`= this.file.name`"),
    *("```dataview\nLIST\n```", "~~~\n#insight\n~~~", "````\n```\n````", "    indented code", "\tindented code"),
]


@pytest.mark.parametrize("lines", BOILERPLATE)
def test_what_nobody_said_is_left_out(lines: str) -> None:
    assert plain("\n".join(parse(f"Before.\n\n{lines}\n\nAfter.").lines)) == "Before.\n\nAfter."


def test_headings_without_text_below_are_left_out() -> None:
    assert plain("# A\n## B\n### C\nsaid\n## D\n### E\n# F\n- [ ] buy milk") == "# A\n## B\n### C\nsaid"
    assert plain("# A\n## B\n### C\n## D\nsaid") == "# A\n## D\nsaid"


@pytest.mark.parametrize(
    "text",
    [
        "- one\n- two\n    - two and a half",
        "1. first\n\n    still first",
        "> What others said stays a quote.",
        "## Heading\nwith text\n### Below\nwith more",
        "| who | what |\n|---|---|\n| Anna | asks first |",
        "**Bold** and *italic*, `code` and 2 * 3 = 6.",
        "Paragraph\n    that goes on indented.",
        "Mood:: a word that stands here for more than a number, said in a sentence.",
    ],
)
def test_what_somebody_wrote_stays_readable_markdown(text: str) -> None:
    assert plain("\n".join(parse(text).lines)) == text


def test_a_callout_keeps_its_title_and_text_and_marks_go() -> None:
    text = "> [!tip]- Remember\n> Ask ==twice==.[^2]\n> > nested ^b1\nNot it (mood:: good)."
    assert plain(text) == "**Remember**\nAsk twice.\nnested\nNot it."


def test_an_embed_stands_for_its_text_on_a_line_of_its_own_only() -> None:
    assert plain("Before ![[Note]] there.\n- ![[Other]]") == "Before Note there.\n\n<Other>"


@given(texts.filter(lambda text: not text.startswith("#")))  # a heading has none
@example("AAA\x80")
def test_the_same_line_with_other_marks_and_days_has_the_same_key(text: str) -> None:
    assert line_key(f"- **{text}** 12") in (line_key(text), "")


FOUND: dict[str, list[tuple[str, str]]] = {
    "---\ntags: [daily, insight]\n---\n# One\na\n# Two\nb": [("insight", "# One\na\n# Two\nb")],
    "#decision\n\na\n\nb": [("decision", "a\n\nb")],
    "# T\na\n## B #learning\nb\n### C\nc\n## D\nd": [("learning", "b\n### C\nc")],
    "# T\na\n## B\nb #learning\n### C\nc": [("learning", "b")],
    "## B #learning\nb\n### C #insight\nc\n## D #decision\nd": [("learning", "b\n### C\nc"), ("decision", "d")],
    "# T\na\n## Evening reflection\nb\n### C\nc\n# D": [(JOURNAL, "b\n### C\nc")],
    "# T\nPlain.\n\nBut I think so.\nStill so.\n\nPlain again.": [("I think", "But I think so.\nStill so.")],
    "I wonder why.\n\nLooking back, because.\n\nPlain.": [("I wonder", "I wonder why.\n\nLooking back, because.")],
    "- plain\n- I realized it\n  late\n- plain": [("I realized", "- I realized it\n  late")],
    "> I think somebody else said this": [],
    "`I think` is the name of #a thing": [],
    "## Lesson plan\nPage 3.": [],
    "## Evening class notes\nBring a pen.": [],
    "## Lessons learned\nAsk first.": [(JOURNAL, "Ask first.")],
    "## Evening, 3 May\nQuiet.": [(JOURNAL, "Quiet.")],
    "## Not a journal\n```\n#insight I think\n```": [],
    "The analysis of a decision is no tag": [],
}


@pytest.mark.parametrize("text", FOUND)
def test_tags_headings_and_phrases_mark_what_they_stand_for(text: str) -> None:
    assert found(text) == FOUND[text]
    assert could_reflect(text, CONFIG) or not FOUND[text]


def test_tags_phrases_and_journals_are_configured() -> None:
    config = VaultConfig(tags=("#til",), phrases=("mir scheint",), journals="^Tagebuch")
    text = "# A\nx #til\n# B\nMir  scheint es so.\n# Tagebuch\nc\n# D\nI think #insight"
    assert [sign for sign, _ in found(text, config)] == ["til", "Mir scheint", JOURNAL]
    assert found("I think #til", VaultConfig(tags=(), phrases=(), journals="(?!)")) == []


def embedder(folder: Path, notes: dict[str, str]) -> Embeds:
    for name, text in notes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return Embeds(folder, Names(map(PurePosixPath, notes)), 10_000)


def shown(embeds: Embeds, name: str, lines: Sequence[str]) -> list[str]:
    embed = embeds.of(PurePosixPath(name), lines)
    return [embed(inner) for line in lines for inner in embeds_in(line)]


def test_embeds_show_a_note_a_section_or_a_block(tmp_path: Path) -> None:
    core = "The core.\n\nA block\nof two lines. ^b1\n- item ^b2\n### Below\nb"
    note = f"---\ntags: x\n---\nTop.\n## Core (1)\n{core}\n## End\ne"
    embeds = embedder(tmp_path, {"a.md": "", "sub/Note.md": note})
    lines = [
        "![[Note#Core 1]]",
        "![[sub/Note#^b1|x]]",
        "![[note#^b2]]",
        "![[Note#Nowhere]]",
        "![[Nobody]]",
        "![[p.png]]",
    ]
    section = "The core.\n\nA block\nof two lines.\n- item\n### Below\nb"
    assert shown(embeds, "a.md", lines) == [section, "A block\nof two lines.", "- item", "", "", ""]


def test_embeds_come_to_an_end_and_an_index_shows_names(tmp_path: Path) -> None:
    notes = {f"{n}.md": f"Level {n}.\n\n![[{n + 1}]]" for n in range(6)} | {
        "x.md": "X.\n\n![[y]]",
        "y.md": "Y.\n\n![[x]]",
    }
    embeds = embedder(tmp_path, notes)
    assert shown(embeds, "0.md", ["![[1]]"]) == ["Level 1.\n\nLevel 2.\n\nLevel 3."]
    assert shown(embeds, "x.md", ["![[y]]", "![[x]]"]) == ["Y.", ""]
    assert shown(embeds, "0.md", [f"![[{n % 6}]]" for n in range(INDEX + 1)]) == [str(n % 6) for n in range(INDEX + 1)]


def test_a_note_does_not_show_itself_from_within_a_part_and_a_long_one_is_shown_in_part(tmp_path: Path) -> None:
    paragraph = "word " * 200
    notes = {"x.md": "", "a.md": "Top.\n## S\nIn S.\n\n![[a]]", "long.md": f"{paragraph}\n\n" * 30}
    embedder(tmp_path, notes)
    embeds = Embeds(tmp_path, Names(map(PurePosixPath, notes)), 10**6)
    assert shown(embeds, "x.md", ["![[a#S]]"]) == ["In S."]
    (cut,) = shown(embeds, "x.md", ["![[long]]"])
    assert cut.split("\n\n") == [paragraph.strip()] * (LONGEST // (len(paragraph) + 1))


names = st.lists(st.sampled_from(["A.md", "x/A.md", "x/y/A.md", "y/a.md", "B.md", "x/B.md"]), unique=True)


@given(
    names, names, st.sampled_from(["A", "a", "x/A", "y/A", "x/y/a", "B", "C", ""]), st.sampled_from(["B.md", "x/n.md"])
)
def test_a_name_means_the_same_among_some_notes_as_among_all(
    all_of: list[str], some: list[str], name: str, source: str
) -> None:
    everything, where = list(map(PurePosixPath, all_of)), PurePosixPath(source)
    meant = Names(everything).find(name, where)
    part = [note for note in everything if str(note) in some]
    assert Names(part).find(name, where) == meant or meant not in part


def test_the_nearest_note_of_a_name_is_meant() -> None:
    notes = Names(map(PurePosixPath, ["A.md", "x/A.md", "Caf\u00e9.md", "C# notes.md"]))
    assert notes.find("a", PurePosixPath("x/b.md")) == PurePosixPath("x/A.md")
    assert notes.find("A", PurePosixPath("y/b.md")) == PurePosixPath("A.md")
    assert notes.find("Cafe\u0301", PurePosixPath("b.md")) == PurePosixPath("Caf\u00e9.md")
    assert target_of("x/A.md#One#Two|alias") == target_of("x/A#Two|alias")


@given(st.text(st.sampled_from("ab. \n日!"), max_size=400), st.integers(1, 40))
def test_turns_hold_every_word_in_order(text: str, times: int) -> None:
    turns = turns_of(text * times)
    assert "".join("".join(turns).split()) == "".join((text * times).split())
    assert all(0 < len(turn) <= MOST for turn in turns)


def test_a_turn_is_cut_between_paragraphs_else_sentences_and_ideographs_take_more_room() -> None:
    sentence, paragraph = f"{'word ' * 20}end.", "para " * 300
    assert turns_of(f"{paragraph}\n\n{paragraph}\n\n{paragraph}") == [paragraph.strip()] * 3
    assert all(turn.endswith("end.") for turn in turns_of(" ".join([sentence] * 100)))
    assert max(map(len, turns_of("日本語を書く。" * 500))) <= MOST // 3


def test_words_are_counted_where_nobody_writes_spaces_too() -> None:
    assert (words_in("one two  three"), words_in("日本語です。")) == (3, 3)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_questions_that_differ_with_and_without_a_topic(kind: Kind) -> None:
    assert len(set(ABOUT[kind])) >= 4 and len(set(OPEN[kind])) >= 2
    assert all(q.count("{topic}") == 1 for q in ABOUT[kind]) and all(q.count("{when}") == 1 for q in OPEN[kind])


SIGNS = {
    Kind.DECISION: ("decision", "Ultimately decided"),
    Kind.LEARNING: ("learning", "takeaway", "til"),
    Kind.INSIGHT: ("insight", "realization", "I realized"),
    Kind.ANALYSIS: ("analysis", "On one hand"),
    Kind.WONDERING: ("I wonder", "What if"),
    Kind.FEELING: ("I feel",),
    Kind.LOOKING_BACK: ("Looking back",),
    Kind.THOUGHT: ("reflection", "I think", "a tag of your own"),
}


@pytest.mark.parametrize(("sign", "kind"), [(sign, kind) for kind, signs in SIGNS.items() for sign in signs])
def test_the_question_fits_what_marks_the_reflection(sign: str, kind: Kind) -> None:
    assert kind_of(sign) is kind
    asked = {question(sign, ["Trust in teams"], "", str(key)) for key in range(60)}
    assert asked == {form.format(topic="Trust in teams") for form in ABOUT[kind]}


def test_a_question_asks_about_the_nearest_name_that_says_something_or_the_day() -> None:
    assert "Hiring" in question("decision", ["2024-03-01", "Decision: Hiring", "Other"], "", "k")
    assert "The long title" in question(JOURNAL, ["Evening reflection", "What I learned", "The long title"], "", "k")
    assert question("decision", ["2024-03-01"], "2024-03-01", "k").count("on 1 March 2024") == 1
    asked = question(JOURNAL, ["Lessons learned", "2024-03-01"], "", "k")
    assert asked in [form.format(when="") for form in OPEN[Kind.LEARNING]]


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        *(
            (text, "")
            for text in ("Lessons of the week", "2024-03-01 Friday", "Untitled 3", "...", "What I take from it")
        ),
        ("Reflection on {braces}", "{braces}"),
        ("2024-03-01 - The move", "The move"),
        ("Why trust is slow", "Why trust is slow"),
        ("a " * 60, ("a " * 40).strip()),
    ],
)
def test_a_topic_is_what_a_heading_says_beside_its_day_and_kind(text: str, topic: str) -> None:
    assert topic_of(text) == topic


@given(texts, texts)
def test_any_text_is_parsed_without_losing_a_line(front: str, body: str) -> None:
    text = f"---\n{front}\n---\n{body}"
    note = parse(text)
    assert note.first + len(note.lines) - 1 == text.count("\n") + 1


@pytest.mark.parametrize(
    "front",
    [
        "tags: [a",
        "a: b: c",
        "- a",
        "text",
        "? [a]: b\n: c: &a *b",
        f"a: {'x' * MOST_FRONT}",
        *(deep * (60_000 // len(deep)) for deep in ("[", "- ", "? ", "{a: ")),
    ],
)
def test_front_matter_that_is_no_mapping_is_broken_and_the_body_is_read(front: str) -> None:
    note = parse(f"---\n{front}\n---\nBody.")
    assert (note.front, note.broken, note.lines) == ({}, True, ["Body."])


def test_a_note_is_decoded_whatever_its_ends_of_line_and_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\xff")
    assert read_text(tmp_path / "a.md", 100) == "one\ntwo\nthree\ufffd"
