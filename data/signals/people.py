"""What people made of a step: rejected its call, interrupted it, corrected it, or approved.

Only how a text begins is looked at, and only the first words after a reply: what comes later is about something else.
Words are English; a correction in another language is not seen.
"""

from __future__ import annotations

import re
from enum import StrEnum

from data.record import ResultStatus, UserKind
from data.signals.steps import PEOPLE, Step

_LOOK = 160  # characters at the start of a text that can be a correction or an approval
_ASKS = 400  # characters at the end of a reply in which it may ask something
# Answers that people type while or after the agent works; commands and plans start something new.
_REACTIONS = frozenset({UserKind.PROMPT, UserKind.QUEUED, UserKind.BESIDE_RESULT})

_FILLER = r"(?:(?:hmm+|um+|uh+|oh|ah|gah|argh|wait|ok(?:ay)?|well|actually|sorry|hey|please|but)\b[,.!… ]*)*"
_CORRECTION = re.compile(
    _FILLER
    + r"(?:"
    + r"no(?:pe)?[,.! –-]+(?:not (?:that|this|what|like|the)|i (?:meant|said|wanted|asked)|that'?s (?:not|wrong)"
    + r"|that is (?:not|wrong)|that isn'?t|wrong|undo|revert)\b"
    + r"|not (?:that|this|like th(?:at|is)|(?:quite |exactly )?what i|the (?:right|one)|there|here)\b"
    + r"|(?:that|this|it)(?:'s| is| was| looks) (?:still )?(?:not (?:what|right|correct|how|true|it\b|working)"
    + r"|wrong|incorrect|broken)"
    + r"|(?:that|this|it) (?:isn'?t|wasn'?t) (?:what|right|correct|how|true|it\b|working)"
    + r"|(?:that|this|it) (?:still )?(?:doesn'?t|does not|didn'?t|did not) (?:work|fix|help)"
    + r"|(?:it'?s |it is |this is |that'?s )?still (?:not (?:work|right|correct|fix)|fail|broken|wrong)"
    + r"|wrong(?:[,.!:]|$| (?:file|one|branch|place|repo|direction|approach|function|test|folder|line)\b)"
    + r"|(?:undo|revert) (?:that|this|it|your|the last|those|these|everything|what)\b"
    + r"|stop(?:[,.!]|$| (?:it|that|this|doing|there)\b)"
    + r"|i (?:said|meant|told you|asked (?:you )?(?:to|for)\b|(?:didn'?t|did not) (?:ask|want|mean|say))\b"
    + r"|you (?:misunderstood|broke|forgot|missed|ignored|were (?:not )?supposed|weren'?t supposed"
    + r"|should(?:n'?t| not) have|(?:just )?deleted|(?:only|still) (?:did|have)n'?t)\b"
    + r"|(?:don'?t|do not) do (?:that|this|it)\b"
    + r")",
    re.IGNORECASE,
)
# Any other no rejects what the agent did, unless the agent had asked or the rest takes it back.
_NO = re.compile(
    _FILLER + r"(?:no(?:pe|o+)?|nah)(?:[,.!]\s*|$| (?=(?:don'?t|do not|you|we|it|stop|never|use|keep|i)\b))(.{0,40})",
    re.IGNORECASE,
)
_NO_OBJECTION = re.compile(
    r"(?:then |need|problem|worries|rush|thank|it'?s (?:ok|fine|good)|that'?s (?:ok|fine|good|all|it\b)|all good"
    r"|go ahead|we'?re (?:ok|fine|good|done)|looks? (?:ok|fine|good)|leave"
    r"|this is (?:ok|fine|good)|just (?:go|do|commit|push))",
    re.IGNORECASE,
)
_APPROVAL = re.compile(
    r"(?:y(?:es|ep|up|eah|eap)|perfect|great|thanks|thank you|thx|nice|awesome|excellent|exactly|lgtm|looks good"
    r"|sounds good|good (?:job|work|idea)|well done|love (?:it|that|this)|ship it|merge it|that works|it works|works"
    r"|commit (?:this|it|that)|push (?:this|it|that))\b(?P<rest>.{0,60})",
    re.IGNORECASE,
)
_RESERVATION = re.compile(r"\b(?:but|however|except|although|only that)\b", re.IGNORECASE)


class Objection(StrEnum):
    """How a person said no to a reply."""

    REJECTED = "rejected"
    INTERRUPTED = "interrupted"
    CORRECTED = "corrected"


def objection(step: Step) -> Objection | None:
    """A person's no to the reply of a step, if there was one. An accepted plan is none, nor the interrupt it causes."""
    if any(result.status is ResultStatus.REJECTED for result in step.results):
        return Objection.REJECTED
    if not step.said:  # nearly always
        return None
    first = next((user for user in step.said if user.kind in PEOPLE or user.kind is UserKind.INTERRUPT), None)
    if first is None:
        return None
    if first.kind is UserKind.INTERRUPT:
        return None if _plan_accepted(step) else Objection.INTERRUPTED
    if first.kind in _REACTIONS and corrects(first.text, step.reply.text):
        return Objection.CORRECTED
    return None


def approval(step: Step) -> bool:
    """Whether a person took what the reply did or proposed: a plan accepted, or a yes without a but."""
    if _plan_accepted(step):
        return True
    if not step.said:
        return False
    first = next((user for user in step.said if user.kind in PEOPLE), None)
    return first is not None and first.kind in _REACTIONS and approves(first.text)


def corrects(text: str, reply: str) -> bool:
    """Whether a text corrects the reply before it. A mere no after a question is its answer."""
    head = text[:_LOOK].replace("’", "'")
    if _CORRECTION.match(head):
        return True
    no = _NO.match(head)
    return no is not None and "?" not in reply[-_ASKS:] and not _NO_OBJECTION.match(no.group(1))


def approves(text: str) -> bool:
    """Whether a text begins with a yes or a praise that nothing takes back."""
    match = _APPROVAL.match(text[:_LOOK])
    return match is not None and not _RESERVATION.search(match["rest"])


def _plan_accepted(step: Step) -> bool:
    return any(result.status is ResultStatus.ACCEPTED_PLAN for result in step.results)
