"""Whether this hub is the active one, and may act: it holds the lease, and renews it every second.

A hub that was stopped, cut off or only slow for longer than its lease finds three bars when it goes on:

    demand   before each change outside the database, and as long as it is not sent: has the lease time
             left, by a clock that goes on while the process is stopped and while its machine sleeps?
    guard    in each transaction of a pass: does the database still know it, and its token?
    keep     the next renewal: somebody else has it, so this hub ends

It ends and does not stand down in place: what it holds in memory is what it saw as the active one.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import structlog
from sqlalchemy import Connection

from pierhead.core.errors import Refused, Stale, Unavailable
from pierhead.core.lease import LASTS, LOOKED, MARGIN, RENEWED, Held, Lease, Role, Watched, may_take
from pierhead.store import leases
from pierhead.store.db import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger("pierhead.lease")


def awake() -> float:
    """Seconds on a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Leadership:
    """One hub's. `db` is for the lease alone: a renewal must not wait behind other writes."""

    def __init__(
        self,
        db: Database,
        holder: str,
        lost: Callable[[], None],
        timer: Callable[[], float] = awake,
    ) -> None:
        """`lost` is called, once, in the loop's thread, when somebody else has the lease.

        The last word of `holder` is the same for all hubs that have the same secrets.
        """
        self._db, self._holder, self._timer = db, holder, timer
        self._tell_lost = lost
        self._held: Held | None = None
        self._loop = asyncio.get_running_loop()
        self.lost = False  #: somebody else took it
        self.token = 0  #: of the lease, as it was seen last; 0 = it was not

    @property
    def role(self) -> Role:
        """What this hub is now. One whose lease ran out is no active one, even if nobody took it yet."""
        held = None if self.lost else self._held
        return Role.ACTIVE if held is not None and held.lasts(self._timer()) else Role.STANDBY

    def demand(self) -> float:
        """For how many seconds something outside the database may be changed, unless it is asked again.

        Raises:
            Unavailable: the lease ends soon, or has; the database is asked to prolong it meanwhile.
        """
        held, now = None if self.lost else self._held, self._timer()
        if held is None or not held.may_act(now):
            raise Unavailable("This hub's turn", "its lease in the database is not renewed in time")
        return held.until - now - MARGIN

    def guard(self, tx: Connection) -> None:
        """The first step of each transaction that only the active hub may make; in any thread.

        Raises:
            Stale: this hub is not, or no more, the active one.
        """
        held = self._held
        if held is None or self.lost:
            raise Stale("This hub is not the active one.")
        try:
            leases.demand(tx, self._holder, held.token)
        except Stale:
            self._loop.call_soon_threadsafe(self._give_up)
            raise

    async def fits(self) -> None:
        """See to it that the active hub, if there is one, has the same secrets.

        Raises:
            Refused: it has others.
            Unavailable: the database does not answer.
        """
        found, now = await self._db.read(leases.look)
        if found is None or may_take(found, now):
            return
        if found.holder.rpartition(" ")[2] != self._holder.rpartition(" ")[2]:
            raise Refused(
                f"The database is in use by a hub with other secrets ({found.holder}): give all hubs "
                "of a platform the same credentials.json and run/*.key, with the setting secrets_dir."
            )

    async def win(self) -> None:
        """Return when this hub has the lease."""
        told, watched = "", Watched()
        while True:
            try:
                began = self._timer()
                found, now = await self._db.read(leases.look)
                self.token = self.token if found is None else found.token
                watched = watched.seen(found, self._timer())
                free = may_take(found, now) or watched.let_run_out(began)
                if free and await self._take(found):
                    return
                if found is not None and found.holder != told:
                    told = found.holder
                    log.info("this hub stands by", active=told, token=found.token)
            except Unavailable as error:
                log.warning("the lease cannot be read", error=str(error))
            await asyncio.sleep(LOOKED)

    async def _take(self, found: Lease | None) -> bool:
        asked = self._timer()
        token = await self._db.write(leases.take, self._holder, found, LASTS)
        if token is None:
            return False
        self._held, self.token = Held(token, asked + LASTS), token
        log.info("this hub is the active one", holder=self._holder, token=token)
        return True

    async def keep(self) -> None:
        """Renew the lease; returns when it is lost, or was never won."""
        while self._held is not None and not self.lost:
            await asyncio.sleep(RENEWED)
            # A database that does not answer gives the lease to nobody else either: nothing is changed
            # outside meanwhile, and if it is still ours when it answers, all goes on.
            with suppress(Unavailable):
                await self._renew(self._held)

    async def _renew(self, held: Held) -> None:
        asked = self._timer()
        if await self._db.write(leases.renew, self._holder, held.token, LASTS):
            self._held = Held(held.token, asked + LASTS)
        else:
            self._give_up()

    def _give_up(self) -> None:
        if not self.lost:
            self.lost = True
            log.error("another hub has taken over; this one ends", holder=self._holder)
            self._tell_lost()

    async def release(self) -> None:
        """Let another hub take over at once; meant for the end, when nothing works any more."""
        held, self._held = self._held, None
        if held is not None and not self.lost:
            with suppress(Unavailable):
                await self._db.write(leases.release, self._holder, held.token)
