"""The routes of all services as gateways are told them: whole, or what changed since a revision.

Whatever happens once per change costs the same for one service and for thousands: the text of a route
is made when it is first told and kept until the route changes, and what changed is a list by revision.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from pierhead.core.ids import Clock
from pierhead.core.route_news import dump_change
from pierhead.core.routes import Route, RouteTable, dump_route, dump_table, table
from pierhead.core.usage import month

#: Services whose last change is known by revision; who asks for older ones gets the whole table.
REMEMBERED = 5000
#: Texts that are made before others get a turn: about a millisecond.
_SLICE = 50

Spent = Callable[[str, str], int]  #: (service, token) -> tokens used this month


class _Line(NamedTuple):
    """A route and its text."""

    route: Route
    text: bytes


class Published:
    """Routes by service id, at a revision that never repeats."""

    def __init__(self, clock: Clock, spent: Spent) -> None:
        self._clock, self._spent = clock, spent
        self.routes: dict[str, Route] = {}
        self.left: dict[str, int] = {}  #: leaving replica -> first revision without it
        # From the clock, so that a restarted hub never gives an old number to a new table.
        self.revision = self.origin = int(clock() * 1000)
        self._lines: dict[str, _Line] = {}  # but of those in `_monthly`
        self._whole: tuple[tuple[int, tuple[str, ...]], bytes] = ((0, ()), b"")
        self._monthly: dict[str, tuple[str, ...]] = {}  # service -> its tokens with such a limit
        self._last: OrderedDict[str, int] = OrderedDict()  # service -> revision of its last change
        self._forgotten = self.origin  # what changed until then is not known any more

    @property
    def table(self) -> RouteTable:
        """The newest table, made for the one who asks."""
        routes = [self._with_use(route) for route in self.routes.values()]
        return table(self.revision, routes, frozenset(self.left), self.origin)

    @property
    def limited(self) -> Iterator[tuple[str, str]]:
        """(service, token) of every token that has a limit by the month."""
        for service, names in self._monthly.items():
            yield from ((service, name) for name in names)

    def put(self, route: Route) -> None:
        """Route a service so, from the next revision on."""
        service = route.service
        self.routes[service] = route
        limited = (t.name for t in route.tokens if t.limits.monthly_tokens is not None)
        names = tuple(dict.fromkeys(limited))
        if names:
            self._monthly[service] = names
        else:
            self._monthly.pop(service, None)
        self._note(service)

    def drop(self, service: str) -> bool:
        """Route a service no more, from the next revision on; False if it was not."""
        if self.routes.pop(service, None) is None:
            return False
        self._monthly.pop(service, None)
        self._note(service)
        return True

    async def told(self, revision: int, origin: int) -> bytes:
        """What changed since `revision` of `origin`, if that is known, or all, as JSON."""
        if origin == self.origin and self._forgotten <= revision <= self.revision:
            return await self._change(revision)
        return await self.whole()

    async def whole(self) -> bytes:
        """All routes as JSON. Others get their turn meanwhile; what they change is in it."""
        if self._monthly or self._whole[0] != self._state:
            lines = await self._texts(lambda: self.routes)
            text = dump_table(self.revision, self.origin, self.left, lines)
            self._whole = self._state, text
        return self._whole[1]

    @property
    def _state(self) -> tuple[int, tuple[str, ...]]:
        """What of the whole table's text may change, but for what was used."""
        return self.revision, tuple(self.left)

    async def _change(self, base: int) -> bytes:
        lines = await self._texts(lambda: self._since(base))
        removed = [service for service in self._since(base) if service not in self.routes]
        return dump_change((base, self.revision), self.origin, self.left, lines, removed)

    async def _texts(self, services: Callable[[], Iterable[str]]) -> list[bytes]:
        """The lines of these services, as of the moment in which this returns."""
        fresh: dict[str, _Line] = {}  # what tells of use is old in a moment
        while True:
            lines: list[bytes] = []
            late: list[Route] = []
            for route in filter(None, map(self.routes.get, services())):
                line = fresh.get(route.service) or self._lines.get(route.service)
                if line is not None and line.route is route:
                    lines.append(line.text)
                else:
                    late.append(route)
            if not late:
                return lines
            await self._write_lines(late, fresh)

    async def _write_lines(self, routes: list[Route], fresh: dict[str, _Line]) -> None:
        for count, route in enumerate(routes):
            if count % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            if self.routes.get(route.service) is route:
                kept = fresh if route.service in self._monthly else self._lines
                kept[route.service] = _Line(route, dump_route(self._with_use(route)))

    def _since(self, revision: int) -> list[str]:
        """Services that changed after `revision`."""
        found: list[str] = []
        for service in reversed(self._last):
            if self._last[service] <= revision:
                break
            found.append(service)
        return found

    def _with_use(self, route: Route) -> Route:
        """The route as it goes out: with what was used of tokens that have a limit by the month."""
        if route.service not in self._monthly:
            return route
        now = month(self._clock())
        tokens = (
            token
            if token.limits.monthly_tokens is None
            else replace(token, spent=self._spent(route.service, token.name), spent_in=now)
            for token in route.tokens
        )
        return replace(route, tokens=tuple(tokens))

    def _note(self, service: str) -> None:
        self._lines.pop(service, None)
        self._last[service] = self.revision + 1
        self._last.move_to_end(service)
        if len(self._last) > REMEMBERED:
            _service, self._forgotten = self._last.popitem(last=False)
