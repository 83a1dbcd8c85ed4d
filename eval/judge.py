"""Asks a judge which of two stored runs is better: `python -m eval.judge --endpoint URL#NAME BASE ADAPTER --out FILE`.

The judge (any OpenAI-compatible server, key in OPENAI_API_KEY) is audited first, on right runs beside wrong ones; one
that fails is not shown (exit code 3). Each pair is judged in both orders. Nothing here counts for `pass`.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from rich.markup import escape
from rich.table import Table

from eval.compare import refuse_unequal
from eval.config import DEFAULT, load_config
from eval.errors import BadInput, one_sentence, writable, write_json
from eval.judge_audit import Audit, audit
from eval.judge_client import Judge
from eval.judge_pairs import Candidate, Judged, ask_pairs, is_consistent
from eval.judge_prompt import INSTRUCTIONS, run_text, task_text
from eval.options import positive
from eval.report import make_console, make_table
from eval.results import RoleBench, clean, read_results
from eval.scenario import PROMPTS, known_role, load_scenarios
from eval.statistics import Rate, rate_interval
from eval.targets import resolve_target

EXIT_NOT_SHOWN = 3
POINTS = {"first": 0.0, "second": 1.0, "same": 0.5}


class Judgement(msgspec.Struct, frozen=True, tag="judge", tag_field="kind"):
    """The stored result: the judge, what it was told, the audit, and every pair (base first, adapter second).

    `summary` holds by role what the adapter won, lost and drew, the contradictions, and its share of points with its
    interval; it is None where the audit failed.
    """

    judge: str
    base: str
    adapter: str
    instructions: str
    settings: dict[str, int]
    scenarios: dict[str, str]
    audit: Audit
    pairs: tuple[Judged, ...] = ()
    summary: dict[str, dict[str, float]] | None = None
    format: Literal[1] = 1


def judge_runs(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = _arguments(argv)
    out, config = writable(args.out), load_config(args.config)
    base, adapter = read_results(args.base), read_results(args.adapter)
    refuse_unequal(base, adapter)
    candidates = pair_up(base, adapter, args.samples)
    files = [load_scenarios(known_role(role), args.scenarios) for role in base.scenarios]
    judge, label = open_judge(args.endpoint)
    audited = audit(judge, files, config, args.seed)
    pairs = () if audited.fault else tuple(ask_pairs(judge, candidates, args.seed))
    judgement = Judgement(
        judge=label,
        base=base.model,
        adapter=adapter.model,
        instructions=INSTRUCTIONS,
        settings={"temperature": 0, "seed": args.seed, "samples": args.samples},
        scenarios=base.scenarios,
        audit=audited,
        pairs=pairs,
        summary=None if audited.fault else summarize(pairs),
    )
    write_json(out, msgspec.to_builtins(judgement))
    _print_judgement(judgement, out)
    return EXIT_NOT_SHOWN if audited.fault else 0


def open_judge(endpoint: str) -> tuple[Judge, str]:
    """The judge at http://HOST/v1#MODEL, and its name without any credentials."""
    target = resolve_target(endpoint, None, "")
    if target.server is None:
        raise BadInput(f"{endpoint} is no judge; give --endpoint http://HOST/v1#MODEL.")
    return Judge(target.server, target.label), target.label


def pair_up(base: RoleBench, adapter: RoleBench, samples: int) -> list[Candidate]:
    """The first `samples` runs of each scenario that no training row holds: of the base (first) and the adapter."""
    after = {(episode.id, episode.sample): episode for episode in clean(adapter)}
    both = [(one, after[key]) for one in clean(base) if (key := (one.id, one.sample)) in after and one.sample < samples]
    if not both:
        raise BadInput("the runs share no scenario that is free of training rows; there is nothing to judge.")
    return [
        Candidate(
            one.id,
            one.role,
            one.family,
            one.sample,
            task_text(one.asked),
            run_text(one.steps),
            run_text(other.steps),
        )
        for one, other in both
    ]


