"""What is kept of a service over time: which figures, how often, and how many become few. Pure.

A moment is told by its tick: how many steps of `STEP` seconds lie before it since the epoch. What nobody
knows is NaN, in a file as in memory, and None in an answer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite, nan
from operator import add

from pierhead.core.errors import Invalid

#: Seconds between two samples.
STEP = 10
#: Points that one answer has of a figure, at most.
MOST = 720


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure; of several samples that become a point, its mean, its greatest or its least counts."""

    name: str  #: as the API tells it
    merged: str = "mean"  #: `mean`, `max` or `min`


#: In the order in which a record has them: a change of it is a new kind of file.
METRICS = (
    Metric("Qps"),
    Metric("ErrorsPerSecond"),
    Metric("P50", "max"),
    Metric("P95", "max"),
    Metric("TtftP50", "max"),
    Metric("TtftP95", "max"),
    Metric("InterTokenP50", "max"),
    Metric("TokensPerSecond"),
    Metric("Queued", "max"),
    Metric("Held", "max"),
    Metric("InFlight", "max"),
    Metric("Ready", "min"),
    Metric("Wanted", "max"),
    Metric("MemoryBytes", "max"),
    Metric("CpuCores"),
)
NAMES = tuple(metric.name for metric in METRICS)
#: A sample of which nothing is known.
UNKNOWN = (nan,) * len(METRICS)
#: How one more value comes to what there is; sums become means at the end.
_MERGED: Mapping[str, Callable[[float, float], float]] = {"mean": add, "max": max, "min": min}

#: (tick, a value for each of METRICS)
Sample = tuple[int, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Window:
    """Which points: `count` of them, each of `each` ticks, from tick `first` on."""

    first: int
    count: int
    each: int

    @property
    def start(self) -> int:
        """When the first point begins, epoch seconds."""
        return self.first * STEP

    @property
    def step(self) -> int:
        """Seconds of one point."""
        return self.each * STEP

    @property
    def end(self) -> int:
        """The first tick that no point has any more."""
        return self.first + self.count * self.each


def window(since: float, until: float, step: int = 0) -> Window:
    """The points from `since` to `until` (epoch seconds), each of `step` seconds, or as few as MOST allows.

    Points begin at multiples of their length, so that the next answer has the same ones.

    Raises:
        Invalid: the end is not after the beginning, or there would be more than MOST points.
    """
    if until <= since:
        raise Invalid("Until", "it is not after Since")
    span = until - since
    fewest = max(1, ceil(span / STEP / MOST))
    each = ceil(step / STEP) if step else fewest
    if each < fewest:
        legal = (
            f"at least {fewest * STEP} for {span:.0f} seconds, since an answer has {MOST} points"
        )
        raise Invalid("Step", f"[{step}]", legal)
    first = int(since // (each * STEP)) * each
    count = max(1, ceil((until / STEP - first) / each))
    surplus = max(0, count - MOST)  # one, where neither end is a multiple: the newest are wanted
    return Window(first + surplus * each, count - surplus, each)


def chosen(text: str) -> tuple[str, ...]:
    """The figures that a list such as `Qps,P95` names; all, for "".

    Raises:
        Invalid: there is no figure of that name.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in NAMES:
            raise Invalid("Metrics", f"[{name[:40]}]", ", ".join(NAMES))
    return names or NAMES


def points(
    samples: Iterable[Sample], asked: Window, names: Sequence[str]
) -> Mapping[str, list[float | None]]:
    """Of each figure one value per point; None where no sample knows it."""
    columns = [(NAMES.index(name), METRICS[NAMES.index(name)].merged) for name in names]
    found: list[list[float | None]] = [[None] * asked.count for _ in names]
    counts = [[0] * asked.count for _ in names]
    for tick, values in samples:
        place = (tick - asked.first) // asked.each
        if not 0 <= place < asked.count:
            continue
        for (column, merged), line, known in zip(columns, found, counts, strict=True):
            value, before = values[column], line[place]
            if isfinite(value):  # a damaged file may hold numbers that no answer can
                known[place] += 1
                line[place] = value if before is None else _MERGED[merged](before, value)
    for (_, merged), line, known in zip(columns, found, counts, strict=True):
        for place, value in enumerate(line):
            if value is not None:
                shown = value / known[place] if merged == "mean" else value
                # Seven digits: a float of 32 bits knows no more.
                line[place] = float(f"{shown:.7g}")
    return dict(zip(names, found, strict=True))
