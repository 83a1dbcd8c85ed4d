"""role_bench as a person uses it: runs, what it stores, how it goes on after an interruption, what it refuses."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eval import role_bench as bench_module
from eval.errors import one_sentence
from eval.journal import NAME as JOURNAL
from eval.journal import Journal
from eval.models import Prompt, Sampling
from eval.results import RoleBench, read_results
from eval.role_bench import role_bench
from eval.scenario import ROLES, load_scenarios
from tests.scripted_model import SILENT, Scripted, golden, silent

CONFIG = "base_model: Qwen/Qwen2.5-7B-Instruct\nroles:\n" + "".join(
    f'  {role}: {{system: "[GAS TOWN ROLE: {role}] You work."}}\n' for role in ROLES
)
SCENARIOS = sum(len(load_scenarios(role).scenarios) for role in ROLES)


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command with a scripted model; returns its results."""

    def run(model: Scripted, *options: str, out: str = "out") -> RoleBench:
        monkeypatch.setattr(bench_module, "open_model", lambda *_: model)
        assert one_sentence(role_bench, command(tmp_path, out, *options)) == 0
        return read_results(tmp_path / out)

    return run


def command(folder: Path, out: str, *options: str) -> list[str]:
    (folder / "data.yml").write_text(CONFIG)
    rows = ["--rows", str(folder / "rows")]
    return ["--model", "base", "--config", str(folder / "data.yml"), "--out", str(folder / out), *rows, *options]


def test_the_golds_pass_everything_and_silence_next_to_nothing(play: Any) -> None:
    gold, null = play(Scripted(golden())), play(Scripted(silent))
    assert gold.summary["all"]["passed"] == 1 and gold.summary["all"]["partial"] == 1
    assert len(gold.episodes) == SCENARIOS
    assert null.summary["all"]["passed"] == null.floor["all"] == gold.floor["all"] < 0.1
    assert {episode.explanation for episode in gold.episodes if not episode.passed} == set()


def test_every_raw_answer_is_stored_with_its_results_costs_and_checks(play: Any, tmp_path: Path) -> None:
    run = play(Scripted(golden()), "--role", "mayor")
    for episode in run.episodes:
        assert episode.checks and episode.steps and episode.asked
        assert all((step.prompt_tokens, step.new_tokens, step.seconds) == (100, 10, 0.5) for step in episode.steps)
    several = [episode for episode in run.episodes if len(episode.steps) > 1]
    assert several and all(episode.steps[0].results for episode in several)
    assert set(run.scenarios) == set(run.systems) == {"mayor"}
    assert msgspec.json.decode(msgspec.json.encode(run), type=RoleBench) == run
    assert not (tmp_path / "out" / JOURNAL).exists()


def test_samples_draw_other_values_and_other_seeds(play: Any) -> None:
    seeds = set()

    def answer(prompt: Prompt, sampling: Sampling) -> str:
        seeds.add((sampling.seed, sampling.temperature))
        return golden(3)(prompt, sampling)

    run = play(Scripted(answer), "--samples", "3", "--role", "witness")
    assert run.summary["witness"]["passed"] == 1
    assert {temperature for _, temperature in seeds} == {0.7}
    assert len(seeds) >= 3
    drawn = {json.dumps(e.variables) for e in run.episodes if e.variables}
    assert len(drawn) > len({e.id for e in run.episodes if e.variables})


