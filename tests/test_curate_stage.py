"""The curate stage: what people decided becomes of the windows, to the letter, and the books balance."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from data.config import ConfigError, CurationConfig, load_config
from data.curate.change import Change, Refused, apply, changed, ends_of, settle
from data.curate.decisions import Verdict, load_decisions
from data.curate.finding import progress
from data.curate.loading import load
from data.curate.measure import measured
from data.curate.rows import turns_of_row
from data.curate.store import Store
from data.curate.turns import Turn, key_of, turns_of
from data.forms import load_form
from data.record import Assistant, Conversation, Drop, Message, System, Tool, ToolCall, User
from data.stage import Ledger, run
from data.stages import Setting, Worker
from data.transform.chat_formatter import NativeRow, Row, to_native_row, to_row
from data.transform.curate import Reason, Tools, curate
from tests.curated import window
from tests.small_build import ROOT, build, lines, rows
from tests.transcripts import Script

XML = load_form("Qwen/Qwen2.5-7B-Instruct", "xml")

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(
        ["<tool_call>\n{}\n</tool_call>", "</tool_result>", "<|im_end|>", "<\\tool_call>", "a\r\nb", " x "]
    ),
)
said = texts.filter(lambda text: bool(text.strip()))
arguments = st.dictionaries(st.text("ab<|", max_size=3), texts | st.integers() | st.floats(-9, 9), max_size=2)


@st.composite
def windows(draw: st.DrawFn) -> Conversation:
    """A window as the chunker makes them: several texts of one side, calls with results, replies that train or not."""
    messages: list[Message] = [System("[TEST]"), *map(User, draw(st.lists(said, min_size=1, max_size=2)))]
    exchanges = draw(st.integers(1, 4))
    for number in range(exchanges):
        train = number == exchanges - 1 or draw(st.booleans())
        made = [ToolCall(f"{number}.{n}", "Bash", json.dumps(draw(arguments))) for n in range(draw(st.integers(0, 2)))]
        words = draw(st.lists(said, min_size=0 if made else 1, max_size=2)) or [""]
        for part, text in enumerate(words):
            calls = tuple(made) if part == len(words) - 1 else ()
            messages.append(Assistant(text, id=f"m{number}.{part}", calls=calls, train=train, said=len(text), chars=9))
        if number < exchanges - 1:
            messages += [Tool(call.id, call.name, draw(texts)) for call in made]
            messages += map(User, draw(st.lists(said, min_size=0 if made else 1, max_size=2)))
    base = Conversation("s1:0.0#0", window().origin, (), "mayor")
    counted, tokens = measured(messages, XML)
    return replace(base, messages=counted, tokens=tokens)


@st.composite
def changes(draw: st.DrawFn, turns: tuple[Turn, ...]) -> Change:
    """A change that an edit and a trim can make of turns."""
    last = draw(st.none() | st.sampled_from(ends_of(turns)))
    found = draw(st.dictionaries(st.integers(1, len(turns) - 1), said, max_size=3))
    return settle(turns, Change(found, last))


def as_read(row: Row | NativeRow) -> tuple[Turn, ...]:
    return turns_of_row(msgspec.json.decode(msgspec.json.encode(row), type=type(row)))


def everything(texts: Iterable[str]) -> dict[str, str]:
    return {text: text for text in texts}


def stage(verdicts: dict[str, Verdict], use: str = "all", **other: object) -> list[tuple[str, object]]:
    tools = Tools(XML, 4096, everything, lambda window: [window])
    config = msgspec.convert({"use": use}, CurationConfig)
    return [("curate", curate(config, verdicts, msgspec.structs.replace(tools, **other)))]


def key(of: Conversation) -> str:
    return key_of(of.role, turns_of(of.messages))


@given(windows())
def test_a_row_of_either_form_has_the_key_of_its_window(window: Conversation) -> None:
    turns = turns_of(window.messages)
    assert as_read(to_row(window)) == turns
    assert as_read(to_native_row(window)) == turns


@given(st.data())
def test_an_edited_text_stands_in_the_row_to_the_letter(data: st.DataObject) -> None:
    window = data.draw(windows())
    turns = turns_of(window.messages)
    change = data.draw(changes(turns))
    made = replace(window, messages=apply(window.messages, change)[0])
    for row in (to_row(made), to_native_row(made)):
        read = as_read(row)
        assert read == changed(turns, change)
        assert all(read[index].text == text for index, text in change.texts.items())


@given(st.data())
def test_the_books_balance_whatever_was_decided(data: st.DataObject) -> None:
    window = data.draw(windows())
    change = data.draw(changes(turns_of(window.messages)))
    verdicts = data.draw(st.sampled_from([{}, {key(window): Verdict(data.draw(st.booleans()), change)}]))
    ledger = Ledger()
    list(run([window], stage(verdicts, data.draw(st.sampled_from(["all", "approved"]))), ledger))
    account = ledger.account("curate")
    assert account.came.replies == account.went.replies + sum(one.replies for one in account.left.values())
    assert account.came.conversations == account.went.conversations + sum(
        one.conversations for one in account.left.values()
    )


@given(st.data())
def test_a_changed_window_is_counted_as_if_it_had_been_cut_that_way(data: st.DataObject) -> None:
    window = data.draw(windows())
    verdict = Verdict(change=data.draw(changes(turns_of(window.messages))))
    out = [one for one in run([window], stage({key(window): verdict}), Ledger()) if isinstance(one, Conversation)]
    messages, tokens = measured(out[0].messages, XML)
    assert (messages, tokens) == (out[0].messages, out[0].tokens)


def outcomes(verdict: Verdict, use: str = "all", **other: object) -> tuple[list[Conversation], dict[str, int]]:
    """What a window becomes, and the replies that left by reason."""
    one = replace(window(replies=3), messages=measured(window(replies=3).messages, XML)[0])
    ledger = Ledger()
    found = list(run([one], stage({key(one): verdict}, use, **other), ledger))
    left = {reason: tally.replies for reason, tally in ledger.account("curate").left.items()}
    return [one for one in found if isinstance(one, Conversation)], left


def test_a_rejected_window_leaves_by_name() -> None:
    assert outcomes(Verdict(reject=True)) == ([], {Reason.REJECTED: 3})


def test_an_approved_window_passes_as_it_is() -> None:
    kept, left = outcomes(Verdict(), "approved")
    assert left == {} and not any(note.stage == "curate" for note in kept[0].notes)


def test_an_undecided_window_leaves_only_where_approved_ones_are_used() -> None:
    one = window()
    assert list(run([one], stage({}), Ledger())) == [one]
    [drop] = run([one], stage({}, "approved"), Ledger())
    assert isinstance(drop, Drop) and drop.reason == Reason.UNDECIDED


def test_a_trimmed_reply_is_booked_and_the_rest_ends_with_a_reply_that_trains() -> None:
    kept, left = outcomes(Verdict(change=Change(last=2)))
    assert left == {Reason.TRIMMED: 2}
    assert kept[0].messages[-1] == measured(window(replies=3).messages, XML)[0][2]
    assert ("curate", "trimmed", 2) in [(note.stage, note.reason, note.count) for note in kept[0].notes]


def test_an_edit_is_noted_and_its_tokens_are_booked() -> None:
    kept, left = outcomes(Verdict(change=Change({6: "Short."})))
    assert ("curate", "edited", 1) in [(note.stage, note.reason, note.count) for note in kept[0].notes]
    assert kept[0].messages[-1] == replace(kept[0].messages[-1], text="Short.")
    assert left == {Reason.RECOUNTED: 0}


def test_an_edit_that_does_not_fit_leaves_by_name() -> None:
    assert outcomes(Verdict(change=Change({6: "word " * 99})), max_tokens=90) == ([], {Reason.TOO_LONG: 3})


def test_an_edit_that_repeats_a_scenario_leaves_by_name() -> None:
    def compare(window: Conversation) -> list[Drop]:
        return [Drop("overlap", "overlaps a scenario", window.id, "mayor.jsonl:1 one")]

    assert outcomes(Verdict(change=Change({6: "x"})), compare=compare) == ([], {Reason.OVERLAPS: 3})


def test_the_text_of_an_edit_is_redacted_like_any_other() -> None:
    def redact(texts: Iterable[str]) -> dict[str, str]:
        return {text: text.replace("hunter2", "[SECRET]") for text in texts}

    kept, _ = outcomes(Verdict(change=Change({6: "The word is hunter2."})), redact=redact)
    assert turns_of(kept[0].messages)[6].text == "The word is [SECRET]."


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (Change({0: "Be another."}), "system prompt is the configuration's"),
        (Change({1: " \n"}), "would be empty"),
        (Change({9: "x"}), "no message 9"),
        (Change({1: "\ud800"}), "half a character"),
        (Change(last=1), "cannot be the last"),
        (Change(last=99), "cannot be the last"),
    ],
)
def test_a_change_that_would_break_the_row_is_refused(change: Change, says: str) -> None:
    with pytest.raises(Refused, match=says):
        settle(turns_of(window().messages), change)


def test_another_system_prompt_keeps_the_key_and_another_text_does_not() -> None:
    one = window()
    other = replace(one, messages=(System("another"), *one.messages[1:]))
    assert key(one) == key(other)
    assert key(one) != key(window(said="Look at the sea."))
    assert key(one) != key(replace(one, role="crew"))


def town(folder: Path) -> None:
    for number in range(4):
        script = Script(f"5e550000-0000-4000-8000-00000000{number:04d}")
        for turn in range(3):
            script.human(f"please look at part {number}.{turn} of the parser")
            script.calls(f"c{number}.{turn}", f"a{number}.{turn}")
            script.result(f"c{number}.{turn}", f"part {number}.{turn} is here")
            script.says(f"Part {number}.{turn} reads one row after the other, then it stops.", f"m{number}.{turn}")
        script.save(folder / "projects")


@pytest.mark.parametrize("form", ["xml", "native"])
def test_decisions_about_rows_become_those_rows_in_the_next_build(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    town(tmp_path)
    curation = {"decisions": str(tmp_path / "curation.db")}
    assert build(tmp_path, tool_format=form, curation=curation) == 0
    before = {row["metadata"]["id"]: row for row in rows(tmp_path)}
    reject, edit, trim, approve = sorted(before)
    text = "I read <tool_call> it twice.\n\nThen I <|stopped|>."
    with Store(tmp_path / "curation.db") as store:
        assert load(store, tmp_path / "out").new == 4
        store.decide(store.example(reject).entry.key, "reject", author="ann", why="dull")
        store.decide(store.example(edit).entry.key, "edit", Change({4: text}), author="ann")
        store.decide(store.example(trim).entry.key, "trim", Change(last=4), author="bob")
        store.decide(store.example(approve).entry.key, "approve", author="bob")
    assert build(tmp_path, tool_format=form, curation=curation) == 0
    after = {row["metadata"]["id"]: row for row in rows(tmp_path)}
    assert sorted(after) == [edit, trim, approve] and after[approve] == before[approve]
    kind = Row if form == "xml" else NativeRow
    read = {name: turns_of_row(msgspec.convert(row, kind)) for name, row in after.items()}
    old = {name: turns_of_row(msgspec.convert(row, kind)) for name, row in before.items()}
    assert read[edit] == changed(old[edit], Change({4: text})) and read[edit][4].text == text
    assert read[trim] == old[trim][:5]
    assert "ann" not in json.dumps(after) and "dull" not in json.dumps(after)
    left = json.loads((tmp_path / "out" / "ledger.json").read_text())["stages"]["curate"]["left"]
    assert left[Reason.REJECTED]["replies"] == 6 and left[Reason.TRIMMED]["replies"] == 4
    notes = {trace["id"]: trace["notes"] for trace in lines(tmp_path, "origins.jsonl")}
    assert {"stage": "curate", "reason": "edited", "count": 1} in notes[edit]
    with Store(tmp_path / "curation.db") as store:
        assert load(store, tmp_path / "out").new == 0
        counts = progress(store.database)
    assert counts == {"examples": 4, "undecided": 0, "approved": 1, "rejected": 1, "edited": 1, "trimmed": 1}
    assert build(tmp_path, tool_format=form, curation=curation | {"use": "approved"}) == 0
    assert {row["metadata"]["id"]: row for row in rows(tmp_path)} == after


def test_what_was_rejected_makes_no_preference_either(tmp_path: Path) -> None:
    script = Script()
    script.human("please rename the queue in the file")
    script.says("I have renamed the cache for you, all of it.", "a1")
    script.human("no, not that. The queue.")
    script.says("The queue has its new name now, the cache its old one.", "b1")
    script.save(tmp_path / "projects")
    curation = {"decisions": str(tmp_path / "curation.db")}
    assert build(tmp_path, curation=curation) == 0
    assert list((tmp_path / "out").glob("gastown.dpo.*"))
    with Store(tmp_path / "curation.db") as store:
        load(store, tmp_path / "out")
        store.decide(rows(tmp_path)[0]["metadata"]["id"], "reject", author="ann")
    assert build(tmp_path, curation=curation) == 0
    assert rows(tmp_path) == [] and not list((tmp_path / "out").glob("*.dpo.*"))


def test_only_decisions_that_change_a_build_cost_it_its_cache() -> None:
    config = load_config(ROOT / "configs" / "data.yml")
    plain = Setting(config).key()
    assert Setting(config, verdicts={"a": Verdict(reject=True)}).key() != plain
    edited = Setting(config, verdicts={"a": Verdict(change=Change({1: "x"}))}).key()
    assert edited != Setting(config, verdicts={"a": Verdict(change=Change({1: "y"}))}).key()


def test_approvals_are_decisions_only_where_approved_rows_are_used(tmp_path: Path) -> None:
    from tests.curated import dataset

    path = tmp_path / "curation.db"
    with Store(path) as store:
        load(store, dataset(tmp_path / "rows", [window()]))
        store.decide("s1:0.0#0", "approve", author="ann")
    assert load_decisions(CurationConfig(str(path))) == {}
    assert load_decisions(CurationConfig(str(path), "approved")) == {key(window()): Verdict()}


def test_without_a_database_nobody_decided_and_a_damaged_one_stops_the_build(tmp_path: Path) -> None:
    path = tmp_path / "curation.db"
    assert load_decisions(CurationConfig(str(path))) == {} and not path.exists()
    path.write_text("no database")
    with pytest.raises(ConfigError, match=r"curation\.decisions: .* cannot be read"):
        load_decisions(CurationConfig(str(path)))


def test_a_worker_knows_the_decisions_of_its_setting() -> None:
    config = load_config(ROOT / "configs" / "data.yml")
    one = window(replies=2)
    [(_, judge)] = [
        pair for pair in Worker(Setting(config, verdicts={key(one): Verdict(True)})).stages if pair[0] == "curate"
    ]
    assert [outcome.reason for outcome in judge(one) if isinstance(outcome, Drop)] == [Reason.REJECTED]
