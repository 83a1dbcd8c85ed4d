"""The registry when commands are killed, and when several run at once."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from configs.runs.check import publish
from deploy.adapter import Refusal
from deploy.registry import Registry
from tests.killed import killed_at
from tests.registry_town import Town, make_town, write_adapter

Work = Callable[[Town], object]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """v1 is live, v2 passed the gate, a third training is done. Nobody writes into it: tests copy it."""
    town = make_town(tmp_path_factory.mktemp("start") / "output")
    town.released("mayor", 1)
    town.evaluated("mayor", 2)
    town.train("mayor", 3)
    return town


@pytest.fixture
def copies(start: Town, tmp_path: Path) -> Iterator[Town]:
    """As many fresh copies of the start as a test wants."""

    def fresh() -> Iterator[Town]:
        number = 0
        while True:
            root = tmp_path / str(number) / "output"
            shutil.copytree(start.root, root)
            yield Town(root)
            shutil.rmtree(root)
            number += 1

    return fresh()


def register(town: Town) -> int:
    with Registry.open(town.root) as registry:
        return registry.register(town.root / "adapters" / "mayor").number


def promote(town: Town) -> int:
    with Registry.open(town.root) as registry:
        return registry.promote("mayor", 2, by="test").number


def promote_and_rollback(town: Town) -> int:
    promote(town)
    with Registry.open(town.root) as registry:
        return registry.rollback("mayor", by="test").number


def lose_the_database(town: Town) -> None:
    for path in town.root.glob("registry.db*"):
        path.unlink()
    register(town)


def train(town: Town) -> None:
    """What configs.runs.check does with a finished training."""
    checkpoints = write_adapter(town.root / "checkpoints" / "mayor", None, seed=9)
    publish(checkpoints, town.root / "adapters" / "mayor", town.record("mayor"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "step"), [(register, 1), (promote, 1), (promote_and_rollback, 3), (train, 1), (lose_the_database, 3)]
)
def test_killed_at_any_moment_it_loses_nothing_and_the_next_command_goes_on(
    work: Work, step: int, copies: Iterator[Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # is for power cuts; a kill leaves the machine running
    moment, before, dying = 0, {"v1", "v2"}, True
    while dying:
        moment += step
        town = next(copies)
        dying = killed_at(moment, lambda town=town: work(town))  # type: ignore[misc]
        with Registry.open(town.root) as registry:
            assert registry.check() == ()
            there = {path.name for path in (town.root / "adapters" / "mayor").glob("v*")}
            assert {f"v{version.number}" for version in registry.versions("mayor")} == there >= before
            (role,) = registry.roles()
            assert role.live in ((1, 2) if work is not lose_the_database else (1, None))
        assert register(town) == 3
        assert not list((town.root / "adapters").glob("**/.v-*")) + list((town.root / "adapters").glob(".old-*"))
        assert (town.root / "adapters" / "mayor" / "adapter_model.safetensors").is_file()
    assert moment > 10


def register_from(root: Path, folder: Path) -> int:
    with Registry.open(root) as registry:
        return registry.register(folder, "mayor").number


def promote_again_and_again(root: Path, number: int) -> int:
    done = 0
    with Registry.open(root) as registry:
        for _ in range(4):
            registry.promote("mayor", number, by="test", force=True, why="a test of several at once")
            done += 1
            try:
                registry.rollback("mayor", by="test")
                done += 1
            except Refusal as refusal:
                assert "the first that was live" in str(refusal)
    return done


@pytest.mark.slow
def test_commands_at_once_get_one_number_each_and_one_history(tmp_path: Path) -> None:
    """Eight processes begin with no database; each adapter is registered by two of them."""
    town = make_town(tmp_path / "output")
    seeds = [1, 2, 3, 4, 1, 2, 3, 4]
    made = [write_adapter(tmp_path / f"a{seed}", town.record("mayor"), seed) for seed in seeds]
    with ProcessPoolExecutor(8, mp_context=multiprocessing.get_context("fork")) as pool:
        numbers = list(pool.map(register_from, [town.root] * 8, made))
        assert numbers[:4] == numbers[4:] and sorted(numbers[:4]) == [1, 2, 3, 4]
        list(pool.map(promote_again_and_again, [town.root] * 4, [1, 2, 3, 4]))
    with Registry.open(town.root) as registry:
        assert registry.check() == ()
        history = registry.history("mayor")
        assert [one.before for one in history[1:]] == [one.number for one in history[:-1]]
        live = registry.roles()[0].live
        assert live == history[-1].number
