"""`forge`: commands hand on what the rooms take, say what is wrong in one sentence, and work from anywhere."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.serve.admin import Reload
from scripts.forge import app, gateway, home, places, releasing, rooms
from scripts.forge.home import CODE
from tests.test_repository import HEAVY

FORGE = [sys.executable, "-m", "scripts.forge"]


@pytest.fixture(autouse=True)
def standing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` moves to the checkout; what comes after a test starts where it was. No setting of the user's counts."""
    monkeypatch.chdir(CODE)
    for name in ("FORGE_ROOT", "FORGE_HOME", "FORGE_KEY"):
        monkeypatch.delenv(name, raising=False)


def forge(*words: str, stands: Path = CODE) -> int:
    return app.run(words, stands)


Call = tuple[str, list[str]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Call]]:
    """What `forge` would have run: rooms by module, scripts by name. Nothing runs."""
    seen: list[Call] = []

    def note(name: str, words: Any) -> int:
        seen.append((name, list(words)))
        return 0

    for module in ("data_commands", "domains", "judging", "looping", "releasing", "training"):
        monkeypatch.setattr(f"scripts.forge.{module}.room", note)
    for module in ("training", "remote"):
        monkeypatch.setattr(f"scripts.forge.{module}.script", note)
    monkeypatch.setattr("scripts.forge.judging.first_failure", lambda *steps: [note(*step) for step in steps][-1])
    yield seen


# --- what is handed on -----------------------------------------------------------------------------------------------


