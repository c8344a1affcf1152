"""What one token may still use: requests in flight and in the last minute, tokens of the minute and month. Pure.

Tokens are known only when an answer is complete. So a request reserves the most that it may take, and
is let in when all that is used and reserved stays within the limit. One that may take more than is
left, or whose most nobody can tell, is let in alone: the limit is exceeded by one request at most.
"""

from dataclasses import dataclass
from math import inf
from typing import Literal, NamedTuple, Protocol

from pierhead.core.endpoint_tokens import Limits
from pierhead.gateway.windows import Window

Name = Literal["rpm", "tpm", "concurrency", "monthly_tokens"]
#: Weight of the newest request in the usual duration of one.
_NEWEST = 0.2
_SHORTEST = 0.05  #: seconds that a request is taken to last at least
#: Tokens: no answer has so many, whatever is asked for, and sums of it have room in 8 bytes.
_MOST = 2**40


@dataclass(frozen=True, slots=True)
class Denied:
    """What stands against a request."""

    limit: Name
    value: int
    wait: float | None  #: seconds; None = until the next month


@dataclass(slots=True)
class Stay:
    """One request that was let in, until it ends."""

    begun: float
    most: int | None  #: tokens that it reserves; None = without a bound


class InFlight(NamedTuple):
    """Requests that are let in and have not ended."""

    flying: int
    weighing: int  #: those that may take tokens at all
    boundless: int  #: those of which nobody knows how many
    reserved: int  #: tokens, by those with a bound


class Flight(Protocol):
    """Counts what is in flight."""

    def change(self, by: int, most: int | None) -> None:
        """One more (1) or one less (-1), which may take `most` tokens; None = nobody knows."""
        ...

    def total(self) -> InFlight:
        """All that is."""
        ...


class Recent(Protocol):
    """How much came in any 60 seconds; see `windows.Window`."""

    used: int

    def turn(self, now: float) -> None:
        """Forgets what is older; `used` is right from here on."""
        ...

    def add(self, now: float, amount: int) -> None:
        """So much came now."""
        ...

    def until(self, now: float, most: int) -> float:
        """Seconds until no more than `most` are left."""
        ...


class OwnFlight:
    """Of one process."""

    __slots__ = ("_boundless", "_flying", "_reserved", "_weighing")

    def __init__(self) -> None:
        self._flying = self._weighing = self._boundless = self._reserved = 0

    def change(self, by: int, most: int | None) -> None:
        """One more (1) or one less (-1), which may take `most` tokens; None = nobody knows."""
        self._flying += by
        self._weighing += by if most != 0 else 0
        self._boundless += by if most is None else 0
        self._reserved += by * (most or 0)

    def total(self) -> InFlight:
        """All that is."""
        return InFlight(self._flying, self._weighing, self._boundless, self._reserved)


class Allowance:
    """The use of one token. `now` is always of the same clock, which never goes back; seconds."""

    def __init__(
        self,
        requests: Recent | None = None,
        tokens: Recent | None = None,
        flight: Flight | None = None,
        *,
        queued: bool = False,
    ) -> None:
        """Without arguments it counts the use by this process alone.

        `queued`: who is beyond the token's concurrency waits elsewhere for its turn.
        """
        self._queued = queued
        self.requests = requests or Window()
        self.tokens = tokens or Window()
        self._flight = flight or OwnFlight()
        self._lasting = 0.0  # seconds that a request takes as a rule

    @property
    def idle(self) -> bool:
        """Nothing is in flight, and nothing of the last minute is remembered."""
        return not (self._flight.total().flying or self.requests.used or self.tokens.used)

    def enter(self, limits: Limits, most: int | None, spent: int, now: float) -> Stay | Denied:
        """Lets a request in, or says what stands against it.

        `most`: tokens that it may take, None = nobody knows; `spent`: those of the month so far.
        """
        most = most if most is None else min(most, _MOST)
        denied = self._denied(limits, most, spent, now)
        if denied is not None:
            return denied
        self._flight.change(1, most)
        self.requests.add(now, 1)
        return Stay(now, most)

    def leave(self, stay: Stay, tokens: int, now: float) -> None:
        """The request ended; it took so many tokens."""
        self._flight.change(-1, stay.most)
        self.tokens.add(now, min(tokens, _MOST))
        lasted = now - stay.begun
        self._lasting += (lasted - self._lasting) * (_NEWEST if self._lasting else 1.0)

    def turn(self, now: float) -> None:
        """Forgets what is older than a minute."""
        self.requests.turn(now)
        self.tokens.turn(now)

    def _denied(self, limits: Limits, most: int | None, spent: int, now: float) -> Denied | None:
        """Of all that stands against it, what stands the longest."""
        self.turn(now)
        flight = self._flight.total()
        against = self._by_tokens(limits, most, (spent, now), flight)
        most_flying = None if self._queued else limits.concurrency
        if most_flying is not None and flight.flying >= most_flying:
            against.append(Denied("concurrency", most_flying, self._next(flight)))
        if limits.rpm is not None and self.requests.used >= limits.rpm:
            wait = self.requests.until(now, limits.rpm - 1)
            against.append(Denied("rpm", limits.rpm, wait))
        return max(against, key=_longest) if against else None

    def _by_tokens(
        self, limits: Limits, most: int | None, spent_now: tuple[int, float], flight: InFlight
    ) -> list[Denied]:
        (spent, now), against = spent_now, list[Denied]()
        monthly, tpm = limits.monthly_tokens, limits.tpm
        if monthly is not None and not _fits(monthly, spent, most, flight):
            wait = None if spent >= monthly else self._next(flight)
            against.append(Denied("monthly_tokens", monthly, wait))
        if tpm is not None and not _fits(tpm, self.tokens.used, most, flight):
            # Alone it is let in as soon as anything is left.
            wait = self.tokens.until(now, tpm - 1)
            ending = self._next(flight) if flight.weighing else 0.0
            against.append(Denied("tpm", tpm, max(wait, ending)))
        return against

    def _next(self, flight: InFlight) -> float:
        """Seconds until one of those in flight ends, as far as one can tell."""
        return max(_SHORTEST, self._lasting) / max(1, flight.flying)


def _fits(limit: int, used: int, most: int | None, flight: InFlight) -> bool:
    if most == 0:
        return True
    if most is not None and not flight.boundless and used + flight.reserved + most <= limit:
        return True
    return not flight.weighing and used < limit


def _longest(denied: Denied) -> float:
    return inf if denied.wait is None else denied.wait
