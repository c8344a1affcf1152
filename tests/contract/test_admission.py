"""Quotas in the reconciler, over the fake runtime and a real database: never beyond one, nobody overtaken."""

import asyncio
import os
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reconciler_world import BusRuntime, World, fresh_database
from sqlalchemy import Connection, delete

import virtual_time
from builders import ROOT, a_template
from pierhead.core import lifecycle
from pierhead.core.errors import Conflict, NotFound, Occupied
from pierhead.core.quota_sizes import of_replica
from pierhead.core.quotas import CHANGED, NOTHING, Amount, Quota
from pierhead.core.replicas import LEAVING, Exit, ReplicaState
from pierhead.core.resources import GIB, Resources
from pierhead.core.services import Hold, Seen, Service
from pierhead.core.status import Status
from pierhead.core.templates import Rolling
from pierhead.core.workloads import Workload
from pierhead.core.workspaces import Workspace
from pierhead.operations import services
from pierhead.operations.services import Decision, Draft
from pierhead.store import quota_tables
from pierhead.store import quotas as quota_rows
from pierhead.store import services as rows
from pierhead.store import workspaces as workspace_rows
from pierhead.store.db import Database

SCHEDULES = int(os.environ.get("PIERHEAD_TEST_SCHEDULES", "100"))


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    yield from fresh_database(tmp_path_factory.mktemp("admission"))


class Watched(BusRuntime):
    """The double; it notes every start after which a quota was held beyond its bounds."""

    def __init__(self) -> None:
        super().__init__(virtual_time.wall)
        self.quotas: dict[str, Quota] = {}
        self.bound: dict[str, tuple[str, ...]] = {}  #: service id -> quotas
        self.beyond: list[str] = []
        self.applied = 0
        self.slow = 0.0  #: seconds until a step is taken, as where a driver is asked first
        self.nothing_left = False  #: of a start that is refused, as with the process runtime

    def used(self, quota: str, only: str = "") -> Amount:
        """What exists of a quota, of one service or of all."""
        found = NOTHING
        for service, group in self._services.items():
            if quota in self.bound.get(service, ()) and only in {"", service}:
                for double in group.values():
                    found += of_replica(double.workload.template)
        return found

    async def apply(self, workload: Workload) -> None:
        self.applied += 1
        await asyncio.sleep(self.slow)
        await super().apply(workload)

    def _create(self, workload: Workload) -> Any:
        problem = self.faults.refuse_start.get(workload.rollout)
        if problem is not None and self.nothing_left:
            raise problem
        made = super()._create(workload)
        one = of_replica(workload.template)
        for id_ in self.bound.get(workload.service, ()):
            quota = self.quotas.get(id_)
            if quota is not None and quota.exceeded(self.used(id_) + one):
                self.beyond.append(f"{workload.name} in {id_}: {self.used(id_)} and {one}")
        return made


