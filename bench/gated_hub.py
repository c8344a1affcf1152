"""A hub whose reconciler can be held: SIGUSR1 holds it, SIGUSR2 lets it go on. All else is as ever.

So the cost of a call and the cost of the work that follows it are told apart.
"""

import asyncio
import signal
import sys

from pierhead.cli import processes
from pierhead.reconciler.service import ServicePass

_pass = ServicePass.__call__


class Gate:
    """Open, until it is told otherwise."""

    def __init__(self) -> None:
        self._event: asyncio.Event | None = None

    def event(self) -> asyncio.Event:
        """Made inside the loop that waits for it."""
        if self._event is None:
            self._event = asyncio.Event()
            self._event.set()
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGUSR1, self._event.clear)
            loop.add_signal_handler(signal.SIGUSR2, self._event.set)
        return self._event


def run() -> None:
    """`pierhead hub ...` with the gate in its reconciler."""
    gate = Gate()

    async def held(self: ServicePass, key: str) -> float | None:
        await gate.event().wait()
        return await _pass(self, key)

    ServicePass.__call__ = held
    verb = processes.plainly(sys.argv[1:])
    if verb is None:
        raise SystemExit("usage: python -m bench.gated_hub hub --flag=value ...")
    processes.guarded(verb)


if __name__ == "__main__":
    run()
