"""Who goes next at one service: a bounded queue that is fair between tokens. Pure.

A service works on so many requests at once: its slots. Those beyond wait in the lane of their token,
first come first served. Lanes take turns, one request each: of a token whose turn it is not, a flood
delays others by one request at a time. A lane that has as many at work as its token may have is passed
over until one of them ends. When every waiting place is taken, the longest lane gives up its newest
request for a token that has fewer waiting; so each token has its share of the places, too.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from pierhead.gateway.bounds import Bounds, Rejection, Way, Why

#: Weight of the newest request in the usual duration of one.
_NEWEST: Final = 0.2
#: Seconds between two looks at what other processes have at work: they do not tell when it ends.
LOOK: Final = 0.02


class Elsewhere(Protocol):
    """What other processes have at work of the same token, whose limit is for all of them."""

    def has_room(self, working: int, limit: int) -> bool:
        """May one more be at work, where `working` are here?"""
        ...

    def tell(self, working: int, waiting: int) -> None:
        """So many are at work here, and wait."""
        ...

    def forget(self) -> None:
        """None is at work here, and none will be."""
        ...


class Place:
    """Where a request is. This one is of a request that nothing bounds: it is shared and does nothing."""

    __slots__ = ()

    @property
    def waits(self) -> bool:
        """Is it still to be let go, or refused?"""
        return False

    def at(self, replica: str) -> None:
        """Say which replica works on it: once that is routed no more, its slot is not missing elsewhere."""

    def leave(self) -> None:
        """It ended, however it did, or its client left. A second time is none."""


FREE: Final = Place()


class _Held(Place):
    """The place of one request that is counted."""

    __slots__ = ("_queue", "beside", "go", "lane", "phase", "refused", "replica", "since")

    def __init__(
        self,
        queue: "FairQueue",
        lane: "_Lane",
        since: float,
        go: Callable[[], None],
        refused: Callable[[Rejection], None],
    ) -> None:
        self._queue, self.lane, self.since = queue, lane, since
        self.go, self.refused = go, refused
        self.phase = _WAITING
        self.replica = ""
        self.beside = False  # it takes no slot, and only counts for its token

    @property
    def waits(self) -> bool:
        return self.phase == _WAITING

    def at(self, replica: str) -> None:
        self._queue.work_at(self, replica)

    def leave(self) -> None:
        self._queue.leave(self)


_WAITING, _AT_WORK, _OVER = range(3)


class _Lane:
    """The requests of one token."""

    __slots__ = ("bounds", "elsewhere", "owner", "waiting", "working")

    def __init__(self, owner: str, elsewhere: Elsewhere | None) -> None:
        self.owner = owner  # the token's name
        self.elsewhere = elsewhere
        self.bounds = Bounds()
        self.working = 0
        self.waiting: OrderedDict[_Held, None] = OrderedDict()

    @property
    def has_room(self) -> bool:
        """May one more of them be at work?"""
        limit = self.bounds.concurrency
        if limit is None or self.elsewhere is None:
            return limit is None or self.working < limit
        return self.elsewhere.has_room(self.working, limit)

    @property
    def is_shared(self) -> bool:
        """Does its limit hold for other processes, too?"""
        return self.elsewhere is not None and self.bounds.concurrency is not None

    def tell(self) -> None:
        """Others are to know of a change."""
        if self.elsewhere is not None:
            self.elsewhere.tell(self.working, len(self.waiting))


class FairQueue:
    """The requests of one service. Callbacks may enter and leave, and must not raise."""

    def __init__(
        self,
        now: Callable[[], float],
        elsewhere: Callable[[str], Elsewhere] | None = None,
    ) -> None:
        """`now`: seconds of a clock that never goes back.

        `elsewhere`: what other processes have of a token, by its name; None = there are none.
        """
        self._now, self._elsewhere = now, elsewhere
        self._is_gone = False
        self._slots: int | None = None
        self._places = 0
        self._seconds = 0.0
        self._lanes: dict[str, _Lane] = {}
        self._queued: dict[str, _Lane] = {}  # those that have one waiting
        #: Lanes that have one waiting and may have one more at work, in the order of their turns.
        self._turns: OrderedDict[str, _Lane] = OrderedDict()
        self._order: OrderedDict[_Held, None] = OrderedDict()  # all that wait, by their coming
        self._working: set[_Held] = set()  # those that take a slot
        self._beside = 0  # how many wait that take none
        self._lasting = 0.0  # seconds that a request is at work as a rule
        self._is_letting_go = False

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._order)

    @property
    def working(self) -> int:
        """How many take a slot."""
        return len(self._working)

    @property
    def due(self) -> float | None:
        """When the next one has waited as long as it may, or is to be looked at; None = none waits."""
        first = next(iter(self._order), None)
        if first is None:
            return None
        due = first.since + self._seconds
        if self._elsewhere is None or not any(one.is_shared for one in self._queued.values()):
            return due
        return min(due, self._now() + LOOK)

    def enter(
        self,
        token: str,
        bounds: Bounds,
        go: Callable[[], None],
        refused: Callable[[Rejection], None],
        way: Way = Way.USUAL,
    ) -> Place | Rejection:
        """A place at work or, if `Place.waits`, one that is told later: by `go` or `refused`, once."""
        lane = self._lanes.get(token)
        if lane is None:
            asked = self._elsewhere is not None and bounds.concurrency is not None
            elsewhere = self._elsewhere(token) if asked and self._elsewhere else None
            lane = self._lanes[token] = _Lane(token, elsewhere)
        if lane.bounds is not bounds:
            self.bind(token, bounds)
        place = _Held(self, lane, self._now(), go, refused)
        place.beside = way is Way.BESIDE
        is_full = not self._goes_at_once(place) and len(self._order) >= self._places
        if is_full and way is not Way.RELEASED and not self._make_way(lane):
            return self._rejection(lane, Why.FULL)
        if self._goes_at_once(place):
            self._begin(place)
        else:
            lane.waiting[place] = self._order[place] = None
            self._beside += place.beside
            self._queued[token] = lane
            self._line_up(lane)
            lane.tell()
        return place

    def bind(self, token: str, bounds: Bounds) -> None:
        """From now on these hold, those of the service for all tokens; who may go now goes."""
        lane = self._lanes.get(token)
        if lane is not None:
            lane.bounds = bounds
            if lane.elsewhere is None and self._elsewhere and bounds.concurrency is not None:
                lane.elsewhere = self._elsewhere(token)
                lane.tell()
            self._line_up(lane)
        self._slots, self._places, self._seconds = bounds.slots, bounds.queue, bounds.seconds
        self._let_go()

    def retain(self, tokens: frozenset[str], replicas: frozenset[str]) -> None:
        """Forget tokens that are gone once they are idle, and slots of replicas that are routed no more.

        What those replicas still work on counts for its token alone.
        """
        for lane in list(self._lanes.values()):
            if lane.owner not in tokens and not (lane.working or lane.waiting):
                self._drop(lane)
        gone = {one for one in self._working if one.replica and one.replica not in replicas}
        self._working -= gone
        self._let_go()

    def release(self) -> None:
        """The service is gone: nothing bounds its requests any more, and all that wait go."""
        self._is_gone = True
        for token, lane in list(self._lanes.items()):
            self.bind(token, Bounds())
            if not lane.working:
                self._drop(lane)

    def look(self) -> None:
        """What other processes had at work may have ended: who may go now goes."""
        if self._elsewhere is not None and self._queued:
            for lane in list(self._queued.values()):
                self._line_up(lane)
            self._let_go()

    def expire(self, now: float) -> None:
        """Refuse those that have waited as long as one may."""
        while self._order:
            first = next(iter(self._order))
            if first.since + self._seconds > now:
                return
            self._refuse(first, Why.LATE)

    def work_at(self, place: _Held, replica: str) -> None:
        """A replica was chosen for it: the first, or another one after that failed."""
        place.replica = replica
        if place.phase == _AT_WORK and not place.beside:
            self._working.add(place)  # the first may be gone, and its slot with it

    def leave(self, place: _Held) -> None:
        """It ends, from wherever it is."""
        phase, lane = place.phase, place.lane
        if phase == _OVER:
            return
        if phase == _WAITING:
            self._take_out(place)
            return
        place.phase = _OVER
        self._working.discard(place)
        lane.working -= 1
        lane.tell()
        if self._is_gone and not lane.working:
            self._drop(lane)
        if not place.beside:
            lasted = self._now() - place.since
            self._lasting += (lasted - self._lasting) * (_NEWEST if self._lasting else 1.0)
        if self._order:
            self._line_up(lane)
            self._let_go()

    def _drop(self, lane: _Lane) -> None:
        self._lanes.pop(lane.owner, None)
        elsewhere, lane.elsewhere = lane.elsewhere, None
        if elsewhere is not None:
            elsewhere.forget()

    def _has_room(self) -> bool:
        return self._slots is None or len(self._working) < self._slots

    def _goes_at_once(self, place: _Held) -> bool:
        # A turn is left over only while others are being let go: it comes before this one.
        return place.lane.has_room and (place.beside or (not self._turns and self._has_room()))

    def _begin(self, place: _Held) -> None:
        place.phase = _AT_WORK
        place.since = self._now()
        place.lane.working += 1
        place.lane.tell()
        if not place.beside:
            self._working.add(place)

    def _line_up(self, lane: _Lane) -> None:
        """A lane takes its turn at the end, if it has one waiting that may go; else it has none."""
        if lane.waiting and lane.has_room:
            self._turns.setdefault(lane.owner, lane)
        else:
            self._turns.pop(lane.owner, None)

    def _let_go(self) -> None:
        if self._is_letting_go:
            return  # the one below this one goes on: a row of short requests would fill the stack
        self._is_letting_go = True
        try:
            while (place := self._next()) is not None:
                del self._turns[place.lane.owner]  # the next one of its lane comes after the others
                self._take_out(place)
                self._begin(place)
                self._line_up(place.lane)
                place.go()
        finally:
            self._is_letting_go = False

    def _next(self) -> _Held | None:
        """Whose turn it is; while no slot is free, of those that need none."""
        if self._has_room():
            for lane in list(self._turns.values()) if self._elsewhere else ():
                self._line_up(lane)  # others may have taken its room meanwhile
            first = next(iter(self._turns.values()), None)
            return None if first is None else next(iter(first.waiting))
        if not self._beside:
            return None
        waiting = (place for lane in self._turns.values() for place in lane.waiting)
        return next((place for place in waiting if place.beside), None)

    def _make_way(self, lane: _Lane) -> bool:
        """Refuse the newest of the longest lane for one of `lane`, if that has fewer then, too.

        There may be more waiting than places, as replicas went: those keep what they have.
        """
        longest = max(self._queued.values(), key=_waiting, default=lane)
        if not self._places or len(longest.waiting) <= len(lane.waiting) + 1:
            return False
        self._refuse(next(reversed(longest.waiting)), Why.FULL)
        return True

    def _refuse(self, place: _Held, why: Why) -> None:
        rejection = self._rejection(place.lane, why)
        self._take_out(place)
        place.refused(rejection)

    def _take_out(self, place: _Held) -> None:
        place.phase = _OVER
        del self._order[place]
        del place.lane.waiting[place]
        self._beside -= place.beside
        place.lane.tell()
        if not place.lane.waiting:
            del self._queued[place.lane.owner]
            self._turns.pop(place.lane.owner, None)

    def _rejection(self, lane: _Lane, why: Why) -> Rejection:
        own = lane.bounds.concurrency
        if own is not None and not lane.has_room:
            # More places would not help it, and another token's request might well go.
            wait = self._lasting * (len(lane.waiting) + 1) / own
            return Rejection(Why.CONCURRENCY, own, wait)
        value = self._places if why is Why.FULL else self._seconds
        wait = self._lasting * (len(self._order) + 1) / max(1, len(self._working))
        return Rejection(why, value, wait)


def _waiting(lane: _Lane) -> int:
    return len(lane.waiting)
