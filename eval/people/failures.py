"""The sentences about an endpoint that gives no whole answer: which side, what happened, and what to do."""

from eval.people.endpoint import Endpoint, Failed, Side, upper
from eval.people.stream import Pieces, message_in
from eval.printable import one_line


def no_chat(endpoint: Endpoint, what: str) -> Failed:
    fix = "check that the address ends where /chat/completions begins, mostly in /v1"
    return Failed(f"{upper(endpoint.name)} does not answer as OpenAI's API does ({what}); {fix}.", lasting=True)


def no_text(endpoint: Endpoint) -> Failed:
    return Failed(f"{upper(endpoint.name)} answered without any text; ask in other words, or look at its log.")


def refused(endpoint: Endpoint, status: int, body: bytes, retry: str) -> Failed:
    """The sentence for a status that is no success."""
    told = _told(endpoint, message_in(body))
    said = f"{upper(endpoint.name)} answers {status}{f' ({told})' if told else ''}"
    if status in (401, 403):
        fix = f"correct {endpoint.side.key}" if endpoint.key else f"set {endpoint.side.key}"
        return Failed(f"{upper(endpoint.name)} answers {status}; {fix} and ask again.", lasting=True)
    if status == 429:
        wait = f"wait {retry} s" if retry.isdigit() else "wait a little"
        return Failed(f"{said}, too many requests or no credit left; {wait} and ask again.")
    if status >= 500:
        return Failed(f"{said}; look at its log, and ask again.")
    if 300 <= status < 400:
        return Failed(f"{said}, which points elsewhere; give --{endpoint.side} the address it points to.", lasting=True)
    fix = "correct the model's name or the address" if status in (404, 405) else "change what it refuses"
    return Failed(f"{said}; {fix} and ask again.", lasting=True)


def late(endpoint: Endpoint, timeout: float, pieces: Pieces) -> Failed:
    came = f" ({len(pieces.text):,} characters had come)" if pieces.text else ""
    return Failed(f"{upper(endpoint.name)} was not done after {timeout:g} s{came}; raise --timeout, or ask again.")


def broke_off(endpoint: Endpoint, pieces: Pieces, said: str) -> Failed:
    told = _told(endpoint, said)
    reason = f" ({told})" if told else ""
    where = f"in the middle, after {len(pieces.text):,} characters" if pieces.text else "before its answer began"
    return Failed(f"{upper(endpoint.name)} broke off {where}{reason}; ask again, and look at its log.")


def unreachable(endpoint: Endpoint, is_insecure: bool) -> Failed:
    if is_insecure:
        fix = "check whether its address begins with http or https, and its certificate"
        return Failed(f"{upper(endpoint.name)} cannot be spoken to safely; {fix}.", lasting=True)
    fix = "start it, or correct --strong URL#MODEL"
    if endpoint.side is Side.LOCAL:
        fix = "start the gateway with `make serve`, or give --local URL#MODEL"
    return Failed(f"Nobody answers as {endpoint.name}; {fix}.", lasting=True)


def _told(endpoint: Endpoint, message: str) -> str:
    """What a server says of its trouble, on one line; some say the key that they were given."""
    return one_line(message.replace(endpoint.key, "***") if endpoint.key else message, 200)
