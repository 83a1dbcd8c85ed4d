"""The eval commands as a person uses them: what they refuse, and the comparison of two runs."""

import io
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from eval.answer import parse_answer
from eval.compare import compare
from eval.config import EvalConfig
from eval.errors import one_sentence
from eval.models import Conversation, Model, Reply, Settings
from eval.report import print_comparison, print_run
from eval.results import RoleBench, read_results
from eval.role_bench import bench, role_bench
from eval.scenario import ROLES, Role, load_scenarios
from eval.targets import Target
from eval.tool_use_accuracy import tool_use_accuracy

CONFIG = "base_model: Qwen/Qwen2.5-7B-Instruct\nroles:\n" + "".join(
    f'  {role}: {{system: "[GAS TOWN ROLE: {role}] You work."}}\n' for role in ROLES
)
GOLDS = {s.messages[-1].content: s.gold for role in ROLES for s in load_scenarios(role).scenarios}


class Scripted:
    """A model whose answer is a function of the last message."""

    def __init__(self, answer: Callable[[str], str], **facts: str) -> None:
        self.facts: dict[str, Any] = {"backend": "scripted", "base_model": "b", "template_sha256": "t", **facts}
        self._answer = answer

    def room(self, conversation: Conversation) -> int | None:
        return None

    def reply(self, conversations: Sequence[Conversation]) -> list[Reply]:
        assert all(c[0] == {"role": "system", "content": "Be good."} for c in conversations)
        return [Reply(self._answer(c[-1]["content"]), False) for c in conversations]


def run_bench(model: Model, roles: Sequence[Role] = ROLES, limit: int | None = None, label: str = "base") -> RoleBench:
    config = EvalConfig("b", dict.fromkeys(ROLES, "Be good."), Path("configs/data.yml"))
    return bench(model, Target(label, "b"), Settings(), [load_scenarios(role) for role in roles], config, limit)


def silent(_: str) -> str:
    return "Nothing to do here."


def shown(printer: Callable[..., None], *runs: RoleBench) -> str:
    console = Console(file=io.StringIO(), width=110)
    printer(*runs, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_golds_pass_everything_and_silence_only_the_quiet_scenarios() -> None:
    golden, null = run_bench(Scripted(GOLDS.__getitem__)), run_bench(Scripted(silent))
    assert golden.summary["all"]["passed"] == 1
    assert null.summary["all"]["passed"] * 60 == golden.never_calls == null.never_calls
    passed = {result.family for result in null.results if result.passed}
    assert passed == {"quiet", "thanks"}


def test_a_run_is_stored_with_every_raw_answer_and_read_back_the_same(tmp_path: Path) -> None:
    run = run_bench(Scripted(GOLDS.__getitem__), limit=3)
    (tmp_path / "r.json").write_bytes(msgspec.json.encode(run))
    assert read_results(tmp_path / "r.json") == run
    assert len(run.results) == 18
    assert all(parse_answer(result.answer).calls for result in run.results)
    assert set(run.scenarios) == set(run.systems) == set(ROLES)


def test_tables_say_rates_with_intervals_the_floor_and_where_families_are_too_few() -> None:
    one = shown(print_run, run_bench(Scripted(silent), ["mayor"]))
    assert "1 of 10" in one and "10 % [" in one and "6 *" in one and "too few" in one
    assert "an agent that never calls a tool passes 1 of 10" in one
    assert "mayor-dispatch-1: Failed: no call of Bash gt sling, no tool was called." in one


def test_a_better_adapter_is_better_with_an_interval_above_zero() -> None:
    base = run_bench(Scripted(silent))
    adapter = run_bench(Scripted(GOLDS.__getitem__), label="output/adapters/mayor")
    text = shown(print_comparison, base, adapter)
    everyone = next(line for line in text.splitlines() if line.split()[:1] == ["all"])
    assert "+92 % [" in everyone and "55 / 0 / 5" in everyone and everyone.rstrip().endswith("better")
    mayor = next(line for line in text.splitlines() if line.split()[:1] == ["mayor"])
    assert mayor.rstrip().endswith("better *")
    worse = shown(print_comparison, adapter, base)
    assert "worse" in worse and "0 / 55 / 5" in worse


def test_equal_runs_are_inconclusive_not_the_same() -> None:
    run = run_bench(Scripted(silent))
    assert "inconclusive" in shown(print_comparison, run, run)


def write(folder: Path, name: str, run: RoleBench) -> str:
    path = folder / name
    path.write_bytes(msgspec.json.encode(run))
    return str(path)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (run_bench(Scripted(silent), ["mayor"]), "other roles, scenarios or system prompts"),
        (run_bench(Scripted(silent), limit=2), "60 and 12 scenarios"),
        (msgspec.structs.replace(run_bench(Scripted(silent)), settings={"seed": 1}), "differ in settings"),
        (msgspec.structs.replace(run_bench(Scripted(silent)), systems={}), "other roles, scenarios or system prompts"),
        (run_bench(Scripted(silent, template_sha256="u")), "differ in template_sha256"),
        (run_bench(Scripted(silent, backend="hf")), "differ in backend"),
        (run_bench(Scripted(silent, base_model="x")), "different base models (b and x)"),
    ],
    ids=["roles", "limit", "settings", "systems", "template", "backend", "base"],
)
def test_runs_under_other_conditions_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], other: RoleBench, said: str
) -> None:
    base = write(tmp_path, "base.json", run_bench(Scripted(silent)))
    assert one_sentence(compare, [base, write(tmp_path, "other.json", other)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "", "{}", '{"kind": "tool_use_accuracy"}'])
