"""Nonces of signed requests: each may be used once.

They are in the database, so that a restart forgets none. While that takes no writes they are remembered
here, so that calls that only look are served all the same, and written down as soon as it does. Of those
a hub that is killed in between forgets what it remembered: requests of these minutes, which could only
look, might then be sent again.

Those of calls that are only tried out make no row: they are in memory, and in a file, which the next
hub reads. So what was overheard of such a call opens nothing, after a restart neither.
"""

import asyncio
import hashlib
from dataclasses import dataclass, field

from sqlalchemy import Connection

from pierhead.core.errors import Unavailable
from pierhead.core.ids import Clock
from pierhead.store import keys
from pierhead.store.db import Database
from pierhead.store.tried_nonces import TriedNonces
from pierhead.store.writes import Away

#: Nonces in memory; with more of them, calls have to wait for the database.
MOST = 100_000
#: The same of calls that are only tried out.
MOST_TRIED = 20_000


@dataclass(slots=True)
class Nonces:
    """Of one hub."""

    db: Database
    clock: Clock
    file: TriedNonces | None = None  #: of the calls that were only tried out; None = only memory is
    #: (key, nonce) -> expiry, of those that the database does not have yet.
    _held: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    #: Digest -> expiry, of calls that were only tried out.
    _tried: dict[str, float] = field(default_factory=dict[str, float])
    _lines: int = 0  #: of the file
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self) -> None:
        """Know what a former hub knew; needed before the first call.

        Raises:
            Unavailable: the disk refuses.
        """
        if self.file is not None:
            try:
                self._tried = await asyncio.to_thread(self.file.load, self.clock())
            except OSError as error:
                raise _unkept(error) from error
            self._lines = len(self._tried)

    async def use(self, key: str, nonce: str, expires: float) -> bool:
        """Burn a nonce; False when it was used before.

        Raises:
            Unavailable: the database does not answer, or too many wait for it.
        """
        if (key, nonce) in self._held or self._was_tried(_digest(key, nonce)):
            return False
        try:
            if self._held:
                await self._write_down()
            return await self.db.write(keys.use_nonce, key, nonce, expires)
        except Away as error:
            return await self._hold(key, nonce, expires, error)

    async def try_out(self, key: str, nonce: str, expires: float) -> bool:
        """Burn a nonce outside the database; False when it was used before, be it by a real call.

        Raises:
            Unavailable: the database does not answer, the disk refuses, or there are too many.
        """
        if (key, nonce) in self._held or await self.db.read(keys.nonce_used, key, nonce):
            return False
        digest = _digest(key, nonce)
        if self._was_tried(digest):
            return False
        if len(self._tried) >= MOST_TRIED:
            now = self.clock()
            self._tried = {one: until for one, until in self._tried.items() if until > now}
        if len(self._tried) >= MOST_TRIED:
            raise Unavailable("Memory for nonces", "too many mock calls came lately")
        self._tried[digest] = expires
        await self._note(digest, expires)
        return True

    def _was_tried(self, digest: str) -> bool:
        return self._tried.get(digest, 0.0) > self.clock()

    async def _note(self, digest: str, expires: float) -> None:
        """In the file, which has twice as many lines as memory holds at most."""
        if self.file is None:
            return
        self._lines += 1
        try:
            async with self._turn:
                if self._lines > 2 * MOST_TRIED:
                    await asyncio.to_thread(self.file.keep, dict(self._tried))
                    self._lines = len(self._tried)
                else:
                    await asyncio.to_thread(self.file.add, digest, expires)
        except OSError as error:
            raise _unkept(error) from error

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


def _digest(key: str, nonce: str) -> str:
    text = f"{key}\0{nonce}".encode(errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _unkept(error: OSError) -> Unavailable:
    return Unavailable("The file of mock calls' nonces", str(error))


def _put(tx: Connection, held: dict[tuple[str, str], float]) -> None:
    for (key, nonce), expires in held.items():
        if not keys.nonce_used(tx, key, nonce):
            keys.use_nonce(tx, key, nonce, expires)
