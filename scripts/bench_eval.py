"""What role_bench costs beside the model: `make bench-eval`, or `python -m scripts.bench_eval --help`.

A random tiny Qwen2 plays every scenario; then the very same batches go through a bare `generate` of transformers, in
turns, and the ratio is printed. A scripted server then answers at once: all that is left is role_bench itself.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from eval.config import DEFAULT, load_config
from eval.models import Model, Prompt, Reply, Sampling, Settings, open_model
from eval.role_bench import Plan, bench
from eval.scenario import ROLES, load_scenarios
from eval.targets import Target, resolve_target

LAYER_LIMIT = 1.05


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench_eval", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs (%(default)s)")
    parser.add_argument("--max-new-tokens", type=int, default=64, help="tokens of an answer (%(default)s)")
    parser.add_argument("--roles", nargs="+", default=list(ROLES), choices=ROLES, help="default: all")
    options = parser.parse_args(arguments)
    config = load_config(DEFAULT)
    files = tuple(load_scenarios(role) for role in options.roles)
    plan = Plan(files, {role: config.system(role) for role in options.roles}, "xml")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        target = resolve_target("base", str(make_model(Path(scratch) / "base", plan)), "unused")
        settings = Settings(options.max_new_tokens)
        table = measure(plan, target, settings, options.rounds, Path(scratch))
    Console(width=100).print(table)
    return 0


def make_model(folder: Path, plan: Plan) -> Path:
    """A Qwen2 of 10 M random parameters, so that a step costs what matrices cost, with a tokenizer of the scenarios."""
    from transformers import Qwen2Config, Qwen2ForCausalLM, set_seed

    from scripts.tiny_base.tokenizer import train_tokenizer

    texts = [message.content for file in plan.files for one in file.scenarios for message in one.messages]
    tokenizer = train_tokenizer([*texts, *plan.systems.values()], folder)
    set_seed(0)
    sizes = {"hidden_size": 320, "intermediate_size": 960, "num_hidden_layers": 6, "num_attention_heads": 5}
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            num_key_value_heads=5,
            max_position_embeddings=8192,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            **sizes,
        )
    )
    model.save_pretrained(folder)
    return folder


@dataclass
class Recorded:
    """A model that remembers what it was asked, so that the bare loop can be asked the same."""

    model: Any
    batches: list[list[str]] = field(default_factory=list)

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = self.model.facts
        return found

    base: Model | None = None

    def room(self, prompt: Prompt) -> int | None:
        room: int | None = self.model.room(prompt)
        return room

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Reply]:
        self.batches.append([self.model.render(prompt) for prompt in prompts])
        replies: list[Reply] = self.model.reply(prompts, sampling)
        return replies


def measure(plan: Plan, target: Target, settings: Settings, rounds: int, scratch: Path) -> Table:
    """Times role_bench and the bare loop in turns, and a run against a server that answers at once."""
    model: Any = open_model(target, settings)
    recorded = Recorded(model)
    run = bench(recorded, target, settings, plan, scratch, None)
    ours, bare = [], []
    for number in range(rounds):
        (folder := scratch / str(number)).mkdir()
        ours.append(timed(partial(bench, model, target, settings, plan, folder, None)))
        bare.append(timed(partial(bare_loop, model, recorded.batches, settings)))
    ratio = statistics.median(one / other for one, other in zip(ours, bare, strict=True))
    served, requests = serve_all(plan, scratch)
    table = Table(title=f"{len(run.episodes)} scenarios, {settings.max_new_tokens} new tokens, batches of 16")
    for column in ("what", "seconds", "target"):
        table.add_column(column)
    table.add_row("bare loop of transformers (median)", f"{statistics.median(bare):.2f}", "")
    table.add_row("role_bench (median)", f"{statistics.median(ours):.2f}", "")
    table.add_row("ratio (median of the pairs)", f"{ratio:.3f}", f"at most {LAYER_LIMIT}")
    table.add_row(f"server that answers at once ({requests} requests)", f"{served:.2f}", "seconds")
    return table


def timed(work: Callable[[], Any]) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bare_loop(model: Any, batches: Sequence[Sequence[str]], settings: Settings) -> None:
    """The same prompts through `generate`, sorted by length into the same batches."""
    import torch

    tokenizer, network = model.tokenizer, model.lm.model
    tokenizer.padding_side = "left"
    for prompts in batches:
        ordered = sorted(prompts, key=lambda text: -len(tokenizer(text).input_ids))
        for start in range(0, len(ordered), settings.batch_size):
            inputs = tokenizer(ordered[start : start + settings.batch_size], return_tensors="pt", padding=True)
            with torch.inference_mode():
                tokens = network.generate(**inputs, max_new_tokens=settings.max_new_tokens, do_sample=False)
            tokenizer.batch_decode(tokens[:, inputs.input_ids.shape[1] :])


def serve_all(plan: Plan, scratch: Path) -> tuple[float, int]:
    """Seconds of a run against a server that always answers at once with a call, and how often it was asked."""
    with instant_server() as (address, asked):
        target = resolve_target(f"{address}/v1#instant", None, "unused")
        model = open_model(target, Settings())
        (scratch / "served").mkdir()
        seconds = timed(partial(bench, model, target, Settings(), plan, scratch / "served", None))
    return seconds, len(asked)


@contextmanager
def instant_server() -> Iterator[tuple[str, list[int]]]:
    """A server on 127.0.0.1 that looks around at every step, so that episodes last as long as they may."""
    call = '<tool_call>\n{"name": "Bash", "arguments": {"command": "gt status"}}\n</tool_call>'
    choice = {"index": 0, "message": {"role": "assistant", "content": call}, "finish_reason": "stop"}
    asked: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send({"data": [{"id": "instant"}]})

        def do_POST(self) -> None:
            asked.append(len(self.rfile.read(int(self.headers["Content-Length"]))))
            self._send({"choices": [choice]})

        def _send(self, value: Any) -> None:
            raw = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the terminal belongs to the table."""

    class Patient(ThreadingHTTPServer):
        request_queue_size = 128  # with the usual 5, a ninth connection at once waits a second and more

    server = Patient(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    sys.exit(main())