def test_a_file_that_is_no_run_is_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    assert one_sentence(compare, [str(path), str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


BAD_INPUT = {
    "unknown role": (["--role", "king"], "role 'king' has no scenarios; choose from mayor"),
    "missing adapter": (["--model", "output/adapters/none"], "there is no adapter folder output/adapters/none"),
    "server without a model": (["--model", "http://127.0.0.1:1/v1"], "names no model; write it behind #"),
    "missing config": (["--config", "nowhere.yml"], "nowhere.yml does not exist"),
    "missing earlier run": (["--compare", "nowhere.json"], "nowhere.json does not exist"),
    "output is a folder": (["--out", "."], "cannot be written"),
}


@pytest.mark.parametrize(("options", "said"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_role_bench_refuses_bad_input_in_one_sentence_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    (tmp_path / "data.yml").write_text(CONFIG)
    out = tmp_path / "out" / "r.json"
    argv = ["--model", "base", "--config", str(tmp_path / "data.yml"), "--out", str(out), *options]
    assert one_sentence(role_bench, argv) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert not captured.out
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("config", ["- x", "base_model: [", "base_model: x\nroles: {mayor: {}}"])
def test_a_config_without_what_eval_needs_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    (tmp_path / "data.yml").write_text(config)
    monkeypatch.setattr("eval.role_bench.open_model", lambda *_: Scripted(silent))
    argv = ["--model", "base", "--config", str(tmp_path / "data.yml"), "--out", str(tmp_path / "r.json")]
    assert one_sentence(role_bench, argv) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_missing_library_is_named_with_the_command_that_installs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data.yml").write_text(CONFIG)
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.delitem(sys.modules, "eval.served", raising=False)
    argv = ["--model", "http://127.0.0.1:1/v1#m", "--config", str(tmp_path / "data.yml"), "--out", str(tmp_path / "r")]
    assert one_sentence(role_bench, argv) == 2
    assert capsys.readouterr().err == "error: lm_eval is not installed; run `pip install -r requirements-gpu.txt`.\n"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (None, "cannot be read"),
        ("", "no trained reply"),
        ("{", ":1: "),
        ('{"messages":"[]","tools":"[]","metadata":{}}', "build them with `tool_format: xml`"),
    ],
)
def test_tool_use_accuracy_refuses_data_without_replies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: str | None, said: str
) -> None:
    (tmp_path / "data.yml").write_text(CONFIG)
    if rows is not None:
        (tmp_path / "mayor_test.jsonl").write_text(rows)
    options = {"--model": "base", "--data": "mayor_test.jsonl", "--config": "data.yml", "--out": "out.json"}
    argv = [part for key, value in options.items() for part in (key, str(tmp_path / value) if "." in value else value)]
    assert one_sentence(tool_use_accuracy, argv) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("module", ["eval.role_bench", "eval.compare", "eval.tool_use_accuracy"])
def test_commands_explain_themselves_without_loading_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'lm_eval')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    shown = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True)
    assert f"python -m {module}" in shown.stdout
