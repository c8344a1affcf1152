"""The queues of all services, one timer for all of them, and what they take from the route table. Pure."""

from collections.abc import Callable, Mapping
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from pierhead.core.routes import Route
from pierhead.gateway.bounds import Bounds, Rejection, Way
from pierhead.gateway.fair_queue import FREE, Elsewhere, FairQueue, Place

#: Seconds by which a loop's timer may come too early: it counts in milliseconds.
_EARLY = 0.001


class Timer(Protocol):
    """What `call_at` gives."""

    def cancel(self) -> None:
        """It shall not come."""
        ...


class _Service:
    """One service's queue, and the moment that is noted for it."""

    __slots__ = ("noted", "queue")

    def __init__(self, queue: FairQueue) -> None:
        self.queue = queue
        self.noted: float | None = None


class Lanes:
    """Where requests wait for a slot of their service, or for their token's own limit."""

    def __init__(
        self,
        now: Callable[[], float],
        call_at: Callable[[float, Callable[[], None]], Timer],
        elsewhere: Callable[[str, str], Elsewhere] | None = None,
    ) -> None:
        """`now` and `call_at`: of a loop; seconds of a clock that never goes back.

        `elsewhere`: what other processes have of a service's token; None = there are none.
        """
        self._now, self._call_at, self._elsewhere = now, call_at, elsewhere
        self._services: dict[str, _Service] = {}
        #: (moment, number, service): one per service at most that counts, others are passed over.
        self._moments: list[tuple[float, int, _Service]] = []
        self._numbers = count()
        self._timer: Timer | None = None
        self._armed = 0.0

    @property
    def services(self) -> tuple[str, ...]:
        """Ids of the services that have a queue, used or not."""
        return tuple(self._services)

    @property
    def waiting(self) -> Mapping[str, int]:
        """Requests that wait, per service id, zero left out."""
        counts = ((id_, one.queue.waiting) for id_, one in self._services.items())
        return {id_: waiting for id_, waiting in counts if waiting}

    @property
    def working(self) -> Mapping[str, int]:
        """Requests that take a slot, per service id, zero left out."""
        counts = ((id_, one.queue.working) for id_, one in self._services.items())
        return {id_: working for id_, working in counts if working}

    def enter(
        self,
        service: str,
        token: str,
        bounds: Bounds,
        go: Callable[[], None],
        refused: Callable[[Rejection], None],
        way: Way = Way.USUAL,
    ) -> Place | Rejection:
        """Asks for one request's place at a service.

        A place that does not wait is at work; one that waits is told later by `go` or by `refused`,
        once, unless it leaves before. Neither is called before this returns.
        """
        if bounds.slots is None and bounds.concurrency is None:
            return FREE
        found = self._services.get(service)
        if found is None:
            shared = self._elsewhere
            elsewhere = None if shared is None else partial(shared, service)
            found = self._services[service] = _Service(FairQueue(self._now, elsewhere))
        place = found.queue.enter(token, bounds, go, refused, way)
        # A noted moment may be of one that has gone: it comes early, and is put off then.
        if found.queue.waiting and (found.noted is None or self._elsewhere is not None):
            self._note(found)
            self._arm()
        return place

    def changed(self, service: str, bounds: Mapping[str, Bounds], replicas: frozenset[str]) -> None:
        """The table of routes says something else of a service: who may go now goes.

        `bounds`: as `bounds_of` gives them; `replicas`: ids of its targets.
        """
        found = self._services.get(service)
        if found is None:
            return
        # The new number of slots first: with the old one, those of gone replicas would be given away.
        for token, each in bounds.items():
            found.queue.bind(token, each)
        found.queue.retain(frozenset(bounds), replicas)
        self._note(found)
        self._arm()

    def gone(self, service: str) -> None:
        """The service is routed no more: all that wait go, and find out what became of it."""
        found = self._services.pop(service, None)
        if found is not None:
            found.queue.release()

    def _note(self, service: _Service) -> None:
        due, noted = service.queue.due, service.noted
        if due is not None and (noted is None or due < noted):
            service.noted = due
            heappush(self._moments, (due, next(self._numbers), service))

    def _arm(self) -> None:
        if not self._moments:
            return
        first = self._moments[0][0]
        if self._timer is not None:
            if self._armed <= first:
                return
            self._timer.cancel()
        self._armed = first
        self._timer = self._call_at(first, self._come)

    def _come(self) -> None:
        self._timer = None
        now = self._now() + _EARLY
        while self._moments and self._moments[0][0] <= now:
            moment, _, service = heappop(self._moments)
            if moment == service.noted:
                service.noted = None
                service.queue.expire(now)
                service.queue.look()
                self._note(service)
        self._arm()


def bounds_of(route: Route) -> dict[str, Bounds]:
    """What requests have to observe at `route`, by token; "" = without one. Make them once per table."""
    slots = route.slots * len(route.targets) if route.slots else None
    limits = {token.name: token.limits.concurrency for token in route.tokens}
    queue, seconds = route.queue, route.queue_seconds
    return {
        token: Bounds(slots, queue, seconds, limit)
        for token, limit in ({"": None} | limits).items()
    }
