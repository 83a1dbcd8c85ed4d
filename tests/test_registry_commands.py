"""python -m deploy.registry as a person uses it, from an adapter to a rollback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.registry.__main__ import main
from tests.eval_results import none
from tests.registry_town import SESSIONS, Town, make_town


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return make_town(tmp_path / "output")


class Shell:
    """Runs commands on a town; `said` and `errors` are what the last one printed."""

    def __init__(self, town: Town, capsys: pytest.CaptureFixture[str]) -> None:
        self.town, self._capsys = town, capsys
        self.said = self.errors = ""

    def __call__(self, *words: object) -> int:
        code = main([*map(str, words), "--root", str(self.town.root)])
        self.said, self.errors = self._capsys.readouterr()
        return code


@pytest.fixture
def shell(town: Town, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(town, capsys)


def test_from_an_adapter_to_a_rollback(town: Town, shell: Shell) -> None:
    for seed in (1, 2):
        adapter = town.train("mayor", seed)
        assert shell("register", adapter) == 0 and f"mayor@v{seed} is in " in shell.said
        assert shell("promote", "mayor", seed) == 1 and "never evaluated" in shell.errors
        assert shell("evaluate", "mayor", f"v{seed}", town.results(None, none), town.results(adapter)) == 0
        assert f"mayor@v{seed}: passed" in shell.said and "base 0 % [0, 28], adapter 100 % [72, 100]" in shell.said
        assert shell("promote", "mayor", f"@v{seed}") == 0
    assert shell.said == "mayor@v2 is live, before it v1\n"
    assert shell("register", adapter) == 0 and shell.said == "this adapter is mayor@v2 already\n"
    assert shell("list") == 0
    rows = [line.split() for line in shell.said.splitlines()]
    assert [row[:2] for row in rows[1:]] == [["mayor@v1", "previous"], ["mayor@v2", "live"]]
    assert shell("rollback", "mayor", "--why", "it answers in French") == 0
    assert shell.said == "mayor@v1 is live, before it v2\n" and shell.errors == ""
    assert shell("show", "mayor") == 0
    assert [line.split()[1:3] for line in shell.said.splitlines()[1:]] == [
        ["promote", "v1"],
        ["promote", "v2"],
        ["rollback", "v1"],
    ]
    assert "it answers in French" in shell.said
    assert shell("rollback", "mayor") == 1 and "is the first that was live" in shell.errors
    assert shell("check") == 0 and "2 of 2 versions are as they were registered" in shell.said


def test_every_reason_is_a_line_of_its_own_and_overruled_ones_are_warnings(town: Town, shell: Shell) -> None:
    town.registered()
    town.forget(SESSIONS["mayor"][0])
    assert shell("promote", "mayor", "v1") == 1 and shell.said == ""
    lines = shell.errors.splitlines()
    assert len(lines) == 2 and all(line.startswith("error: mayor@v1 ") for line in lines)
    assert shell("promote", "mayor", "v1", "--force") == 1 and "--why TEXT" in shell.errors
    assert shell("promote", "mayor", "v1", "--force", "--why", "a demonstration") == 0
    assert shell.said == "mayor@v1 is live, against 2 reasons\n"
    assert [line.startswith("warning: mayor@v1 ") for line in shell.errors.splitlines()] == [True, True]


def test_lineage_goes_down_to_the_sessions_and_up_from_one(town: Town, shell: Shell) -> None:
    town.registered()
    session, other = SESSIONS["mayor"][0], SESSIONS["crew"][0]
    town.forget(session)
    assert shell("lineage", "mayor", "v1") == 0
    lines = [line.lstrip(" │├└─") for line in shell.said.splitlines()]
    assert lines[0].startswith("mayor@v1  adapter ") and lines[1].startswith("training mayor on ")
    assert lines[2].split()[0].endswith("mayor_train.jsonl") and lines[4].startswith("manifest ")
    assert lines[5:] == [f"{session}  1 row  FORGOTTEN", *(f"{one}  1 row" for one in SESSIONS["mayor"][1:])]
    assert shell("lineage", "--session", session) == 0
    assert "mayor@v1  not live" in shell.said
    assert shell("lineage", "--session", other) == 0 and shell.said == f"no version learned from {other}\n"
    assert shell("lineage") == 1 and "lineage --session ID" in shell.errors
    assert shell("lineage", "mayor") == 1 and "nothing of mayor is live" in shell.errors


def test_programs_get_json(town: Town, shell: Shell) -> None:
    version = town.released()
    assert shell("list", "--json") == 0
    told = json.loads(shell.said)
    assert told["roles"] == [{"role": "mayor", "live": 1, "previous": None, "versions": [1]}]
    assert [(one["name"], one["folder"], one["evaluation"]["passed"]) for one in told["versions"]] == [
        ("mayor@v1", str(version.folder), True)
    ]
    assert shell("show", "mayor", "v1", "--json") == 0
    assert json.loads(shell.said)["version"]["sha256"] == version.sha256
    assert shell("lineage", "mayor", "--json") == 0
    assert set(json.loads(shell.said)["sessions"]) == set(SESSIONS["mayor"])
    assert shell("show", "mayor", "--json") == 0 and json.loads(shell.said)[0]["kind"] == "promote"
    assert shell("check", "--json") == 0 and json.loads(shell.said) == []
    assert shell("register", town.root / "adapters/mayor", "--json") == 0
    assert json.loads(shell.said)["number"] == 1


def test_the_root_and_json_may_stand_before_the_command(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    town.registered()
    assert main(["--root", str(town.root), "--json", "list"]) == 0
    assert json.loads(capsys.readouterr().out)["versions"][0]["name"] == "mayor@v1"


def test_one_version_is_shown_with_its_files_and_exports(town: Town, shell: Shell) -> None:
    from deploy.registry import Registry

    version = town.registered()
    with Registry.open(town.root) as registry:
        registry.add_export("mayor", 1, "gguf-f16", town.manifest, None, {})
    assert shell("show", "mayor", "v1") == 0
    for text in (version.sha256, *version.files.values(), "export gguf-f16", "mayor@v1 was never evaluated"):
        assert text in shell.said


def test_an_empty_registry_says_what_to_do(shell: Shell) -> None:
    assert shell("list") == 0 and "register output/adapters/mayor" in shell.said
    assert shell("show", "mayor") == 0 and "promote mayor v1" in shell.said
    assert shell("rollback", "mayor") == 1 and "nothing of mayor is live" in shell.errors


def test_a_contradiction_is_an_exit_code(town: Town, shell: Shell) -> None:
    (town.registered().folder / "run.json").unlink()
    assert shell("check") == 1 and "(run.json is missing)" in shell.said


@pytest.mark.parametrize(
    "words", [["promote", "mayor", "vX"], ["evaluate", "mayor", "1", "a", "b", "--margin", "2"], []]
)
def test_wrong_usage_is_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and "usage: python -m deploy.registry" in capsys.readouterr().err
