"""The hub's figures of what was read and written with endpoint tokens, as the database knows it."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from pierhead.core.usage import Meter

_NAMED: tuple[str, ...] = ("service", "token", "kind")
_NAME, _HELP = "pierhead_tokens", "Tokens that models read (prompt) and wrote (completion)"


class TokenFigures(Collector):
    """Sums of all gateways. Without names all services and tokens are told as one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._labels = _NAMED
        self._sums: dict[tuple[str, ...], int] = {}
        registry.register(self)

    def show(self, totals: Iterable[Meter], names: Mapping[str, str] | None) -> None:
        """Take the sums; `names`: service id -> name of those that are told one by one, None = none."""
        self._labels = ("kind",) if names is None else _NAMED
        self._sums = {}
        for meter in totals:
            if names is not None and meter.service not in names:
                continue  # it is gone, and with it its name
            of = () if names is None else (names[meter.service], meter.token)
            for kind in ("prompt", "completion"):
                key = (*of, kind)
                self._sums[key] = self._sums.get(key, 0) + getattr(meter.usage, kind)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """For the registry."""
        family = CounterMetricFamily(_NAME, _HELP, labels=self._labels)
        for key, value in sorted(self._sums.items()):
            family.add_metric(key, value)
        yield family
