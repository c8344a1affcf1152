"""What a hub that stands by changes, the active one hears of: through the database, within a moment.

A change is in the database before it is told, so that one that is not told costs time and nothing else:
the active hub looks at everything now and then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog

from pierhead.core.errors import Stale, Unavailable
from pierhead.core.ids import Clock, Entropy, object_id
from pierhead.store import leases
from pierhead.store.db import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger("pierhead.lease")

#: Seconds between two looks of the active hub, and after which a call that failed is tried again.
LOOKED, AGAIN = 0.3, 1.0
#: What a call is about: a service (or the quotas), something registered, the tokens of a service.
SERVICE, REGISTERED, TOKENS = "service", "registered", "tokens"
#: What is done about it, by the call's kind.
Looks = Mapping[str, Callable[[str], Awaitable[None]]]


@dataclass(slots=True)
class Calls:
    """One hub's: it calls while it stands by, and answers when it is the active one."""

    db: Database
    clock: Clock
    entropy: Entropy
    _waiting: set[str] = field(default_factory=set[str])
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def call(self, kind: str, subject: str = "") -> None:
        """Ask the active hub to look at something; costs the caller nothing."""
        self._waiting.add(f"{kind} {subject}")
        self._news.set()

    async def always(self) -> None:
        """Tell the database what is asked; runs until it is cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            subjects, self._waiting = self._waiting, set()
            rows = [(object_id(self.entropy), subject) for subject in sorted(subjects)]
            try:
                await self.db.write(leases.call, rows, self.clock())
            except Unavailable:
                self._waiting |= subjects
                self._news.set()
                await asyncio.sleep(AGAIN)

    async def answer(self, own: Database, looks: Looks) -> None:
        """Look at what was asked, by kind; runs until it is cancelled, or its hub is no more the active one.

        `own`: the same database for what the active hub alone may write. One that lost its turn without
        its noticing leaves the notes to the one that has it.
        """
        while True:
            try:
                for asked in (
                    await own.write(leases.answer) if await own.read(leases.called) else ()
                ):
                    await self._look(looks, asked)
            except Stale:
                return
            except Unavailable as error:
                log.warning("what other hubs ask cannot be read", error=str(error))
                await asyncio.sleep(AGAIN)
            await asyncio.sleep(LOOKED)

    async def _look(self, looks: Looks, asked: str) -> None:
        """One that fails costs itself alone; where the database was away, it is asked anew."""
        kind, _, subject = asked.partition(" ")
        if kind not in looks:  # a hub of a newer release asks more
            log.warning("what another hub asks is not known here; it is dropped", asked=asked)
            return
        try:
            await looks[kind](subject)
        except Unavailable as error:
            log.warning("what another hub asks has to wait", asked=asked, error=str(error))
            self.call(kind, subject)
        except Exception:  # any class: the notes of others must be heard all the same
            log.exception("what another hub asks failed; it is dropped", asked=asked)
