"""A blind page on which people say which of two answers is better.

`python -m eval.people.judge --results LOCAL STRONG` takes stored results of role_bench or the rubric. Or both sides
are asked first, and their answers stored: `--tasks FILE`, `--domain NAME` or `--role NAME`, with `--local URL#MODEL`
(key in FORGE_KEY) and `--strong URL#MODEL` (key in OPENAI_API_KEY). Keys on the page: 1 or 2 for the better answer,
0 for a tie, s to skip, u to undo. Votes go to output/votes.db, and `--report` says what they tell.
"""

import argparse
import getpass
import json
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from eval.config import load_config
from eval.errors import BadInput, one_sentence
from eval.options import positive
from eval.people.answered import read_answers
from eval.people.endpoint import TIMEOUT_SECONDS, Side
from eval.people.live import ask_all
from eval.people.match import Match, make_match
from eval.people.options import GATEWAY, STRONG, endpoints_of, seconds
from eval.people.questions import Question, of_roles, of_tasks
from eval.people.tasks import Tasks, pack_of, tasks_of
from eval.people.votes import Votes
from eval.report import make_console

PORT = 18795
VOTES = Path("output/votes.db")
ANSWERS = Path("output/judged")


def judge(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = _arguments(argv)
    if args.report and not args.results:
        return report(args.votes, None, args.json)
    match = make_match_of(args)
    if args.report:
        return report(args.votes, match.id, args.json)
    votes = Votes(args.votes)
    try:
        votes.add_match(match)
        return serve(match, votes, args.author or _user(), args.port)
    finally:
        votes.close()


def make_match_of(args: argparse.Namespace) -> Match:
    """What is put against each other: two stored results, or what both sides answer now. Raises BadInput."""
    tasks = tasks_of(args.domain or (), args.tasks or (), args.config)
    if args.results:
        paths: Sequence[Path] = args.results
    else:
        questions = _questions(args, tasks)
        if not questions:
            raise BadInput("give --results LOCAL STRONG, or what is asked: --tasks FILE, --domain NAME or --role NAME.")
        paths = _asked(args, questions, next(iter(args.role or [file.domain for file, _ in tasks])))
    local, strong = (read_answers(path, [file for file, _ in tasks]) for path in paths)
    return make_match(local, strong, args.seed)


def report(path: Path, match: str | None, as_json: bool) -> int:
    """Print what the votes say, of one match or of all."""
    from eval.people.judge_report import print_tally
    from eval.people.judge_words import as_json as for_machines
    from eval.people.tally import tally

    if not path.exists():
        raise BadInput(f"{path} does not exist, so nobody has voted; vote with `python -m eval.people.judge`.")
    votes = Votes(path)
    try:
        matches = [one for one in votes.matches() if match in (None, one.id)]
        tallies = [tally(one, votes.standing(one.id)) for one in matches]
    finally:
        votes.close()
    if not tallies:
        raise BadInput(f"{path} has no votes on this; vote first, without --report.")
    if as_json:
        print(json.dumps([for_machines(one) for one in tallies]))
        return 0
    for one in tallies:
        print_tally(one, make_console())
    return 0


def serve(match: Match, votes: Votes, author: str, port: int) -> int:
    """The page, until Ctrl-C."""
    import uvicorn

    from eval.people.page import application

    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen()  # who opens the address as soon as it is told waits, and is not refused
    except (OSError, OverflowError) as problem:
        listening.close()
        raise BadInput(
            f"port {port} cannot be used ({getattr(problem, 'strerror', None) or problem}); give another --port, or 0."
        ) from None
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    print(f"{len(match.open)} tasks to judge at {address} as {author}. Each vote is stored; Ctrl-C ends.", flush=True)
    config = uvicorn.Config(application(match, votes, author), log_level="warning", access_log=False, lifespan="off")
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
    stand = len(votes.standing(match.id))
    print(f"{stand} votes stand on {len(match.open)} tasks; see what they say with --report.", flush=True)
    return 0


def _questions(args: argparse.Namespace, tasks: Sequence[Tasks]) -> list[Question]:
    roles = of_roles(args.role, load_config(args.config or pack_of(args.role))) if args.role else ()
    return [*of_tasks(tasks), *roles]


def _asked(args: argparse.Namespace, questions: Sequence[Question], name: str) -> list[Path]:
    """The files with both sides' answers, which are asked now where they are not stored."""
    options = {} if args.max_new_tokens is None else {"max_tokens": args.max_new_tokens}
    endpoints = endpoints_of(args.local, args.strong, name)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars = {one.side: progress.add_task(one.side.words, total=len(questions)) for one in endpoints}

        def tell(side: Side, done: int) -> None:
            progress.update(bars[side], completed=done)

        def note(sentence: str) -> None:
            progress.console.print(sentence, markup=False, soft_wrap=True)

        return ask_all(questions, endpoints, args.answers, options, args.timeout, args.again, tell, note)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m eval.people.judge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, nargs=2, metavar=("LOCAL", "STRONG"), help="stored results of both")
    parser.add_argument("--tasks", type=Path, action="append", metavar="FILE", help="tasks of your own")
    parser.add_argument("--domain", action="append", metavar="NAME", help="tasks of a pack or a shipped domain")
    parser.add_argument("--role", action="append", metavar="NAME", help="scenarios of eval/prompts, played")
    parser.add_argument("--local", metavar="URL#MODEL", help=f"default {GATEWAY}#NAME of the role or domain")
    parser.add_argument("--strong", metavar="URL#MODEL", help=f"default ${STRONG}")
    parser.add_argument("--config", type=Path, metavar="FILE", help="prompts and tasks of a pack; default: by the name")
    parser.add_argument("--answers", type=Path, default=ANSWERS, metavar="DIR", help=f"default {ANSWERS}")
    parser.add_argument("--again", action="store_true", help="ask anew what is stored")
    parser.add_argument("--max-new-tokens", type=positive, metavar="N", help="default: what each server does")
    parser.add_argument("--timeout", type=seconds, default=TIMEOUT_SECONDS, metavar="S", help="default 300 s")
    parser.add_argument("--seed", type=int, default=1234, help="draws the order of tasks and answers")
    parser.add_argument("--author", metavar="NAME", help="who votes; default: the user of this machine")
    parser.add_argument("--votes", type=Path, default=VOTES, metavar="FILE", help=f"default {VOTES}")
    parser.add_argument("--port", type=int, default=PORT, help=f"default {PORT}; 0: any free one")
    parser.add_argument("--report", action="store_true", help="print what the votes say, and serve nothing")
    parser.add_argument("--json", action="store_true", help="the report for machines")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(one_sentence(judge))
