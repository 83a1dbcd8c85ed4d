"""eval.compare as a person uses it: tables at 80 columns, exit codes, and what it refuses."""

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from eval.compare import compare, refuse_unequal
from eval.costs import costs_of
from eval.errors import BadInput, one_sentence
from eval.gate import decide
from eval.paired import compare_runs
from eval.printable import one_line, printable
from eval.report import print_run, print_tables
from eval.results import RoleBench
from tests.eval_results import (
    FACTS,
    SETTINGS,
    contaminated,
    every,
    make_episode,
    make_pair,
    make_run,
    none,
    one_in,
    save,
)

ROLES = ("mayor", "deacon", "witness", "refinery", "polecat", "crew")
CODES = {"passed": (none, every, 0), "regression": (every, none, 1), "inconclusive": (one_in(2), one_in(3), 3)}


def shown(base: RoleBench, adapter: RoleBench, width: int = 80, margin: float = 0.05, tried: int = 1) -> str:
    console = Console(file=io.StringIO(), width=width)
    comparison = compare_runs(base, adapter)
    print_tables(comparison, decide(comparison, margin, tried), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(text: str, start: str) -> list[str]:
    """The cells of the lines that begin with a word."""
    return [line for line in text.splitlines() if line.split()[:1] == [start]]


@pytest.mark.parametrize(("before", "after", "code"), CODES.values(), ids=CODES)
def test_the_exit_code_is_the_decision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: Any, after: Any, code: int
) -> None:
    base, adapter = make_pair(before, after)
    paths = [str(save(base, tmp_path / "base.json")), str(save(adapter, tmp_path / "adapter.json"))]
    assert one_sentence(compare, paths) == code
    assert f"(exit code {code})" in capsys.readouterr().out


def test_folders_files_pages_and_junit_are_taken_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, adapter = make_pair(none, every)
    for name, run in (("base", base), ("adapter", adapter)):
        (tmp_path / name).mkdir()
        save(run, tmp_path / name / "results.json")
    html, junit = tmp_path / "new/page.html", tmp_path / "new/junit.xml"
    argv = [str(tmp_path / "base"), str(tmp_path / "adapter"), "--html", str(html), "--junit", str(junit)]
    assert one_sentence(compare, argv) == 0
    assert html.read_text().startswith("<!doctype html>") and junit.read_text().startswith("<?xml")
    assert sorted(path.name for path in html.parent.iterdir()) == ["junit.xml", "page.html"]
    assert str(html) in capsys.readouterr().out.replace("\n", "")


def test_runs_that_differ_in_the_batch_size_alone_are_equal() -> None:
    base, adapter = make_pair(none, every)
    refuse_unequal(base, msgspec.structs.replace(adapter, settings={**SETTINGS, "batch_size": 1}))


RUN = make_run([make_episode("mayor-mail-1", sample) for sample in (0, 1)])


def other(**changed: Any) -> RoleBench:
    return msgspec.structs.replace(RUN, **changed)


def other_first(**changed: Any) -> RoleBench:
    first, *rest = RUN.episodes
    return other(episodes=(msgspec.structs.replace(first, **changed), *rest))


UNEQUAL = {
    "scenarios": (other(scenarios={"mayor": "x"}), "other roles, scenarios or system prompts"),
    "systems": (other(systems={"mayor": "x"}), "other roles, scenarios or system prompts"),
    "samples": (other(episodes=RUN.episodes[:1]), "cover 2 and 1 samples"),
    "other samples": (other_first(sample=7), "not the same ones"),
    "twice": (other(episodes=RUN.episodes[:1] * 2), "holds a sample twice"),
    "uneven": (
        other(episodes=(*RUN.episodes, make_episode("mayor-mail-2"))),
        "cover 2 and 3 samples",
    ),
    "words": (
        other_first(asked=({"role": "user", "content": "?"},)),
        "sample 0, was not asked in the same",
    ),
    "variables": (other_first(variables={}), "was not asked in the same words"),
    "settings": (other(settings={**SETTINGS, "seed": 1}), "differ in settings (seed"),
    "temperature": (other(settings={**SETTINGS, "temperature": 0.7}), "differ in settings (temperature"),
    "tool form": (other(settings={**SETTINGS, "tool_format": "native"}), "differ in settings (tool_format"),
    "template": (other(facts={**FACTS, "template_sha256": "u"}), "differ in template_sha256"),
    "backend": (other(facts={**FACTS, "backend": "vllm"}), "differ in backend"),
    "revision": (other(facts={**FACTS, "base_revision": "s"}), "differ in base_revision"),
    "base": (other(facts={**FACTS, "base_model": "huge"}), "different base models (tiny and huge)"),
}


