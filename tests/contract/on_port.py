"""An app on a real port of this machine, as the hub would serve it: under uvicorn, in a thread of its own."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, cast

import uvicorn

from pierhead.listener import listen

BACKLOG = 128
_SECONDS = 10.0  #: until it must have begun, or ended
_TICK = 1.0  #: seconds after which uvicorn writes its Date anew

Parser = Literal["httptools", "h11"]


class Server(uvicorn.Server):
    """Begins and ends when it is told to; uvicorn's own looks ten times a second whether it was."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does; then `up` is set."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.up.set()

    async def main_loop(self) -> None:
        """Until `end`."""
        while True:
            await self.on_tick(0)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _TICK)
                return

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does, without its pause of a tenth of a second."""
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # those that idle are gone with the loop's next turn
        await asyncio.sleep(0)
        await self._wait_tasks_to_complete()

    def end(self) -> None:
        """From another thread: answer who is being answered, then end."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)


@contextmanager
def on_port(app: object, parser: Parser = "httptools", **more: Any) -> Iterator[int]:
    """Serve the ASGI application; gives its port. `more` is uvicorn's."""
    settings = {"log_config": None, "lifespan": "off", "proxy_headers": False, **more}
    server = Server(uvicorn.Config(cast(Any, app), http=parser, **settings))
    with listen("127.0.0.1", 0, BACKLOG) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        try:
            assert server.up.wait(_SECONDS)
            yield int(listener.getsockname()[1])
        finally:
            server.end()
            thread.join(_SECONDS)
    assert not thread.is_alive()