# Each command with what it hands to which room or script.
HANDED_ON: dict[str, list[str]] = {
    "data": ["data.pipeline all --out output/datasets"],
    "data legal --workers 2": [
        "data.pipeline all --out output/packs/legal/datasets --config configs/packs/legal.yml --workers 2"
    ],
    "extract --dry-run": ["data.pipeline extract --out output/datasets --dry-run"],
    "stats legal": ["data.validate.stats output/packs/legal/datasets"],
    "explain abc123": ["data.pipeline explain abc123 --out output/datasets"],
    "explain --session s1 --pack legal": [
        "data.pipeline explain --session s1 --out output/packs/legal/datasets --config configs/packs/legal.yml"
    ],
    "forget s1": ["data.pipeline forget s1 --out output"],
    "curate": ["data.curate --rows output/datasets"],
    "curate legal --terminal": [
        "data.curate --rows output/packs/legal/datasets --config configs/packs/legal.yml --terminal"
    ],
    "curate --import /tmp/a.jsonl --json": ["data.curate --rows output/datasets --import /tmp/a.jsonl --json"],
    "curate --status": ["data.curate --rows output/datasets --status"],
    "mine /tmp/petals --since 2026-01-01 --limit 5": ["data.mine /tmp/petals --since 2026-01-01 --limit 5"],
    "mine /tmp/petals --pack coding": [
        "data.mine /tmp/petals --out output/mined/coding.jsonl --config configs/packs/coding.yml"
    ],
    "domain": ["configs.pack list"],
    "domain legal --json": ["configs.pack show legal --json"],
    "domain check": ["configs.pack check"],
    "domain check legal": ["configs.pack check legal"],
    "domain import /tmp/law.json": ["configs.pack import /tmp/law.json"],
    "compare hello --role mayor --json": ["eval.people.compare hello --role mayor --json --out output/comparisons"],
    "compare --prompts /tmp/p.txt --role legal --strong https://h/v1#m": [
        "eval.people.compare --prompts /tmp/p.txt --role legal --config configs/packs/legal.yml"
        " --strong https://h/v1#m --out output/comparisons"
    ],
    "judge mayor --port 0": ["eval.people.judge --role mayor --port 0 --votes output/votes.db --answers output/judged"],
    "judge legal --strong https://h/v1#m": [
        "eval.people.judge --domain legal --config configs/packs/legal.yml --strong https://h/v1#m"
        " --votes output/votes.db --answers output/judged"
    ],
    "judge --results /tmp/a /tmp/b": [
        "eval.people.judge --results /tmp/a /tmp/b --votes output/votes.db --answers output/judged"
    ],
    "judge --report --json": ["eval.people.judge --report --votes output/votes.db --answers output/judged --json"],
    "iterate mayor --with smoke --dry-run": ["scripts.loop iterate mayor --root output --with smoke --dry-run"],
    "iterate legal --fresh": ["scripts.loop iterate legal --root output --config configs/packs/legal.yml --fresh"],
    "auto start mayor legal --strong https://h/v1#m": [
        "scripts.loop auto start mayor legal --strong https://h/v1#m --root output"
    ],
    "auto run mayor": ["scripts.loop auto run mayor --root output"],
    "auto stop": ["scripts.loop auto stop --root output"],
    "auto status --json": ["scripts.loop auto status --root output --json"],
    "plan mayor --gpu rtx4090 --with qwen3b": ["configs.plan mayor --gpu rtx4090 --root output --with qwen3b"],
    "train mayor --with smoke --with long --dry-run": [
        "train.sh mayor --root output --with smoke --with long --dry-run"
    ],
    "train mayor --backend mlx": ["train.sh mayor --root output --backend mlx"],
    "train legal --gpus 2 --run legal-a": ["train.sh legal --root output/packs/legal --run legal-a --gpus 2"],
    "runs": ["configs.runs.listing --root output"],
    "eval mayor --samples 3": [
        "eval.role_bench --model base --role mayor --rows output/datasets --samples 3 --out output/evals/mayor/base",
        "eval.role_bench --model output/adapters/mayor --role mayor --rows output/datasets --samples 3"
        " --out output/evals/mayor/adapter",
        "eval.compare output/evals/mayor/base output/evals/mayor/adapter --html output/evals/mayor/report.html"
        " --junit output/evals/mayor/junit.xml --json output/evals/mayor/verdict.json",
    ],
    "eval legal": [
        "eval.rubric --model base --config configs/packs/legal.yml --out output/packs/legal/evals/legal/base.json",
        "eval.rubric --model output/packs/legal/adapters/legal --config configs/packs/legal.yml"
        " --out output/packs/legal/evals/legal/adapter.json",
        "eval.rubric_compare output/packs/legal/evals/legal/base.json output/packs/legal/evals/legal/adapter.json"
        " --json output/packs/legal/evals/legal/verdict.json",
    ],
    "promote mayor v2 --force --why urgent": ["deploy.registry --root output promote mayor v2 --force --why urgent"],
    "rollback mayor": ["deploy.registry --root output rollback mayor"],
    "versions --json": ["deploy.registry --root output --json list"],
    "versions mayor": ["deploy.registry --root output list mayor"],
    "lineage mayor v1": ["deploy.registry --root output lineage mayor v1"],
    "lineage --session s1": ["deploy.registry --root output lineage --session s1"],
    "merge mayor v1": ["deploy.merge mayor v1 --root output"],
    "export mayor v1": ["deploy.gguf mayor v1 --root output"],
    "export mayor v1 gguf-f16": ["deploy.gguf mayor v1 --root output --kind gguf-f16"],
    "export mayor v1 onnx": ["deploy.onnx mayor v1 --root output"],
    "export mayor v1 onnx-fp32": ["deploy.onnx mayor v1 --root output --kind onnx-fp32"],
    "export mayor v1 ollama --dry-run": ["deploy.ollama mayor v1 --root output --latest --dry-run"],
    "export companion v1 ollama": [
        "deploy.ollama companion v1 --root output --latest --pack configs/packs/companion.yml"
    ],
    "push mayor v1 --repo you/name --kind merged": [
        "deploy.upload_hf mayor@v1 --repo you/name --root output --kind merged"
    ],
    "serve": ["deploy.serve --config configs/serve.yml"],
    "remote push host": ["sync_data.sh host"],
    "remote push --dry-run host mayor crew": ["sync_data.sh --dry-run host mayor crew"],
    "remote train host mayor --gpus 2": ["run_train.sh host mayor --gpus 2"],
    "remote full host mayor --with dpo --dry-run": ["remote.sh full host mayor --with dpo --dry-run"],
    "remote status host": ["remote.sh status host"],
    "remote pull host mayor-dpo": ["pull_adapter.sh host mayor-dpo"],
    "data -- --no-cache --limit 3": ["data.pipeline all --out output/datasets --no-cache --limit 3"],
    "--root output/smoke train mayor": ["train.sh mayor --root output/smoke"],
    "--root output/smoke versions": ["deploy.registry --root output/smoke list"],
}


