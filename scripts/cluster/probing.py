"""The probes of one run of a container, and what follows from them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from containers import Container
from events import Events
from probes import Verdict

Json = dict[str, Any]


class Probing:
    """Looks at a container for as long as it runs; `look` says what is wrong with it, "" for nothing."""

    def __init__(
        self, container: Container, look: Callable[[Json], Awaitable[str]], events: Events
    ) -> None:
        self._container, self._look, self._events = container, look, events

    async def run(self) -> str:
        """Until it must be ended; why."""
        spec = self._container.spec
        if "startupProbe" in spec:
            verdict = Verdict(spec["startupProbe"])
            await self._looking("Startup", verdict, lambda: verdict.good is None)
            if not verdict.good:
                return f"failed startup probe: {verdict.message}"
        self._container.mark(started=True, ready="readinessProbe" not in spec)
        readiness = asyncio.create_task(self._readiness())
        try:
            return await self._liveness()
        finally:
            readiness.cancel()

    async def _readiness(self) -> None:
        if "readinessProbe" not in self._container.spec:
            return
        verdict = Verdict(self._container.spec["readinessProbe"])

        def told() -> bool:
            self._container.mark(ready=verdict.good is True)
            return True

        await self._looking("Readiness", verdict, told)

    async def _liveness(self) -> str:
        if "livenessProbe" not in self._container.spec:
            await asyncio.Event().wait()  # until cancelled: nothing else ends it
        verdict = Verdict(self._container.spec["livenessProbe"])
        await self._looking("Liveness", verdict, lambda: verdict.good is not False)
        return f"failed liveness probe: {verdict.message}"

    async def _looking(self, kind: str, verdict: Verdict, go_on: Callable[[], bool]) -> None:
        await asyncio.sleep(verdict.probe.get("initialDelaySeconds", 0))
        while True:
            error = await self._look(verdict.probe)
            verdict.count(error)
            if error:
                message = f"{kind} probe failed: {error}"
                self._events.tell("Unhealthy", message, self._container.name, warning=True)
            if not go_on():
                return
            await asyncio.sleep(verdict.probe.get("periodSeconds", 10))
