"""Invented windows and datasets for the tests of curation."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec

from data.build import write_json
from data.record import Assistant, Conversation, Message, Note, Origin, System, Tool, ToolCall, User
from data.trace import trace_of, with_split
from data.transform.chat_formatter import format_row
from data.validate.rows import File, Manifest

WORDS = (
    "river", "stone", "lamp", "paper", "engine", "window", "garden", "letter", "bridge", "market", "winter", "signal",
    "copper", "island", "ladder",
)  # fmt: skip


def window(
    name: str = "s1:0.0#0", said: str = "Please look at the river.", role: str = "mayor", replies: int = 2
) -> Conversation:
    """A window with a call and its result; every reply trains."""
    messages: list[Message] = [System("[TEST] You answer."), User(said)]
    call = ToolCall("c1", "Bash", '{"command": "ls <tool_call> /tmp"}')
    messages += [Assistant("I look.", id=f"{name}-0", calls=(call,), said=7, chars=30)]
    messages += [Tool("c1", "Bash", "  a.txt\nb.txt\n"), User("And what now?")]
    for index in range(1, replies):
        text = f"The {WORDS[index % len(WORDS)]} of {said} is <|safe|>."
        messages += [Assistant(text, id=f"{name}-{index}", said=len(text), chars=len(text))]
        if index + 1 < replies:
            messages += [User(f"Go on, step {index}.")]
    session = name.partition(":")[0]
    origin = Origin("sessions", session, group=session, file=f"-home-user/{session}.jsonl", lines=(1, 9))
    return Conversation(name, origin, tuple(messages), role, tokens=60, notes=(Note("redact", "user", 1),))


def many(count: int, seed: int = 1, words: int = 40) -> list[Conversation]:
    """Windows of random words, of three roles."""
    chance = random.Random(seed)
    return [
        window(
            f"s{number // 4}:0.0#{number % 4}",
            f"Number {number}: " + " ".join(chance.choices(WORDS, k=words)) + ".",
            ("mayor", "crew", "witness")[number % 3],
        )
        for number in range(count)
    ]


def dataset(folder: Path, windows: list[Conversation], native: bool = False) -> Path:
    """The folder of a finished build with these rows, every fifth in val."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[bytes]] = {}
    for number, one in enumerate(windows):
        split = "val" if number % 5 == 4 else "train"
        row = format_row(one, "native" if native else "xml")
        lines.setdefault(f"gastown_{split}.jsonl", []).append(msgspec.json.encode(row))
        trace = with_split(msgspec.json.encode(trace_of(one)), split)
        lines.setdefault("origins.jsonl", []).append(trace)
    for stale in folder.glob("*.jsonl"):
        stale.unlink()
    for name, content in lines.items():
        (folder / name).write_bytes(b"".join(line + b"\n" for line in content))
    files = {name: File(str(hash(tuple(content))), len(content), 0) for name, content in lines.items()}
    write_json(folder / "manifest.json", Manifest(files=files))
    return folder
