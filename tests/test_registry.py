"""The registry of adapters: versions, what is live, exports, and its database."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.adapter import Refusal
from deploy.evidence import adapter_digest
from deploy.registry import Registry, history, records
from deploy.registry.database import FILE, MIGRATIONS, migrate, statements
from deploy.registry.lineage import Lineage
from tests.registry_town import BASE_MODEL, REVISION, Town, make_town, write_adapter


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return make_town(tmp_path / "output")


def force(registry: Registry, number: int, role: str = "mayor") -> None:
    registry.promote(role, number, by="test", force=True, why="the gate is tested elsewhere")


@pytest.fixture(scope="module")
def three_versions(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Nobody promotes here: tests copy it."""
    town = make_town(tmp_path_factory.mktemp("three") / "output")
    for seed in (1, 2, 3):
        town.registered("mayor", seed)
    return town


actions = st.lists(st.one_of(st.integers(1, 3), st.just("rollback")), max_size=12)


@given(actions)
def test_what_is_live_is_a_pile_promoted_on_top_and_rolled_back_from_the_top(actions: list[int | str]) -> None:
    pile: list[int] = []
    database = in_memory(versions=3)
    versions = dict(enumerate(records.versions(database, Path("output")), 1))
    for action in actions:
        if isinstance(action, int):
            history.promote(database, versions[action], "test", "", ())
            pile += [action] if pile[-1:] != [action] else []
        elif len(pile) > 1:
            assert history.rollback(database, "mayor", "test", "", ()).before == pile.pop()
        else:
            with pytest.raises(Refusal):
                history.rollback(database, "mayor", "test", "", ())
        (role,) = history.roles(database)
        assert (role.live, role.previous) == (*pile[::-1], None, None)[:2]
    done = list(history.promotions(database))
    assert [one.before for one in done] == [None, *(one.number for one in done)][: len(done)]


