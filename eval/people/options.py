"""What `compare` and `judge` have in common on the command line: who is asked, and how long."""

import argparse
import os

from eval.errors import BadInput
from eval.people.endpoint import Endpoint, Side, endpoint_of

GATEWAY = "http://127.0.0.1:18793/v1"
STRONG = "FORGE_STRONG"  # the variable with the stronger model of those who do not want to write it each time


def endpoints_of(local: str | None, strong: str | None, name: str | None) -> tuple[Endpoint, Endpoint]:
    """Both sides; the local one is the gateway's model `name` where no other is given. Raises BadInput."""
    if local is None and not name:
        raise BadInput(f"say who is asked: --role NAME for the gateway at {GATEWAY}, or --local URL#MODEL.")
    strong = strong or os.environ.get(STRONG)
    if not strong:
        raise BadInput(f"name the stronger model: --strong URL#MODEL, or set {STRONG}.")
    return endpoint_of(Side.LOCAL, local or f"{GATEWAY}#{name}"), endpoint_of(Side.STRONG, strong)


def seconds(text: str) -> float:
    """A time of up to a day on a command line."""
    value = float(text)
    if not 0 < value < 86_400:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds from above 0 to a day")
    return value
