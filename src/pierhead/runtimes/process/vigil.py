"""Asks one run again and again: until it is ready, then whether it still is, and whether it lives."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from pierhead.core.ids import Clock
from pierhead.core.templates import Probe
from pierhead.runtimes.process.probing import Prober, Subject, once_ready
from pierhead.runtimes.process.records import RunFacts


@dataclass(frozen=True, slots=True)
class Findings:
    """Whom to tell what; each text says why."""

    not_yet: Callable[[str], None]
    ready: Callable[[], None]
    unready: Callable[[str], None]
    again: Callable[[], None]  #: ready again after `unready`
    dead: Callable[[str], None]  #: the liveness probe failed for good


class Vigil:
    """The probes of one run; `subject` is asked for each try, since the engine's pid comes late."""

    def __init__(
        self, prober: Prober, clock: Clock, subject: Callable[[], Subject], findings: Findings
    ) -> None:
        self._prober = prober
        self._clock = clock
        self._subject = subject
        self._findings = findings
        self._was_ready = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, facts: RunFacts, *, ready: bool) -> None:
        """Start asking; `ready` = an earlier hub already saw it ready."""
        self._start(self._readiness(facts, ready=ready))
        if facts.liveness is not None:
            self._start(self._liveness(facts, facts.liveness))

    def close(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()

    async def _readiness(self, facts: RunFacts, *, ready: bool) -> None:
        if not ready:
            await self._until_ready(facts)
            self._findings.ready()
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

    async def _until_ready(self, facts: RunFacts) -> None:
        probe, hits = facts.readiness, 0
        await self._sleep_until(facts.started + probe.initial_delay)
        timer = asyncio.get_running_loop().time
        began = timer()
        while True:
            problem = await self._ask(probe)
            hits = 0 if problem else hits + 1
            if hits >= probe.successes:
                return
            if problem:
                self._findings.not_yet(problem)
            # Often at first, then in proportion to the time it has taken: never 5 % too late.
            await asyncio.sleep(min(max(0.05, 0.05 * (timer() - began)), 1.0))

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
        self._findings.dead(f"the liveness probe failed {misses} times: {problem}")

    async def _ask(self, probe: Probe) -> str:
        return await self._prober.ask(probe, self._subject())

    async def _sleep_until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self._clock()))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
