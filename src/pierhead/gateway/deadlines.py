"""Many deadlines of one length for one timer: what began first is due first.

A timer for each request costs more than the whole rest of its bookkeeping; almost none ever goes off.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

One = TypeVar("One", bound=Hashable)


class Deadlines(Generic[One]):
    """Calls back for each member that stayed for `seconds`."""

    def __init__(
        self, seconds: float, loop: asyncio.AbstractEventLoop, late: Callable[[One], None]
    ) -> None:
        self.seconds = seconds
        self._loop, self._late = loop, late
        self._members: dict[One, float] = {}  # in the order in which they are due
        self._timer: asyncio.TimerHandle | None = None
        self._looking = False  # members are told, and may come back meanwhile

    def __len__(self) -> int:
        return len(self._members)

    def add(self, one: One) -> float:
        """Its time begins now, for the first time or anew; now, on the loop's clock."""
        members, now = self._members, self._loop.time()
        if one in members:
            del members[one]
        members[one] = now + self.seconds
        if self._timer is None and not self._looking:
            self._timer = self._loop.call_later(self.seconds, self._look)
        return now

    def drop(self, one: One) -> None:
        """It is done; also if it was never a member."""
        self._members.pop(one, None)

    def _look(self) -> None:
        """Not at all that were dropped meanwhile: at the first that is left."""
        # A loop's clock counts in milliseconds, and its timers may be one early.
        self._timer, now = None, self._loop.time() + 0.001
        self._looking = True
        try:
            while self._members:
                one, when = next(iter(self._members.items()))
                if when > now:
                    break
                del self._members[one]
                self._late(one)
        finally:
            # Also after a mistake of ours in one of them, of which the loop tells: the others go on.
            self._looking = False
            if self._members:
                first = next(iter(self._members.values()))
                self._timer = self._loop.call_at(first, self._look)
