"""The book of tokens: who may use how much, and how much each did use. It asks nobody; the hub is told later."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Final, Protocol

from pierhead.core.endpoint_tokens import Limits
from pierhead.core.ids import Clock
from pierhead.core.routes import Route, RouteToken
from pierhead.core.usage import Meter, Usage, month
from pierhead.gateway.allowance import Allowance, Denied, Stay
from pierhead.gateway.answers import OverLimit
from pierhead.gateway.asking import Asked
from pierhead.gateway.metering import NOTHING, Count, Counted
from pierhead.gateway.shared import SharedUse

Key = tuple[str, str]  #: service id and token name
#: Tokens that an engine puts around a prompt, until it told how many they are.
_EXCESS: Final = 256


class Told(Protocol):
    """Who keeps the figures of a gateway."""

    def used(self, service: str, counted: Counted) -> None:
        """An answer of `service` took so many tokens."""
        ...

    def refused(self, service: str, limit: str) -> None:
        """A request to `service` was beyond a limit."""
        ...


@dataclass(frozen=True, slots=True)
class _Spent:
    month: str
    tokens: int


class Entry:
    """One request that was let in. It is counted once, when it ends, if an engine answered it."""

    __slots__ = ("_asked", "_ledger", "_name", "_over", "_route", "_stay", "count", "counted")

    def __init__(
        self,
        ledger: "Ledger",
        route: Route,
        name: str,
        asked: Asked,
        stay: tuple[Allowance, Stay] | None = None,
    ) -> None:
        """`name`: the token's; `stay`: its place among those of a token with limits."""
        self._ledger, self._route, self._name, self._asked = ledger, route, name, asked
        self._stay, self._over = stay, False
        self.count: Count | None = None  #: set as soon as an engine answers
        self.counted: Counted | None = None  #: at the end, if one did

    @property
    def is_bounded(self) -> bool:
        """Is it one of a token with limits, that other workers may count by?"""
        return self._stay is not None

    def end(self) -> None:
        """It ended, however it did. A second time is none."""
        if not self._over:
            self.close(self.count.counted if self.count is not None else None)

    def close(self, counted: Counted | None) -> None:
        """It ended, and took so much; once."""
        self._over, self.counted = True, counted
        if self._stay is not None:
            self._ledger.leave(self._stay, counted)
        if counted is not None:
            self._ledger.note(self._route, self._name, self._asked, counted)


