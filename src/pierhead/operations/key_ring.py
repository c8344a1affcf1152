"""Access keys at hand: every signed request needs one, and calls come in bursts.

A key is remembered for a second. One that is changed here is forgotten, so it is refused at once;
one that another process changes may open that much longer. One that is not found is not remembered:
a key that was just issued works at once.
"""

from dataclasses import dataclass, field

from pierhead.core.principals import AccessKey
from pierhead.operations import identity
from pierhead.operations.platform import Platform

#: Seconds that a key is remembered, and how many at most: they come and go with temporary ones.
REMEMBERED, MOST = 1.0, 256


@dataclass(slots=True)
class KeyRing:
    """Finds keys; expiry is for the caller to judge, against its own clock."""

    platform: Platform
    _known: dict[str, tuple[float, AccessKey]] = field(
        default_factory=dict[str, tuple[float, AccessKey]]
    )
    _changes: int = 0

    def forget(self, key: str) -> None:
        """A key was changed or deleted: the next call reads it again."""
        self._changes += 1
        self._known.pop(key, None)

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
