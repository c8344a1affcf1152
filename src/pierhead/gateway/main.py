"""The gateway's process: opens the port, follows the hub, and stops in good order."""

import asyncio
import gc
import platform
import signal
import socket
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from random import Random

import structlog
import uvloop
from structlog.typing import FilteringBoundLogger

from pierhead.core.ids import Clock, short_id
from pierhead.gateway.front import Front
from pierhead.gateway.parts import build
from pierhead.gateway.reports import Reports
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.workers import Worker
from pierhead.listener import listen

#: Objects that come to be between two looks for garbage. A request leaves none that needs one, so
#: looking often is for nothing; with the default it takes a twentieth of the time.
_GARBAGE = 20_000
#: Longest wait, in seconds, for the hub before the first request is taken: clients that come meanwhile
#: wait in the listener's queue, and are not told of services by a table of before the last change.
_FIRST_NEWS = 0.5


def run(settings: GatewaySettings, clock: Clock, rng: Random) -> None:
    """As `serve`, on a loop of its own.

    Raises:
        OSError: the port cannot be had.
    """
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve(settings, clock, rng))


def new_loop() -> asyncio.AbstractEventLoop:
    """The loop that gateways run on: uvloop's needs half as much time for a request as asyncio's own."""
    return uvloop.new_event_loop()


async def serve(settings: GatewaySettings, clock: Clock, rng: Random) -> None:
    """Serves until SIGTERM or SIGINT; requests in flight then get `stop_seconds` to end.

    Raises:
        OSError: the port cannot be had.
    """
    log: FilteringBoundLogger = structlog.get_logger("pierhead.gateway")
    async with AsyncExitStack() as stack:
        shared = settings.worker is not None
        listener = stack.enter_context(
            listen(settings.host, settings.port, settings.backlog, shared=shared)
        )
        parts = await build(settings, clock, rng, log, stack)
        parts.feed.load()
        await parts.feed.catch_up(_FIRST_NEWS)
        name = _name(listener, rng, settings.worker)
        reports = Reports(name, parts.hub, parts.live, parts.balance, parts.ledger, parts.recent)
        gc.set_threshold(_GARBAGE, 20, 20)
        gc.freeze()
        # In a group: should the feed die of a mistake, no stale table is served in silence.
        async with asyncio.TaskGroup() as group:
            told = reports.always(parts.bell, settings.report_seconds)
            tasks = [group.create_task(parts.feed.follow()), group.create_task(told)]
            await _serve(settings, parts.front, listener, log)
            for task in tasks:
                task.cancel()
        await reports.last()


def _name(listener: socket.socket, rng: Random, worker: Worker | None) -> tuple[str, str]:
    """This process, and the place that whoever is started in its stead will have.

    By the port that it got: where the settings let the system choose one, all others have them too.
    """
    host, port = listener.getsockname()[:2]
    place = f"{platform.node()} {host}:{port}{worker.place if worker else ''}"
    return f"gw-{short_id(rng.randbytes)}", place


async def _serve(
    settings: GatewaySettings, front: Front, listener: socket.socket, log: FilteringBoundLogger
) -> None:
    stop, now = asyncio.Event(), asyncio.Event()
    with _told_by_signals(stop, now):
        await front.listen(listener)
        host, port = listener.getsockname()[:2]
        log.info("gateway serves", host=host, port=port, compiled=settings.compiled)
        await stop.wait()
        await front.stop(settings.stop_seconds, now)
    log.info("gateway stopped")


@contextmanager
def _told_by_signals(stop: asyncio.Event, now: asyncio.Event) -> Generator[None, None, None]:
    """The first signal lets requests in work end, the second does not wait for them."""

    def told() -> None:
        (now if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for one in signals:
        loop.add_signal_handler(one, told)
    try:
        yield
    finally:
        for one in signals:
            loop.remove_signal_handler(one)
