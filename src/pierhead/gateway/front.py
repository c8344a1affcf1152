"""The front: the port that clients come to, and their connections' end in good order."""

import asyncio
import socket
from collections.abc import Callable
from random import Random
from typing import Final, cast

from pierhead.gateway.answers import Refusal
from pierhead.gateway.client import Client
from pierhead.gateway.commons import Commons, Dispatch
from pierhead.gateway.exchange import Exchange
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.sockets import BUFFER
from pierhead.tls import Sniffer

_STOPPING: Final = Refusal(503, "stopping", "The gateway is stopping.", close=True)
_SWEEP: Final = 1.0  #: seconds between two looks at idle connections
_LAST_WORDS: Final = 1.0  #: seconds that replies cut at the stop get to be written


class Front(Commons):
    """All connections of clients."""

    def __init__(
        self,
        settings: GatewaySettings,
        gateway: Dispatch,
        note: Callable[[Exchange], None],
        rng: Random,
    ) -> None:
        """`note` is called once for each request, when its reply is over."""
        super().__init__(settings, gateway, note, rng)
        self._loop = asyncio.get_running_loop()
        self._sweep = self._loop.call_later(_SWEEP, self._close_idle)
        self._server: asyncio.Server | None = None

    async def listen(self, listener: socket.socket) -> None:
        """Accepts clients from now on."""
        tls, seconds = self.settings.tls, self.limits.head_seconds

        def make() -> asyncio.Protocol:
            if tls is None:
                return cast(asyncio.Protocol, Client(self))
            return Sniffer(tls, lambda: cast(asyncio.Protocol, Client(self)), seconds)

        # Accepted connections inherit it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        backlog = self.settings.backlog
        self._server = await self._loop.create_server(make, sock=listener, backlog=backlog)

    async def stop(self, seconds: float, now: asyncio.Event) -> None:
        """Takes no more; requests in work get so many seconds, or until `now` is set."""
        if self._server is not None:
            self._server.close()
        self.stopping, self.empty = True, asyncio.Event()
        self._sweep.cancel()
        for client in list(self.clients):
            client.stop()
        await self._emptied(seconds, now)
        for client in list(self.clients):
            client.end(_STOPPING)
        await self._emptied(_LAST_WORDS, None)
        for client in list(self.clients):
            client.hang_up(hard=True)

    def _close_idle(self) -> None:
        """Now and then all are looked at: cheaper than to set a time for each after each request."""
        latest = self._loop.time() - self.settings.keep_alive_seconds
        for client in [one for one in self.clients if 0.0 < one.idle_since < latest]:
            client.close()
        self._sweep = self._loop.call_later(_SWEEP, self._close_idle)

    async def _emptied(self, seconds: float, sooner: asyncio.Event | None) -> None:
        if not self.clients or self.empty is None:
            return
        waits = [asyncio.ensure_future(self.empty.wait())]
        if sooner is not None:
            waits.append(asyncio.ensure_future(sooner.wait()))
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
