"""Scalers over the real store, use cases and reconciler, in virtual time: counts follow load and clock.

The figures are a double: what services are busy with is what a story says. Replicas are the fake runtime's.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from reconciler_world import World, fresh_database, tell

import virtual_time
from builders import BOX, ROOT, T0
from pierhead.core import lifecycle
from pierhead.core.autoscale import Load
from pierhead.core.cron_scalers import CronScaler, Job
from pierhead.core.errors import Conflict, Invalid, NotFound
from pierhead.core.events import PLATFORM
from pierhead.core.routes import RouteTable
from pierhead.core.scalers import AutoScaler, Direction, Metric, Policy, Strategy
from pierhead.core.services import Hold, Service, Wanted
from pierhead.core.status import Status
from pierhead.core.waking import Phase, Waking
from pierhead.operations import scalers
from pierhead.operations.waking import awaken
from pierhead.reconciler.scaling import Scaling
from pierhead.store import scalers as rows
from pierhead.store import schema
from pierhead.store import services as service_rows
from pierhead.store.db import Database, sqlite_url
from pierhead.store.services import ServiceQuery

PERIOD = 5.0
CONCURRENCY = Strategy(Metric.CONCURRENCY, 2.0)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    yield from fresh_database(tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def any_db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Both kinds of database."""
    url = sqlite_url(tmp_path / "x.db")
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_made_url")
    schema.migrate(url)
    made = Database(url, box=BOX)
    yield made
    made.close()


@dataclass(slots=True)
class StoryFigures:
    """A double: requests under way by service name, as a story sets them; None = nobody knows."""

    world: World
    busy: dict[str, float | None] = field(default_factory=dict[str, float | None])

    async def read(
        self, services: Collection[Service], metrics: Collection[Metric]
    ) -> Mapping[str, Load]:
        assert metrics
        return {one.id: self._load(one) for one in services}

    def _load(self, service: Service) -> Load:
        ready = len(self.world.ready(service))
        busy = self.busy.get(service.name, 0.0)
        return Load(ready=ready, requests=busy, in_flight=busy)


@asynccontextmanager
async def scaling(its: World, figures: StoryFigures) -> AsyncGenerator[Scaling]:
    """What scales, at work."""
    made = Scaling(its.platform, figures, PERIOD)
    made.start()
    try:
        yield made
    finally:
        await made.close()


def a_scaler(**fields: Any) -> AutoScaler:
    usual: dict[str, Any] = {"low": 1, "high": 6, "strategies": (CONCURRENCY,)}
    return AutoScaler(**usual | fields)


def scales(db: Database, story: Callable[[World, StoryFigures], Any]) -> None:
    """Play a story in which scaling is at work."""

    async def whole(its: World) -> None:
        figures = StoryFigures(its)
        async with scaling(its, figures):
            await story(its, figures)

    tell(db, whole)


async def count(its: World, name: str) -> int:
    service, _seen = await its.look(name)
    return service.replicas


