"""Access keys at hand: every signed request needs one, and calls come in bursts.

A key is remembered for a second. One that is changed here is forgotten, so it is refused at once;
one that another process changes may open that much longer. One that is not found is not remembered:
a key that was just issued works at once.

When a key was used last is written behind the requests: at its first use, and then once a minute.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from pierhead.core.errors import Unavailable
from pierhead.core.principals import AccessKey
from pierhead.operations import identity
from pierhead.operations.nonces import Nonces
from pierhead.operations.platform import Platform
from pierhead.store import keys
from pierhead.store.tried_nonces import TriedNonces

#: Seconds that a key is remembered, and how many at most: they come and go with temporary ones.
REMEMBERED, MOST = 1.0, 256
#: Seconds after which a use of a key is written again, and keys whose last writing is remembered.
USE_SECONDS, MOST_USED = 60.0, 4096


@dataclass(slots=True)
class KeyRing:
    """Finds keys; expiry is for the caller to judge, against its own clock."""

    platform: Platform
    tried: TriedNonces | None = None  #: where nonces of calls that are only tried out are kept
    _known: dict[str, tuple[float, AccessKey]] = field(
        default_factory=dict[str, tuple[float, AccessKey]]
    )
    _changes: int = 0
    #: Key -> when a use of it was noted last; and what is still to be written.
    _noted: dict[str, float] = field(default_factory=dict[str, float])
    _unwritten: dict[str, float] = field(default_factory=dict[str, float])
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    nonces: Nonces = field(init=False)

    def __post_init__(self) -> None:
        """Hear of keys that change."""
        self.nonces = Nonces(self.platform.db, self.platform.clock, self.tried)
        self.platform.endings.hear_of_keys(self.forget)
        self.platform.endings.hear_of_logins(lambda _principal: self.forget_made())

    def forget(self, key: str) -> None:
        """A key was changed or deleted: the next call reads it again."""
        self.forget_made()  # it may have opened logins, which end with it
        self._known.pop(key, None)

    def forget_made(self) -> None:
        """A login ended: the next call reads again all keys that were made for logins."""
        self._changes += 1
        for id_ in [id_ for id_, (_, key) in self._known.items() if key.login]:
            del self._known[id_]

    async def find(self, key: str) -> AccessKey | None:
        """An access key by its id, active or not.

        Raises:
            Unavailable: the database does not answer.
        """
        now = self.platform.clock()
        known = self._known.get(key)
        if known is not None and 0 <= now - known[0] < REMEMBERED:
            return known[1]
        self._known.pop(key, None)
        changes = self._changes
        found = await identity.access_key(self.platform, key)
        # What was read while a key changed may be what it was before.
        if found is not None and changes == self._changes:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = now, found
        return found

    def used(self, key: str) -> None:
        """A key signed a request that was found right; costs the request no more than this."""
        now = self.platform.clock()
        if 0 <= now - self._noted.get(key, -USE_SECONDS) < USE_SECONDS:
            return
        if len(self._noted) >= MOST_USED:
            self._noted.clear()
        self._noted[key] = self._unwritten[key] = now
        self._news.set()

    async def write_uses(self) -> None:
        """Write down uses as they come; runs until it is cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            times, self._unwritten = self._unwritten, {}
            with suppress(Unavailable):  # the next use is written again: it is no more than a hint
                await self.platform.db.write(keys.used, times)
