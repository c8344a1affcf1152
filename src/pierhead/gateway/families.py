"""What is counted of services, as Prometheus' families: for its library, and as text at a fifth of the library's cost."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric

from pierhead.core.traffic import GAPS
from pierhead.gateway.figures import RATES, Histogram, Tally

NAME = "pierhead_gateway"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)

Tallies = Iterable[tuple[str, Tally]]


@dataclass(frozen=True, slots=True)
class _Spread:
    """A histogram of each service."""

    name: str
    text: str
    bounds: tuple[float, ...]
    of: Callable[[Tally], Histogram]

    def family(self, tallies: Tallies) -> Metric:
        """For the library."""
        shown = HistogramMetricFamily(f"{NAME}_{self.name}", self.text, labels=["service"])
        for service, tally in tallies:
            histogram = self.of(tally)
            if any(histogram.counts):
                found = histogram.cumulative(self.bounds)
                buckets = [(_text(bound), float(count)) for bound, count in found]
                shown.add_metric([service], buckets, histogram.sum)
        return shown

    def lines(self, tallies: Tallies) -> Iterator[str]:
        """The same as text; `service`: as a label, "" for none."""
        name = f"{NAME}_{self.name}"
        yield f"# HELP {name} {self.text}\n# TYPE {name} histogram\n"
        heads = [f'{name}_bucket{{le="{_text(bound)}"' for bound in (*self.bounds, inf)]
        for service, tally in tallies:
            histogram = self.of(tally)
            if not any(histogram.counts):
                continue
            tail, alone = (f",{service}", f"{{{service}}}") if service else ("", "")
            found = histogram.cumulative(self.bounds)
            for head, (_bound, count) in zip(heads, found, strict=True):
                yield f"{head}{tail}}} {count}.0\n"
            yield f"{name}_count{alone} {found[-1][1]}.0\n{name}_sum{alone} {histogram.sum!r}\n"


@dataclass(frozen=True, slots=True)
class _Count:
    """Counts of each service, apart by one more label; "" = one count."""

    name: str
    text: str
    label: str
    of: Callable[[Tally], Mapping[int, int] | Mapping[str, int]]

    def family(self, tallies: Tallies) -> Metric:
        """For the library."""
        labels = ["service", self.label] if self.label else ["service"]
        shown = CounterMetricFamily(f"{NAME}_{self.name}", self.text, labels=labels)
        for service, tally in tallies:
            found = self.of(tally)
            for value, count in found.items() if any(found.values()) else ():
                shown.add_metric([service, str(value)][: len(labels)], count)
        return shown

    def lines(self, tallies: Tallies) -> Iterator[str]:
        """The same as text; `service`: as a label, "" for none."""
        name = f"{NAME}_{self.name}_total"
        yield f"# HELP {name} {self.text}\n# TYPE {name} counter\n"
        for service, tally in tallies:
            found = self.of(tally)
            for value, count in found.items() if any(found.values()) else ():
                own = f'{self.label}="{escaped(str(value))}"' if self.label else ""
                labels = ",".join(filter(None, sorted((own, service))))
                yield f"{name}{{{labels}}} {count}.0\n" if labels else f"{name} {count}.0\n"


FAMILIES: tuple[_Spread | _Count, ...] = (
    _Count("requests", "Requests answered", "code", lambda one: one.codes),
    _Spread("request_seconds", "Time to the last byte", SECONDS, lambda one: one.seconds),
    _Spread("ttft_seconds", "Time to the first byte of the body", SECONDS, lambda one: one.ttft),
    _Spread(
        "inter_token_seconds",
        "Mean gap between the pieces of a stream, one value per answer",
        GAPS,
        lambda one: one.gaps,
    ),
    _Spread(
        "tokens_per_second",
        "Tokens per second of a stream after its first piece, one value per answer",
        RATES,
        lambda one: one.rates,
    ),
    _Spread(
        "held_seconds",
        "Time that requests waited for a first replica",
        SECONDS,
        lambda one: one.held,
    ),
    _Spread(
        "queued_seconds", "Time that requests waited for a slot", SECONDS, lambda one: one.queued
    ),
    _Count(
        "broken_streams",
        "Replies cut off after they had begun",
        "",
        lambda one: {"": one.broken},
    ),
    _Count(
        "ejected",
        "Replicas taken out of rotation because they failed",
        "why",
        lambda one: one.ejected,
    ),
    _Count(
        "tokens",
        "Tokens that engines read (prompt) and wrote (completion)",
        "kind",
        lambda one: {"prompt": one.prompt, "completion": one.completion},
    ),
    _Count(
        "refused",
        "Requests beyond a limit of their token or service",
        "limit",
        lambda one: one.refused,
    ),
    _Count(
        "wakes",
        "Times that a service at zero replicas was asked to wake",
        "",
        lambda one: {"": one.wakes},
    ),
)


def rendered(tallies: list[tuple[str, Tally]]) -> bytes:
    """All families as text; the library's own way takes five times as long, in which no stream moves."""
    return "".join(line for family in FAMILIES for line in family.lines(tallies)).encode()


def summed(tallies: Iterable[Tally]) -> Tally:
    """Of all services as of one."""
    found = Tally()
    for tally in tallies:
        found.take(tally)
    return found


def escaped(value: str) -> str:
    """A label's value as it stands between its quotes."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _text(bound: float) -> str:
    """As Prometheus' clients write a bound."""
    return "+Inf" if bound == inf else repr(float(bound))
