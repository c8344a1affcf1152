"""What services are busy with, as gateways tell it every second: their figures, and how several add up. Pure.

Times to the first byte come as counts by step, not as percentiles: counts of several gateways add up to
what one gateway would have counted, percentiles do not.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

#: Seconds over which a gateway takes its rates and counts its times.
SPAN = 10.0
_SHAPE = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
#: Upper bounds of the steps in seconds, 1 ms to 600 s, each at most a third above the one before.
STEPS = tuple(
    bound
    for power in range(-3, 3)
    for factor in _SHAPE
    if (bound := float(f"{factor:g}e{power}")) <= 600
)
#: Upper bounds in seconds of the gaps between the pieces of a stream.
GAPS = (
    0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """One service in the last `SPAN` seconds; rates are per second. Of a gateway, or of several together."""

    requests: float = 0.0  #: that ended
    errors: float = 0.0  #: of these, answered by 5xx or broken off
    prompt: float = 0.0  #: tokens read
    tokens: float = 0.0  #: tokens written
    in_flight: int = 0  #: requests that replicas are busy with now
    queued: int = 0  #: requests that wait for a replica's slot now
    held: int = 0  #: requests that wait for a first replica now
    #: Number of a step of `STEPS` (its length = above all) -> requests whose first byte took so long.
    ttft: Mapping[int, int] = field(default_factory=dict[int, int])
    #: The same of whole requests, from their first byte in to their last byte out.
    seconds: Mapping[int, int] = field(default_factory=dict[int, int])
    #: Number of a step of `GAPS` -> streams whose pieces came so far apart, in the mean.
    gaps: Mapping[int, int] = field(default_factory=dict[int, int])

    @property
    def idle(self) -> bool:
        """Is there nothing to tell?"""
        return self == _NOTHING

    def ttft_at(self, share: float) -> float | None:
        """Seconds within which this share (0..1) had its first byte; None = there was none."""
        return quantile(self.ttft, share)

    def seconds_at(self, share: float) -> float | None:
        """Seconds within which this share (0..1) had ended; None = none did."""
        return quantile(self.seconds, share)

    def gap_at(self, share: float) -> float | None:
        """Seconds between two pieces of a stream, of this share (0..1) at most; None = none ended."""
        return quantile(self.gaps, share, GAPS)


_NOTHING = ServiceFigures()


@dataclass(frozen=True, slots=True)
class Traffic:
    """What all gateways together tell of the last seconds."""

    gateways: int = 0  #: that were heard of just now; 0 = nobody knows anything
    #: By service id; idle ones are left out.
    services: Mapping[str, ServiceFigures] = field(default_factory=dict[str, ServiceFigures])
    #: Replica -> requests that it is busy with; a gateway of an older release tells no more than this.
    outstanding: Mapping[str, int] = field(default_factory=dict[str, int])

    def of(self, service: str, replicas: Iterable[str] = ()) -> ServiceFigures:
        """Of one service by its id; `replicas`: all that it has."""
        figures = self.services.get(service, _NOTHING)
        busy = sum(self.outstanding.get(replica, 0) for replica in replicas)
        return replace(figures, in_flight=max(busy, figures.in_flight))


def together(figures: Iterable[ServiceFigures]) -> ServiceFigures:
    """Of one service, the figures of several gateways as one's."""
    found = list(figures)
    return ServiceFigures(
        requests=sum(one.requests for one in found),
        errors=sum(one.errors for one in found),
        prompt=sum(one.prompt for one in found),
        tokens=sum(one.tokens for one in found),
        in_flight=sum(one.in_flight for one in found),
        queued=sum(one.queued for one in found),
        held=sum(one.held for one in found),
        ttft=_added(one.ttft for one in found),
        seconds=_added(one.seconds for one in found),
        gaps=_added(one.gaps for one in found),
    )


def _added(counts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    found: dict[int, int] = {}
    for one in counts:
        for step, count in one.items():
            found[step] = found.get(step, 0) + count
    return found


def traffic(
    told: Iterable[tuple[Mapping[str, ServiceFigures], Mapping[str, int]]],
) -> Traffic:
    """Of what each gateway told: figures by service id, requests by replica."""
    gateways, busy = 0, dict[str, int]()
    found: dict[str, list[ServiceFigures]] = {}
    for services, outstanding in told:
        gateways += 1
        for service, figures in services.items():
            found.setdefault(service, []).append(figures)
        for replica, count in outstanding.items():
            busy[replica] = busy.get(replica, 0) + count
    sums = {service: together(figures) for service, figures in found.items()}
    return Traffic(gateways, sums, busy)


def step(seconds: float) -> int:
    """The number of the step that a time belongs to."""
    return bisect_left(STEPS, seconds)


def quantile(
    counts: Mapping[int, int], share: float, bounds: Sequence[float] = STEPS
) -> float | None:
    """Seconds within which this share (0..1) of what was counted by step lies; None = nothing was.

    Within a step times are taken to lie evenly; above the last one, at its bound.
    """
    rank, seen = share * sum(counts.values()), 0
    for number in sorted(counts):
        count = counts[number]
        if count and seen + count >= rank:
            if number >= len(bounds):
                return bounds[-1]
            low = bounds[number - 1] if number else 0.0
            return low + (bounds[number] - low) * max(0.0, rank - seen) / count
        seen += count
    return None
