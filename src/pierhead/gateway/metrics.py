"""What the gateway counts, for Prometheus. Labelled by known service names only, so that it stays small."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pierhead.gateway.balance import Failure
from pierhead.gateway.exchange import Exchange
from pierhead.gateway.metering import Counted

NO_SERVICE = "-"  #: requests that no service could be named for; no service has this name
_NAMES = frozenset({"service", "replica"})  #: labels that name somebody's
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class _Inflight(Collector):
    """Read from the balance at each scrape: nothing to keep in step."""

    def __init__(self, outstanding: Callable[[], Mapping[str, int]]) -> None:
        self._outstanding = outstanding

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "pierhead_gateway_inflight", "Requests that a replica is busy with", labels=["replica"]
        )
        for replica, count in self._outstanding().items():
            family.add_metric([replica], count)
        yield family


class _Out(Collector):
    """As above: who is out of rotation now."""

    def __init__(self, ejected: Callable[[], Mapping[str, Failure]]) -> None:
        self._ejected = ejected

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "pierhead_gateway_out_of_rotation",
            "Replicas that get no requests because they failed",
            labels=["replica", "why"],
        )
        for replica, why in self._ejected().items():
            family.add_metric([replica, why], 1)
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


class Metrics:
    """The counters of one gateway."""

    def __init__(
        self,
        outstanding: Callable[[], Mapping[str, int]],
        ejected: Callable[[], Mapping[str, Failure]],
    ) -> None:
        registry = self._registry = CollectorRegistry()
        name = "pierhead_gateway"
        self._requests = Counter(
            f"{name}_requests", "Requests answered", ["service", "code"], registry=registry
        )
        self._seconds = Histogram(
            f"{name}_request_seconds",
            "Time to the last byte",
            ["service"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._ttft = Histogram(
            f"{name}_ttft_seconds",
            "Time to the first byte of the body",
            ["service"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._broken = Counter(
            f"{name}_broken_streams",
            "Replies cut off after they had begun",
            ["service"],
            registry=registry,
        )
        self._ejected = Counter(
            f"{name}_ejected",
            "Replicas taken out of rotation because they failed",
            ["service", "why"],
            registry=registry,
        )
        self._tokens = Counter(
            f"{name}_tokens",
            "Tokens that engines read (prompt) and wrote (completion)",
            ["service", "kind"],
            registry=registry,
        )
        self._refused = Counter(
            f"{name}_refused",
            "Requests beyond a limit of their token",
            ["service", "limit"],
            registry=registry,
        )
        self.revision = Gauge(f"{name}_table_revision", "Route table in force", registry=registry)
        self.hub = Gauge(f"{name}_hub_reachable", "1 while the hub answers", registry=registry)
        registry.register(_Inflight(outstanding))
        registry.register(_Out(ejected))
        self._services: frozenset[str] = frozenset()
        counters = (self._requests, self._broken, self._ejected, self._tokens, self._refused)
        self._by_service = (*counters, self._seconds, self._ttft)

    def request(self, exchange: Exchange, begun: float, ended: float) -> None:
        """Counts a finished request; times in seconds of one clock."""
        service = self._label(exchange.service)
        self._requests.labels(service, str(exchange.status)).inc()
        self._seconds.labels(service).observe(ended - begun)
        if exchange.first_byte is not None:
            self._ttft.labels(service).observe(exchange.first_byte - begun)
        if exchange.broken:
            self._broken.labels(service).inc()

    def ejection(self, service: str, replica: str, why: Failure) -> None:
        """Counts a replica of `service` taken out of rotation."""
        del replica  # there are ever new ones
        self._ejected.labels(self._label(service), why).inc()

    def used(self, service: str, counted: Counted) -> None:
        """Counts the tokens of an answer of `service`."""
        label = self._label(service)
        self._tokens.labels(label, "prompt").inc(counted.prompt)
        self._tokens.labels(label, "completion").inc(counted.completion)

    def refused(self, service: str, limit: str) -> None:
        """Counts a request to `service` that was beyond a limit."""
        self._refused.labels(self._label(service), limit).inc()

    def retain(self, services: Iterable[str]) -> None:
        """Drops the series of services that are gone."""
        kept = frozenset(services)
        for service in self._services - kept:
            for metric in self._by_service:
                metric.remove_by_labels({"service": service})
        self._services = kept

    def text(self, *, names: bool = True) -> bytes:
        """In Prometheus' text format; without `names` all services and replicas are told as one."""
        return generate_latest(self._registry if names else _Nameless(self._registry))

    def _label(self, service: str) -> str:
        return service if service in self._services else NO_SERVICE
