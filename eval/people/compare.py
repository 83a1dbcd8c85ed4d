"""Asks the local model and a stronger one the same at the same time, shows both answers, and keeps the pair.

`python -m eval.people.compare "prompt" --role mayor --strong https://HOST/v1#MODEL`. The pair goes, redacted, to
output/comparisons/<date>.jsonl, which the data source `pairs` reads: the stronger answer is learned, ours is not. Keys
come from the environment: FORGE_KEY for the local side, OPENAI_API_KEY for the stronger one. Only whole pairs are kept.
Exit codes: 0 all kept, 1 a side failed or a pair was not kept, 2 bad input.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from eval.config import DEFAULT, load_config
from eval.errors import one_sentence
from eval.options import positive
from eval.people.both import Asked, Outcome, ask_both
from eval.people.compare_view import Watch, show
from eval.people.endpoint import TIMEOUT_SECONDS, Answer, Endpoint, Messages
from eval.people.options import GATEWAY, STRONG, endpoints_of, seconds
from eval.people.pair_lines import Said
from eval.people.pair_store import NotStored, PairStore
from eval.people.prompts import prompts_of

OUT = Path("output/comparisons")


@dataclass(frozen=True)
class Plan:
    """What is asked of whom. `role` is empty where no role was named."""

    local: Endpoint
    strong: Endpoint
    role: str
    system: str
    options: Mapping[str, Any]
    timeout: float

    def messages(self, prompt: str) -> Messages:
        first = [{"role": "system", "content": self.system}] if self.system else []
        return [*first, {"role": "user", "content": prompt}]


def compare(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = _arguments(argv)
    prompts, plan = prompts_of(args.prompt, args.prompts), make_plan(args)
    console = Console(file=sys.stderr if args.json else sys.stdout, highlight=False)
    kept = 0
    with PairStore(args.out, args.config) as store:
        for prompt in prompts:
            asked = _ask(console, plan, prompt, args.json)
            kept += _finish(console, plan, prompt, asked, store, args.json)
            if any(failure.lasting for failure in asked.failures):
                break
    if len(prompts) > 1:
        console.print(f"{kept} of {len(prompts)} comparisons are kept.", markup=False)
    return 0 if kept == len(prompts) else 1


def make_plan(args: argparse.Namespace) -> Plan:
    """The plan of a command line. Raises BadInput."""
    local, strong = endpoints_of(args.local, args.strong, args.role)
    system = args.system
    if system is None:
        system = load_config(args.config).system(args.role) if args.role else ""
    options = {"max_tokens": args.max_new_tokens, "temperature": args.temperature}
    return Plan(
        local,
        strong,
        args.role or "",
        system.strip(),
        {name: value for name, value in options.items() if value is not None},
        args.timeout,
    )


def _ask(console: Console, plan: Plan, prompt: str, quiet: bool) -> Asked:
    watch = Watch(console, plan.local, plan.strong)
    with nullcontext() if quiet else watch:
        return ask_both(
            plan.local, plan.strong, plan.messages(prompt), plan.options, plan.timeout, watch.text, watch.end
        )


def _finish(console: Console, plan: Plan, prompt: str, asked: Asked, store: PairStore, as_json: bool) -> bool:
    """Show a comparison and keep it; whether it is kept."""
    problems = [str(failure) for failure in asked.failures]
    comparison, path = "", None
    if isinstance(asked.local, Answer) and isinstance(asked.strong, Answer):
        local, strong = Said(plan.local, asked.local), Said(plan.strong, asked.strong)
        try:
            comparison, path = store.keep(plan.role, plan.messages(prompt), local, strong)
        except NotStored as reason:
            problems.append(f"Not kept: {reason}")
    else:
        problems.append("Not kept: a comparison is only kept when both answers are whole.")
    if as_json:
        print(_as_json(plan, prompt, asked, comparison, path), flush=True)
    else:
        show(console, prompt, plan.local, plan.strong, asked)
        if path:
            console.print(f"Kept as {comparison} in {path}", markup=False, soft_wrap=True)
    for problem in problems:
        print(problem, file=sys.stderr, flush=True)
    return path is not None


def _as_json(plan: Plan, prompt: str, asked: Asked, comparison: str, path: Path | None) -> str:
    value = {
        "comparison": comparison or None,
        "file": str(path) if path else None,
        "prompt": prompt,
        "local": _side(plan.local, asked.local),
        "strong": _side(plan.strong, asked.strong),
    }
    return json.dumps(value)


def _side(endpoint: Endpoint, outcome: Outcome) -> dict[str, Any]:
    who = {"url": endpoint.url, "model": endpoint.model}
    if not isinstance(outcome, Answer):
        return who | {"problem": str(outcome)}
    return who | {
        "served": outcome.served or None,
        "answer": outcome.text,
        "finish": outcome.finish,
        "seconds": round(outcome.seconds, 4),
        "first_token_seconds": None if outcome.first_seconds is None else round(outcome.first_seconds, 4),
        "prompt_tokens": outcome.prompt_tokens,
        "new_tokens": outcome.new_tokens,
    }


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m eval.people.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prompt", nargs="?", help="what both are asked")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="several: .jsonl with `prompt`, or one a line")
    parser.add_argument("--local", metavar="URL#MODEL", help=f"our model; default {GATEWAY}#ROLE, key in FORGE_KEY")
    parser.add_argument("--strong", metavar="URL#MODEL", help=f"default ${STRONG}; key in OPENAI_API_KEY")
    parser.add_argument("--role", metavar="NAME", help="whose system prompt opens the chat, and who is asked")
    parser.add_argument("--system", metavar="TEXT", help="another system prompt")
    parser.add_argument("--config", type=Path, default=DEFAULT, metavar="FILE", help=f"default {DEFAULT}")
    parser.add_argument("--max-new-tokens", type=positive, metavar="N", help="default: what each server does")
    parser.add_argument("--temperature", type=float, metavar="T", help="default: what each server does")
    parser.add_argument("--timeout", type=seconds, default=TIMEOUT_SECONDS, metavar="S", help="default 300 s")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help=f"default {OUT}")
    parser.add_argument("--json", action="store_true", help="one JSON object a comparison, for machines")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(one_sentence(compare))
