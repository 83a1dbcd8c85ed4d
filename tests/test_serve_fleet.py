"""The fleet on an engine that is only pretended: whatever happens in whatever order, no answer is cut or mixed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.adapter import Refusal
from deploy.registry import Export, Registry, Version
from deploy.serve import fleet as fleet_module
from deploy.serve.backend import Address, Artefact, EngineError
from deploy.serve.fleet import EngineFleet
from deploy.serve.leases import Leases
from deploy.serve.types import Change, Lease, RoleState, Unavailable, UnknownModel
from tests.registry_town import Town, make_town

VERSIONS = 4


@dataclass
class Pretended:
    """An engine without models. It notes when a version is taken out that somebody still uses."""

    broken: set[str] = field(default_factory=set)
    loaded: set[str] = field(default_factory=set)
    used: Callable[[str], bool] = lambda _: False
    cut: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    up: bool = True
    unload_seconds: float = 0.001

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def check(self) -> None: ...

    def artefact(self, version: Version, exports: Mapping[str, Export]) -> Artefact:
        return Artefact(version.name, None)

    async def ensure(self, artefact: Artefact) -> None:
        await asyncio.sleep(0.001)
        self.loaded.add(artefact.name)
        self.log.append(f"load {artefact.name}")

    async def probe(self, name: str) -> None:
        await asyncio.sleep(0.001)
        if name in self.broken:
            raise EngineError(f"{name} ends its answer before the first word.")

    async def unload(self, name: str) -> None:
        self.cut += [name] if self.used(name) else []
        await asyncio.sleep(self.unload_seconds)
        self.cut += [name] if self.used(name) else []
        self.loaded.discard(name)
        self.log.append(f"unload {name}")

    def restarts(self) -> int:
        return 0

    def address(self) -> Address:
        if not self.up:
            raise Unavailable("The engine does not answer: it died and starts again.")
        return Address("http://engine", {"Authorization": "Bearer k"})


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Versions of the mayor that nobody evaluated, the first of them live."""
    town = make_town(tmp_path_factory.mktemp("town"), ["mayor", "crew"])
    for seed in range(1, VERSIONS + 2):
        town.registered(seed=seed)
    promote(town, 1)
    return town


@pytest.fixture
def town(original: Town, tmp_path: Path) -> Town:
    return copy_of(original, tmp_path / "root")


