"""Writes the figures of all services down, every `STEP` seconds: so that they can be shown without Prometheus."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import nan

import structlog

from pierhead.core.errors import Unavailable
from pierhead.core.replicas import ReplicaState
from pierhead.core.series import STEP
from pierhead.core.services import Seen, Service, Wanted
from pierhead.core.traffic import Traffic
from pierhead.operations.platform import Platform
from pierhead.runtimes.base import Footprint
from pierhead.store import services as rows
from pierhead.store.series import SeriesFiles

log: structlog.stdlib.BoundLogger = structlog.get_logger("pierhead.series")

#: Processes -> what each takes, with all that it started; blocks.
Footprints = Callable[[Collection[int]], Mapping[int, Footprint]]


@dataclass(frozen=True, slots=True)
class _Used:
    """What a service's replicas take of their machine."""

    memory: float
    cores: float


class Recording:
    """Takes samples until it is cancelled; one thread hop each."""

    def __init__(self, platform: Platform, files: SeriesFiles, footprints: Footprints) -> None:
        self._platform, self._files, self._footprints = platform, files, footprints
        self._cpu: dict[tuple[str, int], tuple[float, float]] = {}  # -> (when, CPU seconds)
        self._failing = False

    async def run(self) -> None:
        """A sample at every step of the clock."""
        while True:
            await asyncio.sleep(STEP - self._platform.clock() % STEP)
            with suppress(Unavailable):  # what nobody could read is a gap
                await self.sample()

    async def sample(self) -> None:
        """Write down how it is now.

        Raises:
            Unavailable: the database does not answer.
        """
        now = self._platform.clock()
        known = await self._platform.db.read(rows.everything)
        alive = [pair for pair in known if _lives(*pair)]
        pids = {one.pid for _, seen in alive for one in seen.replicas if one.pid is not None}
        traffic = self._platform.traffic()
        ids = frozenset(service.id for service, _ in known)

        def work() -> None:
            used = self._used(alive, self._footprints(pids) if pids else {}, now)
            records = {
                service.id: _record(service, seen, traffic, used[service.id])
                for service, seen in alive
            }
            self._files.keep(ids)
            self._files.write(int(now // STEP), records)

        try:
            await asyncio.to_thread(work)
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.warning("the figures of services are not kept", error=str(error))
            self._failing = True

    def _used(
        self,
        alive: list[tuple[Service, Seen]],
        found: Mapping[int, Footprint],
        now: float,
    ) -> dict[str, _Used]:
        """By service id; CPU is known from the second look at a process on."""
        before, self._cpu = self._cpu, {}
        used: dict[str, _Used] = {}
        for service, seen in alive:
            memory, cores = 0.0, 0.0
            for one in seen.replicas:
                taken = found.get(one.pid or 0)
                if one.pid is None or taken is None:
                    continue
                key = one.id, one.pid
                self._cpu[key] = now, taken.cpu_seconds
                since, seconds = before.get(key, (now, 0.0))
                memory += taken.memory
                cores += (taken.cpu_seconds - seconds) / (now - since) if now > since else nan
            used[service.id] = _Used(memory, cores)
        return used


def _lives(service: Service, seen: Seen) -> bool:
    """Is there anything to be told of it? Of one that is stopped there is not: a gap says so."""
    return service.wanted is Wanted.RUNNING or bool(seen.replicas)


def _record(service: Service, seen: Seen, traffic: Traffic, used: _Used) -> tuple[float, ...]:
    """In the order of `core.series.METRICS`."""
    figures = traffic.of(service.id, (one.id for one in seen.replicas))
    ready = sum(one.state is ReplicaState.READY for one in seen.replicas)
    told = (
        figures.requests,
        figures.errors,
        _or_nan(figures.seconds_at(0.5)),
        _or_nan(figures.seconds_at(0.95)),
        _or_nan(figures.ttft_at(0.5)),
        _or_nan(figures.ttft_at(0.95)),
        _or_nan(figures.gap_at(0.5)),
        figures.tokens,
        float(figures.queued),
        float(figures.held),
        float(figures.in_flight),
    )
    if not traffic.gateways:  # nobody tells: not even that there is nothing
        told = (nan,) * len(told)
    return (*told, float(ready), float(service.wanted_replicas), used.memory, used.cores)


def _or_nan(seconds: float | None) -> float:
    return nan if seconds is None else seconds
