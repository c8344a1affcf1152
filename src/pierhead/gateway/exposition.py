"""The gateway's figures for Prometheus, computed at each scrape. By known service names only, so that it stays small."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pierhead.gateway.families import FAMILIES, NAME, escaped, rendered, summed
from pierhead.gateway.figures import Figures, Tokens

_NAMES = frozenset({"service", "replica"})  #: labels that name somebody's

Counts = Callable[[], Mapping[str, int]]


def _nothing() -> Mapping[str, int]:
    return {}


class Metrics:
    """The figures of one gateway: what is noted of requests, and how Prometheus is told."""

    def __init__(
        self,
        outstanding: Counts,
        ejected: Callable[[], Mapping[str, str]],
        *,
        queued: Counts = _nothing,
        held: Counts = _nothing,
    ) -> None:
        """All are asked at each scrape.

        Args:
            outstanding: replica -> requests that it is busy with.
            ejected: replica -> why it is out of rotation.
            queued: service name -> requests that wait for a slot.
            held: service name -> requests that wait for a first replica.
        """
        self.figures = Figures()
        gauges = self._gauges = CollectorRegistry()
        self.revision = Gauge(f"{NAME}_table_revision", "Route table in force", registry=gauges)
        self.hub = Gauge(f"{NAME}_hub_reachable", "1 while the hub answers", registry=gauges)
        gauges.register(_Now(self.figures, outstanding, ejected, queued, held))
        #: Everything, as the library takes it.
        registry = self._registry = CollectorRegistry()
        registry.register(_Counted(self.figures))
        registry.register(_Gathered(gauges))

    def ejection(self, service: str, replica: str, why: str) -> None:
        """Counts a replica of `service` taken out of rotation."""
        del replica  # there are ever new ones
        self.figures.ejected(service, str(why))

    def used(self, service: str, counted: Tokens) -> None:
        """Counts the tokens of an answer of `service`."""
        self.figures.used(service, counted)

    def refused(self, service: str, limit: str) -> None:
        """Counts a request to `service` that was beyond a limit."""
        self.figures.refused(service, limit)

    def woken(self, service: str) -> None:
        """Counts that `service`, at zero replicas, was asked to wake."""
        self.figures.woken(service)

    def follow(self, come: Iterable[str], gone: Iterable[str]) -> None:
        """Knows the services that came, and drops the series of those that are gone."""
        self.figures.follow(come, gone)

    def text(self, *, names: bool = True) -> bytes:
        """In Prometheus' text format; without `names` all services and replicas are told as one."""
        tallies = self.figures.tallies
        if not names:
            counted = rendered([("", summed(tallies.values()))])
            return counted + generate_latest(_Nameless(self._gauges))
        labelled = [(f'service="{escaped(name)}"', tally) for name, tally in tallies.items()]
        return rendered(labelled) + generate_latest(self._gauges)


class _Counted(Collector):
    """What only grows."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        tallies = list(self._figures.tallies.items())
        for family in FAMILIES:
            yield family.family(tallies)


class _Gathered(Collector):
    """What another registry holds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()


class _Now(Collector):
    """What is so at the moment of the scrape: nothing to keep in step."""

    def __init__(
        self,
        figures: Figures,
        outstanding: Counts,
        ejected: Callable[[], Mapping[str, str]],
        queued: Counts,
        held: Counts,
    ) -> None:
        self._figures, self._outstanding, self._ejected = figures, outstanding, ejected
        self._queued, self._held = queued, held

    def collect(self) -> Iterator[Metric]:
        inflight = _gauge("inflight", "Requests that a replica is busy with", "replica")
        for replica, count in self._outstanding().items():
            inflight.add_metric([replica], count)
        yield inflight
        out = _gauge(
            "out_of_rotation",
            "Replicas that get no requests because they failed",
            "replica",
            "why",
        )
        for replica, why in self._ejected().items():
            out.add_metric([replica, str(why)], 1)
        yield out
        told = (
            ("queued", "Requests that wait for a replica's slot", self._queued),
            ("held", "Requests that wait for a first replica", self._held),
        )
        for name, text, counts in told:
            family = _gauge(name, text, "service")
            for service, count in self._figures.known(counts()).items():
                family.add_metric([service], count)
            yield family


class _Nameless(CollectorRegistry):
    """The same figures, summed over whatever has a name."""

    def __init__(self, named: CollectorRegistry) -> None:
        super().__init__()
        self._named = named

    def collect(self) -> Iterator[Metric]:
        for family in self._named.collect():
            sums: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
            for sample in family.samples:
                labels = tuple(item for item in sample.labels.items() if item[0] not in _NAMES)
                key = sample.name, labels
                sums[key] = sums.get(key, 0.0) + sample.value
            shown = Metric(family.name, family.documentation, family.type)
            for (name, labels), value in sums.items():
                shown.add_sample(name, dict(labels), value)
            yield shown


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{NAME}_{name}", text, labels=labels)
