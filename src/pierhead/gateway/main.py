"""The gateway's process: builds the parts, opens the port, and stops in good order."""

import asyncio
import platform
import signal
import socket
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from random import Random

import structlog
import uvicorn
from structlog.typing import FilteringBoundLogger

from pierhead.core.ids import Clock, short_id
from pierhead.gateway.app import Gateway
from pierhead.gateway.balance import Balance, Failure
from pierhead.gateway.door import Door
from pierhead.gateway.feed import Feed
from pierhead.gateway.hub import Hub
from pierhead.gateway.journal import Journal
from pierhead.gateway.ledger import Ledger
from pierhead.gateway.local import Local
from pierhead.gateway.metrics import Metrics
from pierhead.gateway.relay import Relay
from pierhead.gateway.reports import Bell, Reports
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.table import LiveTable, Served
from pierhead.gateway.upstream import Upstream
from pierhead.listener import listen
from pierhead.server import Server

_LAST_WORDS = 1.0  #: seconds that requests cancelled at the stop get to say so


async def serve(settings: GatewaySettings, clock: Clock, rng: Random) -> None:
    """Serves until SIGTERM or SIGINT; requests in flight then get `stop_seconds` to end.

    Raises:
        OSError: the port cannot be had.
    """
    log: FilteringBoundLogger = structlog.get_logger("pierhead.gateway")
    now = asyncio.get_running_loop().time
    live, bell = LiveTable(), Bell()
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port, settings.backlog))
        hub = await stack.enter_async_context(Hub(settings, clock))
        upstream = await stack.enter_async_context(Upstream(settings))
        balance = Balance(now, rng, lambda replica: _ring_if_drained(replica, live, bell))
        metrics = Metrics(lambda: balance.outstanding, lambda: balance.ejected)
        relay = Relay(settings, upstream, balance, live.targets, now)
        relay.ejections += [metrics.ejection, partial(_put_out, log)]
        ledger = Ledger(now, clock, metrics)

        live.watchers.append(partial(_swapped, balance, metrics, ledger, bell))
        door = Door(live, ledger, clock)
        local = Local(settings.advertise, live, hub, metrics)
        app = Gateway(settings, door, relay, local, Journal(metrics, log, now), rng)
        feed = Feed(settings, hub, live, log, now)
        feed.load()
        reports = Reports(_name(listener, rng), hub, live, balance, ledger)
        # In a group: should the feed die of a mistake, no stale table is served in silence.
        async with asyncio.TaskGroup() as group:
            told = reports.always(bell, settings.report_seconds)
            tasks = [group.create_task(feed.follow()), group.create_task(told)]
            await _serve(settings, app, listener, log)
            for task in tasks:
                task.cancel()
        await reports.last()


def _name(listener: socket.socket, rng: Random) -> tuple[str, str]:
    """This process, and the place that whoever is started in its stead will have.

    By the port that it got: where the settings let the system choose one, all others have them too.
    """
    host, port = listener.getsockname()[:2]
    return f"gw-{short_id(rng.randbytes)}", f"{platform.node()} {host}:{port}"


async def _serve(
    settings: GatewaySettings, app: Gateway, listener: socket.socket, log: FilteringBoundLogger
) -> None:
    server = Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",  # it reports cut replies as errors; the journal has them
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,  # the engine's own passes
            backlog=settings.backlog,
            timeout_keep_alive=settings.keep_alive_seconds,
            timeout_graceful_shutdown=settings.stop_seconds,
        ),
        settings.limits,
        settings.tls,
    )
    host, port = listener.getsockname()[:2]
    log.info("gateway serves", host=host, port=port)
    with _stopped_by_signals(server):
        await server.serve(sockets=[listener])
    if server.server_state.tasks:
        await asyncio.wait(server.server_state.tasks, timeout=_LAST_WORDS)
    log.info("gateway stopped")


@contextmanager
def _stopped_by_signals(server: Server) -> Generator[None, None, None]:
    def stop() -> None:
        server.force_exit = server.should_exit  # the second signal does not wait
        server.should_exit = True

    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for one in signals:
        loop.add_signal_handler(one, stop)
    try:
        yield
    finally:
        for one in signals:
            loop.remove_signal_handler(one)


def _swapped(
    balance: Balance, metrics: Metrics, ledger: Ledger, bell: Bell, served: Served
) -> None:
    balance.retain(served.replicas())
    ledger.retain(served.tokens())
    metrics.retain(gate.route.name for gate in served.services.values())
    bell.ring()  # the hub waits for it: before it says Running, and before it stops replicas


def _put_out(log: FilteringBoundLogger, service: str, replica: str, why: Failure) -> None:
    log.warning("replica is out of rotation", service=service, replica=replica, why=str(why))


def _ring_if_drained(replica: str, live: LiveTable, bell: Bell) -> None:
    if live.served and replica in live.served.table.draining:
        bell.ring()
