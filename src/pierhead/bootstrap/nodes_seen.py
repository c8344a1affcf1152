"""The machines of the runtime, as they were looked at last: nodes of a cluster come and go."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import overload

from pierhead.core.errors import PierheadError
from pierhead.core.replicas import Node
from pierhead.runtimes.base import Runtime

_EVERY = 15.0  #: seconds between two looks


class NodesSeen(Sequence[Node]):
    """A sequence whose content changes between two looks at it, never amid one: take `tuple` of it."""

    def __init__(self, now: tuple[Node, ...]) -> None:
        self.now = now

    @overload
    def __getitem__(self, index: int) -> Node: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Node, ...]: ...

    def __getitem__(self, index: int | slice) -> Node | tuple[Node, ...]:
        """One of them, or some."""
        return self.now[index]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.now)

    @asynccontextmanager
    async def kept(self, runtime: Runtime) -> AsyncGenerator[None]:
        """Look at them again every 15 seconds; meant for a runtime that answers from memory."""
        keeping = asyncio.create_task(self._keep(runtime), name="nodes")
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def look(self, runtime: Runtime) -> None:
        """Look at them now; those that were seen last stay where the runtime does not tell."""
        with suppress(PierheadError):
            self.now = (await runtime.probe()).nodes

    async def _keep(self, runtime: Runtime) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await self.look(runtime)
