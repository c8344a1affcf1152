"""Slows down guessing: whoever errs too often is refused for a while, whatever they bring then.

Failures are counted per address and name together, and per address alone; never per name alone, or
anybody could lock anybody out. So the owner of a key or password is served from another address while
a stranger guesses, and from the same address as long as the stranger tries other names. Whoever came
in under a name from an address within the hour is not held liable for the other names tried there.
"""

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from pierhead.core.errors import Throttled

#: Counters and known comers that are remembered; the longest quiet ones are forgotten first.
MOST = 8192
#: Tries of one address that wait for their turn.
MOST_WAITING = 64
_FAMILIAR = 3600.0  #: seconds
_NAME = 128  #: characters of a name that count


@dataclass(frozen=True, slots=True)
class Rules:
    """When it is too often."""

    failures: int = 10  #: under one name from one address; 0 = never too often
    window: float = 300.0  #: seconds of quiet after which failures are forgotten
    first: float = 15.0  #: seconds of the first lock; each further one is twice as long
    longest: float = 900.0
    names: int = 5  #: an address may err so many times as often, under all names together


@dataclass(slots=True)
class _Count:
    failures: int = 0
    locks: int = 0
    last: float = 0.0
    until: float = 0.0  #: locked


@dataclass(slots=True)
class Lockout:
    """One hub's counters for one kind of secret; a restart forgets them."""

    rules: Rules = field(default_factory=Rules)
    timer: Callable[[], float] = time.monotonic
    _counts: OrderedDict[tuple[str, str], _Count] = field(
        default_factory=OrderedDict[tuple[str, str], _Count]
    )
    _familiar: OrderedDict[tuple[str, str], float] = field(
        default_factory=OrderedDict[tuple[str, str], float]
    )
    _turns: dict[str, tuple[asyncio.Lock, int]] = field(
        default_factory=dict[str, tuple[asyncio.Lock, int]]
    )

    def check(self, address: str, name: str) -> None:
        """Let a try pass.

        Raises:
            Throttled: too many failed; nothing is looked at, the right secret would not help.
        """
        if not self._counts:
            return
        now, pair = self.timer(), _pair(address, name)
        until = self._until(pair)
        whole = self._until((pair[0], ""))
        if whole > now and now - self._familiar.get(pair, -_FAMILIAR) >= _FAMILIAR:
            until = max(until, whole)
        if until > now:
            raise Throttled("Too many attempts failed.", until - now)

    def failed(self, address: str, name: str) -> None:
        """It was the wrong secret, or nobody's name."""
        if self.rules.failures <= 0:
            return
        pair = _pair(address, name)
        self._fail(pair, self.rules.failures)
        self._fail((pair[0], ""), self.rules.failures * self.rules.names)

    def passed(self, address: str, name: str) -> None:
        """It was the right one."""
        pair = _pair(address, name)
        self._counts.pop(pair, None)
        self._familiar[pair] = self.timer()
        self._familiar.move_to_end(pair)
        while len(self._familiar) > MOST:
            self._familiar.popitem(last=False)

    @asynccontextmanager
    async def turn(self, address: str, name: str) -> AsyncGenerator[None]:
        """One try at a time per address: who sends a thousand at once has no more of them.

        Raises:
            Throttled: too many failed, or wait.
        """
        self.check(address, name)
        place = _network(address)
        lock, waiting = self._turns.get(place, (asyncio.Lock(), 0))
        if waiting >= MOST_WAITING:
            raise Throttled("Too many attempts at a time.", 1.0)
        self._turns[place] = lock, waiting + 1
        try:
            async with lock:
                self.check(address, name)
                yield
        finally:
            lock, waiting = self._turns[place]
            if waiting > 1:
                self._turns[place] = lock, waiting - 1
            else:
                del self._turns[place]

    def _until(self, key: tuple[str, str]) -> float:
        count = self._counts.get(key)
        return count.until if count is not None else 0.0

    def _fail(self, key: tuple[str, str], most: int) -> None:
        now = self.timer()
        count = self._counts.get(key)
        if count is None or now > max(count.last, count.until) + self.rules.window:
            count = self._counts[key] = _Count()
        self._counts.move_to_end(key)
        count.failures += 1
        count.last = now
        if count.failures >= most:
            seconds = self.rules.first * 2 ** min(count.locks, 32)
            count.until = now + min(seconds, self.rules.longest)
            count.locks += 1
        while len(self._counts) > MOST:
            self._counts.popitem(last=False)


@dataclass(slots=True)
class Pace:
    """So many calls a minute per principal; a burst of ten seconds' worth may come at once."""

    per_minute: float  #: 0 = any number
    timer: Callable[[], float] = time.monotonic
    _left: OrderedDict[str, tuple[float, float]] = field(
        default_factory=OrderedDict[str, tuple[float, float]]
    )

    def take(self, principal: str) -> None:
        """Count a call.

        Raises:
            Throttled: it is one too many.
        """
        if self.per_minute <= 0:
            return
        rate, now = self.per_minute / 60, self.timer()
        most = max(1.0, rate * 10)
        left, since = self._left.get(principal, (most, now))
        left = min(most, left + (now - since) * rate)
        self._left[principal] = (left - 1 if left >= 1 else left), now
        self._left.move_to_end(principal)
        if len(self._left) > MOST:
            self._left.popitem(last=False)
        if left < 1:
            raise Throttled("Too many calls.", (1 - left) / rate)


def _pair(address: str, name: str) -> tuple[str, str]:
    return _network(address), name[:_NAME] or "-"


@lru_cache(maxsize=1024)
def _network(address: str) -> str:
    """An IPv6 customer has 2**64 addresses, which count as one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
