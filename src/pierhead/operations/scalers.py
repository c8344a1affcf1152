"""Use cases on scalers: set, show and remove them, carry out what they decide, wake what sleeps."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from pierhead.core import cron_scalers, lifecycle, locks, scalers
from pierhead.core.cron_scalers import CronScaler
from pierhead.core.errors import Conflict, NotFound
from pierhead.core.events import PLATFORM, Notice
from pierhead.core.names import by_id
from pierhead.core.principals import Principal
from pierhead.core.scalers import AutoScaler
from pierhead.core.services import Seen, Service, Wanted
from pierhead.operations import services
from pierhead.operations.noted import event, warnings
from pierhead.operations.platform import Also, Platform, nothing
from pierhead.operations.services import Decision
from pierhead.store import events as event_rows
from pierhead.store import scalers as rows
from pierhead.store.scalers import ClockScaler, LoadScaler

#: What errors call them.
AUTO, CRON = "auto-scaler", "cron-scaler"
_NO_AUTO = "Make one with CreateServiceAutoScaler, or `pierhead services autoscale set`."
_NO_CRON = "Make one with CreateServiceCronScaler, or `pierhead services schedule set`."


@dataclass(frozen=True, slots=True)
class _Told:
    """What an event says of a change."""

    reason: str
    message: str
    notices: tuple[Notice, ...] = ()


async def set_auto(
    platform: Platform,
    actor: Principal,
    name: str,
    scaler: AutoScaler,
    *,
    present: bool = False,
    notices: tuple[Notice, ...] = (),
) -> Service:
    """Give a service an auto-scaler; `present`: it must have one already.

    Raises:
        Invalid: it cannot be followed.
        NotFound: no such service; or a service whose load it measures is not there.
        Conflict: the service is being deleted.
        Forbidden: the actor may not do it.
    """
    scalers.check(scaler)
    await _demand_measured(platform, scaler)
    message = f"It runs {scaler.low} to {scaler.high} replicas by its load."

    def write(tx: Connection, service: str) -> None:
        if present and rows.load_of(tx, service) is None:
            raise NotFound(AUTO, name, _NO_AUTO)
        rows.put_load(tx, service, scaler, platform.clock())

    return await _set(platform, actor, name, write, _Told("AutoScalerSet", message, notices))


async def set_cron(
    platform: Platform,
    actor: Principal,
    name: str,
    scaler: CronScaler,
    *,
    present: bool = False,
    notices: tuple[Notice, ...] = (),
) -> Service:
    """Give a service a cron-scaler; `present`: it must have one already.

    Raises:
        Invalid: one of its schedules, counts, names or time zones is not legal.
        NotFound: no such service, or it has none.
        Conflict: the service is being deleted.
        Forbidden: the actor may not do it.
    """
    cron_scalers.check(scaler, platform.zones)
    message = f"It gets its number of replicas by {len(scaler.jobs)} job(s)."

    def write(tx: Connection, service: str) -> None:
        if present and rows.cron_of(tx, service) is None:
            raise NotFound(CRON, name, _NO_CRON)
        rows.put_cron(tx, service, scaler, platform.clock())

    return await _set(platform, actor, name, write, _Told("CronScalerSet", message, notices))


def first_count(scaler: AutoScaler | None, asked: int | None) -> int:
    """Replicas of a new service; `asked`: what its owner says, None = nothing."""
    if scaler is None:
        return 1 if asked is None else asked
    return max(1, scaler.low) if asked is None else scaler.bounded(asked)


async def beside(platform: Platform, scaler: AutoScaler | None, *, told: bool = True) -> Also:
    """What gives the service that is made or changed its auto-scaler in the same transaction.

    `scaler` None: it has none any more; `told` False: it keeps what it has.

    Raises:
        NotFound: a service whose load it measures is not there.
    """
    if not told:
        return nothing
    if scaler is not None:
        await _demand_measured(platform, scaler)

    def write(tx: Connection, service: str) -> None:
        if scaler is None:
            rows.remove(tx, service, rows.LOAD)
        else:
            rows.put_load(tx, service, scaler, platform.clock())

    return write


async def _demand_measured(platform: Platform, scaler: AutoScaler) -> None:
    for strategy in scaler.strategies:
        if strategy.service:
            await services.find(platform, strategy.service)


async def remove_auto(platform: Platform, actor: Principal, name: str) -> Service:
    """Take the auto-scaler from a service; one that it had put to sleep gets a replica again.

    Raises:
        NotFound: no such service, or it has none.
        Forbidden: the actor may not do it.
    """
    found = await auto_of(platform, actor, name)

    def write(tx: Connection, service: str) -> None:
        if not rows.remove(tx, service, rows.LOAD):
            raise NotFound(AUTO, name, _NO_AUTO)

    told = _Told("AutoScalerRemoved", "Its number of replicas is its owner's alone again.")
    return await _set(platform, actor, by_id(found.service), write, told, wakes=True)


async def remove_cron(platform: Platform, actor: Principal, name: str) -> Service:
    """Take the cron-scaler from a service; its count stays as it is.

    Raises:
        NotFound: no such service, or it has none.
        Forbidden: the actor may not do it.
    """
    found = await cron_of(platform, actor, name)

    def write(tx: Connection, service: str) -> None:
        if not rows.remove(tx, service, rows.CRON):
            raise NotFound(CRON, name, _NO_CRON)

    told = _Told("CronScalerRemoved", "No job sets its number of replicas any more.")
    return await _set(platform, actor, by_id(found.service), write, told)


async def auto_of(platform: Platform, actor: Principal, name: str) -> LoadScaler:
    """The auto-scaler of a service.

    Raises:
        NotFound: no such service, or it has none.
        Forbidden: the actor may not see it.
    """
    service, _seen = await services.find(platform, name, actor)
    found = await platform.db.read(rows.load_of, service.id)
    if found is None:
        raise NotFound(AUTO, service.name, _NO_AUTO)
    return found


async def cron_of(platform: Platform, actor: Principal, name: str) -> ClockScaler:
    """The cron-scaler of a service.

    Raises:
        NotFound: no such service, or it has none.
        Forbidden: the actor may not see it.
    """
    service, _seen = await services.find(platform, name, actor)
    found = await platform.db.read(rows.cron_of, service.id)
    if found is None:
        raise NotFound(CRON, service.name, _NO_CRON)
    return found


async def wake(platform: Platform, service: str) -> Service:
    """Give a service that sleeps its first replicas again, because somebody asks for it.

    Many may call it at once: one write, one event. One that has replicas, or is stopped, stays as it is.

    Args:
        platform: the platform.
        service: service id.

    Raises:
        NotFound: it is gone.
        Conflict: it was changed by others at the same time, again and again.
    """
    kept = await platform.db.read(rows.load_of, service)
    count = kept.scaler.woken if kept is not None else 1

    def decide(found: Service, _seen: Seen, now: float) -> Decision:
        if found.wanted is not Wanted.RUNNING or found.replicas:
            return Decision(None)
        message = f"A request came for service [{found.name}]: from 0 to {count} replicas."
        return Decision(lifecycle.adjust(found, count, now), "ServiceWoken", message)

    return await services.change(platform, _platform(platform), by_id(service), decide)


async def adjust(
    platform: Platform,
    service: Service,
    count: int,
    told: tuple[str, str],
    also: Also = nothing,
    *,
    whatever: bool = False,
) -> Service:
    """Carry out a scaler's decision on `service` as it was; gives it as it is then.

    Where it was changed meanwhile nothing happens, `also` not either, unless `whatever`: then the count
    is set all the same. `told`: reason and sentence of the event.

    Raises:
        NotFound: it is gone.
        Conflict: it was changed by others at the same time, again and again.
    """

    stale = False

    def decide(found: Service, _seen: Seen, now: float) -> Decision:
        nonlocal stale
        stale = found.revision != service.revision and not whatever
        return Decision(None if stale else lifecycle.adjust(found, count, now), *told)

    def after(tx: Connection, uuid: str) -> None:
        if not stale:
            also(tx, uuid)

    return await services.change(platform, _platform(platform), by_id(service.id), decide, after)


async def _set(
    platform: Platform,
    actor: Principal,
    name: str,
    write: Callable[[Connection, str], None],
    told: _Told,
    *,
    wakes: bool = False,
) -> Service:
    """Write what belongs to a service, and the event that tells of it, in one transaction."""
    subject: list[Service] = []

    def decide(found: Service, _seen: Seen, now: float) -> Decision:
        if found.wanted is Wanted.DELETED:
            raise Conflict("service", found.name, "is being deleted")
        locks.demand_free(found)
        subject[:] = [found]
        if wakes and found.replicas == 0:
            count = lifecycle.adjust(found, 1, now)
            return Decision(count, "ServiceWoken", "No scaler would wake it: it gets one replica.")
        return Decision(None)

    def also(tx: Connection, service: str) -> None:
        write(tx, service)
        now, about = platform.clock(), subject[0]
        noted = event(about, actor, now, told.reason, told.message)
        event_rows.append(tx, noted, *warnings(about, actor, now, told.notices))

    return await services.change(platform, actor, name, decide, also)


def _platform(platform: Platform) -> Principal:
    """The platform itself, which events name as the one that did it."""
    return Principal(platform.account, PLATFORM)