@pytest.mark.parametrize(("second", "said"), UNEQUAL.values(), ids=UNEQUAL)
def test_runs_that_were_asked_something_else_are_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], second: RoleBench, said: str
) -> None:
    base = msgspec.structs.replace(RUN, facts={**FACTS, "adapter": None})
    paths = [str(save(base, tmp_path / "a.json")), str(save(second, tmp_path / "b.json"))]
    assert one_sentence(compare, [*paths, "--html", str(tmp_path / "page.html")]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert captured.out == "" and not (tmp_path / "page.html").exists()


def test_scenarios_with_different_numbers_of_samples_are_refused() -> None:
    uneven = make_run([*RUN.episodes, make_episode("mayor-mail-2")])
    with pytest.raises(BadInput, match="different numbers of samples"):
        refuse_unequal(uneven, uneven)


def without_answers(run: RoleBench) -> RoleBench:
    return msgspec.structs.replace(run, episodes=tuple(msgspec.structs.replace(e, steps=()) for e in run.episodes))


BAD_FILES = {
    "missing": (None, "does not exist"),
    "no JSON": (b"nothing", "is no role_bench result"),
    "another kind": (b'{"kind": "tool_use_accuracy"}', "is no role_bench result"),
    "not UTF-8": (b'{"kind": "\xff"}', "is no role_bench result"),
    "no raw answers": (msgspec.json.encode(without_answers(RUN)), "holds no raw answers"),
    "no episodes": (msgspec.json.encode(other(episodes=())), "holds no raw answers"),
}


@pytest.mark.parametrize(("content", "said"), BAD_FILES.values(), ids=BAD_FILES)
def test_what_is_no_run_with_raw_answers_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "bad.json").write_bytes(content)
    assert one_sentence(compare, [str(save(RUN, tmp_path / "good.json")), str(tmp_path / "bad.json")]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, adapter = make_pair(none, every)
    paths = [str(save(base, tmp_path / "base.json")), str(save(adapter, tmp_path / "adapter.json"))]
    assert one_sentence(compare, [*paths, "--html", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert "choose another --html" in captured.err and captured.out == ""


@pytest.mark.parametrize("margin", ["-0.1", "1", "5", "x"])
def test_a_margin_is_a_share(tmp_path: Path, capsys: pytest.CaptureFixture[str], margin: str) -> None:
    with pytest.raises(SystemExit) as end:
        compare(["a", "b", "--margin", margin])
    assert end.value.code == 2 and "--margin" in capsys.readouterr().err


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_cut_or_wrapped_in_a_table(width: int) -> None:
    base, adapter = make_pair(one_in(2), one_in(3), roles=ROLES, samples=5)
    text = shown(base, adapter, width, tried=12)
    assert max(map(len, text.splitlines())) <= width and "…" not in text
    assert [len(row(text, role)) for role in (*ROLES, "all")] == [2] * 7
    rates, evidence = row(text, "all")
    numbers = "all 120 in 60, k 5 50 % [41, 59] 33 % [25, 42] -16.7 [-28.8, -3.8]"
    assert " ".join(rates.split()) == numbers
    numbers = "all 20 / 40 / 60 <0.001 +17.8 60 → 40 0.50 → 0.33 12 of 120"
    assert " ".join(evidence.split()) == numbers


def test_no_percentage_stands_without_what_it_rests_on() -> None:
    base, adapter = make_pair(one_in(2), every, families=5)
    text = shown(base, adapter)
    (rates, evidence) = row(text, "mayor")
    assert " ".join(rates.split()) == "mayor 10 in 5, k 2 50 % too few 100 % too few +50.0 too few"
    assert " ".join(evidence.split()) == "mayor 5 / 0 / 5 n/a n/a 5 → 10 0.50 → 1.00 1 of 10"
    assert "[" not in rates and "fewer than 8 families" in text


def test_everything_that_belongs_to_a_claim_is_said() -> None:
    base, adapter = make_pair(one_in(2), every, roles=("mayor", "crew"))
    adapter = msgspec.structs.replace(adapter, contaminated=contaminated("crew-family3-1"))
    text = " ".join(shown(base, adapter, 200, tried=4).split())
    assert "Held-out families alone (19 in 10, k 2)" in text
    assert "training rows: 1 of 40 scenarios (crew-family3-1)." in text
    assert "New forbidden actions: none." in text
    assert "Adapter sha256 5a5a5a5a5a5a5a5a, active: it changes logits by up to 0.58." in text
    assert "Checkpoints tried: 4. The best of 4 without any true gain would seem to gain" in text
    assert "response time, median 0.50 s" in text and "36,000 (900 an answer)" not in text
    unchecked = msgspec.structs.replace(adapter, contaminated=None)
    assert "Contamination was not checked" in shown(base, unchecked, 200)


def test_tokens_that_nobody_counted_are_not_zero() -> None:
    run = make_run([make_episode(steps=(msgspec.structs.replace(RUN.episodes[0].steps[0], prompt_tokens=None),))])
    costs = costs_of(run)
    assert (costs.prompt_tokens, costs.new_tokens, costs.answers) == (None, 40, 1)
    assert "n/a" in shown(run, run)


def test_response_times_are_the_median_and_the_slowest_of_twenty() -> None:
    step = RUN.episodes[0].steps[0]
    steps = tuple(msgspec.structs.replace(step, seconds=float(n)) for n in range(1, 21))
    costs = costs_of(make_run([make_episode(steps=steps)]))
    assert (costs.median, costs.slow) == (10, 19)


def test_the_held_out_families_are_told_apart() -> None:
    # Every second family is held out: only those do not gain.
    base, adapter = make_pair(none, lambda scenario, _: scenario // 2 % 2 == 0, families=20)
    held_out = compare_runs(base, adapter).held_out
    assert held_out is not None and held_out.difference.value == 0 and held_out.difference.units == 20
    assert compare_runs(base, adapter).rows[0].difference.value == 0.5


def test_passing_always_is_told_apart_from_passing_often() -> None:
    base, adapter = make_pair(lambda scenario, sample: sample == 0, every, samples=4)
    (row,) = compare_runs(base, adapter).rows
    assert (row.base.rate.value, row.base.always, row.adapter.always) == (0.25, 0, 20)


def test_a_run_is_printed_with_its_floor_and_its_first_failures() -> None:
    base, _ = make_pair(one_in(4), every, roles=("mayor", "crew"))
    console = Console(file=io.StringIO(), width=80)
    print_run(msgspec.structs.replace(base, contaminated=contaminated("crew-family1-0")), console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "crew" in text and "19 in 10, k 2" in text and "3.9 of 39" in text
    assert "mayor-family0-1: No call of Bash gt mail, no tool was called." in text
    assert "training rows: crew-family1-0." in text and "more in the results file" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_smoke_run_shows_no_interval() -> None:
    base, _ = make_pair(one_in(2), every)
    console = Console(file=io.StringIO(), width=80)
    print_run(msgspec.structs.replace(base, smoke=True), console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "smoke run" in text and "50 % too few" in text


HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold]\u202egnp.exe\r\x00 [/red] done"


def test_what_a_model_says_moves_no_cursor_and_is_no_markup() -> None:
    episode = make_episode("mayor-mail-1", passed=False, explanation=HOSTILE, forbidden=(HOSTILE,))
    base = make_run([make_episode("mayor-mail-1")])
    adapter = make_run([episode], adapter=True, model=HOSTILE)
    console = Console(file=io.StringIO(), width=80)
    print_run(adapter, console)
    assert isinstance(console.file, io.StringIO)
    for text in (console.file.getvalue(), shown(base, adapter, 200)):
        assert not set("\x1b\x07\u202e\r\x00") & set(text)
        assert "⟦U+001B⟧[2J" in text and "[bold]" in text and "⟦U+202E⟧" in text


def test_printable_text_keeps_words_lines_and_signs_and_says_what_it_cut() -> None:
    plain = "Grüße, 日本 🙂\n\tdone"
    assert printable(plain) == plain
    assert printable("x" * 30, 10) == "x" * 10 + "\n[… 20 more characters stand in the results file]"
    assert one_line("a\n  b\tc") == "a b c" and len(one_line("word " * 500, 100)) == 100


@pytest.mark.parametrize(("before", "after", "code"), CODES.values(), ids=CODES)
def test_programs_get_the_outcome_and_the_rates_with_their_intervals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: Any, after: Any, code: int
) -> None:
    base, adapter = make_pair(before, after, roles=("mayor", "crew"))
    paths = [str(save(base, tmp_path / "base.json")), str(save(adapter, tmp_path / "adapter.json"))]
    assert compare([*paths, "--json", str(tmp_path / "deep" / "told.json"), "--margin", "0.04"]) == code
    told = msgspec.json.decode((tmp_path / "deep" / "told.json").read_bytes())
    decision = decide(compare_runs(base, adapter), 0.04)
    assert (told["outcome"], told["code"], told["margin"]) == (decision.outcome.words, code, 0.04)
    assert told["reasons"] == list(decision.reasons) and told["needed"] == decision.needed
    assert [one["role"] for one in told["rows"]] == ["mayor", "crew", "all"]
    for mine, shown_row in zip(told["rows"], compare_runs(base, adapter).rows, strict=True):
        for name, rate in (
            ("base", shown_row.base.rate),
            ("adapter", shown_row.adapter.rate),
            ("difference", shown_row.difference),
        ):
            assert mine[name] == {
                "value": rate.value,
                "low": rate.low,
                "high": rate.high,
                "scenarios": rate.units,
                "families": rate.clusters,
            }
    assert "JSON: " in capsys.readouterr().out
