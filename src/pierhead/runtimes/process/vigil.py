"""Watches one run: until it is ready or out of time, then whether it still is, lives and keeps its limit."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from pierhead.core import diagnosis
from pierhead.core.diagnosis import Cause
from pierhead.core.ids import Clock
from pierhead.core.resources import human_bytes
from pierhead.core.templates import Probe
from pierhead.runtimes.process.probing import Prober, Subject, once_ready
from pierhead.runtimes.process.records import RunFacts
from pierhead.runtimes.process.tree import Tree

_LOOK_AROUND = 0.5  #: seconds between looks for a port that the command chose itself
_LOOK_SHARE = 0.2  #: of the time it has taken, where that is more: a look reads all open files
_REFUSED = "Connect call failed"  #: asyncio's words for a connection that nobody takes
_WEIGH = 0.5  #: seconds between looks at the memory


@dataclass(frozen=True, slots=True)
class Findings:
    """Whom to tell what; each text says why."""

    not_yet: Callable[[str], None]
    moved: Callable[[int], None]  #: it listens on this port of its own choice
    ready: Callable[[], Awaitable[None]]
    unready: Callable[[str], None]
    again: Callable[[], None]  #: ready again after `unready`
    doomed: Callable[[Cause], None]  #: the run must end


class Vigil:
    """The watch over one run; `subject` is asked for each try, since the engine's pid comes late."""

    def __init__(
        self,
        prober: Prober,
        clock: Clock,
        subject: Callable[[], Subject],
        tree: Tree,
        findings: Findings,
    ) -> None:
        self._prober = prober
        self._clock = clock
        self._subject = subject
        self._tree = tree
        self._findings = findings
        self._was_ready = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, facts: RunFacts, *, ready: bool) -> None:
        """Start asking; `ready` = an earlier hub already saw it ready."""
        self._start(self._readiness(facts, ready=ready))
        if facts.liveness is not None:
            self._start(self._liveness(facts, facts.liveness))
        if facts.watched:
            self._start(self._memory(facts.watched))

    def close(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()

    async def _readiness(self, facts: RunFacts, *, ready: bool) -> None:
        if not ready:
            if not await self._until_ready(facts):
                return
            await self._findings.ready()
        self._was_ready.set()
        probe = once_ready(facts.readiness)
        serves, misses, hits = True, 0, 0
        while True:
            await asyncio.sleep(probe.period)
            problem = await self._ask(probe)
            misses, hits = (misses + 1, 0) if problem else (0, hits + 1)
            if serves and misses >= probe.failures:
                serves = False
                self._findings.unready(problem)
            elif not serves and hits >= probe.successes:
                serves = True
                self._findings.again()

    async def _until_ready(self, facts: RunFacts) -> bool:
        """True when it is ready, False when its time is over."""
        probe, hits, elsewhere = facts.readiness, 0, ""
        await self._sleep_until(facts.started + probe.initial_delay)
        timer = asyncio.get_running_loop().time
        began = looked = timer()
        while True:
            problem = await self._ask(probe)
            hits = 0 if problem else hits + 1
            if hits >= probe.successes:
                return True
            if self._out_of_time(facts, problem):
                return False
            if problem:
                if timer() - looked >= max(_LOOK_AROUND, _LOOK_SHARE * (looked - began)):
                    looked = timer()
                    elsewhere = await self._look_around(facts, problem)
                self._findings.not_yet(problem + elsewhere)
            # Often at first, then in proportion to the time it has taken: never 5 % too late.
            await asyncio.sleep(min(max(0.05, 0.05 * (timer() - began)), 1.0))

    def _out_of_time(self, facts: RunFacts, problem: str) -> bool:
        if facts.deadline is None or self._clock() < facts.started + facts.deadline:
            return False
        port = self._subject().port
        found = self._tree.listening()
        elsewhere = tuple(sorted(found - {port}))[:5]
        self._findings.doomed(
            diagnosis.never_ready(
                facts.deadline,
                (port, *facts.ports),
                problem,
                listens=port in found,
                elsewhere=elsewhere,
            )
        )
        return True

    async def _look_around(self, facts: RunFacts, problem: str) -> str:
        """A command that ignores PORT is found on a port that its template declares; others are told."""
        found = await asyncio.to_thread(self._tree.listening)
        subject = self._subject()
        if subject.port in found and _REFUSED in problem:
            return f"; it listens on that port, but not on {subject.host}"
        if subject.port in found or not found:
            return ""
        elsewhere = next((port for port in facts.ports if port in found), None)
        if elsewhere is not None:
            self._findings.moved(elsewhere)
            return ""
        return f"; its processes listen on {', '.join(map(str, sorted(found)[:5]))}"

    async def _liveness(self, facts: RunFacts, probe: Probe) -> None:
        if probe.initial_delay > 0:
            await self._sleep_until(facts.started + probe.initial_delay)
        else:
            await self._was_ready.wait()
        misses, problem = 0, ""
        while misses < probe.failures:
            problem = await self._ask(probe)
            misses = misses + 1 if problem else 0
            await asyncio.sleep(probe.period if misses < probe.failures else 0)
        self._findings.doomed(diagnosis.not_alive(misses, problem))

    async def _memory(self, limit: int) -> None:
        """Where no cgroup limits what all processes of a run take together."""
        used = 0
        while used <= limit:
            await asyncio.sleep(_WEIGH)
            used = await asyncio.to_thread(self._tree.memory)
        cause = diagnosis.too_much_memory(human_bytes(used), human_bytes(limit))
        self._findings.doomed(cause)

    async def _ask(self, probe: Probe) -> str:
        return await self._prober.ask(probe, self._subject())

    async def _sleep_until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self._clock()))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
