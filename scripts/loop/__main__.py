"""The loop: look where a role is weak, get examples of that kind, train on them, and let the gate decide.

`python -m scripts.loop iterate mayor` makes one round: exit code 0 promoted, 3 not promoted, 1 a step failed, 2 bad
input. `python -m scripts.loop auto start|stop|status` makes rounds on thresholds.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence

from scripts.loop import control
from scripts.loop.auto import Auto
from scripts.loop.commands import Place, planned
from scripts.loop.errors import BadInput, Failed, Stopped
from scripts.loop.lock import held
from scripts.loop.options import asked_for, from_repository, parser, words_of
from scripts.loop.plan import REPOSITORY, make_plan
from scripts.loop.round import begin, go
from scripts.loop.settings import load_settings
from scripts.loop.state import next_name

BAD_INPUT, INTERRUPTED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = parser(__doc__ or "").parse_args(words)
    options.root = from_repository(options.root)
    if "loop" in options:
        options.loop = from_repository(options.loop)
    try:
        return iterate(options) if options.command == "iterate" else auto(options)
    except BadInput as problem:
        for sentence in str(problem).splitlines():
            print(f"error: {sentence}", file=sys.stderr)
        return BAD_INPUT
    except Failed as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, Stopped):
        print("interrupted; the same command goes on with the round.", file=sys.stderr)
        return INTERRUPTED


def iterate(options: argparse.Namespace) -> int:
    """One round."""
    asked = asked_for(options, options.role)
    os.chdir(REPOSITORY)
    plan = make_plan(asked, load_settings(options.loop))
    if options.dry_run:
        for name, commands in planned(plan, Place(plan, next_name(plan.root, plan.role))):
            print(f"== {name}", *(shlex.join(words) for words in commands), sep="\n")
        return 0
    signal.signal(signal.SIGTERM, _stopped)
    with held(plan.root / "loop" / "lock", f"a round of {plan.role}"):
        state = begin(plan, options.fresh)
        code = go(plan, state)
    page = Place(plan, state.name).folder / "report.html"
    print(f"{state.outcome or 'unfinished'}: {' '.join(state.reasons)}\nThe page: {page}")
    return int(code)


def auto(options: argparse.Namespace) -> int:
    """The process that makes rounds on thresholds."""
    if options.action in ("start", "run"):
        asked = [asked_for(options, role) for role in dict.fromkeys(options.role)]
        given = words_of(asked, options.loop)
        os.chdir(REPOSITORY)
        for one in asked:
            make_plan(one, load_settings(options.loop))
        if options.action == "run":
            Auto(asked, options.loop).run()
        else:
            _say(options, control.start(options.root, given))
        return 0
    os.chdir(REPOSITORY)
    if options.action == "stop":
        _say(options, control.stop(options.root, options.now))
        return 0
    found = control.status(options.root)
    print(json.dumps(found, ensure_ascii=False, indent=1) if options.json else control.shown(found))
    return 0


def _say(options: argparse.Namespace, sentence: str) -> None:
    print(json.dumps({"said": sentence}) if options.json else sentence)


def _stopped(*_: object) -> None:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
