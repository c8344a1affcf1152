"""What services are busy with: from gateways' reports, and from the CPU that replicas used.

`Figures` is all that scaling knows of it. What nobody measures is None, which never takes a replica away.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pierhead.core.autoscale import Load
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.routes import GatewayReport
from pierhead.core.scalers import Metric
from pierhead.core.services import Service
from pierhead.core.usage import NONE, Usage
from pierhead.reconciler.gateways import SILENCE
from pierhead.runtimes.base import Runtime

#: Seconds over which rates are means: long enough for a few requests, short enough to follow a peak.
SPAN = 15.0
#: CPU seconds that each of these processes and their children used so far.
CpuSeconds = Callable[[Collection[int]], Mapping[int, float]]


class Figures(Protocol):
    """The figures of services, as scaling asks for them."""

    async def read(
        self, services: Collection[Service], metrics: Collection[Metric]
    ) -> Mapping[str, Load]:
        """What each of these is busy with now, by service id; only `metrics` need to be measured."""
        ...


@dataclass(slots=True)
class _Gateway:
    """What one gateway told."""

    report: GatewayReport
    at: float
    #: Totals by service, token and month, since its process began.
    used: dict[tuple[str, str, str], Usage] = field(
        default_factory=dict[tuple[str, str, str], Usage]
    )


@dataclass(slots=True)
class _Counted:
    """What was used of a service, as a count that only grows, and what it was at former looks."""

    sum: Usage = NONE
    looks: deque[tuple[float, Usage]] = field(default_factory=deque[tuple[float, Usage]])


class LiveFigures:
    """Figures of what runs here."""

    def __init__(
        self, runtime: Runtime, timer: Callable[[], float], cpu_seconds: CpuSeconds, cores: float
    ) -> None:
        """`timer`: seconds that only ever grow; `cores`: CPUs of a replica without a limit of its own."""
        self._runtime, self._timer = runtime, timer
        self._cpu_seconds, self._cores = cpu_seconds, cores
        self._gateways: dict[str, _Gateway] = {}
        self._counted: dict[str, _Counted] = {}
        self._cpu: dict[tuple[str, int], tuple[float, float]] = {}  # -> (when, CPU seconds)

    def heard(self, report: GatewayReport) -> None:
        """Take in what a gateway said of itself: every report, for each tells only what changed."""
        now = self._timer()
        known = self._gateways.setdefault(report.gateway, _Gateway(report, now))
        known.report, known.at = report, now
        for meter in report.meters:
            counted = self._counted.setdefault(meter.service, _Counted())
            key = meter.service, meter.token, meter.month
            before = known.used.get(key)
            known.used[key] = meter.usage
            counted.sum += _first(meter.usage) if before is None else _more(before, meter.usage)

    async def read(
        self, services: Collection[Service], metrics: Collection[Metric]
    ) -> Mapping[str, Load]:
        """See `Figures`. CPU is known from the second look on."""
        now = self._timer()
        self._gateways = {
            name: one for name, one in self._gateways.items() if now - one.at < 20 * SILENCE
        }
        ready = {service.id: self._ready(service.id) for service in services}
        shares = await self._cpu_shares(services, ready, now) if Metric.CPU in metrics else {}
        return {
            service.id: self._load(service.id, ready[service.id], shares.get(service.id), now)
            for service in services
        }

    def _ready(self, service: str) -> list[ReplicaStatus]:
        return [
            replica
            for replica in self._runtime.observe(service)
            if replica.state is ReplicaState.READY
        ]

    def _load(
        self, service: str, ready: list[ReplicaStatus], cpu: float | None, now: float
    ) -> Load:
        reports = [one.report for one in self._gateways.values() if now - one.at < SILENCE]
        rates = self._rates(service, now)
        if not reports:  # nobody tells, so nothing is known: not even that there is nothing
            return Load(ready=len(ready), cpu=cpu)
        busy = sum(report.outstanding.get(one.id, 0) for report in reports for one in ready)
        told = [report.services[service] for report in reports if service in report.services]
        waiting = float(sum(one.queued + one.held for one in told))
        requests, tokens = rates if rates is not None else (None, None)
        # Who waits is to be served, too: where replicas take only so many at once, only a queue grows.
        return Load(len(ready), requests, busy + waiting, waiting, tokens, cpu)

    def _rates(self, service: str, now: float) -> tuple[float, float] | None:
        """(requests, tokens written) per second over the last SPAN; None before there are two looks."""
        counted = self._counted.setdefault(service, _Counted())
        looks = counted.looks
        looks.append((now, counted.sum))
        while len(looks) > 2 and looks[1][0] <= now - SPAN:
            looks.popleft()
        since, before = looks[0]
        if now - since <= 0:
            return None
        more = _more(before, counted.sum)
        return more.requests / (now - since), more.completion / (now - since)

    async def _cpu_shares(
        self, services: Collection[Service], ready: Mapping[str, list[ReplicaStatus]], now: float
    ) -> dict[str, float]:
        """Mean percent by service id, of the replicas that were seen before."""
        pids = {one.pid for replicas in ready.values() for one in replicas if one.pid is not None}
        used: Mapping[int, float] = {}
        if pids:
            used = await asyncio.to_thread(self._cpu_seconds, pids)
        before, self._cpu = self._cpu, {}
        shares: dict[str, float] = {}
        for service in services:
            allowed = service.current.template.resources.cpu or self._cores
            found: list[float] = []
            for one in ready[service.id]:
                if one.pid is None or one.pid not in used:
                    continue
                key = one.id, one.pid
                self._cpu[key] = now, used[one.pid]
                since, seconds = before.get(key, (now, 0.0))
                if now > since:
                    busy = max(0.0, used[one.pid] - seconds) / (now - since)
                    found.append(100 * busy / allowed)
            if found:
                shares[service.id] = sum(found) / len(found)
        return shares


def _first(usage: Usage) -> Usage:
    """What counts of the first totals that are heard: they may be of a long time before this hub began."""
    return Usage(requests=min(1, usage.requests))


def _more(before: Usage, after: Usage) -> Usage:
    """What came on top; all of it, where a gateway began to count anew."""
    if after.requests < before.requests or after.completion < before.completion:
        before = NONE
    return Usage(
        requests=after.requests - before.requests,
        completion=after.completion - before.completion,
    )
