"""Long work on the loop, done a slice at a time: requests go on between two of them."""

import asyncio
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


async def in_slices(work: Generator[None, None, T]) -> T:
    """What `work` returns in the end; each of its steps is one turn of the loop."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: T = end.value
            return found
        await asyncio.sleep(0)


def at_once(work: Generator[None, None, T]) -> T:
    """The same where nothing else waits."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: T = end.value
            return found
