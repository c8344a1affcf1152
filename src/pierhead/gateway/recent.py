"""What the hub is told of traffic each second: the difference between the counts now and `SPAN` seconds ago."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pierhead.core.traffic import SPAN, ServiceFigures
from pierhead.gateway.figures import Figures, Tally
from pierhead.gateway.table import LiveTable, Served

#: Seconds between two looks that are kept; reports may come closer together.
_APART = 0.5
#: Rates are over this at least, in seconds: one request in the first moment is no crowd.
_SHORTEST = 1.0

Counts = Callable[[], Mapping[str, int]]


def _nothing() -> Mapping[str, int]:
    return {}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is so at this moment, by service name: asked at each report."""

    queued: Counts = _nothing  #: requests that wait for a slot
    held: Counts = _nothing  #: requests that wait for a first replica
    #: Tokens that streams under way have written so far; without it those of a long answer all count
    #: at its end.
    streaming: Counts = _nothing


@dataclass(frozen=True, slots=True)
class _Look:
    """What was counted of a service until a moment."""

    at: float
    ended: int = 0
    errors: int = 0
    prompt: int = 0
    completion: int = 0
    ttft: tuple[int, ...] = ()  #: empty = nothing
    seconds: tuple[int, ...] = ()
    gaps: tuple[int, ...] = ()

    def same(self, other: "_Look") -> bool:
        """Was nothing counted in between?"""
        mine = self.ended, self.errors, self.prompt, self.completion
        return mine == (other.ended, other.errors, other.prompt, other.completion)


@dataclass(slots=True)
class _Placed:
    """Which service each replica is of; those that left the table are kept while they are busy."""

    table: Served | None = None
    services: dict[str, str] = field(default_factory=dict[str, str])

    def of(self, served: Served, busy: Mapping[str, int]) -> Mapping[str, str]:
        """Replica -> service id."""
        if served is not self.table:
            left = {one: service for one, service in self.services.items() if one in busy}
            routed = {
                target.replica: gate.route.service
                for gate in served.services.values()
                for target in gate.route.targets
            }
            self.table, self.services = served, left | routed
        return self.services


class Recent:
    """The figures of the last seconds, of every service that has any."""

    def __init__(
        self,
        figures: Figures,
        live: LiveTable,
        now: Callable[[], float],
        outstanding: Counts,
        waiting: Waiting | None = None,
    ) -> None:
        """`now`: seconds of a clock that never goes back; `outstanding`: by replica."""
        self._figures, self._live, self._now = figures, live, now
        self._outstanding, self._waiting = outstanding, waiting or Waiting()
        self._looks: dict[str, deque[_Look]] = {}
        self._placed = _Placed()
        self._before = now()

    def __call__(self) -> dict[str, ServiceFigures]:
        """By service id; idle ones are left out."""
        served = self._live.served
        if served is None:
            return {}
        now, tallies = self._now(), self._figures.tallies
        for gone in [name for name in self._looks if name not in served.gates]:
            del self._looks[gone]
        busy = self._in_flight(served)
        queued, held = self._waiting.queued(), self._waiting.held()
        streaming = self._waiting.streaming()
        found: dict[str, ServiceFigures] = {}
        for name in {*tallies, *busy, *queued, *held, *streaming}:
            here = busy.get(name, 0), queued.get(name, 0), held.get(name, 0)
            tally, written = tallies.get(name), streaming.get(name, 0)
            if not any(here) and self._is_quiet(name, tally, written):
                continue  # most of many services, each second
            gate = served.gates.get(name)
            if gate is not None and gate.route.name == name:
                look = _look(now, tally, written)
                told = _difference(self._since(name, look), look, here)
                if not told.idle:
                    found[gate.route.service] = told
        self._before = now
        return found

    def _is_quiet(self, name: str, tally: Tally | None, written: int) -> bool:
        """Was nothing counted for `SPAN` seconds?"""
        looks = self._looks.get(name)
        if tally is None or looks is None or len(looks) > 1:
            return False
        first = looks[0]
        return tally.ended == first.ended and tally.completion + written == first.completion

    def _since(self, name: str, look: _Look) -> _Look:
        """What was counted `SPAN` seconds ago, or when it began to be counted again."""
        looks = self._looks.get(name)
        if looks is None:
            looks = self._looks[name] = deque([_Look(self._before)])
        while len(looks) > 1 and looks[1].at <= look.at - SPAN:
            looks.popleft()
        if len(looks) == 1:  # whatever is new came after the report before this one
            looks[0] = replace(looks[0], at=max(looks[0].at, self._before))
        apart = len(looks) == 1 or look.at - looks[-1].at >= _APART
        if apart and not looks[-1].same(look):
            looks.append(look)
        return looks[0]

    def _in_flight(self, served: Served) -> dict[str, int]:
        """By service name."""
        busy, found = self._outstanding(), dict[str, int]()
        placed = self._placed.of(served, busy)
        for replica, count in busy.items():
            gate = served.services.get(placed.get(replica, ""))
            if gate is not None and count:
                found[gate.route.name] = found.get(gate.route.name, 0) + count
        return found


def _look(now: float, tally: Tally | None, streaming: int) -> _Look:
    if tally is None:
        return _Look(now, completion=streaming)
    return _Look(
        now,
        tally.ended,
        tally.errors,
        tally.prompt,
        tally.completion + streaming,
        tuple(tally.ttft.counts),
        tuple(tally.seconds.counts),
        tuple(tally.gaps.counts),
    )


def _difference(before: _Look, after: _Look, here: tuple[int, int, int]) -> ServiceFigures:
    """`here`: in flight, queued, held."""
    seconds = max(_SHORTEST, after.at - before.at)

    def rate(start: int, end: int) -> float:
        # A guess of what a stream wrote may have been too high.
        return round(max(0, end - start) / seconds, 3)

    in_flight, queued, held = here
    return ServiceFigures(
        requests=rate(before.ended, after.ended),
        errors=rate(before.errors, after.errors),
        prompt=rate(before.prompt, after.prompt),
        tokens=rate(before.completion, after.completion),
        in_flight=in_flight,
        queued=queued,
        held=held,
        ttft=_more(before.ttft, after.ttft),
        seconds=_more(before.seconds, after.seconds),
        gaps=_more(before.gaps, after.gaps),
    )


def _more(before: tuple[int, ...], after: tuple[int, ...]) -> dict[int, int]:
    """What was counted since, by step."""
    former = before or (0,) * len(after)
    counts = enumerate(zip(former, after, strict=False))
    return {step: end - start for step, (start, end) in counts if end > start}
