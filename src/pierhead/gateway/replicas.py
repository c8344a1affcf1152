"""Connections to replicas: kept for the next request, one request at a time on each."""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Final, cast

from pierhead.core.routes import Target
from pierhead.gateway.awaiting import Keeper
from pierhead.gateway.balance import Failure
from pierhead.gateway.replica_connection import Address, ReplicaConnection

_IDLE_SECONDS: Final = 60.0  #: an idle connection is kept
_SWEEP: Final = 5.0  #: seconds between two looks at idle connections
_MOST_IDLE: Final = 512  #: per replica
_KNOCK: Final = b"OPTIONS / HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n"


class Pool(Keeper[ReplicaConnection]):
    """Idle connections to each replica, and the way to new ones."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connect_seconds: float) -> None:
        self._loop, self._seconds = loop, connect_seconds
        self._idle: dict[Address, list[ReplicaConnection]] = {}
        self._sweep = loop.call_later(_SWEEP, self._close_idle)
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, target: Target) -> ReplicaConnection | None:
        """The connection that was used last; None if there is none."""
        idle = self._idle.get((target.host, target.port))
        return idle.pop() if idle else None

    def keep(self, connection: ReplicaConnection) -> None:
        """It is free."""
        idle = self._idle.get(connection.at)
        if idle is None:
            idle = self._idle[connection.at] = []
        if len(idle) >= _MOST_IDLE:
            connection.hang_up()
            return
        connection.idle_since = self._loop.time()
        idle.append(connection)

    def gone(self, connection: ReplicaConnection) -> None:
        """It ended."""
        idle = self._idle.get(connection.at)
        if idle and connection in idle:
            idle.remove(connection)

    def connect(
        self,
        target: Target,
        made: Callable[[ReplicaConnection], None],
        failed: Callable[[Failure], None],
        fault: Callable[[], None],
        *,
        once: bool = False,
    ) -> asyncio.Task[None]:
        """Opens a connection, and calls one of the two; neither once the task was cancelled.

        `fault`: see `spawn`; `once`: the connection is not kept for another request.
        """
        keeper: Keeper[ReplicaConnection] = _Once() if once else self

        async def connect() -> None:
            try:
                async with asyncio.timeout(self._seconds):
                    connection = ReplicaConnection(keeper, target)
                    # By its methods alone: one that is compiled may have no base that is not.
                    protocol = cast(asyncio.Protocol, connection)
                    await self._loop.create_connection(lambda: protocol, target.host, target.port)
            except TimeoutError:
                failed(Failure.SILENT)
            except OSError:
                failed(Failure.REFUSED)
            else:
                made(connection)

        return self.spawn(connect, fault)

    def spawn(
        self, work: Callable[[], Coroutine[Any, Any, None]], fault: Callable[[], None]
    ) -> asyncio.Task[None]:
        """A task that is held until it ends; `fault` is told of a mistake of ours, within its handling."""

        async def guarded() -> None:
            try:
                await work()
            except Exception:  # noqa: BLE001 the process edge: else a client would wait for ever
                fault()

        task = self._loop.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def knock(self, target: Target, patience: float) -> Failure | None:
        """Does a replica answer anything at all to a request that asks for nothing? None = it does."""
        heard: asyncio.Future[bool] = self._loop.create_future()
        transport: asyncio.Transport | None = None
        try:
            async with asyncio.timeout(patience):
                transport, _ = await self._loop.create_connection(
                    lambda: _Listener(heard), target.host, target.port
                )
                host = f"{target.host}:{target.port}".encode("latin-1")
                transport.write(_KNOCK % host)
                return None if await heard else Failure.CLOSED
        except TimeoutError:
            return Failure.SILENT
        except OSError:
            return Failure.CLOSED
        finally:
            if transport is not None:
                transport.abort()

    def forget(self, replicas: Collection[str]) -> None:
        """Lets go of idle connections to replicas that are gone."""
        if not replicas:
            return
        for at, idle in list(self._idle.items()):
            if any(connection.target.replica in replicas for connection in idle[:1]):
                del self._idle[at]
                for connection in idle:
                    connection.hang_up()

    def _close_idle(self) -> None:
        latest = self._loop.time() - _IDLE_SECONDS
        for at, idle in list(self._idle.items()):
            for connection in [one for one in idle if one.idle_since < latest]:
                idle.remove(connection)
                connection.hang_up()
            if not idle:  # its replica may be gone
                del self._idle[at]
        self._sweep = self._loop.call_later(_SWEEP, self._close_idle)

    def close(self) -> None:
        """Ends all idle connections, and what is still being opened."""
        self._sweep.cancel()
        for task in self._tasks:
            task.cancel()
        for idle in self._idle.values():
            for connection in list(idle):
                connection.hang_up()


class _Once(Keeper[ReplicaConnection]):
    """Keeps no connection."""

    def keep(self, connection: ReplicaConnection) -> None:
        connection.hang_up()

    def gone(self, connection: ReplicaConnection) -> None:
        del connection  # it was not kept


class _Listener(asyncio.Protocol):
    """Hears whether anything comes."""

    def __init__(self, heard: asyncio.Future[bool]) -> None:
        self._heard = heard

    def data_received(self, data: bytes) -> None:
        del data
        self._tell(heard=True)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._tell(heard=False)

    def _tell(self, *, heard: bool) -> None:
        if not self._heard.done():
            self._heard.set_result(heard)
