"""An event loop whose clock jumps: an hour of timers passes in a moment, and in the same order."""

import asyncio
import selectors
from collections.abc import Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

from builders import T0

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Waits for real only while a thread works; all other waiting is a step of the clock."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.loop.in_threads:
            return super().select(timeout if timeout == 0 else None)
        found = super().select(0)
        if not found and timeout is None:
            raise RuntimeError("every task waits and no timer is set: this would wait for ever")
        if not found:
            self.loop.passed += timeout or 0.0
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Counts its seconds from 0; `wall` is the same moment as epoch seconds."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.passed, self.in_threads = 0.0, 0
        super().__init__(selector)

    def time(self) -> float:
        return self.passed

    def wall(self) -> float:
        """For parts that take a Clock."""
        return T0 + self.passed

    def run_in_executor(
        self, executor: Executor | None, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self.in_threads += 1
        future.add_done_callback(self._back)
        return future

    async def shutdown_default_executor(self) -> None:
        """Its threads end in real time."""
        self.in_threads += 1
        await super().shutdown_default_executor()
        self.in_threads -= 1

    def _back(self, _future: object) -> None:
        self.in_threads -= 1


def run(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def wall() -> float:
    """The running virtual loop's Clock."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.wall()
