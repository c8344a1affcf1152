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
from pierhead.core import routes
from pierhead.core.errors import Unavailable
from pierhead.core.routes import Route, RouteTable, RouteToken, dump, table
from pierhead.gateway.feed import Feed
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.table import LiveTable, Served

SCHEDULES = int(os.environ.get("PIERHEAD_TEST_SCHEDULES", "100"))
POLL, LATE, RELIST = 3.0, 3.0, 30.0
PATIENCE = LATE + POLL + RELIST  #: seconds until the newest table is served, whatever happened


SILENT = structlog.wrap_logger(
    structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
)


class Hub:
    """A double: a hub that counts from its start, behind a line that does what it likes."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.faults = True
        self._sent: list[bytes] = []
        self._arrived: list[bytes] = []
        self.restart()

    def restart(self) -> None:
        """Another hub; now and then the clock was set back, or is that of a restored machine."""
        self._origin = self._revision = self._rng.randint(10**6, 10**9)
        self.change()

    def change(self) -> None:
        self._revision += self._rng.randint(1, 3)
        route = Route("id", f"svc-{self._rng.random()}", tokens=(RouteToken("t"),))
        self.table = table(self._revision, [route], origin=self._origin)

    async def table_after(self, revision: int) -> RouteTable | None:
        """As gateway.hub.Hub: each answer is read from bytes, and waited for no longer than so."""
        try:
            async with asyncio.timeout(POLL + LATE):
                answer = await self._answer(revision)
        except TimeoutError:
            raise Unavailable("the hub", "no answer") from None
        try:
            return None if answer is None else routes.load(answer)
        except ValueError as error:
            raise Unavailable("the hub", str(error)) from error

    async def _answer(self, revision: int) -> bytes | None:
        end = asyncio.get_running_loop().time() + POLL
        while revision == self.table.revision:
            if asyncio.get_running_loop().time() >= end:
                return None
            await asyncio.sleep(0.05)
        self._sent.append(dump(self.table).encode())
        fault = self._rng.choice(["", "", "hang", "old", "cut", "late", "none"])
        return await self._spoilt(fault if self.faults else "")

    async def _spoilt(self, fault: str) -> bytes | None:
        body = self._sent[-1]
        if fault == "hang":
            await asyncio.sleep(10**6)
        elif fault == "late":
            await asyncio.sleep(self._rng.uniform(0, 2 * LATE))
        elif fault == "old":  # of this hub, or one that arrived: the line to a dead hub is dead too
            own = [each for each in self._sent if routes.load(each).origin == self._origin]
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

    def take(served: Served) -> None:
        seen.append(served.table)

    live.watchers.append(take)
    return seen


async def scenario(folder: Path, rng: random.Random) -> None:
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
