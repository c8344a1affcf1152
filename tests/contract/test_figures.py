"""Figures of services from gateways' reports and from real processes' CPU times."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from builders import FakeClock, a_replica, a_service, a_template, a_version
from pierhead.core.autoscale import Load
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.resources import Resources
from pierhead.core.routes import GatewayReport
from pierhead.core.scalers import Metric
from pierhead.core.traffic import ServiceFigures
from pierhead.core.usage import Meter, Usage
from pierhead.reconciler.figures import LiveFigures
from pierhead.runtimes.fake import FakeRuntime
from pierhead.runtimes.process.cpu_times import cpu_seconds

FOO = a_service(name="foo", current=a_version(template=a_template(resources=Resources(cpu=2.0))))
ALL = tuple(Metric)


class Seen(FakeRuntime):
    """A runtime double with the replicas that a test names."""

    def __init__(self, clock: FakeClock, *replicas: ReplicaStatus) -> None:
        super().__init__(clock)
        self.replicas = replicas

    def observe(self, service: str | None = None) -> list[ReplicaStatus]:
        return [one for one in self.replicas if service in {None, one.service}]


class Stage:
    """Figures over a clock that moves when told; CPU times are what a test says."""

    def __init__(self, *replicas: ReplicaStatus) -> None:
        self.clock = FakeClock()
        self.cpu: dict[int, float] = {}
        self.figures = LiveFigures(Seen(self.clock, *replicas), self.clock, self._used, 8.0)

    def _used(self, pids: Collection[int]) -> Mapping[int, float]:
        return {pid: self.cpu[pid] for pid in pids if pid in self.cpu}

    def report(
        self,
        *,
        gateway: str = "gw-1",
        requests: int | None = None,
        waiting: tuple[int, int] | None = None,
        **busy: int,
    ) -> None:
        """A gateway's word: totals of one token, and requests under way by replica."""
        used = () if requests is None else (Usage(requests, 10 * requests, 20 * requests),)
        meters = tuple(Meter(FOO.id, "default", "2026-11", usage) for usage in used)
        outstanding = {name.replace("_", "-"): count for name, count in busy.items()}
        services = (
            {} if waiting is None else {FOO.id: ServiceFigures(queued=waiting[0], held=waiting[1])}
        )
        self.figures.heard(GatewayReport(gateway, 1, outstanding, meters=meters, services=services))

    def look(self, metrics: Collection[Metric] = ALL) -> Load:
        return asyncio.run(self.figures.read([FOO], metrics))[FOO.id]


def replica(number: int, **fields: Any) -> ReplicaStatus:
    return a_replica(id=f"r-{number}", service=FOO.id, pid=100 + number, **fields)


def test_without_a_gateway_nothing_is_known() -> None:
    stage = Stage(replica(1), replica(2, state=ReplicaState.STARTING))
    assert stage.look() == Load(ready=1)
    stage.report(r_1=4)
    assert stage.look().in_flight == 4
    stage.clock.advance(4)
    assert stage.look().in_flight is None


def test_who_waits_counts_as_under_way_too() -> None:
    stage = Stage(replica(1))
    stage.report(r_1=4, waiting=(3, 0))
    stage.report(gateway="gw-2", waiting=(1, 2))
    assert (stage.look().queue, stage.look().in_flight) == (6, 10)
    stage.report(r_1=4)
    assert (stage.look().queue, stage.look().in_flight) == (3, 7)


def test_requests_that_are_held_for_a_sleeper_are_told() -> None:
    stage = Stage()
    stage.report(waiting=(0, 5))
    assert (stage.look().queue, stage.look().busy) == (5, True)


def test_requests_under_way_are_those_of_all_gateways_at_replicas_that_are_ready() -> None:
    stage = Stage(replica(1), replica(2), replica(3, state=ReplicaState.DRAINING))
    stage.report(r_1=4, r_2=1, r_3=9, other=7)
    stage.report(gateway="gw-2", r_1=2)
    assert (stage.look().in_flight, stage.look().ready) == (7, 2)


def test_rates_are_what_came_on_top() -> None:
    stage = Stage(replica(1))
    stage.report(requests=1_000_000)  # of a long time before this hub
    stage.look()
    for total in range(1_000_010, 1_000_100, 10):
        stage.clock.advance(1)
        stage.report(requests=total)
    load = stage.look()
    assert load.requests == pytest.approx(10)
    assert load.tokens == pytest.approx(200)
    for _ in range(6):
        stage.clock.advance(5)
        stage.report()
        load = stage.look()
    assert (load.requests, load.tokens, load.busy) == (0, 0, False)


def test_a_gateway_that_begins_anew_counts_from_nothing() -> None:
    stage = Stage(replica(1))
    stage.report(requests=500)
    stage.look()
    stage.clock.advance(10)
    stage.report(requests=30)
    assert stage.look().requests == pytest.approx(3)


def test_the_first_request_of_a_token_is_noticed() -> None:
    stage = Stage(replica(1))
    stage.report()
    stage.look()
    stage.clock.advance(5)
    stage.report(requests=1)
    assert stage.look().busy


def test_cpu_is_a_share_of_what_a_replica_may_use() -> None:
    stage = Stage(replica(1), replica(2))
    stage.cpu = {101: 50.0, 102: 10.0}
    assert stage.look().cpu is None
    stage.clock.advance(10)
    stage.cpu = {101: 70.0, 102: 20.0}
    assert stage.look().cpu == pytest.approx((100 + 50) / 2)
    stage.clock.advance(10)
    stage.cpu = {101: 70.0}  # the other's process is gone
    assert stage.look().cpu == pytest.approx(0)
    assert stage.look([Metric.QPS]).cpu is None


def test_a_count_that_goes_back_is_no_load() -> None:
    """Another process has the number now, or a child ended that nobody waited for."""
    stage = Stage(replica(1))
    stage.cpu = {101: 50.0}
    stage.look()
    stage.clock.advance(10)
    stage.cpu = {101: 1.0}
    assert stage.look().cpu == pytest.approx(0)


@contextmanager
def program(text: str) -> Generator[int]:
    """A real Python process; its pid."""
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", text], stdin=subprocess.PIPE)
    try:
        yield child.pid
    finally:
        child.kill()
        child.communicate()


def test_cpu_times_of_real_processes_with_what_they_started() -> None:
    spin = "import time\nwhile True: pass"
    below = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {spin!r}])"
    parent = below + "\n"
    with program("input()") as idle, program(spin) as busy:
        child = subprocess.Popen(
            [sys.executable, "-c", parent], stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            pids = [idle, busy, child.pid, 2**22 + 1]
            deadline = time.monotonic() + 20
            first = cpu_seconds(pids)
            assert first.keys() == {idle, busy, child.pid}
            more = dict.fromkeys(first, 0.0)
            while more[busy] < 0.3 or more[child.pid] < 0.3:
                assert time.monotonic() < deadline, more
                now = cpu_seconds(pids)
                more = {pid: now[pid] - seconds for pid, seconds in first.items()}
            assert more[idle] < 0.1
        finally:
            os.killpg(child.pid, 9)
            child.communicate()