class Ledger:
    """The use of all tokens by this process."""

    def __init__(
        self, now: Clock, clock: Clock, told: Told, shared: SharedUse | None = None
    ) -> None:
        """`now`: a clock that never goes back; `clock`: epoch seconds; `shared`: with other processes."""
        self._now, self._clock, self._told, self._shared = now, clock, told, shared
        self._gone: set[Key] = set()
        self._bounded: dict[str, tuple[Route, bool]] = {}
        self._allowances: dict[Key, Allowance] = {}
        self._excess: dict[tuple[str, bytes], int] = {}  # by service and kind of request
        self._meters: dict[tuple[str, str, str], _Tally] = {}
        self._month = ""
        self._month_begins = self._month_ends = 0.0  # epoch seconds between which it is surely so
        self._changed: set[tuple[str, str, str]] = set()
        self._elsewhere: dict[Key, _Spent] = {}

    def enter(self, route: Route, token: RouteToken | None, asked: Asked) -> Entry:
        """Lets a request in; `token` is what opened the service, None for one that asks for none.

        Raises:
            OverLimit: it is beyond one of the token's limits.
        """
        name = token.name if token else ""
        if token is None or _is_free(token.limits):
            return Entry(self, route, name, asked)
        key = route.service, name
        allowance = self._allowances.get(key)
        if allowance is None:
            shared = self._shared
            made = shared.allowance(*key, queued=True) if shared else Allowance(queued=True)
            allowance = self._allowances[key] = made
        most = self._most(route, token.limits, asked)
        stay = allowance.enter(token.limits, most, self._spent(route, token), self._now())
        if isinstance(stay, Denied):
            self._told.refused(route.name, stay.limit)
            raise OverLimit(stay.limit, stay.value, self._wait(stay))
        return Entry(self, route, name, asked, (allowance, stay))

    def changed(self) -> tuple[Meter, ...]:
        """The meters that changed since they were last taken; see `again`."""
        keys, self._changed = self._changed, set()
        return tuple(Meter(*key, self._meters[key].usage) for key in sorted(keys))

    def again(self, meters: Iterable[Meter]) -> None:
        """The hub did not take these: they count as changed."""
        self._changed |= {(meter.service, meter.token, meter.month) for meter in meters}

    def elsewhere(self, spent: Mapping[str, int]) -> None:
        """What other gateways used this month: `<service>/<token>` -> tokens."""
        now = month(self._clock())
        for name, tokens in spent.items():
            service, _, token = name.partition("/")
            self._elsewhere[service, token] = _Spent(now, tokens)

    def forget(self, tokens: Iterable[Key], services: Iterable[str] = ()) -> None:
        """Tokens and services that are gone; what was used of a token in the last minute counts as long."""
        self._gone.update(tokens)
        now = self._now()
        for key in list(self._gone):
            self._elsewhere.pop(key, None)
            allowance = self._allowances.get(key)
            if allowance is not None:
                allowance.turn(now)
                if not allowance.idle:
                    continue
                del self._allowances[key]
                if self._shared is not None:
                    self._shared.forget(*key)
            self._gone.discard(key)
        gone = frozenset(services)
        for service in gone:
            self._bounded.pop(service, None)
        for kind in [kind for kind in self._excess if kind[0] in gone]:
            del self._excess[kind]

    def _most(self, route: Route, limits: Limits, asked: Asked) -> int | None:
        if limits.tpm is None and limits.monthly_tokens is None:
            return 0
        if asked.idle and route.api == "openai":
            return 0
        return asked.bound(self._excess.get((route.service, asked.kind), _EXCESS))

    def _spent(self, route: Route, token: RouteToken) -> int:
        """What was used of a token this month, wherever it was."""
        if token.limits.monthly_tokens is None:
            return 0
        now = self._now_month()
        tally = self._meters.get((route.service, token.name, now))
        own = tally.usage.tokens if tally else 0
        other = self._elsewhere.get((route.service, token.name))
        if other is None:
            other = _Spent(token.spent_in, token.spent)
        return own + (other.tokens if other.month == now else 0)

    def _wait(self, denied: Denied) -> int:
        """Whole seconds, one at least."""
        wait = denied.wait
        if wait is None:
            wait = _next_month(self._clock())
        return max(1, ceil(wait))

    def leave(self, stay: tuple[Allowance, Stay], counted: Counted | None) -> None:
        """A request of a token with limits ended."""
        allowance, place = stay
        allowance.leave(place, (counted or NOTHING).tokens, self._now())

    def note(self, route: Route, name: str, asked: Asked, counted: Counted) -> None:
        """An engine answered a request."""
        if counted.prompt and not counted.guessed and self._matters(route):
            self._learn(route, asked, counted.prompt - len(asked.body))
        key = route.service, name, self._now_month()
        tally = self._meters.get(key)
        if tally is None:
            tally = self._meters[key] = _Tally()
        tally.add(counted)
        self._changed.add(key)
        self._told.used(route.name, counted)

    def _matters(self, route: Route) -> bool:
        """Has any token of it a limit of tokens?"""
        known = self._bounded.get(route.service)
        if known is None or known[0] is not route:
            limits = [token.limits for token in route.tokens]
            bounded = any(not (x.tpm is None and x.monthly_tokens is None) for x in limits)
            known = self._bounded[route.service] = route, bounded
        return known[1]

    def _learn(self, route: Route, asked: Asked, beyond: int) -> None:
        """How many tokens this engine puts around a prompt, beyond one for each byte."""
        kind = route.service, asked.kind
        known = self._excess.get(kind)
        if known is None or beyond > known:
            self._excess[kind] = max(0, beyond)

    def _now_month(self) -> str:
        now = self._clock()
        if not self._month_begins <= now < self._month_ends:
            self._month, self._month_begins = month(now), now
            self._month_ends = now + _next_month(now)
        return self._month


def _is_free(limits: Limits) -> bool:
    """As `Limits.unlimited`, without a call of Python's that would be the only one of a request."""
    free = limits.rpm is None and limits.tpm is None
    return free and limits.concurrency is None and limits.monthly_tokens is None


class _Tally:
    """The use of one token in one month, as it grows."""

    __slots__ = ("completion", "estimated", "prompt", "requests")

    def __init__(self) -> None:
        self.requests = self.prompt = self.completion = self.estimated = 0

    def add(self, counted: Counted) -> None:
        """One more request."""
        self.requests += 1
        self.prompt += counted.prompt
        self.completion += counted.completion
        self.estimated += counted.guessed

    @property
    def usage(self) -> Usage:
        """As it is told."""
        return Usage(self.requests, self.prompt, self.completion, self.estimated)


def _next_month(at: float) -> float:
    """Seconds until the next calendar month begins, in UTC."""
    now = datetime.fromtimestamp(at, UTC)
    year, number = divmod(now.year * 12 + now.month, 12)
    return datetime(year, number + 1, 1, tzinfo=UTC).timestamp() - at