async def until(its: World, name: str, replicas: int, within: float = 60.0) -> float:
    """Wait for a wanted count; gives how long it took, in virtual seconds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while await count(its, name) != replicas:
        assert loop.time() - began < within, f"{await count(its, name)} replicas, not {replicas}"
        await asyncio.sleep(0.5)
    return loop.time() - began


def test_it_follows_the_load_out_and_in_and_says_why(any_db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        service = await its.create("foo")
        await its.settled("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler())
        figures.busy["foo"] = 7.0
        assert await until(its, "foo", 4) <= PERIOD + 1
        await its.settled("foo")
        assert len(its.ready(service)) == 4
        figures.busy["foo"] = 1.0
        took = await until(its, "foo", 1, within=400)
        assert 290 <= took <= 310
        await its.settled("foo")
        events = {one.reason: one for one in await its.events(service.id)}
        assert events["AutoScalerSet"].actor == ROOT.id
        assert events["ScaledOut"].actor == PLATFORM
        assert events["ScaledOut"].message == (
            "Auto-scaler: from 1 to 4 replicas. requests under way: 7 in all, 7 per replica, "
            "threshold 2 per replica. The limits are 1 to 6."
        )
        assert "from 4 to 1 replicas" in events["ScaledIn"].message
        assert "for 300 s" in events["ScaledIn"].message
        kept = await scalers.auto_of(its.platform, ROOT, "foo")
        assert [delta for _, delta in kept.deeds.changes] == [-3]
        assert kept.deeds.last == events["ScaledIn"].message

    scales(any_db, story)


def test_a_persons_count_is_where_it_begins_anew(db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        await its.create("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler())
        figures.busy["foo"] = 3.0
        await until(its, "foo", 2)
        await asyncio.sleep(1000)
        await its.scale("foo", 5)
        await asyncio.sleep(290)
        assert await count(its, "foo") == 5
        await until(its, "foo", 2, within=30)
        await its.scale("foo", 40)
        await until(its, "foo", 6, within=PERIOD + 1)

    scales(db, story)


def test_a_new_hub_waits_out_the_window(db: Database) -> None:
    async def story(its: World) -> None:
        await its.create("foo", 5)
        await its.settled("foo")
        figures = StoryFigures(its, {"foo": 1.0})
        async with scaling(its, figures):
            await scalers.set_auto(its.platform, ROOT, "foo", a_scaler())
            await asyncio.sleep(250)
        async with scaling(its, figures):
            await asyncio.sleep(250)
            assert await count(its, "foo") == 5
            await until(its, "foo", 1, within=60)

    tell(db, story)


def test_a_new_hub_knows_what_its_policies_count(db: Database) -> None:
    async def story(its: World) -> None:
        await its.create("foo")
        await its.settled("foo")
        figures = StoryFigures(its, {"foo": 12.0})
        one_a_minute = Direction(0.0, (Policy("Pods", 1, 60.0),))
        async with scaling(its, figures):
            await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(up=one_a_minute))
            await until(its, "foo", 2)
        async with scaling(its, figures):
            await asyncio.sleep(50)
            assert await count(its, "foo") == 2
            await until(its, "foo", 3, within=20)

    tell(db, story)


def test_what_nobody_knows_takes_nothing_away_and_is_told_once(db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        service = await its.create("foo", 4)
        await its.settled("foo")
        figures.busy["foo"] = None
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler())
        await asyncio.sleep(2000)
        assert await count(its, "foo") == 4
        told = [one for one in await its.events(service.id) if one.reason == "AutoScalerBlind"]
        assert [(one.type, one.message) for one in told] == [
            (
                "Warning",
                "It is not known: requests under way. Until it is, the auto-scaler takes no replica away.",
            )
        ]

    scales(db, story)


def test_what_its_max_cuts_is_told_once_each_time(db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        service = await its.create("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler())
        for _ in range(2):
            figures.busy["foo"] = 33.0
            await asyncio.sleep(100)
            figures.busy["foo"] = 1.0
            await asyncio.sleep(100)
        told = [one for one in await its.events(service.id) if one.reason == "AutoScalerAtMax"]
        assert len(told) == 2
        assert "asks for 17 replicas" in told[0].message

    scales(db, story)


def test_who_sleeps_is_running_and_is_woken_once(any_db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        service = await its.create("foo")
        await its.settled("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(low=0, grace=60.0, activation=2))
        figures.busy["foo"] = 0.0
        await until(its, "foo", 0, within=90)
        await its.settled("foo")
        assert its.routed("foo") == []
        verdict = await its.verdict("foo")
        assert (verdict.status, verdict.reason) == (Status.RUNNING, "ScaledToZero")
        woken = await asyncio.gather(*(scalers.wake(its.platform, service.id) for _ in range(20)))
        assert {one.replicas for one in woken} == {2}
        await its.settled("foo")
        assert len(its.ready(service)) == 2
        reasons = await its.reasons(service.id)
        assert (reasons.count("ScaledToZero"), reasons.count("ServiceWoken")) == (1, 1)

    scales(any_db, story)


def wakes(its: World, name: str) -> bool:
    """What the published route says."""
    return its.routes.table.routes[name].wakes


def test_a_request_is_told_how_far_the_service_is_that_it_wakes(db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        its.runtime.faults.ready_after = 8.0
        service = await its.create("foo")
        await its.settled("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(low=0, grace=30.0))
        assert await awaken(its.platform, service.id) == Waking(Phase.READY, None, 0.0, 1)
        await until(its, "foo", 0, within=60)
        await its.settled("foo")
        assert its.routed("foo") == []
        first = await awaken(its.platform, service.id)
        assert first.phase in {Phase.STARTING, Phase.LOADING}
        assert (first.percent, first.replicas) == (None, 1)
        assert first.seconds == pytest.approx(8.0, abs=0.5)
        await asyncio.sleep(3)
        told = await asyncio.gather(*(awaken(its.platform, service.id) for _ in range(20)))
        assert {(one.phase, one.replicas) for one in told} == {(Phase.LOADING, 1)}
        assert all(one.seconds is not None and 4 < one.seconds < 8 for one in told)
        await its.settled("foo")
        assert (await awaken(its.platform, service.id)).phase is Phase.READY
        assert (await its.reasons(service.id)).count("ServiceWoken") == 1

    scales(db, story)


def test_a_new_hub_knows_how_long_its_sleepers_take(db: Database) -> None:
    async def story(its: World) -> None:
        its.runtime.faults.ready_after = 8.0
        service = await its.create("foo")
        await its.settled("foo")
        figures = StoryFigures(its)
        async with scaling(its, figures):
            await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(low=0, grace=10.0))
            await until(its, "foo", 0, within=60)
        async with scaling(its, figures):
            await asyncio.sleep(60)
            assert (await awaken(its.platform, service.id)).seconds == 8.0

    tell(db, story)


def test_who_is_held_waits_in_a_phase_of_its_own(db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        service = await its.create("foo", name="weighty")
        await its.settled("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(low=0, grace=10.0))
        await until(its, "foo", 0, within=60)
        its.weights.holds["weighty"] = Hold(
            "FetchingWeights", "3 of 12 GiB", progressing=True, bytes=12, done=3
        )
        await awaken(its.platform, service.id)
        await asyncio.sleep(5)
        told = await awaken(its.platform, service.id)
        assert (told.phase, told.percent) == (Phase.FETCHING, 25)
        del its.weights.holds["weighty"]
        await its.settled("foo")

    scales(db, story)


def test_no_request_wakes_what_a_person_stopped_or_what_is_not_there(db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        service = await its.create("foo")
        await its.settled("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(low=0, grace=10.0))
        await until(its, "foo", 0, within=60)
        await its.stop("foo")
        with pytest.raises(Conflict, match=r"\[foo\] is stopped: no request wakes it"):
            await awaken(its.platform, service.id)
        await asyncio.sleep(5)
        assert not wakes(its, "foo")
        with pytest.raises(NotFound):
            await awaken(its.platform, "0" * 32)
        with pytest.raises(NotFound):
            await awaken(its.platform, "foo")

    scales(db, story)


def test_a_route_says_that_a_request_wakes_its_service(db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        await its.create("foo")
        await its.settled("foo")
        assert not wakes(its, "foo")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(low=0, grace=10.0))
        await asyncio.sleep(1)
        assert wakes(its, "foo")
        assert its.routed("foo") != []
        await until(its, "foo", 0, within=60)
        await its.settled("foo")
        assert (wakes(its, "foo"), its.routed("foo")) == (True, [])
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(low=1))
        await until(its, "foo", 1)
        await its.settled("foo")
        assert not wakes(its, "foo")

    scales(db, story)


def test_what_the_clock_put_to_sleep_is_woken_by_a_request(db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        service = await its.create("foo")
        await its.settled("foo")
        await scalers.set_cron(its.platform, ROOT, "foo", jobs((10, 0)))
        await until(its, "foo", 0)
        await its.settled("foo")
        assert (wakes(its, "foo"), its.routed("foo")) == (True, [])
        assert (await awaken(its.platform, service.id)).replicas == 1
        await its.settled("foo")
        assert not wakes(its, "foo")

    scales(db, story)


def test_the_first_table_of_a_new_hub_says_who_is_woken(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: gateways never have a table in which a sleeper looks like a service that is broken."""
    first: list[RouteTable] = []

    async def story(its: World) -> None:
        for name in ("asleep", "awake", "ordinary"):
            await its.create(name)
            await its.settled(name)
        async with scaling(its, StoryFigures(its, {"awake": 1.0})):
            for name in ("asleep", "awake"):
                await scalers.set_auto(its.platform, ROOT, name, a_scaler(low=0, grace=10.0))
            await until(its, "asleep", 0, within=60)
        await its.settled("asleep")
        anew = World(its.db, runtime=its.runtime)
        begin = anew.routes.begin

        def begun() -> None:
            begin()
            first.append(anew.routes.table)

        monkeypatch.setattr(anew.routes, "begin", begun)
        await anew.reconciler.start()
        await anew.reconciler.close()

    tell(db, story)
    told = {name: (one.wakes, len(one.targets)) for name, one in first[0].routes.items()}
    assert told == {"asleep": (True, 0), "awake": (True, 1), "ordinary": (False, 1)}


