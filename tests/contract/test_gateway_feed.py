"""The feed of the route table, when what the hub says is lost, doubled, late, cut off or out of order."""

import asyncio
import logging
import os
import random
from pathlib import Path
from typing import Any

import structlog
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import virtual_time
from pierhead.core.errors import Unavailable
from pierhead.core.route_news import Known, News, dump_change, load_news
from pierhead.core.routes import Route, RouteTable, RouteToken, dump, dump_route, table
from pierhead.gateway.feed import Feed
from pierhead.gateway.served import Change
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.table import LiveTable, Served

SCHEDULES = int(os.environ.get("PIERHEAD_TEST_SCHEDULES", "100"))
POLL, LATE, RELIST = 3.0, 3.0, 30.0
PATIENCE = LATE + POLL + RELIST  #: seconds until the newest table is served, whatever happened


SILENT = structlog.wrap_logger(
    structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
)


class Hub:
    """A double: a hub that counts from its start, behind a line that does what it likes.

    One of an older release tells no changes, and nothing of its origin.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.faults = True
        self.changes = rng.random() < 0.8
        self.told_changes = 0
        self._sent: list[bytes] = []
        self._arrived: list[bytes] = []
        self.restart()

    def restart(self) -> None:
        """Another hub; now and then the clock was set back, or is that of a restored machine."""
        self._origin = self._revision = self._rng.randint(10**6, 10**9)
        self._routes: dict[str, Route] = {}
        self._changed: dict[str, int] = {}
        self.change()

    def change(self) -> None:
        """Some services come, change or go."""
        self._revision += self._rng.randint(1, 3)
        for _ in range(self._rng.randint(1, 3)):
            id_ = f"id-{self._rng.randrange(6)}"
            self._changed[id_] = self._revision
            if self._rng.random() < 0.3:
                self._routes.pop(id_, None)
            else:
                name = f"svc-{self._rng.random()}"
                self._routes[id_] = Route(id_, name, tokens=(RouteToken(id_),))
        self.table = table(self._revision, list(self._routes.values()), origin=self._origin)

    async def news_after(self, revision: int, origin: int, known: Known) -> News | None:
        """As gateway.hub.Hub: each answer is read from bytes, and waited for no longer than so."""
        try:
            async with asyncio.timeout(POLL + LATE):
                answer = await self._answer(revision, origin)
        except TimeoutError:
            raise Unavailable("the hub", "no answer") from None
        try:
            return None if answer is None else load_news(answer, known)
        except ValueError as error:
            raise Unavailable("the hub", str(error)) from error

    def _told(self, revision: int, origin: int) -> bytes:
        if not self.changes or origin != self._origin or not origin <= revision < self._revision:
            return dump(self.table).encode()
        self.told_changes += 1
        late = [id_ for id_, at in self._changed.items() if at > revision]
        lines = [dump_route(self._routes[id_]) for id_ in late if id_ in self._routes]
        removed = [id_ for id_ in late if id_ not in self._routes]
        return dump_change((revision, self._revision), origin, [], lines, removed)

    async def _answer(self, revision: int, origin: int) -> bytes | None:
        end = asyncio.get_running_loop().time() + POLL
        while revision == self.table.revision:
            if asyncio.get_running_loop().time() >= end:
                return None
            await asyncio.sleep(0.05)
        self._sent.append(self._told(revision, origin))
        fault = self._rng.choice(["", "", "hang", "old", "cut", "late", "none"])
        return await self._spoilt(fault if self.faults else "")

    async def _spoilt(self, fault: str) -> bytes | None:
        body = self._sent[-1]
        if fault == "hang":
            await asyncio.sleep(10**6)
        elif fault == "late":
            await asyncio.sleep(self._rng.uniform(0, 2 * LATE))
        elif fault == "old":  # of this hub, or one that arrived: the line to a dead hub is dead too
            own = [each for each in self._sent if load_news(each).origin == self._origin]
            return self._rng.choice([*self._arrived, *own])
        elif fault == "cut":
            return body[: self._rng.randrange(len(body))]
        elif fault == "none":
            return None  # "nothing new", which is not so
        self._arrived.append(body)
        return body


def watched(live: LiveTable) -> list[RouteTable]:
    """All tables that ever were in force."""
    seen: list[RouteTable] = []

    def take(served: Served, _change: Change) -> None:
        seen.append(served.table)

    live.watchers.append(take)
    return seen


async def scenario(folder: Path, rng: random.Random) -> int:
    now = asyncio.get_running_loop().time
    hub: Any = Hub(rng)
    live = LiveTable()
    seen = watched(live)
    given_ = GatewaySettings(folder, "", 0, "", "key", relist_seconds=RELIST)
    feed = Feed(given_, hub, live, SILENT, now)
    follow = asyncio.create_task(feed.follow())
    for _ in range(rng.randint(5, 30)):
        rng.choice([hub.change, hub.change, hub.change, hub.restart])()
        await asyncio.sleep(rng.choice([0.0, 0.3, 3.0, 12.0]))
    hub.faults = False
    await asyncio.sleep(PATIENCE)
    assert live.served is not None
    assert live.served.table == hub.table
    if rng.random() < 0.5:
        hub.change()
        await asyncio.sleep(0.5)
        assert live.served.table == hub.table, "news come at once"
    check_order(seen)
    follow.cancel()
    return hub.told_changes


def check_order(seen: list[RouteTable]) -> None:
    """Numbers of one hub only grow, and nobody who was followed by another comes back."""
    newest: dict[int, int] = {}
    origins = [each.origin for each in seen]
    for each in seen:
        assert each.revision > newest.get(each.origin, 0)
        newest[each.origin] = each.revision
    changes = [one for one, before in zip(origins, [0, *origins], strict=False) if one != before]
    assert len(changes) == len(set(changes))


@settings(
    max_examples=SCHEDULES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
@example(seed=1)
@given(seed=st.integers(0, 2**32))
def test_whatever_becomes_of_its_news_the_gateway_has_the_newest_table_in_the_end(
    tmp_path: Path, seed: int
) -> None:
    """Law: news may be lost, a table may not; an older one never replaces a newer one (F05)."""
    nowhere = tmp_path / "a file"  # a table that cannot be saved is served all the same, and sooner
    nowhere.touch()
    virtual_time.run(scenario(nowhere, random.Random(seed)))


class Scripted:
    """A double: a hub that gives these answers, and notes what it was asked."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = [*answers]
        self.asked: list[tuple[int, int]] = []

    async def news_after(self, revision: int, origin: int, known: Known) -> News | None:
        self.asked.append((revision, origin))
        if not self._answers:
            await asyncio.sleep(POLL)
            return None
        return load_news(self._answers.pop(0), known)