def summarize(pairs: Iterable[Judged]) -> dict[str, dict[str, float]]:
    """What the adapter won, lost and drew, and its share of points: by role, under `all` where there are several."""
    groups: dict[str, list[Judged]] = {}
    for pair in pairs:
        groups.setdefault(pair.role, []).append(pair)
    if len(groups) > 1:
        groups["all"] = [pair for group in groups.values() for pair in group]
    return {role: _count(group) for role, group in groups.items()}


def share(pairs: Iterable[Judged]) -> Rate | None:
    """The adapter's points per scenario (1 won, 0.5 drawn, 0 lost) with families as clusters; None without any verdict.

    Only verdicts that survived the swap count.
    """
    points: dict[str, list[float]] = {}
    families: dict[str, str] = {}
    for pair in filter(is_consistent, pairs):
        points.setdefault(pair.id, []).append(POINTS[pair.outcome])
        families[pair.id] = f"{pair.role}/{pair.family}"
    return rate_interval({key: sum(p) / len(p) for key, p in points.items()}, families) if points else None


def _count(group: list[Judged]) -> dict[str, float]:
    counts = Counter(pair.outcome for pair in group)
    counted: dict[str, float] = {
        "won": counts["second"],
        "lost": counts["first"],
        "drawn": counts["same"],
        "not counted": counts["contradiction"] + counts["no verdict"],
    }
    rate = share(group)
    if rate is None:
        return counted
    interval = {"low": rate.low, "high": rate.high} if rate.enough else {}
    return counted | {"share": rate.value, "scenarios": rate.units, "families": rate.clusters, **interval}


def _print_judgement(judgement: Judgement, out: Path) -> None:
    console = make_console()
    audited = judgement.audit
    if judgement.summary is None:
        console.print(f"The verdicts of {judgement.judge} are not shown: {audited.fault}.", markup=False)
    else:
        console.print(_table(judgement.summary, judgement.judge))
        console.print(
            f"Audit: {audited.consistent:.0%} of {len(audited.pairs)} pairs consistent, right run preferred in "
            f"{audited.prefers_right:.0%}. A judge is an opinion: nothing here counts for `pass`.",
            markup=False,
        )
    console.print(f"Every prompt and reply: {out}", markup=False)


def _table(summary: Mapping[str, Mapping[str, float]], label: str) -> Table:
    columns = ("role", "won", "lost", "drawn", "not counted", "points", r"\[95 %]", "scenarios", "families")
    table = make_table(f"adapter against base, as judged by {escape(label)}", *columns)
    for role, found in summary.items():
        counts = [f"{found[key]:.0f}" for key in ("won", "lost", "drawn", "not counted")]
        if "share" not in found:
            table.add_row(role, *counts, "-", "-", "0", "0")
            continue
        interval = f"{found['low']:.2f} to {found['high']:.2f}" if "low" in found else "too few"
        units = (f"{found['scenarios']:.0f}", f"{found['families']:.0f}")
        table.add_row(role, *counts, f"{found['share']:.2f}", interval, *units)
    return table


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m eval.judge", description=__doc__)
    parser.add_argument("--endpoint", required=True, metavar="http://HOST/v1#MODEL", help="the judge")
    parser.add_argument("base", type=Path, help="results of the base model: a file, or the folder of a run")
    parser.add_argument("adapter", type=Path, help="results of the adapter")
    parser.add_argument("--out", type=Path, required=True, help="file for the verdicts")
    parser.add_argument("--samples", type=positive, default=1, help="runs of each scenario that are judged; default 1")
    parser.add_argument("--seed", type=int, default=1234, help="draws the order of the runs and the audit")
    parser.add_argument("--config", type=Path, default=DEFAULT, help=f"default {DEFAULT}")
    parser.add_argument("--scenarios", type=Path, default=PROMPTS, metavar="DIR", help="folder of ROLE.jsonl files")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(one_sentence(judge_runs))
