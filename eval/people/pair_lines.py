"""The two lines of a comparison as the source `pairs` reads them: in the form in which the gateway captures.

The local answer is marked as our own, so that it is shown and not learned; the stronger one is learned. `exchange` is
what the redaction is given: both answers at once, so that a name which one of them reveals goes from both.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from eval.people.endpoint import Answer, Endpoint, Messages, Side

OWN = "own-adapter"  # the word of the captures for what an adapter of this project made
# Some name a model by its date, claude@20250805; the source would take it for a version of ours, mayor@3.
_DATED = re.compile(r"@(?=\d{6,}$)")

Line = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One side's whole answer."""

    endpoint: Endpoint
    answer: Answer

    @property
    def own(self) -> bool:
        """Whether it is our own: the local model's always, and whatever our gateway says is a version of ours."""
        return self.endpoint.side is Side.LOCAL or bool(self.answer.served)

    @property
    def model(self) -> str:
        """Who answered; of a path only its last part, as the others are nobody's business."""
        name = self.endpoint.model
        name = name.rstrip("/").rpartition("/")[2] if name.startswith(("/", "~", ".")) else name
        return self.answer.served or (name if self.own else _DATED.sub("-", name))


def exchange(at: str, role: str, messages: Messages, local: Said, strong: Said) -> bytes:
    """The comparison as one exchange of the gateway, a line of JSON; what it has no place for goes as its tools."""
    message = {"role": "assistant", "content": local.answer.text, "reasoning_content": local.answer.reasoning}
    body = {"choices": [{"message": message, "finish_reason": local.answer.finish}], "usage": _usage(local.answer)}
    line = {
        "at": at,
        "role": role,
        "version": 0,
        "key": "",
        "request": {
            "messages": list(messages),
            "tools": [strong.answer.text, strong.answer.reasoning, local.model, strong.model],
        },
        "answer": b64encode(msgspec.json.encode(body)).decode(),
        "streamed": False,
        "ending": "complete",
        "status": 200,
        "seconds": local.answer.seconds,
    }
    return msgspec.json.encode(line)


def lines_of(clean: Mapping[str, Any], comparison: str, role: str, local: Said, strong: Said) -> tuple[Line, Line]:
    """The lines of both sides, made of the redacted exchange. The stronger one comes first: where both say the same,
    the source keeps the first, and that one may be learned.
    """
    text, reasoning, local_model, strong_model = clean["tools"]
    better = {"content": text} | ({"reasoning_content": reasoning} if reasoning else {})
    common = {"at": clean["at"], **({"role": role} if role else {}), "comparison": comparison}
    messages = clean["messages"]
    return (
        _line(common, strong, strong_model, messages, better),
        _line(common, local, local_model, messages, clean["answer"]),
    )


def _line(common: Line, said: Said, model: str, messages: Sequence[Any], told: Mapping[str, Any]) -> Line:
    answer = said.answer
    version = answer.served.rpartition("@v")[2]
    line = {
        **common,
        "side": said.endpoint.side.value,
        **({"version": int(version)} if version else {}),
        "model": model,
        **({"made_by": OWN} if said.own else {}),
        "key": "",
        "messages": messages,
        "tools": [],
        "answer": told,
        "ending": "complete",
        "finish": answer.finish,
        "usage": _usage(answer),
        "seconds": round(answer.seconds, 4),
        **({} if answer.first_seconds is None else {"first_token_seconds": round(answer.first_seconds, 4)}),
    }
    return {"id": f"pair-{blake2b(msgspec.json.encode(line), digest_size=8).hexdigest()}", **line}


def _usage(answer: Answer) -> dict[str, int]:
    counts = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.new_tokens}
    return {name: count for name, count in counts.items() if count is not None}
