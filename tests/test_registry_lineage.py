"""From an adapter back to its sessions, and from a session to the adapters that learned from it."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from data import forget
from data.config import DataConfig, RoleConfig
from data.record import Origin
from data.trace import Choice, Place
from deploy.adapter import Refusal
from deploy.registry import Registry
from tests.registry_town import SESSIONS, Town, make_town, write_json
from tests.traced_dataset import PROJECT, trace, write_dataset

FORK = "f0f0f0f0-0000-4000-8000-000000000001"


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return make_town(tmp_path / "output")


def sessions(town: Town, role: str = "mayor", number: int = 1) -> dict[str, int]:
    with Registry.open(town.root) as registry:
        return dict(registry.sessions_of(role, number))


def holding(town: Town, session: str) -> list[str]:
    with Registry.open(town.root) as registry:
        return [version.name for version in registry.holding(session)]


def test_a_version_knows_the_sessions_of_its_training_and_validation_rows(town: Town) -> None:
    assert town.registered("mayor").notes == ()
    assert sessions(town) == dict.fromkeys(SESSIONS["mayor"], 1)
    assert [holding(town, session) for session in SESSIONS["mayor"]] == [["mayor@v1"]] * 3
    assert holding(town, SESSIONS["crew"][0]) == []


def test_an_adapter_of_all_roles_learned_from_all_sessions(town: Town) -> None:
    with Registry.open(town.root) as registry:
        registry.register(town.train("gastown"))
    assert sessions(town, "gastown") == {session: 1 for role in SESSIONS for session in SESSIONS[role]}


def test_test_rows_are_not_learned_and_forked_rows_hold_the_session_that_they_show(town: Town) -> None:
    fork = trace(f"{FORK}:0.0#0", file=f"{PROJECT}/{SESSIONS['crew'][0]}.jsonl")
    write_dataset(town.root / "datasets", [fork, trace("tested:0.0#0", "test"), trace("seen:0.0#0", "val")])
    town.registered("crew")
    assert sessions(town, "crew") == {FORK: 1, "seen": 1}
    assert (holding(town, SESSIONS["crew"][0]), holding(town, "tested")) == (["crew@v1"], [])


def with_preferences(town: Town, session: str) -> None:
    """Adds a pair for the mayor to the dataset."""
    folder = town.root / "datasets"
    origin = Origin("sessions", session, session, f"{PROJECT}/{session}.jsonl", (1, 2), started="2026-01-05T10:00:01Z")
    one = Choice(f"{session}:0.0~1", "mayor", "dpo", "corrected reply", origin, (Place("msg", origin.file, 2, 9),))
    (folder / "choices.jsonl").write_bytes(msgspec.json.encode(one) + b"\n")
    (folder / "mayor.dpo.train.jsonl").write_bytes(b'{"metadata": {}}\n')
    told = json.loads(town.manifest.read_text())
    for name in ("choices.jsonl", "mayor.dpo.train.jsonl"):
        content = (folder / name).read_bytes()
        told["files"][name] = {"sha256": sha256(content).hexdigest(), "rows": 1, "bytes": len(content)}
    write_json(town.manifest, told)


def test_what_went_on_from_another_adapter_learned_from_its_sessions_too(town: Town) -> None:
    with_preferences(town, FORK)
    first = town.train("mayor", 1)
    later = {"started_at": "2026-11-02T10:00:00+00:00", "finished_at": "2026-11-02T11:00:00+00:00"}
    alone = town.train("mayor", 2, run="mayor-dpo", method="dpo", **later)
    both = town.train("mayor", 3, run="mayor-dpo-long", method="dpo", start=str(first), **later)
    with Registry.open(town.root) as registry:
        assert registry.register(alone).notes == registry.register(both).notes == ()
    assert sessions(town, number=1) == {FORK: 1}
    assert sessions(town, number=2) == dict.fromkeys((FORK, *SESSIONS["mayor"]), 1)


def test_the_adapter_that_it_went_on_from_is_found_among_the_versions_when_it_was_trained_again(town: Town) -> None:
    with_preferences(town, FORK)
    town.registered("mayor", 1)
    later = {"started_at": "2026-11-02T10:00:00+00:00", "finished_at": "2026-11-02T11:00:00+00:00"}
    newest = {"started_at": "2026-11-03T10:00:00+00:00", "finished_at": "2026-11-03T11:00:00+00:00"}
    preferred = town.train("mayor", 3, run="mayor-dpo", method="dpo", start="output/adapters/mayor", **later)
    town.train("mayor", 4, **newest)
    with Registry.open(town.root) as registry:
        assert registry.register(preferred).notes == ()
        assert set(registry.sessions_of("mayor", 2)) == {FORK, *SESSIONS["mayor"]}
    shutil.rmtree(town.root / "adapters/mayor/v1")
    again = town.train("mayor", 5, run="mayor-dpo", method="dpo", start="output/adapters/mayor", **later)
    with Registry.open(town.root) as registry:
        (note,) = registry.register(again).notes
    assert note == "it went on from mayor, which is no longer here as it was then"


def rebuilt(town: Town) -> None:
    """The dataset is built again from other sessions."""
    write_dataset(town.root / "datasets", [trace("other:0.0#0", role="mayor")])


def damaged(town: Town) -> None:
    """The origins are no longer those of the manifest."""
    with (town.root / "datasets" / "origins.jsonl").open("a") as stream:
        stream.write("\n")


def removed(town: Town) -> None:
    """The dataset is gone."""
    shutil.rmtree(town.root / "datasets")


@pytest.mark.parametrize("happened", [rebuilt, damaged, removed])
def test_without_its_dataset_it_is_registered_with_a_note_and_refused_until_it_is_there_again(
    town: Town, tmp_path: Path, happened: object
) -> None:
    elsewhere = Path(shutil.copytree(town.root / "datasets", tmp_path / "elsewhere"))
    adapter = town.train("mayor")
    happened(town)  # type: ignore[operator]
    with Registry.open(town.root) as registry:
        assert "its sessions are not known" in registry.register(adapter).notes[0]
        with pytest.raises(Refusal, match="sessions are not known"):
            registry.promote("mayor", 1, by="test")
        assert registry.register(adapter).number == 1
        for manifest in (elsewhere, elsewhere / "manifest.json"):
            version = registry.register(adapter, manifest=manifest)
            assert (version.number, version.notes) == (2, ())
        assert registry.register(version.folder, manifest=elsewhere).number == 2
    assert sessions(town, number=2) == dict.fromkeys(SESSIONS["mayor"], 1)


def test_an_adapter_without_a_record_is_registered_with_a_note(town: Town) -> None:
    adapter = town.train("mayor")
    (adapter / "run.json").unlink()
    with Registry.open(town.root) as registry:
        version = registry.register(adapter, "mayor")
        assert version.notes == ("it has no run.json, so nobody knows what it was trained on",)
    (adapter / "run.json").write_text('{"data": []}')
    with Registry.open(town.root) as registry, pytest.raises(Refusal, match="is not what a training leaves"):
        registry.register(adapter, "mayor")


def test_forget_names_the_versions_that_hold_a_session(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    town.registered("mayor")
    town.registered("crew")
    lists = {"archive": str(town.root / "archive"), "forgotten": str(town.root / "forgotten.txt")}
    config = DataConfig("base", (), {"unknown": RoleConfig("You help.")}, **lists)
    session = SESSIONS["mayor"][0]
    assert forget.run(session, town.root, town.root.parent / "projects", config) == 0
    said = capsys.readouterr().out
    for folder in ("mayor", "mayor/v1"):
        assert f"{town.root / 'adapters' / folder} was trained on" in said
    assert str(town.root / "adapters/crew/v1") not in said and "names it as well" not in said
    with Registry.open(town.root) as registry, pytest.raises(Refusal, match=f"1 forgotten session .{session}"):
        registry.promote("mayor", 1, by="test")


def test_origins_that_nobody_can_read_are_one_sentence(town: Town) -> None:
    adapter, origins = town.train("mayor"), town.root / "datasets" / "origins.jsonl"
    origins.write_text('{"role": 1}\n', encoding="utf-8")
    told = json.loads(town.manifest.read_text())
    told["files"]["origins.jsonl"]["sha256"] = sha256(origins.read_bytes()).hexdigest()
    write_json(town.manifest, told)
    with Registry.open(town.root) as registry, pytest.raises(Refusal, match=r"origins\.jsonl:1 is damaged"):
        registry.register(adapter)


def test_a_manifest_of_other_rows_is_passed_over(town: Town, tmp_path: Path) -> None:
    other = write_dataset(tmp_path / "other", [trace("other:0.0#0", role="mayor")])
    with Registry.open(town.root) as registry:
        assert registry.register(town.train("mayor"), manifest=other / "manifest.json").notes == ()
    assert sessions(town) == dict.fromkeys(SESSIONS["mayor"], 1)