@pytest.mark.parametrize("line", HANDED_ON)
def test_a_command_hands_on_exactly_this(line: str, calls: list[Call]) -> None:
    assert forge(*line.split()) == 0
    assert [" ".join([name, *words]) for name, words in calls] == HANDED_ON[line]


def test_a_pack_that_lies_elsewhere_is_named_by_its_file(calls: list[Call], tmp_path: Path) -> None:
    pack = tmp_path / "bicycles.yml"
    pack.write_text("roles: {bicycles: {system: a}}\n")
    for line in ("data bicycles.yml", "train bicycles.yml", "eval bicycles.yml", "iterate bicycles.yml"):
        assert forge(*line.split(), stands=tmp_path) == 0
    told = [" ".join([name, *words]) for name, words in calls]
    tree = "output/packs/bicycles"
    assert told[0] == f"data.pipeline all --out {tree}/datasets --config {pack}"
    assert told[1] == f"train.sh {pack} --root {tree}"
    assert told[2] == f"eval.rubric --model base --config {pack} --out {tree}/evals/bicycles/base.json"
    assert told[5] == f"scripts.loop iterate bicycles --root output --config {pack}"


def test_what_was_trained_and_judged_is_registered_with_its_data(calls: list[Call], tmp_path: Path) -> None:
    tree = tmp_path / "packs/legal"
    for name in ("adapters/legal", "evals/legal", "datasets"):
        (tree / name).mkdir(parents=True)
    for name in ("datasets/manifest.json", "evals/legal/base.json", "evals/legal/adapter.json"):
        (tree / name).write_text("{}")
    assert forge("--root", str(tmp_path), "register", "legal") == 0
    assert forge("--root", str(tmp_path), "gate", "legal", "v1") == 0
    registry = f"deploy.registry --root {tmp_path}"
    manifest = f"--role legal --manifest {tree}/datasets/manifest.json"
    assert [" ".join([name, *words]) for name, words in calls] == [
        f"{registry} register {tree}/adapters/legal {manifest}",
        f"{registry} evaluate legal v1 {tree}/evals/legal/base.json {tree}/evals/legal/adapter.json",
    ]


# What is not handed to one room alone; tests of their own look at these.
OWN = {"init", "status", "reload", "register", "gate"}


def test_every_command_is_held_against_its_room() -> None:
    from scripts.forge.documented import commands

    told = {words.removeprefix("forge ") for words, _ in commands()}
    held = {name for name in told for line in HANDED_ON if line.startswith(name)}
    assert told - held == OWN


class Accepted(BaseException):
    """The parser of a room took the words; nothing runs."""


@pytest.fixture
def only_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(self: argparse.ArgumentParser, *given: Any, **named: Any) -> None:
        parse(self, *given, **named)
        raise Accepted

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)


ROOMS = sorted({told for lines in HANDED_ON.values() for told in lines if ".sh " not in told})


@pytest.mark.parametrize("told", ROOMS)
@pytest.mark.usefixtures("only_parsing")
def test_the_parser_of_the_room_takes_what_is_handed_on(told: str) -> None:
    module, *words = told.split()
    with pytest.raises(Accepted):
        rooms.command_of(module)(words)


@pytest.mark.usefixtures("only_parsing")
def test_that_parser_refuses_what_there_is_not() -> None:
    """Otherwise the test above could not fail."""
    with pytest.raises(SystemExit, match="2"):
        rooms.command_of("data.pipeline")(["all", "--no-such-option"])


