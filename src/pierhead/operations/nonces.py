"""Nonces of signed requests: each may be used once.

They are in the database, so that a restart forgets none. While that takes no writes they are remembered
here, so that calls that only look are served all the same, and written down as soon as it does. Of those
a hub that is killed in between forgets what it remembered: requests of these minutes, which could only
look, might then be sent again.
"""

import asyncio
from dataclasses import dataclass, field

from sqlalchemy import Connection

from pierhead.core.errors import Unavailable
from pierhead.core.ids import Clock
from pierhead.store import keys
from pierhead.store.db import Database
from pierhead.store.writes import Away

#: Nonces in memory; with more of them, calls have to wait for the database.
MOST = 100_000


@dataclass(slots=True)
class Nonces:
    """Of one hub."""

    db: Database
    clock: Clock
    #: (key, nonce) -> expiry, of those that the database does not have yet.
    _held: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def use(self, key: str, nonce: str, expires: float) -> bool:
        """Burn a nonce; False when it was used before.

        Raises:
            Unavailable: the database does not answer, or too many wait for it.
        """
        if (key, nonce) in self._held:
            return False
        try:
            if self._held:
                await self._write_down()
            return await self.db.write(keys.use_nonce, key, nonce, expires)
        except Away as error:
            return await self._hold(key, nonce, expires, error)

    async def _hold(self, key: str, nonce: str, expires: float, error: Unavailable) -> bool:
        """Remember it, if neither the database nor memory knows it."""
        if await self.db.read(keys.nonce_used, key, nonce):
            return False
        now = self.clock()
        if len(self._held) >= MOST:
            self._held = {one: until for one, until in self._held.items() if until > now}
        if len(self._held) >= MOST:
            raise error
        if (key, nonce) in self._held:  # the read let others run
            return False
        self._held[key, nonce] = expires
        return True

    async def _write_down(self) -> None:
        async with self._turn:
            held = dict(self._held)
            if held:
                await self.db.write(_put, held)
            for one in held:
                self._held.pop(one, None)


def _put(tx: Connection, held: dict[tuple[str, str], float]) -> None:
    for (key, nonce), expires in held.items():
        if not keys.nonce_used(tx, key, nonce):
            keys.use_nonce(tx, key, nonce, expires)
