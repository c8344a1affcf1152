"""A double of the hub: it serves the gateway its table, takes its reports, and hears whom it wakes.

Where the real hub would decide, the measures do: a table is what they publish. It runs on a thread of
its own, so that a measure may wait for a child process in the meantime.
"""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, TypeVar

from pierhead.core.routes import Route, RouteTable, dump, table

_ORIGIN = 1
_T = TypeVar("_T")
_HEADER_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Woken:
    """A call to wake a service."""

    service: str  #: its id
    at: float  #: monotonic seconds


@dataclass
class HubDouble:
    """Its methods may be called from any thread but its own."""

    loop: asyncio.AbstractEventLoop
    port: int = 0
    reports: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    woken: list[Woken] = field(default_factory=list[Woken])
    #: Called on the hub's thread when a service is to be woken, after it was noted.
    on_wake: Callable[[str], None] = lambda service: None
    _table: RouteTable | None = None
    _text: bytes = b""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def publish(self, routes: list[Route], draining: frozenset[str] = frozenset()) -> int:
        """Puts a new table into force; its revision. Told at once to gateways that wait."""
        revision = (self._table.revision if self._table else 0) + 1
        made = table(revision, routes, draining, _ORIGIN)
        text = dump(made).encode()  # here, so that its cost is not in what is measured
        self.loop.call_soon_threadsafe(self._swap, made, text)
        return revision

    @property
    def served(self) -> int:
        """The revision that a gateway reported last; 0 = none yet."""
        return self.reports[-1]["revision"] if self.reports else 0

    def used(self) -> dict[str, int]:
        """Tokens that the reports tell, all services together, by kind; the last word of each meter."""
        last: dict[tuple[str, ...], dict[str, Any]] = {}
        for report in list(self.reports):
            for meter in report["meters"]:
                key = (report["gateway"], meter["service"], meter["token"], meter["month"])
                last[key] = meter["usage"]
        sums: dict[str, int] = {}
        for usage in last.values():
            for name, value in usage.items():
                if isinstance(value, int):
                    sums[name] = sums.get(name, 0) + value
        return sums

    def _swap(self, made: RouteTable, text: bytes) -> None:
        self._table, self._text = made, text
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One kept-alive connection of a gateway."""
        try:
            while True:
                head = (await reader.readuntil(_HEADER_END)).decode("latin-1")
                body = await reader.readexactly(_length(head))
                status, answer = await self._answer(head.split(" ", 2)[1], body)
                writer.write(
                    b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n" % (status, len(answer)) + answer
                    if status != 304
                    else b"HTTP/1.1 304 Not Modified\r\n\r\n"
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass  # the gateway went away, or the measure is over
        finally:
            writer.close()

    async def _answer(self, target: str, body: bytes) -> tuple[int, bytes]:
        path, _, query = target.partition("?")
        if path == "/internal/report":
            self.reports.append(json.loads(body))
            return 200, b'{"spent":{}}'
        if path == "/internal/wake":
            service = str(json.loads(body)["service"])
            self.woken.append(Woken(service, time.monotonic()))
            self.on_wake(service)
            return 200, b"{}"
        if path == "/internal/routes":
            return await self._news(dict(part.split("=", 1) for part in query.split("&")))
        return 404, b"{}"

    async def _news(self, asked: dict[str, str]) -> tuple[int, bytes]:
        if self._table is None or self._table.revision == int(asked["revision"]):
            try:
                async with asyncio.timeout(float(asked["wait"])):
                    await self._changed.wait()
            except TimeoutError:
                return 304, b""
        return 200, self._text


def _length(head: str) -> int:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


@contextmanager
def hub_double() -> Generator[HubDouble]:
    """One that listens."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="hub double", daemon=True)
    thread.start()
    made = HubDouble(loop)
    try:
        server = _on(loop, asyncio.start_server(made.connection, "127.0.0.1", 0, limit=1 << 20))
        made.port = server.sockets[0].getsockname()[1]
        yield made
    finally:
        _on(loop, _cancel_all())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _on(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, _T]) -> _T:
    return asyncio.run_coroutine_threadsafe(work, loop).result(10)
