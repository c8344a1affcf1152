"""A double of a runtime, in memory: the reference for the contract suite, with fault switches.

It takes the same planner, steps and back-off as the real ones; nothing runs and nothing is stored.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from pierhead.core import backoff, diagnosis, plan
from pierhead.core.errors import NotFound, PierheadError, Unavailable
from pierhead.core.ids import Clock
from pierhead.core.names import replica_name
from pierhead.core.replicas import (
    LEAVING,
    Exit,
    Node,
    ReplicaState,
    ReplicaStatus,
    RuntimeInfo,
    step,
)
from pierhead.core.resources import GIB
from pierhead.core.workloads import Workload
from pierhead.runtimes.base import Attempt, LogLine, LogQuery
from pierhead.runtimes.hints import Hints


@dataclass(slots=True)
class Faults:
    """Switches of the double; each names rollouts, so that a new version can be the bad one."""

    refuse_start: dict[str, PierheadError] = field(default_factory=dict[str, PierheadError])
    never_ready: set[str] = field(default_factory=set[str])
    crash_at_start: dict[str, Exit] = field(default_factory=dict[str, Exit])
    stuck_stopping: bool = False  #: told to stop, it does not
    ready_after: float = 0.0  #: seconds from launch to ready
    #: Why a replica is on one node only; "" = the double acts as if it were on several.
    one_node: str = "its replicas are doubles on one node"


@dataclass(slots=True)
class _Double:
    """One replica that is not there."""

    status: ReplicaStatus
    workload: Workload
    leave_by: float | None = None
    lines: list[LogLine] = field(default_factory=list[LogLine])
    earlier: list[LogLine] = field(default_factory=list[LogLine])
    attempts: list[Attempt] = field(default_factory=list[Attempt])

    def seen(self) -> plan.Seen:
        now = self.status
        return plan.Seen(now.id, now.rollout, now.state, now.created, now.retry_at, self.leave_by)


class FakeRuntime:
    """Implements runtimes.base.Runtime in memory; time passes as the clock says."""

    def __init__(self, clock: Clock) -> None:
        self.faults = Faults()
        self._clock = clock
        self._services: dict[str, dict[str, _Double]] = {}
        self._listeners: set[Hints] = set()
        self._count = 0
        self._ending = False

    # ---- what a test does to it -----------------------------------------------------------

    def crash(self, replica: str, end: Exit, *lines: str) -> None:
        """Let one end by itself now, after it wrote some lines."""
        self._crash(self._find(replica), end, lines)

    def probe_fails(self, replica: str, why: str) -> None:
        """Let a ready one fail its probe until `probe_succeeds`."""
        self._change(self._find(replica), ReplicaState.UNREADY, reason="ProbeFailed", message=why)

    def probe_succeeds(self, replica: str) -> None:
        """Let it be ready again."""
        self._change(self._find(replica), ReplicaState.READY, reason="", message="")

    def write(self, replica: str, text: str) -> None:
        """Let it write a line."""
        double = self._find(replica)
        double.lines.append(LogLine(self._clock(), replica, text))

    # ---- the protocol ---------------------------------------------------------------------

    async def probe(self) -> RuntimeInfo:
        """One node that is never full."""
        node = Node("fake", cpu=64, memory=1024 * GIB, memory_free=1024 * GIB, gpus=8)
        return RuntimeInfo(
            "fake", (node,), "A double limits nothing.", one_node=self.faults.one_node
        )

    async def adopt(self) -> None:
        """Nothing outlives a double."""

    async def apply(self, workload: Workload) -> None:
        """Take the next safe steps.

        Raises:
            PierheadError: what `faults.refuse_start` says.
            Unavailable: it was told to stop everything.
        """
        if self._ending:
            raise Unavailable("The fake runtime", "the platform is shutting down")
        self._advance()
        group = self._services.setdefault(workload.service, {})
        target = plan.Target(
            workload.replicas,
            workload.rollout,
            workload.rolling,
            workload.drained,
            workload.held,
            workload.crowded,
            workload.room,
            workload.frozen,
        )
        problems: list[PierheadError] = []
        for action in plan.plan(target, [each.seen() for each in group.values()], self._clock()):
            try:
                self._act(action, workload, group)
            except PierheadError as error:
                problems.append(error)
        if not group:
            del self._services[workload.service]
        self._advance()
        if problems:
            raise problems[0]

    async def remove(self, service: str, grace: float) -> bool:
        """Stop and forget; True when nothing is left."""
        group = self._services.get(service, {})
        for double in list(group.values()):
            self._stop(double)
            self._advance()
            if double.status.state is ReplicaState.STOPPED:
                del group[double.status.id]
                self._hint(service)
        if not group:
            self._services.pop(service, None)
        return not group

    def observe(self, service: str | None = None) -> list[ReplicaStatus]:
        """From memory."""
        self._advance()
        groups = self._services.values() if service is None else [self._services.get(service, {})]
        return [double.status for group in groups for double in group.values()]

    async def logs(
        self, service: str, *, replica: str = "", previous: bool = False, limit: int = 100_000
    ) -> list[LogLine]:
        """What `write` and `crash` were given.

        Raises:
            NotFound: there is no such replica.
        """
        group = self._services.get(service, {})
        if replica and replica not in group:
            raise NotFound("replica", replica)
        chosen = [group[replica]] if replica else list(group.values())
        lines = [line for each in chosen for line in (each.earlier if previous else each.lines)]
        return sorted(lines, key=lambda line: line.at)[max(0, len(lines) - limit) :]

    async def log_page(self, service: str, query: LogQuery) -> tuple[list[LogLine], int]:
        """A part of `logs`."""
        lines = await self.logs(service, replica=query.replica, previous=query.previous)
        end = max(0, len(lines) - query.skip)
        return lines[max(0, end - query.limit) : end], len(lines)

    async def attempts(self, service: str, *, replica: str = "", lines: int = 0) -> list[Attempt]:
        """Every run that crashed."""
        group = self._services.get(service, {})
        found = [
            replace(one, lines=one.lines[len(one.lines) - min(lines, len(one.lines)) :])
            for double in group.values()
            if replica in {"", double.status.id}
            for one in double.attempts
        ]
        return sorted(found, key=lambda one: one.started)

    def changes(self) -> AsyncIterator[str]:
        """Hints from now on, until `close`."""
        listener = Hints()
        self._listeners.add(listener)
        return listener

    async def stop_all(self, grace: float) -> None:
        """End everything with the platform; it is no crash."""
        self._ending = True
        for group in self._services.values():
            for double in group.values():
                if double.status.state not in LEAVING:
                    changed = replace(double.status, state=ReplicaState.CRASHED, failures=0)
                    double.status = replace(changed, reason="Paused", retry_at=self._clock())

    async def close(self) -> None:
        """End the listeners."""
        for listener in self._listeners:
            listener.close()

    # ---- inside ---------------------------------------------------------------------------

    def _act(self, action: plan.Action, workload: Workload, group: dict[str, _Double]) -> None:
        match action:
            case plan.Start():
                double = self._create(workload)
                group[double.status.id] = double
                self._launch(double)
            case plan.Rerun(id):
                self._launch(group[id])
            case plan.Drain(id):
                group[id].leave_by = self._clock() + workload.template.stop_grace
                self._change(group[id], ReplicaState.DRAINING)
            case plan.Stop(id):
                self._stop(group[id])
            case plan.Forget(id):
                del group[id]
                self._hint(workload.service)

    def _create(self, workload: Workload) -> _Double:
        self._count += 1
        status = ReplicaStatus(
            id=replica_name(workload.name, f"fake{self._count}"),
            service=workload.service,
            rollout=workload.rollout,
            state=ReplicaState.PENDING,
            created=self._clock(),
            node="fake",
        )
        return _Double(status, workload)

    def _launch(self, double: _Double) -> None:
        problem = self.faults.refuse_start.get(double.status.rollout)
        if problem is not None:
            double.status = replace(double.status, reason="CannotStart", message=str(problem))
            raise problem
        self._count += 1
        double.earlier, double.lines = double.lines, []
        self._change(
            double,
            ReplicaState.STARTING,
            host="127.0.0.1",
            port=21000 + self._count % 8000,
            pid=self._count,
            engine=double.workload.template.engine,
            started=self._clock(),
            ready_at=None,
            runs=double.status.runs + 1,
            retry_at=None,
            reason="",
            message="",
        )

    def _advance(self) -> None:
        for group in self._services.values():
            for double in group.values():
                self._come_on(double)

    def _come_on(self, double: _Double) -> None:
        now, faults = double.status, self.faults
        if now.state is ReplicaState.STARTING and now.rollout in faults.crash_at_start:
            self._crash(double, faults.crash_at_start[now.rollout], ())
        elif now.state is ReplicaState.STARTING and now.rollout not in faults.never_ready:
            if self._clock() >= (now.started or 0.0) + faults.ready_after:
                self._change(double, ReplicaState.READY, ready_at=self._clock())
        elif now.state is ReplicaState.STOPPING and not faults.stuck_stopping:
            self._change(double, ReplicaState.STOPPED, host="", port=0, pid=None)

    def _stop(self, double: _Double) -> None:
        fresh = {ReplicaState.PENDING, ReplicaState.CRASHED}
        gone_or_going = {ReplicaState.STOPPED, ReplicaState.STOPPING}
        if double.status.state in fresh:
            self._change(double, ReplicaState.STOPPED)
        elif double.status.state not in gone_or_going:
            self._change(double, ReplicaState.STOPPING)

    def _crash(self, double: _Double, end: Exit, lines: tuple[str, ...]) -> None:
        now = double.status
        double.lines += [LogLine(end.at, now.id, text) for text in lines]
        if now.state in LEAVING:
            self._change(double, ReplicaState.STOPPED, last_exit=end, host="", port=0, pid=None)
            return
        ready_for = end.at - now.ready_at if now.ready_at is not None else 0.0
        failures = backoff.failures_after(now.failures, ready_for)
        cause = diagnosis.crash(end, lines)
        run = Attempt(now.id, now.runs, now.started or now.created, now.ready_at, end)
        double.attempts.append(
            replace(run, reason=cause.reason, message=cause.message, lines=lines)
        )
        self._change(
            double,
            ReplicaState.CRASHED,
            failures=failures,
            retry_at=end.at + backoff.delay(failures, f"{now.id}/{now.runs}"),
            reason=cause.reason,
            message=cause.message,
            last_exit=end,
            last_lines=lines,
            host="",
            port=0,
            pid=None,
        )

    def _change(self, double: _Double, state: ReplicaState, **facts: object) -> None:
        moved = step(double.status.state, state)
        double.status = replace(double.status, state=moved, **facts)  # pyright: ignore[reportArgumentType]
        self._hint(double.status.service)

    def _find(self, replica: str) -> _Double:
        for group in self._services.values():
            if replica in group:
                return group[replica]
        raise NotFound("replica", replica)

    def _hint(self, service: str) -> None:
        for listener in self._listeners:
            listener.add(service)
