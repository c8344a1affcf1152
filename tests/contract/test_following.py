"""Services whose load something else follows: the platform takes up its counts, and its own scaler holds still.

The runtime is the fake one, with a scaler of its own: a double whose counts are what a story says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from pathlib import Path

import pytest
from reconciler_world import BusRuntime, World, fresh_database, world

import virtual_time
from builders import ROOT, a_template
from pierhead.core.autoscale import Load
from pierhead.core.events import PLATFORM
from pierhead.core.quotas import CHANGED, Quota
from pierhead.core.scalers import AutoScaler, Metric, Strategy
from pierhead.core.services import Service
from pierhead.core.status import Status
from pierhead.core.workloads import Workload
from pierhead.operations import scalers, services
from pierhead.operations.services import Draft
from pierhead.reconciler.scaling import Scaling
from pierhead.runtimes.base import Follower
from pierhead.store import quotas as quota_rows
from pierhead.store import services as service_rows
from pierhead.store.db import Database
from pierhead.store.services import ServiceQuery

PERIOD = 5.0
BUSY = AutoScaler(1, 6, (Strategy(Metric.CONCURRENCY, 2.0),))


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    yield from fresh_database(tmp_path)


class Counting(BusRuntime):
    """It follows the load of whatever it is given a scaler of; `able` False: it cannot."""

    def __init__(self) -> None:
        super().__init__(virtual_time.wall)
        self.able = True
        self.given: dict[str, AutoScaler] = {}
        self.counts: dict[str, int] = {}  #: that its scaler came to
        self._agreed: dict[str, int] = {}

    async def apply(self, workload: Workload) -> None:
        """As a cluster that is handed a count, or has it taken back."""
        if workload.scaler is None or not self.able:
            self.given.pop(workload.service, None)
        else:
            self.given[workload.service] = workload.scaler
            if self._agreed.get(workload.service) != workload.replicas:
                self.counts[workload.service] = workload.replicas
            self._agreed[workload.service] = workload.replicas
        await super().apply(workload)

    def followed(self, service: str, wanted: int) -> int | None:
        if service not in self.given:
            return None
        return self.counts[service] if self._agreed[service] == wanted else wanted

    def stays(self, service: str, scaler: AutoScaler, *, bounded: bool) -> str:
        assert scaler == BUSY
        if bounded:
            return "A quota bounds it."
        return "" if self.able else "It cannot."

    def moves(self, service: Service, count: int) -> None:
        """Its scaler comes to another count."""
        self.counts[service.id] = count
        self._hint(service.id)


_: type[Follower] = Counting


class Busy:
    """Figures of a load that asks for as many as there may be."""

    asked = 0

    async def read(
        self, services: Collection[Service], metrics: Collection[Metric]
    ) -> Mapping[str, Load]:
        assert metrics
        self.asked += len(services)
        return {one.id: Load(ready=1, requests=90.0, in_flight=90.0) for one in services}


def play(db: Database, story: Callable[[World, Counting, Busy], Awaitable[None]]) -> None:
    """A story in virtual time, with the hub's own scaler at work."""

    async def whole() -> None:
        runtime, figures = Counting(), Busy()
        async with world(db, runtime=runtime, follower=runtime) as its:
            admission = its.one_pass.admission
            loop = Scaling(its.platform, figures, PERIOD, runtime, admission.bounds)
            loop.start()
            try:
                await story(its, runtime, figures)
            finally:
                await loop.close()

    virtual_time.run(whole())


async def served(its: World, name: str, count: int) -> None:
    """So many are wanted, are there, and no more are."""
    await its.settled(name)
    service, _seen = await its.look(name)
    assert (service.replicas, len(its.ready(service))) == (count, count)
    assert (await its.verdict(name)).status is Status.RUNNING


def test_what_somebody_else_counts_is_taken_up_and_not_counted_twice(db: Database) -> None:
    async def story(its: World, runtime: Counting, figures: Busy) -> None:
        service = await its.create("foo", 2)
        await its.settled("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", BUSY)
        await asyncio.sleep(1)
        assert runtime.given == {service.id: BUSY}
        figures.asked = 0
        runtime.moves(service, 4)
        await asyncio.sleep(1)
        await served(its, "foo", 4)
        await asyncio.sleep(20 * PERIOD)
        await served(its, "foo", 4)  # its load asks for six
        assert figures.asked == 0
        (event,) = [one for one in await its.events(service.id) if one.reason == "ScaledOut"]
        assert (event.actor, event.message) == (
            PLATFORM,
            "The cluster's own scaler: from 2 to 4 replicas. The limits are 1 to 6.",
        )
        kept = await scalers.auto_of(its.platform, ROOT, "foo")
        assert kept.deeds.last == event.message
        # The list by which quotas and pages count says the same.
        page, _ = await its.db.read(service_rows.page, ServiceQuery())
        assert [one.replicas for one, _seen in page] == [4]

        await its.scale("foo", 3)
        await asyncio.sleep(1)
        await served(its, "foo", 3)
        assert runtime.counts[service.id] == 3, "its owner's count is where it goes on"
        runtime.moves(service, 5)
        await scalers.remove_auto(its.platform, ROOT, "foo")
        await asyncio.sleep(1)
        await served(its, "foo", 5)  # as it was when it was taken back
        assert runtime.given == {}

    play(db, story)


def test_what_is_stopped_or_deleted_is_nobodys_to_scale(db: Database) -> None:
    async def story(its: World, runtime: Counting, figures: Busy) -> None:
        service = await its.create("foo", 2)
        await scalers.set_auto(its.platform, ROOT, "foo", BUSY)
        await its.settled("foo")
        await its.stop("foo")
        await its.settled("foo")
        assert runtime.given == {}
        await its.start("foo")
        await its.settled("foo")
        assert runtime.given == {service.id: BUSY}
        await its.delete("foo")
        await asyncio.sleep(60)
        assert runtime.given == {} and not await its.exists("foo")

    play(db, story)


def test_what_cannot_be_followed_stays_the_hubs_and_is_told_once(db: Database) -> None:
    async def story(its: World, runtime: Counting, figures: Busy) -> None:
        runtime.able = False
        service = await its.create("foo", 2)
        await its.settled("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", BUSY)
        await asyncio.sleep(10 * PERIOD)
        await served(its, "foo", 6)
        assert await told(its, service) == ["The hub follows the load, not the cluster. It cannot."]
        runtime.able = True  # its operator installed what was missing
        its.platform.wake(service.id)
        await asyncio.sleep(1)
        runtime.moves(service, 2)
        await asyncio.sleep(10 * PERIOD)
        await served(its, "foo", 2)

    play(db, story)


def test_what_a_quota_bounds_is_counted_by_who_asks_it(db: Database) -> None:
    async def story(its: World, runtime: Counting, figures: Busy) -> None:
        await its.db.write(quota_rows.add, Quota("q", replicas=4))
        its.platform.wake(CHANGED)
        draft = Draft("foo", "test", a_template(stop_grace=5.0), 2, {}, quota="q")
        service = await services.create(its.platform, ROOT, draft)
        await its.settled("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", BUSY)
        await asyncio.sleep(10 * PERIOD)
        assert len(its.ready(service)) == 4
        assert runtime.given == {}
        why = "The hub follows the load, not the cluster. A quota bounds it."
        assert await told(its, service) == [why]

    play(db, story)


async def told(its: World, service: Service) -> list[str]:
    """What events say of a scaler that is not handed over."""
    every = await its.events(service.id)
    return [one.message for one in every if one.reason == "ScalerStaysHere"]
