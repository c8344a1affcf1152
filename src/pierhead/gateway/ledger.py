"""The book of tokens: who may use how much, and how much each did use. It asks nobody; the hub is told later."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Protocol

from pierhead.core.endpoint_tokens import Limits
from pierhead.core.ids import Clock
from pierhead.core.routes import Route, RouteToken
from pierhead.core.usage import NONE, Meter, Usage, month
from pierhead.gateway.allowance import Allowance, Denied, Stay
from pierhead.gateway.answers import OverLimit
from pierhead.gateway.asking import Asked
from pierhead.gateway.metering import NOTHING, Count, Counted

Key = tuple[str, str]  #: service id and token name
#: Tokens that an engine puts around a prompt, until it told how many they are.
_EXCESS = 256


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

    def __init__(self, end: Callable[[Counted | None], None]) -> None:
        self._end: Callable[[Counted | None], None] | None = end
        self.count: Count | None = None  #: set as soon as an engine answers

    def end(self) -> None:
        """It ended, however it did. A second time is none."""
        end, self._end = self._end, None
        if end is not None:
            end(self.count.counted if self.count else None)


class Ledger:
    """The use of all tokens by this process."""

    def __init__(self, now: Clock, clock: Clock, told: Told) -> None:
        """`now`: a clock that never goes back; `clock`: epoch seconds."""
        self._now, self._clock, self._told = now, clock, told
        self._allowances: dict[Key, Allowance] = {}
        self._excess: dict[tuple[str, bytes], int] = {}  # by service and kind of request
        self._meters: dict[tuple[str, str, str], Usage] = {}
        self._changed: set[tuple[str, str, str]] = set()
        self._elsewhere: dict[Key, _Spent] = {}

    def enter(self, route: Route, token: RouteToken | None, asked: Asked) -> Entry:
        """Lets a request in; `token` is what opened the service, None for one that asks for none.

        Raises:
            OverLimit: it is beyond one of the token's limits.
        """
        name = token.name if token else ""
        if token is None or token.limits.unlimited:
            return Entry(lambda counted: self._count(route, name, asked, counted))
        key = route.service, name
        allowance = self._allowances.get(key)
        if allowance is None:
            allowance = self._allowances[key] = Allowance()
        most = self._most(route, token.limits, asked)
        stay = allowance.enter(token.limits, most, self._spent(route, token), self._now())
        if isinstance(stay, Denied):
            self._told.refused(route.name, stay.limit)
            raise OverLimit(stay.limit, stay.value, self._wait(stay))
        return Entry(lambda counted: self._leave(route, name, asked, allowance, stay, counted))

    def changed(self) -> tuple[Meter, ...]:
        """The meters that changed since they were last taken; see `again`."""
        keys, self._changed = self._changed, set()
        return tuple(Meter(*key, self._meters[key]) for key in sorted(keys))

    def again(self, meters: Iterable[Meter]) -> None:
        """The hub did not take these: they count as changed."""
        self._changed |= {(meter.service, meter.token, meter.month) for meter in meters}

    def elsewhere(self, spent: Mapping[str, int]) -> None:
        """What other gateways used this month: `<service>/<token>` -> tokens."""
        now = month(self._clock())
        for name, tokens in spent.items():
            service, _, token = name.partition("/")
            self._elsewhere[service, token] = _Spent(now, tokens)

    def retain(self, tokens: Iterable[Key]) -> None:
        """Forgets the last minute of tokens that are gone, once it has passed."""
        kept, now = set(tokens), self._now()
        for key in self._allowances.keys() - kept:
            self._allowances[key].turn(now)
            if self._allowances[key].idle:
                del self._allowances[key]
        for key in self._elsewhere.keys() - kept:
            del self._elsewhere[key]
        services = {service for service, _ in kept}
        for kind in [kind for kind in self._excess if kind[0] not in services]:
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
        now = month(self._clock())
        own = self._meters.get((route.service, token.name, now), NONE).tokens
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

    def _leave(
        self,
        route: Route,
        name: str,
        asked: Asked,
        allowance: Allowance,
        stay: Stay,
        counted: Counted | None,
    ) -> None:
        allowance.leave(stay, (counted or NOTHING).tokens, self._now())
        self._count(route, name, asked, counted)

    def _count(self, route: Route, name: str, asked: Asked, counted: Counted | None) -> None:
        if counted is None:
            return
        if counted.prompt and not counted.guessed:
            kind, beyond = (route.service, asked.kind), counted.prompt - len(asked.body)
            self._excess[kind] = max(0, beyond, self._excess.get(kind, 0))
        key = route.service, name, month(self._clock())
        used = Usage(1, counted.prompt, counted.completion, int(counted.guessed))
        self._meters[key] = self._meters.get(key, NONE) + used
        self._changed.add(key)
        self._told.used(route.name, counted)


def _next_month(at: float) -> float:
    """Seconds until the next calendar month begins, in UTC."""
    now = datetime.fromtimestamp(at, UTC)
    year, number = divmod(now.year * 12 + now.month, 12)
    return datetime(year, number + 1, 1, tzinfo=UTC).timestamp() - at
