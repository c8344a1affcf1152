"""How much came in any 60 seconds, in memory that does not grow. Pure."""

from array import array
from math import floor

SPAN = 60.0  #: seconds
_PER_SECOND = 10
_SLOTS = int(SPAN) * _PER_SECOND + 1  #: with the one that has only begun


class Window:
    """A ring of tenths of seconds. What it tells is never too little, and too much for 0.1 s at most."""

    __slots__ = ("_newest", "_ring", "used")

    def __init__(self) -> None:
        self._ring = array("q", bytes(8 * _SLOTS))
        self._newest = 0  # number of the last slot that was written
        self.used = 0  #: as of the last `turn`

    def turn(self, now: float) -> None:
        """Forgets what is older than 60 seconds; `now` in seconds of a clock that never goes back."""
        slot = floor(now * _PER_SECOND)
        passed = slot - self._newest
        if passed <= 0:
            return
        if passed >= _SLOTS or not self.used:
            if self.used:
                self._ring = array("q", bytes(8 * _SLOTS))
            self.used = 0
        else:
            for old in range(self._newest + 1, slot + 1):
                self.used -= self._ring[old % _SLOTS]
                self._ring[old % _SLOTS] = 0
        self._newest = slot

    def add(self, now: float, amount: int) -> None:
        """So much came now."""
        self.turn(now)
        self._ring[self._newest % _SLOTS] += amount
        self.used += amount

    def until(self, now: float, most: int) -> float:
        """Seconds until no more than `most` are left, should nothing come meanwhile."""
        self.turn(now)
        left, first = self.used, self._newest - _SLOTS + 1
        if left <= most:
            return 0.0
        for slot in range(first, self._newest + 1):
            left -= self._ring[slot % _SLOTS]
            if left <= most:
                # It is forgotten when the ring comes round to it.
                return max(0.0, (slot + _SLOTS) / _PER_SECOND - now)
        return SPAN  # nothing would do: the limit is nothing