def in_memory(versions: int) -> sqlite3.Connection:
    """A database of a role with so many versions, without their folders."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.row_factory = sqlite3.Row
    migrate(database, Path(FILE))
    for number in range(1, versions + 1):
        texts = dict.fromkeys(("sha256", "base_model", "base_revision", "run", "manifest_sha256", "registered_at"), "")
        about = {**texts, "role": "mayor", "number": number, "files": {}, "notes": []}
        records.insert(database, about, Lineage())
    return database


def test_a_version_holds_the_adapter_its_recipe_its_record_and_its_origin(town: Town) -> None:
    adapter = town.train("mayor")
    with Registry.open(town.root) as registry:
        version = registry.register(adapter)
    assert (version.name, version.folder) == ("mayor@v1", town.root / "adapters" / "mayor" / "v1")
    assert (version.base_model, version.base_revision, version.sha256) == (
        BASE_MODEL,
        REVISION,
        adapter_digest(adapter),
    )
    assert set(version.files) == {path.name for path in version.folder.iterdir()} - {"version.json"}
    for name in (
        "adapter_config.json",
        "adapter_model.safetensors",
        "tokenizer.json",
        "chat_template.jinja",
        "run.json",
    ):
        assert (version.folder / name).read_bytes() == (adapter / name).read_bytes()
    assert (version.folder / "config.yml").read_text() == json.loads((adapter / "run.json").read_text())["config"]
    assert not [path for path in version.folder.iterdir() if path.stat().st_mode & 0o222]
    about = json.loads((version.folder / "version.json").read_text())
    assert (about["role"], about["number"], about["files"]) == ("mayor", 1, version.files)


def test_the_same_adapter_is_the_same_version_and_another_the_next(town: Town) -> None:
    first, again, second = town.registered(seed=1), town.registered(seed=1), town.registered(seed=2)
    assert again == first and second.number == 2
    assert town.registered("crew", 1).name == "crew@v1"


def test_the_role_is_the_one_whose_rows_were_trained_or_the_one_that_is_given(town: Town) -> None:
    preferences = town.train("mayor", run="mayor-dpo", seed=5)
    everybody = town.train("gastown", seed=6)
    unknown = write_adapter(town.root / "adapters" / "found", None, seed=7)
    with Registry.open(town.root) as registry:
        assert (registry.register(preferences).name, registry.register(preferences).run) == ("mayor@v1", "mayor-dpo")
        assert registry.register(everybody).name == "gastown@v1"
        assert registry.register(everybody, "crew").name == "crew@v1"
        with pytest.raises(Refusal, match="--role mayor"):
            registry.register(unknown)
        assert registry.register(unknown, "crew").name == "crew@v2"
        with pytest.raises(Refusal, match="is not a role"):
            registry.register(preferences, "../mayor")


def test_a_version_can_be_registered_for_another_role(town: Town) -> None:
    version = town.registered("mayor")
    with Registry.open(town.root) as registry:
        other = registry.register(version.folder, "crew")
        assert (other.run, registry.sessions_of("crew", 1)) == ("mayor", registry.sessions_of("mayor", 1))


def test_what_is_no_whole_adapter_is_refused_and_leaves_nothing(town: Town) -> None:
    adapter = town.train("mayor")
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with Registry.open(town.root) as registry:
        for folder in (adapter, town.root / "datasets", town.root / "nowhere"):
            with pytest.raises(Refusal):
                registry.register(folder, "mayor")
        assert registry.versions() == () and registry.roles() == ()
    assert not list(adapter.glob("v*"))


def test_a_version_that_is_not_there_is_refused_with_those_that_are(town: Town) -> None:
    town.registered("mayor")
    with Registry.open(town.root) as registry:
        with pytest.raises(Refusal, match=r"mayor has no version 2 \(there: v1\)"):
            registry.version("mayor", 2)
        with pytest.raises(Refusal, match=r"crew has no version 1 \(there: none\)"):
            registry.promote("crew", 1, by="test")


def test_a_rollback_works_where_the_gate_would_refuse_and_records_what_it_would_say(three_versions: Town) -> None:
    with TemporaryDirectory() as folder:
        root = shutil.copytree(three_versions.root, Path(folder, "output"))
        with Registry.open(root) as registry:
            force(registry, 1)
            force(registry, 2)
            done = registry.rollback("mayor", by="test", why="it answers in French")
            assert (done.number, done.before, done.why, done.forced) == (1, 2, "it answers in French", False)
            assert any("never evaluated" in reason for reason in done.overruled)
            force(registry, 2)
            shutil.rmtree(root / "adapters" / "mayor" / "v1")
            with pytest.raises(Refusal, match="does not exist"):
                registry.rollback("mayor", by="test")
            assert registry.live("mayor") == 2


def test_another_process_that_promotes_is_noticed_and_reading_is_not(three_versions: Town, tmp_path: Path) -> None:
    root = shutil.copytree(three_versions.root, tmp_path / "output")
    with Registry.open(root) as watching, Registry.open(root) as other:
        before = watching.change_count()
        other.versions()
        assert watching.change_count() == before
        force(other, 1)
        assert watching.change_count() != before
        assert watching.live("mayor") == 1


def test_the_newest_export_of_each_kind_is_told_with_its_digest_and_the_root_may_move(town: Town) -> None:
    town.registered("mayor")
    old, new, base = (town.root / "exports" / name for name in ("old.gguf", "new.gguf", "base.gguf"))
    old.parent.mkdir()
    for file in (old, new, base):
        file.write_bytes(file.name.encode())
    merged = town.root / "exports" / "merged"
    merged.mkdir()
    (merged / "model.safetensors").write_bytes(b"12345")
    with Registry.open(town.root) as registry:
        registry.add_export("mayor", 1, "gguf-lora", old, base, {})
        registry.add_export("mayor", 1, "gguf-lora", new, base, {"tensors": 3})
        registry.add_export("mayor", 1, "merged", merged, None, {})
        with pytest.raises(Refusal, match="holds no file"):
            registry.add_export("mayor", 1, "onnx-fp32", town.root / "nothing", None, {})
    moved = town.root.rename(town.root.with_name("moved"))
    with Registry.open(moved) as registry:
        exports = registry.exports("mayor", 1)
    lora, whole = exports.pop("gguf-lora"), exports.pop("merged")
    assert (lora.path, lora.base) == (moved / "exports/new.gguf", moved / "exports/base.gguf")
    assert (lora.report, lora.size) == ({"tensors": 3}, 8)
    assert (whole.size, len(whole.sha256), exports) == (5, 64, {})


def test_a_lost_database_is_made_again_from_the_folders(three_versions: Town, tmp_path: Path) -> None:
    root = shutil.copytree(three_versions.root, tmp_path / "output")
    with Registry.open(root) as registry:
        before = registry.versions(), registry.sessions_of("mayor", 2)
    for path in root.glob(f"{FILE}*"):
        path.unlink()
    shutil.rmtree(root / "datasets")
    with Registry.open(root) as registry:
        assert (registry.versions(), registry.sessions_of("mayor", 2)) == before
        assert registry.check() == ()


def test_check_names_what_was_changed_added_removed_or_never_registered(three_versions: Town, tmp_path: Path) -> None:
    root = shutil.copytree(three_versions.root, tmp_path / "output")
    mayor = root / "adapters" / "mayor"
    for name in ("tokenizer.json", "run.json"):
        (mayor / "v1" / name).unlink()
    (mayor / "v1" / "tokenizer.json").write_text("{}")
    (mayor / "v2" / "notes.txt").write_text("mine")
    shutil.rmtree(mayor / "v3")
    (mayor / "v9").mkdir()
    with Registry.open(root) as registry:
        first, second, third, ninth = registry.check()
    assert "v1 is not as it was registered (run.json is missing, tokenizer.json was changed)" in first
    assert "(notes.txt was added)" in second
    assert "adapter_model.safetensors is missing" in third
    assert "v9 is a version that nobody registered" in ninth


def test_the_history_and_the_versions_cannot_be_changed(three_versions: Town, tmp_path: Path) -> None:
    root = shutil.copytree(three_versions.root, tmp_path / "output")
    with Registry.open(root) as registry:
        force(registry, 1)
    with sqlite3.connect(root / FILE) as database:
        for table in ("promotions", "versions"):
            for change in (f"UPDATE {table} SET role = 'crew'", f"DELETE FROM {table}"):
                with pytest.raises(sqlite3.IntegrityError):
                    database.execute(change)


def test_a_database_of_a_newer_version_is_refused_in_one_sentence(town: Town) -> None:
    Registry.open(town.root).close()
    with sqlite3.connect(town.root / FILE) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(Refusal, match=r"^[^\n]+ was written by a newer lora-forge than this one\. Update: git pull\.$"):
        Registry.open(town.root)


def test_what_is_no_database_is_refused_in_one_sentence(town: Town) -> None:
    (town.root / FILE).write_bytes(b"not a database at all, but long enough to be taken for one " * 20)
    with pytest.raises(Refusal, match=r"^[^\n]+ cannot be opened \([^\n]+\)\.[^\n]+$"):
        Registry.open(town.root)


def test_a_migration_is_split_where_its_statements_end() -> None:
    script = "CREATE TABLE a (b);\n-- a comment\nCREATE TRIGGER c DELETE ON a\nBEGIN\n  SELECT 1;\n  SELECT 2;\nEND;\n"
    first, second = statements(script)
    assert first.startswith("CREATE TABLE") and second.rstrip().endswith("END;")


def test_an_adapter_that_changes_while_it_is_copied_is_refused(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = town.train("mayor", 1)
    copy = shutil.copyfile

    def slow_copy(source: Path, target: Path) -> None:
        write_adapter(adapter, None, seed=2)
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", slow_copy)
    with Registry.open(town.root) as registry:
        with pytest.raises(Refusal, match="changed while it was copied"):
            registry.register(adapter)
        monkeypatch.undo()
        assert registry.register(adapter).number == 1
    assert not list(adapter.glob(".v-*"))


def test_a_migration_is_applied_whole_or_not_at_all_and_keeps_what_is_there(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = town.registered()
    steps = Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))
    second = steps / f"{len(list(steps.glob('*.sql'))) + 1:04}_next.sql"
    second.write_text("CREATE TABLE notes (text TEXT);\nINSERT INTO nowhere VALUES (1);\n")
    monkeypatch.setattr("deploy.registry.database.MIGRATIONS", steps)
    for _ in range(2):
        with pytest.raises(Refusal, match="no such table: nowhere"):
            Registry.open(town.root)
    second.write_text("CREATE TABLE notes (text TEXT);\n")
    for _ in range(2):
        with Registry.open(town.root) as registry:
            assert registry.versions() == (version,)
    with sqlite3.connect(town.root / FILE) as database:
        assert database.execute("SELECT * FROM notes").fetchall() == []