def test_a_smoke_run_is_two_scenarios_a_role_and_says_that_it_proves_nothing(
    play: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run = play(Scripted(golden()), "--smoke")
    assert run.smoke and len(run.episodes) == 2 * len(ROLES)
    assert "smoke" in capsys.readouterr().out


class Dies(Scripted):
    """Stops the run in its n-th batch, as a person or a server does."""

    def __init__(self, after: int, error: type[BaseException] = KeyboardInterrupt) -> None:
        super().__init__(golden(2))
        self._left, self._error = after, error

    def reply(self, *args: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise self._error
        return super().reply(*args)


@pytest.mark.parametrize("rounds", [1, 4])
def test_an_interrupted_run_goes_on_and_gives_the_same_numbers(
    play: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rounds: int
) -> None:
    options = ("--samples", "2", "--role", "refinery")
    whole = Scripted(golden(2))
    expected = play(whole, *options, out="whole")
    monkeypatch.setattr(bench_module, "open_model", lambda *_: Dies(rounds))
    assert one_sentence(role_bench, command(tmp_path, "out", *options)) == 130
    assert "run the same command again" in capsys.readouterr().err
    assert not (tmp_path / "out/results.json").exists()
    rest = Scripted(golden(2))
    assert play(rest, *options) == expected
    assert f"going on after {rounds} finished rounds" in capsys.readouterr().err
    assert rest.batches == whole.batches[rounds:]


@pytest.mark.parametrize("cut", [1, 3000])
def test_a_round_that_was_written_in_part_is_asked_again(
    play: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(bench_module, "open_model", lambda *_: Dies(2))
    one_sentence(role_bench, command(tmp_path, "out", "--samples", "2", "--role", "crew"))
    journal = tmp_path / "out" / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-cut])
    again = play(Scripted(golden(2)), "--samples", "2", "--role", "crew")
    assert again.summary["crew"]["passed"] == 1


def test_the_unfinished_run_of_something_else_is_not_gone_on_with(
    play: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_module, "open_model", lambda *_: Dies(1))
    one_sentence(role_bench, command(tmp_path, "out", "--role", "crew"))
    capsys.readouterr()
    monkeypatch.setattr(bench_module, "open_model", lambda *_: Scripted(silent, adapter={"sha256": "another"}))
    assert one_sentence(role_bench, command(tmp_path, "out", "--role", "crew")) == 2
    said = capsys.readouterr().err
    assert "unfinished run of something else (other facts)" in said and "delete" in said
    assert Journal(tmp_path / "none", {}).resumed == 0


def test_scenarios_that_stand_in_the_training_rows_are_named_and_left_out_of_the_rate(
    play: Any, tmp_path: Path
) -> None:
    known = play(Scripted(silent), "--role", "mayor")
    assert known.contaminated is None
    leaked = max(known.episodes, key=lambda episode: len(episode.asked[0]["content"]))
    (tmp_path / "rows").mkdir()
    turns = [("system", "x", False), ("human", leaked.asked[0]["content"], False), ("gpt", "ok", True)]
    row = {
        "conversations": [{"from": f, "value": v, "train": t} for f, v, t in turns],
        "metadata": {"id": "a", "session_id": "s"},
    }
    (tmp_path / "rows/mayor_train.jsonl").write_text(json.dumps(row) + "\n")
    run = play(Scripted(silent), "--role", "mayor")
    assert run.contaminated is not None and leaked.id in run.contaminated
    assert run.summary["mayor"]["scenarios"] == len(known.episodes) - len(run.contaminated)
    assert len(run.episodes) == len(known.episodes)


BAD_INPUT = {
    "unknown role": (["--role", "king"], "role 'king' has no scenarios; choose from mayor"),
    "missing adapter": (["--model", "output/adapters/none"], "there is no adapter folder output/adapters/none"),
    "server without a model": (["--model", "http://127.0.0.1:1/v1"], "names no model; write it behind #"),
    "missing config": (["--config", "nowhere.yml"], "nowhere.yml does not exist"),
    "missing scenarios": (["--scenarios", "nowhere"], "cannot be read"),
    "greedy samples": (["--samples", "3", "--temperature", "0"], "greedy samples are all the same"),
    "smoke with samples": (["--samples", "3", "--smoke"], "--smoke draws one sample"),
    "no full prompt": (["--prompt", "full"], "has no full prompt for mayor"),
}


@pytest.mark.parametrize(("options", "said"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_refused_in_one_sentence_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert one_sentence(role_bench, command(tmp_path, "out", *options)) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert not captured.out
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    "config", ["- x", "base_model: [", "base_model: x\nroles: {mayor: {}}", "base_model: x\nroles: {}\ntool_format: y"]
)
def test_a_config_without_what_eval_needs_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    argv = command(tmp_path, "out")
    (tmp_path / "data.yml").write_text(config)
    monkeypatch.setattr(bench_module, "open_model", lambda *_: Scripted(silent))
    assert one_sentence(role_bench, argv) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_full_prompt_and_the_native_form_come_from_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = command(tmp_path, "out", "--role", "mayor", "--prompt", "full")
    (tmp_path / "mayor.md").write_text("You are the mayor. Long story.\n")
    (tmp_path / "data.yml").write_text(
        CONFIG.replace("{system", "{full_file: mayor.md, system") + "tool_format: native"
    )
    asked: list[Prompt] = []

    def answer(prompt: Prompt, sampling: Sampling) -> str:
        asked.append(prompt)
        return SILENT

    monkeypatch.setattr(bench_module, "open_model", lambda *_: Scripted(answer))
    assert one_sentence(role_bench, argv) == 0
    assert {prompt.messages[0]["content"] for prompt in asked} == {"You are the mayor. Long story."}
    assert all(prompt.tools for prompt in asked)


def test_a_missing_library_is_named_with_the_command_that_installs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = [name for name in sys.modules if name.startswith("lm_eval.")]  # other tests of this process may need it
    for name in ("lm_eval", *loaded):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "eval.served", raising=False)
    argv = command(tmp_path, "out", "--model", "http://127.0.0.1:1/v1#m")
    assert one_sentence(role_bench, argv) == 2
    assert capsys.readouterr().err == "error: lm_eval is not installed; run `pip install -r requirements-gpu.txt`.\n"


def test_the_command_explains_itself_without_loading_torch() -> None:
    code = "import sys, eval.role_bench; sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'lm_eval')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    asked = [sys.executable, "-m", "eval.role_bench", "--help"]
    assert "python -m eval.role_bench" in subprocess.run(asked, capture_output=True, text=True, check=True).stdout
