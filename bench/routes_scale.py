"""`python -m bench.routes_scale [services]`: what one change costs among thousands of services.

Hub and gateway share one process and one loop here, so that a clock sees both: the change, the answer to
the waiting poll over a socket, and the index that is served next. The disk and the file are in it.
"""

import asyncio
import gc
import itertools
import os
import resource
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import structlog
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pierhead.core.routes import Route, RouteToken, Target
from pierhead.gateway.feed import Feed
from pierhead.gateway.hub import Hub
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.table import LiveTable
from pierhead.reconciler.published import Published

SERVICES, CHANGES = 5000, 200
#: Goals, in milliseconds: a change is routed, and what either loop is held up by it.
ROUTED, BLOCKED = 10.0, 2.0


class _Told:
    """The hub's part: routes, and those who wait for news of them."""

    def __init__(self) -> None:
        self.published = Published(time.time, lambda _service, _token: 0)
        self._changed = asyncio.Event()
        self.spent: list[float] = []  #: seconds of its own per answer

    def change(self, route: Route) -> None:
        begun = time.perf_counter()
        self.published.put(route)
        self.published.revision += 1
        self._changed.set()
        self._changed = asyncio.Event()
        self.spent.append(time.perf_counter() - begun)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /internal/routes."""
        query = Request(scope).query_params
        revision, origin = int(query["revision"]), int(query.get("origin", "0"))
        if revision == self.published.revision:
            await self._changed.wait()
        begun = time.perf_counter()
        body = await self.published.told(revision, origin)
        self.spent.append(time.perf_counter() - begun)
        await Response(body, media_type="application/json")(scope, receive, send)


def a_route(number: int, port: int = 40000) -> Route:
    """One of many services with two replicas."""
    name = f"svc-{number:05}"
    ids = (f"{name}-aaaaaaaa", f"{name}-bbbbbbbb")
    return Route(
        service=f"{number:032x}",
        name=name,
        aliases=(f"team.{name}",),
        tokens=(RouteToken(f"secret-of-{name}"),),
        targets=tuple(Target(one, "127.0.0.1", port, f"key of {one}") for one in ids),
        api="openai",
        models=(name, f"team.{name}", "spec"),
        created=float(number),
    )


@asynccontextmanager
async def following(told: _Told, folder: Path) -> AsyncGenerator[LiveTable]:
    """A gateway's feed that follows the hub's answers over a socket."""
    config = uvicorn.Config(told, log_level="critical", lifespan="off", port=0)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await _until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    settings = GatewaySettings(
        folder, "127.0.0.1", 0, f"http://127.0.0.1:{port}", "key", relist_seconds=2.0
    )
    live, log = LiveTable(), structlog.get_logger()
    async with Hub(settings, time.time) as hub:
        feed = Feed(settings, hub, live, log, asyncio.get_running_loop().time)
        follow = asyncio.create_task(feed.follow())
        yield live
        follow.cancel()
        await asyncio.gather(follow, return_exceptions=True)
    server.should_exit = True
    server.force_exit = True
    await serving


class _Lag:
    """How long the loop was held up, seen by a timer that wants to run every 0.2 ms.

    In CPU seconds of the loop's thread: what others do on the machine is not ours to count.
    """

    def __init__(self) -> None:
        self.worst = 0.0
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            begun = time.thread_time()
            await asyncio.sleep(0.0002)
            self.worst = max(self.worst, time.thread_time() - begun)

    def taken(self) -> float:
        worst, self.worst = self.worst, 0.0
        return worst

    def end(self) -> None:
        self._task.cancel()


async def scenario(services: int, folder: Path) -> dict[str, float]:
    """Milliseconds of each part, by name."""
    told = _Told()
    for number in range(services):
        told.change(a_route(number))
    told.spent.clear()
    async with following(told, folder) as live:
        begun = time.perf_counter()
        await _until(lambda: live.revision == told.published.revision)
        first = time.perf_counter() - begun
        gc.collect()
        gc.freeze()  # as the processes do once they serve
        lag = _Lag()
        await asyncio.sleep(0.5)
        told.spent.clear()
        lag.taken()
        routed, lags, cpu = list[float](), list[float](), list[float]()
        for number in itertools.islice(itertools.cycle(range(services)), 0, CHANGES):
            await asyncio.sleep(0.02)
            lag.taken()
            used, begun = _cpu(), time.perf_counter()
            told.change(replace(a_route(number), targets=a_route(number, 50000 + number).targets))
            await _until(lambda: live.revision == told.published.revision)
            routed.append(time.perf_counter() - begun)
            cpu.append(_cpu() - used)
            await asyncio.sleep(0.001)
            lags.append(lag.taken())
        hub_side = median(told.spent) * 2  # the change, and the answer that tells it
        await asyncio.sleep(2.5)  # all is asked for again, and the file is written
        relist = lag.taken()
        lag.end()
    return {
        "first table served": first * 1000,
        "change to routed, median": median(routed) * 1000,
        "change to routed, worst": max(routed) * 1000,
        "hub: change and answer, median": hub_side * 1000,
        "hub and gateway: CPU of a change, median": median(cpu) * 1000,
        "loop held up by a change, median of the worst": median(lags) * 1000,
        "loop held up by a change, worst": max(lags) * 1000,
        "loop held up while all is told again and written": relist * 1000,
    }


async def _until(met: Callable[[], bool]) -> None:
    while not met():  # noqa: ASYNC110 each turn of the loop is looked at: that is what is timed
        await asyncio.sleep(0)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """1 when a goal is missed."""
    services = int(sys.argv[1]) if len(sys.argv) > 1 else SERVICES
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(scenario(services, Path(folder)))
    print(f"{services} services, {CHANGES} changes, load {os.getloadavg()[0]:.1f}")
    for name, value in found.items():
        print(f"{value:9.2f} ms  {name}")
    met = found["change to routed, median"] <= ROUTED
    return 0 if met and found["loop held up by a change, median of the worst"] <= BLOCKED else 1


if __name__ == "__main__":
    sys.exit(main())
