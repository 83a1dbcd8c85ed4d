"""Runs a command while other programs are there that it talks to, and ends with its exit code.

`python -m scripts.packs_smoke.beside --teacher right --gateway DIR -- COMMAND...` starts the scripted stronger model
and the gateway of DIR/serve.yml; `STRONG` and `LOCAL` in the command become their addresses, URL#MODEL. `--expect 3`
says which exit code is right.
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path
from typing import get_args

import yaml

from scripts.packs_smoke.teacher import Knows, teacher
from scripts.serving import gateway

ROLE = "companion"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.packs_smoke.beside", description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", choices=get_args(Knows), help="what the stronger model knows")
    parser.add_argument("--gateway", type=Path, metavar="DIR", help="folder with serve.yml")
    parser.add_argument("--expect", type=int, default=0, metavar="CODE", help="the exit code that is right (default 0)")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    try:
        code = asyncio.run(run(options.command, options.teacher, options.gateway))
    except RuntimeError as problem:
        print(f"packs-smoke: {problem}", file=sys.stderr)
        return 1
    if code != options.expect:
        print(f"packs-smoke: exit code {code}, where {options.expect} is right", file=sys.stderr)
        return 1
    return 0


async def run(command: list[str], knows: Knows | None, folder: Path | None) -> int:
    async with contextlib.AsyncExitStack() as there:
        places = {}
        if knows:
            places["STRONG"] = there.enter_context(teacher(knows))
        if folder:
            port = yaml.safe_load((folder / "serve.yml").read_text("utf-8"))["port"]
            place = await there.enter_async_context(gateway(folder / "serve.yml", port, ROLE, folder / "gateway.log"))
            places["LOCAL"] = f"{place.url}/v1#{ROLE}"
        words = [places.get(word, word) for word in command]
        return (await asyncio.to_thread(subprocess.run, words)).returncode


if __name__ == "__main__":
    sys.exit(main())
