"""The source of vaults: every note has one fate, every reflection one answer, whatever the notes hold."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from data.config import VaultConfig
from data.extract import vault
from data.extract.unit import SourceError
from data.extract.vault_embeds import INDEX
from data.extract.vault_note import Unread
from data.extract.vault_pieces import MOST
from data.extract.vault_questions import MORE
from data.extract.vault_survey import Reason
from data.record import Assistant, Conversation, Drop, User
from data.sample.disk import replace_folder
from data.sample.vault import build_vault
from data.stage import Ledger
from data.stages import read_unit
from tests.small_build import build, lines

DEFAULT = VaultConfig()
SAID = "The small steps are what carries me through a long winter, more than any plan does."
OTHER = "Whoever asks first learns more than whoever answers first, and it costs nothing at all."


def write(folder: Path, notes: Mapping[str, str | bytes]) -> Path:
    for name, text in notes.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def read(folder: Path, config: VaultConfig = DEFAULT, role: str = "companion") -> list[Conversation | Drop]:
    units = [replace(unit, vault=config) for unit in vault.units(folder, role)]
    return [outcome for unit in units for outcome in vault.read(unit)]


def made(outcomes: list[Conversation | Drop]) -> list[Conversation]:
    return [outcome for outcome in outcomes if isinstance(outcome, Conversation)]


def drops(outcomes: list[Conversation | Drop]) -> list[Drop]:
    return [outcome for outcome in outcomes if isinstance(outcome, Drop) and outcome.reason != "used"]


def answers(folder: Path, notes: Mapping[str, str | bytes]) -> list[str]:
    """What is learned of some notes, the turns of one reflection together."""
    return ["\n\n".join(trained(one)) for one in made(read(write(folder, notes)))]


def trained(conversation: Conversation) -> list[str]:
    return [message.text for message in conversation.messages if isinstance(message, Assistant) and message.train]


def asked(conversation: Conversation) -> list[str]:
    return [message.text for message in conversation.messages if isinstance(message, User)]


# What notes are made of, in any order and number.
PARTS = st.sampled_from(
    [
        *("---\n", "tags: [reflection]\n", "tags: x, insight\n", "date: 2024-03-01\n", "date: [\n", "#insight\n"),
        *("#decision/home ", "# Heading\n", "## Journal\n", "### A #learning\n", SAID, OTHER, "I think ", "What if "),
        *("\n", "\n\n", "- ", "- [ ] ", "> ", "> [!note] Title\n", "```\n", "    ", "%%", "<%", "%>", "{{date}}"),
        *("![[a]]", "![[b#Heading]]", "![[c#^x]]", " ^x\n", "![[p.png]]", "[[a|b]]", "[[", "]]", "| a | b |\n"),
        *("|---|---|\n", "mood:: 7\n", "\r\n", "\ufeff", "\ufffd", "\0", "é", "日本語", "==", "`", "#"),
    ]
)
NOTES = st.lists(st.lists(PARTS, max_size=14).map("".join), min_size=1, max_size=5)


@settings(max_examples=120, deadline=None)
@given(NOTES)
def test_every_note_has_one_fate_and_the_books_balance(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    folder = write(
        tmp_path_factory.mktemp("v"), {f"{name}.md": text for name, text in zip("abcde", texts, strict=False)}
    )
    ledger = Ledger()
    outcomes = [outcome for unit in vault.units(folder, "") for outcome in read_unit(unit, ledger)]
    assert sum(ledger.records["vault"].values()) == len(texts)
    conversations = made(outcomes)
    assert ledger.read.said == sum(len(text) for c in conversations for text in trained(c)) + sum(
        drop.tally.said for drop in drops(outcomes)
    )
    ids = [message.id for c in conversations for message in c.messages if isinstance(message, Assistant)]
    assert len(ids) == len(set(ids))
    for conversation in conversations:
        assert all(text == text.strip() and text and "\ufffd" not in text for text in trained(conversation))
        assert all(text.strip() for text in asked(conversation))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(tmp_path_factory: pytest.TempPathFactory, one: bytes, two: bytes) -> None:
    folder = write(
        tmp_path_factory.mktemp("v"),
        {"a.md": b"#insight\n" + one, "b.md": b"---\n" + two + b"\n---\n## Journal\n" + two},
    )
    assert sum(o.records for o in read(folder) if isinstance(o, Drop)) == 2


@settings(max_examples=40, deadline=None)
@given(st.permutations("abcde"), st.integers(0, 4))
def test_a_reflection_keeps_its_name_question_and_group_when_the_vault_grows(
    tmp_path_factory: pytest.TempPathFactory, order: list[str], kept: int
) -> None:
    folder = tmp_path_factory.mktemp("v")
    notes = {f"{name}.md": f"# A #insight\n{SAID} Number {name}." for name in "abcde"}
    before = {c.id: c for c in made(read(write(folder / "v", notes)))}
    some = {f"{name}.md": f"Above.\n\n{notes[f'{name}.md']}" for name in order[: kept + 1]}
    after = made(read(write(folder / "moved" / "v", some | {"new.md": f"#insight\n{OTHER}"})))
    assert len(before) == 5 and len(after) == kept + 2
    for conversation in after:
        if (same := before.get(conversation.id)) is not None:
            assert asked(same) == asked(conversation)
            assert same.origin.group == conversation.origin.group
    assert len({c.id for c in after} & set(before)) == kept + 1


FATES: dict[str, tuple[str | bytes, str]] = {
    "a.md": ("", Reason.EMPTY),
    "b.md": ("Milk and bread.\n", Reason.NO_REFLECTION),
    "c.md": ("---\ntags: [insight\n---\nMilk.\n", Reason.BROKEN_FRONT),
    "d.md": ("#insight\nToo few words.\n", Reason.TOO_SHORT),
    "e.md": (b"#insight\n" + SAID.encode() + b" \xff\xfe", Reason.BROKEN_TEXT),
    "Templates/f.md": (f"#insight\n{SAID}", Reason.LEFT_OUT),
    "g.md": (b"#insight\0" + SAID.encode(), Unread.NOT_TEXT),
    "h.md": (f"#insight\n{SAID}" + " " * 900_000, Unread.TOO_LARGE),
}


@pytest.mark.parametrize("name", FATES)
def test_a_note_that_gives_nothing_is_set_aside_by_name(tmp_path: Path, name: str) -> None:
    text, reason = FATES[name]
    (drop,) = read(write(tmp_path, {name: text}), VaultConfig(max_bytes=100_000))
    assert isinstance(drop, Drop)
    assert (drop.stage, drop.reason, drop.records) == ("vault", reason.value, 1)
    assert drop.file == str(tmp_path / name)
    assert SAID not in drop.detail


def test_what_is_said_twice_in_a_note_is_learned_once(tmp_path: Path) -> None:
    outcomes = read(write(tmp_path, {"a.md": f"# A #insight\n{SAID}\n# B #insight\n{SAID}\n"}))
    (drop,) = drops(outcomes)
    assert (len(made(outcomes)), drop.reason, drop.records, drop.tally.said) == (1, Reason.REPEATED.value, 0, len(SAID))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_note_that_must_not_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"a.md": f"#insight\n{SAID}"})
    (tmp_path / "a.md").chmod(0)
    (drop,) = read(tmp_path)
    assert isinstance(drop, Drop) and drop.reason == Unread.UNREADABLE


def test_a_note_that_vanished_is_named(tmp_path: Path) -> None:
    (unit,) = vault.units(write(tmp_path, {"a.md": f"#insight\n{SAID}"}), "")
    (tmp_path / "a.md").unlink()
    (drop,) = vault.read(unit)
    assert isinstance(drop, Drop) and drop.reason == Unread.UNREADABLE


def test_broken_front_matter_costs_nothing_of_the_body_and_is_noted(tmp_path: Path) -> None:
    (one,) = made(read(write(tmp_path, {"a.md": f"---\ntags: [insight\n---\n## Reflections\n{SAID}\n"})))
    assert trained(one) == [SAID]
    assert [(note.stage, note.reason) for note in one.notes] == [("vault", "broken front matter")]


def test_a_reflection_carries_its_note_tags_and_day(tmp_path: Path) -> None:
    note = f"---\ntags: decision, life/big\n---\n# Decision: The flat\n{SAID} #home\n"
    (one,) = made(read(write(tmp_path, {"Notes/2024-03-01 flat.md": note})))
    note = "Notes/2024-03-01 flat.md"
    assert one.about == {"source_file": note, "tags": "decision, life/big, home", "date": "2024-03-01"}
    assert (one.role, one.origin.started, one.origin.lines) == ("companion", "2024-03-01T00:00:00Z", (4, 6))
    assert "The flat" in asked(one)[0]
    assert trained(one) == [SAID]


def test_the_question_is_about_the_nearest_heading_and_one_item_alone_is_no_list(tmp_path: Path) -> None:
    notes = {"a.md": f"#insight\n# The year\n## The garden\n{SAID}", "b.md": f"Plain.\n\n- What if {OTHER}\n- plain"}
    told = {trained(one)[0]: asked(one)[0] for one in made(read(write(tmp_path, notes)))}
    assert [*told] == [SAID, f"What if {OTHER}"]
    assert "The garden" in told[SAID]


def test_notes_that_show_each_other_are_in_one_group_and_others_are_not(tmp_path: Path) -> None:
    notes = {
        "a/one.md": f"#insight\n{SAID}\n\n![[two]]",
        "b/two.md": f"#insight\n{OTHER}",
        "b/three.md": f"#insight\n{OTHER} And so on.",
        "index.md": "\n".join(["![[one]]", "![[three]]"] * INDEX),
    }
    groups = {c.about["source_file"]: c.origin.group for c in made(read(write(tmp_path, notes)))}
    assert groups["a/one.md"] == groups["b/two.md"] != groups["b/three.md"]
    assert all(c.origin.session != c.origin.group for c in made(read(tmp_path)) if c.about["source_file"] == "b/two.md")


def test_a_long_note_is_cut_at_its_headings_and_a_long_section_told_in_turns(tmp_path: Path) -> None:
    paragraphs = [f"{SAID} This is number {n}." for n in range(60)]
    note = "#insight\n# First\n" + "\n\n".join(paragraphs[:10]) + "\n# Second\n" + "\n\n".join(paragraphs[10:])
    first, second = made(read(write(tmp_path, {"a.md": note})))
    assert "\n\n".join(trained(first)).split("\n\n") == paragraphs[:10]
    assert "\n\n".join(trained(second)).split("\n\n") == paragraphs[10:]
    assert len(trained(first)) == 1 and len(trained(second)) > 1
    assert all(len(text) <= MOST for text in trained(second))
    assert set(asked(second)[1:]) <= set(MORE)
    assert "First" in asked(first)[0] and "Second" in asked(second)[0]


def test_a_line_that_a_template_repeats_is_nobodys_and_one_that_stands_in_few_notes_is_kept(tmp_path: Path) -> None:
    prompt, told = (
        "How did I take care of myself today?",
        [f"{SAID} {word}" for word in ("Yes.", "No.", "So.", "Ah.", "Oh.")],
    )
    notes = {f"{number}.md": f"## Journal\n{prompt}\n{text}" for number, text in enumerate(told)}
    few = dict(list(notes.items())[:4])
    assert answers(tmp_path / "many", notes) == told
    assert answers(tmp_path / "few", few) == [f"{prompt}\n{text}" for text in told[:4]]
    copies = {f"copy {number}.md": notes["0.md"] for number in range(9)}
    assert answers(tmp_path / "copies", copies) == [f"{prompt}\n{told[0]}"] * 9


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), r"holds no note"),
        (lambda path: write(path, {"a.txt": SAID}), r"holds no note"),
        (lambda path: path.write_text(SAID), "is not a folder"),
    ],
)
def test_what_is_no_vault_is_one_sentence_with_the_fix(tmp_path: Path, prepare: Any, words: str) -> None:
    prepare(tmp_path / "v")
    with pytest.raises(
        SourceError, match=rf"^\S+ {words}[^\n]*\. Give the folder of an Obsidian vault, or remove the source\.$"
    ):
        list(vault.units(tmp_path / "v", ""))


def test_the_sample_vault_becomes_rows_that_name_their_notes_and_nobody_is_lost(tmp_path: Path) -> None:
    replace_folder(tmp_path / "vault", build_vault(300))
    (tmp_path / "projects").mkdir()
    source = {"kind": "vault", "path": str(tmp_path / "vault"), "role": "companion"}
    companion = {"companion": {"system": "You think as I do."}}
    assert build(tmp_path, companion, sources=[source]) == 0
    ledger = json.loads((tmp_path / "out" / "ledger.json").read_text("utf-8"))
    rows = [row for split in ("train", "val", "test") for row in lines(tmp_path, f"companion_{split}.jsonl")]
    assert sum(ledger["records"]["vault"].values()) == sum(name.endswith(".md") for name in build_vault(300))
    assert len(rows) >= 100
    assert sum(len(stage["left"]) for stage in ledger["stages"].values()) == 0
    told = [row["metadata"]["about"] for row in rows]
    assert all(re.fullmatch(r'\{"source_file": ".+\.md", "tags": ".*", "date": "[\d-]*"\}', about) for about in told)
    texts = [turn["value"] for row in rows for turn in row["conversations"] if turn["train"]]
    assert not [
        text for text in texts if re.search(r"\[\[|\]\]|\{\{|<%|dataview|mood::|How did I take care|^\| habit", text)
    ]
    questions = Counter(row["conversations"][1]["value"] for row in rows)
    assert max(questions.values()) <= 5
