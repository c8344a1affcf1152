"""From a request that was let in to the relay: within the service's rate, and when its turn has come."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final, Protocol

from pierhead.core.routes import Route
from pierhead.gateway.answers import bad_token
from pierhead.gateway.bounds import Bounds, Rejection, Way
from pierhead.gateway.call import Call
from pierhead.gateway.fair_queue import Elsewhere, Place
from pierhead.gateway.lanes import Lanes, Timer, bounds_of
from pierhead.gateway.limits_answers import over_rate, rejected
from pierhead.gateway.rates import Rates
from pierhead.gateway.workers import Worker

_PARTS: Final = 1000  #: bounds whose parts are kept


class Loop(Protocol):
    """What is asked of an event loop."""

    def time(self) -> float:
        """Seconds of a clock that never goes back."""
        ...

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        """Calls back at a moment of `time`."""
        ...

    def call_soon(self, callback: Callable[[], None], /) -> object:
        """Calls back in the loop's next round."""
        ...


class Serves(Protocol):
    """The relay."""

    def serve(self, call: Call, over: Callable[[], None] | None = None) -> object:
        """Replies to the call; `over` is called once when that is done, however it ended."""
        ...


@dataclass(frozen=True, slots=True)
class Around:
    """Whom a queue asks and tells, and what several workers share."""

    #: Service id and name of a token: does it open the service by the newest table?
    opens: Callable[[str, str], bool] = lambda _service, _token: True
    #: Told the name of a service and the limit that a request to it was beyond.
    refused: Callable[[str, str], None] = lambda _service, _limit: None
    rates: Rates | None = None  #: those of all workers together
    worker: Worker | None = None  #: one of several, that have their parts of slots and queues
    #: What the others have at work of a service's token; None = there are no others.
    elsewhere: Callable[[str, str], Elsewhere] | None = None


class Turns:
    """Which call goes to the relay, and when."""

    def __init__(
        self,
        relay: Serves,
        loop: Loop,
        around: Around | None = None,
    ) -> None:
        self.around = around = around or Around()
        self.relay, self.loop = relay, loop
        self._rates, self._worker = around.rates or Rates(), around.worker
        self._parts: dict[Bounds, Bounds] = {}
        self.lanes = Lanes(loop.time, loop.call_at, around.elsewhere)

    def admit(self, call: Call) -> None:
        """Counts a request that begins, before anything else is done for it.

        Raises:
            Refusal: beyond the service's rate. The call's entry is ended.
        """
        route = call.route
        if not route.rate:
            return
        wait = self._rates.admit(route.service, route.rate, self.loop.time())
        if wait:
            call.entry.end()
            self.around.refused(route.name, "rate_limit")
            raise over_rate(route.name, route.rate, wait)

    def serve(self, call: Call, token: str, bounds: Bounds, *, released: bool = False) -> None:
        """Replies to the call, now or later; `bounds` are those of `token` by the newest table.

        `released`: it was held until now. Then there is always a place for it to wait.

        Raises:
            Refusal: no place in its queue. The call's entry is ended.
        """
        route = call.route
        if self._worker is not None:
            bounds = self._part(bounds, self._worker)
        # What asks a model server for no text takes none of its slots: it answers that beside its work.
        is_beside = call.asked.idle and route.api == "openai"
        if bounds.concurrency is None and (is_beside or bounds.slots is None):
            self.relay.serve(call)
            return
        turn = Turn(self, call, token)
        way = Way.BESIDE if is_beside else Way.RELEASED if released else Way.USUAL
        place = self.lanes.enter(route.service, token, bounds, turn.go, turn.refused, way)
        if isinstance(place, Rejection):
            call.entry.end()
            self.around.refused(route.name, place.why)
            raise rejected(place, route.name)
        turn.place = call.place = place
        if place.waits:
            turn.waits_since = monotonic()
            call.exchange.passing = turn
        else:
            turn.go()

    def follow(self, routes: Callable[[str], Route | None]) -> None:
        """A new table is in force; `routes` finds what it has for a service id."""
        for service in self.lanes.services:
            route = routes(service)
            if route is None:
                self.lanes.gone(service)
            else:
                replicas = frozenset(target.replica for target in route.targets)
                self.lanes.changed(service, self._bounds(route), replicas)
        self._rates.retain(service for service in self._rates.services if routes(service))

    def _bounds(self, route: Route) -> dict[str, Bounds]:
        worker, whole = self._worker, bounds_of(route)
        if worker is None:
            return whole
        return {token: self._part(bounds, worker) for token, bounds in whole.items()}

    def _part(self, bounds: Bounds, worker: Worker) -> Bounds:
        """What this worker has of them; the same object for the same bounds."""
        part = self._parts.get(bounds)
        if part is None:
            slots = None if bounds.slots is None else worker.part(bounds.slots)
            part = replace(bounds, slots=slots, queue=worker.part(bounds.queue))
            if len(self._parts) >= _PARTS:
                self._parts.clear()
            self._parts[bounds] = part
        return part

    @property
    def queued(self) -> Mapping[str, int]:
        """Requests that wait, per service id, zero left out."""
        return self.lanes.waiting


class Turn:
    """A call whose turn comes later: what its client's connection has to do with meanwhile."""

    __slots__ = ("_call", "_token", "_turns", "place", "waits_since")

    def __init__(self, turns: Turns, call: Call, token: str) -> None:
        self._turns, self._call, self._token = turns, call, token
        self.place: Place | None = None
        self.waits_since: float | None = None  #: seconds of the clock that requests are timed by

    def go(self) -> None:
        """Its turn has come."""
        call, turns = self._call, self._turns
        if self.waits_since is not None:
            call.exchange.queued = monotonic() - self.waits_since
            if not turns.around.opens(call.route.service, self._token):
                self._over()
                call.entry.end()
                call.exchange.refuse(bad_token())
                return
        turns.relay.serve(call, self._over)

    def refused(self, rejection: Rejection) -> None:
        """It will not come."""
        name = self._call.route.name
        self._call.entry.end()
        self._turns.around.refused(name, rejection.why)
        self._call.exchange.refuse(rejected(rejection, name))

    def left(self) -> None:
        """The client is gone."""
        self._call.entry.end()
        if self.place is not None:
            self.place.leave()

    def pause(self) -> None:
        """Nothing is sent yet that could be read too slowly."""

    def resume(self) -> None:
        """Nothing was held back."""

    def _over(self) -> None:
        # In the next round: by then the connection to the replica is free for the one that goes now.
        if self.place is not None:
            self._turns.loop.call_soon(self.place.leave)
