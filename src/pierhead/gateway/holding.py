"""Hold and wake: requests to a service at zero replicas are held while one start of it runs.

Whoever asks for a stream hears meanwhile how far the start is, in comments that clients pass over.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from pierhead.core.errors import Refused, Unavailable
from pierhead.core.routes import Route
from pierhead.gateway.answers import NoUpstream, Refusal, Waking, no_service
from pierhead.gateway.call import Call
from pierhead.gateway.deadlines import Deadlines
from pierhead.gateway.settings import GatewaySettings

_NEWS = 2.0  #: seconds between two questions how far the start is
_AGAIN = 0.5  #: seconds until the hub is asked again when it was not there
_AWAY = "the hub is not available"  #: all that a client hears of it; where it is, is ours to know
_RETRY = 5  #: seconds after which a client may come again, where nothing better is known


@dataclass(frozen=True, slots=True)
class Start:
    """How far a start is, as the hub tells."""

    phase: str = ""
    percent: int | None = None
    seconds: float | None = None  #: until it is ready, as far as can be told

    @property
    def words(self) -> str:
        """For people."""
        percent = "" if self.percent is None else f" {self.percent} %"
        return f"{self.phase or 'starting'}{percent}"


class Wakes(Protocol):
    """The hub."""

    async def wake(self, service: str) -> Start:
        """Starts a service that is at zero; one that starts already is left alone.

        Raises:
            Refused: it cannot be woken, for the reason that is told.
            Unavailable: the hub is not there.
        """
        ...


class Holding:
    """All requests that are held."""

    def __init__(
        self,
        settings: GatewaySettings,
        hub: Wakes,
        route: Callable[[str], Route | None],
        woken: Callable[[str], None],
        log: FilteringBoundLogger,
    ) -> None:
        """`route` finds the newest one of a service id; `woken` is told the name of a service each time."""
        self._log, self._hub_was_there = log, True
        loop = self._loop = asyncio.get_running_loop()
        self._settings, self._hub, self._route, self._woken = settings, hub, route, woken
        self.seconds = settings.hold_seconds
        self._sleepers: dict[str, _Sleeper] = {}
        self._count = self._bytes = 0
        self._late = Deadlines(settings.hold_seconds, loop, Held.late)
        self._beats = Deadlines(settings.hold_heartbeat_seconds, loop, Held.beat)

    @property
    def held(self) -> Mapping[str, int]:
        """Requests that are held, per service name, zero left out."""
        return {one.name: len(one.held) for one in self._sleepers.values() if one.held}

    def hold(self, call: Call, go: Callable[[], None]) -> None:
        """Holds a request until its service has a replica, then calls `go`.

        When all places are taken, the service that holds the most gives up its newest for one that
        holds less; so a crowd at one of them keeps no other from being woken and waited for.

        Raises:
            Refusal: there is no room for more. The call's entry is ended.
        """
        sleeper = self._sleeper(call.route)
        held = Held(self, sleeper, call, go)
        instead = self._instead(held)
        if instead is None:
            call.entry.end()
            raise held.too_many
        call.exchange.passing = held
        sleeper.held[held] = None
        sleeper.bytes += held.size
        self._count += 1
        self._bytes += held.size
        self._late.add(held)
        if call.asked.writes and call.asked.streams and not call.exchange.head.http_1_0:
            self._beats.add(held)
        for other in instead:  # last: the next request of their clients may come at once
            other.refuse(other.too_many)

    def _sleeper(self, route: Route) -> "_Sleeper":
        sleeper = self._sleepers.get(route.service)
        if sleeper is None:
            sleeper = self._sleepers[route.service] = _Sleeper(route.name)
            sleeper.task = self._loop.create_task(self._wake(route.service, sleeper))
            self._woken(route.name)
        return sleeper

    def _instead(self, held: "Held") -> "list[Held] | None":
        """Whom this one takes its room from: as a rule nobody. None = it gets none."""
        count, size, found = self._count + 1, self._bytes + held.size, list[Held]()
        if self._count == 0 or self._fits(count, size):
            return found
        own = held.sleeper
        most = max(self._sleepers.values(), key=lambda one: self._share(len(one.held), one.bytes))
        share = self._share(len(own.held) + 1, own.bytes + held.size)
        many, large = len(most.held), most.bytes
        for other in reversed(most.held):
            many, large, count, size = many - 1, large - other.size, count - 1, size - other.size
            if most is own or self._share(many, large) < share:
                return None
            found.append(other)
            if self._fits(count, size):
                return found
        return None

    def _fits(self, count: int, size: int) -> bool:
        return count <= self._settings.hold_limit and size <= self._settings.hold_bytes

    def _share(self, count: int, size: int) -> float:
        """Of the places or of the bytes, whichever is more."""
        settings = self._settings
        return max(count / max(1, settings.hold_limit), size / max(1, settings.hold_bytes))

    def follow(self) -> None:
        """A new table is in force."""
        for service, sleeper in list(self._sleepers.items()):
            route = self._route(service)
            if route is not None and route.targets:
                self._end(service, sleeper)
                for held in list(sleeper.held):
                    held.go()
            elif route is None or not route.wakes:
                self._end(service, sleeper)
                gone = no_service(sleeper.name) if route is None else NoUpstream()
                for held in list(sleeper.held):
                    held.refuse(gone)

    def release(self, held: "Held") -> None:
        """It is held no more; a second time does nothing."""
        sleeper, call = held.sleeper, held.call
        if held not in sleeper.held:
            return
        del sleeper.held[held]
        sleeper.bytes -= held.size
        self._count -= 1
        self._bytes -= held.size
        self._late.drop(held)
        self._beats.drop(held)
        if not sleeper.held and self._sleepers.get(call.route.service) is sleeper:
            self._end(call.route.service, sleeper)

    def again(self, held: "Held") -> None:
        """It had its heartbeat; the next one is due in a while."""
        self._beats.add(held)

    def close(self) -> None:
        """Asks the hub no more."""
        for service, sleeper in list(self._sleepers.items()):
            self._end(service, sleeper)

    def _end(self, service: str, sleeper: "_Sleeper") -> None:
        del self._sleepers[service]
        if sleeper.task is not None:
            sleeper.task.cancel()

    async def _wake(self, service: str, sleeper: "_Sleeper") -> None:
        """One start for all who wait; asked again for news, which starts nothing twice."""
        while True:
            try:
                sleeper.start = await self._hub.wake(service)
                sleeper.trouble = ""
                self._hub_was_there = True
            except Refused as refused:
                # First it goes: whoever comes while the others are told is to ask the hub anew.
                sleeper.task = None
                self._end(service, sleeper)
                for held in list(sleeper.held):
                    held.refuse(Waking(sleeper.name, refused.message, _RETRY))
                return
            except Unavailable as away:
                sleeper.trouble = _AWAY
                self._note_away(sleeper.name, away)
            await asyncio.sleep(_AGAIN if sleeper.trouble else _NEWS)
            if not sleeper.held:  # there was room for nobody
                sleeper.task = None
                self._end(service, sleeper)
                return

    def _note_away(self, name: str, away: Unavailable) -> None:
        """Once, until it answers again."""
        if self._hub_was_there:
            self._hub_was_there = False
            self._log.warning("the hub was not asked to wake", service=name, error=away.message)


class _Sleeper:
    """A service that wakes, and who waits for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.held: dict[Held, None] = {}  # in the order in which they came
        self.bytes = 0  # of their bodies
        self.start = Start()
        self.trouble = ""  # why the hub did not hear of it
        self.task: asyncio.Task[None] | None = None


