"""Two steps of `make release-smoke` that a person does with other programs: chatting with what is served, and the Hub.

`python -m scripts.release_steps serve` starts the gateway, chats through the `openai` client, and changes the version
under load; `hub` pushes a version to a Hub double on this machine and fetches it again.
"""

import argparse
import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml
from rich.console import Console

from deploy.serve.engine_process import free_port
from scripts.load import Answer, Load
from scripts.serving import Place, gateway

OLD, NEW = 1, 2
CLIENTS: Final = 8
ANSWERS_EACH: Final = 24
TOKEN: Final = "hf_release_smoke_on_this_machine_only"
say = Console(highlight=False, soft_wrap=True).print


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: 0 when everything was as it should be, else 1 with what was not."""
    options = _arguments(argv)
    try:
        if options.step == "serve":
            asyncio.run(serve(options.root, options.role))
        else:
            hub(options.root, options.role)
    except (RuntimeError, subprocess.CalledProcessError) as problem:
        print(f"release-smoke: {problem}", file=sys.stderr)
        return 1
    return 0


async def serve(root: Path, role: str) -> None:
    """Chats with version 1, goes to version 2 and back under load, and counts every answer."""
    port = free_port()
    config = _config(root, port)
    async with gateway(config, port, role, root / "served" / "gateway.log") as place:
        asked, answer = await asyncio.to_thread(chat, place, root / "datasets" / f"{role}_test.jsonl")
        say(f"a person: {asked}\n{role}: {answer}", markup=False)
        load = Load(place.url, role, place.headers, CLIENTS)
        running = asyncio.create_task(load.until_stopped())
        for change, body in (("reload-model", {"role": role, "version": NEW}), ("rollback", {"role": role})):
            await _answered(load, len(load.answers) + ANSWERS_EACH)
            said = await place.admin(change, body)
            need(said.status == 200, f"{change} was answered with {said.status}: {said.text}")
            say(f"{change}: {said.seconds:.2f} s")
        await _answered(load, len(load.answers) + ANSWERS_EACH)
        load.stop()
        await running
    count(load.answers, role)


async def _answered(load: Load, number: int) -> None:
    for _ in range(3000):
        if len(load.answers) >= number:
            return
        await asyncio.sleep(0.1)
    raise RuntimeError(f"only {len(load.answers)} answers in five minutes")


def chat(place: Place, rows: Path) -> tuple[str, str]:
    """The first words of a held-out row, and what the official client gets for them, whole and streamed."""
    from openai import OpenAI

    told = {"system": "system", "human": "user"}
    opening = json.loads(rows.read_text("utf-8").splitlines()[0])["conversations"][:2]
    messages = [{"role": told[message["from"]], "content": message["value"]} for message in opening]

    client = OpenAI(base_url=f"{place.url}/v1", api_key="not-needed-on-loopback")
    asked = {"model": place.model, "messages": messages, "temperature": 0}
    whole = client.chat.completions.create(**asked, max_tokens=96).choices[0].message
    with client.chat.completions.create(**asked, max_tokens=96, stream=True) as events:
        pieces = [event.choices[0].delta for event in events if event.choices]
    said = [" ".join(filter(None, (message.content, *_calls(message)))) for message in (whole, *pieces)]
    need(bool(said[0]) and any(said[1:]), "the client got an empty answer")
    return messages[-1]["content"], said[0]


def _calls(message: object) -> list[str]:
    return [call.function.arguments or "" for call in getattr(message, "tool_calls", None) or () if call.function]


def count(answers: Sequence[Answer], role: str) -> None:
    """Prints how many answers each version gave; raises where one failed or a version never answered."""
    by = Counter(answer.version for answer in answers if answer.good)
    failed = sum(not answer.good for answer in answers)
    versions = ", ".join(f"{number:,} by {name}" for name, number in sorted(by.items()))
    say(f"{len(answers):,} answers under load: {versions}, {failed} failed")
    need(not failed and set(by) == {f"{role}@v{OLD}", f"{role}@v{NEW}"}, "that is not what a swap and a rollback give")


def hub(root: Path, role: str) -> None:
    """Pushes the live version, fetches it into an empty folder, and compares every byte of the adapter."""
    from tests.hub_double import open_hub

    repo = f"smoke/{role}-lora"
    with open_hub(**{TOKEN: {"smoke"}}) as there, tempfile.TemporaryDirectory() as empty:
        env = {**os.environ, "HF_ENDPOINT": there.endpoint, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0"}
        env |= {"HF_HUB_DISABLE_XET": "1", "HF_HOME": f"{empty}/hub"}
        push = ["deploy.upload_hf", f"{role}@v{OLD}", "--root", str(root), "--repo", repo]
        run(*push, "--base-model", "smoke/tiny-base", env=env)
        run("deploy.pull_hf", repo, "--revision", f"v{OLD}", "--out", f"{empty}/pulled", env=env)
        sent, back = root / "adapters" / role / f"v{OLD}", Path(empty) / "pulled"
        name = "adapter_model.safetensors"
        need(digest(sent / name) == digest(back / name), f"{name} came back changed")
    say(f"{name} came back as it went: sha256 {digest(sent / name)[:16]}")


def digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def run(module: str, *words: str, env: Mapping[str, str]) -> None:
    """`python -m MODULE WORDS...`; raises where it fails."""
    subprocess.run([sys.executable, "-m", module, *words], env=dict(env), check=True)


def need(true: bool, otherwise: str) -> None:
    if not true:
        raise RuntimeError(otherwise)


def _config(root: Path, port: int) -> Path:
    """configs/serve.yml with another root and a free port."""
    settings = yaml.safe_load(Path("configs/serve.yml").read_text("utf-8"))
    settings["root"] = str(root)
    settings["port"] = port
    file = root / "served" / "serve.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(settings), "utf-8")
    return file


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.release_steps",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("step", choices=("serve", "hub"))
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder with registry.db")
    parser.add_argument("--role", required=True, help="role with the versions 1, live, and 2")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
