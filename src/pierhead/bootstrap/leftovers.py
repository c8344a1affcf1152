"""What a hub keeps of services that another hub removed: it hears of no removal, so it looks now and then."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager

from pierhead import telemetry
from pierhead.core.errors import PierheadError
from pierhead.store import services
from pierhead.store.db import Database

log = telemetry.logger("pierhead.hub")


@asynccontextmanager
async def forgotten(
    db: Database,
    forget_others: Callable[[Collection[str]], Awaitable[None]] | None,
    seconds: float,
) -> AsyncGenerator[None]:
    """Every so many seconds `forget_others` is told which services there are; None = there is nothing to do."""
    if forget_others is None:
        yield
        return
    working = asyncio.create_task(_always(db, forget_others, seconds), name="leftovers")
    try:
        yield
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _always(
    db: Database, forget_others: Callable[[Collection[str]], Awaitable[None]], seconds: float
) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await forget_others(set(await db.read(services.ids)))
        except PierheadError as error:
            log.warning("what is left of removed services stays for now", error=str(error))
