"""What a training will need, before anything is rented.

`python -m configs.plan mayor --gpu rtx4090 [--with OVERRIDE] [--gpus N] [--root output] [--rows FILE]` counts the
role's rows as batches and steps, and adds up memory by part, hours and cost; when the run does not fit, it says what
to change. The figures are arithmetic, not measurements: docs/plan-accuracy.md says how near they come.
"""

import argparse
import sys
from pathlib import Path

from configs.files import Output
from configs.options import add_recipe
from configs.plan.advice import others, steps
from configs.plan.plan import Verdict, make_plan, read_rows_of, resolved_config
from configs.plan.show import make_console, print_changes, print_plan
from configs.plan.tables import find_gpu, load_gpus, load_models
from configs.strict_yaml import ConfigError


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        run(options)
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m configs.plan", description=__doc__.splitlines()[0])
    add_recipe(parser)
    parser.add_argument("--gpu", required=True, metavar="NAME", help="a card of configs/plan/gpus.yml, such as rtx4090")
    parser.add_argument("--gpus", type=positive, metavar="N", help="cards of that kind (default: 1, or Ray's workers)")
    parser.add_argument("--root", type=Path, default=Path("output"), help="the output folder (default: output)")
    parser.add_argument(
        "--rows", type=Path, metavar="FILE", help="plan for the rows of this file instead of the role's"
    )
    return parser


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def run(options: argparse.Namespace) -> None:
    gpus, models, output = load_gpus(), load_models(), Output(options.root)
    gpu = find_gpu(options.gpu, gpus)
    config = resolved_config(options.role, options.overrides, output, options.rows)
    rows = read_rows_of(config, options.role, output, options.rows)
    plan = make_plan(config, rows, gpu, options.gpus or 1, models)
    if options.gpus is None and plan.recipe.workers > 1:
        plan = make_plan(config, rows, gpu, plan.recipe.workers, models)
    console = make_console()
    cards = f"{plan.gpus} x {gpu.name}" if plan.gpus > 1 else gpu.name
    recipe = " with ".join((options.role, *options.overrides))
    print_plan(plan, f"{recipe} on {cards}: {plan.recipe.base_model}", console)
    if plan.verdict is not Verdict.FITS:
        print_changes(list(steps(config, rows, plan, models)), list(others(config, rows, plan, models, gpus)), console)


if __name__ == "__main__":
    sys.exit(main())