SCRIPTED = sorted({told for lines in HANDED_ON.values() for told in lines if ".sh " in told and "status" not in told})


@pytest.mark.parametrize("told", SCRIPTED)
def test_the_script_takes_what_is_handed_on(told: str) -> None:
    """A usage error has exit code 2; a dry run may lack rows or a host, which is another matter."""
    name, *words = told.split()
    words = [word for word in words if word != "--dry-run"]
    done = subprocess.run(
        [CODE / "scripts" / name, *words, "--dry-run"],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    # legal has no rows here, and a run of its own name needs none of them.
    assert done.returncode != 2, done.stderr


# --- where the user stands -------------------------------------------------------------------------------------------


SEGMENT = st.sampled_from(["..", ".", "a", "b c", "output", "configs"])


@given(st.lists(SEGMENT, max_size=6), st.lists(SEGMENT, max_size=4))
def test_a_path_counts_from_where_the_user_stands(words: list[str], below: list[str]) -> None:
    stands = CODE.joinpath(*(word for word in below if word != ".."))
    meant = Path(os.path.normpath(stands.joinpath(*words)))
    found = home.given(Path(*words), stands)
    assert Path(os.path.normpath(CODE / found)) == meant
    assert found.is_absolute() != meant.is_relative_to(CODE)


def test_the_users_paths_reach_the_room(calls: list[Call], tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text("{}")
    assert forge("train", "mayor", "--with", "mine.yml", stands=tmp_path) == 0
    assert forge("data", "--sessions", "town", "--", "--archive", "./kept", stands=tmp_path) == 0
    assert forge("eval", "mayor", "--adapter", "a/b", stands=tmp_path) == 0
    assert forge("eval", "mayor", "--adapter", "http://127.0.0.1:1/v1#mayor", stands=tmp_path) == 0
    told = [" ".join(words) for _, words in calls]
    assert f"--with {tmp_path}/mine.yml" in told[0]
    assert f"--sessions {tmp_path}/town --archive {tmp_path}/kept" in told[1]
    assert f"--model {tmp_path}/a/b" in told[3]
    assert "--model http://127.0.0.1:1/v1#mayor" in told[6]


def test_it_works_from_any_folder_and_finds_its_checkout(tmp_path: Path) -> None:
    for stands in (CODE / "eval" / "prompts", tmp_path):
        assert home.find_home(stands, {}) == CODE
    with pytest.raises(SystemExit, match="is no checkout of lora-forge"):
        home.find_home(tmp_path, {"FORGE_HOME": str(tmp_path)})


def test_in_another_checkout_its_own_code_runs(tmp_path: Path) -> None:
    other = tmp_path / "other"
    for name in home.MARKS:
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).touch()
    (other / "scripts/__init__.py").touch()
    (other / "scripts/forge/__init__.py").touch()
    (other / "scripts/forge/__main__.py").write_text("import sys; print('the other one', sys.argv[1:])")
    inside = {**os.environ, "PYTHONPATH": str(CODE)}
    for stands, environment in ((other / "configs", inside), (tmp_path, {**inside, "FORGE_HOME": str(other)})):
        done = subprocess.run(
            [*FORGE, "status", "--json"], cwd=stands, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout == "the other one ['status', '--json']\n"


# --- what people see -------------------------------------------------------------------------------------------------


def test_help_is_there_without_the_heavy_libraries() -> None:
    check = (
        "import sys\nfrom scripts.forge.app import run\nfrom pathlib import Path\n"
        "run(['--help'], Path.cwd()); run(['remote', '--help'], Path.cwd())\n"
        "print('LOADED', *{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", check], cwd=CODE, capture_output=True, text=True, check=True)
    shown, _, loaded = done.stdout.rpartition("LOADED")
    assert "Release and serve" in shown and "pull" in shown
    assert set(loaded.split()) & (HEAVY | {"yaml", "jinja2", "jsonschema"}) == set()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("train --help", "a role, such as mayor, or a pack"),
        ("remote pull --help", "the role's name, or one such as mayor-dpo"),
        ("export --help", "such as v3"),
    ],
)
def test_arguments_are_explained_too(line: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert forge(*line.split()) == 0
    assert sentence in " ".join(capsys.readouterr().out.replace("│", " ").split())


WRONG = {
    "versio": "forge: No such command 'versio'. Did you mean 'versions'?. See: forge --help",
    "train": "forge: Missing argument 'ROLE'. See: forge train --help",
    "train nobody": "forge: there is no role or pack `nobody`. There are boot,",
    "train mayor --gpus none": "forge: ",
    "export mayor v1 pdf": "forge: 'pdf' is not one of 'gguf',",
    "export mayor v1 gguf --host http://x": "forge: --host and --dry-run are for the kind ollama.",
    "domain import": "forge: domain import needs the JSON file of a domain: forge domain import FILE.",
    "domain legal finance": "forge: one pack at a time: legal or finance?",
    "auto start": "forge: say whose rounds: forge auto start mayor.",
    "auto status mayor": "forge: forge auto status is for all roles.",
    "remote full host legal": "forge: only the rows in output/datasets are sent, not those of a pack.",
    "train nowhere.yml": "forge: nowhere.yml: there is no such pack.",
    "iterate nobody": "forge: there is no role or pack `nobody`.",
    "reload mayor third": "forge: third is not a version. Write v3 or 3.",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_line_is_one_sentence_with_the_fix(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert forge(*line.split()) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith(WRONG[line]) and said.err.count("\n") == 1


def test_what_is_not_there_yet_is_said_with_the_command_that_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forge("--root", str(tmp_path), "register", "mayor") == 1
    assert "Train it first: forge train mayor." in capsys.readouterr().err
    assert forge("--root", str(tmp_path), "gate", "mayor", "v1") == 1
    assert "Evaluate first: forge eval mayor." in capsys.readouterr().err


def test_a_missing_library_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def lacks(_: str) -> None:
        raise ModuleNotFoundError(name="torch")

    monkeypatch.setattr(importlib, "import_module", lacks)
    assert forge("stats") == 1
    assert (
        capsys.readouterr().err == "forge: torch is not installed in this environment. Install it: make .venv/.train.\n"
    )


def test_exit_codes_are_the_rooms_own(tmp_path: Path) -> None:
    nothing = str(tmp_path / "nothing")
    own = subprocess.run([sys.executable, "-m", "data.validate.stats", nothing], cwd=CODE, check=False).returncode
    assert own != 0
    assert rooms.room("data.validate.stats", [nothing]) == own
    assert rooms.script("remote.sh", ["no-such-command"]) == 2
    assert rooms.room("data.pipeline", ["no-such-command"]) == 2


def test_completion_knows_roles_packs_overrides_and_versions(tmp_path: Path) -> None:
    assert {"mayor", "legal"} <= set(places.complete_role("")) and places.complete_role("may") == ["mayor"]
    assert "mayor" not in places.complete_pack("") and "qwen3b" in places.complete_override("qwen")
    for number in (1, 2, 10):
        (tmp_path / f"adapters/mayor/v{number}").mkdir(parents=True)
    done = subprocess.run(
        FORGE,
        cwd=CODE,
        env={
            **os.environ,
            "_FORGE_COMPLETE": "complete_zsh",
            "_TYPER_COMPLETE_ARGS": f"forge --root {tmp_path} promote mayor ",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert [name for name in ("v10", "v2", "v1") if f'"{name}"' in done.stdout] == ["v10", "v2", "v1"]


# --- the exit code of an evaluation, and its JSON --------------------------------------------------------------------


def test_an_evaluation_for_a_program_is_one_json_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def played(*steps: tuple[str, list[str]]) -> int:
        print("a table for people")
        file = Path(steps[-1][1][-1])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"outcome": "inconclusive"}\n')
        return 3

    monkeypatch.setattr("scripts.forge.judging.first_failure", played)
    assert forge("--root", str(tmp_path), "eval", "mayor", "--json") == 3
    said = capsys.readouterr()
    assert json.loads(said.out) == {"outcome": "inconclusive"} and said.err == "a table for people\n"


def test_a_plan_for_a_program_has_the_figures_of_the_tables(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/manifest.json").write_text("{}")
    row = {
        "conversations": [{"from": "gpt", "value": "yes", "train": True}],
        "metadata": {"tokens": 900, "trained_tokens": 9},
    }
    (tmp_path / "datasets/mayor_train.jsonl").write_text(json.dumps(row) + "\n")
    assert forge("--root", str(tmp_path), "plan", "mayor", "--gpu", "rtx4090", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "fits" and told["rows"] == 1 and told["memory_gib"] == 23.5
    assert forge("--root", str(tmp_path), "plan", "mayor", "--gpu", "abacus", "--json") == 1
    assert "abacus" in capsys.readouterr().err


# --- the gateway -----------------------------------------------------------------------------------------------------


def test_the_address_is_that_of_the_gateways_config(tmp_path: Path) -> None:
    assert gateway.address_of(Path("configs/serve.yml")) == "http://127.0.0.1:18793"
    (tmp_path / "serve.yml").write_text("host: '::1'\nport: 1234\n")
    assert gateway.address_of(tmp_path / "serve.yml") == "http://[::1]:1234"


def test_a_gateway_that_is_down_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert forge("reload", "mayor", "v1", "--url", "http://127.0.0.1:9") == 1
    said = capsys.readouterr().err
    assert said.startswith("forge: no gateway answers at http://127.0.0.1:9") and said.endswith("forge serve.\n")


class Gateway(BaseHTTPRequestHandler):
    """Takes what the real one takes, and answers as told."""

    answer: tuple[int, dict[str, Any]] = (200, {})
    asked: ClassVar[list[tuple[str, str | None, Reload]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, self.headers.get("Authorization"), msgspec.json.decode(body, type=Reload)))
        status, value = self.answer
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def gateway_double() -> Iterator[tuple[str, type[Gateway]]]:
    handler = type("Handler", (Gateway,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()


def test_the_gateway_is_asked_with_the_key_of_the_environment(
    gateway_double: tuple[str, type[Gateway]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url, handler = gateway_double
    monkeypatch.setenv("FORGE_KEY", "sk-forge-made-up")
    handler.answer = (200, {"role": "mayor", "version": 2, "before": 1, "seconds": 0.5, "kind": "promote"})
    assert forge("reload", "mayor", "v2", "--url", url, "--force", "--why", "urgent") == 0
    assert capsys.readouterr().out == "mayor@v2 is live after 0.5 s, before it v1\n"
    asked = Reload(role="mayor", version=2, force=True, why="urgent")
    assert handler.asked == [("/admin/reload-model", "Bearer sk-forge-made-up", asked)]
    assert forge("reload", "mayor", "2", "--url", url, "--json") == 0
    assert json.loads(capsys.readouterr().out) == handler.answer[1]


@pytest.mark.parametrize(
    ("status", "value", "sentence"),
    [
        (409, {"error": {"message": "The gate says no."}}, "The gate says no."),
        (401, {"error": {"message": "No such key."}}, "No such key. Set FORGE_KEY to an admin key"),
        (200, {"hello": "world"}, "answered 200 and is no gateway."),
        (502, {"error": "x"}, "answered 502 and is no gateway."),
    ],
)
def test_a_gateway_that_refuses_is_one_sentence(
    status: int,
    value: dict[str, Any],
    sentence: str,
    gateway_double: tuple[str, type[Gateway]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, handler = gateway_double
    monkeypatch.setenv("FORGE_KEY", "sk-forge-made-up")
    handler.answer = (status, value)
    assert forge("reload", "mayor", "v2", "--url", url) == 1
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1 and "made-up" not in said


@pytest.mark.parametrize("kind", releasing.Kind)
def test_every_kind_of_export_is_one_that_the_room_makes(kind: releasing.Kind) -> None:
    module, words = releasing.exported(kind)
    assert importlib.util.find_spec(module)
    assert words in ([], ["--latest"], ["--kind", kind.value])