def copy_of(town: Town, root: Path) -> Town:
    """The same registry in another folder."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(town.root, root)
    return Town(root)


def with_fleet(town: Town, engine: Pretended, work: Callable[[EngineFleet], Awaitable[None]]) -> None:
    async def run() -> None:
        fleet = EngineFleet(engine, town.root, "gastown")
        await fleet.start()
        try:
            await work(fleet)
        finally:
            await fleet.stop()

    asyncio.run(asyncio.wait_for(run(), 60))


def mayor(fleet: EngineFleet) -> RoleState:
    return next(state for state in fleet.state() if state.role == "mayor")


def promote(town: Town, number: int, role: str = "mayor") -> None:
    """As another process does it."""
    with Registry.open(town.root) as registry:
        registry.promote(role, number, by="test", force=True, why="nobody scored it")


async def reload(fleet: EngineFleet, number: int) -> Change:
    """The gate is overruled for all versions but the last."""
    return await fleet.reload("mayor", number, "test", number <= VERSIONS, "nobody scored it")


def in_registry(town: Town) -> tuple[int | None, int | None]:
    with Registry.open(town.root) as registry:
        return next((versions.live, versions.previous) for versions in registry.roles() if versions.role == "mayor")


async def settled(fleet: EngineFleet, engine: Pretended) -> None:
    """Returns when nobody unloads or loads any longer."""
    async with asyncio.timeout(10):
        while not engine.loaded <= {f"mayor@v{n}" for n in (mayor(fleet).live, mayor(fleet).previous) if n}:
            await asyncio.sleep(0.002)


STEPS = st.one_of(
    st.tuples(st.just("lease"), st.sampled_from(["mayor", "mayor@v1", "mayor@v2", "gastown-mayor:latest"])),
    st.tuples(st.just("end"), st.integers(0, 9)),
    st.tuples(st.just("reload"), st.integers(1, VERSIONS + 1)),
    st.tuples(st.just("rollback"), st.just(0)),
    st.tuples(st.just("elsewhere"), st.integers(1, VERSIONS)),
    st.tuples(st.just("wait"), st.integers(1, 12)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=20)
@given(broken=st.sets(st.integers(2, VERSIONS), max_size=2), steps=st.lists(STEPS, min_size=4, max_size=14))
def test_in_any_order_answers_stay_whole_and_the_registry_is_followed(
    original: Town, tmp_path: Path, broken: set[int], steps: list[tuple[str, int | str]]
) -> None:
    town, engine = copy_of(original, tmp_path / "root"), Pretended({f"mayor@v{number}" for number in broken})

    async def work(fleet: EngineFleet) -> None:
        held: list[tuple[ExitStack, Lease]] = []
        engine.used = lambda name: any(lease.model == name for _, lease in held)
        running = [
            asyncio.create_task(step(fleet, town, held, *each)) for each in steps if await paced(fleet, engine, each)
        ]
        await asyncio.gather(*running)
        while held:
            stack, lease = held.pop()
            assert lease.model in engine.loaded and lease.model == f"mayor@v{lease.version}"
            stack.close()
        await fleet._settle(everything=True)
        await settled(fleet, engine)
        live, previous = in_registry(town)
        state = mayor(fleet)
        assert state.promoted == live and not state.in_flight and not engine.cut
        assert state.live == live or (live in broken and "ends its answer" in state.problem)
        assert state.live in state.loaded and f"mayor@v{state.live}" in engine.loaded
        assert not state.problem or live in broken or previous in broken

    with_fleet(town, engine, work)


async def paced(fleet: EngineFleet, engine: Pretended, step: tuple[str, int | str]) -> bool:
    """Lets what was begun go on for a while before the next step; checks what has to be true at any moment."""
    for _ in range(int(step[1]) if step[0] == "wait" else 1):
        await asyncio.sleep(0.001)
        assert mayor(fleet).live in mayor(fleet).loaded
        assert all(f"mayor@v{number}" in engine.loaded for number in mayor(fleet).in_flight)
    return step[0] != "wait"


async def step(
    fleet: EngineFleet, town: Town, held: list[tuple[ExitStack, Lease]], what: str, which: int | str
) -> None:
    try:
        match what, which:
            case "lease", str():
                stack = ExitStack()
                held.append((stack, stack.enter_context(fleet.lease(which))))
            case "end", int() if held:
                held.pop(which % len(held))[0].close()
            case "reload", int():
                assert (await reload(fleet, which)).version == which
            case "rollback", _:
                await fleet.rollback("mayor", "test")
            case "elsewhere", int():
                await asyncio.to_thread(promote, town, which)
    except (Refusal, UnknownModel):
        pass


@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_a_version_is_drained_when_the_last_of_its_answers_is_complete(begins: list[bool]) -> None:
    async def work() -> None:
        leases, held = Leases(), [ExitStack()]
        held[0].enter_context(leases.held("mayor", 1))
        drained = asyncio.create_task(leases.drained("mayor", 1))
        for begin in begins:
            if begin:
                held.append(ExitStack())
                held[-1].enter_context(leases.held("mayor", 1))
            elif held:
                held.pop().close()
            if not held:
                break
            await asyncio.sleep(0)
            assert not drained.done() and leases.of("mayor") == {1: len(held)}
        for stack in held:
            stack.close()
        await asyncio.wait_for(drained, 10)
        assert leases.of("mayor") == {}

    asyncio.run(work())


def test_a_new_version_takes_over_while_the_old_one_finishes_its_answers(town: Town) -> None:
    engine = Pretended()

    async def work(fleet: EngineFleet) -> None:
        with fleet.lease("mayor") as first:
            await reload(fleet, 2)
            change = await reload(fleet, 3)
            assert (change.version, change.before, change.kind) == (3, 2, "reload")
            with fleet.lease("gastown-mayor:latest") as second:
                assert (first.name, second.name) == ("mayor@v1", "mayor@v3")
                assert mayor(fleet).in_flight == {1: 1, 3: 1}
            await asyncio.sleep(0.05)
            assert "mayor@v1" in engine.loaded
        await settled(fleet, engine)
        assert mayor(fleet).loaded == (2, 3) and in_registry(town) == (3, 2)

    with_fleet(town, engine, work)
    assert engine.log == [*(f"load mayor@v{number}" for number in (1, 2, 3)), "unload mayor@v1"]


@pytest.mark.parametrize("end_first", [True, False])
def test_a_version_that_is_wanted_again_while_it_drains_stays(town: Town, end_first: bool) -> None:
    engine = Pretended()

    async def work(fleet: EngineFleet) -> None:
        with fleet.lease("mayor"):
            await reload(fleet, 2)
            await reload(fleet, 3)
            again = asyncio.create_task(reload(fleet, 1))
            await asyncio.sleep(0)
            if not end_first:
                await again
        assert (await again).version == 1
        await settled(fleet, engine)
        await asyncio.sleep(0.02)
        assert engine.loaded == {"mayor@v1", "mayor@v3"} and mayor(fleet).loaded == (1, 3)

    with_fleet(town, engine, work)
    assert "unload mayor@v1" not in engine.log


def test_a_version_that_is_wanted_again_while_it_leaves_is_loaded_again(town: Town) -> None:
    engine = Pretended(unload_seconds=0.1)

    async def work(fleet: EngineFleet) -> None:
        await reload(fleet, 2)
        await reload(fleet, 3)
        await asyncio.sleep(0.01)
        await reload(fleet, 1)
        await settled(fleet, engine)
        assert engine.loaded == {"mayor@v1", "mayor@v3"} and mayor(fleet).loaded == (1, 3)

    with_fleet(town, engine, work)


def test_a_rollback_loads_nothing_and_makes_the_next_one_ready(town: Town) -> None:
    engine = Pretended()

    async def work(fleet: EngineFleet) -> None:
        await reload(fleet, 2)
        await reload(fleet, 3)
        await settled(fleet, engine)
        engine.log.clear()
        assert (await fleet.rollback("mayor", "test", "worse than before")).version == 2
        assert engine.log == []
        async with asyncio.timeout(10):
            while mayor(fleet).loaded != (1, 2):
                await asyncio.sleep(0.001)
        assert (await fleet.rollback("mayor", "test")).version == 1
        with pytest.raises(Refusal):
            await fleet.rollback("mayor", "test")
        assert mayor(fleet).live == 1

    with_fleet(town, engine, work)


@pytest.mark.parametrize(
    ("number", "said"),
    [(2, "ends its answer"), (VERSIONS + 1, "never evaluated"), (99, "no version 99")],
)
def test_a_refused_version_leaves_the_old_one_live_and_is_unloaded(town: Town, number: int, said: str) -> None:
    engine = Pretended({"mayor@v2"})

    async def work(fleet: EngineFleet) -> None:
        with pytest.raises(Refusal, match=said):
            await reload(fleet, number)
        await settled(fleet, engine)
        with fleet.lease("mayor") as lease:
            assert lease.version == 1
        assert in_registry(town) == (1, None) and engine.loaded == {"mayor@v1"}

    with_fleet(town, engine, work)


def test_what_another_process_promotes_is_live_soon(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_module, "EVERY", 0.01)

    async def work(fleet: EngineFleet) -> None:
        await asyncio.to_thread(promote, town, 3)
        while mayor(fleet).live != 3:
            await asyncio.sleep(0.005)
        await asyncio.to_thread(promote, town, 1)
        while mayor(fleet).live != 1:
            await asyncio.sleep(0.005)
        assert mayor(fleet).promoted == 1

    with_fleet(town, Pretended(), work)


def test_a_broken_version_promoted_elsewhere_is_told_and_tried_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "EVERY", 0.01)
    monkeypatch.setattr(fleet_module, "TRY_AGAIN", 0.05)
    engine = Pretended({"mayor@v2"})

    async def work(fleet: EngineFleet) -> None:
        await asyncio.to_thread(promote, town, 2)
        while not mayor(fleet).problem:
            await asyncio.sleep(0.005)
        state = mayor(fleet)
        assert (state.live, state.promoted, state.problem) == (1, 2, "mayor@v2 ends its answer before the first word.")
        engine.broken.clear()
        while mayor(fleet).live != 2:
            await asyncio.sleep(0.005)
        assert mayor(fleet).problem == ""

    with_fleet(town, engine, work)


def test_a_broken_role_keeps_no_other_from_starting(town: Town) -> None:
    town.registered("crew", seed=9)
    promote(town, 1, "crew")

    async def work(fleet: EngineFleet) -> None:
        assert fleet.ready()
        with fleet.lease("mayor") as lease:
            assert lease.version == 1
        with (
            pytest.raises(Unavailable, match="No version of crew answers: crew@v1 ends its answer"),
            fleet.lease("crew"),
        ):
            pass

    with_fleet(town, Pretended({"crew@v1"}), work)


def test_at_a_start_the_version_before_answers_for_a_promoted_one_that_is_broken(town: Town) -> None:
    promote(town, 2)

    async def work(fleet: EngineFleet) -> None:
        state = mayor(fleet)
        assert (state.live, state.promoted) == (1, 2) and "mayor@v2 ends" in state.problem
        assert (await fleet.rollback("mayor", "test")).version == 1
        assert mayor(fleet).problem == ""

    with_fleet(town, Pretended({"mayor@v2"}), work)


def test_a_change_goes_on_when_nobody_waits_for_it_any_longer(town: Town) -> None:
    async def work(fleet: EngineFleet) -> None:
        request = asyncio.create_task(reload(fleet, 2))
        await asyncio.sleep(0.001)
        request.cancel()
        while mayor(fleet).live != 2:
            await asyncio.sleep(0.001)
        assert in_registry(town) == (2, 1)

    with_fleet(town, Pretended(), work)


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("mayor", 2), ("mayor@v2", 2), ("mayor@2", 2), ("mayor@v1", 1), ("mayor@1", 1), ("gastown-mayor", 2),
        ("gastown-mayor:latest", 2), ("gastown-mayor:v1", 1), ("mayor@v3", None), ("mayor@v9", None), ("Mayor", None),
        ("mayor:latest", None), ("crew", None), ("mayor@", None), ("", None), ("mayor@v1 ", None), ("gastown-", None),
    ],
)  # fmt: skip
def test_the_names_of_a_version(town: Town, model: str, version: int | None) -> None:
    async def work(fleet: EngineFleet) -> None:
        await reload(fleet, 2)
        if version is None:
            with pytest.raises(UnknownModel) as fault, fleet.lease(model):
                pass
            assert str(fault.value) == (
                f"There is no model {model!r} here, only mayor, mayor@v2, mayor@v1. "
                "Of each role the live version and the one before it are served."
            )
        else:
            with fleet.lease(model) as lease:
                assert (lease.name, lease.model) == (f"mayor@v{version}",) * 2

    with_fleet(town, Pretended(), work)


def test_an_engine_that_starts_again_is_unavailable_not_unknown(town: Town) -> None:
    engine = Pretended()

    async def work(fleet: EngineFleet) -> None:
        engine.up = False
        assert not fleet.ready()
        with pytest.raises(Unavailable, match="starts again"), fleet.lease("mayor"):
            pass
        engine.up = True
        assert fleet.ready()

    with_fleet(town, engine, work)


def test_a_stop_whose_cancellation_gets_lost_in_a_library_ends_all_the_same(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "EVERY", 0.01)
    inside = asyncio.Event()

    class Deaf(Pretended):
        async def check(self) -> None:
            try:
                inside.set()
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if "lost" in self.log:
                    raise
                self.log.append("lost")

    engine = Deaf()

    async def run() -> None:
        fleet = EngineFleet(engine, town.root, "gastown")
        await fleet.start()
        await inside.wait()
        await fleet.stop()

    asyncio.run(asyncio.wait_for(run(), 15))
    assert "lost" in engine.log


def test_an_empty_registry_serves_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    async def work(fleet: EngineFleet) -> None:
        assert not fleet.ready() and fleet.state() == ()
        with pytest.raises(UnknownModel, match=r"python -m deploy.registry promote"), fleet.lease("mayor"):
            pass
        with pytest.raises(Refusal, match="mayor has no version 1"):
            await reload(fleet, 1)
        with pytest.raises(Refusal, match="'mayor' is not served here"):
            await fleet.rollback("mayor", "test")
        assert fleet.state() == ()

    with_fleet(Town(tmp_path), Pretended(), work)
