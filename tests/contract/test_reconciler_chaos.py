"""Random schedules: notifications that get lost, operations that cross. The end is what is wanted."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reconciler_world import RHYTHM, ChaosBus, World, fresh_database, world

import virtual_time
from pierhead.core.errors import Conflict, NotFound, PierheadError
from pierhead.core.replicas import LEAVING, Exit, ReplicaState
from pierhead.core.services import Change, Service, Wanted
from pierhead.core.status import Status, reached
from pierhead.store.db import Database

P = ParamSpec("P")
T = TypeVar("T")

#: Schedules of each kind; a nightly run asks for more.
SCHEDULES = int(os.environ.get("PIERHEAD_TEST_SCHEDULES", "100"))
NAMES = ("one", "two", "three")

schedules = settings(
    max_examples=SCHEDULES,
    deadline=None,
    derandomize=True,  # the same on every machine; a nightly run is longer, not luckier
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    yield from fresh_database(tmp_path_factory.mktemp("chaos"))


# ---- F05: notifications -------------------------------------------------------------------


class Mischief:
    """What people and engines do meanwhile, one random thing after another."""

    def __init__(self, its: World, rng: random.Random) -> None:
        self._its, self._rng = its, rng
        self.replicas = {name: 0 for name in NAMES}

    async def something(self) -> None:
        deeds: list[Callable[[], Awaitable[object]]] = [self._ask] * 5
        deeds += [self._crash, self._probe, self._request, self._slowness]
        with suppress(Conflict, NotFound):  # what does not fit the state is refused: a fine answer
            await self._rng.choice(deeds)()

    async def _ask(self) -> object:
        its, rng, name = self._its, self._rng, self._rng.choice(NAMES)
        asks: list[Callable[[], Awaitable[Service]]] = [
            lambda: its.create(name, replicas=rng.randint(1, 3)),
            lambda: its.create(name, replicas=rng.randint(1, 3)),
            lambda: its.scale(name, rng.randint(1, 3)),
            lambda: its.scale(name, rng.randint(1, 3)),
            lambda: its.update(name, context=rng.randint(1, 10**6)),
            lambda: its.restart(name),
            lambda: its.stop(name),
            lambda: its.start(name),
            lambda: its.delete(name),
        ]
        return await rng.choice(asks)()

    async def _crash(self) -> None:
        runs = [r for r in self._its.runtime.observe() if r.port and r.failures < 2]
        if runs:
            self._its.runtime.crash(self._rng.choice(runs).id, Exit(virtual_time.wall(), code=1))

    async def _probe(self) -> None:
        ready = [r for r in self._its.runtime.observe() if r.state is ReplicaState.READY]
        if ready:
            replica = self._rng.choice(ready).id
            self._its.runtime.probe_fails(replica, "no answer")
            asyncio.get_running_loop().call_later(self._rng.uniform(0, 5), self._heal, replica)

    def _heal(self, replica: str) -> None:
        found = {r.id: r.state for r in self._its.runtime.observe()}
        if found.get(replica) is ReplicaState.UNREADY:
            self._its.runtime.probe_succeeds(replica)

    async def _request(self) -> None:
        gateway = self._its.gateways[0]
        targets = [replica for found in gateway.targets.values() for replica in found]
        if targets:
            replica = self._rng.choice(targets)
            gateway.begin(replica)
            seconds = self._rng.choice([0.1, 2.0, 30.0])
            asyncio.get_running_loop().call_later(seconds, gateway.end, replica)

    async def _slowness(self) -> None:
        self._its.runtime.faults.ready_after = self._rng.choice([0.0, 0.3, 4.0])


async def as_wanted(its: World) -> str:
    """Why things are not as they are wanted; "" when they are."""
    owned = set[str]()
    for name in NAMES:
        if not await its.exists(name):
            continue
        service, seen = await its.look(name)
        owned.add(service.id)
        if service.wanted is Wanted.DELETED:
            return f"{name} is still there"
        if not (seen.settled >= service.revision and reached(service, seen)):
            return f"{name} is not as wanted: {service} {seen}"
        if sorted(r.id for r in its.ready(service)) != its.routed(name):
            return f"{name} is routed to {its.routed(name)}"
        expected = Status.STOPPED if service.wanted is Wanted.STOPPED else Status.RUNNING
        if (await its.verdict(name)).status is not expected:
            return f"{name} is {await its.verdict(name)}"
    strays = {replica.service for replica in its.runtime.observe()} - owned
    return f"strays of {strays}" if strays else ""


@schedules
@given(seed=st.integers(0, 2**32))
def test_lost_doubled_late_and_crossed_notifications_change_nothing_in_the_end(
    db: Database, seed: int
) -> None:
    """Law: reconcile a key, not an event: the end is as wanted within two resync periods (F05)."""
    rng = random.Random(seed)

    async def whole() -> None:
        async with world(db, ChaosBus(rng)) as its:
            mischief = Mischief(its, rng)
            for _ in range(rng.randint(5, 25)):
                await mischief.something()
                await asyncio.sleep(rng.choice([0.0, 0.0, 0.05, 1.0, 7.0]))
            its.runtime.faults.ready_after = 0.0
            await asyncio.sleep(2 * RHYTHM.resync)
            assert await as_wanted(its) == ""

    virtual_time.run(whole())


# ---- F09: operations at the same time -----------------------------------------------------


class SlowDatabase:
    """A database whose answers take a random while, so that operations cross between two steps."""

    def __init__(self, db: Database, rng: random.Random) -> None:
        self._db, self._rng = db, rng

    async def read(
        self, fn: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        found = await self._db.read(fn, *args, **kwargs)
        await asyncio.sleep(self._rng.choice([0.0, 0.0, 0.01, 0.1, 0.5]))
        return found

    async def write(
        self, fn: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        await asyncio.sleep(self._rng.choice([0.0, 0.0, 0.01, 0.1, 0.5]))
        return await self._db.write(fn, *args, **kwargs)


Outcome = tuple[str, int, Service | PierheadError]  #: (asked, number asked for, what came of it)


async def ask(its: World, rng: random.Random, what: str) -> Outcome:
    """One operation on `svc`, at a random moment."""
    await asyncio.sleep(rng.choice([0.0, 0.0, 0.0, 0.05, 0.3, 1.0]))
    number = rng.randint(1, 4)
    doing: dict[str, Callable[[], Awaitable[Service]]] = {
        "scale": lambda: its.scale("svc", number),
        "update": lambda: its.update("svc", context=1000 + number),
        "restart": lambda: its.restart("svc"),
        "stop": lambda: its.stop("svc"),
        "start": lambda: its.start("svc"),
        "delete": lambda: its.delete("svc"),
    }
    try:
        return what, number, await doing[what]()
    except PierheadError as refused:
        return what, number, refused


def check_outcome(what: str, number: int, came: Service | PierheadError) -> None:
    """What was answered is what was asked for; a refusal is one of the two that fit."""
    if isinstance(came, PierheadError):
        assert isinstance(came, Conflict | NotFound), repr(came)
        return
    shown = {
        "scale": came.replicas == number,
        "update": came.current.template.context == 1000 + number and came.current.number > 1,
        "restart": came.change is Change.RESTART and came.epoch > 0,
        "stop": came.wanted is Wanted.STOPPED,
        "start": came.wanted is Wanted.RUNNING,
        "delete": came.wanted is Wanted.DELETED,
    }
    assert shown[what], f"{what} {number} came to {came}"


def check_history(first: Service, outcomes: list[Outcome]) -> Service:
    """The answers fit one order of events, without a gap and without a lost change; its end."""
    history = {first.revision: first}
    for what, number, came in outcomes:
        check_outcome(what, number, came)
        if isinstance(came, Service):
            assert history.setdefault(came.revision, came) == came, "two changes at one revision"
    assert sorted(history) == list(range(1, len(history) + 1)), "a change was lost"
    last = history[max(history)]
    gone = [number for number, service in history.items() if service.wanted is Wanted.DELETED]
    assert gone in ([], [last.revision]), "something was changed after the delete"
    return last


def check_start_or_stop(first: Service, outcomes: list[Outcome], last: Service) -> None:
    """Stop wins over scale, update and restart; only a later start undoes it."""
    told = [
        (came.revision, what)
        for what, _number, came in outcomes
        if isinstance(came, Service) and what in {"start", "stop"} and came.change == what
    ]
    if told and last.wanted is not Wanted.DELETED:
        by_stop = max(told)[1] == "stop"
        assert (last.wanted is Wanted.STOPPED) is by_stop
    elif last.wanted is not Wanted.DELETED:
        assert last.wanted is first.wanted


@schedules
@given(seed=st.integers(0, 2**32))
def test_operations_at_the_same_time_have_an_order_and_the_end_is_what_the_last_one_wanted(
    db: Database, seed: int
) -> None:
    """Law: writes are guarded; stop and delete win; nothing hangs between states (F09)."""
    rng = random.Random(seed)

    async def whole() -> None:
        async with world(db) as its:
            object.__setattr__(its.platform, "db", SlowDatabase(db, rng))
            its.runtime.faults.ready_after = rng.choice([0.0, 0.2, 2.0])
            first = await its.create("svc", replicas=rng.randint(1, 3))
            kinds = ["scale", "scale", "update", "restart", "stop", "start"]
            asked = [rng.choice(kinds) for _ in range(rng.randint(2, 7))]
            asked += ["delete"] * rng.choice([0, 0, 1, 2])
            rng.shuffle(asked)
            outcomes = await asyncio.gather(*(ask(its, rng, what) for what in asked))
            last = check_history(first, outcomes)
            check_start_or_stop(first, outcomes, last)
            await check_end(its, last, deleted="delete" in asked)

    virtual_time.run(whole())


async def check_end(its: World, last: Service, *, deleted: bool) -> None:
    if deleted:
        await its.gone("svc", within=30)
        assert its.runtime.observe(last.id) == []
        return
    service = await its.settled("svc", within=60)
    assert service == last
    staying = [r for r in its.runtime.observe(last.id) if r.state not in LEAVING]
    assert len(staying) == last.wanted_replicas
    expected = Status.STOPPED if last.wanted is Wanted.STOPPED else Status.RUNNING
    assert (await its.verdict("svc")).status is expected
