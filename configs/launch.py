"""How Axolotl is started for a recipe: `axolotl train CONFIG $(python -m configs.launch ROLE [--with ...] [--gpus N])`.

One GPU runs in one process, several in one process each, under PyTorch's own launcher, which hands a kill on to all of
them; Ray starts its own. docs/multi-gpu.md says what to choose when.
"""

import argparse
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

from configs.combine import combine, run_name
from configs.options import add_recipe
from configs.strict_yaml import ConfigError

HEAD: Final = re.compile(r"[A-Za-z0-9.-]+:\d+")


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        config = combine(options.role, options.overrides)
        run = run_name(options.role, options.overrides, options.run)
        print(*launcher(config, options.gpus, options.nodes, options.head, run))
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m configs.launch", description=__doc__.splitlines()[0])
    add_recipe(parser)
    parser.add_argument("--run", default="", metavar="NAME", help="the run's name, as configs.resolve has it")
    parser.add_argument("--gpus", type=int, default=1, metavar="N", help="GPUs of each machine (default: 1)")
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="machines (default: 1)")
    parser.add_argument("--head", default="", metavar="HOST:PORT",
                        help="one of the machines and a free port of it, the same words on all of them")  # fmt: skip
    return parser


def launcher(config: Mapping[str, Any], gpus: int, nodes: int, head: str, run: str) -> list[str]:
    """The words behind `axolotl train CONFIG`. Raises `ConfigError` where the recipe and the GPUs do not fit."""
    if problems := misfits(config, gpus, nodes, head):
        raise ConfigError(problems)
    if config.get("use_ray"):
        return ["--use-ray"]
    if gpus * nodes == 1:
        return ["--launcher", "python"]
    words = ["--launcher", "torchrun", "--", "--nproc_per_node", str(gpus)]
    if nodes > 1:
        words += ["--nnodes", str(nodes), "--rdzv_id", run, "--rdzv_backend", "c10d", "--rdzv_endpoint", head]
    return words


def misfits(config: Mapping[str, Any], gpus: int, nodes: int, head: str) -> list[str]:
    if gpus < 1 or nodes < 1:
        return ["--gpus and --nodes are 1 or more."]
    if config.get("use_ray"):
        counted = gpus * nodes != 1
        return ["Ray counts its own GPUs: set ray_num_workers in an override, and leave --gpus out."] if counted else []
    problems = []
    divides = next((key for key in ("deepspeed", "fsdp_config") if config.get(key)), None)
    if divides and gpus * nodes == 1:
        problems.append(f"`{divides}` divides a model among several GPUs. Give --gpus 2 or more, or leave it out.")
    if nodes > 1 and not HEAD.fullmatch(head):
        problems.append("Several machines need --head HOST:PORT, the same on each of them, such as 10.0.0.1:29400.")
    return problems


if __name__ == "__main__":
    sys.exit(main())
