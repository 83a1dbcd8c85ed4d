"""Which agent role a session belongs to: by its working directory first, then by what Gas Town wrote into it.

Nothing is guessed: a session without a sign stays `unknown`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from msgspec.structs import replace

from data.config import TaggerConfig
from data.record import Conversation, Tool, User
from data.stage import Stage

UNKNOWN = "unknown"

# Layout of a town below its root, old and new (gastown, internal/templates and deacon.toml).
_LAYOUT: tuple[tuple[str, str], ...] = (
    (r"deacon/dogs/boot(?:/|$)", "boot"),
    (r"deacon/dogs/[^/]+", "dog"),
    (r"deacon(?:/|$)", "deacon"),
    (r"mayor(?:/|$)", "mayor"),
    (r"[^/]+/mayor(?:/|$)", "mayor"),
    (r"[^/]+/witness(?:/|$)", "witness"),
    (r"[^/]+/refinery(?:/|$)", "refinery"),
    (r"[^/]+/polecats/[^/]+", "polecat"),
    (r"[^/]+/crew/[^/]+", "crew"),
)
_BRANCH = re.compile(r"polecat/[^/]+/[^/]+")
_BEACON = re.compile(r"\[GAS TOWN\] (?P<who>[^<\n]{1,80}?) <- ")
_PRIME = re.compile(r"\[GAS TOWN\] role:(?P<who>\S{1,80})")
_RECOVERY = re.compile(r"> \*\*Recovery\*\*: Context compact complete\. You are \*\*(?P<who>[^*]{1,80})\*\*")
_WORDS = {name: name for name in ("mayor", "deacon", "boot", "dog", "witness", "refinery", "polecat", "crew")}
_WORDS |= {"deacon-boot": "boot", "polecats": "polecat", "dogs": "dog"}
_LOOK_AT = 12  # a beacon opens a session; later mentions are mail about others


def role_tagger(config: TaggerConfig) -> Stage:
    """A stage that sets the role of conversations whose source has not set one."""
    towns = "|".join(map(re.escape, config.towns))
    layout = [(re.compile(rf"(?:^|/)(?:{towns})/{path}"), role) for path, role in _LAYOUT]
    rules = [(re.compile(rule.cwd), rule.role) for rule in config.rules]

    def tag(conversation: Conversation) -> Iterator[Conversation]:
        if conversation.role != UNKNOWN:
            yield conversation
            return
        cwd = conversation.origin.cwd.replace("\\", "/")
        role = next((role for pattern, role in layout if pattern.search(cwd)), None)
        role = role or role_in_texts(conversation)
        role = role or next((role for pattern, role in rules if pattern.search(cwd)), None)
        yield replace(conversation, role=role or UNKNOWN)

    return tag


def role_in_texts(conversation: Conversation) -> str | None:
    """The role named by a beacon, a `gt prime` header or a polecat's branch, if any."""
    for message in islice(conversation.messages, _LOOK_AT):
        if isinstance(message, User | Tool):
            for pattern in (_PRIME, _BEACON, _RECOVERY):
                if (match := pattern.search(message.text)) and (role := role_of_actor(match["who"])):
                    return role
    return "polecat" if _BRANCH.match(conversation.origin.branch) else None


def role_of_actor(actor: str) -> str | None:
    """The role in an address: `mayor`, `witness (rig: x)`, `hivemind/refinery`, `gastown/crew/gus`."""
    parts = actor.split("(")[0].strip().split("/")
    for word in (*reversed(parts), *parts[0].split()):
        if word in _WORDS:
            return _WORDS[word]
    return None
