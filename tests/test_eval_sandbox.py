"""Code of a model in a sandbox: what it may do, what it cannot do, and that it cannot award itself a point."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.errors import BadInput
from eval.sandbox import BACKENDS, HiddenTest, Sandbox, TestResult, bubblewrap, choose_sandbox, landlock, namespaces
from eval.sandbox.checks import judge, same
from eval.sandbox.inside import seccomp
from eval.sandbox.launch import Launch, Unusable
from eval.sandbox.probe import why_unsafe
from eval.sandbox.process import NONCE_BYTES, _messages
from tests.sandbox_attacks import ATTEMPTS, CHEATS, ENDLESS, ESCAPES, HARMLESS, HONEST, HONEST_CALLS, SPY

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


# ---- the judgement, in our own process -------------------------------------------------------------------------------


def said(value: Any) -> bytes:
    return b"a" + json.dumps({"kind": "value", "value": value}).encode()


@given(JSON)
def test_a_value_is_the_same_as_itself(value: Any) -> None:
    assert judge(HiddenTest("f()", value), said(value)).passed


@given(JSON, JSON)
def test_two_values_are_the_same_only_where_python_and_json_say_so(one: Any, other: Any) -> None:
    # JSON has no other way to tell true from 1; floats may differ in their last digits.
    if same(one, other):
        assert one == other or "." in json.dumps([one, other])
        assert same(other, one)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_nothing_that_a_child_writes_breaks_the_judgement(written: bytes) -> None:
    assert judge(HiddenTest("f()", "a value that no child knows"), written).passed is False
    assert judge(HiddenTest("f()", raises="ValueError"), b"a" + written).says


@pytest.mark.parametrize(
    ("expected", "got", "equal"),
    [
        (1, True, False),
        (True, 1, False),
        (0, False, False),
        (None, False, False),
        (1, 1.0, True),
        (0.3, 0.1 + 0.2, True),
        (10**400, 1.5, False),
        ([1, 2], [1, 2, 3], False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ("1", 1, False),
        ([], {}, False),
    ],
)
def test_values_are_compared_by_type_and_content(expected: Any, got: Any, equal: bool) -> None:
    assert same(expected, got) is equal


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"[" * 3000 + b"]" * 3000, b"1" * 5000, b"", b"1}, {"])
def test_what_is_no_json_has_failed(value: bytes) -> None:
    assert not judge(HiddenTest("f()", 1), b'a{"kind":"value","value":' + value + b"}").passed


@pytest.mark.parametrize("fields", [{}, {"expect": 1, "raises": "ValueError"}])
def test_a_hidden_test_wants_a_value_or_an_exception(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs either expect or raises"):
        HiddenTest("f()", **fields)


@given(st.lists(st.binary(max_size=9), max_size=4), st.integers(min_value=0))
def test_only_whole_messages_behind_their_nonces_count(messages: list[bytes], cut: int) -> None:
    nonces = [bytes([number]) * NONCE_BYTES for number in range(len(messages))]
    parts = [nonce + message for nonce, message in zip(nonces, messages, strict=True)]
    written = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    assert list(_messages(written, nonces)) == messages
    short = list(_messages(written[: cut % (len(written) + 1)], nonces))
    assert short == messages[: len(short)]
    assert list(_messages(written, [b"x" * NONCE_BYTES, *nonces])) == []


# ---- every sandbox that works here -----------------------------------------------------------------------------------


def test_a_sandbox_works_where_the_tests_run() -> None:
    (result,) = choose_sandbox().run("def f(x):\n    return x * 2", [HiddenTest("f(21)", 42)])
    assert result == TestResult(True, "f(21) is right.")


# One is quick to run; the others run with the slow tests.
@pytest.fixture(scope="module", params=[pytest.param(n, marks=[pytest.mark.slow][: n != "landlock"]) for n in BACKENDS])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    if why := why_unsafe(BACKENDS[request.param][0]):
        pytest.skip(f"{request.param} does not work here: {why}")
    return choose_sandbox(request.param)


def test_honest_code_runs(sandbox: Sandbox) -> None:
    assert [r.says for r in sandbox.run(HONEST, HONEST_CALLS) if not r.passed] == []


WANTED = [HiddenTest("f(2)", 4), HiddenTest("f(3)", 6), HiddenTest("f(-1)", raises="ValueError")]


def passed_by(sandbox: Sandbox, cheat: str) -> list[str]:
    results = sandbox.run(textwrap.dedent(CHEATS[cheat]), WANTED, seconds=3)
    return [result.says for result in results if result.passed]


# The others run with the slow tests, as do most of the sandboxes.
QUICK = {"an object that equals everything", "sys.exit", "os._exit when loaded", "forged print", "its own driver"}
QUICK |= {"messages into every file", "loop", "fill"}


def quick_first(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.slow][: name not in QUICK]) for name in names]


@pytest.mark.parametrize("cheat", quick_first(CHEATS))
def test_no_cheat_passes_a_hidden_test(sandbox: Sandbox, cheat: str) -> None:
    assert passed_by(sandbox, cheat) == []


def test_the_right_answers_are_nowhere_near_the_code(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = f"wanted-{os.urandom(4).hex()}"
    monkeypatch.setenv("WANTED", wanted)
    device, pipe = 2, 1  # of the kinds of file that fstat knows: three times /dev/null, and the one pipe
    open_files = HiddenTest("open_files()", [device, device, device, pipe])
    results = sandbox.run(SPY, [HiddenTest("find()", []), open_files, HiddenTest("1", wanted)])
    assert [result.passed for result in results] == [True, True, False], results


# ---- what code may not do --------------------------------------------------------------------------------------------


class Target:
    """Files, a port and a socket that an answer has no business with, and the calls that try."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = folder / "secret"
        self.secret.write_text("nobody's business")
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(folder / "stream"))
        self.unix.listen()
        self.udp.bind(str(folder / "datagrams"))

    def call(self, name: str) -> str:
        kind = "datagrams" if "pair" in ATTEMPTS[name] else "stream"
        words = ATTEMPTS[name].format(
            secret=repr(str(self.secret)), folder=repr(str(self.folder)), outside=repr(str(self.folder / "new")),
            port=self.tcp.getsockname()[1], socket=repr(str(self.folder / kind)), process=os.getpid(),
        )  # fmt: skip
        return f"attempt({words})"

    def close(self) -> None:
        for one in (self.tcp, self.udp, self.unix):
            one.close()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    target = Target(tmp_path_factory.mktemp("target"))
    yield target
    target.close()


