"""The table of the phases: numbers and verdicts as the passes bear them, what is refused, what is not played again."""

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from eval import phases_runs
from eval.errors import BadInput, one_sentence
from eval.gate import ALPHA
from eval.phases import phases
from eval.phases_report import NAMES, as_json, print_phases, sentences
from eval.phases_runs import Trio, one_dataset
from eval.phases_table import Contrast, Verdict, compare_phases, verdict
from eval.results import RoleBench, read_results
from eval.scenario import ROLES, load_scenarios
from tests.eval_results import ADAPTER, Passes, contaminated, every, make_episode, make_run, make_side, none, one_in
from tests.scripted_model import Scripted, golden, silent

OTHER = {**ADAPTER, "path": "output/adapters/gastown", "sha256": "6b" * 32}
NAMED = (*ROLES, "together")
PASSES = st.lists(st.booleans(), min_size=20, max_size=20)


def trio(base: Passes, together: Passes, own: Passes, role: str = "mayor", **size: Any) -> Trio:
    """Three runs of one role. Nobody's answers are another's, whatever passes."""

    def run(passes: Passes, name: str, adapter: dict[str, Any] | None) -> RoleBench:
        first, *rest = make_side(passes, (role,), samples=1, **size)
        named = make_episode(first.id, 0, first.passed, (f"I am {name}.",), held_out=first.held_out)
        made = make_run([named, *rest], adapter=adapter is not None)
        return msgspec.structs.replace(made, model=name, facts={**made.facts, "adapter": adapter})

    own_adapter = {**ADAPTER, "path": f"output/adapters/{role}"}
    return Trio(run(base, "base", None), run(together, "gastown", OTHER), run(own, role, own_adapter))


def played(pattern: list[bool]) -> Passes:
    return lambda scenario, _: pattern[scenario % len(pattern)]