class Held:
    """One request that is held: what its client's connection has to do with meanwhile."""

    __slots__ = ("_begun", "_go", "_holding", "call", "size", "sleeper")

    def __init__(
        self, holding: Holding, sleeper: _Sleeper, call: Call, go: Callable[[], None]
    ) -> None:
        self._holding, self.sleeper, self.call, self._go = holding, sleeper, call, go
        self._begun = monotonic()
        self.size = len(call.asked.body) + len(call.telling or b"")  #: bytes that are kept for it

    @property
    def too_many(self) -> Refusal:
        """There is no room for it."""
        start = self.sleeper.start
        message = f"too many requests wait for it ({start.words})"
        return Waking(self.sleeper.name, message, _retry(start))

    def go(self) -> None:
        """Its service has a replica."""
        self._holding.release(self)
        self.call.exchange.held = monotonic() - self._begun
        self._go()

    def refuse(self, refusal: Refusal) -> None:
        """It will have none."""
        self._holding.release(self)
        self.call.entry.end()
        self.call.exchange.passing = None
        self.call.exchange.refuse(refusal)

    def late(self) -> None:
        """It was held for as long as may be."""
        sleeper = self.sleeper
        why = sleeper.trouble or f"it is still {sleeper.start.words}"
        message = f"it was not ready within {self._holding.seconds:g} s: {why}"
        self.refuse(Waking(sleeper.name, message, _retry(sleeper.start)))

    def beat(self) -> None:
        """Tells how far the start is."""
        self.call.exchange.comment(self.sleeper.start.words)
        self._holding.again(self)

    def left(self) -> None:
        """The client is gone."""
        self._holding.release(self)
        self.call.entry.end()

    def pause(self) -> None:
        """A comment in a while is nothing that could be read too slowly."""

    def resume(self) -> None:
        """Nothing was held back."""


def _retry(start: Start) -> int:
    return max(1, round(start.seconds)) if start.seconds else _RETRY
