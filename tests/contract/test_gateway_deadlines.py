"""Many deadlines of one length, by one timer."""

import asyncio
from typing import Any

from pierhead.gateway.deadlines import Deadlines

SECONDS = 0.02


def test_members_that_come_back_are_told_again_by_one_timer() -> None:
    async def whole() -> None:
        loop = asyncio.get_running_loop()
        made, told = 0, dict.fromkeys(range(50), 0)
        enough = asyncio.Event()

        class Counting(Deadlines[int]):
            def _look(self) -> None:
                nonlocal made
                made += 1
                super()._look()

        def late(one: int) -> None:
            told[one] += 1
            if min(told.values()) >= 5:
                enough.set()
            else:
                deadlines.add(one)

        deadlines = Counting(SECONDS, loop, late)
        for one in told:
            deadlines.add(one)
            await asyncio.sleep(SECONDS / 100)
        async with asyncio.timeout(30):
            await enough.wait()
        assert made <= sum(told.values()) + 1, "one look for each at most, however often they came"

    asyncio.run(whole())


def test_a_mistake_in_one_keeps_no_other_waiting() -> None:
    async def whole() -> None:
        loop, told, faults = asyncio.get_running_loop(), list[int](), list[dict[str, Any]]()
        loop.set_exception_handler(lambda _loop, context: faults.append(context))
        enough = asyncio.Event()

        def late(one: int) -> None:
            told.append(one)
            if one == 5:
                enough.set()
            if one % 2:
                raise ValueError(str(one))

        deadlines = Deadlines(SECONDS, loop, late)
        for one in range(6):
            deadlines.add(one)
        async with asyncio.timeout(10):
            await enough.wait()
        assert told == [0, 1, 2, 3, 4, 5]
        assert [str(each["exception"]) for each in faults] == ["1", "3", "5"]
        assert len(deadlines) == 0

    asyncio.run(whole())