def test_requests_that_the_figures_show_wake_it_too(db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        await its.create("foo")
        await its.settled("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(low=0, grace=10.0))
        await until(its, "foo", 0, within=60)
        figures.busy["foo"] = 1.0
        await until(its, "foo", 1, within=PERIOD + 1)

    scales(db, story)


def test_who_has_replicas_is_not_woken(db: Database) -> None:
    async def story(its: World) -> None:
        service = await its.create("foo", 5)
        assert (await scalers.wake(its.platform, service.id)).replicas == 5
        assert "ServiceWoken" not in await its.reasons(service.id)

    tell(db, story)


def test_who_does_not_run_is_neither_scaled_nor_woken(db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        service = await its.create("foo", 2)
        await its.settled("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(low=0, grace=0.0))
        await its.stop("foo")
        figures.busy["foo"] = 9.0
        await asyncio.sleep(60)
        assert (await scalers.wake(its.platform, service.id)).wanted is Wanted.STOPPED
        assert await count(its, "foo") == 2

    scales(db, story)


def test_who_was_stopped_asleep_starts_with_a_replica(db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        await its.create("foo")
        await its.settled("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(low=0, grace=10.0))
        await until(its, "foo", 0, within=60)
        await its.stop("foo")
        figures.busy["foo"] = 1.0
        started = await its.start("foo")
        assert started.replicas == 1
        await its.settled("foo")

    scales(db, story)


def test_without_its_scaler_a_sleeper_gets_a_replica(db: Database) -> None:
    async def story(its: World, _figures: StoryFigures) -> None:
        await its.create("foo")
        await its.settled("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(low=0, grace=10.0))
        await until(its, "foo", 0, within=60)
        assert (await scalers.remove_auto(its.platform, ROOT, "foo")).replicas == 1
        with pytest.raises(NotFound, match="auto-scaler"):
            await scalers.remove_auto(its.platform, ROOT, "foo")

    scales(db, story)


def test_a_rollout_keeps_the_count_that_the_scaler_came_to(db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        service = await its.create("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler())
        figures.busy["foo"] = 7.0
        await until(its, "foo", 4)
        await its.update("foo", command=("sleep", "2000"))
        await its.settled("foo", within=120)
        assert len(its.ready(service)) == 4

    scales(db, story)


def test_anothers_load_decides(db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        await its.create("front")
        await its.create("foo")
        front = Strategy(Metric.CONCURRENCY, 2.0, "front")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(strategies=(front,)))
        await its.settled("foo")
        figures.busy["front"] = 5.0
        await until(its, "foo", 3)
        with pytest.raises(NotFound, match="nobody"):
            other = Strategy(Metric.QPS, 1.0, "nobody")
            await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(strategies=(other,)))

    scales(db, story)


def test_two_at_once_never_fight(db: Database) -> None:
    """A person's change in the middle of a decision wins, and the next decision knows of it."""

    async def story(its: World) -> None:
        await its.create("foo", 2)
        await its.settled("foo")
        service, _seen = await its.look("foo")
        await its.scale("foo", 5)
        after = await scalers.adjust(its.platform, service, 3, ("ScaledOut", "because"))
        assert after.replicas == 5
        assert "ScaledOut" not in await its.reasons(service.id)

    tell(db, story)


# ---- by the clock -----------------------------------------------------------------------------


def at(seconds: float) -> str:
    """A schedule whose moment is so long after the virtual start, once a year."""
    moment = datetime.fromtimestamp(T0 + seconds, UTC)
    return f"{moment:%S %M %H %d %m} *"


def jobs(*many: tuple[float, int], **fields: Any) -> CronScaler:
    made = (Job(f"job-{n}", at(seconds), target) for n, (seconds, target) in enumerate(many, 1))
    return CronScaler(tuple(made), **fields)


def test_jobs_set_the_count_at_their_moments(any_db: Database) -> None:
    async def story(its: World, _figures: StoryFigures) -> None:
        service = await its.create("foo")
        await its.settled("foo")
        await scalers.set_cron(its.platform, ROOT, "foo", jobs((100, 3), (1000, 0), (2000, 2)))
        await asyncio.sleep(T0 + 99.5 - virtual_time.wall())
        assert await count(its, "foo") == 1
        await asyncio.sleep(1)
        assert await count(its, "foo") == 3
        await its.scale("foo", 4)
        await asyncio.sleep(800)
        assert await count(its, "foo") == 4
        await until(its, "foo", 0, within=110)
        await until(its, "foo", 2, within=1100)
        events = [one for one in await its.events(service.id) if one.reason == "ScaledBySchedule"]
        assert [one.at - T0 for one in events] == pytest.approx([100, 1000, 2000], abs=0.5)
        assert events[0].message == f"Job [job-1] ({at(100)}): from 1 to 3 replicas."
        kept = await scalers.cron_of(its.platform, ROOT, "foo")
        assert {name: run.state for name, run in kept.runs.by_job.items()} == {
            "job-1": "Succeed",
            "job-2": "Succeed",
            "job-3": "Succeed",
        }

    scales(any_db, story)


def test_what_was_missed_is_made_up_for_once(db: Database) -> None:
    async def story(its: World) -> None:
        service = await its.create("foo")
        await scalers.set_cron(its.platform, ROOT, "foo", jobs((100, 5), (200, 3), (9000, 1)))
        await asyncio.sleep(500)
        async with scaling(its, StoryFigures(its)):
            await until(its, "foo", 3, within=1)
            await its.scale("foo", 6)
        async with scaling(its, StoryFigures(its)):
            await asyncio.sleep(60)
            assert await count(its, "foo") == 6
        assert (await its.reasons(service.id)).count("ScaledBySchedule") == 1
        kept = await scalers.cron_of(its.platform, ROOT, "foo")
        assert "came after it" in kept.runs.by_job["job-1"].message

    tell(db, story)


def test_jobs_before_it_was_made_do_not_count(db: Database) -> None:
    async def story(its: World, _figures: StoryFigures) -> None:
        await its.create("foo")
        await asyncio.sleep(50)
        await scalers.set_cron(its.platform, ROOT, "foo", jobs((40, 5)))
        await asyncio.sleep(100)
        assert await count(its, "foo") == 1

    scales(db, story)


def test_beside_an_auto_scaler_jobs_move_within_its_limits(db: Database) -> None:
    async def story(its: World, figures: StoryFigures) -> None:
        service = await its.create("foo")
        await its.settled("foo")
        figures.busy["foo"] = 2.0
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler())
        await scalers.set_cron(its.platform, ROOT, "foo", jobs((100, 50)))
        await until(its, "foo", 6, within=130)
        await asyncio.sleep(280)
        assert await count(its, "foo") == 6
        await until(its, "foo", 1, within=60)
        messages = [one.message for one in await its.events(service.id)]
        assert any("50 is outside its auto-scaler's limits" in text for text in messages)

    scales(db, story)


def test_a_job_of_a_stopped_service_says_so(db: Database) -> None:
    async def story(its: World, _figures: StoryFigures) -> None:
        await its.create("foo")
        await its.settled("foo")
        await scalers.set_cron(its.platform, ROOT, "foo", jobs((100, 5)))
        await its.stop("foo")
        await asyncio.sleep(150)
        kept = await scalers.cron_of(its.platform, ROOT, "foo")
        assert kept.runs.by_job["job-1"].state == "Failed"
        assert await count(its, "foo") == 1

    scales(db, story)


def test_zones_and_dates_that_are_left_out(db: Database) -> None:
    async def story(its: World, _figures: StoryFigures) -> None:
        await its.create("foo")
        local = datetime.fromtimestamp(T0 + 100, ZoneInfo("Asia/Shanghai"))
        hours = f"{local:%H},{(local.hour + 1) % 24}"
        zoned = Job("east", f"{local:%S %M} {hours} * * *", 4, "Asia/Shanghai")
        this_hour = f"* * {local:%H} * * *"
        await scalers.set_cron(its.platform, ROOT, "foo", CronScaler((zoned,), (this_hour,)))
        await asyncio.sleep(3000)
        assert await count(its, "foo") == 1
        await until(its, "foo", 4, within=1000)
        assert virtual_time.wall() - T0 == pytest.approx(3700, abs=5)

    scales(db, story)


@pytest.mark.parametrize(
    ("scaler", "named"),
    [
        (CronScaler(()), "ScaleJobs"),
        (CronScaler((Job("a", "* * *", 1),)), "ScaleJobs[0].Schedule"),
        (CronScaler((Job("a", "0 0 0 * * *", 1001),)), "ScaleJobs[0].TargetSize"),
        (CronScaler((Job("a", "0 0 0 * * *", 1, "Mars/Base"),)), "ScaleJobs[0].TimeZone"),
        (CronScaler((Job("a", "0 0 0 * * *", 1, "../../etc/passwd"),)), "ScaleJobs[0].TimeZone"),
        (CronScaler((Job("a", "0 0 0 * * *", 1), Job("a", "0 0 1 * * *", 1))), "ScaleJobs[1].Name"),
        (CronScaler((Job("a", "0 0 0 * * *", 1),), ("* *",)), "ExcludeDates[0]"),
    ],
)
def test_what_no_cron_scaler_can_be(db: Database, scaler: CronScaler, named: str) -> None:
    async def story(its: World) -> None:
        await its.create("foo")
        with pytest.raises(Invalid) as caught:
            await scalers.set_cron(its.platform, ROOT, "foo", scaler)
        assert caught.value.field == named

    tell(db, story)


# ---- what is stored ---------------------------------------------------------------------------


def test_what_is_stored_goes_with_its_service(any_db: Database) -> None:
    async def story(its: World) -> None:
        service = await its.create("foo")
        everything = a_scaler(
            low=0,
            strategies=(CONCURRENCY, Strategy(Metric.GPU, 70.5, "other")),
            up=Direction(5.0, (Policy("Percent", 50, 30.0),), "Min", 0.2),
        )
        await its.db.write(rows.put_load, service.id, everything, T0)
        await scalers.set_cron(its.platform, ROOT, "foo", jobs((1, 2), excluded=("0 0 0 1 1 *",)))
        autos, crons = await its.db.read(rows.everything)
        assert [one.scaler for one in autos] == [everything]
        assert [one.scaler for one in crons] == [jobs((1, 2), excluded=("0 0 0 1 1 *",))]
        await its.create("bar")
        for kind, present, names in (
            ("load", True, ["foo"]), ("load", False, ["bar"]), ("cron", True, ["foo"]),
        ):  # fmt: skip
            query = ServiceQuery(scaled={kind: present})
            found, total = await its.db.read(service_rows.page, query)
            assert ([one.name for one, _ in found], total) == (names, 1)
        await its.delete("foo")
        with pytest.raises(Conflict, match="being deleted"):
            await scalers.set_auto(its.platform, ROOT, "foo", a_scaler())
        await its.gone("foo")
        assert await its.db.read(rows.everything) == ([], [])

    tell(any_db, story)


def test_a_changed_scaler_takes_no_old_memory(db: Database) -> None:
    async def story(its: World) -> None:
        service = await its.create("foo")
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler())
        old = await scalers.auto_of(its.platform, ROOT, "foo")
        with pytest.raises(NotFound):
            await scalers.set_cron(its.platform, ROOT, "foo", jobs((1, 1)), present=True)
        await scalers.set_auto(its.platform, ROOT, "foo", a_scaler(high=9), present=True)
        new = await scalers.auto_of(its.platform, ROOT, "foo")
        deeds = replace(old.deeds, last="something")
        assert not await its.db.write(rows.remember_deeds, old, deeds)
        assert await its.db.write(rows.remember_deeds, new, deeds)
        assert (await its.db.read(rows.load_of, service.id)) == replace(new, deeds=deeds)

    tell(db, story)


def test_counts_that_a_scaler_may_want() -> None:
    from builders import a_service

    service = a_service(replicas=2)
    asleep = lifecycle.adjust(service, 0, T0 + 1)
    assert asleep is not None
    assert (asleep.replicas, asleep.revision) == (0, service.revision + 1)
    assert lifecycle.adjust(service, 2, T0 + 1) is None
    with pytest.raises(Invalid):
        lifecycle.adjust(service, 1001, T0 + 1)
    with pytest.raises(Invalid):
        lifecycle.scale(service, 0, T0 + 1)
