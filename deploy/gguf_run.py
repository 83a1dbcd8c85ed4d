"""Runs a GGUF file in llama-server and holds what it says against the model that it was made from.

Every position of the source's own greedy answers is asked for: the prompt and the answer so far go in, and the
likeliest next token must be the source's. Where all are equal, so are the free answers.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.adapter import Refusal
from deploy.engine import find_server
from deploy.gguf_tokens import NASTY
from deploy.source_model import ANSWER_TOKENS, Answer, Source

START_SECONDS: Final = 600.0
"""a large model is read from a slow disk"""
# Two tokens whose logits are closer than this may change places by the rounding of weights and activations to 16 bits.
NEAR_TIE: Final = {"float32": 0.1, "bfloat16": 0.5, "float16": 0.2}


@dataclass(frozen=True)
class Agreement:
    """How a file answers beside its source, over the source's own greedy answers."""

    prompts: int
    tokens: int
    equal_tokens: int
    equal_first_tokens: int
    equal_answers: int
    near_ties: int
    """of the tokens that differ, those between which the source hardly chose"""
    largest_gap: float
    """in logits: by how much the source preferred its own token to the file's, at worst"""
    precision: str
    """in which the source was run"""

    @property
    def share(self) -> float:
        """Of equal tokens."""
        return self.equal_tokens / self.tokens if self.tokens else 0.0


@contextmanager
def served(model: Path, lora: Path | None, context: int) -> Iterator[Any]:
    """An httpx client of a llama-server with this file, on a socket that nobody else sees. Raises `Refusal`."""
    import httpx

    server = find_server()
    if server is None:
        raise Refusal("there is no llama-server to try the file in. Run: make engine.")
    with tempfile.TemporaryDirectory(prefix="gguf-") as folder:
        socket, log = Path(folder) / "engine.sock", Path(folder) / "log"
        command = [str(server), "--model", str(model), "--host", str(socket), "--ctx-size", str(context)]
        command += ["--parallel", "1", "--offline", *(["--lora", str(lora)] if lora else [])]
        with log.open("wb") as said:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
        try:
            transport = httpx.HTTPTransport(uds=str(socket))
            with httpx.Client(transport=transport, base_url="http://engine", timeout=START_SECONDS) as client:
                _wait(client, process, model, log)
                yield client
        finally:
            process.kill()
            process.wait()


def _wait(client: Any, process: subprocess.Popen[bytes], model: Path, log: Path) -> None:
    import httpx

    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or "failed" in line.lower()]
    raise Refusal(f"llama-server does not load {model} ({(errors or lines or ['it said nothing'])[0].strip()}).")


def try_file(model: Path, lora: Path | None, source: Source, answers: Sequence[Answer]) -> Agreement:
    """Loads a file, checks that it reads texts and chats as the source does, and compares their answers.

    Raises `Refusal` where it does not load, or reads other tokens than the source.
    """
    longest = max(len(answer.prompt) for answer in answers)
    with served(model, lora, longest + ANSWER_TOKENS + 64) as client:
        faults = [*token_faults(client, source), *chat_faults(client, answers)]
        if faults:
            raise Refusal(f"{model} reads other tokens than its source: {'; '.join(faults)}.")
        return agreement([(answer, _argmaxes(client, answer)) for answer in answers], source.precision)


def token_faults(client: Any, source: Source) -> Iterator[str]:
    """The nasty texts that have other ids on both sides."""
    for text in NASTY:
        found = client.post("/tokenize", json={"content": text, "add_special": False}).json()["tokens"]
        if found != (wanted := source.encode(text)):
            yield f"{text!r} is {found}, not {wanted}"


def chat_faults(client: Any, answers: Sequence[Answer]) -> Iterator[str]:
    """Chats that the file's own template renders otherwise, or that get other tokens before and after."""
    for answer in answers:
        messages = {"messages": list(answer.chat)}
        if client.post("/apply-template", json=messages).json().get("prompt") != answer.text:
            yield "its chat template renders a prompt otherwise"
        asked = client.post("/v1/chat/completions", json={**messages, "max_tokens": 1}).json()
        if (count := asked.get("usage", {}).get("prompt_tokens")) != len(answer.prompt):
            yield f"a chat of {len(answer.prompt)} tokens counts {count}"


def _argmaxes(client: Any, answer: Answer) -> list[int]:
    """The likeliest token at each position of the source's answer."""
    found = []
    for at in range(len(answer.tokens)):
        asked = {"prompt": [*answer.prompt, *answer.tokens[:at]], "n_predict": 1, "temperature": 0}
        reply = client.post("/completion", json={**asked, "return_tokens": True})
        reply.raise_for_status()
        # More than one comes where the first is only the beginning of a character.
        found.append(int(reply.json()["tokens"][0]))
    return found


def agreement(pairs: Sequence[tuple[Answer, Sequence[int]]], precision: str) -> Agreement:
    """What the likeliest tokens of a file are beside the answers of its source."""
    tokens = [
        (wanted, found, float(row[wanted] - row[found]))
        for answer, argmaxes in pairs
        for wanted, found, row in zip(answer.tokens, argmaxes, answer.logits, strict=True)
    ]
    gaps = [gap for wanted, found, gap in tokens if wanted != found]
    return Agreement(
        prompts=len(pairs),
        tokens=len(tokens),
        equal_tokens=len(tokens) - len(gaps),
        equal_first_tokens=sum(answer.tokens[0] == found[0] for answer, found in pairs),
        equal_answers=sum(list(answer.tokens) == list(found) for answer, found in pairs),
        near_ties=sum(gap < NEAR_TIE[precision] for gap in gaps),
        largest_gap=round(max(gaps, default=0.0), 4),
        precision=precision,
    )
