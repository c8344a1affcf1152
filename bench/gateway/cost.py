"""What one gateway costs and adds, in one round."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.gateway.programs import Door, Stub, drive, faults
from bench.gateway.stage import pss, spent

BUSY_CONNECTIONS, BUSY_STREAMS = 32, 20
CALM_RATE, CALM_CONNECTIONS, CALM_STREAMS = 100, 8, 5
_WARM_SECONDS, _CALM_STREAM_SECONDS = 0.3, 1.5


@dataclass(frozen=True, slots=True)
class Contender:
    """Who is measured; pid 0 = the replica itself, whose cost is nobody's."""

    name: str
    door: Door
    pid: int = 0


@dataclass
class Counts:
    """What the replicas did for one contender, by their own count."""

    figures: dict[str, int] = field(default_factory=dict[str, int])

    @contextmanager
    def of(self, replicas: list[Stub]) -> Generator[None]:
        """Adds what they do inside the `with`."""
        before = [each.counted() for each in replicas]
        yield
        for was, each in zip(before, replicas, strict=True):
            for name, value in each.counted().items():
                if isinstance(value, int):
                    self.figures[name] = self.figures.get(name, 0) + value - was[name]


def one_round(driver: Path, who: Contender, seconds: float) -> dict[str, float]:
    """Microseconds of CPU per request and per token, added to nothing yet; MiB; and the faults."""
    runs: list[dict[str, Any]] = []
    cost = _cost(driver, who, seconds, runs) if who.pid else {}
    calm = drive(driver, "open", who.door, seconds, r=CALM_RATE, c=CALM_CONNECTIONS)
    few = drive(driver, "stream", who.door, min(_CALM_STREAM_SECONDS, seconds), c=CALM_STREAMS)
    runs += [calm, few]
    return {
        **cost,
        "p50_us": calm["request_p50_us"],
        "p99_us": calm["request_p99_us"],
        "token_p50_us": few["token_p50_us"],
        "token_p99_us": few["token_p99_us"],
        "first_p50_us": few["first_p50_us"],
        "faults": sum(map(faults, runs)),
    }


def _cost(
    driver: Path, who: Contender, seconds: float, runs: list[dict[str, Any]]
) -> dict[str, float]:
    """Under as much load as it takes: what is measured is the work, not the waiting for it."""
    warm = drive(driver, "closed", who.door, _WARM_SECONDS, c=BUSY_CONNECTIONS)
    before = spent(who.pid)
    busy = drive(driver, "closed", who.door, seconds, c=BUSY_CONNECTIONS)
    between = spent(who.pid)
    streams = drive(driver, "stream", who.door, seconds, c=BUSY_STREAMS)
    after = spent(who.pid)
    runs += [warm, busy, streams]
    return {
        "request_cpu_us": (between - before) * 1e6 / max(1, busy["ok"]),
        "token_cpu_us": (after - between) * 1e6 / max(1, streams["tokens"]),
        "per_second": busy["per_second"],
        "pss_mib": pss(who.pid),
    }
