"""Whatever stands in a folder of transcripts: a build ends well, names what is bad, and trains what is good."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from data import lenient_json
from data.extract.transcript import ApiMessage, Block, Line, Reason
from data.pipeline import main
from tests.conftest import ROOT
from tests.transcripts import SESSION, Script

pytestmark = pytest.mark.slow  # a hundred builds and more

PROJECT = "-home-ann-work"
DEEP = 10_000
GOOD = {"msg_before", "msg_after"}


class Built(NamedTuple):
    """A build: its exit code, what it said on stderr, the trained ids, records by fate, and named files."""

    code: int
    complaint: str
    trained: Counter[str]
    fates: dict[str, int]
    drops: list[dict[str, Any]]
    rows: list[Any]


def build(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> Built:
    """A build of folder/projects into folder/out, with every row and drop decoded."""
    out = folder / "out"
    capsys.readouterr()
    arguments = ["--sessions", str(folder / "projects"), "--out", str(out), "--workers", "1", "--no-cache", *more]
    code = main(["all", *arguments])
    complaint = capsys.readouterr().err
    assert "Traceback" not in complaint
    return Built(code, complaint, *read_back(out))


def read_back(out: Path) -> tuple[Counter[str], dict[str, int], list[dict[str, Any]], list[Any]]:
    rows = [json.loads(line) for path in out.glob("gastown_*.jsonl") for line in path.read_text("utf-8").splitlines()]
    trained = Counter(name for row in rows for name in row["metadata"]["trained_ids"])
    if not (out / "ledger.json").exists():
        return trained, {}, [], rows
    fates = json.loads((out / "ledger.json").read_text("utf-8"))["records"].get("sessions", {})
    drops = [json.loads(line) for line in (out / "drops.jsonl").read_text("utf-8").splitlines()]
    return trained, fates, drops, rows


def good(start: str = "before") -> Script:
    """A person asks, and the agent replies."""
    s = Script()
    s.human(f"go and look at the parser {start}")
    s.says(f"It reads one row after the other, as {start}.", f"msg_{start}")
    return s


def around(folder: Path, middle: bytes, name: str = SESSION) -> Path:
    """A transcript with bytes between two good replies; the second hangs below a record `odd`, if there is one."""
    s = good()
    head = s.text().encode()
    s.human("and now the tests of it", parent="odd")
    s.says("All of them pass on this machine.", "msg_after")
    path = s.save(folder / "projects", name)
    path.write_bytes(head + middle + s.text().encode()[len(head) :])
    return path


def encoded(record: Any) -> bytes:
    return json.dumps(record).encode() + b"\n"


def line(text: Any = "a third thing to look at", **fields: Any) -> dict[str, Any]:
    """A user record below the first reply."""
    s = good()
    s.human(text, uuid="odd")
    return s.lines[-1] | fields


def odd(content: Any, **fields: Any) -> dict[str, Any]:
    """A reply below the first one, with any content."""
    s = good()
    s.add(
        "assistant", uuid="odd", message={"id": "msg_odd", "model": "claude-x", "role": "assistant", "content": content}
    )
    return s.lines[-1] | fields


def says(text: str, **fields: Any) -> dict[str, Any]:
    return odd([{"type": "text", "text": text}], **fields)


def call(arguments: Any, name: str = "t1") -> dict[str, Any]:
    return odd([{"type": "tool_use", "id": name, "name": "Bash", "input": arguments}])


def result(name: str, content: Any = "done") -> dict[str, Any]:
    """The result of a call."""
    s = good()
    s.result(name, content, uuid="odd-result", parent="odd")
    return s.lines[-1]


def put(record: dict[str, Any], value: str) -> bytes:
    """The record with the JSON text `value` in place of the string "VALUE"."""
    return encoded(record).replace(b'"VALUE"', value.encode())


def nested(depth: int = DEEP) -> str:
    return "[" * depth + "]" * depth


# What stands between two good replies, and under which reason the ledger has it; None where it costs nothing.
LINES: dict[str, tuple[bytes, Reason | None]] = {
    "a truncated line": (encoded(line())[:70] + b"\n", Reason.MALFORMED),
    "a line cut inside a character": (b'{"type":"user","content":"caf\xc3\n', Reason.MALFORMED),
    "a line that lost its end to the next record": (encoded(says("one"))[:90], Reason.MALFORMED),
    "a line that lost its start": (encoded(line())[40:], Reason.MALFORMED),
    "two records glued on a line": (encoded({"type": "summary"}).strip() + encoded({"type": "summary"}), Reason.TITLE),
    "a record glued to the next line": (encoded({"type": "summary"}).strip(), Reason.TITLE),
    "a record glued to a broken one": (encoded({"type": "summary"}).strip() + b'{"ty\n', Reason.MALFORMED),
    "binary": (bytes(range(256)) * 3 + b"\n", Reason.MALFORMED),
    "NUL bytes before the next record": (b"\0" * 4096, None),
    "a line of NUL bytes": (b"\0" * 4096 + b"\n", None),
    "blank lines": (b"\n \t\r\n\n", None),
    "a list": (b'[{"type": "user"}]\n', Reason.MALFORMED),
    "a number": (b"7\n", Reason.MALFORMED),
    "a string": (b'"user"\n', Reason.MALFORMED),
    "an empty object": (b"{}\n", Reason.UNKNOWN_TYPE),
    "a deep line": (nested().encode() + b"\n", Reason.MALFORMED),
    "a deep object": (b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"\n", Reason.MALFORMED),
    "deep tool arguments": (put(call("VALUE"), nested()), Reason.MALFORMED),
    "a deep toolUseResult": (put(line(toolUseResult="VALUE"), nested()), Reason.MALFORMED),
    "a deep message": (put(line("VALUE"), nested()), Reason.MALFORMED),
    "a deep field that nobody reads": (put(line(other="VALUE"), nested()), Reason.MALFORMED),
    "a session id that is a path": (encoded(line(sessionId="../../etc/passwd")), None),
    "a NUL in the session id": (encoded(line(sessionId="a\0b")), None),
    "an agent id that is a path": (encoded(line(isSidechain=True, agentId="../../etc/passwd")), Reason.NO_REPLY),
    "an endless agent id": (encoded(line(isSidechain=True, agentId="a" * DEEP)), Reason.NO_REPLY),
    "an orphan result of a path": (encoded(result("../../etc/passwd")), Reason.ORPHAN_RESULT),
    "an infinite number": (put(line(content="VALUE"), "-Infinity"), None),
    "a number that no float holds": (put(line(content="VALUE"), "1e400"), None),
    "a number of 10,000 digits": (put(line(content="VALUE"), "1" * DEEP), None),
    "a text of control characters": (encoded(line("\0\x1b[0m\x07")), Reason.EMPTY),
    "a reply of control characters": (encoded(says("\0\x01")), Reason.EMPTY),
    "a record that is its own parent": (encoded(line(parentUuid="odd")), None),
    "a side branch with a word for a time": (
        encoded(line("wait", uuid="side", timestamp="yesterday")) + encoded(line()),
        Reason.REWOUND,
    ),
    "a progress record of nothing": (encoded(line(type="progress", data=None)), Reason.PROGRESS),
}


@pytest.mark.parametrize("case", LINES)
def test_a_bad_line_is_named_and_its_neighbours_train(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    middle, reason = LINES[case]
    around(tmp_path, middle)
    built = build(tmp_path, capsys)
    assert (built.code, built.complaint) == (0, "")
    assert built.trained == dict.fromkeys(GOOD, 1)
    assert reason is None or built.fates[reason] >= 1


TEXT = "He answered with a word of this kind, VALUE, and then went on with his work."
SURROGATE = "\\ud800"  # as it stands in JSON

# Odd records that are read all the same.
READ: dict[str, bytes] = {
    "a lone surrogate in a text": encoded(says(TEXT)).replace(b"VALUE", SURROGATE.encode()),
    "a lone surrogate in a key": encoded(says(TEXT, note={"VALUE": 1})).replace(b'"VALUE"', b'"\\udc00"'),
    "a lone surrogate in an id": put(says(TEXT, requestId="VALUE"), f'"{SURROGATE}"'),
    "a lone surrogate in a path": put(says(TEXT, cwd="VALUE"), f'"/home/ann/{SURROGATE}"'),
    "a lone surrogate in arguments": put(call({"command": "VALUE"}), f'"echo {SURROGATE} and more"'),
    "bytes that are no UTF-8 in a text": encoded(says(TEXT)).replace(b"VALUE", b"\xff\xfe"),
    "bytes that are no UTF-8 in arguments": put(call({"command": "VALUE"}), '"echo #"').replace(b"#", b"\xff"),
    "a raw NUL in a text": encoded(says(TEXT)).replace(b"VALUE", b"\0"),
    "an escaped NUL in a text": encoded(says(TEXT)).replace(b"VALUE", b"\\u0000"),
    "a key twice": encoded(says(TEXT)).replace(b'{"parentUuid"', b'{"type": "user", "parentUuid"'),
    "CRLF": encoded(says(TEXT)).replace(b"\n", b"\r\n"),
    "a byte order mark": b"\xef\xbb\xbf" + encoded(says(TEXT)),
    "NaN in arguments": put(call({"command": "date", "number": "VALUE"}), "NaN"),
    "Infinity in arguments": put(call({"command": "date", "number": "VALUE"}), "-Infinity"),
    "1e400 in arguments": put(call({"command": "date", "number": "VALUE"}), "1e400"),
    "-0 in arguments": put(call({"command": "date", "number": "VALUE"}), "-0"),
    "-0.0 in arguments": put(call({"command": "date", "number": "VALUE"}), "-0.0"),
    "10^40 in arguments": put(call({"command": "date", "number": "VALUE"}), "1" + "0" * 40),
    "arguments nested as deep as can be read": put(call({"command": "date", "more": "VALUE"}), nested(900)),
    "arguments that are a list": put(call("VALUE"), "[1, 2]"),
    "arguments that are null": put(call("VALUE"), "null"),
    "1e400 in a field that is read": put(says(TEXT, compactMetadata="VALUE"), "1e400"),
    "a path as the id of a call": encoded(call({"command": "ls"}, "../../etc/passwd")),
    "an absolute path as the id of a call": encoded(call({"command": "ls"}, "/etc/passwd")),
    "a NUL in the id of a call": encoded(call({"command": "ls"}, "t\0")),
    "an endless id of a call": encoded(call({"command": "ls"}, "t" * DEEP)),
    "a block of a new type with other fields": encoded(
        odd([{"type": "chart", "text": [1]}, {"type": "text", "text": TEXT}])
    ),
    "a block that is no object": encoded(odd(["x", 5, None, {"type": "text", "text": TEXT}])),
    "a content that is a string": encoded(odd(TEXT)),
}


@pytest.mark.parametrize("case", READ)
def test_an_odd_record_is_read_and_its_neighbours_train(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    around(tmp_path, READ[case])
    built = build(tmp_path, capsys)
    assert (built.code, built.complaint) == (0, "")
    assert built.trained == dict.fromkeys((*GOOD, "msg_odd"), 1)


@pytest.mark.parametrize("case", [case for case in READ if "in arguments" in case])
def test_odd_arguments_reach_the_row_as_json(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    around(tmp_path, READ[case])
    texts = [turn["value"] for row in build(tmp_path, capsys).rows for turn in row["conversations"]]
    calls = "".join(texts).split("<tool_call>")[1].split("</tool_call>")[0]
    assert json.loads(calls, parse_constant=pytest.fail)["arguments"]["command"]


def test_a_number_that_no_integer_holds_is_text() -> None:
    assert lenient_json.loads("[" + "1" * DEEP + "]") == ["1" * DEEP]


VALUES: tuple[Any, ...] = (7, -0.5, [1], {"a": 1}, None, True, "", "text", [["x"]])


def fields_of(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


def with_wrong_types(kind: type[msgspec.Struct], field: str) -> list[dict[str, Any]]:
    """Records of all types, each with a wrong value in a field of its own, of its message or of a block."""
    records = []
    for base in (line(), says("A reply to that."), call({"command": "ls"}), result("t1"), *BARE):
        for value in VALUES:
            record = json.loads(json.dumps(base))
            places = {Line: [record], ApiMessage: [record.get("message", {})], Block: blocks(record)}[kind]
            for place in places:
                place[field] = value
            records.append(record | ({} if field == "uuid" else {"uuid": f"odd-{len(records)}"}))
    return records


BARE = tuple(
    {"type": kind, "sessionId": SESSION, "uuid": kind}
    for kind in ("progress", "system", "summary", "queue-operation", "attachment", "file-history-snapshot", "pr-link")
)


def blocks(record: dict[str, Any]) -> list[dict[str, Any]]:
    content = record.get("message", {}).get("content")
    return content if isinstance(content, list) else []


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        *((Line, field) for field in [*fields_of(Line), "message"]),
        *((ApiMessage, field) for field in fields_of(ApiMessage)),
        *((Block, field) for field in fields_of(Block)),
    ],
)
def test_a_wrong_type_in_any_field_costs_no_other_record(
    kind: type[msgspec.Struct], field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = with_wrong_types(kind, field)
    around(tmp_path, b"".join(map(encoded, records)))
    built = build(tmp_path, capsys)
    assert (built.code, built.complaint) == (0, "")
    assert built.trained["msg_before"] == built.trained["msg_after"] == 1
    assert max(built.trained.values()) == 1
    assert sum(built.fates.values()) == len(records) + 4


@pytest.mark.parametrize(("field", "value"), [("gitBranch", 5), ("cwd", ["/"]), ("isMeta", "no"), ("agentId", {})])
def test_a_wrong_type_beside_a_reply_costs_the_field_and_not_the_reply(
    field: str, value: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    around(tmp_path, encoded(says(TEXT) | {field: value}))
    assert build(tmp_path, capsys).trained == dict.fromkeys((*GOOD, "msg_odd"), 1)


GEMINI = {"sessionId": "g", "messages": [{"type": "user", "content": "hi"}, {"type": "gemini", "content": "hello"}]}

# Files beside a good one, and under which reason the ledger has them.
FILES: dict[str, tuple[bytes, Reason | None]] = {
    "an empty file": (b"", None),
    "a foreign file": (json.dumps(GEMINI, indent=2).encode(), Reason.FOREIGN),
    "a foreign file on one line": (json.dumps(GEMINI).encode(), Reason.FOREIGN),
    "a binary file": (os.urandom(1) + bytes(range(256)) * 64, Reason.MALFORMED),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), Reason.MALFORMED),
    "a text in UTF-16": (good("odd").text().encode("utf-16"), Reason.MALFORMED),
    "a file of NUL bytes": (b"\0" * 100_000, None),
    "a file of brackets": (b"[" * 100_000, Reason.MALFORMED),
}


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_named_and_the_good_one_trains(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, reason = FILES[case]
    around(tmp_path, b"").with_name("odd.jsonl").write_bytes(content)
    built = build(tmp_path, capsys)
    assert (built.code, built.complaint) == (0, "")
    assert built.trained == dict.fromkeys(GOOD, 1)
    assert (reason in built.fates) if reason else set(built.fates) == {"used"}


@pytest.mark.parametrize(
    "change", [lambda text: text[:-1], lambda text: text.replace(b"\n", b"\r\n"), lambda text: b"\xef\xbb\xbf" + text]
)
def test_no_final_newline_crlf_and_a_byte_order_mark_cost_nothing(
    change: Callable[[bytes], bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = around(tmp_path, b"")
    path.write_bytes(change(path.read_bytes()))
    built = build(tmp_path, capsys)
    assert built.trained == dict.fromkeys(GOOD, 1)
    assert built.fates == {"used": 4}


def unreadable(path: Path) -> None:
    path.write_text(good("odd").text())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads everything")


def listening(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


PLACES: dict[str, Callable[[Path], object]] = {
    "a file without permission": unreadable,
    "a folder with the name of a transcript": Path.mkdir,
    "a pipe": os.mkfifo,
    "a socket": listening,
    "a broken link": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("case", PLACES)
def test_what_is_no_file_is_named_and_never_waited_for(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = around(tmp_path, b"").with_name("odd.jsonl")
    PLACES[case](place)
    built = build(tmp_path, capsys)
    assert (built.code, built.complaint) == (0, "")
    assert built.trained == dict.fromkeys(GOOD, 1)
    assert built.fates[Reason.UNREADABLE] == 1
    assert any(drop["file"].endswith("odd.jsonl") and drop["detail"] for drop in built.drops)


def test_a_pipe_in_place_of_a_stored_output_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = around(tmp_path, encoded(call({"command": "ls"})) + encoded(result("t1", "<persisted-output>\nlarge")))
    stored = path.with_suffix("") / "tool-results" / "t1.txt"
    stored.parent.mkdir(parents=True)
    os.mkfifo(stored)
    assert build(tmp_path, capsys).trained == dict.fromkeys((*GOOD, "msg_odd"), 1)


def test_an_output_is_never_read_from_where_its_id_points(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "projects" / "secret.txt").parent.mkdir()
    (tmp_path / "projects" / "secret.txt").write_text("the words of another file")
    name = "../../../secret"
    around(tmp_path, encoded(call({"command": "ls"}, name)) + encoded(result(name, "<persisted-output>\nlarge")))
    (tmp_path / "projects" / PROJECT / SESSION / "tool-results").mkdir(parents=True)
    built = build(tmp_path, capsys)
    assert built.trained["msg_odd"] == 1
    assert "the words of another file" not in json.dumps(built.rows)


@pytest.mark.parametrize("below", [".", f"{PROJECT}/loop", f"{PROJECT}/{SESSION}/subagents"])
def test_links_that_lead_in_circles_end(below: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    around(tmp_path, b"")
    place = tmp_path / "projects" / below / "circle"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(tmp_path / "projects", target_is_directory=True)
    (tmp_path / "projects" / "twin").symlink_to(PROJECT, target_is_directory=True)
    built = build(tmp_path, capsys)
    assert (built.code, built.complaint) == (0, "")
    assert built.trained == dict.fromkeys(GOOD, 1)


def test_a_name_that_is_no_utf_8_is_shown_with_escapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = around(tmp_path, b"nonsense\n")
    path.rename(os.fsdecode(os.fsencode(path.parent) + b"/caf\xe9.jsonl"))
    path.parent.rename(os.fsdecode(os.fsencode(tmp_path / "projects") + b"/-home-ann-\xff"))
    built = build(tmp_path, capsys)
    assert (built.code, built.complaint) == (0, "")
    assert built.trained == dict.fromkeys(GOOD, 1)
    assert any("caf\\xe9" in drop["file"] for drop in built.drops)
    assert (
        main(["all", "--sessions", str(tmp_path / "projects"), "--out", str(tmp_path / "kept"), "--workers", "1"]) == 0
    )


def test_a_folder_that_cannot_be_opened_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    around(tmp_path, b"")
    closed = tmp_path / "projects" / "-opt-closed"
    closed.mkdir()
    allowed = os.access
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != closed and allowed(path, mode))
    built = build(tmp_path, capsys)
    assert built.trained == dict.fromkeys(GOOD, 1)
    assert built.fates[Reason.UNREADABLE] == 1
    assert any(drop["file"].endswith("-opt-closed") for drop in built.drops)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_session_that_is_being_written_costs_no_build_and_is_whole_in_the_next(
    workers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    s = good()
    for number in range(60):
        s.human(f"what about part {number}")
        s.says(f"Part {number} is about rule {number * 7}, which nobody else has.", f"msg_{number}")
    content = s.text().encode()
    path = s.save(tmp_path / "projects")
    path.write_bytes(content[:700])
    stopped = threading.Event()

    def write() -> None:
        with path.open("ab", buffering=0) as file:
            for start in range(700, len(content), 37):
                file.write(content[start : start + 37])
                stopped.wait(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    codes = [build(tmp_path, capsys, "--workers", workers).code for _ in range(3 if workers == "1" else 1)]
    stopped.set()
    writer.join()
    built = build(tmp_path, capsys, "--workers", workers)
    assert {*codes, built.code} == {0}
    assert set(built.trained) == {"msg_before", *(f"msg_{number}" for number in range(60))}
    assert set(built.fates) == {"used"}


def test_a_copy_that_appears_while_it_is_read_trains_nothing_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = around(tmp_path, b"")
    other = path.with_name("resumed.jsonl")
    other.write_text("")
    content = path.read_bytes()

    from data import pipeline

    find = pipeline.find_units

    def find_and_resume(*arguments: Any) -> Any:
        units = find(*arguments)
        other.write_bytes(content)
        return units

    monkeypatch.setattr(pipeline, "find_units", find_and_resume)
    for _ in range(2):
        built = build(tmp_path, capsys)
        assert (built.code, built.trained) == (0, dict.fromkeys(GOOD, 1))


CONFIGS: dict[str, tuple[str, str]] = {
    "a misspelt key": ("sede: 7\n", "sede"),
    "a key twice": ("seed: 7\nseed: 8\n", "seed"),
    "no YAML": ("seed: [7\n", "data.yml"),
    "NUL bytes": ("seed: 7\n\0\0", "data.yml"),
    "a list": ("- 1\n", "data.yml"),
    "nothing": ("", "data.yml"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_bad_configuration_is_said_before_the_first_file_is_read(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, expected = CONFIGS[case]
    around(tmp_path, b"")
    (tmp_path / "data.yml").write_text(text)
    built = build(tmp_path, capsys, "--config", str(tmp_path / "data.yml"))
    assert built.code == 2
    assert expected in built.complaint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("where", ["file", "file/below", "projects", "projects/-home-ann-work/out", "link/out"])
def test_a_place_that_takes_no_dataset_is_one_sentence(
    where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    around(tmp_path, b"")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("projects")
    before = sorted(tmp_path.rglob("*"))
    built = build(tmp_path, capsys, "--out", str(tmp_path / where))
    assert built.code in (1, 2)
    assert len(built.complaint.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    around(tmp_path, b"")
    built = build(tmp_path, capsys, "--out", "/proc/nobody-writes-here")
    assert built.code == 1
    assert len(built.complaint.strip().splitlines()) == 1 and "/proc/nobody-writes-here" in built.complaint


def command(folder: Path, *more: str) -> list[str]:
    paths = ("--sessions", str(folder / "projects"), "--out", str(folder / "out"))
    return [sys.executable, "-m", "data.pipeline", "all", *paths, "--workers", "1", *more]


def test_two_builds_of_one_dataset_do_not_meet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(150):
        s = Script(session=f"5e551011-0000-4000-8000-{number:012d}")
        s.human(f"go and look at part {number}")
        s.says(f"Part {number} is about rule {number * 7}, which nobody else has.", f"msg_{number}")
        s.save(tmp_path / "projects")
    both = [
        subprocess.Popen(command(tmp_path), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [process.communicate()[1] for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes in ([0, 0], [0, 1])
    for process, complaint in zip(both, said, strict=True):
        assert (process.returncode == 1) == ("another build is writing" in complaint)
        assert len(complaint.splitlines()) <= 1
    trained, _, _, _ = read_back(tmp_path / "out")
    assert trained == {f"msg_{number}": 1 for number in range(150)}


def test_a_dataset_that_is_being_written_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from data.build import staging_folder

    around(tmp_path, b"")
    with staging_folder(tmp_path / "out") as staging:
        (staging / "half").write_text("a row")
        built = build(tmp_path, capsys)
        assert built.code == 1
        assert "another build is writing" in built.complaint and len(built.complaint.strip().splitlines()) == 1
        assert (staging / "half").exists()
    assert build(tmp_path, capsys).code == 0


def test_thousands_of_tiny_files_are_read_in_moderate_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    around(tmp_path, b"")
    for number in range(5_000):
        s = Script(session=f"5e551011-0000-4000-8001-{number:012d}")
        s.human(f"what is part {number} about")
        (tmp_path / "projects" / PROJECT / f"{number}.jsonl").write_text(s.text() if number % 2 else "")
    begun = sum(os.times()[:4])  # what others do on the machine does not count
    built = build(tmp_path, capsys)
    assert built.trained == dict.fromkeys(GOOD, 1)
    assert sum(built.fates.values()) == 4 + 2_500
    assert sum(os.times()[:4]) - begun < 60


# The kernel's own peak of this program: that of getrusage begins with the size of whoever started it.
MEASURE = """
import pathlib, re, runpy, sys
sys.argv = ["data.pipeline", *sys.argv[1:]]
try:
    runpy.run_module("data.pipeline", run_name="__main__")
