"""The hub's figures about weights: what is fetched, what the cache holds, what had to go."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Running(Protocol):
    """A fetch that is under way."""

    @property
    def done(self) -> int:
        """Bytes that are here."""
        ...

    @property
    def total(self) -> int:
        """Bytes that are wanted."""
        ...

    @property
    def rate(self) -> float:
        """Bytes per second."""
        ...


class WeightFigures:
    """No label names a source: `kind` is of the store, such as oss. Bytes and seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        made: dict[str, Any] = {"registry": registry}
        self._bytes = Counter(
            "pierhead_weights_fetch_bytes_total", "Bytes of weights that came", ["kind"], **made
        )
        self._seconds = Histogram(
            "pierhead_weights_fetch_seconds",
            "Time of one fetch that moved bytes",
            ["kind", "outcome"],
            buckets=(1, 5, 20, 60, 300, 1200, 3600, 14400),
            **made,
        )
        self._fetches = Gauge("pierhead_weights_fetches", "Fetches under way", **made)
        self._left = Gauge(
            "pierhead_weights_fetch_left_bytes",
            "Bytes that fetches under way still wait for",
            **made,
        )
        self._rate = Gauge(
            "pierhead_weights_fetch_rate_bytes", "Bytes per second of all fetches together", **made
        )
        self._cache = Gauge(
            "pierhead_weights_cache_bytes",
            "Bytes of snapshots in the cache: used, unused or unfinished",
            ["state"],
            **made,
        )
        self._evicted = Counter(
            "pierhead_weights_evicted_bytes_total",
            "Bytes of snapshots that went to make room",
            **made,
        )

    def fetching(self, kind: str, count: int) -> None:
        """So many more bytes came from a store of this kind; any thread may tell."""
        self._bytes.labels(kind).inc(count)

    def fetched(self, kind: str, seconds: float, *, failed: bool) -> None:
        """A fetch ended that moved bytes."""
        self._seconds.labels(kind, "failed" if failed else "ok").observe(seconds)

    def evicted(self, count: int) -> None:
        """A snapshot of so many bytes went; any thread may tell."""
        self._evicted.inc(count)

    def show(self, running: Iterable[Running], cache: Mapping[str, int]) -> None:
        """What is under way and what the cache holds, in bytes by state, now."""
        found = list(running)
        self._fetches.set(len(found))
        self._left.set(sum(each.total - each.done for each in found))
        self._rate.set(sum(each.rate for each in found))
        for state in ("used", "unused", "unfinished"):
            self._cache.labels(state).set(cache.get(state, 0))
