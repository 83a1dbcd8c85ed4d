"""Two models beside each other: what is asked, shown and kept, what is learned of it, and every way to fail."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from eval.errors import BadInput, one_sentence
from eval.people.ask import ask
from eval.people.both import Asked, ask_both
from eval.people.compare import compare
from eval.people.compare_view import Watch, show
from eval.people.endpoint import Answer, Endpoint, Failed, Side, endpoint_of
from eval.people.judge import judge
from eval.people.pair_lines import Said, exchange, lines_of
from eval.people.pair_store import PairStore, append
from eval.people.prompts import prompts_of
from eval.people.stream import Broken, Garbage, Pieces
from tests.people_endpoints import Reply, Talk, endpoint, in_one_piece, nobody, refuses, says, sends
from tests.small_build import ROOT, build, lines, rows

TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
KEY = "sk-an-invented-key"
HELLO = [{"role": "user", "content": "Where is the convoy?"}]
texts = st.text(st.characters(codec="utf-8"), max_size=40)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORGE_KEY", "OPENAI_API_KEY", "FORGE_STRONG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(ROOT)


def kept(folder: Path) -> list[Any]:
    files = sorted(folder.glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


def run(folder: Path, local: str, strong: str, *options: str, prompt: str = "Where is the convoy?") -> int:
    prompts = [prompt] if "--prompts" not in options else []
    return one_sentence(compare, [*prompts, "--local", local, "--strong", strong, "--out", str(folder), *options])


# --- reading streams ---


@given(texts, st.lists(st.integers(1, 400), max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_a_stream_says_the_same_however_the_network_cuts_it(text: str, cuts: list[int], end: str) -> None:
    events = [{"choices": [{"delta": {"content": character}}]} for character in text]
    events.append({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"completion_tokens": len(text)}})
    content = "".join(f"data: {json.dumps(event)}{end}{end}" for event in events).encode() + b"data: [DONE]\n\n"
    places = [0, *sorted({min(cut, len(content)) for cut in cuts}), len(content)]
    heard: list[str] = []
    pieces = Pieces(heard.append)
    for start, stop in pairwise(places):
        pieces.take(content[start:stop])
    said = pieces.close()
    assert (said.text, said.finish, said.new_tokens, "".join(heard)) == (text, "stop", len(text), text)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_garbage_or_broken(content: bytes) -> None:
    pieces = Pieces(lambda text: None)
    pieces.take(content)
    with pytest.raises((Garbage, Broken)):
        pieces.close()


# --- every way to fail ---

HALF = b'data: {"choices":[{"delta":{"content":"It left the dep"}}]}\n\n'
NO_MEMORY = b'data: {"error": {"message": "out of memory"}}\n\n'
FAILURES: list[tuple[str, Reply, str]] = [
    ("no key", refuses(401, "You gave no key"), "answers 401; set OPENAI_API_KEY and ask again."),
    ("not allowed", refuses(403), "answers 403; set OPENAI_API_KEY and ask again."),
    ("no such model", refuses(404, "no model m"), "answers 404 (no model m); correct the model's name or the address"),
    ("refused", refuses(400, "too long"), "answers 400 (too long); change what it refuses and ask again."),
    ("elsewhere", refuses(307, location="http://127.0.0.1:1/"), "points elsewhere; give --strong the address"),
    ("too many", refuses(429, "slower", retry_after="20"), "(slower), too many requests or no credit left; wait 20 s"),
    ("too many, no word when", refuses(429), "wait a little and ask again."),
    ("broken", refuses(503), "answers 503; look at its log, and ask again."),
    ("a page", sends(b"<html>hello</html>", kind="text/html"), "does not answer as OpenAI's API does"),
    ("other JSON", sends(b'{"hello": 1}', kind="application/json"), "(JSON without an answer)"),
    ("a list", sends(b"[]", kind="application/json"), "(no JSON object)"),
    ("half of JSON", sends(b'{"choices": [', kind="application/json"), "(no JSON object)"),
    ("brackets", sends(b"[" * 100_000, kind="application/json"), "(no JSON object)"),
    ("half a stream", sends(HALF), "broke off in the middle, after 15 characters; ask again"),
    ("an error in the stream", sends(HALF, NO_MEMORY), "after 15 characters (out of memory)"),
    ("an error at once", sends(b'data: {"error": "no"}\n\n'), "broke off before its answer began (no)"),
    ("nothing said", says("  "), "answered without any text"),
    ("silence", sends(HALF, pause=3), "was not done after 0.5 s (15 characters had come); raise --timeout"),
    ("drops", sends(*[HALF] * 100, pause=0.02), "was not done after 0.5 s"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "sentence"), [f[1:] for f in FAILURES], ids=[f[0] for f in FAILURES])
def test_a_failing_endpoint_ends_in_one_sentence_with_its_side_and_what_to_do(reply: Reply, sentence: str) -> None:
    with endpoint(reply) as (address, _), pytest.raises(Failed) as failure:
        ask(endpoint_of(Side.STRONG, address), HELLO, timeout=0.5 if "0.5 s" in sentence else 60)
    told = str(failure.value)
    assert told.startswith("The stronger model (m at http://127.0.0.1:") and sentence in told
    assert "\n" not in told and told.endswith(".") and len(told) < 300


@pytest.mark.parametrize(
    ("side", "fix"), [(Side.LOCAL, "start the gateway with `make serve`"), (Side.STRONG, "start it, or correct")]
)
def test_nobody_at_the_address(side: Side, fix: str) -> None:
    for address in (nobody(), "http://no-such-host.invalid/v1#m"):
        with pytest.raises(Failed, match=f"^Nobody answers as {side.words}") as failure:
            ask(endpoint_of(side, address), HELLO, timeout=5)
        assert fix in str(failure.value) and failure.value.lasting


def test_http_where_https_was_meant_is_said() -> None:
    with (
        endpoint(says("It left.")) as (address, _),
        pytest.raises(Failed, match="cannot be spoken to safely") as failure,
    ):
        ask(endpoint_of(Side.STRONG, address.replace("http:", "https:")), HELLO)
    assert "begins with http or https" in str(failure.value)


def test_an_answer_without_an_end_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.people.ask.MOST_BYTES", 10_000)
    with endpoint(sends(*[HALF * 20] * 50)) as (address, _), pytest.raises(Failed, match="an answer without an end"):
        ask(endpoint_of(Side.LOCAL, address), HELLO)


def test_a_key_goes_to_its_own_side_alone_and_into_no_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with endpoint(refuses(400, f"wrong: {KEY}")) as (address, talks):
        for side in Side:
            one = endpoint_of(side, address)
            assert KEY not in repr(one)
            with pytest.raises(Failed) as failure:
                ask(one, HELLO)
            assert (KEY in str(failure.value)) == (side is Side.LOCAL)  # that one never knew it
    assert [talk.key for talk in talks] == ["", f"Bearer {KEY}"]


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("mayor", "is no endpoint; give --strong http://HOST/v1#MODEL."),
        ("http://127.0.0.1/v1", "names no model"),
        ("http://me:secret@127.0.0.1/v1#m", "put the key into OPENAI_API_KEY"),
    ],
)
def test_an_address_that_is_none_is_said_before_anything_is_asked(address: str, problem: str) -> None:
    with pytest.raises(BadInput, match=r"\w") as wrong:
        endpoint_of(Side.STRONG, address)
    assert problem in str(wrong.value) and "secret" not in str(wrong.value)


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "schlüssel")
    with pytest.raises(BadInput, match="OPENAI_API_KEY holds characters") as wrong:
        endpoint_of(Side.STRONG, "http://127.0.0.1/v1#m")
    assert "schl" not in str(wrong.value)


# --- asking ---


def test_both_are_asked_at_the_same_time_and_measured() -> None:
    both = threading.Barrier(2, timeout=60)

    def slow(talk: Talk) -> None:
        talk.begin(x_forge_model="mayor@v3")
        both.wait()  # until the other side is asked, too
        time.sleep(0.2)
        talk.say("It left.")
        talk.finish()

    with endpoint(slow) as (one, _), endpoint(slow) as (other, _):
        asked = ask_both(endpoint_of(Side.LOCAL, one), endpoint_of(Side.STRONG, other), HELLO)
    assert isinstance(asked.local, Answer) and isinstance(asked.strong, Answer)
    assert asked.local.first_seconds and 0.2 < asked.local.first_seconds <= asked.local.seconds
    assert (asked.local.prompt_tokens, asked.local.new_tokens, asked.local.served) == (9, 4, "mayor@v3")


def test_what_is_asked_is_what_the_gateway_takes() -> None:
    from deploy.serve.chat import chat_request

    with endpoint(says("It left.")) as (address, talks):
        ask(endpoint_of(Side.LOCAL, address), HELLO, {"max_tokens": 9, "temperature": 0.5})
    (talk,) = talks
    assert chat_request(json.dumps(talk.body).encode()) == talk.body
    assert (talk.body["model"], talk.body["max_tokens"], talk.body["stream"]) == ("m", 9, True)


def test_an_answer_in_one_piece_is_one_too() -> None:
    with endpoint(in_one_piece("It left.")) as (address, _):
        answer = ask(endpoint_of(Side.LOCAL, address), HELLO)
    assert (answer.text, answer.first_seconds, answer.prompt_tokens, answer.new_tokens) == ("It left.", None, None, 2)


def test_only_what_looks_like_a_version_of_ours_counts_as_one() -> None:
    with endpoint(says("It left.", x_forge_model="<b>")) as (address, _):
        assert ask(endpoint_of(Side.LOCAL, address), HELLO).served == ""


# --- what is shown ---


def test_what_a_model_writes_is_only_text_in_the_terminal() -> None:
    console = Console(width=100, record=True, force_terminal=True, file=io.StringIO())
    local, strong = Endpoint(Side.LOCAL, "http://a/v1", "m"), Endpoint(Side.STRONG, "http://b/v1", "big")
    hostile = Answer("[red]no[/red] \x1b[2Jgone \u202eback", 1.5, first_seconds=0.25, new_tokens=7)
    show(console, "Where?", local, strong, Asked(hostile, Failed("It failed.")))
    with Watch(console, local, strong) as watch:
        watch.text(Side.LOCAL, hostile.text)
        watch.end(Side.LOCAL, hostile)
    told = console.export_text()
    assert "[red]no[/red] ⟦U+001B⟧[2Jgone ⟦U+202E⟧back" in told
    assert "1.5 s, first word 0.2 s · 7 tokens" in told and "no whole answer" in told


# --- what is kept ---


def said(side: Side, text: str, model: str = "m", served: str = "") -> Said:
    return Said(Endpoint(side, "http://a/v1", model), Answer(text, 1.0, finish="stop", served=served))


@given(texts, texts, st.sampled_from(["", "mayor"]))
def test_the_two_lines_are_linked_and_only_the_local_one_is_our_own(one: str, other: str, role: str) -> None:
    local, strong = said(Side.LOCAL, one), said(Side.STRONG, other)
    sent = json.loads(exchange("2026-11-29T10:00:00Z", role, HELLO, local, strong))
    clean = {
        "at": sent["at"],
        "messages": HELLO,
        "answer": {"content": one},
        "tools": sent["request"]["tools"],
    }
    first, second = lines_of(clean, "cmp-1", role, local, strong)
    assert (first["side"], first["answer"], first.get("made_by")) == ("strong", {"content": other}, None)
    assert (second["side"], second["answer"], second["made_by"]) == ("local", {"content": one}, "own-adapter")
    assert first["comparison"] == second["comparison"] == "cmp-1" and first["id"] != second["id"]


@pytest.mark.parametrize(
    ("side", "model", "served", "stored", "own"),
    [
        (Side.LOCAL, "mayor", "mayor@v3", "mayor@v3", True),
        (Side.LOCAL, "/home/kim/models/qwen.gguf", "", "qwen.gguf", True),
        (Side.STRONG, "Qwen/Qwen2.5-72B", "", "Qwen/Qwen2.5-72B", False),
        (Side.STRONG, "claude@20250805", "", "claude-20250805", False),
        (Side.STRONG, "mayor", "mayor@v4", "mayor@v4", True),
    ],
)
def test_who_answered_is_told_so_that_the_source_knows_its_own(
    side: Side, model: str, served: str, stored: str, own: bool
) -> None:
    one = said(side, "It left.", model, served)
    assert (one.model, one.own) == (stored, own)


def test_lines_are_appended_whole_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "2026-11-29.jsonl"
    append(path, [b'{"a": 1}', b'{"b": 2}'])
    with path.open("ab") as stream:
        stream.write(b'{"half": ')  # a crash
    append(path, [b'{"c": 3}'])
    with path.open("ab") as stream:
        stream.write(b'{"by": "an editor"}')  # whole, without its end
    append(path, [b'{"d": 4}'])
    assert path.read_bytes() == b'{"a": 1}\n{"b": 2}\n{"c": 3}\n{"by": "an editor"}\n{"d": 4}\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "2026-11-29.jsonl"
    append(path, [b'{"a": 1}'])
    real = os.write
    monkeypatch.setattr("eval.people.pair_store.os.write", lambda file, content: real(file, content[:5]))
    with pytest.raises(OSError, match="No space"):
        append(path, [b'{"b": 2}'])
    assert path.read_bytes() == b'{"a": 1}\n'


def test_prompts_come_from_a_tasks_file_or_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_text('{"id": "a", "prompt": "One?"}\n\n{"input": "Two?", "output": "x"}\n')
    (tmp_path / "prompts.txt").write_text("One?\n\n  Two?\n")
    assert prompts_of(None, tmp_path / "tasks.jsonl") == ["One?", "Two?"]
    assert prompts_of(None, tmp_path / "prompts.txt") == ["One?", "  Two?"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("none.txt", None, "none.txt does not exist"),
        ("empty.txt", b"\n", "holds no prompt"),
        ("picture.png", b"\x89PNG\xff", "no readable text"),
        ("tasks.jsonl", b'{"prompt": "One?"}\n{"id": 1}\n', "tasks.jsonl:2: needs an object"),
        ("tasks.jsonl", b"[" * 100_000, "tasks.jsonl:1: needs an object"),
    ],
)
def test_a_file_without_prompts_is_one_sentence(tmp_path: Path, name: str, content: bytes | None, problem: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput) as wrong:
        prompts_of(None, tmp_path / name)
    assert problem in str(wrong.value)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "give one prompt in quotes, or --prompts FILE"),
        ([" "], "the prompt is empty"),
        (["Hi"], "say who is asked: --role NAME"),
        (["Hi", "--role", "mayor"], "name the stronger model: --strong URL#MODEL, or set FORGE_STRONG."),
        (["Hi", "--role", "nobody", "--strong", "http://a/v1#m"], "has no system prompt for nobody"),
        (["Hi", "--local", "x", "--strong", "http://a/v1#m"], "give --local http://HOST/v1#MODEL"),
    ],
)
def test_what_is_missing_is_said(options: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert one_sentence(compare, options) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize("module", ["compare", "judge"])
def test_the_page_about_people_names_options_that_there_are(module: str) -> None:
    text = (ROOT / "docs/people.md").read_text("utf-8")
    command = {"compare": compare, "judge": judge}[module]
    with redirect_stdout(io.StringIO()) as said, suppress(SystemExit):
        command(["--help"])
    for line in text.splitlines():
        if f"eval.people.{module}" in line:
            assert all(option in said.getvalue() for option in re.findall(r"(?<= )--[a-z-]+", line)), line


# --- the whole command ---


@pytest.fixture
def secretive() -> Iterator[tuple[str, str]]:
    """Two endpoints, one of which says a name and the other a secret."""
    with (
        endpoint(says("See /home/kimberly/work.", x_forge_model="mayor@v3")) as (local, _),
        endpoint(says(f"Kimberly says it left with {TOKEN}.")) as (strong, _),
    ):
        yield local, strong


@pytest.mark.slow
def test_a_pair_is_shown_and_kept_without_what_it_reveals(
    tmp_path: Path, secretive: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, *secretive, "--role", "mayor", prompt="What does Kimberly say?") == 0
    assert TOKEN[:20] in capsys.readouterr().out
    strong, local = kept(tmp_path)
    content = json.dumps([strong, local]).lower()
    assert "kimberly" not in content and TOKEN.lower() not in content
    assert strong["comparison"] == local["comparison"] and strong["messages"] == local["messages"]
    assert (local["model"], local["version"], local["made_by"]) == ("mayor@v3", 3, "own-adapter")
    assert strong["messages"][0]["role"] == "system" and strong["role"] == "mayor"
    assert set(local) - set(strong) == {"version", "made_by"}


CAPTURED = {
    "id", "at", "role", "version", "model", "made_by", "key", "messages", "tools", "answer", "ending", "finish",
    "usage", "seconds",
}  # fmt: skip


@pytest.mark.slow
def test_a_line_has_what_a_capture_of_the_gateway_has(tmp_path: Path, secretive: tuple[str, str]) -> None:
    from data.capture_clean import Pair

    assert set(Pair.__struct_fields__) == CAPTURED
    run(tmp_path, *secretive, "--role", "mayor")
    assert set(kept(tmp_path)[1]) - CAPTURED == {"comparison", "side", "first_token_seconds"}


@pytest.mark.slow
def test_the_pipeline_learns_the_stronger_answer_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Where is the convoy of lanterns?\nWho has the keys of the gate?\nWhat did the mayor say?\n")
    out = tmp_path / "comparisons"

    def answers(word: str) -> Reply:
        return lambda talk: says(f"{word}: {talk.prompt[::-1]} and nothing more is known of it today.")(talk)

    with endpoint(answers("Ours"), "mayor") as (local, _), endpoint(answers("Theirs"), "big") as (strong, _):
        options = ["--prompts", str(prompts), "--role", "mayor", "--local", local, "--strong", strong]
        command = [sys.executable, "-m", "eval.people.compare", *options, "--out", str(out)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "") and "3 of 3 comparisons are kept." in done.stdout
    (tmp_path / "projects").mkdir()
    assert build(tmp_path, sources=[{"kind": "pairs", "path": str(out)}]) == 0
    taught = [turn["value"] for row in rows(tmp_path) for turn in row["conversations"] if turn["train"]]
    assert len(taught) == 3 and all(text.startswith("Theirs: ") for text in taught)
    left = [drop["reason"] for drop in lines(tmp_path, "drops.jsonl")]
    assert left.count("answered by our own adapter") == 3


@pytest.mark.slow
@pytest.mark.parametrize("down", list(Side))
def test_half_a_comparison_is_shown_and_not_kept_and_nothing_before_it_is_lost(
    tmp_path: Path, down: Side, capsys: pytest.CaptureFixture[str]
) -> None:
    append(tmp_path / "2026-01-01.jsonl", [b'{"earlier": 1}'])
    with endpoint(says("It left.")) as (up, _):
        sides = (nobody(), up) if down is Side.LOCAL else (up, nobody())
        assert run(tmp_path, *sides) == 1
    said = capsys.readouterr()
    assert "It left." in said.out
    assert said.err.startswith(f"Nobody answers as {down.words} (m at ") and "Not kept:" in said.err
    assert kept(tmp_path) == [{"earlier": 1}]


@pytest.mark.slow
def test_a_passing_failure_does_not_end_several_and_a_lasting_one_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("one\ntwo\nthree\nfour\n")

    def moody(talk: Talk) -> None:
        {"two": refuses(429), "four": refuses(401)}.get(talk.prompt, says("It left."))(talk)

    with endpoint(moody) as (local, _), endpoint(says("It went.")) as (strong, _):
        assert run(tmp_path / "out", local, strong, "--prompts", str(prompts), "--json") == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [bool(one["comparison"]) for one in told] == [True, False, True, False]
    assert told[0]["local"]["answer"] == "It left." and told[0]["strong"]["new_tokens"] == 4
    assert "answers 429" in told[1]["local"]["problem"] and told[1]["strong"]["answer"] == "It went."
    assert len(kept(tmp_path / "out")) == 4


@pytest.mark.slow
def test_what_still_looks_like_a_secret_is_shown_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = iter(["ready", "looks like a secret"])
    monkeypatch.setattr(PairStore, "_answered", lambda self: next(words))
    with endpoint(says("It left.")) as (one, _), endpoint(says("It went.")) as (other, _):
        assert run(tmp_path, one, other) == 1
    said = capsys.readouterr()
    assert "It went." in said.out and "still looks like a secret after redaction" in said.err
    assert kept(tmp_path) == []


@pytest.mark.slow
def test_nothing_is_asked_where_nothing_could_be_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    with endpoint(says("It left.")) as (address, talks):
        assert run(tmp_path / "file", address, address) == 2
        assert run(tmp_path, address, address, "--config", "nowhere.yml") == 2
    assert talks == []
    assert "cannot be made" in capsys.readouterr().err