@pytest.fixture(scope="module")
def attempts(sandbox: Sandbox, target: Target) -> dict[str, TestResult]:
    tests = [HiddenTest(target.call(name), "refused") for name in ATTEMPTS]
    return dict(zip(ATTEMPTS, sandbox.run(ESCAPES, tests), strict=True))


@pytest.mark.parametrize("name", ATTEMPTS)
def test_no_answer(attempts: dict[str, TestResult], target: Target, name: str) -> None:
    """What the name of the case says."""
    assert attempts[name].passed, attempts[name].says
    assert target.secret.read_text() == "nobody's business"
    assert {path.name for path in target.folder.iterdir()} == {"secret", "stream", "datagrams"}


def test_without_a_sandbox_the_same_attempts_succeed(target: Target) -> None:
    calls = [target.call(name) for name in HARMLESS]
    code = f"{ESCAPES}\nprint(*[{', '.join(calls)}], sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=target.folder)
    (target.folder / "a-link").unlink()
    assert set(done.stdout.split()) == {"done", "200"}


@pytest.mark.parametrize("act", quick_first(["loop", "sleep", "shout", "fill", "stop", "close"]))
def test_what_never_ends_is_ended_and_the_next_test_still_runs(
    sandbox: Sandbox, act: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    start = time.monotonic()
    first, second = sandbox.run(ENDLESS, [HiddenTest(f"{act}()", 1), HiddenTest("add(1, 2)", 3)], seconds=1.6)
    assert (first.passed, second.passed) == (False, True), (first, second)
    assert time.monotonic() - start < 20
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_behind(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seconds = 0.5 + int.from_bytes(os.urandom(4), "big") / 1e11  # which finds our processes by their arguments
    sandbox.run(ENDLESS, [HiddenTest("fill()", 1), HiddenTest("sleep()", 1)], seconds)
    assert list(tmp_path.iterdir()) == []
    deadline = time.monotonic() + 5  # what is killed may take a moment to be gone
    while left := running_with(str(seconds)):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def running_with(word: str) -> list[Path]:
    """The processes that have the word among their arguments; one that ends meanwhile is none."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [path] if word in path.read_text(errors="replace") else []
    return found


# ---- where no sandbox works ------------------------------------------------------------------------------------------


def test_without_a_sandbox_no_code_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.sandbox.why_unsafe", lambda launch_in: "not here")
    with pytest.raises(BadInput) as caught:
        choose_sandbox()
    for name, (_, fix) in BACKENDS.items():
        assert f"{name}: not here (fix: {fix})" in str(caught.value)


def test_an_unknown_sandbox_is_named_with_those_there_are() -> None:
    with pytest.raises(BadInput, match="choose from bubblewrap, namespaces, landlock"):
        choose_sandbox("docker")


def test_a_sandbox_that_lets_code_out_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(place: Path) -> Launch:
        return Launch((), str(place))  # the filter of system calls alone

    assert why_unsafe(launch) == "it lets code read other files"


def test_a_sandbox_that_cannot_be_closed_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.sandbox.process.limits", lambda seconds: {"RLIMIT_NOFILE": 3})
    assert "the sandbox cannot be closed (Too many open files)" in str(why_unsafe.__wrapped__(landlock.launch))


@pytest.mark.parametrize(
    ("name", "builtin", "raises", "passed"),
    [
        ("KeyError", "KeyError", "KeyError", True),
        ("KeyError", "KeyError", "LookupError", True),
        ("KeyError", "KeyError", "ValueError", False),
        ("Cycle", "ValueError", "ValueError", True),
        ("Cycle", "ValueError", "Cycle", True),
        ("ValueError", "Exception", "ValueError", False),
        ("ValueError", "exec", "ValueError", False),
        ("ValueError", "", "ValueError", False),
        ("Cycle", "ValueError", "cycle", False),
    ],
)
def test_an_exception_is_one_of_pythons_or_has_a_name(name: str, builtin: str, raises: str, passed: bool) -> None:
    reply = json.dumps({"kind": "raised", "name": name, "builtin": builtin}).encode()
    assert judge(HiddenTest("f()", raises=raises), b"a" + reply).passed is passed


def test_what_an_answer_says_cannot_move_the_cursor() -> None:
    reply = json.dumps({"kind": "raised", "name": "E", "builtin": "Exception", "says": "\x1b[2J" + "x" * 999}).encode()
    says = judge(HiddenTest("f()", 1), b"a" + reply).says
    assert says.isprintable() and len(says) < 200


def test_a_sandbox_that_does_not_start_says_so() -> None:
    def launch(place: Path) -> Launch:
        return Launch(("/bin/sh", "-c", "echo no such thing >&2"), str(place))

    assert why_unsafe(launch) == "no such thing"
    with pytest.raises(BadInput, match=r"the sandbox broken did not start \(no such thing\)"):
        Sandbox("broken", launch).run("x = 1", [HiddenTest("x", 1)])


def test_a_sandbox_whose_program_cannot_be_started_says_so() -> None:
    assert why_unsafe(lambda place: Launch(("/etc/passwd",), str(place))) == "/etc/passwd: Permission denied"


@pytest.mark.parametrize("module", [bubblewrap, namespaces])
def test_a_sandbox_without_its_program_is_unusable(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unusable, match="not installed"):
        module.launch(tmp_path)
    assert landlock.launch(tmp_path).prefix == ()


@pytest.mark.parametrize(
    ("machine", "header"), [("x86_64", "x86_64-linux-gnu/asm/unistd_64.h"), ("aarch64", "asm-generic/unistd.h")]
)
def test_numbers_of_system_calls_are_the_kernels(machine: str, header: str) -> None:
    path = Path("/usr/include") / header
    if not path.exists():
        pytest.skip(f"{path} is not installed")
    known = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text()))
    for name, number in (seccomp.NUMBERS[machine] | seccomp.RECENT).items():
        # Headers may be older than the newest calls.
        assert int(known.get(name, number)) == number, name
