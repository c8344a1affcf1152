"""The use case of a gateway that holds requests: wake their service, and tell how far it is."""

from dataclasses import replace

from sqlalchemy import Connection

from pierhead.core.errors import Conflict, NotFound, Unavailable
from pierhead.core.services import Seen, Service, Wanted
from pierhead.core.waking import Waking, waking
from pierhead.operations import scalers
from pierhead.operations.platform import Platform
from pierhead.store import scalers as scaler_rows
from pierhead.store import services as rows


async def awaken(platform: Platform, service: str) -> Waking:
    """Wake a service that sleeps, if it does, and tell how far it is. May be called as often as one likes.

    Args:
        platform: the platform.
        service: service id.

    Raises:
        NotFound: there is no such service.
        Conflict: it is stopped or being deleted: only a person has it serve again.
        Unavailable: the database does not answer, takes no writes, or others were faster again and again.
    """
    try:
        woken = await scalers.wake(platform, service)
    except Conflict as error:
        raise Unavailable(f"The service [{service}]", str(error)) from error
    if woken.wanted is not Wanted.RUNNING:
        doing = "is stopped" if woken.wanted is Wanted.STOPPED else "is being deleted"
        raise Conflict("service", woken.name, f"{doing}: no request wakes it")
    found = await platform.db.read(_known, service)
    if found is None:
        raise NotFound("service", service)
    now_wanted, seen, usual = found
    present = replace(seen, replicas=tuple(platform.runtime.observe(service)))
    return waking(now_wanted, present, usual, platform.clock())


def _known(tx: Connection, service: str) -> tuple[Service, Seen, float] | None:
    """(wanted, seen, seconds that a replica took from launch to ready)."""
    pair = rows.load(tx, service)
    auto = scaler_rows.load_of(tx, service)
    return None if pair is None else (*pair, auto.deeds.rise if auto is not None else 0.0)
