"""What the gateway counts of each service: plain numbers, one call at the end of a request.

Prometheus' own counters cost some 10 us a request, so nothing of them is touched here; `exposition.py` shows
these at each scrape, `recent.py` tells the hub of them every second.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final, cast

from pierhead.core.traffic import GAPS, STEPS

NO_SERVICE: Final = "-"  #: requests that no service could be named for; no service has this name
#: Bounds in tokens per second of what one stream was written at.
RATES: Final[tuple[float, ...]] = (
    1.0,
    2.5,
    5.0,
    10.0,
    15.0,
    20.0,
    30.0,
    40.0,
    60.0,
    80.0,
    120.0,
    200.0,
    400.0,
    800.0,
    2000.0,
)


class Tokens:
    """Tokens of one answer."""

    __slots__ = ("completion", "guessed", "prompt")

    def __init__(self, prompt: int = 0, completion: int = 0, *, guessed: bool = False) -> None:
        """`guessed`: the answer did not say, or not to its end."""
        self.prompt, self.completion, self.guessed = prompt, completion, guessed

    @property
    def tokens(self) -> int:
        """Read and written."""
        return self.prompt + self.completion

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tokens):
            return False
        mine = self.prompt, self.completion, self.guessed
        return mine == (other.prompt, other.completion, other.guessed)

    def __hash__(self) -> int:
        return hash((self.prompt, self.completion, self.guessed))


class Ended:
    """A request that ended; moments are seconds of one clock."""

    service: str = ""  #: the route's name, "" if there is none
    status: int = 0  #: 0 = no reply began
    broken: bool = False  #: cut off after it had begun
    first_byte: float | None = None  #: when the first byte of the reply's body went out
    last_byte: float | None = None  #: when the last piece of it went out
    chunks: int = 0  #: pieces of a stream that went out; of what is no stream 1 at most
    held: float = 0.0  #: seconds that it waited for a first replica
    queued: float = 0.0  #: seconds that it waited for a slot
    tokens: Tokens | None = None  #: what the answer took; None = no engine answered


class Histogram:
    """Counts by bounds that are set once."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  #: the last one: above all bounds
        self.sum = 0.0

    def add(self, value: float) -> None:
        """One more; a value that is a bound counts below it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulative(self, bounds: Iterable[float]) -> list[tuple[float, int]]:
        """(bound, how many were no larger), for some of its bounds in their order, and of all."""
        wanted, found, so_far = set(bounds), list[tuple[float, int]](), 0
        for bound, count in zip(self.bounds, self.counts, strict=False):
            so_far += count
            if bound in wanted:
                found.append((bound, so_far))
        return [*found, (float("inf"), so_far + self.counts[-1])]

    def take(self, other: "Histogram") -> None:
        """What another one counted by the same bounds, too."""
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


#: What a tally has.
_COUNTED: Final = (
    "broken",
    "codes",
    "completion",
    "ejected",
    "ended",
    "errors",
    "gaps",
    "held",
    "prompt",
    "queued",
    "rates",
    "refused",
    "seconds",
    "ttft",
    "wakes",
)


class Tally:
    """All that was counted of one service since it is routed."""

    __slots__ = _COUNTED

    def __init__(self) -> None:
        self.ended = 0  #: requests
        self.errors = 0  #: of these, answered by 5xx or broken off
        self.codes: dict[int, int] = {}
        self.broken = self.wakes = 0
        self.prompt = self.completion = 0
        self.ejected: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self.seconds, self.ttft = Histogram(STEPS), Histogram(STEPS)
        self.held, self.queued = Histogram(STEPS), Histogram(STEPS)
        self.gaps, self.rates = Histogram(GAPS), Histogram(RATES)

    def take(self, other: "Tally") -> None:
        """What another service has, too."""
        for name in _COUNTED:  # compiled, a class has no `__slots__`
            mine, its = getattr(self, name), getattr(other, name)
            if isinstance(mine, Histogram):
                mine.take(its)
            elif isinstance(mine, dict):
                counts = cast("dict[object, int]", mine)
                for key, count in cast("dict[object, int]", its).items():
                    counts[key] = counts.get(key, 0) + count
            else:
                setattr(self, name, mine + its)


class Figures:
    """The counts of one gateway process."""

    def __init__(self) -> None:
        #: By the name of the service; of those that nobody asked for there is none.
        self.tallies: dict[str, Tally] = {}
        self._services: set[str] = set()

    def ended(self, request: Ended, begun: float, now: float) -> None:
        """Counts a finished request; its tokens are counted by `used`."""
        tally = self.tallies.get(request.service) or self._tally(request.service)
        status, codes = request.status, tally.codes
        tally.ended += 1
        codes[status] = codes.get(status, 0) + 1
        tally.seconds.add(now - begun)
        if status >= 500 or request.broken:
            tally.errors += 1
            tally.broken += request.broken
        first = request.first_byte
        if first is not None:
            tally.ttft.add(first - begun)
            if request.chunks > 1:
                _stream(tally, request, first)
        if request.held:
            tally.held.add(request.held)
        if request.queued:
            tally.queued.add(request.queued)

    def used(self, service: str, tokens: Tokens) -> None:
        """Counts the tokens of an answer of `service`."""
        tally = self.tallies.get(service) or self._tally(service)
        tally.prompt += tokens.prompt
        tally.completion += tokens.completion

    def ejected(self, service: str, why: str) -> None:
        """Counts a replica of `service` that was taken out of rotation."""
        _one_more(self._tally(service).ejected, why)

    def refused(self, service: str, limit: str) -> None:
        """Counts a request to `service` that was beyond a limit."""
        _one_more(self._tally(service).refused, limit)

    def woken(self, service: str) -> None:
        """Counts that `service`, at zero replicas, was asked to wake."""
        self._tally(service).wakes += 1

    def follow(self, come: Iterable[str], gone: Iterable[str]) -> None:
        """Knows the services that came, and drops the counts of those that are gone."""
        for name in gone:
            self._services.discard(name)
            self.tallies.pop(name, None)
        self._services.update(come)

    def known(self, told: Mapping[str, int]) -> dict[str, int]:
        """Counts by service, zero left out; those of unknown ones together, under `NO_SERVICE`."""
        found: dict[str, int] = {}
        for service, count in told.items():
            label = service if service in self._services else NO_SERVICE
            if count:
                found[label] = found.get(label, 0) + count
        return found

    def _tally(self, service: str) -> Tally:
        label = service if service in self._services else NO_SERVICE
        tally = self.tallies.get(label)
        if tally is None:
            tally = self.tallies[label] = Tally()
        return tally


def _stream(tally: Tally, request: Ended, first: float) -> None:
    """Mean gap between pieces, and tokens per second, of one stream: after the first one."""
    last = request.last_byte
    took = 0.0 if last is None else last - first
    if took <= 0:
        return
    tally.gaps.add(took / (request.chunks - 1))
    tokens = request.tokens
    if tokens is not None and tokens.completion > 1 and not tokens.guessed:
        tally.rates.add((tokens.completion - 1) / took)


def _one_more(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 0) + 1
