"""The parts of a gateway, put together."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from random import Random
from time import monotonic

from structlog.typing import FilteringBoundLogger

from pierhead.core.ids import Clock
from pierhead.gateway.app import Gateway, Ways
from pierhead.gateway.balance import Balance, Failure
from pierhead.gateway.door import Door
from pierhead.gateway.exposition import Metrics
from pierhead.gateway.feed import Feed
from pierhead.gateway.front import Front
from pierhead.gateway.holding import Holding
from pierhead.gateway.hub import Hub
from pierhead.gateway.journal import Journal
from pierhead.gateway.ledger import Ledger
from pierhead.gateway.local import Local
from pierhead.gateway.rates import Rates
from pierhead.gateway.recent import Recent, Waiting
from pierhead.gateway.relay import Relay
from pierhead.gateway.replicas import Pool
from pierhead.gateway.reports import Bell
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.shared import SharedUse
from pierhead.gateway.shared_rates import SharedRates
from pierhead.gateway.siblings import Siblings
from pierhead.gateway.table import Change, LiveTable, Served
from pierhead.gateway.turns import Around, Turns
from pierhead.telemetry import quick_lines


@dataclass(frozen=True, slots=True)
class Parts:
    """What the process runs and reports by."""

    hub: Hub
    live: LiveTable
    balance: Balance
    ledger: Ledger
    recent: Recent
    bell: Bell
    feed: Feed
    front: Front


@dataclass(frozen=True, slots=True)
class _Relays:
    """Those between a request that was let in and its replica."""

    pool: Pool
    balance: Balance
    relay: Relay
    turns: Turns


async def build(
    settings: GatewaySettings,
    clock: Clock,
    rng: Random,
    log: FilteringBoundLogger,
    stack: AsyncExitStack,
) -> Parts:
    """All parts; what has to be closed is, by `stack`.

    Raises:
        OSError: what workers of one port share cannot be had.
    """
    live, bell = LiveTable(), Bell()
    # For ties and shares, not for secrets; the system's chance takes a call to the system.
    chance = Random(rng.getrandbits(64))  # noqa: S311
    hub = await stack.enter_async_context(Hub(settings, clock))
    shared = _shared(settings, stack)
    metrics = Metrics(
        lambda: balance.outstanding,
        lambda: balance.ejected,
        queued=lambda: _by_name(live, relays.turns.queued),
        held=lambda: holding.held,
    )
    around = _around(settings, live, metrics, shared)
    relays = _relays(settings, live, bell, chance, (stack, around))
    balance = relays.balance
    holding = Holding(settings, hub, live.route, metrics.woken, log)
    stack.callback(holding.close)
    quick = quick_lines("pierhead.gateway", clock)
    journal = Journal(metrics, log, settings.access_log, quick)
    relays.relay.ejections += [metrics.ejection, partial(_put_out, log)]
    relays.relay.faults.append(journal.fault)
    ledger = Ledger(monotonic, clock, metrics, shared)
    door = Door(live, ledger, clock, chance)
    live.watchers.append(partial(_follow, relays, metrics, ledger, bell))
    live.watchers.append(lambda _served, _change: relays.turns.follow(live.route))
    live.watchers.append(lambda _served, _change: holding.follow())
    local = Local(settings, live, hub, metrics)
    siblings = await _siblings(settings, local, stack)
    ways = Ways(relays.relay, relays.turns, holding)
    app = Gateway(settings, door, ways, local, journal.fault, siblings)
    waiting = Waiting(
        lambda: _by_name(live, relays.turns.queued),
        lambda: holding.held,
        relays.relay.streaming,
    )
    return Parts(
        hub,
        live,
        balance,
        ledger,
        Recent(metrics.figures, live, monotonic, lambda: balance.outstanding, waiting),
        bell,
        Feed(settings, hub, live, log, asyncio.get_running_loop().time),
        Front(settings, app, journal.note, rng),
    )


def _around(
    settings: GatewaySettings, live: LiveTable, metrics: Metrics, shared: SharedUse | None
) -> Around:
    """What turns are given by: alone, or together with the other workers."""
    return Around(
        live.opens,
        metrics.refused,
        SharedRates(shared) if shared is not None else Rates(),
        settings.worker,
        shared.at_work if shared is not None else None,
    )


def _relays(
    settings: GatewaySettings,
    live: LiveTable,
    bell: Bell,
    chance: Random,
    lasting: tuple[AsyncExitStack, Around],
) -> _Relays:
    loop, (stack, around) = asyncio.get_running_loop(), lasting
    pool = Pool(loop, settings.connect_seconds)
    stack.callback(pool.close)
    balance = Balance(monotonic, chance, lambda replica: _ring_if_drained(replica, live, bell))
    relay = Relay(settings, pool, balance, live.targets)
    return _Relays(pool, balance, relay, Turns(relay, loop, around))


def _shared(settings: GatewaySettings, stack: AsyncExitStack) -> SharedUse | None:
    worker = settings.worker
    if worker is None:
        return None
    shared = SharedUse(worker.limits_file, worker.count, worker.number)
    stack.callback(shared.close)
    return shared


async def _siblings(
    settings: GatewaySettings, local: Local, stack: AsyncExitStack
) -> Siblings | None:
    if settings.worker is None:
        return None
    siblings = Siblings(settings.worker, lambda names: local.metrics(names=names).body)
    await stack.enter_async_context(siblings.answering())
    return siblings


def _follow(
    relays: _Relays, metrics: Metrics, ledger: Ledger, bell: Bell, served: Served, change: Change
) -> None:
    """A new table is in force: what is gone is forgotten."""
    del served
    gone = change.replicas_gone
    relays.balance.forget(gone)
    relays.pool.forget(gone)
    relays.relay.addressed.forget(gone)
    relays.relay.affinities.after(change)
    ledger.forget(change.tokens_gone, change.before.keys() - change.after.keys())
    metrics.follow(change.names_come, change.names_gone)
    bell.ring()  # the hub waits for it: before it says Running, and before it stops replicas


def _by_name(live: LiveTable, counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by service id, by its name."""
    named = ((live.route(service), count) for service, count in counts.items())
    return {route.name: count for route, count in named if route is not None}


def _put_out(log: FilteringBoundLogger, service: str, replica: str, why: Failure) -> None:
    log.warning("replica is out of rotation", service=service, replica=replica, why=str(why))


def _ring_if_drained(replica: str, live: LiveTable, bell: Bell) -> None:
    if live.served and replica in live.served.table.draining:
        bell.ring()