finally:
    print(re.search(r"VmHWM:\\s*(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
"""

# Where in a line 100 MB of text stand, and under which reason the ledger has it.
HUGE: dict[str, tuple[bytes, Reason | None]] = {
    "what a person said": (encoded(line("VALUE")), None),
    "an image": (
        encoded(line([{"type": "image", "source": {"data": "VALUE"}}, {"type": "text", "text": "see"}])),
        None,
    ),
    "a result": (encoded(result("t9", "VALUE")), Reason.ORPHAN_RESULT),
    "a toolUseResult": (encoded(line(toolUseResult={"stdout": "VALUE"})), None),
    "a reply": (encoded(says("VALUE")), Reason.TOO_LARGE),
    "arguments": (encoded(call({"command": "VALUE"})), Reason.TOO_LARGE),
    "a progress record": (encoded(line(type="progress", data={"output": "VALUE"})), None),
    "a key": (b'{"VALUE": 1}\n', Reason.UNKNOWN_TYPE),
    "no JSON": (b"VALUE\n", Reason.MALFORMED),
}


@pytest.mark.parametrize("case", HUGE)
def test_a_line_of_100_megabytes_takes_bounded_memory_and_no_neighbour(case: str, tmp_path: Path) -> None:
    middle, reason = HUGE[case]
    around(tmp_path, middle.replace(b"VALUE", b"some words of a log " * 5_000_000))
    arguments = command(tmp_path, "--no-cache")[3:]
    process = subprocess.run([sys.executable, "-c", MEASURE, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (0, "")
    assert int(process.stdout.split()[-1]) < 700 * 1024
    trained, fates, _, _ = read_back(tmp_path / "out")
    assert trained == dict.fromkeys(GOOD, 1)
    assert sum(fates.values()) == 5
    assert reason is None or fates[reason] == 1