class Stage(World):
    """A world with quotas."""

    runtime: Watched

    def __init__(self, db: Database, runtime: Watched | None = None) -> None:
        super().__init__(db, runtime=runtime or Watched())

    async def quota(self, id_: str, **bounds: Any) -> None:
        """Define one, or define it anew."""
        made = Quota(id_, **bounds)
        self.runtime.quotas[id_] = made
        known = await self.db.read(quota_rows.load, id_)
        await self.db.write(quota_rows.change if known else quota_rows.add, made)
        self.platform.wake(CHANGED)

    async def workspace(self, id_: str, quota: str) -> None:
        made = Workspace(id_, quota=quota)
        known = await self.db.read(workspace_rows.load, id_)
        await self.db.write(workspace_rows.change if known else workspace_rows.add, made)
        self.platform.wake(CHANGED)

    async def made(
        self, name: str, /, count: int = 1, quota: str = "q", workspace: str = "", **more: Any
    ) -> Service:
        """A service that counts against a quota."""
        rolling = more.pop("rolling", Rolling())
        template = a_template(**{"stop_grace": 5.0} | more)
        draft = Draft(
            name, "test", template, count, {}, quota=quota, workspace=workspace, rolling=rolling
        )
        service = await services.create(self.platform, ROOT, draft)
        bound = [quota] if quota else []
        if workspace:
            space = await self.db.read(workspace_rows.load, workspace)
            bound += [space.quota] if space is not None and space.quota else []
        self.runtime.bound[service.id] = tuple(dict.fromkeys(bound))
        return service

    async def moved(self, name: str, quota: str) -> Service:
        def decide(service: Service, _seen: Seen, now: float) -> Decision:
            return Decision(lifecycle.touch(replace(service, quota=quota), now))

        changed = await services.change(self.platform, ROOT, name, decide)
        self.runtime.bound[changed.id] = (quota,) if quota else ()
        return changed

    async def there(self, name: str) -> int:
        """How many replicas of it are ready."""
        service, _ = await self.look(name)
        return len(self.ready(service))

    async def until(self, what: Callable[[], Awaitable[bool]], within: float) -> None:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + within
        while not await what():
            assert loop.time() < give_up, await self.told()
            await asyncio.sleep(0.05)

    async def told(self) -> str:
        pairs = await self.db.read(rows.everything)
        return "; ".join(
            f"{one.name}: {len(self.ready(one))} of {one.replicas}, {seen.hold}"
            for one, seen in pairs
        )

    async def has(self, name: str, count: int, within: float = 1.0) -> None:
        async def enough() -> bool:
            return await self.there(name) == count

        await self.until(enough, within)

    async def says(self, name: str, text: str, within: float = 1.0) -> None:
        async def said() -> bool:
            return text in (await self.verdict(name)).message

        await self.until(said, within)

    async def begun(self) -> None:
        await self.reconciler.start()
        self.following = [asyncio.create_task(gateway.run()) for gateway in self.gateways]

    async def ended(self) -> None:
        for task in self.following:
            while (
                not task.done()
            ):  # `wait_for` loses a cancellation that comes with the news it awaits
                task.cancel()
                await asyncio.wait({task}, timeout=0.1)
        await self.reconciler.close()


def _empty(tx: Connection) -> None:
    for table in (quota_tables.quotas, quota_tables.workspaces):
        tx.execute(delete(table))
    for service, _seen in rows.everything(tx):
        rows.remove(tx, service.id, service.revision)


@asynccontextmanager
async def stage(db: Database) -> AsyncGenerator[Stage]:
    made = Stage(db)
    await made.begun()
    try:
        yield made
        assert made.runtime.beyond == []
    finally:
        await made.ended()
        await made.runtime.close()
        await db.write(_empty)


Story = Callable[[Stage], Awaitable[None]]


def tell(db: Database, story: Story) -> None:
    async def whole() -> None:
        async with stage(db) as its:
            await story(its)

    virtual_time.run(whole())


# ---- what is granted ----------------------------------------------------------------------


