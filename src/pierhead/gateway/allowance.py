"""What one token may still use: requests in flight and in the last minute, tokens of the minute and month. Pure.

Tokens are known only when an answer is complete. So a request reserves the most that it may take, and
is let in when all that is used and reserved stays within the limit. One that may take more than is
left, or whose most nobody can tell, is let in alone: the limit is exceeded by one request at most.
"""

from dataclasses import dataclass
from math import inf
from typing import Literal

from pierhead.core.endpoint_tokens import Limits
from pierhead.gateway.windows import Window

Name = Literal["rpm", "tpm", "concurrency", "monthly_tokens"]
#: Weight of the newest request in the usual duration of one.
_NEWEST = 0.2
_SHORTEST = 0.05  #: seconds that a request is taken to last at least


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


class Allowance:
    """The use of one token. `now` is always of the same clock, which never goes back; seconds."""

    def __init__(self) -> None:
        self.requests = Window()
        self.tokens = Window()
        self._flying = 0
        self._reserved = 0  # tokens, by those with a bound
        self._weighing = 0  # those in flight that may take tokens at all
        self._boundless = 0
        self._lasting = 0.0  # seconds that a request takes as a rule

    @property
    def idle(self) -> bool:
        """Nothing is in flight, and nothing of the last minute is remembered."""
        return not (self._flying or self.requests.used or self.tokens.used)

    def enter(self, limits: Limits, most: int | None, spent: int, now: float) -> Stay | Denied:
        """Lets a request in, or says what stands against it.

        `most`: tokens that it may take, None = nobody knows; `spent`: those of the month so far.
        """
        denied = self._denied(limits, most, spent, now)
        if denied is not None:
            return denied
        self._flying += 1
        self._weighing += most != 0
        self._boundless += most is None
        self._reserved += most or 0
        self.requests.add(now, 1)
        return Stay(now, most)

    def leave(self, stay: Stay, tokens: int, now: float) -> None:
        """The request ended; it took so many tokens."""
        self._flying -= 1
        self._weighing -= stay.most != 0
        self._boundless -= stay.most is None
        self._reserved -= stay.most or 0
        self.tokens.add(now, tokens)
        lasted = now - stay.begun
        self._lasting += (lasted - self._lasting) * (_NEWEST if self._lasting else 1.0)

    def turn(self, now: float) -> None:
        """Forgets what is older than a minute."""
        self.requests.turn(now)
        self.tokens.turn(now)

    def _denied(self, limits: Limits, most: int | None, spent: int, now: float) -> Denied | None:
        """Of all that stands against it, what stands the longest."""
        self.turn(now)
        against = self._by_tokens(limits, most, spent, now)
        if limits.concurrency is not None and self._flying >= limits.concurrency:
            against.append(Denied("concurrency", limits.concurrency, self._next()))
        if limits.rpm is not None and self.requests.used >= limits.rpm:
            wait = self.requests.until(now, limits.rpm - 1)
            against.append(Denied("rpm", limits.rpm, wait))
        return max(against, key=_longest) if against else None

    def _by_tokens(self, limits: Limits, most: int | None, spent: int, now: float) -> list[Denied]:
        against: list[Denied] = []
        monthly, tpm = limits.monthly_tokens, limits.tpm
        if monthly is not None and not self._fits(monthly, spent, most):
            wait = None if spent >= monthly else self._next()
            against.append(Denied("monthly_tokens", monthly, wait))
        if tpm is not None and not self._fits(tpm, self.tokens.used, most):
            # Alone it is let in as soon as anything is left.
            wait = self.tokens.until(now, tpm - 1)
            against.append(Denied("tpm", tpm, max(wait, self._next() if self._weighing else 0.0)))
        return against

    def _fits(self, limit: int, used: int, most: int | None) -> bool:
        if most == 0:
            return True
        if most is not None and not self._boundless and used + self._reserved + most <= limit:
            return True
        return not self._weighing and used < limit

    def _next(self) -> float:
        """Seconds until one of those in flight ends, as far as one can tell."""
        return max(_SHORTEST, self._lasting) / max(1, self._flying)


def _longest(denied: Denied) -> float:
    return inf if denied.wait is None else denied.wait
