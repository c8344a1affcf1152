"""Builds what is served next, aside from what is served now: it copies the index and touches what changed.

A copy of a dict of 5,000 entries costs some 50 us; a request in flight keeps the index it began with.
"""

from collections.abc import Generator, Iterable

from pierhead.core.route_news import News
from pierhead.core.routes import Route, RouteTable, precedence
from pierhead.gateway.lanes import bounds_of
from pierhead.gateway.served import Change, Gate, Served
from pierhead.gateway.tokens import Lock, lock

#: Routes that are indexed in one slice: about a millisecond.
_SLICE = 100


class Draft:
    """The next `Served`, in the making. It shares nothing with the present one that it changes."""

    def __init__(self, served: Served | None) -> None:
        """`served`: what it begins as; None = nothing is routed."""
        self._served = served
        self._before: dict[str, Gate] = {}
        self._after: dict[str, Gate] = {}
        self._opened_changed = False
        self._routes = dict(served.table.routes) if served else {}
        self._gates = dict(served.gates) if served else {}
        self._services = dict(served.services) if served else {}
        self._keys = dict(served.keys) if served else {}
        # Digests whose gates change -> by service: one token may open thousands.
        self._keyed: dict[bytes, dict[str, Gate]] = {}
        self._contested = dict(served.contested) if served else {}
        self._lines = dict(served.lines) if served else {}

    def put(self, route: Route, line: bytes | None = None) -> None:
        """Routes a service so from here on; `line`: what it came as."""
        service = route.service
        old = self._services.get(service)
        if line is None:
            self._lines.pop(service, None)
        else:
            self._lines[service] = line
        if old is not None and old.route == route:
            return
        bounds = bounds_of(route)
        bounded = any(
            not (each.slots is None and each.concurrency is None) for each in bounds.values()
        )
        gate = Gate(route, _locks(route, old), bounds, is_plain=not (route.rate or bounded))
        self._note(service, old)
        self._after[service] = self._services[service] = gate
        self._opened_changed |= route.open
        if old is not None:
            self._withdraw(old, but=_names_of(route))
            self._lock_out(old)
        for name in _names_of(route):
            self._claim(name, gate)
        for one in gate.locks:
            self._opening(one)[service] = gate

    def remove(self, service: str) -> None:
        """Routes a service no more; one that is not routed is none."""
        old = self._services.pop(service, None)
        self._lines.pop(service, None)
        if old is None:
            return
        self._note(service, old)
        self._after.pop(service, None)
        self._withdraw(old, but=())
        self._lock_out(old)

    def services(self) -> Iterable[str]:
        """Ids of all that are routed."""
        return self._services.keys()

    def done(self, revision: int, origin: int, draining: frozenset[str]) -> tuple[Served, Change]:
        """What is served from here on, and what that changes. The draft is of no more use."""
        self._turn_keys()
        table = RouteTable(revision, self._routes, draining, origin)
        unlocked = self._served.unlocked if self._served else ()
        if self._opened_changed:
            kept = (g for g in unlocked if self._services.get(g.route.service) is g)
            came = (g for g in self._after.values() if g.route.open)
            unlocked = (*kept, *came)
        served = Served(
            table,
            self._gates,
            self._services,
            self._keys,
            unlocked,
            self._contested,
            self._lines,
        )
        drained = self._served.table.draining if self._served else frozenset[str]()
        return served, Change(self._before, self._after, drained, draining)

    def _note(self, service: str, old: Gate | None) -> None:
        """Keep what a service was in the beginning."""
        if old is not None and service not in self._after:
            self._before[service] = old
        self._opened_changed |= old is not None and old.route.open

    def _claim(self, name: str, gate: Gate) -> None:
        service = gate.route.service
        holder = self._gates.get(name)
        if name not in self._contested:
            if holder is None or holder.route.service == service:
                self._give(name, gate)
                return
            self._contested[name] = frozenset({holder.route.service, service})
        else:
            self._contested[name] |= {service}
        self._settle(name)

    def _withdraw(self, old: Gate, but: tuple[str, ...]) -> None:
        for name in _names_of(old.route):
            if name in but:
                continue
            if name in self._contested:
                self._contested[name] -= {old.route.service}
                self._settle(name)
            else:
                self._gates.pop(name, None)
                self._routes.pop(name, None)

    def _settle(self, name: str) -> None:
        """Gives a name to the first of those that answer to it."""
        claimants = self._contested[name]
        if len(claimants) == 1:
            del self._contested[name]
        gates = (self._services[service] for service in claimants)
        self._give(name, min(gates, key=lambda gate: precedence(gate.route, name)))

    def _give(self, name: str, gate: Gate) -> None:
        self._gates[name], self._routes[name] = gate, gate.route

    def _lock_out(self, old: Gate) -> None:
        for one in old.locks:
            self._opening(one).pop(old.route.service, None)

    def _opening(self, one: Lock) -> dict[str, Gate]:
        """The gates that a token opens."""
        found = self._keyed.get(one.digest)
        if found is None:
            there = self._keys.get(one.digest, ())
            found = self._keyed[one.digest] = {gate.route.service: gate for gate in there}
        return found

    def _turn_keys(self) -> None:
        for digest, gates in self._keyed.items():
            if gates:
                self._keys[digest] = tuple(gates.values())
            else:
                self._keys.pop(digest, None)


def _names_of(route: Route) -> tuple[str, ...]:
    return tuple(dict.fromkeys((route.name, *route.aliases)))


def _locks(route: Route, old: Gate | None) -> tuple[Lock, ...]:
    if old is not None and old.route.tokens == route.tokens:
        return old.locks
    return tuple(lock(token) for token in route.tokens if token.secret)


def drafting(served: Served | None, news: News) -> Generator[None, None, tuple[Served, Change]]:
    """What is served after `news`, a slice at each step; a change must be one of `served`."""
    draft = Draft(served)
    yield
    removed: Iterable[str] = news.removed
    if news.base is None:
        there = news.kept.union(route.service for route, _line in news.changed)
        removed = [service for service in draft.services() if service not in there]
    yield
    for service in removed:
        draft.remove(service)
    for count, (route, line) in enumerate(news.changed):
        if count % _SLICE == _SLICE - 1:
            yield
        draft.put(route, line)
    return draft.done(news.revision, news.origin, news.draining)