def test_what_a_quota_has_no_room_for_is_held_and_the_rest_serves(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.quota("q", replicas=3)
        await its.made("one", 2)
        await its.has("one", 2)
        await its.made("two", 2)
        await its.has("two", 1)
        await asyncio.sleep(1)
        found = await its.verdict("two")
        assert (found.status, found.reason) == (Status.RUNNING, "PartlyReady")
        assert (
            "Quota [q] allows 3 replica(s): 3 replica(s) are used, 1 more is wanted."
            in found.message
        )
        assert "Held by [one]." in found.message
        third = await its.made("three", 1)
        await asyncio.sleep(1)
        found = await its.verdict("three")
        assert (found.status, found.reason) == (Status.PENDING, "QuotaExceeded")
        assert (await its.reasons(third.id)).count("QuotaExceeded") == 1
        await asyncio.sleep(3600)
        assert (await its.verdict("three")).status is Status.PENDING, "waiting has no deadline"

    tell(db, story)


@pytest.mark.parametrize("way", ["delete", "stop", "scale", "move", "raise", "drop"])
def test_what_is_let_go_goes_to_who_waits_within_a_second(db: Database, way: str) -> None:
    """Law: released within 1 s of the moment when there is room."""

    async def story(its: Stage) -> None:
        await its.quota("q", replicas=2)
        await its.made("one", 2, stop_grace=0.0)
        await its.has("one", 2)
        await its.made("two", 1)
        await asyncio.sleep(40)
        assert await its.there("two") == 0
        if way in {"delete", "stop"}:
            await (its.delete if way == "delete" else its.stop)("one")
        elif way == "scale":
            await its.scale("one", 1)
        elif way == "move":
            await its.moved("one", "")
        else:
            await its.quota("q", replicas=3 if way == "raise" else None)
        await its.has("two", 1, within=1.0)
        await its.settled("two", within=2)
        assert (await its.verdict("two")).status is Status.RUNNING

    tell(db, story)


def test_a_replica_that_drains_is_still_held(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.quota("q", replicas=1)
        await its.made("one", 1, stop_grace=100.0)
        await its.settled("one")
        await asyncio.sleep(1)
        (gateway,) = its.gateways
        (replica,) = gateway.targets["one"]
        gateway.begin(replica)
        await its.made("two", 1)
        await its.delete("one")
        await asyncio.sleep(60)
        assert await its.there("two") == 0
        gateway.end(replica)
        await its.has("two", 1)

    tell(db, story)


def test_first_come_first_served_and_a_small_one_does_not_overtake(db: Database) -> None:
    """Law: no starvation: who wants much gets it although others who want little come after it."""

    async def story(its: Stage) -> None:
        await its.quota("q", cpu=4.0)
        for number in range(4):
            await its.made(f"small{number}", 1, resources=Resources(cpu=1.0))
            await its.has(f"small{number}", 1)
        await its.made("large", 1, resources=Resources(cpu=3.0))
        await asyncio.sleep(1)
        for number in range(4, 7):
            await its.made(f"small{number}", 1, resources=Resources(cpu=1.0))
            await asyncio.sleep(1)
        for number in range(3):
            assert await its.there("large") == 0
            await its.delete(f"small{number}")
            await its.gone(f"small{number}")
        await its.has("large", 1)
        assert [await its.there(f"small{number}") for number in range(4, 7)] == [0, 0, 0]
        await its.delete("large")
        for number in range(4, 7):
            await its.has(f"small{number}", 1)

    tell(db, story)


def test_who_asks_for_more_while_it_waits_waits_for_that_from_then_on(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.quota("q", replicas=2)
        await its.made("full", 2, stop_grace=0.0)
        await its.has("full", 2)
        await its.made("first", 1)
        await asyncio.sleep(1)
        await its.made("second", 1)
        await asyncio.sleep(1)
        await its.scale("first", 2)
        await asyncio.sleep(1)
        await its.delete("full")
        await its.has("first", 1)
        await its.has("second", 1)
        await its.delete("second")
        await its.has("first", 2)

    tell(db, story)


def test_who_waits_for_its_weights_keeps_nobody_waiting(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.quota("q", replicas=1)
        its.weights.holds["weighty"] = Hold("FetchingWeights", "4 of 9 GiB", progressing=True)
        await its.made("first", 1, name="weighty")
        await asyncio.sleep(1)
        await its.made("second", 1)
        await its.has("second", 1)
        its.weights.holds.clear()
        await asyncio.sleep(5)
        assert (await its.verdict("first")).reason == "QuotaExceeded"

    tell(db, story)


def test_a_service_counts_against_its_own_quota_and_that_of_its_workspace(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.quota("q", replicas=5)
        await its.quota("space", memory=3 * GIB)
        await its.workspace("w", "space")
        held = Resources(memory=GIB)
        await its.made("one", 2, quota="q", workspace="w", resources=held)
        await its.has("one", 2)
        await its.made("two", 2, quota="", workspace="w", resources=held)
        await its.has("two", 1)
        await its.says(
            "two", "Quota [space] allows 3.0 GiB memory: 3.0 GiB memory is used, 1.0 GiB"
        )
        await its.made("three", 4, quota="q", resources=held)
        await its.has("three", 3)
        await its.workspace("w", "")
        its.runtime.bound.clear()
        await its.has("two", 2)
        await its.workspace("w", "space")
        await its.scale("two", 3)
        await asyncio.sleep(2)
        assert await its.there("two") == 2, "bounded again; what runs runs on"

    tell(db, story)


def test_a_quota_that_nobody_defined_bounds_nothing_until_somebody_does(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.made("one", 3)
        await its.settled("one")
        await its.quota("q", replicas=2)
        await asyncio.sleep(2)
        assert (await its.verdict("one")).status is Status.RUNNING
        await its.made("two", 1)
        await asyncio.sleep(2)
        assert "allows 2 replica(s): 3 replica(s) are used" in (await its.verdict("two")).message
        await its.scale("one", 1)
        await its.has("two", 1, within=6)

    tell(db, story)


def test_a_lowered_quota_stops_nothing_and_a_crashed_replica_comes_back(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.quota("q", replicas=3)
        service = await its.made("one", 3)
        await its.settled("one")
        await its.quota("q", replicas=1)
        (first, *_rest) = its.ready(service)
        its.runtime.crash(first.id, Exit(virtual_time.wall(), code=1))
        await asyncio.sleep(30)
        assert await its.there("one") == 3

    tell(db, story)


def test_a_service_that_alone_is_beyond_the_quota_is_told_so(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.quota("q", replicas=2, cpu=4.0)
        await its.made("many", 3, resources=Resources(cpu=0.5))
        await its.has("many", 2)
        await its.says("many", "this service alone wants 3. Waiting does not help")
        await its.made("much", 1, name="large", resources=Resources(cpu=8.0))
        await asyncio.sleep(2)
        found = await its.verdict("much")
        assert (found.status, found.reason) == (Status.PENDING, "QuotaExceeded")
        assert "Quota [q] allows 4 CPU, and this service alone wants 8." in found.message
        assert "large" not in its.weights.asked, "nothing is fetched for it"
        await its.delete("many")
        await its.made("fits", 1, resources=Resources(cpu=4.0))
        await its.has("fits", 1, within=7)

    tell(db, story)


def test_law_what_does_not_say_how_much_it_takes_slips_past_no_quota(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.quota("q", cpu=4.0)
        await its.made("vague", 1)
        await its.says("vague", "Quota [q] bounds CPU, but the template [echo] has no limit for it")
        found = await its.verdict("vague")
        assert (found.status, found.reason) == (Status.FAILED, "QuotaNeedsLimits")
        assert await its.there("vague") == 0
        await its.quota("q", replicas=1)
        await its.has("vague", 1)

    tell(db, story)


# ---- updates and restarts -----------------------------------------------------------------


@pytest.mark.parametrize("rolling", [Rolling(1, 0), Rolling("100%", 0), Rolling(0, 1)])
def test_an_update_in_a_full_quota_replaces_in_place_and_loses_nothing_to_who_waits(
    db: Database, rolling: Rolling
) -> None:
    """Law: never beyond the quota; a service keeps the right to as many replicas as it had."""

    async def story(its: Stage) -> None:
        await its.quota("q", replicas=2)
        service = await its.made("one", 2, rolling=rolling, stop_grace=1.0)
        await its.settled("one")
        await its.made("hungry", 2)
        await asyncio.sleep(1)
        for round_ in (2, 3):
            await its.update("one", context=round_)
            for _ in range(40):
                ready = await its.there("one")
                assert ready >= 1, "one at a time"
                assert await its.there("hungry") == 0
                await asyncio.sleep(0.05)
            await its.settled("one", within=10)
            rollouts = {replica.rollout for replica in its.ready(service)}
            assert rollouts == {f"{round_}.0"}
        await its.restart("one")
        await its.settled("one", within=10)
        assert await its.there("hungry") == 0
        await its.scale("one", 1)
        await its.has("hungry", 1, within=3)

    tell(db, story)


def test_an_update_to_larger_replicas_waits_for_room_while_the_old_ones_serve(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.quota("q", cpu=6.0)
        service = await its.made("one", 2, resources=Resources(cpu=1.0), stop_grace=0.0)
        await its.settled("one")
        await its.made("two", 3, resources=Resources(cpu=1.0))
        await its.has("two", 3)
        await its.update("one", resources=Resources(cpu=2.0))
        await asyncio.sleep(3)
        assert await its.there("one") == 2
        found = await its.verdict("one")
        assert (found.status, found.reason) == (Status.UPDATING, "QuotaExceeded")
        assert "Quota [q] allows 6 CPU: 5 CPU are used, 2 more are wanted" in found.message
        await its.made("later", 1, resources=Resources(cpu=1.0))
        await asyncio.sleep(2)
        assert await its.there("later") == 0, "the one CPU that is free is kept for the update"
        await its.scale("two", 2)
        await its.settled("one", within=12)
        assert {replica.rollout for replica in its.ready(service)} == {"2.0"}
        await its.update("one", resources=Resources(cpu=1.0))
        await its.settled("one", within=12)
        await its.has("later", 1)

    tell(db, story)


def test_an_update_that_could_never_fit_fails_and_the_old_version_serves(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.quota("q", cpu=3.0)
        await its.made("one", 2, resources=Resources(cpu=1.0))
        await its.settled("one")
        await its.update("one", resources=Resources(cpu=2.0))
        await asyncio.sleep(3)
        found = await its.verdict("one")
        assert (found.status, found.reason) == (Status.FAILED, "UpdateFailed")
        assert "Quota [q] allows 3 CPU, and this service alone wants 4." in found.message
        assert await its.there("one") == 2
        await its.made("other", 1, resources=Resources(cpu=1.0))
        await its.has("other", 1)
        await its.update("one", resources=Resources(cpu=0.5))
        await its.settled("one", within=10)

    tell(db, story)


def test_an_update_under_a_quota_that_was_lowered_does_not_begin(db: Database) -> None:
    """Law: lowering stops nothing, and an update that would cost a replica does not start."""

    async def story(its: Stage) -> None:
        await its.quota("q", replicas=2)
        await its.made("one", 2, rolling=Rolling(0, 1))
        await its.settled("one")
        await its.quota("q", replicas=1)
        await its.restart("one")
        await asyncio.sleep(5)
        assert await its.there("one") == 2
        assert "Quota [q] allows 1 replica(s)" in (await its.verdict("one")).message
        await its.quota("q", replicas=2)
        await its.settled("one", within=12)

    tell(db, story)


# ---- passes at the same time, a new hub ---------------------------------------------------


def test_many_that_come_at_once_share_the_quota_exactly(db: Database) -> None:
    """Law: no over-admission by concurrent passes; all room is used."""

    async def story(its: Stage) -> None:
        await its.quota("q", replicas=7)
        names = [f"svc{number:02}" for number in range(20)]
        await asyncio.gather(*(its.made(name, 1) for name in names))
        await asyncio.sleep(2)
        assert sum([await its.there(name) for name in names]) == 7
        for name in [name for name in names if await its.there(name)]:
            await its.delete(name)
        await asyncio.sleep(10)
        left = [name for name in names if await its.exists(name)]
        assert len(left) == 13
        assert sum([await its.there(name) for name in left]) == 7

    tell(db, story)


def test_two_updates_at_the_same_time_do_not_share_what_is_free(db: Database) -> None:
    """Law: what one pass may start is its own, also while the runtime takes its time."""

    async def story(its: Stage) -> None:
        await its.quota("q", replicas=3)
        for name in ("one", "two"):
            await its.made(name, 1, stop_grace=0.0)
            await its.settled(name)
        its.runtime.slow = 0.5
        await asyncio.gather(its.restart("one"), its.restart("two"))
        for name in ("one", "two"):
            await its.settled(name, within=20)

    tell(db, story)


def test_one_that_waits_costs_no_passes(db: Database) -> None:
    """Law: waiting is no spinning: a settled world is looked at by its timers alone."""

    async def story(its: Stage) -> None:
        await its.quota("q", replicas=2)
        for name in ("one", "two", "three", "four"):
            await its.made(name, 1)
        await asyncio.sleep(10)
        before = its.runtime.applied
        await asyncio.sleep(600)
        assert its.runtime.applied - before < 4 * 600 / 14

    tell(db, story)


def test_after_a_restart_of_the_hub_everybody_keeps_its_place(db: Database) -> None:
    """Law: adopted replicas count before anything starts; the longest wait stays the longest."""

    async def story(its: Stage) -> None:
        await its.quota("q", replicas=2)
        await its.made("full", 2, stop_grace=0.0)
        await its.has("full", 2)
        for name in ("zulu", "mike", "alpha"):
            await its.made(name, 1)
            await asyncio.sleep(2)
        await its.ended()
        await its.scale("full", 1)
        second = Stage(its.db, its.runtime)
        await second.begun()
        await second.has("zulu", 1, within=3)
        await asyncio.sleep(3)
        assert [await second.there(name) for name in ("mike", "alpha")] == [0, 0]
        await second.delete("zulu")
        await second.has("mike", 1)
        await second.ended()
        await its.begun()

    tell(db, story)


def test_a_hub_that_ends_amid_an_update_in_place_gives_nothing_away(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.quota("q", replicas=1)
        service = await its.made("one", 1, stop_grace=0.0)
        await its.settled("one")
        await its.made("hungry", 1)
        await asyncio.sleep(1)
        busy = Occupied("WaitingForGpu", "0 of 1 is free.", placement=True)
        its.runtime.faults.refuse_start["2.0"] = busy
        its.runtime.nothing_left = True
        await its.update("one", context=7)
        await asyncio.sleep(5)
        assert its.runtime.observe(service.id) == []
        await its.ended()
        second = Stage(its.db, its.runtime)
        await second.begun()
        await asyncio.sleep(5)
        assert await second.there("hungry") == 0
        its.runtime.faults.refuse_start.clear()
        await second.settled("one", within=40)
        await second.ended()
        await its.begun()

    tell(db, story)


# ---- room on a machine --------------------------------------------------------------------


def test_who_waits_for_a_machine_looks_again_when_any_replica_is_gone(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.made("other", 1, quota="", stop_grace=0.0)
        await its.has("other", 1)
        busy = Occupied("WaitingForGpu", "0 of 1 is free.", placement=True)
        its.runtime.faults.refuse_start["1.0"] = busy
        await its.made("first", 1, quota="")
        await asyncio.sleep(2)
        await its.made("second", 1, quota="")
        await asyncio.sleep(70)
        (_, seen) = await its.look("first")
        assert seen.hold is not None
        assert seen.hold.reason == "WaitingForGpu"
        assert seen.hold.since < virtual_time.wall() - 60
        its.runtime.faults.refuse_start.clear()
        await its.delete("other")
        await its.gone("other", within=7)
        gone = asyncio.get_running_loop().time()
        await its.has("first", 1, within=1)
        await its.has("second", 1, within=1)
        assert asyncio.get_running_loop().time() - gone <= 1

    tell(db, story)


def test_a_pass_over_a_service_without_a_quota_asks_the_database_nothing_more(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.quota("q", replicas=9)
        await its.made("plain", 1, quota="", workspace="nobodys")
        await its.made("bound", 1)
        for name in ("plain", "bound"):
            await its.settled(name)
        asked: list[str] = []
        read = its.db.read

        async def counted(fn: Any, *args: Any, **kwargs: Any) -> Any:
            asked.append(fn.__name__)
            return await read(fn, *args, **kwargs)

        its.db.read = counted  # type: ignore[method-assign]
        try:
            for name in ("plain", "bound"):
                asked.clear()
                service, _seen = await its.look(name)
                asked.clear()
                await its.one_pass(service.id)
                assert asked == ["_load"], name
        finally:
            del its.db.read

    tell(db, story)


# ---- random schedules ---------------------------------------------------------------------

NAMES = ("one", "two", "three", "four")
BOUND = {"one": ("q", ""), "two": ("q", "w"), "three": ("", "w"), "four": ("q", "")}


class Mischief:
    """People, crashes and slow engines; quotas that change."""

    def __init__(self, its: Stage, rng: random.Random) -> None:
        self._its, self._rng = its, rng

    async def something(self) -> None:
        its, rng, name = self._its, self._rng, self._rng.choice(NAMES)
        cpu = Resources(cpu=rng.choice([1.0, 2.0]))
        quota, workspace = BOUND[name]
        deeds: list[Callable[[], Awaitable[object]]] = [
            *[
                lambda: its.made(
                    name,
                    rng.randint(1, 3),
                    quota=quota,
                    workspace=workspace,
                    resources=cpu,
                    stop_grace=rng.choice([0.0, 3.0]),
                    rolling=rng.choice([Rolling(1, 0), Rolling(0, 1), Rolling(2, 1)]),
                )
            ]
            * 3,
            lambda: its.scale(name, rng.randint(1, 4)),
            lambda: its.scale(name, rng.randint(1, 4)),
            lambda: its.update(name, context=rng.randint(1, 10**6)),
            lambda: its.update(name, resources=cpu),
            lambda: its.restart(name),
            lambda: its.stop(name),
            lambda: its.start(name),
            lambda: its.delete(name),
            self._crash,
            self._slowness,
        ]
        with suppress(Conflict, NotFound):
            await rng.choice(deeds)()

    async def _crash(self) -> None:
        runs = [r for r in self._its.runtime.observe() if r.port and r.failures < 2]
        if runs:
            self._its.runtime.crash(self._rng.choice(runs).id, Exit(virtual_time.wall(), code=1))

    async def _slowness(self) -> None:
        self._its.runtime.faults.ready_after = self._rng.choice([0.0, 0.3, 4.0])


@settings(
    max_examples=SCHEDULES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
@given(seed=st.integers(0, 2**32))
def test_whatever_happens_no_quota_is_exceeded_and_all_room_is_used(
    db: Database, seed: int
) -> None:
    """Law: never beyond a quota; when all is quiet, nobody waits for what is free."""
    rng = random.Random(seed)

    async def whole() -> None:
        async with stage(db) as its:
            await its.quota("q", cpu=float(rng.randint(3, 6)), replicas=rng.randint(2, 5))
            await its.quota("s", cpu=float(rng.randint(2, 5)))
            await its.workspace("w", "s")
            mischief = Mischief(its, rng)
            for _ in range(rng.randint(5, 30)):
                await mischief.something()
                await asyncio.sleep(rng.choice([0.0, 0.0, 0.05, 1.0, 7.0]))
            its.runtime.faults.ready_after = 0.0
            await asyncio.sleep(120)
            assert its.runtime.beyond == []
            waits = [name for name in NAMES if await its.exists(name) and await _waits(its, name)]
            for name in waits:
                assert (await its.look(name))[1].hold is not None, await its.told()
            # Whoever is ahead of all others is held by what is not free, not by its turn.
            if waits:
                assert await _first_is_right(its, waits), await its.told()
            # Nobody starves: when the others go, each gets what it could have alone.
            await its.quota("q", cpu=100.0, replicas=100)
            await its.quota("s", cpu=100.0)
            for name in waits:
                await its.settled(name, within=90)

    virtual_time.run(whole())


async def _waits(its: Stage, name: str) -> bool:
    service, seen = await its.look(name)
    return service.wanted_replicas > 0 and not seen.settled >= service.revision


async def _first_is_right(its: Stage, waits: list[str]) -> bool:
    """Is there, of those who wait, one for whom there is no room, or that could never have it?"""
    for name in waits:
        service, _ = await its.look(name)
        one = of_replica(service.current.template)
        older = [
            replica
            for replica in its.runtime.observe(service.id)
            if replica.rollout != service.rollout and replica.state not in LEAVING
        ]
        need = one.times(max(1, len(older)))
        for id_ in its.runtime.bound[service.id]:
            quota, used = its.runtime.quotas[id_], its.runtime.used(id_)
            own = its.runtime.used(id_, service.id)
            target = used - own + need if older else used + one
            if quota.exceeded(target):
                return True
    return False


def test_the_watch_would_see_a_start_beyond_a_quota(db: Database) -> None:
    async def story(its: Stage) -> None:
        await its.made("one", 2)
        await its.settled("one")
        its.runtime.quotas["q"] = Quota("q", replicas=1)
        await its.scale("one", 3)
        await its.has("one", 3)
        assert len(its.runtime.beyond) == 1
        its.runtime.beyond.clear()
        assert all(r.state is ReplicaState.READY for r in its.runtime.observe())

    tell(db, story)