A, B = Route("a", "alpha"), Route("b", "beta")
WHOLE = dump(table(7, [A], origin=5)).encode()


def played(folder: Path, *answers: bytes) -> tuple[LiveTable, list[tuple[int, int]]]:
    """What is served after these answers, and what was asked."""
    live = LiveTable()
    hub: Any = Scripted(*answers)

    async def whole() -> None:
        now = asyncio.get_running_loop().time
        given_ = GatewaySettings(folder, "", 0, "", "key", relist_seconds=RELIST)
        follow = asyncio.create_task(Feed(given_, hub, live, SILENT, now).follow())
        await asyncio.sleep(POLL)
        follow.cancel()

    virtual_time.run(whole())
    return live, hub.asked


def test_a_change_is_asked_for_by_what_is_served(tmp_path: Path) -> None:
    change = dump_change((7, 9), 5, ["gone"], [dump_route(B)], ["a"])
    live, asked = played(tmp_path, WHOLE, change)
    assert live.served is not None
    assert live.served.table == table(9, [B], frozenset({"gone"}), 5)
    assert asked[:3] == [(-1, 0), (7, 5), (9, 5)]


def test_a_change_of_another_table_is_refused_and_all_is_asked_for(tmp_path: Path) -> None:
    """Law: news may be lost, a table may not (F05)."""
    newest = dump(table(12, [A, B], origin=5)).encode()
    for base, origin in ((8, 5), (6, 5), (7, 4)):
        change = dump_change((base, 9), origin, [], [dump_route(B)], ["a"])
        live, asked = played(tmp_path, WHOLE, change, newest)
        assert live.served is not None
        assert live.served.table == table(12, [A, B], origin=5)
        assert asked[:4] == [(-1, 0), (7, 5), (-1, 5), (12, 5)]


def test_a_change_where_all_was_asked_for_is_no_answer(tmp_path: Path) -> None:
    change = dump_change((0, 9), 5, [], [dump_route(B)], [])
    live, asked = played(tmp_path, change, WHOLE)
    assert asked[:2] == [(-1, 0), (-1, 0)]
    assert live.served is not None
    assert live.served.table == table(7, [A], origin=5)


def test_what_was_kept_at_the_stop_is_served_at_the_next_start(tmp_path: Path) -> None:
    played(tmp_path, WHOLE, dump_change((7, 9), 5, [], [dump_route(B)], []))
    live = LiveTable()
    hub: Any = Scripted()
    Feed(GatewaySettings(tmp_path, "", 0, "", "key"), hub, live, SILENT, lambda: 0.0).load()
    assert live.served is not None
    assert live.served.table == table(9, [A, B], origin=5)
    assert set(live.served.lines) == {"a", "b"}, "what the hub tells again is known"


def test_the_double_tells_changes(tmp_path: Path) -> None:
    """Else the schedules above would try whole tables alone."""
    told = [virtual_time.run(scenario(tmp_path / "x", random.Random(seed))) for seed in range(5)]
    assert sum(told) > 10