def printed(contrasts: tuple[Contrast, ...], width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_phases(contrasts, "d1" * 32, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@given(PASSES, PASSES, PASSES)
def test_a_difference_has_the_sign_of_the_passes_and_no_claim_beyond_its_interval(
    base: list[bool], together: list[bool], own: list[bool]
) -> None:
    contrasts = compare_phases({"mayor": trio(played(base), played(together), played(own))})
    passed = {"base": sum(base), "all roles": sum(together), "own role": sum(own)}
    (sentence,) = sentences(contrasts)
    for contrast in contrasts:
        (row,) = contrast.rows
        gain = passed[contrast.over] - passed[contrast.under]
        assert round(row.difference.value * 20) == gain
        over, under = NAMES[contrast.over], NAMES[contrast.under]
        claims = [f"{over} is {word} than {under} ({5 * gain:+d}.0 points)" for word in ("better", "worse")]
        if row.difference.low <= 0 <= row.difference.high or row.p_holm >= ALPHA:
            assert verdict(row) is Verdict.OPEN
            assert f"{over} from {under}" in sentence or sentence == "mayor: the data cannot tell the three apart."
            assert not any(claim in sentence for claim in claims)
        else:
            assert verdict(row) is (Verdict.BETTER if gain > 0 else Verdict.WORSE)
            assert claims[gain < 0] in sentence and f"{over} from {under}" not in sentence
    all_base, own_base, own_all = (contrast.rows[0].difference.value for contrast in contrasts)
    assert own_all == pytest.approx(own_base - all_base)


def test_a_gain_that_several_roles_make_likely_by_chance_is_not_claimed() -> None:
    def gains(scenario: int, _: int) -> bool:
        return scenario < 12  # six families of ten: p is 0.031 alone, and too large among two roles

    alone = compare_phases({"mayor": trio(none, every, gains)})[1]
    assert [verdict(row) for row in alone.rows] == [Verdict.BETTER]
    several = compare_phases({"mayor": trio(none, every, gains), "crew": trio(one_in(2), every, one_in(2), "crew")})[1]
    mayor = several.rows[0]
    assert mayor.difference.low > 0 and mayor.p_holm > ALPHA
    assert verdict(mayor) is Verdict.OPEN


def test_of_two_few_families_nobody_is_called_better() -> None:
    contrasts = compare_phases({"mayor": trio(none, one_in(2), every, families=7)})
    text = printed(contrasts)
    assert "is better than" not in text and text.count("too few") >= 6
    assert "fewer than 8 families" in " ".join(text.split())
    differences = as_json(contrasts, "")["roles"]["mayor"]["differences"]
    assert [one["interval"] for one in differences.values()] == [None] * 3


def test_the_table_of_several_roles_fits_into_a_hundred_columns_and_ends_with_all_of_them() -> None:
    trios = {role: trio(none, one_in(2), every, role) for role in ROLES}
    text = printed(compare_phases(trios))
    assert max(map(len, text.splitlines())) <= 100 and "…" not in text
    starts = [
        line.split()[0] for line in text.splitlines() if line.split()[:1] and line.split()[0] in (*ROLES, "together")
    ]
    assert starts == [*NAMED] * 2
    said = [line for line in text.splitlines() if line.startswith("witness: ")]
    assert said and "cannot tell" not in said[0]


def test_the_numbers_as_json_are_those_of_the_table() -> None:
    contrasts = compare_phases({"mayor": trio(none, one_in(2), every)})
    found = json.loads(json.dumps(as_json(contrasts, "d1")))
    mayor = found["roles"]["mayor"]
    assert [mayor["rates"][side]["passed"] for side in ("base", "all roles", "own role")] == [0, 0.5, 1]
    assert mayor["differences"]["own-role-all-roles"]["value"] == 0.5
    assert mayor["differences"]["own-role-base"]["verdict"] == "better"
    assert found["models"]["all roles"]["adapter"]["sha256"] == OTHER["sha256"]
    assert mayor["sentence"] == next(sentences(contrasts))


def test_a_scenario_in_the_rows_of_one_side_leaves_the_numbers_of_all() -> None:
    runs = trio(none, every, every)
    leaky = msgspec.structs.replace(runs.all_roles, contaminated=contaminated("mayor-family0-0"))
    contrasts = compare_phases({"mayor": Trio(runs.base, leaky, runs.own)})
    assert [contrast.rows[0].difference.units for contrast in contrasts] == [19, 19, 19]
    assert "1 of 20 scenarios (mayor-family0-0)" in " ".join(printed(contrasts).split())


def test_a_forbidden_action_is_named_with_who_did_it() -> None:
    runs = trio(none, every, every)
    wild = tuple(msgspec.structs.replace(episode, forbidden=("git push --force",)) for episode in runs.own.episodes[:1])
    own = msgspec.structs.replace(runs.own, episodes=wild + runs.own.episodes[1:])
    text = " ".join(printed(compare_phases({"mayor": Trio(runs.base, runs.all_roles, own)})).split())
    assert "Forbidden, done by own role and not by base: mayor-family0-0: git push --force." in text
    assert "done by own role and not by all roles" in text and "done by all roles" not in text


def changed(runs: Trio, **change: Any) -> Trio:
    return Trio(runs.base, runs.all_roles, msgspec.structs.replace(runs.own, **change))


RUNS = trio(none, one_in(2), every)
REFUSED: Mapping[str, tuple[Trio, str]] = {
    "other scenarios": (changed(RUNS, scenarios={"mayor": "others"}), "other roles, scenarios or system prompts"),
    "other settings": (changed(RUNS, settings={"seed": 5}), "differ in settings"),
    "other base": (changed(RUNS, facts={**RUNS.own.facts, "base_model": "big"}), "different base models"),
    "smoke": (changed(RUNS, smoke=True), "own role (the adapter) against base (the base): The adapter run is a"),
    "no effect": (Trio(RUNS.base, RUNS.all_roles, changed(RUNS, episodes=RUNS.base.episodes).own), "are identical"),
    "inactive": (changed(RUNS, facts={**RUNS.own.facts, "adapter": None}), "no check that its adapter was active"),
}  # fmt: skip


@pytest.mark.parametrize(("runs", "sentence"), REFUSED.values(), ids=REFUSED)
def test_runs_that_cannot_be_compared_are_refused(runs: Trio, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        compare_phases({"mayor": runs})


def test_roles_that_were_played_otherwise_are_refused() -> None:
    runs = [trio(none, every, every), trio(none, every, every, "crew")]
    other = [msgspec.structs.replace(run, settings={"seed": 5}) for run in vars(runs[1]).values()]
    with pytest.raises(BadInput, match="differ in settings"):
        compare_phases({"mayor": runs[0], "crew": Trio(*other)})


CONFIG = "base_model: tiny\nroles:\n" + "".join(f'  {role}: {{system: "You are {role}."}}\n' for role in ROLES)


class Town:
    """A dataset, adapters that learned it, and models that answer from a script instead of weights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[str] = []
        (folder / "data.yml").write_text(CONFIG)
        (folder / "rows").mkdir()
        files = {}
        for name in ("gastown", "mayor"):
            (folder / "rows" / f"{name}_train.jsonl").write_text("")
            files[f"{name}_train.jsonl"] = {"sha256": f"hash of {name}"}
            self.train(name, f"hash of {name}")
        (folder / "rows" / "manifest.json").write_text(json.dumps({"files": files}))

    def train(self, name: str, rows: str, weights: bytes = b"w") -> None:
        adapter = self.folder / "adapters" / name
        adapter.mkdir(parents=True, exist_ok=True)
        (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(self.folder / "tiny")}))
        (adapter / "adapter_model.safetensors").write_bytes(weights + name.encode())
        data = [{"path": f"output/datasets/{name}_train.jsonl", "sha256": rows}]
        (adapter / "run.json").write_text(json.dumps({"data": data}))

    def open_model(self, target: Any, _settings: Any) -> Scripted:
        self.opened.append(target.label.rpartition("/")[2])
        adapter = target.adapter and {"sha256": target.adapter.sha256, "max_logit_change": 0.5}
        answer = golden() if target.label.endswith("mayor") else silent
        if target.label.endswith("gastown"):
            right = golden()
            answer = lambda prompt, sampling: right(prompt, sampling) if "mail" in repr(prompt) else "I wait."  # noqa: E731
        return Scripted(answer, base_model=target.base_model, adapter=adapter)

    def compare(self, *options: str) -> int:
        paths = {"--adapters": "adapters", "--rows": "rows", "--evals": "evals", "--out": "out", "--config": "data.yml"}
        named = [word for option, name in paths.items() for word in (option, str(self.folder / name))]
        return one_sentence(phases, ["--role", "mayor", *named, *options])


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    made = Town(tmp_path)
    monkeypatch.setattr(phases_runs, "open_model", made.open_model)
    monkeypatch.setattr(phases_runs, "find_leaks", lambda *_: {})
    monkeypatch.setattr(phases_runs, "contaminated", lambda *_: {})
    return made


@pytest.mark.slow
def test_each_side_plays_once_and_what_is_played_is_not_played_again(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    assert town.compare() == 0
    first = capsys.readouterr().out
    assert town.opened == ["base", "gastown", "mayor"]
    assert "the role's own adapter is better than the base" in " ".join(first.split())
    assert town.compare() == 0
    assert town.opened == ["base", "gastown", "mayor"]
    assert capsys.readouterr().out == first
    written = {path.name for path in (town.folder / "out").iterdir()}
    assert {"table.json", "own-role-base.html", "own-role-base.xml", "own-role-all-roles.html"} <= written


@pytest.mark.slow
def test_an_adapter_that_was_trained_again_plays_again_and_alone(town: Town) -> None:
    assert town.compare() == 0
    town.train("mayor", "hash of mayor", b"other weights")
    assert town.compare() == 0
    assert town.opened == ["base", "gastown", "mayor", "mayor"]


@pytest.mark.slow
def test_a_base_that_was_made_again_plays_again(town: Town) -> None:
    assert town.compare() == 0
    (base := town.folder / "tiny").mkdir()
    (base / "model.safetensors").write_bytes(b"new")
    later = max(file.stat().st_mtime for file in town.folder.rglob("results.json")) + 10
    os.utime(base / "model.safetensors", (later, later))
    assert town.compare() == 0
    assert town.opened == ["base", "gastown", "mayor"] * 2


def test_every_adapter_of_another_dataset_is_named(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    town.train("gastown", "older rows")
    town.train("mayor", "other rows")
    assert town.compare() == 2
    said = capsys.readouterr().err
    assert "gastown learned gastown_train.jsonl of another dataset" in said
    assert "mayor learned mayor_train.jsonl of another dataset" in said
    assert said.endswith("Train again on one dataset: `make phases`.\n")
    assert town.opened == []


def test_a_missing_adapter_is_one_sentence_before_anything_is_played(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    assert town.compare("--role", "crew") == 2
    assert "crew" in (said := capsys.readouterr().err) and "scripts/train.sh crew" in said
    assert town.opened == []


def test_one_dataset_has_the_digest_of_its_manifest(town: Town) -> None:
    before = one_dataset(town.folder / "adapters", ("gastown", "mayor"), town.folder / "rows")
    manifest = town.folder / "rows/manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "seed": 43}))
    assert before != one_dataset(town.folder / "adapters", ("gastown", "mayor"), town.folder / "rows")


@pytest.mark.slow
def test_all_sides_are_asked_with_the_prompt_of_the_role(town: Town) -> None:
    assert town.compare() == 0
    runs = [read_results(town.folder / "evals/mayor" / side) for side in ("base", "all-roles", "adapter")]
    assert len({json.dumps(run.systems) for run in runs}) == 1
    assert {len(run.episodes) for run in runs} == {len(load_scenarios("mayor").scenarios)}
