"""Hints that something changed: the same one twice is one, and a slow listener misses nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Self


class Hints(AsyncIterator[str]):
    """Service ids for one listener, in the order they came up."""

    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}
        self._news = asyncio.Event()
        self._closed = False

    def add(self, service: str) -> None:
        """Something about it changed."""
        self._waiting[service] = None
        self._news.set()

    def close(self) -> None:
        """The listener ends after what it has."""
        self._closed = True
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        service = next(iter(self._waiting))
        del self._waiting[service]
        return service
